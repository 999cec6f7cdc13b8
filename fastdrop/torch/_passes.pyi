# SPDX-License-Identifier: BSD-3-Clause
import torch
from typing_extensions import disjoint_base

from fastdrop.torch._tensor import TensorMask

__test__: dict[str, str]

OPERATIONS: dict[str, int]
BACKWARD: dict[str, int]

def activate(
    mask: TensorMask,
    name: str,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    threads: int,
) -> None: ...
def activate_backward(
    mask: TensorMask,
    name: str,
    dy: torch.Tensor,
    x: torch.Tensor,
    bias: torch.Tensor | None,
    dx: torch.Tensor,
    threads: int,
) -> None: ...

@disjoint_base
class Norm:
    def __init__(
        self,
        mask: TensorMask | None,
        x: torch.Tensor | None,
        residual: torch.Tensor,
        weight: torch.Tensor | None,
        linear_bias: torch.Tensor | None,
        centered: bool,
        eps: float,
        threads: int,
        inner: int = 0,
    ) -> None: ...
    def forward(
        self, bias: torch.Tensor | None, y: torch.Tensor, total: torch.Tensor | None
    ) -> None: ...
    def backward(
        self,
        dy: torch.Tensor,
        dtotal: torch.Tensor | None,
        dx: torch.Tensor | None,
        dresidual: torch.Tensor | None,
        dweight: torch.Tensor | None,
        dbias: torch.Tensor | None,
        dlinear_bias: torch.Tensor | None,
    ) -> None: ...
