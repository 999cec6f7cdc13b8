# SPDX-License-Identifier: BSD-3-Clause
# Design: contiguous arrays go to the engine as they are, on all threads. Everything else
# (strides, orders, byte orders) is NumPy's business: np.nditer hands out contiguous pieces in
# C order, and the engine takes those one by one.
from libc.stdint cimport int64_t, uint64_t

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import check_noise_shape

from fastdrop.kernels._kernels cimport (
    FD_BFLOAT16,
    FD_FLOAT16,
    FD_FLOAT32,
    FD_FLOAT64,
    FD_TILE,
    active_kernels,
    apply_all,
    apply_part,
    cache_bytes,
    fd_application,
    fd_broadcast,
    fd_cursor,
    fd_any_mask,
)

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    ndarray PyArray_NewLikeArray(ndarray prototype, cnp.NPY_ORDER order, void *dtype, int subok)


# Elements that np.nditer hands out at once: few enough for the caches, enough to forget the call.
cdef int PIECE = 1 << 15


cdef bint is_bfloat16(cnp.dtype dtype):
    return dtype.itemsize == 2 and dtype.name == "bfloat16"


cdef bint is_supported(ndarray x):
    cdef int number = cnp.PyArray_TYPE(x)
    if number in (cnp.NPY_FLOAT, cnp.NPY_DOUBLE, cnp.NPY_FLOAT16, cnp.NPY_CFLOAT, cnp.NPY_CDOUBLE):
        return True
    return is_bfloat16(x.dtype)


cdef int set_dtype(fd_application *application, ndarray x) except -1:
    cdef int number = cnp.PyArray_TYPE(x)
    application.components = 2 if number in (cnp.NPY_CFLOAT, cnp.NPY_CDOUBLE) else 1
    if number == cnp.NPY_FLOAT or number == cnp.NPY_CFLOAT:
        application.dtype = FD_FLOAT32
    elif number == cnp.NPY_DOUBLE or number == cnp.NPY_CDOUBLE:
        application.dtype = FD_FLOAT64
    elif number == cnp.NPY_FLOAT16:
        application.dtype = FD_FLOAT16
    else:
        application.dtype = FD_BFLOAT16
    return 0


cdef ndarray as_input(object x):
    cdef ndarray array = x if type(x) is ndarray else np.asarray(x)
    if not is_supported(array):
        raise TypeError(
            f"x has dtype {array.dtype}; allowed are float16, bfloat16, float32, float64, "
            "complex64 and complex128"
        )
    return array


cdef bint same_shape(ndarray x, ndarray y):
    if cnp.PyArray_NDIM(x) != cnp.PyArray_NDIM(y):
        return False
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_DIM(x, axis) != cnp.PyArray_DIM(y, axis):
            return False
    return True


cdef ndarray as_output(ndarray x, object out):
    cdef ndarray y
    if out is None:
        return PyArray_NewLikeArray(x, cnp.NPY_KEEPORDER, NULL, False)
    if not isinstance(out, ndarray):
        raise TypeError(f"out is a {type(out).__name__}; allowed are NumPy arrays")
    y = out
    if y is x:
        pass
    elif cnp.PyArray_DESCR(y) is not cnp.PyArray_DESCR(x) and y.dtype != x.dtype:
        raise TypeError(f"out has dtype {y.dtype}; allowed is x's dtype, {x.dtype}")
    elif not same_shape(x, y):
        raise ValueError(f"out has shape {out.shape}; allowed is x's shape, {(<object>x).shape}")
    if not cnp.PyArray_ISWRITEABLE(y):
        raise ValueError("out is read-only; allowed are writeable arrays")
    return y


def check_arrays(x, out, noise_shape):
    """Return x as an array, and the shape of its mask, after all checks of the three."""
    cdef object array = as_input(x)
    shape = array.shape
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    if out is not None:
        as_output(array, out)
    return array, shape


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


