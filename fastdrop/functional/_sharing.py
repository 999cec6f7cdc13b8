# SPDX-License-Identifier: BSD-3-Clause
"""The shape of a mask whose decisions are shared along some axes."""

from collections.abc import Sequence
from typing import Any

from fastdrop._checks import as_array, check_axes
from fastdrop._typing import ArrayLike, AxesLike, NDArray, Shape

__all__ = ["feature_shape", "shared", "shared_shape"]


def feature_shape(shape: Sequence[int]) -> Shape:
    """Return the shape of decisions that are one for each of the first two axes."""
    return (*shape[:2], *(1,) * (len(shape) - 2))


def shared_shape(
    shape: Shape, broadcast_axes: AxesLike, name: str = "broadcast_axes", of: str = "x"
) -> Shape:
    """Return ``shape`` with length 1 for each of ``broadcast_axes``; errors call them by a name."""
    axes = check_axes(name, broadcast_axes, shape, f"{of}'s shape")
    return tuple(1 if axis in axes else length for axis, length in enumerate(shape))


def shared(name: str, x: ArrayLike, broadcast_axes: AxesLike) -> tuple[NDArray[Any], Shape]:
    """Return x as an array, and the shape of its mask, of one decision along each of the axes."""
    x = as_array(name, x)
    return x, shared_shape(x.shape, broadcast_axes)
