# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.apply._broadcast cimport Broadcast
from fastdrop.kernels._kernels cimport fd_job, fd_seeded
from fastdrop.mask._decisions cimport Decisions
from fastdrop.mask._probability cimport Numbers
from fastdrop.torch._memory cimport dense


# Where in a stream four 64-bit words are: key, counter (low, high) and position. The threshold is
# yet to be set.
cdef void place_at_words(const dense *words, fd_seeded *seeded) noexcept


# Has the job add a bias to x: None, or numbers as of TensorMask.add.
cdef int set_bias(fd_job *job, bias, x) except -1


cdef class TensorMask:
    cdef Decisions decisions
    cdef Numbers numbers  # of the elements' own; None: scale is that of all
    cdef tuple shape  # of tensors, over which the numbers are laid; else None
    cdef readonly tuple strides
    cdef readonly Broadcast broadcast
    cdef readonly double scale, shift, dropped
    cdef TensorMask copy(self)
    cdef int run(self, fd_job *job, x, other, y, size_t threads) except -1
    cdef size_t needed(self, size_t n) except? 0
