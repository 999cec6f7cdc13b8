# SPDX-License-Identifier: BSD-3-Clause
"""Counts what a mask keeps, in pieces that stay in a cache."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastdrop.mask._mask import Mask

__all__ = ["count_kept"]

PIECE = 1 << 20  # decisions that are drawn at once


def count_kept(mask: "Mask") -> int:
    """Return how many elements a mask keeps."""
    if mask.bits is not None or mask.size <= PIECE:
        bits: Any = mask.packed().bits
        return int(np.bitwise_count(bits).sum(dtype=np.int64))
    rows = mask.shape[0]
    step = max(1, PIECE // (mask.size // rows))
    if rows == 1:
        return count_kept(mask[0])
    return sum(count_kept(mask[first : first + step]) for first in range(0, rows, step))
