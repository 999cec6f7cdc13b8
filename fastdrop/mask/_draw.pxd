# SPDX-License-Identifier: BSD-3-Clause
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport fd_job
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._probability cimport Probability

# Draws a mask of one probability (a range of an addressable source, the bits of a sequential one)
# and does something with it to checked arrays. All memory is taken before the source advances.
cdef Mask run_first(fd_job *job, ndarray x, ndarray other, ndarray y, object source,
                    tuple shape, Probability probability, double scale)
