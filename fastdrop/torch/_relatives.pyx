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
    fd_number_size,
)
from fastdrop.apply._apply cimport job_of
from fastdrop.mask._decisions cimport Decisions
from fastdrop.torch._memory cimport dense, describe
from fastdrop.torch._tensor cimport TensorMask

cnp.import_array()


cdef class NormalMask(TensorMask):
    """A mask that multiplies each element by a normal number of mean 1.

    Made by `normal_mask`. It is a place in a stream, of which an element takes four bytes.
    """

    cdef float deviation
    cdef size_t count  # of tensors in a row that have the same factors

    def repeated(self, Py_ssize_t count, Py_ssize_t size):
        """Return the mask of ``count`` tensors in a row, each of which has this mask."""
        cdef NormalMask mask = normal_mask(self, self.deviation)
        mask.strides = (size, *self.strides)
        mask.count = self.count * count
        return mask

    def apply(self, x, y, size_t threads):
        """Write ``x * factor`` to ``y``: dense tensors with `strides`, which may be the same."""
        cdef dense of_x, of_y
        cdef fd_job job
        cdef fd_any_mask mask
        cdef fd_arrays arrays
        cdef fd_cursor cursor
        cdef fd_executor executor = engine.lent(threads)
        cdef size_t n, bytes_, _tensor
        describe(x, &of_x)
        describe(y, &of_y)
        n = of_x.n
        if of_x.type == NULL:
            raise TypeError(f"x has dtype {x.dtype}; it must be of floats or complex numbers")
        if of_y.n != n or of_y.type != of_x.type or self.count == 0 or n % self.count:
            raise RuntimeError(f"a tensor of {n} elements is not of the mask's size and dtype")
        if n == 0:
            return
        n //= self.count
        memset(&job, 0, sizeof(job))
        mask.seeded, mask.each = self.decisions.seeded, NULL
        mask.packed, mask.broadcast = NULL, NULL
        job.kernels, job.mask = engine.kernels(), &mask
        job.deviation = self.deviation
        job.dtype, job.components = of_x.type.dtype, of_x.type.components
        bytes_ = n * fd_number_size(job.dtype) * <size_t>job.components
        arrays.x, arrays.other, arrays.y = of_x.data, NULL, <char *>of_y.data
        with nogil:
            for _tensor in range(self.count):
                memset(&cursor, 0, sizeof(cursor))
                engine.multiply(&job, &cursor, n, arrays, &executor)
                arrays.x += bytes_
                arrays.y += bytes_


cdef Decisions place_of(TensorMask mask):
    """Return the decisions of a mask that is a place in a stream, and nothing else."""
    if mask.decisions.padded is not None or mask.broadcast is not None:
        raise RuntimeError("a mask with bits or shared decisions is no place in a stream")
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
    mask.count = 1
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