cdef int set_broadcast(fd_broadcast *broadcast, tuple mask_shape, tuple shape) except -1:
    # Strides in bits of the mask, 0 along the axes that it lacks; axes that go on are merged.
    cdef int axis, ndim = 0, missing = len(shape) - len(mask_shape)
    cdef int64_t stride = 1, length, mask_length, axis_stride
    broadcast.ndim = 0
    if mask_shape == shape:
        return 0
    for axis in range(len(shape) - 1, -1, -1):
        length = shape[axis]
        mask_length = mask_shape[axis - missing] if axis >= missing else 1
        axis_stride = stride if mask_length > 1 else 0
        stride *= mask_length
        if length == 1:
            continue
        if ndim and axis_stride == broadcast.stride[ndim - 1] * broadcast.shape[ndim - 1]:
            broadcast.shape[ndim - 1] *= length
            continue
        broadcast.shape[ndim] = length
        broadcast.stride[ndim] = axis_stride
        ndim += 1
    for axis in range(ndim // 2):  # collected from the last axis on
        length, axis_stride = broadcast.shape[axis], broadcast.stride[axis]
        broadcast.shape[axis] = broadcast.shape[ndim - 1 - axis]
        broadcast.stride[axis] = broadcast.stride[ndim - 1 - axis]
        broadcast.shape[ndim - 1 - axis] = length
        broadcast.stride[ndim - 1 - axis] = axis_stride
    broadcast.ndim = 0 if ndim == 1 and broadcast.stride[0] == 1 else ndim
    return 0


cdef int apply_mask(fd_any_mask *mask, tuple mask_shape, double scale, fd_cursor *cursor, ndarray x,
                    ndarray y) except -1:
    cdef fd_application application
    cdef size_t n = cnp.PyArray_SIZE(x)
    cdef void *from_ = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(y)
    if n == 0:
        return 0
    application.kernels = active_kernels()
    application.mask = mask
    application.scale = scale
    set_dtype(&application, x)
    set_broadcast(&mask.broadcast, mask_shape, (<object>x).shape)
    if x is not y and overlap_partly(x, y):
        x = x.copy()
        from_ = cnp.PyArray_DATA(x)
    # Where x and y do not fit into the last-level cache together.
    application.past_caches = from_ != to and 2 * <size_t>cnp.PyArray_NBYTES(y) > cache_bytes()
    if is_plain(x) and is_plain(y):
        if n <= FD_TILE:  # sooner done than the GIL is given and taken
            apply_all(&application, cursor, n, from_, to)
        else:
            with nogil:
                apply_all(&application, cursor, n, from_, to)
    else:
        apply_pieces(&application, cursor, x, y)
    return 0


cdef int apply_pieces(fd_application *application, fd_cursor *cursor, ndarray x,
                      ndarray y) except -1:
    cdef uint64_t first = 0
    cdef size_t n
    cdef ndarray from_, to
    application.past_caches = False
    if x.ndim == 0:  # NumPy 2.1 never writes back what has no axes
        x, y = x.reshape(1), y.reshape(1)
    if application.dtype == FD_BFLOAT16:  # np.nditer need not know the type
        number = np.dtype(np.uint16) if x.dtype.isnative else np.dtype(np.uint16).newbyteorder()
        x, y = x.view(number), y.view(number)
    with np.nditer(
        [x, y],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[
            ["readonly", "contig", "aligned", "nbo"],
            ["writeonly", "contig", "aligned", "nbo"],
        ],
        op_dtypes=[x.dtype.newbyteorder("="), y.dtype.newbyteorder("=")],
        casting="equiv",
        order="C",
        buffersize=PIECE,
    ) as pieces:
        for from_, to in pieces:
            n = cnp.PyArray_SIZE(from_)
            with nogil:
                apply_part(application, cursor, first, n, cnp.PyArray_DATA(from_),
                           cnp.PyArray_DATA(to))
            first += n
    return 0
