# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.kernels._kernels cimport fd_threshold


# p * 2**64 is never rounded: the probabilities are exact.
cdef fd_threshold drop_threshold(double p) noexcept
cdef fd_threshold keep_threshold(double keep_prob) noexcept
