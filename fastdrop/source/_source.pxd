# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t

from numpy.random.bit_generator cimport BitGenerator

from fastdrop.kernels._kernels cimport fd_cursor, fd_identity, fd_seeded, fd_stream


cdef class Source(BitGenerator):
    cdef fd_stream stream  # it and the ties are read and written under the lock
    cdef fd_identity ties
    cdef fd_cursor cursor  # where the last mask ended, of the stream that it is of,
    cdef fd_identity cursor_of
    cdef size_t cursor_taken  # while this is not 0 for another thread
    cdef size_t key_ends  # the number of forks from which on it needs another key, or 0
    cdef object acquire, release  # of the lock; None before __init__
    cdef object made_lock(self)
    cdef fd_seeded here(self) except *
    cdef int reserve(self, uint64_t n, fd_seeded *seeded, fd_cursor *cursor) except -1
    cdef int change_key(self) except -1
    cdef bint resume(self, const fd_identity *identity, fd_cursor *cursor) noexcept
    cdef void leave(self, const fd_seeded *seeded, const fd_cursor *cursor) noexcept
    cdef fd_seeded at(self, uint64_t position) noexcept


# Adds one of the package's own sources, which has that index in C.
cdef int add_source(cls, int index) except -1

# The words of a stream as ints, as attributes and states show them.
cdef tuple key_of(const fd_identity *identity)
cdef tuple counter_of(const fd_identity *identity)
