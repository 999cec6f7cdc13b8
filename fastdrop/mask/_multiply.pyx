# SPDX-License-Identifier: BSD-3-Clause
# Design: how the factors of a Gaussian mask come to arrays. The engine multiplies contiguous arrays
# as they are, and others box by box, so that nothing is made that is as large as they are. Only
# what it cannot read is copied.
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import refuse_changed

from fastdrop.apply._apply cimport (
    all_plain,
    axes_of,
    copy_from_c_order,
    fit_boxes,
    in_c_order,
    needs_order,
    order_of_memory,
    overlap_partly,
    set_orders,
    transpose_into,
)
from fastdrop.apply._broadcast cimport set_broadcast
from fastdrop.apply._dtypes cimport set_type
from fastdrop.kernels._kernels cimport (
    FD_TILE,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_broadcast,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_orders,
)
from fastdrop.mask._bits cimport permuted

cnp.import_array()


cdef class Room:
    """Memory that a mask needs to be applied."""


cdef Room room_for(tuple shape, ndarray x, ndarray y):
    cdef Room room
    cdef tuple whole = (<object>y).shape
    cdef bint apart = x is y or not overlap_partly(x, y)
    cdef bint plain = apart and all_plain(x, None, y)
    if plain and shape == whole:
        return None
    room = Room.__new__(Room)
    if not plain and not (apart and needs_order(x, None, y) and fit_boxes(x, None, y)):
        room.copy = in_c_order(x)
    if shape != whole:
        room.factors = np.empty(shape, np.float32)
        if room.copy is None:
            room.axes = order_of_memory(y)
        if room.axes is not None and all_plain(
            x.transpose(room.axes), None, y.transpose(room.axes)
        ):
            missing = (1,) * (len(whole) - len(shape))
            room.turned = np.empty(permuted(missing + shape, room.axes), np.float32)
    return room


cdef fd_arrays arrays_of(ndarray x, ndarray y):
    cdef fd_arrays arrays
    arrays.x, arrays.other = NULL, NULL
    if x is not None:
        arrays.x = <const char *>cnp.PyArray_DATA(x)
    arrays.y = <char *>cnp.PyArray_DATA(y)
    return arrays


cdef int check_size(ndarray array, size_t n) except -1:
    if <size_t>cnp.PyArray_SIZE(array) != n:
        refuse_changed(f"the arrays do not have {n} elements any more")
    return 0


cdef int multiply(fd_job *job, size_t n, ndarray x, ndarray y, fd_cursor *cursor) except -1:
    cdef fd_executor pool = engine.pool()
    cdef fd_arrays arrays = arrays_of(x, y)
    check_size(y, n)
    if x is not None:
        check_size(x, n)
    set_type(job, y)
    if n <= FD_TILE // 4:
        engine.multiply(job, cursor, n, arrays, &pool)
    else:
        with nogil:
            engine.multiply(job, cursor, n, arrays, &pool)
    return 0


cdef int multiply_boxes(fd_job *job, ndarray x, ndarray y, fd_cursor *cursor) except -1:
    cdef fd_executor pool = engine.pool()
    cdef fd_arrays arrays = arrays_of(x, y)
    cdef fd_orders orders
    if (<object>x).shape != (<object>y).shape:
        refuse_changed("the arrays have different shapes now")
    set_type(job, y)
    set_orders(&orders, axes_of(y), x, None, y)
    if cnp.PyArray_SIZE(y):
        with nogil:
            engine.multiply_boxes(job, cursor, &orders, arrays, &pool)
    return 0


cdef int multiply_any(fd_job *job, size_t n, ndarray x, ndarray y, Room room,
                      fd_cursor *cursor) except -1:
    if room is None:
        return multiply(job, n, x, y, cursor)
    if room.copy is None:
        check_size(y, n)
        return multiply_boxes(job, x, y, cursor)
    multiply(job, n, room.copy, room.copy, cursor)
    return copy_from_c_order(room.copy, y)


cdef ndarray all_axes(ndarray factors, Py_ssize_t ndim):
    # The same with the axes of length 1 that they lack.
    cdef tuple shape = (<object>factors).shape
    return factors.reshape((1,) * (ndim - len(shape)) + shape)


cdef int multiply_shared(fd_job *job, fd_any_mask *mask, ndarray x, ndarray y,
                         Room room) except -1:
    cdef fd_broadcast broadcast
    cdef fd_cursor unused
    cdef ndarray factors = room.factors
    cdef tuple shape = (<object>y).shape
    memset(&unused, 0, sizeof(unused))
    if room.turned is not None:
        factors, shape = room.turned, permuted(shape, room.axes)
        transpose_into(all_axes(room.factors, y.ndim), room.axes, factors)
    set_broadcast(&broadcast, (<object>factors).shape, shape)
    mask.broadcast = &broadcast if broadcast.ndim else NULL
    job.factors = <const float *>cnp.PyArray_DATA(factors)
    if room.copy is not None:
        multiply(job, cnp.PyArray_SIZE(y), room.copy, room.copy, &unused)
        return copy_from_c_order(room.copy, y)
    if room.turned is not None or all_plain(x, None, y):
        return multiply(job, cnp.PyArray_SIZE(y), x, y, &unused)
    return multiply_boxes(job, x, y, &unused)
