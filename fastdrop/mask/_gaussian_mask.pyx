# SPDX-License-Identifier: BSD-3-Clause
# Design: a Gaussian mask is to `gaussian_dropout` what a Mask is to `dropout`: a value. A seeded
# one is a place in a stream, of which an element takes four bytes; its factors are made again
# whenever they are needed. A stored one has its factors.
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    check_broadcast,
    check_end,
    check_entries,
    check_factors,
    check_gaussian_p,
    check_gaussian_state,
    check_shape,
    check_window,
    refuse_call,
    refuse_copy,
    selects,
)
from fastdrop._pickle import add_reader, in_words, load

from fastdrop.apply._apply cimport as_input, as_output, has_shape
from fastdrop.kernels._kernels cimport engine, fd_any_mask, fd_cursor, fd_job, fd_seeded
from fastdrop.mask._any_mask cimport AnyMask
from fastdrop.mask._bits cimport size_of
from fastdrop.mask._multiply cimport Room, multiply, multiply_any, multiply_shared, room_for
from fastdrop.mask._state cimport check_version, place_of, seeded_at, state_of
from fastdrop.mask._window import contiguous_strides, is_contiguous, window_of
from fastdrop.source._class_name cimport say_public
from fastdrop.source._numpy_source cimport NumPySource
from fastdrop.source._source cimport Source

cnp.import_array()

cdef object FLOAT32 = np.dtype(np.float32)


cdef class GaussianMask(AnyMask):
    """Random factors of mean 1 and variance p / (1 - p), seeded or stored.

    `gaussian_dropout` returns such masks. So do windows of another one, and pickles.

    Attributes
    ----------
    shape : tuple of int
        Shape of the arrays that it is applied to.
    size : int
        Number of factors.
    ndim : int
        Number of axes.
    dtype : dtype
        float32, the type of the factors.
    p : float
        Probability of dropping in the Mask that has the same mean and variance.
    deviation : float
        Standard deviation of the factors, sqrt(p / (1 - p)).
    nbytes : int
        Bytes that the factors take: 0 (seeded) or four each (stored).

    Notes
    -----
    ``np.asarray(mask)`` is a float32 array of the factors. ``mask[window]`` with integers, slices
    and an ellipsis is the mask of that window. In arithmetic a mask stands for that array.

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

    cdef readonly double p, deviation
    cdef fd_seeded seeded
    cdef ndarray factors  # float32, C order; None of seeded masks

    def __init__(self, *args, **kwargs):
        refuse_call("a GaussianMask", "gaussian_dropout")

    @property
    def dtype(self):
        """Type of the elements of ``np.asarray(mask)``: float32."""
        return FLOAT32

    @property
    def T(self):
        """The mask with its axes in reverse order."""
        if self.factors is None:
            strides = contiguous_strides(self.shape)
            return self.strided(0, self.shape[::-1], strides[::-1])
        factors = self.factors.T.copy()
        return gaussian_mask(factors.shape, self.p, &self.seeded, factors)

    @property
    def nbytes(self):
        """Bytes that the factors take: 0 (seeded) or four each (stored)."""
        return 0 if self.factors is None else self.factors.nbytes

    cdef object applied(self, object x, object out, str name):
        """Return x times the factors; errors call it by that name."""
        cdef ndarray from_ = as_input(x, name)
        cdef ndarray to
        cdef fd_cursor cursor
        if not has_shape(from_, self.shape):
            check_broadcast("mask shape", self.shape, (<object>from_).shape, name)
        to = as_output(from_, out, name)
        memset(&cursor, 0, sizeof(cursor))
        self.run(from_, to, room_for(self.shape, from_, to), &cursor)
        return to if out is None else out

    cdef int run(self, ndarray x, ndarray y, Room room, fd_cursor *cursor) except -1:
        """Apply to checked arrays; ``cursor`` moves to the mask's end."""
        cdef fd_job job
        cdef fd_any_mask mask
        self.set_job(&job, &mask)
        if room is not None and room.factors is not None:
            multiply(&job, self.size, None, room.factors, cursor)
            return multiply_shared(&job, &mask, x, y, room)
        return multiply_any(&job, self.size, x, y, room, cursor)

    cdef void set_job(self, fd_job *job, fd_any_mask *mask):
        memset(job, 0, sizeof(fd_job))
        mask.seeded, mask.each, mask.packed, mask.broadcast = self.seeded, NULL, NULL, NULL
        job.kernels, job.mask = engine.kernels(), mask
        if self.factors is not None:
            job.factors = <const float *>cnp.PyArray_DATA(self.factors)
        job.deviation = <float>self.deviation

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            refuse_copy("the factors are made when asked for")
        cdef fd_cursor cursor
        cdef fd_job job
        cdef fd_any_mask mask
        cdef ndarray factors = np.empty(self.shape, np.float32)
        memset(&cursor, 0, sizeof(cursor))
        self.set_job(&job, &mask)
        multiply(&job, self.size, None, factors, &cursor)
        return factors if dtype is None else factors.astype(dtype, copy=False)

    def __getitem__(self, window):
        try:
            entries = check_window(window, self.shape)
        except TypeError:
            if not selects(window):
                raise
            return np.asarray(self)[window]
        if self.factors is not None:
            factors = self.factors[(*entries, ...)].copy()
            return gaussian_mask(factors.shape, self.p, &self.seeded, factors)
        offset, shape, strides = window_of(self.shape, contiguous_strides(self.shape), entries)
        return self.strided(offset, shape, strides)

    cdef GaussianMask strided(self, int64_t offset, tuple shape, tuple strides):
        # Return the mask of those elements of a seeded one: stored, where they are apart.
        if 0 in shape or is_contiguous(shape, strides):
            return self.stretch(0 if 0 in shape else offset, shape)
        reach = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
        low = offset + sum(min(step, 0) for step in reach)
        high = offset + sum(max(step, 0) for step in reach)
        spanned = np.asarray(self.stretch(low, (high - low + 1,)))
        bytes_ = [4 * stride for stride in strides]
        factors = np.lib.stride_tricks.as_strided(spanned[offset - low :], shape, bytes_)
        return gaussian_mask(shape, self.p, &self.seeded, factors.copy())

    cdef GaussianMask stretch(self, uint64_t offset, tuple shape):
        # Return the mask of consecutive elements of a seeded one.
        cdef fd_seeded first = self.seeded
        first.position += 4 * offset
        return gaussian_mask(shape, self.p, &first, None)

    def __eq__(self, other):
        if not isinstance(other, GaussianMask):
            return NotImplemented
        if (self.shape, self.p) != (other.shape, other.p):
            return False
        return np.array_equal(np.asarray(self), np.asarray(other))

    __hash__ = None

    @property
    def state(self):
        """All that the mask is, as a dict that programs can keep; `from_state` takes it back.

        Its entries are shape, p and stream_version. A stored mask has ``factors``, an array. A
        seeded one says where it was drawn: ``source`` is the name of the class, ``key``,
        ``counter`` and ``position`` are as that class has them.
        """
        state = state_of(self.shape, self.p)
        if self.factors is not None:
            return state | {"factors": self.factors.copy()}
        return state | place_of(&self.seeded)

    @staticmethod
    def from_state(state):
        """Return the Gaussian mask of a state.

        Parameters
        ----------
        state : dict
            A `state` of this version or of any earlier one. Lists may stand for tuples, as in
            JSON.

        Returns
        -------
        mask : GaussianMask
            Equal to the mask whose state it was.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, or cannot be of a Gaussian mask.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> y, mask = fd.gaussian_dropout(np.ones(4), p=0.5, rng=1)
        >>> fd.GaussianMask.from_state(mask.state) == mask
        True
        """
        return mask_of_state(state)

    def __reduce__(self):
        return load, ("GaussianMask", self.state)

    def __repr__(self):
        stored = "seeded" if self.factors is None else "stored"
        return f"<GaussianMask of shape {self.shape}, p={self.p:.6g}, {stored}>"


