# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport uint64_t
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_job
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._probability cimport Probability

# Checks x, any array-like of real floats.
cdef ndarray as_real(object x)

# Has the job add a bias to x, which is checked, where y is written; keep what is returned. None: no
# bias.
cdef ndarray set_bias(fd_job *job, object bias, ndarray x, ndarray y)

# As `run_first`; without a source nothing is drawn, and everything kept.
cdef Mask run_all(fd_job *job, ndarray x, ndarray other, ndarray y, object source,
                  tuple shape, Probability probability, double scale)
