# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint8_t

from fastdrop.apply._dtypes cimport element_type
from fastdrop.kernels._kernels cimport fd_arrays, fd_job, fd_orders


# A tensor whose elements follow each other in memory, in whatever order of axes.
cdef struct dense:
    const char *data
    size_t n
    const element_type *type  # NULL: there are no kernels for it
    uint8_t code, bits  # of DLPack
    size_t row  # length of the last axis


# Describes a tensor of PyTorch; any other object and any other tensor is an error.
cdef int describe(object x, dense *out) except -1


# Any tensor: its axes too, which are the tensor's own memory.
cdef struct strided:
    dense all
    bint is_dense
    int ndim
    const int64_t *shape
    const int64_t *stride


cdef int describe_strided(object x, strided *out) except -1

# Do the elements of two tensors of one shape lie alike; or as strides say?
cdef bint lie_alike(const strided *x, const strided *y) noexcept
cdef bint lies_as(const strided *x, tuple strides) except -1

# What a call does with tensors: checks; where they lie, in the order of y's memory.
cdef int check_alike(object x, const strided *of_x, const strided *of_other,
                     const strided *of_y) except -1
cdef int refuse_tensor(const strided *x) except -1
cdef void set_tensors(fd_job *job, fd_arrays *arrays, const strided *x, const strided *y) noexcept
cdef int set_orders(fd_orders *orders, tuple axes, tuple index, const strided *x,
                    const strided *other, const strided *y) except -1
