# SPDX-License-Identifier: BSD-3-Clause
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_job, fd_meaning, fd_numbers, fd_threshold


cdef class Probability:
    cdef fd_threshold threshold  # of a number, as are
    cdef double drop, keep, factor  # p, keep_prob, scale
    cdef ndarray values  # of an array: p or, where it keeps, keep_prob
    cdef bint keeps
    cdef str name
    cdef int take(self, p, keep_prob, str name) except -1
    cdef int lay(self, tuple shape, fd_numbers *laid) except -1
    cdef fd_meaning meaning(self) noexcept


cdef class Numbers:
    # Written in a critical section, and read in one.
    cdef object drops, factors  # floats, arrays, or None: then they are made, when asked for,
    cdef Probability source  # of this array
    cdef ndarray finite  # the factors that multiply: 1 where p is 1
    cdef object p(self)
    cdef object scale(self)
    cdef Numbers with_factors(self, object factors)
    cdef object made_factors(self)
    cdef bint scales_each(self) except -1
    cdef ndarray lay_factors(self, fd_job *job, fd_numbers *laid, tuple shape, tuple axes,
                             bint boxes)
    cdef ndarray finite_factors(self)


# What kept elements are multiplied by, of a factor and a probability of dropping.
cdef double multiplier(double factor, double drop) noexcept

cdef Numbers numbers_of(Probability source, object drops, object factors)

# Floats, or arrays that broadcast to a mask: whether they are the same for each of its elements;
# those of a window of it, and of the mask with its axes in reverse order.
cdef bint same_numbers(object a, object b, object shape)
cdef object numbers_of_window(object values, object shape, object entries)
cdef object numbers_in_reverse(object values, object ndim)

cpdef Probability probability_of(p, keep_prob=*, str name=*)
