# SPDX-License-Identifier: BSD-3-Clause
"""The shape of a mask whose decisions are shared along some axes."""

from fastdrop._checks import check_axes
from fastdrop._typing import AxesLike, Shape

__all__ = ["shared_shape"]


def shared_shape(shape: Shape, broadcast_axes: AxesLike) -> Shape:
    """Return ``shape`` with length 1 for each of ``broadcast_axes``."""
    axes = check_axes("broadcast_axes", broadcast_axes, shape)
    return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
