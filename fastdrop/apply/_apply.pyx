# SPDX-License-Identifier: BSD-3-Clause
# Design: contiguous arrays go to the engine as they are, on all threads. Others are taken in the
# order of y's memory, to which the bits of their mask were brought: as they are, if they all lie in
# that order, and else in boxes. What the engine cannot read or write (byte orders, alignment, gaps
# between all elements of y) is NumPy's business: np.nditer hands out contiguous pieces, and the
# engine takes those one by one.
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    as_array,
    check_noise_shape,
    refuse_changed,
    refuse_dtype,
    refuse_other,
    refuse_out,
    refuse_unlike,
)

from fastdrop.apply._broadcast cimport set_broadcast
from fastdrop.apply._dtypes cimport set_type, type_of_array
from fastdrop.kernels._kernels cimport (
    FD_BFLOAT16,
    FD_TILE,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_broadcast,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_operation,
    fd_orders,
    fd_view,
)

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    ndarray PyArray_NewLikeArray(ndarray prototype, cnp.NPY_ORDER order, void *dtype, int subok)


# Elements that np.nditer hands out at once: few enough for the caches, enough to forget the call.
cdef int PIECE = 1 << 15

# Elements for which a call does not look for the order of memory: to find it takes longer.
cdef int FEW = 1 << 8

# Elements that NumPy copies at once.
cdef int COPIED = 1 << 20


cdef ndarray with_dtype_of(ndarray x, ndarray array):
    # The same array, where it has an equal dtype of another number: longdouble is float64 on some
    # systems.
    if cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(x):
        return array
    return array.view(x.dtype)


cdef ndarray as_input(object x, str name="x", bint real=False):
    cdef ndarray array = x if type(x) is ndarray else as_array(name, x)
    if type_of_array(array) == NULL:
        refuse_dtype(name, x, array, real)
    return array


cdef bint same_dtype(ndarray x, ndarray y):
    return cnp.PyArray_DESCR(x) is cnp.PyArray_DESCR(y) or x.dtype == y.dtype


cdef bint same_shape(ndarray x, ndarray y):
    if cnp.PyArray_NDIM(x) != cnp.PyArray_NDIM(y):
        return False
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_DIM(x, axis) != cnp.PyArray_DIM(y, axis):
            return False
    return True


cdef bint has_shape(ndarray x, tuple shape):
    if cnp.PyArray_NDIM(x) != len(shape):
        return False
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_DIM(x, axis) != <Py_ssize_t>shape[axis]:
            return False
    return True


cdef ndarray as_other(str name, object other, ndarray x, str of="x"):
    cdef ndarray array = other if type(other) is ndarray else as_array(name, other)
    if not (same_dtype(x, array) and same_shape(x, array)):
        refuse_other(name, other, array, of, x)
    return with_dtype_of(x, array)


cdef ndarray as_output(ndarray x, object out, str of="x"):
    cdef ndarray y
    if out is None:
        return PyArray_NewLikeArray(x, cnp.NPY_KEEPORDER, NULL, False)
    if not isinstance(out, ndarray):
        refuse_out(out)
    # Of a subclass, the array beneath, whatever it says of itself.
    y = out if type(out) is ndarray else np.asarray(out)
    if y is not x and not (same_dtype(x, y) and same_shape(x, y)):
        refuse_unlike("out", y, of, x)
    if not cnp.PyArray_ISWRITEABLE(y):
        refuse_out(y)
    return with_dtype_of(x, y)


def check_arrays(x, out, noise_shape, str name="x"):
    """Return x as an array, and the shape of its mask, after all checks of the three."""
    cdef object array = as_input(x, name)
    shape = array.shape
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    if out is not None:
        as_output(array, out, name)
    return array, shape


def settled(ndarray x, out):
    """Return x as it is to be read, and where to write, of checked arguments."""
    cdef ndarray y = as_output(x, out)
    return apart(x, y), y


cdef bint is_plain(ndarray x):
    # What the engine reads and writes directly: C order, aligned, the machine's byte order.
    return cnp.PyArray_ISCARRAY_RO(x)


cdef bint overlap_partly(ndarray x, ndarray y):
    # May they share memory other than element by element?
    cdef char *from_ = <char *>cnp.PyArray_DATA(x)
    cdef char *to = <char *>cnp.PyArray_DATA(y)
    if is_plain(x) and is_plain(y):
        return from_ != to and from_ < to + cnp.PyArray_NBYTES(y) and (
            to < from_ + cnp.PyArray_NBYTES(x)
        )
    if from_ == to and (<object>x).strides == (<object>y).strides:
        return False
    return np.may_share_memory(x, y)


cdef fd_job job_of(fd_operation operation, double scale) noexcept nogil:
    cdef fd_job job
    memset(&job, 0, sizeof(job))
    job.operation = operation
    job.scale = scale
    return job


