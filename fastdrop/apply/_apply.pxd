# SPDX-License-Identifier: BSD-3-Clause
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport (
    fd_any_mask,
    fd_job,
    fd_cursor,
    fd_operation,
    fd_orders,
    fd_view,
)


# Checks x (any array-like of floats) and out (None, or where to write) and returns the arrays to
# read and to write; draws nothing and writes nothing. as_other checks an array that is read with
# x: of its shape and dtype. Errors call x as the caller of the public function does.
cdef ndarray as_input(object x, str name=*, bint real=*)
cdef ndarray as_other(str name, object other, ndarray x, str of=*)
cdef ndarray as_output(ndarray x, object out, str of=*)

# Whether that is x's shape. To make the tuple of a shape takes longer.
cdef bint has_shape(ndarray x, tuple shape)

# x, or a copy of it where writing y would overwrite what is still to be read of x.
cdef ndarray apart(ndarray x, ndarray y)
cdef bint overlap_partly(ndarray x, ndarray y)

# The axes of an array by their strides, largest first; or None where they are in that order,
# or the array is small. To read a large one in C order would fetch a line of the cache for
# every element.
cdef tuple axes_of(ndarray y)
cdef tuple order_of_memory(ndarray y)

# Are all of them in C order, aligned, and of the machine's byte order? If not: are they large, and
# so taken in the order of y's memory; can the engine take them in boxes; where do they lie?
cdef bint all_plain(ndarray x, ndarray other, ndarray y)
cdef bint needs_order(ndarray x, ndarray other, ndarray y)
cdef bint fit_boxes(ndarray x, ndarray other, ndarray y)
cdef int set_orders(fd_orders *orders, tuple axes, ndarray x, ndarray other, ndarray y) except -1

# The elements of a C-contiguous array of that shape in another order of its axes; such an array,
# written to another; and copies of any array to C order and back.
cdef fd_view view_of(tuple shape, object axes)
cdef int transpose_into(ndarray x, object axes, ndarray to) except -1
cdef ndarray in_c_order(ndarray x)
cdef int copy_from_c_order(ndarray x, ndarray y) except -1

# What is to be done: the rest is empty, and for the caller to fill in.
cdef fd_job job_of(fd_operation operation, double scale) noexcept nogil

# Does it to whole arrays, which are apart from y. The mask has the shape `mask_shape`, which
# broadcasts to x's; `cursor` is where a seeded mask starts and becomes where it ends; `other` is
# None where it is not read.
cdef int apply_mask(fd_job *job, fd_any_mask *mask, tuple mask_shape,
                    fd_cursor *cursor, ndarray x, ndarray other, ndarray y) except -1

# Does it to arrays that fit into boxes. The mask has bits, in the order of those axes, and so has
# `mask_shape`.
cdef int apply_boxes(fd_job *job, fd_any_mask *mask, tuple mask_shape, tuple axes,
                     ndarray x, ndarray other, ndarray y) except -1
