# SPDX-License-Identifier: BSD-3-Clause
cimport cython


@cython.no_gc
cdef class AnyMask:
    cdef readonly tuple shape
    cdef readonly Py_ssize_t size
    cdef object applied(self, object x, object out, str name)
    cdef int check_backward(self) except -1
    cdef object operand_for(self, object other)
