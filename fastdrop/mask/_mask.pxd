# SPDX-License-Identifier: BSD-3-Clause
cimport cython
from libc.stdint cimport int64_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_seeded
from fastdrop.mask._decisions cimport Decisions
from fastdrop.mask._probability cimport Numbers, Probability


@cython.no_gc
cdef class Mask(Decisions):
    cdef double drop, factor  # p and scale, where they are numbers
    cdef Numbers numbers  # of arrays; else None
    cdef bint of_zoneout  # kept elements are those of one array, the others those of another

    cdef object own_p(self)
    cdef object own_scale(self)
    cdef object handed_out(self, object numbers)
    cdef Mask with_numbers(self, object p, object scale)
    cdef Mask with_probability(self, Probability probability, object scale)
    cdef Mask with_bits(self, ndarray padded)
    cdef Mask part(self, int64_t offset, tuple shape, tuple strides, object p, object scale)


# Masks whose numbers are yet to be set, and one that has them.
cdef Mask seeded_mask(tuple shape, fd_seeded seeded)
cdef Mask packed_mask(tuple shape, ndarray padded)
cdef Mask mask_of_bits(tuple shape, ndarray padded, Probability probability, object scale)
