# SPDX-License-Identifier: BSD-3-Clause
# Design: a NumPy bit generator only goes forward, so its masks are drawn on one thread, under
# its own lock, through the C interface, and stored as bits.
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid

from fastdrop._checks import check_choice

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.kernels._kernels cimport numpy_bytes, numpy_doubles, numpy_floats

cnp.import_array()


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

        - "bytes": one byte; 8 elements a 64-bit word, and one word more for each call. The
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
        If ``bit_generator`` has no capsule and lock.
    ValueError
        If ``draws`` is another word.

    Notes
    -----
    The bit generator's lock is held while a mask is drawn. Its position is the user's: drawing
    numbers from the same generator between two masks moves it.

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
        for attribute in ("bit_generator", "_bit_generator"):  # Generator, RandomState
            bit_generator = getattr(bit_generator, attribute, bit_generator)
        capsule = getattr(bit_generator, "capsule", None)
        if not PyCapsule_IsValid(capsule, "BitGenerator") or not hasattr(bit_generator, "lock"):
            raise TypeError(
                f"bit_generator is a {type(bit_generator).__name__}; allowed are NumPy's "
                "BitGenerator, Generator, RandomState and objects with their capsule and lock"
            )
        self.draws = check_choice("draws", draws, ("bytes", "double", "float"))
        self.bit_generator = bit_generator
        self.bitgen = <bitgen_t *>PyCapsule_GetPointer(capsule, "BitGenerator")

    cdef int draw(self, size_t n, const fd_numpy_limit *limit, ndarray kept) except -1:
        """Write the ``n`` packed kept bits that come next."""
        cdef cnp.uint8_t *bits = <cnp.uint8_t *>cnp.PyArray_DATA(kept)
        cdef bitgen_t *bitgen = self.bitgen
        cdef int kind = "bdf".index(self.draws[0])
        with self.bit_generator.lock:
            with nogil:
                if kind == 0:
                    numpy_bytes(bitgen, n, limit, bits)
                elif kind == 1:
                    numpy_doubles(bitgen, n, limit, bits)
                else:
                    numpy_floats(bitgen, n, limit, bits)
        return 0

    def __reduce__(self):
        return type(self), (self.bit_generator, self.draws)

    def __repr__(self):
        return f"NumPySource({type(self.bit_generator).__name__}, draws={self.draws!r})"
