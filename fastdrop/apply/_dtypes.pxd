# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint8_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_dtype, fd_job


# What an element of an array or a tensor is: its name, its number in NumPy, its type code and bits
# in DLPack, and the numbers that the kernels take it for.
cdef struct element_type:
    const char *name
    int number
    uint8_t code, bits
    fd_dtype dtype
    int components


# Type codes of DLPack 1.
cdef enum:
    DL_INT = 0
    DL_FLOAT = 2
    DL_BFLOAT = 4
    DL_COMPLEX = 5
    DL_BOOL = 6


# NULL: there are no kernels for it.
cdef const element_type *type_of_array(ndarray x) except? NULL
cdef const element_type *type_of_dlpack(uint8_t code, uint8_t bits) noexcept

# Tells the kernels what the elements of checked arrays are.
cdef int set_type(fd_job *job, ndarray x) except -1
