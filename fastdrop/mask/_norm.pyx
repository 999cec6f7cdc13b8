# SPDX-License-Identifier: BSD-3-Clause
# Design: dropout, the sum with a residual and a norm over the last axis, in one pass. The engine
# takes rows of plain arrays: any other array is copied. Weights and biases are given to it as the
# numbers that a row is computed in.
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    check_broadcast,
    check_row,
    refuse_each_p,
    refuse_scalar,
)

from fastdrop.apply._apply cimport (
    apart,
    as_other,
    as_output,
    copy_from_c_order,
    in_c_order,
)
from fastdrop.apply._broadcast cimport set_broadcast
from fastdrop.apply._dtypes cimport type_of_array
from fastdrop.kernels._kernels cimport (
    engine,
    fd_any_mask,
    fd_broadcast,
    fd_cursor,
    fd_executor,
    fd_norm,
)
from fastdrop.mask._draw import draw_mask, kept_mask
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._operations cimport as_real
from fastdrop.mask._probability cimport Probability, multiplier
from fastdrop.source._source cimport Source

cnp.import_array()


cdef ndarray as_rows(object x):
    cdef ndarray array = as_real(x)
    if cnp.PyArray_NDIM(array) == 0:
        refuse_scalar("x")
    return array


cdef ndarray plain(ndarray x):
    return x if cnp.PyArray_ISCARRAY_RO(x) else in_c_order(x)


cdef object numbers_of(str name, object row, ndarray x):
    # A row of weights as the numbers that x is computed in; None, if there are none.
    cdef object array
    if row is None:
        return None
    array = check_row(name, row, x)
    return np.ascontiguousarray(array, np.float64 if x.dtype.itemsize == 8 else np.float32)


cdef Py_ssize_t row_length(ndarray x) noexcept:
    return cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)


cdef void *address(object array) except? NULL:
    return NULL if array is None else cnp.PyArray_DATA(<ndarray>array)


cdef object room_of(object row, ndarray x):
    # Where the gradient of a row of weights goes.
    if row is None:
        return None
    return np.zeros(row_length(x), row.dtype)


cdef int run(fd_norm *norm, bint backward, Mask mask, ndarray x, fd_cursor *cursor,
             ndarray room) except -1:
    # ``mask`` is None where everything is kept.
    cdef fd_any_mask any_mask
    cdef fd_broadcast broadcast
    cdef fd_executor pool = engine.pool()
    cdef char *to = <char *>cnp.PyArray_DATA(room)
    cdef ndarray _held
    cdef bint shares
    norm.mask = NULL
    if mask is not None:
        shares = mask.shape != (<object>x).shape
        _held = mask.tell(&any_mask, mask.size if shares else 0, cursor, None, &pool)
        set_broadcast(&broadcast, mask.shape, (<object>x).shape)
        any_mask.broadcast = &broadcast if broadcast.ndim else NULL
        norm.mask = &any_mask
    with nogil:
        engine.norm_rows(norm, backward, cursor, to, &pool)
    return 0


cdef ndarray begin(fd_norm *norm, ndarray x, bint backward, bint centered, double eps):
    # The room for rows like those of x.
    cdef fd_executor pool = engine.pool()
    memset(norm, 0, sizeof(fd_norm))
    norm.kernels = engine.kernels()
    norm.dtype = type_of_array(x).dtype
    norm.centered, norm.eps = centered, eps
    norm.width = <size_t>row_length(x)
    norm.rows = <size_t>cnp.PyArray_SIZE(x) // norm.width
    return np.empty(engine.norm_room(norm, backward, &pool), np.uint8)


