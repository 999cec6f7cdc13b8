# SPDX-License-Identifier: BSD-3-Clause
"""The work of the functions that PyTorch has too: a mask is drawn, and x is put under it.

By the engine, where x is memory; by an operator, in programs that are recorded or watched; by
PyTorch's own function, where only PyTorch knows what x is.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from fastdrop._checks import (
    check_broadcast,
    check_p,
    check_probabilities,
    check_switch,
    kind_of,
)
from fastdrop._typing import SeedLike
from fastdrop.functional._scales import alpha_numbers
from fastdrop.functional._sharing import feature_shape
from fastdrop.functional.dropout import dropout_mask
from fastdrop.source import Source
from fastdrop.torch._apply import (
    CLASSES,
    Ints,
    as_tensor,
    check_floats,
    check_tensor,
    dense_strides,
    is_readable,
    logical_strides,
)
from fastdrop.torch._autograd import check_in_place
from fastdrop.torch._elsewhere import chances_of, dropping_elsewhere, is_elsewhere
from fastdrop.torch._given import drop_under
from fastdrop.torch._mask import (
    RNG,
    Settled,
    SharedShape,
    addressable_source,
    decided_shape,
    draw_element_mask,
    draw_shared_mask,
    drops,
    given_mask,
    settled,
    source_mask,
)
from fastdrop.torch._operator import (
    check_traced_rng,
    drop_shared,
    drop_traced,
    dropping_by_pytorch,
    has_operator,
    is_for_onnx,
    is_traced,
    memory_order,
    words_of,
)
from fastdrop.torch._seed import draw_words
from fastdrop.torch._tensor import mask_from_words

__all__ = ["drop_any", "drop_as_operator"]

# (x, inplace, scale, shift, dropped) -> y; the last two only of alpha dropout.
Dropping: TypeAlias = Callable[..., torch.Tensor]

NO_OPTIONS: Mapping[str, Any] = {}

_transforming = torch._C._are_functorch_transforms_active


def drop_any(
    function: Callable[..., torch.Tensor],
    x: torch.Tensor,
    p: Any,
    training: bool,
    inplace: bool,
    rng: RNG,
    seed: SeedLike | None,
    *,
    features: bool = False,
    alpha: bool = False,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> torch.Tensor:
    """Drop elements or features of x, to zero or to SELU's limit: the work of a function."""
    if rng is not None or seed is not None:
        rng = settled(rng, seed, 4)
    if has_torch_function_unary(x):  # a subclass or a mode, as in PyTorch's functions
        arguments = x, p, training, inplace
        y: torch.Tensor = handle_torch_function(function, (x,), *arguments, rng=rng, **options)
        return y
    check_tensor("input", x)
    if alpha and x.is_complex():
        raise TypeError(f"input must be of real floats, not of {x.dtype}")
    unbatched = features and _lacks_batch(function.__name__, x)
    shared = decided_shape(tuple(as_tensor(x).shape), **options) if options else None
    of_each = type(p) is not float and isinstance(p, torch.Tensor) and p.dim() > 0 and not alpha
    if not of_each:
        p = check_p(p)
    training, inplace = check_switch("training", training), check_switch("inplace", inplace)
    if of_each:
        _check_each(x, p, training)
    if not (training if of_each else drops(p, training, rng)):
        if rng is not None and not isinstance(rng, Source):  # drawn from or not, it is checked
            (check_traced_rng if is_traced(x) else addressable_source)(rng)
        return x
    if inplace and not torch.compiler.is_compiling() and not _transforming():
        check_in_place(x)
    y = x if type(x) in CLASSES else as_tensor(x)
    if unbatched:
        y = y.unsqueeze(0)
    if features:
        shared = _features_of(y)
    if of_each:
        y = _dropping_each(y, p, rng, shared)(y, inplace)
    elif (dropping := _dropping(y, p, rng, shared, features)) is None:
        y = _stock(features, alpha, inplace)(y, p, True)
    else:
        y = _drop_by(dropping, y, p, inplace, alpha)
    if inplace:
        return x
    return y.squeeze(0) if unbatched else y


