# SPDX-License-Identifier: BSD-3-Clause
# Design: a Gaussian mask is to `gaussian_dropout` what a Mask is to `dropout`: a value. A seeded
# one is a place in a stream, of which an element takes four bytes; its factors are made again
# whenever they are needed. A stored one has its factors.
from libc.math cimport sqrt
from libc.stdint cimport uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import as_array, check_gaussian_p, check_shape

from fastdrop.apply._apply cimport (
    as_input,
    as_output,
    copy_from_c_order,
    in_c_order,
    set_dtype,
)
from fastdrop.kernels._kernels cimport (
    FD_TILE,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_seeded,
)
from fastdrop.mask._mask cimport place_of, seeded_at
from fastdrop.mask._mask import contiguous_strides, is_contiguous, window_entries, window_of
from fastdrop.source._numpy_source cimport NumPySource
from fastdrop.source._source cimport Source

cnp.import_array()


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
        """Bytes that the factors take: 0 (seeded) or four each (stored)."""
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
        self.run(from_, to, plain_room(from_, to), &cursor)
        return to if out is None else out

    cdef int run(self, ndarray x, ndarray y, tuple room, fd_cursor *cursor) except -1:
        """Apply to checked arrays in their room; ``cursor`` moves to the mask's end."""
        if room is None:
            return self.run_plain(x, y, cursor)
        from_, to = room
        self.run_plain(from_, to, cursor)
        return copy_from_c_order(to, y)

    cdef int run_plain(self, ndarray x, ndarray y, fd_cursor *cursor) except -1:
        """The same on C-contiguous arrays; where x is None, y becomes the float32 factors."""
        cdef fd_job job
        cdef fd_any_mask mask
        cdef fd_executor pool = engine.pool()
        cdef fd_arrays arrays
        cdef size_t n = self.size
        if <size_t>cnp.PyArray_SIZE(y) != n or (
            x is not None and <size_t>cnp.PyArray_SIZE(x) != n
        ):
            # They were checked; since then, another thread changed them.
            raise ValueError(f"the arrays do not have {n} elements any more")
        memset(&job, 0, sizeof(job))
        mask.seeded, mask.each, mask.packed = self.seeded, NULL, NULL
        job.kernels, job.mask = engine.kernels(), &mask
        if self.factors is not None:
            job.factors = <const float *>cnp.PyArray_DATA(self.factors)
        job.deviation = <float>self.deviation
        set_dtype(y, &job.dtype, &job.components)
        arrays.x = NULL
        if x is not None:
            arrays.x = <const char *>cnp.PyArray_DATA(x)
        arrays.other = NULL
        arrays.y = <char *>cnp.PyArray_DATA(y)
        if n <= FD_TILE // 4:
            engine.multiply(&job, cursor, n, arrays, &pool)
        else:
            with nogil:
                engine.multiply(&job, cursor, n, arrays, &pool)
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
        entries = window_entries(window, self.shape)
        if self.factors is not None:
            factors = self.factors[(*entries, ...)].copy()
            return gaussian_mask(factors.shape, self.p, &self.seeded, factors)
        offset, shape, strides = window_of(self.shape, contiguous_strides(self.shape), entries)
        if 0 in shape or is_contiguous(shape, strides):
            return self.stretch(0 if 0 in shape else offset, shape)
        reach = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
        low = offset + sum(min(step, 0) for step in reach)
        high = offset + sum(max(step, 0) for step in reach)
        spanned = np.asarray(self.stretch(low, (high - low + 1,)))
        strides = [4 * stride for stride in strides]
        factors = np.lib.stride_tricks.as_strided(spanned[offset - low :], shape, strides)
        return gaussian_mask(shape, self.p, &self.seeded, factors.copy())

    cdef GaussianMask stretch(self, uint64_t offset, tuple shape):
        # Return the mask of consecutive elements of a seeded one.
        cdef fd_seeded first = self.seeded
        first.position += 4 * offset
        return gaussian_mask(shape, self.p, &first, None)

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a mask without axes")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over a mask without axes")
        return map(self.__getitem__, range(self.shape[0]))

    def __bool__(self):
        if self.size != 1:
            raise ValueError(
                f"the truth of a mask of shape {self.shape} is ambiguous; it must have one "
                "element, or ask np.asarray(mask).any() or all()"
            )
        return bool(np.asarray(self).item())

    def __eq__(self, other):
        if not isinstance(other, GaussianMask):
            return NotImplemented
        if (self.shape, self.p) != (other.shape, other.p):
            return False
        return np.array_equal(np.asarray(self), np.asarray(other))

    __hash__ = None

    def __reduce__(self):
        if self.factors is None:
            return rebuild, (self.shape, self.p, place_of(&self.seeded), None)
        return rebuild, (self.shape, self.p, None, self.factors.copy())

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
    """Return the Gaussian mask that was pickled; a pickle may hold anything: all is checked."""
    cdef fd_seeded seeded
    cdef GaussianMask mask
    memset(&seeded, 0, sizeof(seeded))
    shape = check_shape(shape)
    p = check_gaussian_p(p)
    if (place is None) == (factors is None):
        raise ValueError("a Gaussian mask must have a place in a stream or factors, one of the two")
    if factors is None:
        seeded = seeded_at(place)
        mask = gaussian_mask(shape, p, &seeded, None)
        if mask.size > (2**64 - seeded.position) // 4:
            raise ValueError(
                f"the mask has {mask.size} elements from position {seeded.position} on; they must "
                "end before 2**64"
            )
        return mask
    factors = np.array(as_array("factors", factors), order="C")
    if factors.dtype != np.float32:
        raise TypeError(f"factors has dtype {factors.dtype}; it must be float32")
    if factors.shape != shape:
        raise ValueError(f"factors has shape {factors.shape}; it must be the mask's, {shape}")
    return gaussian_mask(shape, p, &seeded, factors)


def without_noise(shape):
    """Return the mask of evaluation, whose factors are all 1."""
    cdef fd_seeded anywhere
    memset(&anywhere, 0, sizeof(anywhere))
    return gaussian_mask(shape, 0.0, &anywhere, None)


cdef tuple plain_room(ndarray x, ndarray y):
    # What the kernels read and write, where they cannot take x and y themselves; else None.
    if cnp.PyArray_ISCARRAY_RO(x) and cnp.PyArray_ISCARRAY_RO(y) and (
        x is y or not np.may_share_memory(x, y)
    ):
        return None
    copy = in_c_order(x)
    return copy, copy


def gaussian(x, out, double p, source):
    """Return (y, mask) of a newly drawn Gaussian mask; all checks come before the draw."""
    cdef ndarray from_ = as_input(x)
    cdef ndarray to = as_output(from_, out)
    cdef tuple room = plain_room(from_, to)
    cdef GaussianMask mask
    cdef fd_seeded seeded
    cdef fd_cursor cursor
    memset(&seeded, 0, sizeof(seeded))
    memset(&cursor, 0, sizeof(cursor))
    mask = gaussian_mask((<object>from_).shape, p, &seeded, None)
    if isinstance(source, Source):
        (<Source>source).reserve(4 * <uint64_t>mask.size, &mask.seeded, &cursor)
    else:
        factors = np.empty(mask.shape, np.float32)
        (<NumPySource>source).draw_normals(factors.size, <float>mask.deviation, factors)
        mask.factors = factors
    mask.run(from_, to, room, &cursor)
    if isinstance(source, Source):
        (<Source>source).leave(&mask.seeded, &cursor)
    return to if out is None else out, mask