cdef ndarray apart(ndarray x, ndarray y):
    return x.copy() if x is not y and overlap_partly(x, y) else x


cdef bint all_plain(ndarray x, ndarray other, ndarray y):
    return is_plain(x) and is_plain(y) and (other is None or is_plain(other))


cdef int set_arrays(fd_arrays *arrays, ndarray x, ndarray other, ndarray y) except -1:
    if not (same_shape(x, y) and (other is None or same_shape(x, other))):
        refuse_changed("the arrays have different shapes now")
    arrays.x = <const char *>cnp.PyArray_DATA(x)
    arrays.other = NULL
    if other is not None:
        arrays.other = <const char *>cnp.PyArray_DATA(other)
    arrays.y = <char *>cnp.PyArray_DATA(y)
    return 0


cdef int apply_mask(fd_job *job, fd_any_mask *mask, tuple mask_shape,
                    fd_cursor *cursor, ndarray x, ndarray other, ndarray y) except -1:
    cdef fd_arrays arrays
    cdef fd_broadcast broadcast
    cdef fd_executor pool
    cdef size_t n = cnp.PyArray_SIZE(x)
    if n == 0:
        return 0
    job.kernels = engine.kernels()
    job.mask = mask
    set_type(job, x)
    broadcast.ndim = 0
    if not has_shape(x, mask_shape):
        set_broadcast(&broadcast, mask_shape, (<object>x).shape)
    mask.broadcast = &broadcast if broadcast.ndim else NULL
    set_arrays(&arrays, x, other, y)
    if not all_plain(x, other, y):
        return apply_pieces(job, cursor, x, other, y)
    job.past_caches = engine.are_past_caches(&arrays, <size_t>cnp.PyArray_NBYTES(y))
    pool = engine.pool()
    if n <= FD_TILE:  # sooner done than the GIL is given and taken
        engine.apply(job, cursor, n, arrays, &pool)
    else:
        with nogil:
            engine.apply(job, cursor, n, arrays, &pool)
    return 0


cdef int apply_boxes(fd_job *job, fd_any_mask *mask, tuple mask_shape, tuple axes,
                     ndarray x, ndarray other, ndarray y) except -1:
    cdef fd_arrays arrays
    cdef fd_broadcast broadcast
    cdef fd_executor pool = engine.pool()
    cdef fd_orders orders
    set_arrays(&arrays, x, other, y)
    set_orders(&orders, axes, x, other, y)
    job.kernels = engine.kernels()
    job.mask = mask
    job.past_caches = False
    set_type(job, x)
    set_broadcast(&broadcast, mask_shape, tuple([orders.shape[i] for i in range(orders.ndim)]))
    mask.broadcast = &broadcast if broadcast.ndim else NULL
    with nogil:
        engine.apply_boxes(job, &orders, arrays, &pool)
    return 0


cdef bint is_readable(ndarray x):
    # Aligned, of the machine's byte order, and its steps are whole elements.
    if not cnp.PyArray_ISBEHAVED_RO(x):
        return False
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_STRIDE(x, axis) % cnp.PyArray_ITEMSIZE(x) and cnp.PyArray_DIM(x, axis) > 1:
            return False
    return True


cdef bint fit_boxes(ndarray x, ndarray other, ndarray y):
    cdef int axis
    if not (is_readable(x) and is_readable(y) and (other is None or is_readable(other))):
        return False
    for axis in range(cnp.PyArray_NDIM(y)):
        if cnp.PyArray_DIM(y, axis) > 1:
            if cnp.PyArray_STRIDE(y, axis) == cnp.PyArray_ITEMSIZE(y):
                return True
    return cnp.PyArray_SIZE(y) <= 1


cdef int set_orders(fd_orders *orders, tuple axes, ndarray x, ndarray other, ndarray y) except -1:
    cdef fd_view view = view_of((<object>y).shape, axes)
    cdef int i, axis
    cdef int64_t item = cnp.PyArray_ITEMSIZE(y)
    orders.ndim = view.ndim
    for i, axis in enumerate(axes):
        orders.shape[i], orders.index[i] = view.shape[i], view.stride[i]
        orders.x[i] = cnp.PyArray_STRIDE(x, axis) // item
        orders.other[i] = 0 if other is None else cnp.PyArray_STRIDE(other, axis) // item
        orders.y[i] = cnp.PyArray_STRIDE(y, axis) // item
    return 0


cdef bint needs_order(ndarray x, ndarray other, ndarray y):
    return not all_plain(x, other, y) and cnp.PyArray_SIZE(y) > FEW


