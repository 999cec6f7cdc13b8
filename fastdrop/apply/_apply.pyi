# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

from fastdrop._typing import ArrayLike, NDArray, NoiseShapeLike, Shape

__pyx_capi__: dict[str, Any]
__test__: dict[str, str]

def check_arrays(
    x: ArrayLike,
    out: NDArray[Any] | None,
    noise_shape: NoiseShapeLike | None,
    name: str = "x",
) -> tuple[NDArray[Any], Shape]: ...
def settled(x: NDArray[Any], out: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]: ...
