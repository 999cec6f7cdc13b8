# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.kernels._kernels cimport fd_arrays, fd_executor, fd_job, fd_seeded
from fastdrop.mask._decisions cimport Decisions
from fastdrop.mask._probability cimport Numbers
from fastdrop.torch._memory cimport dense, strided


# Where in a stream four 64-bit words are: key, counter (low, high) and position. The threshold is
# yet to be set.
cdef void place_at_words(const dense *words, fd_seeded *seeded) noexcept


# Has the job add a bias, None or numbers as of TensorMask.add, to what it writes to y.
cdef int set_bias(fd_job *job, bias, y) except -1


cdef class TensorMask:
    cdef Decisions decisions
    cdef Numbers numbers  # of the elements' own; None: scale is that of all
    cdef tuple shape  # of tensors, over which the numbers are laid; else None
    cdef readonly tuple strides
    cdef readonly double scale, shift, dropped
    cdef TensorMask copy(self)
    cdef int run(self, fd_job *job, x, other, y, size_t threads) except -1
    cdef int run_laid(self, fd_job *job, fd_arrays arrays, const strided *x, const strided *other,
                      const strided *y, bint alike, const fd_executor *executor) except -1
    cdef int check_decisions(self, size_t n) except -1
