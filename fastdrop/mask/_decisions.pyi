# SPDX-License-Identifier: BSD-3-Clause
from typing import Any, Never, overload

import numpy as np
from numpy.typing import DTypeLike
from typing_extensions import disjoint_base

from fastdrop._typing import BoolArray, NDArray
from fastdrop.mask._any_mask import AnyMask

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

def __reduce_cython__(self: Any) -> Never: ...
def __setstate_cython__(self: Any, __pyx_state: Any) -> Never: ...

@disjoint_base
class Decisions(AnyMask):
    @property
    def dtype(self) -> np.dtype[np.bool_]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def bits(self) -> NDArray[np.uint8] | None: ...
    @overload
    def __array__(self, dtype: None = None, copy: bool | None = None) -> BoolArray: ...
    @overload
    def __array__(self, dtype: DTypeLike, copy: bool | None = None) -> NDArray[Any]: ...
