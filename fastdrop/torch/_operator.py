# SPDX-License-Identifier: BSD-3-Clause
"""The operators that stand for our kernels in traced programs, and where dispatch modes look on.

``torch.compile``, ``torch.export`` and ``torch.jit.trace`` record ``fastdrop::drop`` as one step;
when the program runs, the step calls the kernel. The mask is made from ``words``, a tensor of
the program, so the operator is a pure function, and its derivative is itself.

Programs pass anything to operators, so they check all that they read, and so do their fakes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.fx.experimental.symbolic_shapes import guard_or_false

from fastdrop._checks import check_seed, described
from fastdrop.functional._sharing import feature_shape
from fastdrop.source import Source, Xoshiro256PlusPlus
from fastdrop.torch._apply import DTYPES, Ints, apply, logical_strides
from fastdrop.torch._mask import SEEDS, Settled, SharedShape, shared_strides
from fastdrop.torch._seed import draw_words, words_of_source
from fastdrop.torch._tensor import mask_from_words

__all__ = [
    "check_operands",
    "check_traced_rng",
    "drop_kept",
    "drop_shared",
    "drop_traced",
    "dropping_by_pytorch",
    "has_operator",
    "is_for_onnx",
    "is_recorded",
    "is_traced",
    "is_watched",
    "kept_by_pytorch",
    "laid_like",
    "memory_order",
    "shown_tensor",
    "strides_in_order",
    "words_of",
]

_count_modes = torch._C._len_torch_dispatch_stack
_get_mode = torch._C._get_dispatch_mode
_RECORDERS = tuple(torch._C._TorchDispatchModeKey.__members__.values())


# ---- when ----------------------------------------------------------------------------------------


def is_traced(x: torch.Tensor) -> bool:
    """Return whether x is part of a program that is recorded, or watched by a mode."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or isinstance(x, torch._subclasses.FakeTensor)
        or (_count_modes() > 0 and (is_recorded() or is_watched()))
    )


def is_recorded() -> bool:
    """Return whether one of PyTorch's own modes is recording, faking or functionalizing."""
    return any(_get_mode(key) is not None for key in _RECORDERS)


def is_watched() -> bool:
    """Return whether dispatch modes that record nothing look on, such as a counter of flops.

    They see the operator, and the program has the masks that it has without them. Forward mode
    does not pass through operators, so it is not watched.
    """
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and _count_modes() > 0
        and bool(forward_ad._current_level < 0)
        and not is_recorded()
    )


def has_operator(x: torch.Tensor) -> bool:
    """Return whether the operator takes a traced tensor."""
    return x.dtype in DTYPES and x.device.type == "cpu" and x.layout is torch.strided


def is_for_onnx(rng: Settled) -> bool:
    """Return whether a program is recorded for ONNX, whose own operators draw what is random."""
    if not torch.onnx.is_in_onnx_export():
        return False
    if rng is not None:
        raise TypeError(
            f"rng must be None in a program for ONNX, which draws its masks itself, not {rng!r}"
        )
    return True


# ---- drop ----------------------------------------------------------------------------------------


def memory_order(x: torch.Tensor) -> list[int] | None:
    """Return the axes of x, outermost first, as `dense_strides` orders them; None: as they are.

    That is found from lengths and strides alone, so that programs need no operation for it. These
    may be symbols: what is not known of them leaves two axes in the order of their indices.
    """
    lengths, strides = x.shape, x.stride()
    order = list(range(x.dim()))[::-1]  # innermost first
    for last in range(1, len(order)):
        place = last
        for at in range(last - 1, -1, -1):
            inner, axis = strides[order[at]], strides[order[place]]
            if guard_or_false(inner == 0) or guard_or_false(axis == 0):
                continue  # a repeated axis has no place
            if guard_or_false(inner < axis):
                break
            if guard_or_false(inner > axis) or guard_or_false(
                lengths[order[at]] > lengths[order[place]]
            ):
                order[at], order[place] = order[place], order[at]
                place = at
    order.reverse()
    return None if order == list(range(x.dim())) else order


