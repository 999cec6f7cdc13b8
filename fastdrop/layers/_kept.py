# SPDX-License-Identifier: BSD-3-Clause
"""Arrays that a layer keeps for its backward pass."""

from typing import Any

import numpy as np

from fastdrop._typing import NDArray

__all__ = ["unwritten"]


def unwritten(x: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """Return an array that is still x when ``out`` is written."""
    shares = isinstance(out, np.ndarray) and np.may_share_memory(x, out)
    return x.copy() if shares else x
