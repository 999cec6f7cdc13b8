# SPDX-License-Identifier: BSD-3-Clause
from typing import Any, TypeAlias

from fastdrop.torch._tensor import TensorMask

_Place: TypeAlias = tuple[int, tuple[int, ...]]

__test__: dict[str, str]

def get_blocks() -> tuple[int, int]: ...
def set_blocks(rows: int, columns: int) -> None: ...
def use_gemm(single: int, double: int) -> bool: ...
def attend(
    mask: TensorMask,
    sizes: tuple[Any, ...],
    query: _Place,
    key: _Place,
    value: _Place,
    out: _Place,
    bias: _Place | None,
    statistics: tuple[int, int],
    threads: int,
    gradients: tuple[_Place, ...] | None = None,
) -> None: ...
