# SPDX-License-Identifier: BSD-3-Clause
"""NumPy without memory: arrays are refused from a given one on."""

import contextlib
import ctypes

from numpy._core import _multiarray_umath

SIZE, POINTER = ctypes.c_size_t, ctypes.c_void_p
MALLOC = ctypes.CFUNCTYPE(POINTER, POINTER, SIZE)
CALLOC = ctypes.CFUNCTYPE(POINTER, POINTER, SIZE, SIZE)
NAME = b"mem_handler"  # of which a capsule keeps the address


class Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy's C interface, with its allocator in line."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", POINTER),
        ("malloc", MALLOC),
        ("calloc", CALLOC),
        ("realloc", POINTER),
        ("free", POINTER),
    )


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, (POINTER, ctypes.c_char_p, POINTER)
pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = POINTER, (ctypes.py_object, ctypes.c_char_p)

# PyDataMem_SetHandler and PyDataMem_GetHandler are 304 and 305 in NumPy's table of functions.
table = ctypes.cast(pointer_of(_multiarray_umath._ARRAY_API, None), ctypes.POINTER(POINTER))
set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[304])
default = Handler.from_address(pointer_of(ctypes.PYFUNCTYPE(ctypes.py_object)(table[305])(), NAME))

left = [0]  # arrays that may still be made


@MALLOC
def malloc(context, size):
    left[0] -= 1
    return default.malloc(context, size) if left[0] >= 0 else None


@CALLOC
def calloc(context, count, size):
    left[0] -= 1
    return default.calloc(context, count, size) if left[0] >= 0 else None


# What frees must stay C: a function of Python's would lose the exception that is on its way.
refusing = Handler(b"refusing", 1, default.context, malloc, calloc, default.realloc, default.free)
capsule = new_capsule(ctypes.addressof(refusing), NAME, None)


@contextlib.contextmanager
def room_for(arrays):
    """Let NumPy make so many arrays, and none after them."""
    left[0] = arrays
    before = set_handler(capsule)
    try:
        yield
    finally:
        set_handler(before)
