# SPDX-License-Identifier: BSD-3-Clause
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_cursor, fd_any_mask


# Checks x (any array-like of floats) and out (None, or where to write) and returns the arrays to
# read and to write; draws nothing and writes nothing.
cdef ndarray as_input(object x)
cdef ndarray as_output(ndarray x, object out)

# y = kept ? x * scale : 0. The mask has the shape `mask_shape`, which broadcasts to x's;
# `cursor` is where a seeded mask starts and becomes where it ends.
cdef int apply_mask(fd_any_mask *mask, tuple mask_shape, double scale, fd_cursor *cursor, ndarray x,
                    ndarray y) except -1
