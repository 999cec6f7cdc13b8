# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of square blocks of maps."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Never

import numpy as np
import torch

from fastdrop._checks import check_p, check_positive
from fastdrop._words import public, refuse
from fastdrop.functional._blocks import block_corners, keep_blocks
from fastdrop.mask import Mask
from fastdrop.mask._draw import mask_from_array
from fastdrop.mask._probability import Probability
from fastdrop.torch._apply import Ints, apply, logical_strides
from fastdrop.torch._drawing import DrawingInPlace
from fastdrop.torch._mask import RNG, Settled, addressable_source, given_mask
from fastdrop.torch._operator import check_operands, kept_by_pytorch, laid_like, words_of
from fastdrop.torch._relatives import kept_by
from fastdrop.torch._seed import draw_mask
from fastdrop.torch._tensor import TensorMask, mask_from_source, mask_from_words
from fastdrop.torch._ways import drop_by, times, way_of

__all__ = ["DropBlock2d", "drop_block2d"]


@public("fastdrop.torch")
def drop_block2d(
    input: torch.Tensor,
    p: float,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    block_size: int = 7,
    **words: Never,
) -> torch.Tensor:
    """Drop square blocks of each map of ``(N, C, H, W)``: DropBlock.

    At every place where a whole block fits, a block begins with probability gamma. Blocks may
    overlap, and each channel has its own blocks. Kept elements are scaled by the number of all
    elements, divided by the number of kept elements.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, H, W), or (C, H, W) for one image.
    p : float
        The fraction of elements to drop, in [0, 1], which decides gamma.
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position for each place where a block
        fits: by ``N * C * (H - block_size + 1) * (W - block_size + 1)``.
    block_size : int, default 7
        Height and width of a block. A block larger than the map is cut down to a square that fits.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`. Also a ValueError if input has another number of axes, or block_size is
        less than 1.

    See Also
    --------
    fastdrop.drop_block2d : The same for NumPy arrays, and its paper.

    Notes
    -----
    One bit per element is kept for backward.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.drop_block2d(torch.ones(1, 5, 8), p=0.2, block_size=3, rng=5)
    >>> (y[0] > 0).int()
    tensor([[1, 1, 0, 0, 0, 1, 1, 1],
            [1, 1, 0, 0, 0, 1, 1, 1],
            [1, 1, 0, 0, 0, 1, 1, 1],
            [1, 1, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1, 1, 1, 1]], dtype=torch.int32)
    >>> bool(torch.isclose(y.mean(), torch.tensor(1.0)))
    True
    """
    if late or words:
        refuse(drop_block2d, late, words)
    p = check_p(p)
    draw = partial(_draw_blocks, p, check_positive("block_size", block_size))
    arguments = drop_block2d, draw, input, p, training, inplace, rng, _check_maps
    return drop_by(*arguments, block_size=block_size)


def _check_maps(x: torch.Tensor) -> None:
    if x.dim() not in (3, 4):
        raise ValueError(f"input must have shape (N, C, H, W) or (C, H, W), not {tuple(x.shape)}")


def _draw_blocks(p: float, block: int, x: torch.Tensor, rng: Settled) -> TensorMask | torch.Tensor:
    """Return the mask of what blocks leave, or x under it."""
    way = way_of(x, rng)
    if way == "operator":
        return torch.ops.fastdrop.drop_blocks(x, words_of(rng), p, block)
    corners, cut, gamma = block_corners(tuple(x.shape), block, p)
    source = addressable_source(rng)
    if source is not None:
        strides = logical_strides(corners)
        place = mask_from_source(source, math.prod(corners), gamma, strides)
        return given_mask(x, _mask_of_blocks(x.shape, p, corners, cut, place))
    assert rng is None or isinstance(rng, torch.Generator)
    if way == "engine":
        place = draw_mask(gamma, logical_strides(corners), generator=rng)
        return given_mask(x, _mask_of_blocks(x.shape, p, corners, cut, place))
    return _drop_blocks_by_pytorch(x, corners, cut, gamma, rng)


def _mask_of_blocks(
    shape: torch.Size, p: float, corners: Ints, block: int, place: TensorMask
) -> Mask:
    """Return the mask of what blocks leave that begin where a mask drops."""
    begun = kept_by(place, corners)
    np.logical_not(begun, begun)
    kept, spare = np.empty(shape, bool), np.empty(shape, bool)
    scale = keep_blocks(begun, block, kept, spare)
    mask: Mask = mask_from_array(kept, Probability(p, None), scale)
    return mask


def _drop_blocks_by_pytorch(
    x: torch.Tensor, corners: Ints, block: int, gamma: float, generator: torch.Generator | None
) -> torch.Tensor:
    if not x.numel():
        return x.clone()
    begun = kept_by_pytorch(x, 1.0 - gamma, corners, generator).float()
    padded = torch.nn.functional.pad(begun, [block - 1] * 4)
    kept = torch.nn.functional.max_pool2d(padded, block, stride=1) == 0.0
    wide = torch.float64 if x.dtype in (torch.float64, torch.complex128) else torch.float32
    scale = kept.numel() / kept.sum().clamp(min=1).to(wide)
    return torch.where(kept, times(x, scale), 0.0)


def _check(x: torch.Tensor, words: torch.Tensor, p: float, block_size: int) -> None:
    check_operands(x, words, p)
    check_positive("block_size", block_size)
    if x.dim() not in (3, 4):
        raise ValueError(f"x must have shape (N, C, H, W) or (C, H, W), not {x.dim()} axes")


@torch.library.custom_op("fastdrop::drop_blocks", mutates_args=())
def _drop_blocks(x: torch.Tensor, words: torch.Tensor, p: float, block_size: int) -> torch.Tensor:
    """Return x without the blocks of the words, for traced programs."""
    _check(x, words, p, block_size)
    corners, block, gamma = block_corners(tuple(x.shape), block_size, p)
    place = mask_from_words(words.contiguous(), gamma, logical_strides(corners))
    mask = _mask_of_blocks(x.shape, p, corners, block, place)
    return laid_like(x, apply(given_mask(x, mask), x))


@_drop_blocks.register_fake
def _(x: torch.Tensor, words: torch.Tensor, p: float, block_size: int) -> torch.Tensor:
    _check(x, words, p, block_size)
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, *ctx.settings = inputs  # not as saved tensors: see `fastdrop.torch._operator`


def _backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
    return torch.ops.fastdrop.drop_blocks(dy, *ctx.settings), None, None, None


_drop_blocks.register_autograd(_backward, setup_context=_keep)


class DropBlock2d(DrawingInPlace):
    """`fastdrop.torch.drop_block2d` as a module: square blocks of maps.

    Parameters
    ----------
    p : float
        The fraction of dropped elements is near p, which is in [0, 1].
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    block_size : int, default 7
        As in `drop_block2d`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.DropBlock2d(0.1, block_size=3)
    DropBlock2d(p=0.1, inplace=False, block_size=3)
    """

    def __init__(
        self, p: float, inplace: bool = False, *, rng: RNG = None, block_size: int = 7
    ) -> None:
        super().__init__(p, inplace, rng=rng)
        self._share(block_size=check_positive("block_size", block_size))

    _function = staticmethod(drop_block2d)
