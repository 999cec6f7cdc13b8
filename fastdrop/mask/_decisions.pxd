# SPDX-License-Identifier: BSD-3-Clause
cimport cython
from libc.stdint cimport int64_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_cursor, fd_executor, fd_job, fd_numbers, fd_seeded
from fastdrop.mask._any_mask cimport AnyMask


@cython.no_gc
cdef class Decisions(AnyMask):
    cdef fd_seeded seeded
    cdef fd_cursor start  # the lanes at its first element: a cache
    cdef tuple strides  # None of contiguous and of packed ones
    cdef ndarray padded  # None of seeded ones

    cdef void place_at(self, tuple shape, fd_seeded seeded)
    cdef void hold(self, tuple shape, ndarray padded)
    cdef int view(self, Decisions part, int64_t offset, tuple shape, tuple strides) except -1
    cdef int run(self, fd_job *job, ndarray x, ndarray other, ndarray y,
                 fd_cursor *cursor, tuple room) except -1
    cdef int run_reordered(self, fd_job *job, tuple axes, ndarray x, ndarray other,
                           ndarray y, ndarray padded, tuple room) except -1
    cdef ndarray draw_bits(self, fd_cursor *cursor, ndarray room)
    cdef bint has_runs(self) except -1
    cdef int draw_runs(self, ndarray out, bint bytes_, fd_cursor *cursor) except -1
    cdef int draw_window(self, object out, int64_t offset, object strides) except -1
    cdef fd_seeded later(self, int64_t offset)


# Writes out the decisions of a seeded mask, or of one with a probability for `each`: the kept or
# the dropped elements as ones, as bits or as bytes.
cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes_,
                  void *out, fd_cursor *cursor, size_t n,
                  const fd_executor *executor) except -1 nogil
