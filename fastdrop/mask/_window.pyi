# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, SupportsIndex, TypeAlias

from fastdrop._typing import Shape

_Entry: TypeAlias = SupportsIndex | slice | EllipsisType

__test__: dict[str, str]

def contiguous_strides(shape: Shape) -> Shape: ...
def is_contiguous(shape: Shape, strides: Shape) -> bool: ...
def window_entries(
    window: _Entry | tuple[_Entry, ...], shape: Shape
) -> tuple[SupportsIndex | slice, ...]: ...
def window_of(
    shape: Shape, strides: Shape, entries: Sequence[SupportsIndex | slice]
) -> tuple[int, Shape, Shape]: ...
def check_strides(strides: Any, shape: Shape, position: int) -> Shape | None: ...
