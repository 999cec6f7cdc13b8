# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence

import numpy as np

from fastdrop._typing import NDArray, ScalarT

__test__: dict[str, str]

SOURCES: dict[str, int]
DTYPES: dict[str, int]
OPERATIONS: dict[str, int]
MEANINGS: dict[str, int]

def fill(
    source: str, key: Sequence[int], counter: Sequence[int], step: int, steps: int
) -> NDArray[np.uint8]: ...
def decide(
    source: str,
    key: Sequence[int],
    counter: Sequence[int],
    position: int,
    lengths: Sequence[int],
    value: int,
    ties_key: Sequence[int],
) -> list[NDArray[np.uint8]]: ...
def threshold(
    stream: bytes, n: int, value: int, key: Sequence[int], counter: Sequence[int], position: int
) -> NDArray[np.uint8]: ...
def probabilities(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]: ...
def heads(values: NDArray[np.float64], meaning: str) -> NDArray[np.uint8]: ...
def compare(stream: bytes, heads: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
def digits(
    key: Sequence[int], counter: Sequence[int], position: int, index: NDArray[np.uint16]
) -> NDArray[np.uint64]: ...
def factors(
    values: NDArray[np.float64], meaning: str, dtype: str
) -> NDArray[np.float32] | NDArray[np.float64]: ...
def apply(
    operation: str,
    kept: NDArray[np.uint8],
    x: NDArray[ScalarT],
    scale: float,
    out: NDArray[ScalarT],
    shift: float = 0.0,
    dropped: float = 0.0,
    other: NDArray[ScalarT] | None = None,
    bias: NDArray[ScalarT] | None = None,
    factors: NDArray[np.float32] | NDArray[np.float64] | None = None,
    past_caches: bool = False,
) -> None: ...
def normal(stream: bytes, n: int, deviation: float) -> NDArray[np.float32]: ...
def multiply_normal(
    stream: bytes, deviation: float, x: NDArray[ScalarT], out: NDArray[ScalarT]
) -> None: ...
def multiply(factors: NDArray[np.float32], x: NDArray[ScalarT], out: NDArray[ScalarT]) -> None: ...
def unpack(bits: NDArray[np.uint8], n: int) -> NDArray[np.uint8]: ...
def softmax(
    scores: NDArray[ScalarT], kept: NDArray[np.uint8], at: int, before: float = ...
) -> tuple[float, float]: ...
def softmax_weights(
    scores: NDArray[ScalarT],
    gradients: NDArray[ScalarT],
    kept: NDArray[np.uint8],
    at: int,
    largest: float,
    inverse: float,
    factor: float,
) -> float: ...
def softmax_backward(
    weights: NDArray[ScalarT],
    gradients: NDArray[ScalarT],
    kept: NDArray[np.uint8],
    at: int,
    factor: float,
    scale: float,
    delta: float,
) -> None: ...
def run_tasks(tasks: int, workers: int) -> tuple[NDArray[np.uintp], bool]: ...