def _features_of(x: torch.Tensor) -> Ints:
    if x.dim() < 2:
        raise ValueError(f"input must have at least two axes, batch and channel, not {x.dim()}")
    return feature_shape(x.shape)


def _drop_by(
    dropping: Dropping, x: torch.Tensor, p: float, inplace: bool, alpha: bool
) -> torch.Tensor:
    """Drop elements of x by a mask that was drawn."""
    if p == 1.0:  # nothing is kept
        return dropping(x, inplace, 1.0)
    return dropping(x, inplace, *(alpha_numbers(p) if alpha else (1.0 / (1.0 - p),)))


class _DropKeeping(torch.autograd.Function):
    """The operator, with what the kernels in C keep for the backward pass: the bools of the mask.

    A checkpoint may run one pass with a mode and the other without it, and what they keep must fit.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float, features: bool, alpha: bool) -> torch.Tensor:
        words = draw_words()
        numbers = alpha_numbers(p) if alpha and p < 1.0 else (1.0 / (1.0 - p) if p < 1.0 else 1.0,)
        shape = feature_shape(x.shape) if features else tuple(x.shape)
        strides = logical_strides(shape) if features else dense_strides(x)
        kept = torch.empty_strided(shape, strides, dtype=torch.bool, device="cpu")
        mask_from_words(words, p, strides).write_kept(kept, torch.get_num_threads())
        ctx.save_for_backward(kept)
        ctx.scale = numbers[0]
        return drop_traced(x, words, p, features, None if features else memory_order(x), *numbers)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(dy, kept, ctx.scale), None, None, None


def drop_as_operator(
    x: torch.Tensor, p: float, inplace: bool, features: bool, alpha: bool, keeps: bool
) -> torch.Tensor:
    """Drop elements or features of x by the operator that dispatch modes see.

    It ``keeps`` bools for the backward pass, or else words.
    """
    if keeps:
        y: torch.Tensor = _DropKeeping.apply(x, p, features, alpha)
        return x.copy_(y) if inplace else y
    shared = feature_shape(x.shape) if features else None
    return _drop_by(_dropping_traced(x, p, None, shared, features), x, p, inplace, alpha)


def _stock(features: bool, alpha: bool, inplace: bool) -> Callable[..., torch.Tensor]:
    """Return PyTorch's operator (x, p, train) -> y."""
    name = "feature_" * features + "alpha_" * alpha + "dropout" + "_" * inplace
    operator: Callable[..., torch.Tensor] = getattr(torch, name)
    return operator


def _dropping(
    x: torch.Tensor, p: float, rng: Settled, shared: SharedShape, features: bool
) -> Dropping | None:
    """Return what drops elements of x by the mask that it has drawn; None: PyTorch does."""
    traced = is_traced(x)
    if traced and has_operator(x):
        if is_for_onnx(rng):
            return None if shared is None else dropping_by_pytorch(x, p, shared, None)
        return _dropping_traced(x, p, rng, shared, features)
    readable = not traced and is_readable(x)
    if not readable:
        check_floats("input", x)
        if is_elsewhere(x) and not (rng is None or isinstance(rng, torch.Generator)):
            return dropping_elsewhere(x, p, rng, shared)
    source = addressable_source(rng)
    transforming = _transforming()
    if source is not None and (transforming or readable):
        mask = source_mask(x, p, source, shared)
    elif readable and not transforming:
        assert rng is None or isinstance(rng, torch.Generator)
        if shared is None:
            mask = draw_element_mask(x, p, rng)
        else:
            mask = draw_shared_mask(x, p, shared, rng)
    elif rng is None and (shared is None or features):
        return None
    elif source is None and shared is not None and x.layout is torch.strided:
        assert rng is None or isinstance(rng, torch.Generator)
        return dropping_by_pytorch(x, p, shared, rng)
    else:
        raise TypeError(
            "with rng, broadcast_dims or noise_shape, input must be a strided tensor of floats on "
            "the CPU, and in torch.func rng a seed or a source; input is a "
            f"{'nested ' * x.is_nested}{x.dtype} tensor of layout {x.layout} on {x.device}"
        )

    def dropping(x: torch.Tensor, inplace: bool, scale: float, *of_alpha: float) -> torch.Tensor:
        # The mask has the scale of plain dropout.
        return drop_under(x, mask.with_scale(scale, *of_alpha) if of_alpha else mask, inplace)

    return dropping


