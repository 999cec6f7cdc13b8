# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastdrop._typing import (
    ArrayLike,
    BoolArray,
    NDArray,
    NoiseShapeLike,
    ProbabilityLike,
    RNGLike,
    Shape,
)
from fastdrop.mask._mask import Mask
from fastdrop.mask._probability import Probability
from fastdrop.source import NumPySource, Source

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

def kept_mask(shape: Shape, scale: float | NDArray[np.float64]) -> Mask: ...
def unscaled(mask: Mask) -> Mask: ...
def mask_from_array(kept: BoolArray, probability: Probability, scale: float | None) -> Mask: ...
def apply_drawn(
    kept: BoolArray,
    padded: NDArray[np.uint8],
    spare: NDArray[np.uint8],
    probability: Probability,
    scale: float,
    x: NDArray[Any],
    y: NDArray[Any],
) -> Mask: ...
def draw_mask(
    shape: Shape, probability: Probability, source: Source | NumPySource, packed: bool
) -> Mask: ...
def forward(
    x: ArrayLike,
    out: NDArray[Any] | None,
    p: ProbabilityLike | Probability,
    rng: RNGLike,
    noise_shape: NoiseShapeLike | None,
    scaled: bool,
) -> tuple[NDArray[Any], Mask]: ...
def draw_bernoulli(
    shape: Shape,
    probability: Probability,
    source: Source | NumPySource,
    packed: bool,
    out: NDArray[Any] | None,
    dtype: DTypeLike,
) -> NDArray[Any]: ...
