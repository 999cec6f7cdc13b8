# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from fastdrop._typing import NDArray
from fastdrop.source import NumPySource, Source

__test__: dict[str, str]

def choose(rows: int, n: int, k: int, source: Source | NumPySource) -> NDArray[np.uint8]: ...
