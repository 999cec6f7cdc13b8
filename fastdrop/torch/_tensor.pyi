# SPDX-License-Identifier: BSD-3-Clause
from typing import Any, Final, Never

import torch
from typing_extensions import disjoint_base

from fastdrop.apply._broadcast import Broadcast
from fastdrop.mask._mask import Mask
from fastdrop.source import Source

__pyx_capi__: dict[str, Any]
__test__: dict[str, str]

TILE: int

def lend_threads(parallel_for: int) -> None: ...
def laid_over(
    shape: tuple[int, ...], order: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, ...], Broadcast]: ...

@disjoint_base
class TensorMask:
    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    strides: Final[tuple[int, ...]]
    scale: Final[float]
    shift: Final[float]
    dropped: Final[float]
    @property
    def derivative(self) -> TensorMask: ...
    def with_scale(self, scale: float, shift: float = 0.0, dropped: float = 0.0) -> TensorMask: ...
    def from_decision(self, first: int) -> TensorMask: ...
    def repeated(self, count: int) -> TensorMask: ...
    def apply(self, x: torch.Tensor, y: torch.Tensor, threads: int) -> None: ...
    def add(
        self,
        x: torch.Tensor,
        residual: torch.Tensor,
        bias: torch.Tensor | None,
        y: torch.Tensor,
        threads: int,
    ) -> None: ...
    def relu(
        self, x: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor, threads: int
    ) -> TensorMask: ...
    def write_kept(self, out: torch.Tensor, threads: int) -> None: ...

def mask_from_words(
    words: torch.Tensor,
    p: float,
    strides: tuple[int, ...],
    keeps: bool = False,
) -> TensorMask: ...
def mask_from_source(
    source: Source,
    decisions: int,
    p: float,
    strides: tuple[int, ...],
) -> TensorMask: ...
def mask_of_arrays(
    given: Mask,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> TensorMask: ...