def strides_in_order(shape: Sequence[int], order: Sequence[int] | None) -> Ints:
    if order is None:
        return logical_strides(shape)
    in_order = logical_strides([shape[axis] for axis in order])
    return tuple(in_order[order.index(axis)] for axis in range(len(shape)))


def laid_like(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return y in the layout that the operators promise, that of ``torch.empty_like(x)``."""
    like = torch.empty_like(x)
    return y if y.stride() == like.stride() else like.copy_(y)


def shown_tensor(x: torch.Tensor | None) -> str:
    """Return what errors of operators show of a tensor."""
    return "None" if x is None else f"a {tuple(x.shape)} tensor of {x.dtype}"


def check_operands(
    x: torch.Tensor, words: torch.Tensor, p: float, order: Sequence[int] | None = None
) -> None:
    """Check what every operator reads, which programs may give it: anything."""
    if not has_operator(x):
        raise TypeError(
            f"x must be a strided tensor of floats on the CPU, not a {x.dtype} tensor of layout "
            f"{x.layout} on {x.device}"
        )
    if words.dtype != torch.int64 or words.device.type != "cpu":
        raise TypeError(
            f"words must be of torch.int64 on the CPU, not a {words.dtype} tensor on {words.device}"
        )
    if words.dim() != 1 or words.shape[0] != 4:
        raise ValueError(f"words must have shape (4,), not {tuple(words.shape)}")
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p must be in [0, 1], not {p}")
    if order is not None and sorted(order) != list(range(x.dim())):
        raise ValueError(f"order must name each of the {x.dim()} axes once, not be {list(order)}")


def _check(
    x: torch.Tensor,
    words: torch.Tensor,
    p: float,
    scale: float,
    features: bool,
    order: Sequence[int] | None,
    shift: float,
    dropped: float,
) -> None:
    check_operands(x, words, p, order)
    for name, number in (("scale", scale), ("shift", shift), ("dropped", dropped)):
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, not {number}")
    if (shift or dropped) and x.is_complex():
        raise TypeError(f"x must be real where shift or dropped is not 0, not a {x.dtype} tensor")
    if features and x.dim() < 2:
        raise ValueError(f"x must have at least two axes, batch and channel, not {x.dim()}")


@torch.library.custom_op("fastdrop::drop", mutates_args=())
def _drop(
    x: torch.Tensor,
    words: torch.Tensor,
    p: float,
    scale: float,
    features: bool,
    order: Sequence[int] | None = None,
    shift: float = 0.0,
    dropped: float = 0.0,
) -> torch.Tensor:
    """Return x under the mask of the words: kept, ``x * scale + shift``, or else ``dropped``.

    The decisions follow the axes of x in an order, by default that of its indices; those of
    features follow (sample, channel).
    """
    _check(x, words, p, scale, features, order, shift, dropped)
    if features:
        strides = shared_strides(feature_shape(x.shape))
    else:
        strides = strides_in_order(x.shape, order)
    mask = mask_from_words(words.contiguous(), p, strides)
    return laid_like(x, apply(mask.with_scale(scale, shift, dropped), x))


@_drop.register_fake
def _(
    x: torch.Tensor,
    words: torch.Tensor,
    p: float,
    scale: float,
    features: bool,
    order: Sequence[int] | None = None,
    shift: float = 0.0,
    dropped: float = 0.0,
) -> torch.Tensor:
    _check(x, words, p, scale, features, order, shift, dropped)
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    # Not as saved tensors: an eager pass saves none, and checkpoints compare their numbers.
    _, *ctx.settings, _, _ = inputs  # but shift and dropped


def _backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, *tuple[None, ...]]:
    return torch.ops.fastdrop.drop(dy, *ctx.settings), *(None,) * (len(ctx.settings) + 2)


_drop.register_autograd(_backward, setup_context=_keep)


def drop_traced(
    x: torch.Tensor,
    words: torch.Tensor,
    p: float,
    features: bool,
    order: Sequence[int] | None,
    scale: float,
    shift: float = 0.0,
    dropped: float = 0.0,
) -> torch.Tensor:
    """Return x under the mask of the words, as a step of the traced program."""
    return torch.ops.fastdrop.drop(x, words, p, scale, features, order, shift, dropped)


def drop_shared(
    x: torch.Tensor,
    words: torch.Tensor,
    p: float,
    shared: SharedShape,
    scale: float,
    shift: float = 0.0,
    dropped: float = 0.0,
) -> torch.Tensor:
    """Return x under decisions that are shared, as steps of the traced program."""
    ones = torch.ones(shared, dtype=torch.float32, device="cpu")
    return drop_kept(x, drop_traced(ones, words, p, False, None, 1.0) > 0, scale, shift, dropped)


def drop_kept(
    x: torch.Tensor, kept: torch.Tensor, scale: float, shift: float = 0.0, dropped: float = 0.0
) -> torch.Tensor:
    """Return x under a tensor of bools, by operations of PyTorch."""
    if x.is_complex():  # a product of complex numbers would make NaN of infinity
        real, imaginary = (torch.where(kept, part * scale, 0.0) for part in (x.real, x.imag))
        return torch.complex(real, imaginary)
    # To add 0 would make +0 of -0.
    return torch.where(kept, x * scale + shift if shift else x * scale, dropped)


def kept_by_pytorch(
    x: torch.Tensor, p: float, shape: Ints, generator: torch.Generator | None
) -> torch.Tensor:
    """Return decisions that PyTorch draws on x's device: bools, True where kept."""
    if is_traced(x) and is_for_onnx(generator):  # whose exporter makes constants of bernoulli's
        return torch.rand(shape, dtype=torch.float32, device=x.device) >= p
    chances = torch.full(shape, 1.0 - p, dtype=torch.float32, device=x.device)
    return torch.bernoulli(chances, generator=generator) > 0.0


def dropping_by_pytorch(
    x: torch.Tensor, p: float, shared: Ints, generator: torch.Generator | None
) -> Callable[..., torch.Tensor]:
    """Return what drops elements of x by decisions that PyTorch draws, as (x, inplace, *numbers).

    So on other devices, and in the transforms of torch.func, which rule what is random.
    """
    kept = kept_by_pytorch(x, p, shared, generator)

    def dropping(x: torch.Tensor, inplace: bool, *numbers: float) -> torch.Tensor:
        y = drop_kept(x, kept, *numbers)
        return x.copy_(y) if inplace else y

    return dropping


# ---- words ---------------------------------------------------------------------------------------


@torch.library.custom_op("fastdrop::seed_words", mutates_args=())
def _seed_words(seed: int) -> torch.Tensor:
    source = Xoshiro256PlusPlus(check_seed(seed))
    return words_of_source(source)


@_seed_words.register_fake
def _(seed: int) -> torch.Tensor:
    if seed < 0:
        raise ValueError(f"seed must be an integer that is not negative, not {seed}")
    return torch.empty(4, dtype=torch.int64, device="cpu")


def check_traced_rng(rng: Settled) -> None:
    """Check what a traced program draws from: a generator, or a seed that it can hold."""
    if rng is None or isinstance(rng, torch.Generator):
        return
    if isinstance(rng, Source):
        raise TypeError(
            "rng must be a seed or a generator of PyTorch in a traced program, not a source of "
            "fastdrop"
        )
    if not isinstance(rng, (int, np.integer, torch.SymInt)):
        check_seed(rng, "rng")
        raise TypeError(f"rng must be an integer in a traced program, not {described(rng)}")
    if rng < 0:
        raise ValueError(f"rng must be an integer that is not negative, not {rng}")
    if rng >= 2**63:
        raise ValueError(f"rng must be below 2**63 in a traced program, not {rng}")


def words_of(rng: Settled) -> torch.Tensor:
    """Return words of a seed or a generator, as steps of the program."""
    check_traced_rng(rng)
    if isinstance(rng, SEEDS):
        words: torch.Tensor = torch.ops.fastdrop.seed_words(rng)
        return words
    assert rng is None or isinstance(rng, torch.Generator)
    return draw_words(rng)
