# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from typing import Any

import torch

from fastdrop.torch._tensor import TensorMask

__test__: dict[str, str]

def keeps_out(keys: int, block: tuple[int, int]) -> bool: ...
def use_gemm(single: int, double: int) -> bool: ...
def use_bfloat16_gemm(address: int) -> bool: ...
def by_rows(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor: ...
def new_by_rows(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor: ...
def attend(
    mask: TensorMask,
    causal: bool,
    scale: float,
    shape: tuple[Any, ...],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    statistics: torch.Tensor,
    first: int,
    threads: int,
    block: tuple[int, int],
    out: torch.Tensor | None,
    gradients: Sequence[torch.Tensor] = (),
) -> None: ...
