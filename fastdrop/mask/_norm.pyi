# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

from fastdrop._typing import ArrayLike, NDArray
from fastdrop.mask._mask import Mask
from fastdrop.mask._probability import Probability
from fastdrop.source import NumPySource, Source

__test__: dict[str, str]

def norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    linear_bias: ArrayLike | None,
    out: NDArray[Any] | None,
    probability: Probability | None,
    source: Source | NumPySource | None,
    mask: Mask | None,
    centered: bool,
    eps: float,
    prenorm: bool,
) -> tuple[NDArray[Any], NDArray[Any] | None, Mask]: ...
def norm_gradients(
    dy: ArrayLike,
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    linear_bias: ArrayLike | None,
    dsum: ArrayLike | None,
    mask: Mask,
    centered: bool,
    eps: float,
) -> tuple[
    NDArray[Any],
    NDArray[Any],
    NDArray[Any] | None,
    NDArray[Any],
    NDArray[Any] | None,
]: ...
