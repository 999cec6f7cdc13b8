# SPDX-License-Identifier: BSD-3-Clause
"""Dropout whose mask holds normal numbers instead of zeros and ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Never

import torch

from fastdrop._checks import check_gaussian_p
from fastdrop._typing import AxesLike
from fastdrop._words import public, refuse
from fastdrop.torch._apply import (
    Ints,
    apply,
    dense_strides,
    logical_strides,
)
from fastdrop.torch._drawing import DrawingInPlace
from fastdrop.torch._mask import RNG, Settled, addressable_source, decided_shape
from fastdrop.torch._operator import (
    check_operands,
    laid_like,
    memory_order,
    strides_in_order,
    words_of,
)
from fastdrop.torch._relatives import normal_mask
from fastdrop.torch._seed import draw_mask
from fastdrop.torch._tensor import TensorMask, mask_from_source, mask_from_words
from fastdrop.torch._ways import drop_by, times, way_of

__all__ = ["GaussianDropout", "gaussian_dropout"]

BYTES = 4  # of the stream that one factor takes


@public("fastdrop.torch")
def gaussian_dropout(
    input: torch.Tensor,
    p: float,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    broadcast_dims: AxesLike | None = None,
    **words: Never,
) -> torch.Tensor:
    """Multiply each element by a normal number of mean 1 and variance p / (1 - p).

    The factors of `dropout`, 0 and 1 / (1 - p), have the same mean and variance.

    Parameters
    ----------
    input : torch.Tensor
        As in `dropout`.
    p : float
        In [0, 1). The larger it is, the more noise there is.
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by four positions per element.
    broadcast_dims : int or sequence of int, optional
        The dimensions along which elements share a number.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`. Also a ValueError if p is 1.

    See Also
    --------
    fastdrop.gaussian_dropout : The same for NumPy arrays, and its paper.

    Notes
    -----
    For backward, the place of the factors in the stream is kept, and no tensor. With
    broadcast_dims, the factors are kept.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.gaussian_dropout(torch.ones(100000), p=0.2, rng=1)
    >>> print(f"mean {y.mean():.2f}, variance {y.var():.2f}")
    mean 1.00, variance 0.25
    """
    if late or words:
        refuse(gaussian_dropout, late, words)
    p = check_gaussian_p(p)
    if broadcast_dims is None:
        draw = partial(_draw, p)
        return drop_by(gaussian_dropout, draw, input, p, training, inplace, rng)

    def decided(x: torch.Tensor) -> Ints:
        return decided_shape(tuple(x.shape), broadcast_dims)

    def draw_shared(x: torch.Tensor, rng: Settled) -> torch.Tensor:
        ones = torch.ones(decided(x), dtype=torch.float32, device=x.device)
        return times(x, gaussian_dropout(ones, p, rng=rng))

    arguments = gaussian_dropout, draw_shared, input, p, training, inplace, rng, decided
    return drop_by(*arguments, broadcast_dims=broadcast_dims)


def _draw(p: float, x: torch.Tensor, rng: Settled) -> TensorMask | torch.Tensor:
    """Return the mask of a factor for each element, or x times these."""
    way = way_of(x, rng)
    in_memory = rng is None or isinstance(rng, torch.Generator)
    if way == "operator":
        order = memory_order(x) if in_memory else None
        return torch.ops.fastdrop.multiply_normal(x, words_of(rng), p, order)
    source = addressable_source(rng)
    if source is not None:
        place = mask_from_source(source, BYTES * x.numel(), 0.0, logical_strides(x.shape))
        return normal_mask(place, deviation_of(p))
    assert in_memory
    if way == "engine":
        return normal_mask(draw_mask(0.0, dense_strides(x), generator=rng), deviation_of(p))
    options = {} if rng is None else {"generator": rng}  # ONNX knows no such argument
    normal = torch.randn(x.shape, dtype=torch.float32, device=x.device, **options)
    return times(x, 1.0 + deviation_of(p) * normal)


def deviation_of(p: float) -> float:
    """Return the standard deviation of the factors."""
    return math.sqrt(p / (1.0 - p))


# ---- in traced programs --------------------------------------------------------------------------


def _check(x: torch.Tensor, words: torch.Tensor, p: float, order: Sequence[int] | None) -> None:
    check_operands(x, words, p, order)
    check_gaussian_p(p)


@torch.library.custom_op("fastdrop::multiply_normal", mutates_args=())
def _multiply_normal(
    x: torch.Tensor, words: torch.Tensor, p: float, order: Sequence[int] | None = None
) -> torch.Tensor:
    """Return x times normal numbers of the words, which follow the axes of x in an order."""
    _check(x, words, p, order)
    place = mask_from_words(words.contiguous(), 0.0, strides_in_order(x.shape, order))
    return laid_like(x, apply(normal_mask(place, deviation_of(p)), x))


@_multiply_normal.register_fake
def _(
    x: torch.Tensor, words: torch.Tensor, p: float, order: Sequence[int] | None = None
) -> torch.Tensor:
    _check(x, words, p, order)
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, *ctx.settings = inputs  # not as saved tensors: see `fastdrop.torch._operator`


def _backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
    return torch.ops.fastdrop.multiply_normal(dy, *ctx.settings), None, None, None


_multiply_normal.register_autograd(_backward, setup_context=_keep)


# ---- the module ----------------------------------------------------------------------------------


class GaussianDropout(DrawingInPlace):
    """`fastdrop.torch.gaussian_dropout` as a module.

    Parameters
    ----------
    p : float
        In [0, 1). The larger it is, the more noise there is.
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `gaussian_dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.GaussianDropout(p=0.2)
    >>> layer
    GaussianDropout(p=0.2, inplace=False)
    >>> layer.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(
        self,
        p: float,
        inplace: bool = False,
        *,
        rng: RNG = None,
        broadcast_dims: AxesLike | None = None,
    ) -> None:
        super().__init__(check_gaussian_p(p), inplace, rng=rng)
        self._share(broadcast_dims=broadcast_dims)

    _function = staticmethod(gaussian_dropout)
