# SPDX-License-Identifier: BSD-3-Clause
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_any_mask, fd_application, fd_seeded

# An OpenMP runtime: NULL where there is none.
ctypedef void (*region)(void *context) noexcept nogil
ctypedef void (*parallel_function)(region body, void *context, unsigned threads,
                                   unsigned flags) noexcept nogil
ctypedef int (*count_function)() noexcept nogil

cdef parallel_function openmp_parallel
cdef count_function openmp_thread
cdef count_function openmp_team


cdef class TensorMask:
    cdef fd_seeded seeded
    cdef ndarray bits  # None of seeded masks
    cdef readonly tuple strides
    cdef readonly tuple broadcast
    cdef readonly double scale, shift, dropped
    cdef TensorMask copy(self)
    cdef int run(self, fd_application *application, x, other, y, size_t threads) except -1
    cdef int lay(self, fd_any_mask *mask, size_t n) except -1
    cdef ndarray draw_bits(self)
    cdef int draw(self, void *out, size_t n, bint bytes_) except -1
