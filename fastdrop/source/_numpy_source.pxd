# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.kernels._kernels cimport bitgen_t, fd_threshold
from numpy cimport ndarray


cdef class NumPySource:
    cdef readonly object bit_generator
    cdef readonly str draws
    cdef bitgen_t *bitgen
    cdef int draw(self, size_t n, fd_threshold threshold, double p, ndarray kept) except -1
