# SPDX-License-Identifier: BSD-3-Clause
"""Dropout functions with the signatures of PyTorch's, and with a seed.

What their arguments mean is written once, at `dropout`; the others say where they differ. One
function, `_drop_any`, does the work of all.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Never, TypeAlias

import torch
from torch.overrides import (
    handle_torch_function,
    has_torch_function_unary,
)

from fastdrop._checks import check_p, check_switch
from fastdrop._typing import AxesLike, NoiseShapeLike, SeedLike
from fastdrop._words import public, refuse
from fastdrop.functional._probability import HALF
from fastdrop.functional._scales import alpha_numbers
from fastdrop.functional._sharing import feature_shape
from fastdrop.source import Source
from fastdrop.torch._apply import (
    CLASSES,
    Ints,
    as_tensor,
    check_floats,
    check_tensor,
    is_readable,
)
from fastdrop.torch._autograd import check_in_place
from fastdrop.torch._given import Given, drop_given, drop_under
from fastdrop.torch._mask import (
    RNG,
    Settled,
    SharedShape,
    addressable_source,
    decided_shape,
    draw_element_mask,
    draw_shared_mask,
    drops,
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

__all__ = [
    "alpha_dropout",
    "drop_as_operator",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]

Seed: TypeAlias = SeedLike | None
# (x, inplace, scale, shift, dropped) -> y
Dropping: TypeAlias = Callable[..., torch.Tensor]

NO_OPTIONS: Mapping[str, Any] = {}

_transforming = torch._C._are_functorch_transforms_active


@public("fastdrop.torch")
def dropout(
    input: torch.Tensor,
    p: float = HALF,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    broadcast_dims: AxesLike | None = None,
    noise_shape: NoiseShapeLike | None = None,
    mask: Given | None = None,
    **words: Never,
) -> torch.Tensor:
    """Drop elements of ``input`` at random with probability ``p``, and scale the others.

    As ``torch.nn.functional.dropout``, faster on CPUs, and with a seed. Backward keeps the seed
    of the mask and no tensor.

    Parameters
    ----------
    input : torch.Tensor
        Of float16, bfloat16, float32, float64, complex64 or complex128; any shape and layout,
        which the result preserves.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    training : bool, default True
        False returns input itself.
    inplace : bool, default False
        Write to input.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        Where the mask comes from. None: PyTorch's default generator, so ``torch.manual_seed``
        rules it. A seed: the same mask for every call, on any machine and number of threads, and
        the mask of ``fastdrop.dropout(x, p, rng=seed)`` on NumPy arrays. A source of fastdrop
        advances by one position an element.
    seed : int, sequence of int or SeedSequence, optional
        The old name of ``rng``; warns.
    broadcast_dims : int or sequence of int, optional
        The dimensions along which one decision is shared.
    noise_shape : sequence of int or None, optional
        Instead of broadcast_dims: the shape of the decisions, which broadcasts to input's. None
        entries take input's length.
    mask : Mask or torch.Tensor or ndarray of bool, optional
        A mask to apply instead of drawing one; its shape broadcasts to input's. A
        `fastdrop.Mask`, or a window of one, brings its own p and scale. Bools, True where kept,
        need p.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout: ``input / (1 - p)`` where kept, 0 where dropped.

    Raises
    ------
    TypeError
        If ``seed`` is given beside ``rng``, broadcast_dims beside noise_shape, p, rng,
        broadcast_dims or noise_shape beside a Mask, bools without p, or an argument is of another
        type.
    ValueError
        If p is outside [0, 1] or NaN, or a shape or dimension does not fit.

    See Also
    --------
    fastdrop.dropout : The same for NumPy arrays; it and its relatives name their papers.

    Notes
    -----
    At p = 0 input itself is returned and nothing is drawn, as by PyTorch; but a source of fastdrop
    advances, as it does for arrays.

    With a seed or a source the mask follows the order of input's indices, whatever its layout. With
    a generator of PyTorch it follows the order of input's memory, which is faster for layouts such
    as channels-last.

    Tensors of other devices are PyTorch's business: they go to ``torch.nn.functional.dropout``,
    without a seed or rng. Traced programs take masks that are tensors of bool.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.ones(2, 4)
    >>> fastdrop.torch.dropout(x, p=0.5, rng=1)
    tensor([[0., 2., 0., 2.],
            [0., 2., 0., 0.]])

    The second row of that, by a window of its mask:

    >>> import fastdrop as fd
    >>> mask = fd.dropout_mask((2, 4), p=0.5, rng=1)
    >>> fastdrop.torch.dropout(x[1:], mask=mask[1:])
    tensor([[0., 2., 0., 0.]])
    """
    if late or words:
        refuse(dropout, late, words)
    if broadcast_dims is None and noise_shape is None and mask is None:
        return _drop_any(dropout, input, p, training, inplace, rng, seed)
    options = {"broadcast_dims": broadcast_dims, "noise_shape": noise_shape}
    if mask is not None:
        return drop_given(dropout, input, p, training, inplace, rng, seed, mask, options)
    return _drop_any(dropout, input, p, training, inplace, rng, seed, options=options)


@public("fastdrop.torch")
def dropout1d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels of ``(N, C, L)`` or ``(C, L)``, with one decision for each.

    Arguments, result and errors are those of `dropout`, but that a source advances by one
    position a channel.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, L) or (C, L).
    p : float, default 0.5
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`; a source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    RuntimeError
        If input has another number of axes, as PyTorch's function.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.dropout1d(torch.ones(1, 3, 2), p=0.5, rng=1)
    tensor([[[0., 0.],
             [2., 2.],
             [0., 0.]]])
    """
    if late or words:
        refuse(dropout1d, late, words)
    return _drop_any(dropout1d, input, p, training, inplace, rng, seed, features=True)


