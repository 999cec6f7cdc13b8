# SPDX-License-Identifier: BSD-3-Clause
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_any_mask, fd_cursor, fd_job


# Memory that a Gaussian mask needs to be applied, made before a source advances.
cdef class Room:
    cdef ndarray copy  # x in C order, where the engine cannot take x and y themselves
    cdef ndarray factors  # of a mask of another shape; and in the order of y's memory,
    cdef ndarray turned  # where x lies in that order too
    cdef tuple axes  # that order

# What a mask of that shape needs; None of plain arrays of that shape.
cdef Room room_for(tuple shape, ndarray x, ndarray y)

# The job knows the factors, of which there are n. Each function checks that the arrays have as many
# elements. `cursor` moves to the end of the factors.

# To C-contiguous arrays; where x is None, y becomes the float32 factors.
cdef int multiply(fd_job *job, size_t n, ndarray x, ndarray y, fd_cursor *cursor) except -1

# To arrays in any order; and to larger ones: the room has the factors.
cdef int multiply_any(fd_job *job, size_t n, ndarray x, ndarray y, Room room,
                      fd_cursor *cursor) except -1
cdef int multiply_shared(fd_job *job, fd_any_mask *mask, ndarray x, ndarray y,
                         Room room) except -1
