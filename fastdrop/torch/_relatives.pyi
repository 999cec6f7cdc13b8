# SPDX-License-Identifier: BSD-3-Clause
import torch
from typing_extensions import disjoint_base

from fastdrop._typing import BoolArray
from fastdrop.torch._tensor import TensorMask

__test__: dict[str, str]

@disjoint_base
class NormalMask(TensorMask): ...

def normal_mask(place: TensorMask, deviation: float) -> NormalMask: ...
def select(
    mask: TensorMask, x: torch.Tensor, other: torch.Tensor, y: torch.Tensor, threads: int
) -> None: ...
def kept_by(place: TensorMask, shape: tuple[int, ...]) -> BoolArray: ...
