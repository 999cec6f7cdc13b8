# SPDX-License-Identifier: BSD-3-Clause
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


cdef class Probability:
    cdef fd_threshold threshold
    cdef double drop, keep, factor  # p, keep_prob, scale


cdef class Probabilities(Probability):
    cdef ndarray values
    cdef bint keeps
    cdef str name
    cdef int lay(self, tuple shape, fd_numbers *laid) except -1


cdef class Mask:
    cdef readonly tuple shape
    cdef double drop, factor  # p and scale, or in their place:
    cdef ndarray drops, factors  # None, or read-only, or, when asked for, made of:
    cdef Probabilities drops_of, factors_of  # or None
    cdef ndarray finite  # the factors that multiply: 1 where p is 1
    cdef readonly Py_ssize_t size
    cdef fd_seeded seeded
    cdef fd_cursor start  # the lanes at its first element: a cache
    cdef tuple strides  # None of contiguous and of packed masks
    cdef ndarray padded  # None of seeded masks

    cdef object applied(self, object x, object out, str name)
    cdef int scale_all(self, ndarray x, ndarray y) except -1
    cdef int scale_each(self, ndarray x, ndarray y) except -1
    cdef int run(self, fd_job *job, ndarray x, ndarray other, ndarray y,
                 fd_cursor *cursor, tuple room) except -1
    cdef int run_reordered(self, fd_job *job, tuple axes, ndarray x, ndarray other,
                           ndarray y, ndarray padded, tuple room) except -1
    cdef ndarray finite_factors(self)
    cdef ndarray draw_bits(self, fd_cursor *cursor, ndarray room)
    cdef int draw_contiguous(self, ndarray out, bint bytes_, fd_cursor *cursor) except -1
    cdef int draw_window(self, object out, int64_t offset, object strides) except -1
    cdef fd_seeded later(self, int64_t offset)
    cdef Mask with_numbers(self, object p, object scale)
    cdef Mask with_probability(self, Probability probability, object scale)
    cdef int make_factors(self) except -1
    cdef ndarray lay_factors(self, ndarray y, fd_numbers *laid)
    cdef Mask with_bits(self, ndarray padded)
    cdef Mask packed_window(self, int64_t offset, object shape, object strides)
    cdef dict place(self)


# A place in a stream, for pickles and back.
cdef dict place_of(const fd_seeded *seeded)
cdef fd_seeded seeded_at(object place) except *

# Room for n bits, and for the whole words that kernels read and write.
cdef ndarray padded_bits(size_t n)

# Draws a mask of one probability (a range of an addressable source, the bits of a sequential one)
# and does something with it to checked arrays. All memory is taken before the source advances.
cdef Mask run_first(fd_job *job, ndarray x, ndarray other, ndarray y, object source,
                    tuple shape, Probability probability, double scale)

# Writes out the decisions of a seeded mask, or of one with a probability for `each`: the kept or
# the dropped elements as ones, as bits or as bytes.
cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes_,
                  void *out, fd_cursor *cursor, size_t n,
                  const fd_executor *executor) except -1 nogil
