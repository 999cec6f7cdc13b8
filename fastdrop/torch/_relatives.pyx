# SPDX-License-Identifier: BSD-3-Clause
# Design: what tensors need of the engine beyond `TensorMask.apply`: factors that are normal
# numbers, a choice between two tensors, and decisions as an array.
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport (
    FD_SELECT,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_orders,
)
from fastdrop.apply._apply cimport job_of
from fastdrop.apply._broadcast cimport Broadcast
from fastdrop.mask._decisions cimport Decisions
from fastdrop.torch._memory cimport (
    check_alike,
    describe_strided,
    lie_alike,
    lies_as,
    set_orders,
    set_tensors,
    strided,
)
from fastdrop.torch._tensor cimport TensorMask
from fastdrop.torch._tensor import laid_over

cnp.import_array()


cdef class NormalMask(TensorMask):
    """A mask that multiplies each element by a normal number of mean 1.

    Made by `normal_mask`. It is a place in a stream, of which an element takes four bytes.
    """

    cdef float deviation

    def repeated(self, Py_ssize_t count):
        """Return the mask of ``count`` tensors, along a first axis: each of them has this mask."""
        cdef NormalMask mask = normal_mask(self, self.deviation)
        mask.strides = (0, *self.strides)
        return mask

    def apply(self, x, y, size_t threads):
        """Write ``x * factor`` to ``y``: as `TensorMask.apply`."""
        cdef strided of_x, of_y
        cdef fd_job job
        cdef fd_any_mask mask
        cdef fd_arrays arrays
        cdef fd_orders orders
        cdef fd_cursor cursor
        cdef fd_executor executor = engine.lent(threads)
        cdef Broadcast laid
        cdef tuple axes, shape
        describe_strided(x, &of_x)
        describe_strided(y, &of_y)
        check_alike(x, &of_x, &of_x, &of_y)
        if of_y.all.n == 0:
            return
        memset(&job, 0, sizeof(job))
        memset(&cursor, 0, sizeof(cursor))
        mask.seeded, mask.each = self.decisions.seeded, NULL
        mask.packed, mask.broadcast = NULL, NULL
        set_tensors(&job, &arrays, &of_x, &of_y)
        job.mask = &mask
        job.deviation = self.deviation
        if lie_alike(&of_x, &of_y) and lies_as(&of_y, self.strides):
            self.check_decisions(4 * of_y.all.n)
            with nogil:
                engine.multiply(&job, &cursor, of_y.all.n, arrays, &executor)
            return
        shape = tuple([of_y.shape[axis] for axis in range(of_y.ndim)])
        axes, laid = laid_over(
            shape, tuple([of_y.stride[axis] for axis in range(of_y.ndim)]), self.strides
        )
        self.check_decisions(4 * laid.shared)
        set_orders(&orders, axes, self.strides, &of_x, &of_x, &of_y)
        with nogil:
            engine.multiply_boxes(&job, &cursor, &orders, arrays, &executor)


cdef Decisions place_of(TensorMask mask):
    """Return the decisions of a mask that is a place in a stream, and nothing else."""
    if mask.decisions.padded is not None:
        raise RuntimeError("a mask with bits is no place in a stream")
    return mask.decisions


def normal_mask(TensorMask place, double deviation):
    """Return the mask of normal numbers of mean 1, made of the bytes from a place on.

    Parameters
    ----------
    place : TensorMask
        The mask of bytes that a call would draw at this place; it has no bits.
    deviation : float
        Standard deviation of the factors.

    Returns
    -------
    mask : NormalMask
    """
    cdef NormalMask mask = NormalMask.__new__(NormalMask)
    mask.decisions, mask.strides = place_of(place), place.strides
    mask.scale, mask.shift, mask.dropped = 1.0, 0.0, 0.0
    mask.deviation = <float>deviation
    return mask


def select(TensorMask mask, x, other, y, size_t threads):
    """Write ``kept ? x : other`` to ``y``; otherwise as `TensorMask.apply`."""
    cdef fd_job job = job_of(FD_SELECT, 1.0)
    mask.run(&job, x, other, y, threads)


def kept_by(TensorMask place, tuple shape):
    """Return the decisions from a place on as an array of bools, True where kept."""
    cdef ndarray kept = np.empty(shape, np.bool_)
    cdef Decisions decisions = place_of(place)
    cdef fd_cursor cursor = decisions.start
    cdef fd_executor alone = engine.lent(1)
    decisions.draw(
        cnp.PyArray_DATA(kept), True, <size_t>cnp.PyArray_SIZE(kept), &cursor, &alone
    )
    return kept