def _check_each(x: torch.Tensor, p: torch.Tensor, training: bool) -> None:
    """Check a p of one axis or more; its numbers where no mask is drawn, which checks them too."""
    if p.is_complex() or p.dtype is torch.bool:
        raise TypeError(f"p must be of floats or integers in [0, 1], not of {p.dtype}")
    if p.layout is not torch.strided or (p.is_meta and not x.is_meta):
        raise TypeError(
            f"p must be a strided tensor that has numbers, not one of layout {p.layout} on "
            f"{p.device}"
        )
    if not (training or is_traced(x) or p.is_meta):
        check_probabilities("p", chances_of(p))


def _dropping_each(x: torch.Tensor, p: torch.Tensor, rng: Settled, shared: SharedShape) -> Dropping:
    """Return what drops elements of x where p, of one axis or more, broadcasts to the decisions."""
    decided = tuple(x.shape) if shared is None else shared
    check_broadcast("p shape", tuple(p.shape), decided, "the mask")
    if rng is None or isinstance(rng, torch.Generator):
        raise TypeError(
            f"rng must be a seed or a source where p is a tensor, of shape {tuple(p.shape)}, not "
            f"{kind_of(rng)}"
        )
    if is_elsewhere(x):
        check_floats("input", x)
        return dropping_elsewhere(x, p, rng, shared)
    if is_traced(x) or not (_transforming() or is_readable(x)):
        raise TypeError(
            "p must be a number in a traced program, and where input is no strided tensor of "
            f"floats, not a tensor of shape {tuple(p.shape)}"
        )
    mask = dropout_mask(decided, chances_of(p), rng=addressable_source(rng))
    return lambda x, inplace: drop_under(x, given_mask(x, mask), inplace)


def _dropping_traced(
    x: torch.Tensor, p: float, rng: Settled, shared: SharedShape, features: bool
) -> Dropping:
    words = words_of(rng)
    in_memory = shared is None and (rng is None or isinstance(rng, torch.Generator))
    order = memory_order(x) if in_memory else None

    def dropping(x: torch.Tensor, inplace: bool, *numbers: float) -> torch.Tensor:
        if features or shared is None:
            y = drop_traced(x, words, p, features, order, *numbers)
        else:
            y = drop_shared(x, words, p, shared, *numbers)
        return x.copy_(y) if inplace else y

    return dropping


# ---- axes ----------------------------------------------------------------------------------------


def _lacks_batch(name: str, x: torch.Tensor) -> bool:
    """Return whether x is one sample for a function of channels; warn of other numbers of axes."""
    if name == "dropout1d":
        if x.dim() not in (2, 3):
            raise RuntimeError(
                f"dropout1d: Expected 2D or 3D input, but received a {x.dim()}D input; it must be "
                "(N, C, L) or (C, L)"
            )
        return bool(x.dim() == 2)
    if name == "dropout2d":
        if x.dim() not in (3, 4):
            _warn_of_axes(name, x, "(N, C, H, W)")
        if x.dim() == 3:
            warnings.warn(
                "dropout2d: Received a 3-D input, (N, C, L), assuming that channel-wise 1D "
                "dropout behavior is desired; dropout1d says so",
                stacklevel=4,
            )
        return False
    if name == "dropout3d":
        if x.dim() not in (4, 5):
            _warn_of_axes(name, x, "(N, C, D, H, W) or (C, D, H, W)")
        return bool(x.dim() == 4)
    return False


def _warn_of_axes(name: str, x: torch.Tensor, shapes: str) -> None:
    warnings.warn(
        f"{name}: Received a {x.dim()}-D input to {name}; it must be {shapes}", stacklevel=5
    )
