# SPDX-License-Identifier: BSD-3-Clause
from fastdrop.kernels._kernels cimport fd_seeded

# The states of masks: what all of them have, a place in a stream, and back.
cdef dict state_of(tuple shape, object p)
cdef dict place_of(const fd_seeded *seeded)
cdef fd_seeded seeded_at(dict state) except *
cdef int check_version(dict state) except -1
