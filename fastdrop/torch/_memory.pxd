# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t

from fastdrop.apply._dtypes cimport element_type


# A tensor whose elements follow each other in memory, in whatever order of axes.
cdef struct dense:
    const char *data
    size_t n
    const element_type *type  # NULL: there are no kernels for it
    uint8_t code, bits  # of DLPack
    size_t row  # length of the last axis


# Describes a tensor of PyTorch; any other object and any other tensor is an error.
cdef int describe(object x, dense *out) except -1
