# SPDX-License-Identifier: BSD-3-Clause
# Design: a Gaussian mask is to `gaussian_dropout` what a Mask is to `dropout`: a value. A seeded
# one is a place in a stream, of which an element takes four bytes; its factors are made again
# whenever they are needed. A stored one has its factors.
from libc.math cimport sqrt
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport as_input, as_output, set_dtype
from fastdrop.kernels._kernels cimport (
    FD_TILE,
    active_kernels,
    fd_arrays,
    fd_cursor,
    fd_gaussian,
    fd_kernels,
    fd_seeded,
    gaussian_all,
)
from fastdrop.mask._mask cimport place_of, seeded_at
from fastdrop.mask._mask import contiguous_strides, virtual_array, window_entries
from fastdrop.source._numpy_source cimport NumPySource
from fastdrop.source._source cimport Source

cnp.import_array()


cdef extern from "common.h" nogil:
    uint64_t little_endian "FD_LE64"(uint64_t word)


# Words of a sequential source that are turned into factors at once.
cdef enum:
    CHUNK = 1024


cdef class GaussianMask:
    """Factors of mean 1 and variance p / (1 - p): a place in a stream (seeded), or stored.

    Gaussian masks come from `gaussian_dropout`, from another's windows, or from pickles.

    Attributes
    ----------
    shape : tuple of int
        Shape of the arrays that it is applied to.
    size : int
        Number of factors.
    p : float
        Probability of dropping of the Bernoulli mask that has the same mean and variance.
    deviation : float
        Standard deviation of the factors, sqrt(p / (1 - p)).
    nbytes : int
        Bytes that the factors take: 0 (seeded) or four each (stored).

    Notes
    -----
    ``np.asarray(mask)`` is a float32 array of the factors; ``mask[window]``, with integers, slices
    and an ellipsis, is the mask of that window.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.gaussian_dropout(np.ones(1000, np.float32), p=0.5, rng=1)
    >>> mask.nbytes
    0
    >>> np.array_equal(np.asarray(mask), y)
    True
    """

    cdef readonly tuple shape
    cdef readonly double p, deviation
    cdef readonly Py_ssize_t size
    cdef fd_seeded seeded
    cdef ndarray factors  # float32, C order; None of seeded masks

    def __init__(self, *args, **kwargs):
        raise TypeError("a GaussianMask is made by gaussian_dropout, not by calling its class")

    @property
    def nbytes(self):
        return 0 if self.factors is None else self.factors.nbytes

    def apply(self, x, out=None):
        """Return ``x`` times the factors.

        Parameters
        ----------
        x : array_like of float
            Of the mask's shape.
        out : ndarray, optional
            Where to write, of x's shape and dtype; may be x.

        Returns
        -------
        y : ndarray
            A new array, or ``out``.

        Raises
        ------
        TypeError
            If x is not of floats, or out of another dtype.
        ValueError
            If x has another shape than the mask, or out is read-only or of another shape.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> y, mask = fd.gaussian_dropout(np.ones(4), p=0.5, rng=1)
        >>> np.array_equal(mask.apply(np.ones(4)), y)
        True
        """
        return self.applied(x, out, "x")

    def backward(self, dy, out=None):
        """Return the gradient with respect to x: the same map, applied to ``dy``.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to the output.
        out : ndarray, optional
            Where to write, of dy's shape and dtype; may be dy.

        Returns
        -------
        dx : ndarray
            A new array, or ``out``.

        Raises
        ------
        TypeError, ValueError
            As of `apply`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> y, mask = fd.gaussian_dropout(np.ones(4), p=0.5, rng=1)
        >>> np.array_equal(mask.backward(np.ones(4)), y)
        True
        """
        return self.applied(dy, out, "dy")

    cdef object applied(self, object x, object out, str name):
        """Return x times the factors; errors call it by that name."""
        cdef ndarray from_ = as_input(x, name)
        cdef ndarray to
        cdef fd_cursor cursor
        if (<object>from_).shape != self.shape:
            raise ValueError(
                f"{name} has shape {(<object>from_).shape}; allowed is the mask's shape, "
                f"{self.shape}"
            )
        to = as_output(from_, out, name)
        memset(&cursor, 0, sizeof(cursor))
        self.run(from_, to, &cursor)
        return to

    cdef int run(self, ndarray x, ndarray y, fd_cursor *cursor) except -1:
        """Apply to checked arrays, of whatever strides; ``cursor`` moves to the mask's end."""
        cdef ndarray from_, to
        if cnp.PyArray_ISCARRAY_RO(x) and cnp.PyArray_ISCARRAY_RO(y) and (
            x is y or not np.may_share_memory(x, y)
        ):
            return self.run_plain(x, y, cursor)
        native = x.dtype.newbyteorder("=")
        from_ = np.array(x, dtype=native, order="C", copy=None)
        to = np.empty((<object>x).shape, native)
        self.run_plain(from_, to, cursor)
        y[...] = to
        return 0

    cdef int run_plain(self, ndarray x, ndarray y, fd_cursor *cursor) except -1:
        """The same on C-contiguous arrays; where x is None, y becomes the float32 factors."""
        cdef fd_gaussian gaussian
        cdef fd_arrays arrays
        cdef size_t n = self.size
        gaussian.kernels = active_kernels()
        gaussian.seeded = &self.seeded
        gaussian.factors = NULL
        if self.factors is not None:
            gaussian.factors = <const float *>cnp.PyArray_DATA(self.factors)
        gaussian.deviation = <float>self.deviation
        set_dtype(y, &gaussian.dtype, &gaussian.components)
        arrays.x = NULL
        if x is not None:
            arrays.x = <const char *>cnp.PyArray_DATA(x)
        arrays.other = NULL
        arrays.y = <char *>cnp.PyArray_DATA(y)
        if n <= FD_TILE // 4:
            gaussian_all(&gaussian, cursor, n, arrays)
        else:
            with nogil:
                gaussian_all(&gaussian, cursor, n, arrays)
        return 0

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("copy=False is not possible: the factors are made when asked for")
        cdef fd_cursor cursor
        cdef ndarray factors = np.empty(self.shape, np.float32)
        memset(&cursor, 0, sizeof(cursor))
        self.run_plain(None, factors, &cursor)
        return factors if dtype is None else factors.astype(dtype, copy=False)

    def __getitem__(self, window):
        entries = window_entries(window)
        if self.factors is not None:
            factors = self.factors[entries].copy()
            return gaussian_mask(factors.shape, self.p, &self.seeded, factors)
        whole = virtual_array(self.shape, contiguous_strides(self.shape))
        part = whole[entries]
        offset = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        if part.flags.c_contiguous:
            return self.stretch(offset if part.size else 0, part.shape)
        reach = [
            (length - 1) * stride for length, stride in zip(part.shape, part.strides, strict=True)
        ]
        low = offset + sum(min(step, 0) for step in reach)
        high = offset + sum(max(step, 0) for step in reach)
        spanned = np.asarray(self.stretch(low, (high - low + 1,)))
        strides = [4 * stride for stride in part.strides]
        factors = np.lib.stride_tricks.as_strided(spanned[offset - low :], part.shape, strides)
        return gaussian_mask(part.shape, self.p, &self.seeded, factors.copy())

    cdef GaussianMask stretch(self, uint64_t offset, tuple shape):
        # Return the mask of consecutive elements of a seeded one.
        cdef fd_seeded first = self.seeded
        first.position += 4 * offset
        return gaussian_mask(shape, self.p, &first, None)

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a mask without axes")
        return self.shape[0]

    def __eq__(self, other):
        if not isinstance(other, GaussianMask):
            return NotImplemented
        if (self.shape, self.p) != (other.shape, other.p):
            return False
        return np.array_equal(np.asarray(self), np.asarray(other))

    __hash__ = None

    def __reduce__(self):
        place = None if self.factors is not None else place_of(&self.seeded)
        return rebuild, (self.shape, self.p, place, self.factors)

    def __repr__(self):
        stored = "seeded" if self.factors is None else "stored"
        return f"<GaussianMask of shape {self.shape}, p={self.p:.6g}, {stored}>"


