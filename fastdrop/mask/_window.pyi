# SPDX-License-Identifier: BSD-3-Clause
from types import EllipsisType
from typing import SupportsIndex, TypeAlias

from fastdrop._typing import Shape

_Entry: TypeAlias = SupportsIndex | slice | EllipsisType

__test__: dict[str, str]

def contiguous_strides(shape: Shape) -> Shape: ...
def is_contiguous(shape: Shape, strides: Shape) -> bool: ...
def window_of(
    shape: Shape, strides: Shape, entries: tuple[SupportsIndex | slice, ...]
) -> tuple[int, Shape, Shape]: ...
def ascending(shape: Shape, strides: Shape) -> tuple[int, Shape, Shape, int, Shape]: ...
