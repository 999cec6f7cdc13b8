# SPDX-License-Identifier: BSD-3-Clause
# Design: where the elements of a tensor lie. Tensors are described by PyTorch's table of DLPack
# functions, so that no header of PyTorch is needed, and no attribute of a subclass is believed.
from cpython.object cimport PyObject_TypeCheck, PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

import torch

from fastdrop.apply._dtypes cimport type_of_dlpack
from fastdrop.kernels._kernels cimport FD_MAX_DIMS, engine, fd_arrays, fd_job, fd_orders

# DLTensor and DLPackExchangeAPI of DLPack 1.
cdef struct dl_tensor:
    const char *data
    int32_t device_type, device_id, ndim
    uint8_t type_code, bits
    uint16_t lanes
    int64_t *shape
    int64_t *strides
    uint64_t byte_offset

ctypedef int (*describe_function)(void *tensor, dl_tensor *out) except -1

cdef struct dl_exchange:
    uint32_t major, minor
    void *older
    void *allocator
    void *managed_from_tensor
    void *tensor_from_managed
    describe_function describe
    void *current_stream

cdef dl_exchange *exchange = <dl_exchange *>PyCapsule_GetPointer(
    torch.Tensor.__dlpack_c_exchange_api__, "dlpack_exchange_api"
)
if exchange.major != 1:
    raise ImportError(
        f"PyTorch must have DLPack 1, not {exchange.major}, which {torch.__version__} has"
    )

cdef object TENSOR = torch.Tensor
cdef enum:
    DL_CPU = 1


cdef int describe_strided(object x, strided *out) except -1:
    """Describe any tensor of the CPU."""
    cdef dl_tensor t
    cdef size_t n = 1, span = 1
    if not PyObject_TypeCheck(x, <PyTypeObject *>TENSOR):
        raise TypeError(f"{type(x).__name__} is no tensor of PyTorch")
    exchange.describe(<void *>x, &t)
    for axis in range(t.ndim):
        n *= <size_t>t.shape[axis]
        span += <size_t>((t.shape[axis] - 1) * t.strides[axis])
    out.is_dense = n == 0 or span == n
    out.ndim, out.shape, out.stride = t.ndim, t.shape, t.strides
    if n and (t.device_type != DL_CPU or t.lanes != 1 or t.data == NULL):
        refuse_memory(out)
    out.all.data, out.all.n, out.all.code, out.all.bits = (
        t.data + t.byte_offset, n, t.type_code, t.bits
    )
    out.all.type = type_of_dlpack(t.type_code, t.bits)
    out.all.row = <size_t>t.shape[t.ndim - 1] if t.ndim else 1
    return 0


cdef int refuse_memory(const strided *x) except -1:
    shape = tuple([x.shape[axis] for axis in range(x.ndim)])
    raise RuntimeError(
        f"a tensor of shape {shape} is not dense in memory of the CPU, or its storage was freed"
    )


cdef int describe(object x, dense *out) except -1:
    """Describe a tensor whose elements follow each other in memory, in whatever order of axes."""
    cdef strided described
    describe_strided(x, &described)
    if not described.is_dense:
        refuse_memory(&described)
    out[0] = described.all
    return 0


cdef bint lie_alike(const strided *x, const strided *y) noexcept:
    for axis in range(x.ndim):
        if x.stride[axis] != y.stride[axis] and x.shape[axis] != 1:
            return False
    return True


cdef bint lies_as(const strided *x, tuple strides) except -1:
    if len(strides) != x.ndim:
        raise RuntimeError(f"a tensor of {x.ndim} axes is under a mask of {len(strides)}")
    for axis in range(x.ndim):
        if x.shape[axis] != 1 and x.stride[axis] != <int64_t>strides[axis]:
            return False
    return True


# ---- for a call -----------------------------------------------------------------------------

cdef int set_orders(fd_orders *orders, tuple axes, tuple index, const strided *x,
                    const strided *other, const strided *y) except -1:
    """Tell the engine where three tensors lie; ``index`` are the steps of what is numbered."""
    cdef int i, axis
    orders.ndim = y.ndim
    for i, axis in enumerate(axes):
        orders.shape[i], orders.index[i] = y.shape[axis], index[axis]
        orders.x[i], orders.other[i] = x.stride[axis], other.stride[axis]
        orders.y[i] = y.stride[axis]
    return 0


cdef int check_alike(x, const strided *of_x, const strided *of_other,
                     const strided *of_y) except -1:
    """Check tensors of one call: one shape, a dtype that there are kernels for, y dense."""
    if of_x.all.type == NULL:
        raise TypeError(f"x has dtype {x.dtype}; it must be of floats or complex numbers")
    for other in range(2):
        that = of_other if other else of_y
        if that.all.type != of_x.all.type or that.ndim != of_x.ndim or not of_y.is_dense:
            refuse_tensor(of_x)
        for axis in range(that.ndim):
            if that.shape[axis] != of_x.shape[axis]:
                refuse_tensor(of_x)
    if of_x.ndim > FD_MAX_DIMS:
        refuse_tensor(of_x)
    return 0


cdef int refuse_tensor(const strided *x) except -1:
    raise RuntimeError(
        f"a tensor of {x.all.n} elements is not of the shape and dtype of another, or not dense"
    )


cdef void set_tensors(fd_job *job, fd_arrays *arrays, const strided *x, const strided *y) noexcept:
    job.kernels = engine.kernels()
    job.dtype, job.components = x.all.type.dtype, x.all.type.components
    arrays.x, arrays.other, arrays.y = x.all.data, NULL, <char *>y.all.data
