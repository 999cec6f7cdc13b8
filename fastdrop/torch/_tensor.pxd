# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_broadcast, fd_job, fd_numbers, fd_seeded
from fastdrop.mask._probability cimport Numbers

# The components of a complex number are two numbers.
cdef enum:
    OF_COMPLEX = 4


# Type codes of DLPack.
cdef enum:
    DL_INT = 0
    DL_FLOAT = 2
    DL_BFLOAT = 4
    DL_COMPLEX = 5
    DL_BOOL = 6


cdef struct numbers:
    const char *data
    size_t n
    uint8_t type_code, bits
    size_t row  # length of the last axis


# Describes a tensor whose elements follow each other in memory; and the number of its dtype.
cdef int numbers_of(object x, numbers *out) except -1
cdef int code_of(numbers *x) except -1

# Where in a stream four 64-bit words are: key, counter (low, high) and position.
cdef void place_at_words(const numbers *words, fd_seeded *seeded) noexcept


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
