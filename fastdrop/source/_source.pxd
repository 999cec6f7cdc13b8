# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t

from numpy.random.bit_generator cimport BitGenerator

from fastdrop.kernels._kernels cimport fd_cursor, fd_identity, fd_seeded, fd_stream


cdef class Source(BitGenerator):
    cdef fd_stream stream
    cdef fd_identity ties
    cdef fd_cursor cursor  # where the last mask ended; read and written under the GIL
    cdef object acquire, release
    cdef int reserve(self, uint64_t n, fd_seeded *seeded, fd_cursor *cursor) except -1
    cdef void leave(self, const fd_seeded *seeded, const fd_cursor *cursor) noexcept
    cdef fd_seeded at(self, uint64_t position)
    cdef object lane_states(self, uint64_t position)
