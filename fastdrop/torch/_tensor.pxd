# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_broadcast, fd_job, fd_numbers, fd_seeded
from fastdrop.mask._probability cimport Numbers

# The components of a complex number are two numbers.
cdef enum:
    OF_COMPLEX = 4


cdef struct numbers:
    const char *data
    size_t n
    uint8_t type_code, bits
    size_t row  # length of the last axis


cdef int numbers_of(object x, numbers *out) except -1
cdef int code_of(numbers *x) except -1


cdef class TensorMask:
    cdef fd_seeded seeded
    cdef ndarray bits  # None of seeded masks
    cdef Numbers numbers  # of the elements' own; None: scale is that of all
    cdef tuple shape  # of tensors, over which the numbers are laid; else None
    cdef readonly tuple strides
    cdef readonly tuple broadcast
    cdef readonly double scale, shift, dropped
    cdef TensorMask copy(self)
    cdef int run(self, fd_job *job, x, other, y, size_t threads) except -1
    cdef ndarray lay_factors(self, y, fd_numbers *laid)
    cdef int lay(self, fd_broadcast *broadcast, size_t n) except -1
    cdef ndarray draw_bits(self)
    cdef int draw(self, void *out, size_t n, bint bytes_) except -1
