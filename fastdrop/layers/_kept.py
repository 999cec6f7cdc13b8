# SPDX-License-Identifier: BSD-3-Clause
"""Arrays that a layer keeps for its backward pass, and the gradient of a bias."""

from typing import Any

import numpy as np

from fastdrop._typing import NDArray
from fastdrop.functional.connect import widened

__all__ = ["sum_of_rows", "unwritten"]


def unwritten(x: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """Return an array that is still x when ``out`` is written."""
    shares = isinstance(out, np.ndarray) and np.may_share_memory(x, out)
    return x.copy() if shares else x


def sum_of_rows(dx: NDArray[Any]) -> NDArray[Any]:
    """Return the gradient of a bias that was added to each row of x."""
    total: NDArray[Any] = widened(dx).sum(axis=tuple(range(dx.ndim - 1))).astype(dx.dtype)
    return total
