# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.kernels._kernels cimport bitgen_t, fd_numpy_limit
from numpy cimport ndarray


cdef class NumPySource:
    cdef readonly object bit_generator
    cdef readonly str draws
    cdef object capsule, lock
    cdef bitgen_t *bitgen  # in the capsule; NULL before __init__
    cdef int prepare(self, size_t n) except -1
    cdef int draw(self, size_t n, const fd_numpy_limit *limit, ndarray kept) except -1
    cdef int draw_normals(self, size_t n, float deviation, ndarray factors) except -1
