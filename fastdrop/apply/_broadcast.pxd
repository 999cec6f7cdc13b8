# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.kernels._kernels cimport fd_broadcast, fd_view


# How the elements of `shape` share those of a smaller array, whose shape broadcasts to it.
cdef int set_broadcast(fd_broadcast *broadcast, tuple small, tuple shape) except -1


cdef class Broadcast:
    cdef fd_view view  # what to gather
    cdef fd_broadcast laid  # after that
    cdef readonly size_t elements, shared
    cdef readonly bint gathers
