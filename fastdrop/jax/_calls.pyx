# SPDX-License-Identifier: BSD-3-Clause
# Design: hands out the addresses of the custom calls of calls/, as JAX takes them. JAX is needed
# neither to build it nor to import it.
from cpython.pycapsule cimport PyCapsule_New

from fastdrop.kernels._kernels cimport engine, fd_api


cdef extern from "calls/calls.h":
    const fd_api *fd_calls_engine
    void *drop "((void *)fd_call_drop)"
    void *decide "((void *)fd_call_decide)"
    void *bits "((void *)fd_call_bits)"


def capsules():
    """Return a capsule with the address of each custom call."""
    return {
        "drop": PyCapsule_New(drop, NULL, NULL),
        "decide": PyCapsule_New(decide, NULL, NULL),
        "bits": PyCapsule_New(bits, NULL, NULL),
    }


fd_calls_engine = engine
