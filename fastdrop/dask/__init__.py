# SPDX-License-Identifier: BSD-3-Clause
"""Dropout and random booleans of Dask arrays, whose bits do not depend on the chunks.

A mask is a place in a stream and has no bits. Every chunk draws its own window of the mask of the
whole array, on whatever worker and in whatever order. So the result is that of NumPy, bit for bit.
"""

try:
    import dask.array as _  # noqa: F401
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] != "dask":
        raise
    raise ModuleNotFoundError(
        'fastdrop.dask needs Dask: pip install "dask[array]"', name="dask"
    ) from None

from fastdrop.dask._chunked_mask import ChunkedMask
from fastdrop.dask.functional import bernoulli, dropout, dropout_backward

__all__ = ["ChunkedMask", "bernoulli", "dropout", "dropout_backward"]


def __dir__() -> list[str]:
    return sorted(__all__)
