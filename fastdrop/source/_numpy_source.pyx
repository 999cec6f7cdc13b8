# SPDX-License-Identifier: BSD-3-Clause
# Design: a NumPy bit generator only goes forward, so its masks are drawn on one thread, under
# its own lock, through the C interface, and stored as bits.
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid

import threading

from fastdrop._checks import (
    check_choice,
    refuse_generator,
    refuse_init_again,
    refuse_without_init,
)
from fastdrop._fork import renew_in_children
from fastdrop._pickle import add_reader, load

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport FD_TILE, engine
from fastdrop.source._class_name cimport say_public

cnp.import_array()


cdef tuple LOCKS = (type(threading.RLock()), type(threading.Lock()))  # of NumPy, new and old


cdef bint is_lock(lock):
    return type(lock) in LOCKS or (
        hasattr(type(lock), "__enter__") and hasattr(type(lock), "__exit__")
    )


cdef bitgen_t *bitgen_of(capsule) except? NULL:
    """Return the C interface that is in a capsule, NULL if a part of it is missing."""
    cdef bitgen_t *bitgen
    if not PyCapsule_IsValid(capsule, "BitGenerator"):
        return NULL
    bitgen = <bitgen_t *>PyCapsule_GetPointer(capsule, "BitGenerator")
    if bitgen.next_uint64 == NULL or bitgen.next_uint32 == NULL or bitgen.next_double == NULL:
        return NULL
    return bitgen


cdef int draw_bits(bitgen_t *bitgen, int kind, size_t n, const fd_numpy_limit *limit,
                   cnp.uint8_t *bits) except -1 nogil:
    if kind == 0:
        return engine.numpy_bytes(bitgen, n, limit, bits)
    if kind == 1:
        return engine.numpy_doubles(bitgen, n, limit, bits)
    return engine.numpy_floats(bitgen, n, limit, bits)


# A draw of so few elements is done sooner than the GIL is given and taken.
cdef enum:
    SHORT = FD_TILE


cdef class NumPySource:
    """NumPySource(bit_generator, draws="bytes")
--

    Masks whose every bit comes from a NumPy bit generator, through its C interface.

    Parameters
    ----------
    bit_generator : BitGenerator, Generator, RandomState or like
        Where the bits come from: anything with NumPy's ``capsule`` and ``lock``, or with a
        ``bit_generator`` that has them.
    draws : {"bytes", "double", "float"}, default "bytes"
        What an element takes:

        - "bytes": one byte; 8 elements per 64-bit word, and one word more for each call. The
          fastest.
        - "double": one double. The mask is that of ``rng.random(shape) >= p``, and of
          ``np.random.RandomState(seed).uniform(size=shape) >= p``.
        - "float": one float. The mask is that of ``rng.random(shape, dtype=np.float32) >= p``.

    Attributes
    ----------
    bit_generator : object
        The bit generator.
    draws : str
        As given.

    Raises
    ------
    TypeError
        If ``bit_generator`` has no capsule and lock, or no function of NumPy's C interface in its
        capsule, as one that is written in Python.
    ValueError
        If ``draws`` is another word.

    Notes
    -----
    The bit generator's lock is held while a mask is drawn. Its position is the user's: drawing
    numbers from the same generator between two masks moves it. Capsule and lock are those that it
    has when the source is made.

    Ctrl-C ends a long draw in the middle: the bit generator has then given a part of the words.

    A forked child can draw even if another thread of its parent was drawing at the fork. Its bit
    generator is then in the middle of that draw.

    Examples
    --------
    The mask of an idiom, without changing a result:

    >>> import numpy as np
    >>> import fastdrop as fd
    >>> source = fd.NumPySource(np.random.default_rng(7), draws="double")
    >>> mask = fd.dropout_mask(5, p=0.3, rng=source)
    >>> np.array_equal(np.asarray(mask), np.random.default_rng(7).random(5) >= 0.3)
    True
    """

    def __init__(self, bit_generator, draws="bytes"):
        if self.bitgen != NULL:  # another thread may be drawing
            refuse_init_again(", but a NumPySource cannot be changed")
        for attribute in ("bit_generator", "_bit_generator"):  # Generator, RandomState
            bit_generator = getattr(bit_generator, attribute, bit_generator)
        capsule = getattr(bit_generator, "capsule", None)
        lock = getattr(bit_generator, "lock", None)
        # A capsule is an address: it is looked at last, and its owner is kept alive.
        cdef bitgen_t *bitgen = bitgen_of(capsule) if is_lock(lock) else NULL
        if bitgen == NULL:
            refuse_generator(bit_generator)
        self.draws = check_choice("draws", draws, ("bytes", "double", "float"))
        self.bit_generator, self.capsule, self.lock = bit_generator, capsule, lock
        self.bitgen = bitgen

    cdef int prepare(self, size_t n) except -1:
        """Check that the source was made, before ``n`` elements are drawn."""
        if self.bitgen == NULL:
            refuse_without_init(self, "NumPySource")
        if n > SHORT:  # other threads may fork meanwhile
            renew_in_children(self.lock)
        return 0

    cdef int draw(self, size_t n, const fd_numpy_limit *limit, ndarray kept) except -1:
        """Write the ``n`` packed kept bits that come next."""
        cdef cnp.uint8_t *bits = <cnp.uint8_t *>cnp.PyArray_DATA(kept)
        cdef int kind
        self.prepare(n)
        kind = "bdf".index(self.draws[0])
        with self.lock:
            if n <= SHORT:
                draw_bits(self.bitgen, kind, n, limit, bits)
            else:
                with nogil:
                    draw_bits(self.bitgen, kind, n, limit, bits)
        return 0

    cdef int draw_normals(self, size_t n, float deviation, ndarray factors) except -1:
        """Write the ``n`` factors of Gaussian dropout that come next, of two elements a word."""
        cdef float *to = <float *>cnp.PyArray_DATA(factors)
        self.prepare(n)
        with self.lock:
            if n <= SHORT:
                engine.numpy_normals(self.bitgen, n, deviation, to)
            else:
                with nogil:
                    engine.numpy_normals(self.bitgen, n, deviation, to)
        return 0

    def __reduce__(self):
        if type(self) is NumPySource:
            return load, ("NumPySource", self.bit_generator, self.draws)
        return type(self), (self.bit_generator, self.draws)

    def __repr__(self):
        return f"NumPySource({type(self.bit_generator).__name__}, draws={self.draws!r})"


say_public(NumPySource, "fastdrop.NumPySource")

add_reader("NumPySource", NumPySource)