cdef tuple axes_of(ndarray y):
    steps = [
        -abs(cnp.PyArray_STRIDE(y, axis)) if cnp.PyArray_DIM(y, axis) > 1 else 0
        for axis in range(cnp.PyArray_NDIM(y))
    ]
    axes = tuple(sorted(range(len(steps)), key=steps.__getitem__))
    if [steps[axis] for axis in axes if steps[axis]] == [step for step in steps if step]:
        return tuple(range(len(steps)))
    return axes


cdef tuple order_of_memory(ndarray y):
    cdef tuple axes
    if is_plain(y) or y.size <= FEW:
        return None
    axes = axes_of(y)
    return None if axes == tuple(range(len(axes))) else axes


cdef fd_view view_of(tuple shape, object axes):
    # The elements of a C-contiguous array of that shape in another order of its axes.
    cdef fd_view view
    cdef int64_t stride = 1
    strides = {}
    for axis in range(len(shape) - 1, -1, -1):
        strides[axis] = stride
        stride *= shape[axis]
    view.offset, view.ndim = 0, len(shape)
    for i, axis in enumerate(axes):
        view.shape[i], view.stride[i] = shape[axis], strides[axis]
    return view


cdef int transpose_into(ndarray x, object axes, ndarray to) except -1:
    cdef fd_view view = view_of((<object>x).shape, axes)
    cdef const char *from_ = <const char *>cnp.PyArray_DATA(x)
    cdef char *target = <char *>cnp.PyArray_DATA(to)
    cdef size_t item = cnp.PyArray_ITEMSIZE(x)
    with nogil:
        engine.gather_items(&view, item, from_, target)
    return 0


cdef ndarray in_c_order(ndarray x):
    # A copy that is plain.
    cdef ndarray there, copy
    cdef tuple axes = order_of_memory(x)
    native = x.dtype.newbyteorder("=")
    if axes is not None:
        there = x.transpose(axes)
        if is_plain(there):
            copy = np.empty((<object>x).shape, native)
            transpose_into(there, np.argsort(axes).tolist(), copy)
            return copy
    return np.array(x, native, order="C")


cdef int copy_from_c_order(ndarray x, ndarray y) except -1:
    # y[...] = x, of a plain x.
    cdef ndarray there
    cdef tuple axes = order_of_memory(y)
    if axes is not None:
        there = y.transpose(axes)
        if is_plain(there):
            return transpose_into(x, axes, there)
    return copy_by_parts(y, x)


cdef int apply_pieces(fd_job *job, fd_cursor *cursor, ndarray x, ndarray other,
                      ndarray y) except -1:
    cdef uint64_t first = 0
    cdef fd_arrays arrays
    cdef size_t n
    cdef ndarray piece
    job.past_caches = False
    # NumPy's iterator takes what is read first and what is written last.
    operands = [x, y] if other is None else [x, other, y]
    if x.ndim == 0:  # NumPy 2.1 never writes back what has no axes
        operands = [operand.reshape(1) for operand in operands]
    if job.dtype == FD_BFLOAT16:  # np.nditer need not know the type
        operands = [
            operand.view(np.dtype(np.uint16).newbyteorder("=" if operand.dtype.isnative else "S"))
            for operand in operands
        ]
    reads = [["readonly", "contig", "aligned", "nbo"]] * (len(operands) - 1)
    with np.nditer(
        operands,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[*reads, ["writeonly", "contig", "aligned", "nbo"]],
        op_dtypes=[operand.dtype.newbyteorder("=") for operand in operands],
        casting="equiv",
        order="C",
        buffersize=PIECE,
    ) as pieces:
        for part in pieces:
            PyErr_CheckSignals()
            piece = part[0]
            n = cnp.PyArray_SIZE(piece)
            arrays.x = <const char *>cnp.PyArray_DATA(piece)
            arrays.other = NULL
            if other is not None:
                piece = part[1]
                arrays.other = <const char *>cnp.PyArray_DATA(piece)
            piece = part[len(part) - 1]
            arrays.y = <char *>cnp.PyArray_DATA(piece)
            with nogil:
                engine.apply_part(job, cursor, first, n, arrays)
            first += n
    return 0


cdef int copy_by_parts(ndarray to, ndarray from_) except -1:
    # np.copyto, which no signal ends, a part at a time: along the axis of the largest steps.
    cdef Py_ssize_t axis, rows, start
    if to.size <= COPIED:
        np.copyto(to, from_)
        return 0
    shape, strides = (<object>to).shape, (<object>to).strides
    steps = [abs(step) * (length > 1) for step, length in zip(strides, shape, strict=True)]
    axis = steps.index(max(steps))
    rows = COPIED * shape[axis] // to.size
    for start in range(0, shape[axis], max(rows, 1)):
        PyErr_CheckSignals()
        index = (slice(None),) * axis + (slice(start, start + rows) if rows else start,)
        copy_by_parts(to[index], from_[index])
    return 0
