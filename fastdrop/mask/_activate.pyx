# SPDX-License-Identifier: BSD-3-Clause
# Design: gelu and silu with dropout in one pass over memory, and their derivatives. Backward makes
# the mask again, and computes the derivative from x.
cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import check_broadcast, refuse_each_p

from fastdrop.apply._apply cimport apart, as_other, as_output, has_shape, job_of
from fastdrop.kernels._kernels cimport (
    FD_GELU,
    FD_GELU_BACKWARD,
    FD_GELU_TANH,
    FD_GELU_TANH_BACKWARD,
    FD_SILU,
    FD_SILU_BACKWARD,
    fd_cursor,
    fd_job,
    fd_operation,
)
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._operations cimport as_real, run_all, set_bias
from fastdrop.mask._probability cimport Probability, multiplier

cnp.import_array()

OPERATIONS = {"gelu": FD_GELU, "gelu_tanh": FD_GELU_TANH, "silu": FD_SILU}
BACKWARD = {
    "gelu": FD_GELU_BACKWARD,
    "gelu_tanh": FD_GELU_TANH_BACKWARD,
    "silu": FD_SILU_BACKWARD,
}


def activate(str name, x, bias, out, Probability probability, source):
    """Return (y, mask) with ``y = kept ? activation(x + bias) * scale : 0``."""
    cdef double scale = 1.0 if source is None else probability.factor
    cdef fd_job job = job_of(<fd_operation><int>OPERATIONS[name], scale)
    cdef ndarray from_ = as_real(x)
    cdef ndarray to = as_output(from_, out)
    cdef ndarray _rows = set_bias(&job, bias, from_, to)
    cdef tuple shape = (<object>from_).shape
    cdef Mask mask = run_all(&job, from_, None, to, source, shape, probability, scale)
    return to if out is None else out, mask


def activate_backward(str name, dy, x, bias, out, Mask mask):
    """Return ``kept ? dy * scale * derivative(x + bias) : 0``."""
    cdef fd_job job = job_of(
        <fd_operation><int>BACKWARD[name], multiplier(mask.factor, mask.drop)
    )
    cdef ndarray from_ = as_real(x)
    cdef ndarray other = as_other("dy", dy, from_)
    cdef ndarray to = as_output(from_, out)
    cdef ndarray _rows = set_bias(&job, bias, from_, to)
    cdef fd_cursor cursor = mask.start
    if not has_shape(from_, mask.shape):
        check_broadcast("mask shape", mask.shape, (<object>from_).shape, "x")
    if mask.numbers is not None and mask.numbers.scales_each():
        refuse_each_p()
    mask.run(&job, apart(from_, to), apart(other, to), to, &cursor, None)
    return to if out is None else out
