# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

from fastdrop._typing import ArrayLike, NDArray, NoiseShapeLike
from fastdrop.mask._mask import Mask
from fastdrop.mask._probability import Probability
from fastdrop.source import NumPySource, Source

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

def affine(
    x: ArrayLike,
    out: NDArray[Any] | None,
    probability: Probability,
    source: Source | NumPySource | None,
    noise_shape: NoiseShapeLike | None,
    scale: float,
    shift: float,
    dropped: float,
) -> tuple[NDArray[Any], Mask]: ...
def add(
    x: ArrayLike,
    residual: ArrayLike,
    bias: ArrayLike | None,
    out: NDArray[Any] | None,
    probability: Probability,
    source: Source | NumPySource | None,
    noise_shape: NoiseShapeLike | None,
) -> tuple[NDArray[Any], Mask]: ...
def zoneout(
    new: ArrayLike,
    old: ArrayLike,
    out: NDArray[Any] | None,
    probability: Probability,
    source: Source | NumPySource | None,
    noise_shape: NoiseShapeLike | None,
) -> tuple[NDArray[Any], Mask]: ...
def relu(
    x: ArrayLike,
    bias: ArrayLike | None,
    out: NDArray[Any] | None,
    probability: Probability,
    source: Source | NumPySource | None,
) -> tuple[NDArray[Any], Mask]: ...
def zoneout_gradients(dy: NDArray[Any], mask: Mask) -> tuple[NDArray[Any], NDArray[Any]]: ...
