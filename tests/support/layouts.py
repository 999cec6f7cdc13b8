# SPDX-License-Identifier: BSD-3-Clause
"""The same numbers elsewhere in memory: orders, strides, alignments, byte orders."""

import math

import numpy as np
from helpers import DTYPES, assert_same_floats, every_kind_of_float

COMPLEX = (np.dtype(np.complex64), np.dtype(np.complex128))
EVERY_DTYPE = (*DTYPES, *COMPLEX)


def components(x):
    """The real numbers of an array in C order, in the machine's byte order."""
    x = np.array(x, order="C").reshape(-1)
    if not x.dtype.isnative:
        x = x.byteswap().view(x.dtype.newbyteorder())
    return x.view(x.real.dtype) if x.dtype.kind == "c" else x


def native(x):
    """The same values as a new array in C order and the machine's byte order."""
    dtype = x.dtype if x.dtype.isnative else x.dtype.newbyteorder()
    return components(x).view(dtype).reshape(x.shape)


def assert_result(y, x, expected):
    """Check dtype, byte order, shape and floats of y; ``expected`` is in native order."""
    assert type(y) is np.ndarray
    assert y.dtype == x.dtype
    assert y.dtype.byteorder == x.dtype.byteorder
    assert y.shape == x.shape
    assert_same_floats(components(y), components(expected))


def floats(dtype, shape, seed=5):
    """An array of floats of every kind, NaN and subnormal too."""
    dtype = np.dtype(dtype)
    size = math.prod(shape)
    if dtype.kind == "c":
        real = np.dtype(f"f{dtype.itemsize // 2}")
        return every_kind_of_float(real, 2 * size, seed).view(dtype).reshape(shape)
    return every_kind_of_float(dtype, size, seed).reshape(shape)


# ---- layouts: the same values, elsewhere in memory -----------------------------------------------


def rotated(x):
    axes = (*range(1, x.ndim), *range(min(1, x.ndim)))
    return x.transpose(axes).copy().transpose(np.argsort(axes))


def backwards(x):
    window = (..., *(slice(None, None, -1),) * x.ndim)
    return x[window].copy()[window]


def every_other(x):
    room = np.empty(tuple(2 * length + 1 for length in x.shape), x.dtype)
    view = room[(..., *(slice(1, None, 2),) * x.ndim)]
    view[...] = x
    return view


def padded_rows(x):
    room = np.empty((*x.shape[:-1], x.shape[-1] + 3), x.dtype) if x.ndim else np.empty((), x.dtype)
    view = room[..., 2:-1] if x.ndim else room
    view[...] = x
    return view


def swapped(x):
    return x.byteswap().view(x.dtype.newbyteorder())


def unaligned(x):
    view = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def off_the_line(x):
    """Aligned to an element, and one element past a cache line."""
    room = np.empty(x.nbytes + 64 + x.itemsize, np.uint8)
    skip = -room.ctypes.data % 64 + x.itemsize
    view = room[skip : skip + x.nbytes].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def repeated(x):
    return np.broadcast_to(x[..., :1], x.shape) if x.ndim else x


WRITEABLE = {
    "C": np.copy,
    "Fortran": lambda x: np.array(x, order="F"),
    "rotated": rotated,
    "backwards": backwards,
    "every other": every_other,
    "padded rows": padded_rows,
    "unaligned": unaligned,
    "off the line": off_the_line,
}
LAYOUTS = {
    **WRITEABLE,
    "swapped": swapped,
    "swapped backwards": lambda x: backwards(swapped(x)),
    "unaligned swapped": lambda x: unaligned(swapped(x)),
    "read-only": read_only,
    "repeated": repeated,
}