cdef GaussianMask gaussian_mask(tuple shape, double p, const fd_seeded *seeded, ndarray factors):
    cdef GaussianMask mask = GaussianMask.__new__(GaussianMask)
    mask.shape = shape
    mask.size = size_of(shape)
    mask.p = p
    mask.deviation = sqrt(p / (1.0 - p))
    mask.seeded = seeded[0]
    mask.factors = factors
    return mask


cdef GaussianMask mask_of_state(state):
    """Return the Gaussian mask of a state, which may hold anything: all of it is checked."""
    cdef fd_seeded seeded
    cdef GaussianMask mask
    check_entries("the state of the mask", state, ("stream_version", "shape", "p"))
    check_version(state)
    check_gaussian_state(state)
    memset(&seeded, 0, sizeof(seeded))
    shape = check_shape(state["shape"])
    p = check_gaussian_p(state["p"])
    if "factors" not in state:
        seeded = seeded_at(state)
        mask = gaussian_mask(shape, p, &seeded, None)
        check_end(mask.size, seeded.position)
        return mask
    return gaussian_mask(shape, p, &seeded, check_factors(state["factors"], shape))


say_public(GaussianMask, "fastdrop.GaussianMask")

add_reader("GaussianMask", GaussianMask.from_state)


def rebuild(shape, p, place, factors):
    """Return the Gaussian mask that was pickled before `load` was there."""
    state = {"stream_version": 1, "shape": shape, "p": p}
    if factors is None:
        check_entries("the place of the mask", place, ("source",))
        return mask_of_state(in_words(state | place))
    return mask_of_state(state | {"factors": factors})


def without_noise(shape):
    """Return the mask of evaluation, whose factors are all 1."""
    cdef fd_seeded anywhere
    memset(&anywhere, 0, sizeof(anywhere))
    return gaussian_mask(shape, 0.0, &anywhere, None)


def gaussian(x, out, double p, source, tuple shape=None):
    """Return (y, mask) of a newly drawn Gaussian mask; all checks come before the draw."""
    cdef ndarray from_ = as_input(x)
    cdef ndarray to = as_output(from_, out)
    cdef Room room
    cdef GaussianMask mask
    cdef fd_seeded seeded
    cdef fd_cursor cursor
    memset(&seeded, 0, sizeof(seeded))
    memset(&cursor, 0, sizeof(cursor))
    if shape is None:
        shape = (<object>from_).shape
    room = room_for(shape, from_, to)
    mask = gaussian_mask(shape, p, &seeded, None)
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