def norm(x, residual, weight, bias, linear_bias, out, Probability probability, source, mask,
         bint centered, double eps, bint prenorm):
    """Return (y, sum, mask): y is the norm of the sum, ``dropout(x + linear_bias) + residual``.

    The sum is None without ``prenorm``. A given ``mask`` counts, or else one that is drawn from a
    source; without both, everything is kept. Not ``centered``, it is an RMS norm.
    """
    cdef fd_norm job
    cdef fd_cursor cursor
    cdef ndarray from_ = as_rows(x)
    cdef ndarray other = as_other("residual", residual, from_)
    cdef ndarray to, there, room, sum_there
    cdef Mask kept = mask
    cdef object rows = numbers_of("weight", weight, from_)
    cdef object offsets = numbers_of("bias", bias, from_)
    cdef object before = numbers_of("linear_bias", linear_bias, from_)
    cdef object total = None
    cdef tuple shape = (<object>from_).shape
    check_mask(kept, shape)
    to = as_output(from_, out)
    if prenorm:
        total = as_output(from_, None)
    if cnp.PyArray_SIZE(from_):
        room = begin(&job, from_, False, centered, eps)
        from_, other = plain(apart(from_, to)), plain(apart(other, to))
        there = to if cnp.PyArray_ISCARRAY(to) else np.empty(shape, from_.dtype)
        sum_there = total
        if prenorm and not cnp.PyArray_ISCARRAY(total):
            sum_there = np.empty(shape, from_.dtype)
    if kept is None:
        kept = kept_mask(shape, 1.0) if source is None else draw_mask(
            shape, probability, source, False
        )
    if cnp.PyArray_SIZE(from_):
        cursor = kept.start
        job.x = <const char *>cnp.PyArray_DATA(from_)
        job.residual = <const char *>cnp.PyArray_DATA(other)
        job.weight, job.bias, job.linear_bias = address(rows), address(offsets), address(before)
        job.y, job.sum = <char *>cnp.PyArray_DATA(there), <char *>address(sum_there)
        job.scale = multiplier(kept.factor, kept.drop)
        run(&job, False, None if mask is None and source is None else kept, from_, &cursor, room)
        if there is not to:
            copy_from_c_order(there, to)
        if prenorm and sum_there is not total:
            copy_from_c_order(sum_there, total)
        if mask is None and isinstance(source, Source):
            (<Source>source).leave(&kept.seeded, &cursor)
    return to if out is None else out, total, kept


cdef int check_mask(Mask mask, tuple shape) except -1:
    if mask is not None:
        check_broadcast("mask shape", mask.shape, shape, "x")
        if mask.numbers is not None and mask.numbers.scales_each():
            refuse_each_p()
    return 0


def norm_gradients(dy, x, residual, weight, linear_bias, dsum, Mask mask, bint centered,
                   double eps):
    """Return (dx, dresidual, dweight, dbias, dlinear_bias) of `norm`.

    Those of a weight and a linear_bias that were None are None.
    """
    cdef fd_norm job
    cdef fd_cursor cursor
    cdef ndarray from_ = as_rows(x)
    cdef ndarray other = as_other("residual", residual, from_)
    cdef ndarray of_y = as_other("dy", dy, from_)
    cdef ndarray of_sum = None if dsum is None else as_other("dtotal", dsum, from_)
    cdef object rows = numbers_of("weight", weight, from_)
    cdef object before = numbers_of("linear_bias", linear_bias, from_)
    cdef object of_rows, of_before, offsets
    cdef tuple shape = (<object>from_).shape
    cdef ndarray dx, dresidual, room
    check_mask(mask, shape)
    dx = np.empty(shape, from_.dtype.newbyteorder("="))
    dresidual = np.empty(shape, dx.dtype)
    number = np.float64 if dx.dtype.itemsize == 8 else np.float32
    offsets = np.zeros(row_length(from_), number)
    of_rows, of_before = room_of(rows, from_), room_of(before, from_)
    if cnp.PyArray_SIZE(from_):
        room = begin(&job, from_, True, centered, eps)
        from_, other, of_y = plain(from_), plain(other), plain(of_y)
        of_sum = None if of_sum is None else plain(of_sum)
        cursor = mask.start
        job.x = <const char *>cnp.PyArray_DATA(from_)
        job.residual = <const char *>cnp.PyArray_DATA(other)
        job.dy, job.dsum = <const char *>cnp.PyArray_DATA(of_y), <const char *>address(of_sum)
        job.weight, job.linear_bias = address(rows), address(before)
        job.dx, job.dresidual = <char *>cnp.PyArray_DATA(dx), <char *>cnp.PyArray_DATA(dresidual)
        job.dweight, job.dbias = address(of_rows), address(offsets)
        job.dlinear_bias = address(of_before)
        job.scale = multiplier(mask.factor, mask.drop)
        run(&job, True, mask, from_, &cursor, room)
    return dx, dresidual, of_rows, offsets, of_before
