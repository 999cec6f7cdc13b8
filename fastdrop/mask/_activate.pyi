# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

from fastdrop._typing import ArrayLike, NDArray
from fastdrop.mask._mask import Mask
from fastdrop.mask._probability import Probability
from fastdrop.source import NumPySource, Source

__test__: dict[str, str]

OPERATIONS: dict[str, int]
BACKWARD: dict[str, int]

def activate(
    name: str,
    x: ArrayLike,
    bias: ArrayLike | None,
    out: NDArray[Any] | None,
    probability: Probability,
    source: Source | NumPySource | None,
) -> tuple[NDArray[Any], Mask]: ...
def activate_backward(
    name: str,
    dy: ArrayLike,
    x: ArrayLike,
    bias: ArrayLike | None,
    out: NDArray[Any] | None,
    mask: Mask,
) -> NDArray[Any]: ...