@public("fastdrop.torch")
def dropout2d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels of ``(N, C, H, W)``, with one decision for each.

    Arguments, result and errors are those of `dropout`, but that a source advances by one
    position a channel. Axes of input beyond the first two are those of a channel; a number of axes
    other than 4 is warned of, as by PyTorch.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, H, W). Three axes are (N, C, L), with a warning, as for PyTorch's function;
        for `fastdrop.dropout2d` of NumPy arrays they are (C, H, W), one image.
    p : float, default 0.5
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`; a source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.dropout2d(torch.ones(8, 16, 5, 5), p=0.5, rng=1)
    >>> sorted(set(y.sum((2, 3)).flatten().tolist()))
    [0.0, 50.0]
    """
    if late or words:
        refuse(dropout2d, late, words)
    return _drop_any(dropout2d, input, p, training, inplace, rng, seed, features=True)


@public("fastdrop.torch")
def dropout3d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``, with one decision for each.

    Arguments, result and errors are those of `dropout`, but that a source advances by one
    position a channel. Another number of axes is warned of, as by PyTorch.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, D, H, W) or (C, D, H, W).
    p : float, default 0.5
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`; a source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.dropout3d(torch.ones(8, 16, 2, 5, 5), p=0.5, rng=1)
    >>> sorted(set(y.sum((2, 3, 4)).flatten().tolist()))
    [0.0, 100.0]
    """
    if late or words:
        refuse(dropout3d, late, words)
    return _drop_any(dropout3d, input, p, training, inplace, rng, seed, features=True)


@public("fastdrop.torch")
def alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    broadcast_dims: AxesLike | None = None,
    **words: Never,
) -> torch.Tensor:
    """Drop elements to SELU's negative limit, so that mean and variance stay as they are.

    Arguments, result and errors are those of `dropout`, but for the default of ``training``,
    which is PyTorch's, and for the values: ``a * input + b`` where kept, and where dropped what
    SELU's limit at minus infinity becomes by the same map [1]_.

    Parameters
    ----------
    input : torch.Tensor
        Of float16, bfloat16, float32 or float64; any shape and layout, which the result
        preserves.
    p : float, default 0.5
        As of `dropout`.
    training : bool, default False
        As of `dropout`; the default is PyTorch's.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.
    broadcast_dims : int or sequence of int, optional
        As of `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural
       networks", NeurIPS 2017, section "New dropout technique".

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.alpha_dropout(torch.randn(100000), p=0.2, training=True, rng=1)
    >>> bool(y.std() > 0.98) and bool(y.std() < 1.02)
    True
    """
    if late or words:
        refuse(alpha_dropout, late, words)
    options = {} if broadcast_dims is None else {"broadcast_dims": broadcast_dims}
    return _drop_any(
        alpha_dropout, input, p, training, inplace, rng, seed, alpha=True, options=options
    )


@public("fastdrop.torch")
def feature_alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels to SELU's negative limit, with one decision for each.

    Arguments, result and errors are those of `alpha_dropout`, but that a source advances by one
    position a channel. input has at least two axes, batch and channel.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, ...).
    p : float, default 0.5
        As of `alpha_dropout`.
    training : bool, default False
        As of `alpha_dropout`.
    inplace : bool, default False
        As of `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `alpha_dropout`; a source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `alpha_dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.feature_alpha_dropout(torch.zeros(4, 8, 3), p=0.5, training=True, rng=1)
    >>> len(y.unique())
    2
    """
    if late or words:
        refuse(feature_alpha_dropout, late, words)
    return _drop_any(
        feature_alpha_dropout, input, p, training, inplace, rng, seed, features=True, alpha=True
    )


# ---- axes ----------------------------------------------------------------------------------------


def _lacks_batch(function: Callable[..., torch.Tensor], x: torch.Tensor) -> bool:
    """Return whether x is one sample for a function of channels; warn of other numbers of axes."""
    if function is dropout1d:
        if x.dim() not in (2, 3):
            raise RuntimeError(
                f"dropout1d: Expected 2D or 3D input, but received a {x.dim()}D input; allowed "
                "are (N, C, L) and (C, L)"
            )
        return bool(x.dim() == 2)
    if function is dropout2d:
        if x.dim() not in (3, 4):
            _warn_of_axes("dropout2d", x, "(N, C, H, W)")
        if x.dim() == 3:
            warnings.warn(
                "dropout2d: Received a 3-D input, (N, C, L), assuming that channel-wise 1D "
                "dropout behavior is desired; dropout1d says so",
                stacklevel=4,
            )
        return False
    if function is dropout3d:
        if x.dim() not in (4, 5):
            _warn_of_axes("dropout3d", x, "(N, C, D, H, W) and (C, D, H, W)")
        return bool(x.dim() == 4)
    return False


def _warn_of_axes(name: str, x: torch.Tensor, allowed: str) -> None:
    warnings.warn(
        f"{name}: Received a {x.dim()}-D input to {name}; allowed are {allowed}", stacklevel=5
    )


# ---- all of them ---------------------------------------------------------------------------------


def _drop_any(
    function: Callable[..., torch.Tensor],
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    rng: RNG,
    seed: Seed,
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
        raise TypeError(f"input has dtype {x.dtype}; must be of real floats")
    unbatched = features and _lacks_batch(function, x)
    shared = decided_shape(tuple(as_tensor(x).shape), **options) if options else None
    p = check_p(p)
    training, inplace = check_switch("training", training), check_switch("inplace", inplace)
    if not drops(p, training, rng):
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
    dropping = _dropping(y, p, rng, shared, features)
    if dropping is None:
        y = _stock(features, alpha, inplace)(y, p, True)
    else:
        y = _drop_by(dropping, y, p, inplace, alpha)
    if inplace:
        return x
    return y.squeeze(0) if unbatched else y


def _features_of(x: torch.Tensor) -> Ints:
    if x.dim() < 2:
        raise ValueError(f"input has {x.dim()} axes; allowed are at least two, batch and channel")
    return feature_shape(x.shape)


def _drop_by(
    dropping: Dropping, x: torch.Tensor, p: float, inplace: bool, alpha: bool
) -> torch.Tensor:
    """Drop elements of x by a mask that was drawn."""
    if p == 1.0:  # nothing is kept
        return dropping(x, inplace, 1.0)
    return dropping(x, inplace, *(alpha_numbers(p) if alpha else (1.0 / (1.0 - p),)))


def drop_as_operator(
    x: torch.Tensor, p: float, inplace: bool, features: bool, alpha: bool
) -> torch.Tensor:
    """Drop elements or features of x by the operator that dispatch modes see."""
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
    if is_traced(x) and has_operator(x):
        if is_for_onnx(rng):
            return None if shared is None else dropping_by_pytorch(x, p, shared, None)
        return _dropping_traced(x, p, rng, shared, features)
    readable = is_readable(x)
    if not readable:
        check_floats("input", x)
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
            f"input is a {x.dtype} tensor of layout {x.layout} on {x.device}; with rng, "
            "broadcast_dims or noise_shape, allowed are strided tensors of floats on the CPU, and "
            "in torch.func a seed or a source"
        )

    def dropping(x: torch.Tensor, inplace: bool, *numbers: float) -> torch.Tensor:
        return drop_under(x, mask.with_scale(*numbers), inplace)

    return dropping


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