cdef GaussianMask gaussian_mask(tuple shape, double p, const fd_seeded *seeded, ndarray factors):
    cdef GaussianMask mask = GaussianMask.__new__(GaussianMask)
    cdef Py_ssize_t length
    mask.shape = shape
    mask.size = 1
    for length in shape:
        mask.size *= length
    mask.p = p
    mask.deviation = sqrt(p / (1.0 - p))
    mask.seeded = seeded[0]
    mask.factors = factors
    return mask


def rebuild(shape, p, place, factors):
    """Return the Gaussian mask that was pickled."""
    cdef fd_seeded seeded
    memset(&seeded, 0, sizeof(seeded))
    if place is not None:
        seeded = seeded_at(place)
    return gaussian_mask(shape, p, &seeded, factors)


cdef ndarray drawn_factors(NumPySource source, tuple shape, double deviation):
    """Return the factors of a sequential source: two elements a word, the low half first."""
    cdef ndarray factors = np.empty(shape, np.float32)
    cdef size_t done = 0, count, i, n = factors.size
    cdef const fd_kernels *kernels = active_kernels()
    cdef float *to = <float *>cnp.PyArray_DATA(factors)
    cdef uint64_t[CHUNK] words
    cdef float[2 * CHUNK] made
    with source.bit_generator.lock, nogil:
        while done < n:
            count = min(<size_t>(2 * CHUNK), n - done)
            for i in range((count + 1) // 2):
                words[i] = little_endian(source.bitgen.next_uint64(source.bitgen.state))
            kernels.normal(<const uint8_t *>words, count, <float>deviation, made)
            memcpy(to + done, made, count * sizeof(float))
            done += count
    return factors


def gaussian(x, out, double p, source):
    """Return (y, mask) of a newly drawn Gaussian mask; all checks come before the draw."""
    cdef ndarray from_ = as_input(x)
    cdef ndarray to = as_output(from_, out)
    cdef GaussianMask mask
    cdef fd_seeded seeded
    cdef fd_cursor cursor
    memset(&seeded, 0, sizeof(seeded))
    memset(&cursor, 0, sizeof(cursor))
    mask = gaussian_mask((<object>from_).shape, p, &seeded, None)
    if isinstance(source, Source):
        (<Source>source).reserve(4 * <uint64_t>mask.size, &mask.seeded, &cursor)
    else:
        mask.factors = drawn_factors(source, mask.shape, mask.deviation)
    mask.run(from_, to, &cursor)
    if isinstance(source, Source):
        (<Source>source).leave(&mask.seeded, &cursor)
    return to, mask
