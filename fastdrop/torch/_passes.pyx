# SPDX-License-Identifier: BSD-3-Clause
# Design: what fused functions need of the engine: dropout with its neighbours, over tensors in C
# order, forward and backward.
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport job_of
from fastdrop.kernels._kernels cimport (
    FD_FLOAT32,
    FD_FLOAT64,
    engine,
    fd_any_mask,
    fd_cursor,
    fd_dtype,
    fd_executor,
    fd_job,
    fd_norm,
    fd_operation,
)
from fastdrop.mask._activate import BACKWARD, OPERATIONS
from fastdrop.torch._memory cimport dense, describe
from fastdrop.torch._tensor cimport TensorMask, set_bias

cnp.import_array()


def activate(TensorMask mask, str name, x, bias, y, size_t threads):
    """Write ``kept ? activation(x + bias) * scale : 0`` to ``y``; otherwise as `TensorMask.add`."""
    cdef fd_job job = job_of(<fd_operation><int>OPERATIONS[name], mask.scale)
    set_bias(&job, bias, y)
    mask.run(&job, x, None, y, threads)


def activate_backward(TensorMask mask, str name, dy, x, bias, dx, size_t threads):
    """Write ``kept ? dy * scale * derivative(x + bias) : 0`` to ``dx``; otherwise likewise."""
    cdef fd_job job = job_of(<fd_operation><int>BACKWARD[name], mask.scale)
    set_bias(&job, bias, dx)
    mask.run(&job, x, dy, dx, threads)


cdef const char *elements(x, const dense *like) except? NULL:
    # Where a tensor of as many elements of one dtype is; None has no address.
    cdef dense of_x
    if x is None:
        return NULL
    describe(x, &of_x)
    if of_x.n != like.n or of_x.type != like.type or of_x.row != like.row:
        raise RuntimeError(f"a tensor of {of_x.n} elements is not of x's shape and dtype")
    return of_x.data


cdef char *numbers(row, const dense *like) except? NULL:
    # Where the numbers of one row are.
    cdef dense of_row
    cdef fd_dtype dtype = FD_FLOAT64 if like.type.dtype == FD_FLOAT64 else FD_FLOAT32
    if row is None:
        return NULL
    describe(row, &of_row)
    if of_row.n != like.row or of_row.type == NULL or (
        of_row.type.dtype != dtype or of_row.type.components != 1
    ):
        raise RuntimeError(f"a row of {of_row.n} numbers is not of x's last axis")
    return <char *>of_row.data


cdef class Norm:
    """A norm of the last axis of ``dropout(x + linear_bias) + residual``.

    Parameters
    ----------
    mask : TensorMask or None
        A mask in C order; None keeps everything.
    x, residual : torch.Tensor
        In C order; x may be None, and then the residual is the sum.
    weight, linear_bias : torch.Tensor or None
        Of one row, of float64 for float64, else of float32, as all rows are here.
    centered : bool
        Layer norm; else RMS norm.
    eps : float
        Added to the variance.
    threads : int
        The most threads to use.
    inner : int, default 0
        Of x, dx and the mask, whose rows have another order: how many of them are neighbours along
        the axis that is the first of all other tensors. 0: the same order.
    """

    cdef fd_norm norm
    cdef dense like
    cdef TensorMask mask
    cdef object held
    cdef size_t threads

    def __init__(self, TensorMask mask, x, residual, weight, linear_bias, bint centered,
                 double eps, size_t threads, size_t inner=0):
        memset(&self.norm, 0, sizeof(self.norm))
        describe(residual, &self.like)
        if self.like.type == NULL or self.like.type.components != 1 or self.like.row == 0:
            raise RuntimeError("a norm needs rows of real floats")
        if mask is not None and (
            mask.numbers is not None or self.like.n > <size_t>mask.decisions.size
        ):
            raise RuntimeError("a norm needs a mask with a decision for each element")
        self.mask, self.threads = mask, threads
        self.held = x, residual, weight, linear_bias
        self.norm.kernels = engine.kernels()
        self.norm.dtype, self.norm.centered, self.norm.eps = self.like.type.dtype, centered, eps
        self.norm.scale = 1.0 if mask is None else mask.scale
        self.norm.width = self.like.row
        self.norm.rows = self.like.n // self.like.row
        if inner and self.norm.rows % inner:
            raise RuntimeError(f"{self.norm.rows} rows are not made of {inner}")
        self.norm.inner = inner
        self.norm.x, self.norm.residual = elements(x, &self.like), self.like.data
        self.norm.weight = numbers(weight, &self.like)
        self.norm.linear_bias = numbers(linear_bias, &self.like)

    def forward(self, bias, y, total):
        """Write the norm to ``y``, and the sum to ``total`` unless that is None."""
        self.norm.bias = numbers(bias, &self.like)
        self.norm.y = <char *>elements(y, &self.like)
        self.norm.sum = <char *>elements(total, &self.like)
        self.run(False)

    def backward(self, dy, dtotal, dx, dresidual, dweight, dbias, dlinear_bias):
        """Write the gradients that are not None; those of rows are float64 or float32."""
        self.norm.dy = elements(dy, &self.like)
        self.norm.dsum = elements(dtotal, &self.like)
        self.norm.dx = <char *>elements(dx, &self.like)
        self.norm.dresidual = <char *>elements(dresidual, &self.like)
        self.norm.dweight = numbers(dweight, &self.like)
        self.norm.dbias = numbers(dbias, &self.like)
        self.norm.dlinear_bias = numbers(dlinear_bias, &self.like)
        self.run(True)

    cdef int run(self, bint backward) except -1:
        cdef fd_any_mask any_mask
        cdef fd_cursor cursor
        cdef fd_executor executor = engine.lent(self.threads), alone = engine.lent(1)
        cdef ndarray room, _held
        cdef char *to
        if self.like.n == 0:
            return 0
        memset(&cursor, 0, sizeof(cursor))
        if self.mask is not None:
            cursor = self.mask.decisions.start
            _held = self.mask.decisions.tell(&any_mask, 0, &cursor, None, &alone)
            self.norm.mask = &any_mask
        room = np.empty(engine.norm_room(&self.norm, backward, &executor), np.uint8)
        to = <char *>cnp.PyArray_DATA(room)
        with nogil:
            engine.norm_rows(&self.norm, backward, &cursor, to, &executor)
        return 0
