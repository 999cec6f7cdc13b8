# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of blocks of neighbouring elements."""

from __future__ import annotations

from typing import Any, Never, overload

import numpy as np

from fastdrop._checks import check_positive, check_switch, refuse_axes
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays, settled
from fastdrop.functional._blocks import block_corners, keep_blocks
from fastdrop.functional.booleans import bernoulli
from fastdrop.functional.dropout import dropout
from fastdrop.mask._bits import padded_room
from fastdrop.mask._draw import apply_drawn
from fastdrop.mask._mask import Mask
from fastdrop.mask._probability import Probability
from fastdrop.source.default import as_source

__all__ = ["drop_block2d"]


@overload
def drop_block2d(
    x: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    block_size: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def drop_block2d(
    x: ArrayLike,
    p: ProbabilityLike,
    *,
    block_size: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def drop_block2d(
    x: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    block_size: int = 7,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop square blocks of each map of ``(N, C, H, W)``: DropBlock.

    At every place where a whole block fits, a block begins with probability gamma. Blocks may
    overlap, and each channel has its own blocks. Kept elements are scaled by the number of all
    elements, divided by the number of kept elements.

    Parameters
    ----------
    x : array_like of float
        Of shape (N, C, H, W), or (C, H, W) for one image.
    p : float
        The fraction of elements to drop, in [0, 1], which decides gamma. The true fraction is only
        near p, because blocks overlap and are few. For a large p it is smaller.
    block_size : int, default 7
        Height and width of a block. A block larger than the map is cut down to a square that fits.
        With 1 it is `dropout` with another scale.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`. A source of fastdrop advances by one position for each place where a block
        fits: by ``N * C * (H - block_size + 1) * (W - block_size + 1)``.
    training : bool, default True
        As in `dropout`.
    out : ndarray, optional
        As in `dropout`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. It is packed and has x's shape. Its p is the given one. Its scale is
        ``mask.size`` over the number of kept elements, or 1 if there are none.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout`. Also a ValueError if x has another number of axes, or block_size is less
        than 1.

    References
    ----------
    .. [1] G. Ghiasi, T.-Y. Lin, Q. V. Le, "DropBlock: a regularization method for convolutional
       networks", NeurIPS 2018. gamma is the paper's, for maps that need not be square:
       ``p / block_size**2 * (H * W) / ((H - block_size + 1) * (W - block_size + 1))``.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.drop_block2d(np.ones((1, 5, 8)), p=0.2, block_size=3, rng=5)
    >>> np.asarray(mask)[0].astype(int)
    array([[1, 1, 0, 0, 0, 1, 1, 1],
           [1, 1, 0, 0, 0, 1, 1, 1],
           [1, 1, 0, 0, 0, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1, 1]])
    >>> bool(np.isclose(y.mean(), 1.0))
    True
    """
    if late or words:
        refuse(drop_block2d, late, words)
    array, shape = check_arrays(x, out, None)
    if len(shape) not in (3, 4):
        refuse_axes("drop_block2d", shape, "(N, C, H, W) or (C, H, W)")
    block = check_positive("block_size", block_size)
    probability = Probability(p, None)
    source = as_source(rng)
    if not check_switch("training", training):
        return dropout(array, p, training=False, out=out)
    corners_shape, block, gamma = block_corners(shape, block, probability.p)
    # All memory is taken before anything is drawn.
    read, y = settled(array, out)
    bits, spare_bits = padded_room(array.size), padded_room(array.size)
    kept, spare = np.empty(shape, bool), np.empty(shape, bool)
    corners = np.empty(corners_shape, bool)
    bernoulli(corners.shape, gamma, rng=source, out=corners)
    scale = keep_blocks(corners, block, kept, spare)
    mask = apply_drawn(kept, bits, spare_bits, probability, scale, read, y)
    return y if out is None else out, mask
