# SPDX-License-Identifier: BSD-3-Clause
# Design: the bits of a mask are a flat array with bytes to spare, for kernels read and write whole
# words. What this file makes of it is all that is done with bits by themselves.
from libc.stdint cimport int64_t, uint8_t

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport needs_order, order_of_memory, transpose_into
from fastdrop.kernels._kernels cimport (
    FD_PADDING,
    engine,
    fd_kernels,
    fd_view,
)

cnp.import_array()

# Elements of a bool array that are packed at once.
cdef int64_t PACKED = 1 << 20


cdef ndarray padded_bits(size_t n):
    """Return room for ``n`` bits, and for the whole words that kernels read and write."""
    return np.empty((n + 7) // 8 + FD_PADDING, np.uint8)


def padded_room(n):
    """Return the same for functions of Python."""
    return padded_bits(n)


cdef ndarray pack(kept, ndarray padded=None):
    """Return the padded bits of a bool array, in C order; in the room for them, where it is given.

    Given that and a contiguous array, it allocates nothing that is large.
    """
    if padded is None:
        padded = padded_bits(kept.size)
    flat = kept.reshape(-1)
    for first in range(0, flat.size, PACKED):
        part = np.packbits(flat[first : first + PACKED], bitorder="little")
        padded[first // 8 : first // 8 + part.size] = part
    padded[(flat.size + 7) // 8 :] = 0
    return padded


cdef ndarray padded_copy(ndarray bits):
    """Return the same bits with bytes to spare."""
    cdef ndarray padded = np.empty(bits.size + FD_PADDING, np.uint8)
    padded[: bits.size] = bits
    padded[bits.size :] = 0
    return padded


cdef int64_t size_of(tuple shape):
    cdef int64_t size = 1, length
    for length in shape:
        size *= length
    return size


cdef tuple permuted(tuple shape, axes):
    """Return a shape whose axes are in that order."""
    return tuple([shape[axis] for axis in axes])


cdef ndarray transposed(ndarray values, tuple axes):
    """Return a copy whose axes are in that order; the array may lack axes of length 1."""
    cdef ndarray whole = (<object>values).reshape(
        (1,) * (len(axes) - values.ndim) + (<object>values).shape
    )
    cdef ndarray copy = np.empty(permuted((<object>whole).shape, axes))
    transpose_into(whole, axes, copy)
    return copy


cdef int gather(ndarray padded, fd_view view, uint8_t *to) except -1:
    """Write the bits of a view of others."""
    cdef const uint8_t *bits = <const uint8_t *>cnp.PyArray_DATA(padded)
    with nogil:
        engine.gather_bits(&view, bits, to)
    return 0


cdef int unpack(ndarray padded, size_t n, uint8_t *to) except -1:
    """Write packed bits as bytes of 0 and 1."""
    cdef const fd_kernels *kernels = engine.kernels()
    with nogil:
        kernels.unpack(<const uint8_t *>cnp.PyArray_DATA(padded), n, to)
    return 0


cdef tuple room_for(tuple shape, bint seeded, ndarray x, ndarray other, ndarray y,
                    bint changes=False):
    """Return what a mask needs to be applied, apart from the arrays, or None.

    It is made before a source advances, so that nothing is lost where memory is short.
    """
    cdef size_t size
    cdef bint turned
    if needs_order(x, other, y):
        size = size_of(shape)
        turned = order_of_memory(y) is not None
        return (
            padded_bits(size) if seeded else None,
            padded_bits(size) if turned else None,
            padded_bits(size) if turned and changes else None,
        )
    if seeded and size_of(shape) != cnp.PyArray_SIZE(x):
        return (padded_bits(size_of(shape)),)
    return None


cdef ndarray read_only(ndarray values):
    """Return the array itself, which nobody can write to from here on."""
    values.flags.writeable = False
    return values


cdef ndarray lent(ndarray values, object mask):
    """Return a read-only view of what the mask owns, as an array that is the caller's.

    Its base is the mask, not the array: whatever the caller does to it, the mask's array keeps its
    shape.
    """
    cdef ndarray view = cnp.PyArray_SimpleNewFromData(
        cnp.PyArray_NDIM(values), cnp.PyArray_DIMS(values), cnp.PyArray_TYPE(values),
        cnp.PyArray_DATA(values),
    )
    cnp.set_array_base(view, mask)
    return read_only(view)
