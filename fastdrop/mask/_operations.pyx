# SPDX-License-Identifier: BSD-3-Clause
# Design: what the functions beyond plain dropout do with a mask, in one pass over memory: draw it,
# and apply it in another way than y = kept ? x * scale : 0.
from libc.stdint cimport uint64_t

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import check_bias, check_noise_shape, refuse_complex

from fastdrop.apply._apply cimport (
    apart,
    as_input,
    as_other,
    as_output,
    job_of,
    order_of_memory,
)
from fastdrop.kernels._kernels cimport (
    FD_ADD,
    FD_ADD_BIAS,
    FD_AFFINE,
    FD_RELU,
    FD_RELU_BIAS,
    FD_SCALE,
    FD_SELECT,
    FD_TILE,
    fd_cursor,
    fd_job,
)
from fastdrop.mask._bits cimport padded_bits
from fastdrop.mask._draw cimport run_first
from fastdrop.mask._draw import kept_mask
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._probability cimport Probability

cnp.import_array()


cdef ndarray as_real(object x):
    cdef ndarray array = as_input(x, "x", True)
    if cnp.PyArray_ISCOMPLEX(array):
        refuse_complex("x", array)
    return array


cdef ndarray repeated_bias(object bias, ndarray x):
    # The bias, followed by at least a tile of its repetition: a tile may start at any element.
    cdef ndarray rows
    bias = check_bias(bias, x)
    rows = np.empty((FD_TILE // max(bias.size, 1) + 2, bias.size), bias.dtype.newbyteorder("="))
    rows[:] = bias
    return rows


cdef uint64_t steps_of_last_axis(ndarray y) except 0:
    # The elements from one index of the last axis to the next, in the order in which y is written.
    cdef uint64_t steps = 1
    cdef int axis, last = cnp.PyArray_NDIM(y) - 1
    cdef tuple axes = order_of_memory(y)
    if axes is not None:
        for axis in axes[axes.index(last) + 1 :]:
            steps *= <uint64_t>cnp.PyArray_DIM(y, axis)
    return steps


cdef ndarray set_bias(fd_job *job, object bias, ndarray x, ndarray y):
    cdef ndarray rows
    if bias is None:
        return None
    rows = repeated_bias(bias, x)
    job.bias = <const char *>cnp.PyArray_DATA(rows)
    job.bias_period = cnp.PyArray_DIM(rows, 1)
    job.bias_repeats = steps_of_last_axis(y)
    return rows


cdef Mask run_all(fd_job *job, ndarray x, ndarray other, ndarray y, object source,
                  tuple shape, Probability probability, double scale):
    cdef Mask mask
    cdef fd_cursor cursor
    if source is not None:
        return run_first(job, x, other, y, source, shape, probability, scale)
    mask = kept_mask(shape, 1.0)
    cursor = mask.start
    x = apart(x, y)
    if other is not None:
        other = apart(other, y)
    mask.run(job, x, other, y, &cursor, None)
    return mask


def affine(x, out, Probability probability, source, noise_shape, double scale, double shift,
           double dropped):
    """Return (y, mask) with ``y = kept ? x * scale + shift : dropped``.

    Without a source, y is x.
    """
    cdef fd_job job = job_of(FD_AFFINE, scale)
    cdef ndarray from_ = as_real(x)
    cdef ndarray to
    cdef Mask mask
    shape = (<object>from_).shape
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    if source is None and out is None:
        return from_, kept_mask(shape, 1.0)
    to = as_output(from_, out)
    if source is None:
        job = job_of(FD_SCALE, 1.0)
    job.shift, job.dropped = shift, dropped
    mask = run_all(&job, from_, None, to, source, shape, probability, scale)
    return to if out is None else out, mask


def add(x, residual, bias, out, Probability probability, source, noise_shape):
    """Return (y, mask) with ``y = residual + (kept ? (x + bias) * scale : 0)``."""
    cdef fd_job job
    cdef ndarray from_ = as_input(x)
    cdef ndarray other = as_other("residual", residual, from_)
    cdef ndarray _rows
    cdef ndarray to = as_output(from_, out)
    cdef double scale = 1.0 if source is None else probability.factor
    cdef tuple shape = (<object>from_).shape
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    job = job_of(FD_ADD if bias is None else FD_ADD_BIAS, scale)
    _rows = set_bias(&job, bias, from_, to)
    mask = run_all(&job, from_, other, to, source, shape, probability, scale)
    return to if out is None else out, mask


def zoneout(new, old, out, Probability probability, source, noise_shape):
    """Return (y, mask) with ``y = kept ? new : old``. Without source, y is their mean."""
    cdef fd_job job
    cdef ndarray from_ = as_input(new, "new")
    cdef ndarray other = as_other("old", old, from_, "new")
    cdef ndarray to = as_output(from_, out, "new")
    cdef tuple shape = (<object>from_).shape
    cdef Mask mask
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    if source is None:
        job = job_of(FD_ADD, probability.keep)
        other = kept_mask(shape, probability.drop).apply(other)
        run_all(&job, from_, other, to, source, shape, probability, 1.0)
        mask = kept_mask(shape, probability.keep)
    else:
        job = job_of(FD_SELECT, 1.0)
        mask = run_first(&job, from_, other, to, source, shape, probability, 1.0)
    mask.of_zoneout = True
    return to if out is None else out, mask


def zoneout_gradients(ndarray dy, Mask mask):
    """Return ``kept ? dy * scale : 0`` and ``kept ? dy * (1 - scale) : dy``."""
    return mask.applied(dy, None, "dy"), rest_of(dy, mask)


cdef ndarray rest_of(ndarray dy, Mask mask):
    # What `zoneout` owes to the old state.
    cdef fd_job job = job_of(FD_SELECT, 1.0)
    cdef fd_cursor cursor = mask.start
    cdef ndarray to
    if mask.factor != 1.0:  # of evaluation, where everything is kept
        return kept_mask(mask.shape, 1.0 - mask.factor).apply(dy)
    to = as_output(dy, None)
    mask.run(&job, np.zeros_like(dy), dy, to, &cursor, None)
    return to


def relu(x, bias, out, Probability probability, source):
    """Return (y, mask) with ``y = kept and not x <= 0 ? x * scale : 0``.

    With a bias, x is ``x + bias``.
    """
    cdef fd_job job
    cdef ndarray _rows
    cdef ndarray from_ = as_real(x)
    cdef ndarray to = as_output(from_, out)
    cdef tuple shape = (<object>from_).shape
    cdef double scale = 1.0 if source is None else probability.factor
    cdef Mask mask
    cdef ndarray bits = padded_bits(from_.size)
    bits[:] = 0
    job = job_of(FD_RELU if bias is None else FD_RELU_BIAS, scale)
    _rows = set_bias(&job, bias, from_, to)
    job.changed = <cnp.uint8_t *>cnp.PyArray_DATA(bits)
    mask = run_all(&job, from_, None, to, source, shape, probability, scale)
    return to if out is None else out, mask.with_bits(bits)
