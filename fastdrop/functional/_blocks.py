# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of maps: where they may begin, and what they leave."""

import numpy as np

from fastdrop._typing import BoolArray, Shape

__all__ = ["block_corners", "keep_blocks"]


def block_corners(shape: Shape, block: int, p: float) -> tuple[Shape, int, float]:
    """Return the shape of the places where a block may begin, its size, and gamma.

    A block larger than the maps is cut down. Each place begins one with the probability gamma.
    """
    *maps, height, width = shape
    block = max(1, min(block, height, width))
    rows, columns = height - block + 1, width - block + 1
    gamma = p * (height * width / max(1, block * block * rows * columns))
    return (*maps, rows, columns), block, gamma


def keep_blocks(corners: BoolArray, block: int, kept: BoolArray, spare: BoolArray) -> float:
    """Write to ``kept`` what blocks that begin at ``corners`` leave; return its scale.

    ``spare`` is room of kept's shape; both are in C order.
    """
    np.logical_not(_dilated(corners, block, kept, spare), kept)
    count = int(np.count_nonzero(kept))  # newer NumPy gives a scalar of its own
    return kept.size / count if count else 1.0


def _dilated(corners: BoolArray, block: int, dropped: BoolArray, spare: BoolArray) -> BoolArray:
    """Write to ``dropped`` the elements of all blocks that begin at ``corners``; return it."""
    dropped[...] = False
    dropped[..., : corners.shape[-2], : corners.shape[-1]] = corners
    # A block ends before its row and its map do: so shifts may go through the flat array.
    flat, before = dropped.reshape(-1), spare.reshape(-1)
    for stride in (1, dropped.shape[-1]):
        reached = 1
        while reached < block:
            step = min(reached, block - reached)
            before[:] = flat
            flat[step * stride :] |= before[: -step * stride]
            reached += step
    return dropped
