# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

import numpy as np

from fastdrop._typing import NDArray

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

def padded_room(n: int) -> NDArray[np.uint8]: ...
