# SPDX-License-Identifier: BSD-3-Clause
cimport cython
from libc.stdint cimport int64_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport (
    fd_any_mask,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_numbers,
    fd_seeded,
    fd_threshold,
)
from fastdrop.mask._any_mask cimport AnyMask
from fastdrop.source._source cimport Source


@cython.no_gc
cdef class Decisions(AnyMask):
    cdef fd_seeded seeded
    cdef fd_cursor start  # the lanes at its first element: a cache
    cdef tuple strides  # None of contiguous and of packed ones
    cdef ndarray padded  # None of seeded ones

    cdef void place_at(self, tuple shape, fd_seeded seeded)
    cdef void hold(self, tuple shape, ndarray padded)
    cdef int view(self, Decisions part, int64_t offset, tuple shape, tuple strides) except -1
    cdef int reserve(self, Source source, tuple shape, fd_threshold threshold) except -1
    cdef ndarray tell(self, fd_any_mask *mask, int64_t bits, fd_cursor *cursor, ndarray room,
                      const fd_executor *executor)
    cdef int run(self, fd_job *job, ndarray x, ndarray other, ndarray y,
                 fd_cursor *cursor, tuple room) except -1
    cdef int run_reordered(self, fd_job *job, ndarray x, ndarray other, ndarray y, ndarray padded,
                           tuple room) except -1
    cdef ndarray draw_bits(self, int64_t n, fd_cursor *cursor, ndarray room,
                           const fd_executor *executor)
    cdef ndarray all_bits(self)
    cdef int draw(self, void *to, bint bytes_, size_t n, fd_cursor *cursor,
                  const fd_executor *executor) except -1
    cdef int draw_window(self, void *to, bint bytes_, fd_cursor *cursor,
                         const fd_executor *executor) except -1
    cdef dict entries(self)
    cdef int take(self, dict state) except -1
    cdef fd_seeded later(self, int64_t offset)


# Writes out the decisions of a seeded mask, or of one with a probability for `each`: the kept or
# the dropped elements as ones, as bits or as bytes.
cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes_,
                  void *out, fd_cursor *cursor, size_t n,
                  const fd_executor *executor) except -1 nogil


# Decisions from a place on, and as bits.
cdef Decisions decisions_at(tuple shape, fd_seeded seeded)
cdef Decisions decisions_of(tuple shape, ndarray padded)
