# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint8_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_view

# Room for n bits, and for the whole words that kernels read and write; bits in such room.
cdef ndarray padded_bits(size_t n)
cdef ndarray padded_copy(ndarray bits)
cdef ndarray pack(object kept, ndarray padded=*)
cdef int unpack(ndarray padded, size_t n, uint8_t *to) except -1
cdef int gather(ndarray padded, fd_view view, uint8_t *to) except -1
cdef tuple room_for(tuple shape, bint seeded, ndarray x, ndarray other, ndarray y,
                    bint changes=*)

# Shapes, and arrays in another order of their axes.
cdef int64_t size_of(tuple shape)
cdef tuple permuted(tuple shape, object axes)
cdef ndarray transposed(ndarray values, tuple axes)

# Arrays that are handed out.
cdef ndarray read_only(ndarray values)
cdef ndarray lent(ndarray values, object mask)
