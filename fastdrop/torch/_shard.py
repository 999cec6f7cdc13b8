# SPDX-License-Identifier: BSD-3-Clause
"""The part of a tensor that one process holds, of a mask that is drawn for the whole."""

from typing import Any, TypeAlias

from fastdrop._checks import check_shape, check_window, shown
from fastdrop._typing import ShapeLike
from fastdrop.functional.dropout import dropout_mask
from fastdrop.mask import Mask
from fastdrop.mask._window import contiguous_strides, window_of
from fastdrop.source import Source
from fastdrop.torch._apply import Ints

__all__ = ["Shard", "ShardLike", "window_of_mask"]

# (window, global_shape)
ShardLike: TypeAlias = tuple[Any, ShapeLike]


class Shard:
    """A window of a whole shape."""

    def __init__(self, given: Any) -> None:
        if not isinstance(given, tuple) or len(given) != 2:
            raise TypeError(f"shard must be a tuple (window, global_shape), not {shown(given)}")
        self.window = given[0]
        self.whole: Ints = check_shape(given[1], "global_shape")
        self.entries = check_window(self.window, self.whole)
        strides = contiguous_strides(self.whole)
        self.shape: Ints = window_of(self.whole, strides, self.entries)[1]

    def __repr__(self) -> str:
        return f"({self.window!r}, {self.whole})"

    def check(self, shape: Ints) -> None:
        """Check that a tensor has the shape of the window."""
        if shape != self.shape:
            raise ValueError(
                f"input must have shape {self.shape}, that of the shard {self!r}, not {shape}"
            )

    def draw(self, p: float, source: Source, decided: Ints) -> Mask:
        """Draw a mask of the whole, of the decisions of that shape, and return the window."""
        return window_of_mask(dropout_mask(decided, p, rng=source), self.entries, self.whole)


def window_of_mask(mask: Mask, entries: tuple[Any, ...], whole: Ints) -> Mask:
    """Return what a mask that broadcasts to a whole shape says of a window of that."""
    missing = len(whole) - mask.ndim
    part: Mask = mask[
        tuple(
            entry if length == full else slice(None) if isinstance(entry, slice) else 0
            for entry, length, full in zip(
                entries[missing:], mask.shape, whole[missing:], strict=True
            )
        )
    ]
    return part
