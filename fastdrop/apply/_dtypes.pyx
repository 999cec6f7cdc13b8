# SPDX-License-Identifier: BSD-3-Clause
# Design: one table of what the kernels compute with, for arrays and tensors. A complex number is
# two components. NumPy has no number for bfloat16, which is another package's type: its name
# tells it.
cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import refuse_changed

from fastdrop.kernels._kernels cimport FD_BFLOAT16, FD_FLOAT16, FD_FLOAT32, FD_FLOAT64

cnp.import_array()

cdef enum:
    TYPES = 6
    UNNUMBERED = -1

cdef element_type[TYPES] TABLE

TABLE[0] = element_type(b"float32", cnp.NPY_FLOAT, DL_FLOAT, 32, FD_FLOAT32, 1)
TABLE[1] = element_type(b"float64", cnp.NPY_DOUBLE, DL_FLOAT, 64, FD_FLOAT64, 1)
TABLE[2] = element_type(b"float16", cnp.NPY_FLOAT16, DL_FLOAT, 16, FD_FLOAT16, 1)
TABLE[3] = element_type(b"bfloat16", UNNUMBERED, DL_BFLOAT, 16, FD_BFLOAT16, 1)
TABLE[4] = element_type(b"complex64", cnp.NPY_CFLOAT, DL_COMPLEX, 64, FD_FLOAT32, 2)
TABLE[5] = element_type(b"complex128", cnp.NPY_CDOUBLE, DL_COMPLEX, 128, FD_FLOAT64, 2)

NAMES = tuple([TABLE[i].name.decode() for i in range(TYPES)])


cdef const element_type *type_of_array(ndarray x) except? NULL:
    cdef int number = cnp.PyArray_TYPE(x)
    for i in range(TYPES):
        if TABLE[i].number == number:
            return &TABLE[i]
    if cnp.PyArray_ITEMSIZE(x) == 2 and x.dtype.name == "bfloat16":
        return type_of_dlpack(DL_BFLOAT, 16)
    return NULL


cdef const element_type *type_of_dlpack(uint8_t code, uint8_t bits) noexcept:
    for i in range(TYPES):
        if TABLE[i].code == code and TABLE[i].bits == bits:
            return &TABLE[i]
    return NULL


cdef int set_type(fd_job *job, ndarray x) except -1:
    cdef const element_type *of_x = type_of_array(x)
    if of_x == NULL:
        refuse_changed(f"there are no kernels for arrays of dtype {x.dtype}", TypeError)
    job.dtype, job.components = of_x.dtype, of_x.components
    return 0
