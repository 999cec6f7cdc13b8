# SPDX-License-Identifier: BSD-3-Clause
# Design: a mask is a value. A seeded one is where in a stream it was drawn and the threshold;
# its bits are made again whenever they are needed. A packed one has its bits. Both know how the
# kept elements are scaled, so that the backward pass needs nothing else. Both numbers, p and scale,
# may be arrays that broadcast to the mask: where p is, the mask is packed.
#
# `strides` (in decisions) is None unless a window of a seeded mask skipped some: whatever is not
# one contiguous range of decisions is packed before it is applied.
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport isinf
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

import math
import operator

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    check_broadcast,
    check_entries,
    check_index,
    check_integer,
    check_keep_prob,
    check_noise_shape,
    check_numbers,
    check_position,
    check_probabilities,
    check_probability,
    check_shape,
    takes_array,
)

from fastdrop.apply._apply cimport (
    apart,
    job_of,
    apply_mask,
    as_input,
    as_output,
    order_of_memory,
    set_broadcast,
    transpose_into,
    view_of,
)
from fastdrop.kernels._kernels cimport (
    FD_FACTOR,
    FD_KEEP_PROB,
    FD_P,
    FD_PADDING,
    FD_SCALE,
    FD_SCALE_EACH,
    FD_SOURCES,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_cursor,
    fd_drop_threshold,
    fd_executor,
    fd_job,
    fd_keep_threshold,
    fd_kernels,
    fd_meaning,
    fd_numbers,
    fd_numpy_limit,
    fd_seeded,
    fd_view,
)
from fastdrop.source._numpy_source cimport NumPySource
from fastdrop.source._source cimport Source

cnp.import_array()


# ---- probabilities ---------------------------------------------------------------------------

# The largest p below 1: that of a keep_prob which is not 0, but whose inverse is infinite. So p = 1
# says by itself that nothing is kept, and an infinite scale beside another p that it multiplies.
cdef double BELOW_ONE = 1.0 - 2.0 ** -53


cdef class Probability:
    """p or keep_prob, checked: the threshold, the factor of kept elements, and p as shown."""

    def __init__(self, p, keep_prob, str name="p"):
        cdef double number
        if keep_prob is None:
            number = (
                p if type(p) is float and 0.0 <= <double>p <= 1.0 else check_probability(name, p)
            )
            self.threshold = fd_drop_threshold(number)
            self.drop = number
            self.keep = 1.0 - number
        else:
            number = check_keep_prob(keep_prob)
            self.threshold = fd_keep_threshold(number)
            self.drop = 1.0 - number
            self.keep = number
        self.factor = 1.0 / self.keep if self.keep > 0.0 else math.inf
        if isinf(self.factor) and self.keep > 0.0:
            self.drop = BELOW_ONE

    @property
    def p(self):
        return self.drop

    @property
    def keep_prob(self):
        return self.keep

    @property
    def scale(self):
        return self.factor


cdef class Probabilities(Probability):
    """An array of p or keep_prob, which broadcasts to the mask: likewise, but for one threshold."""

    def __init__(self, p, keep_prob, str name="p"):
        self.name = name if keep_prob is None else "keep_prob"
        self.keeps = keep_prob is not None
        self.values = copied_probabilities(p if keep_prob is None else keep_prob)
        if self.values is None:
            self.values = check_probabilities(self.name, p if keep_prob is None else keep_prob)

    @property
    def p(self):
        if not self.keeps:
            return self.values
        p = 1.0 - self.values
        p[(self.values > 0.0) & np.isinf(self.scale)] = BELOW_ONE
        return p

    @property
    def keep_prob(self):
        return self.values if self.keeps else 1.0 - self.values

    @property
    def scale(self):
        with np.errstate(divide="ignore", over="ignore"):
            return 1.0 / self.keep_prob

    cdef int lay(self, tuple shape, fd_numbers *laid) except -1:
        """Lay them over a mask of that shape, or say that they do not fit."""
        of = "the result" if self.name == "prob" else "the mask"
        check_broadcast(f"{self.name} shape", (<object>self.values).shape, shape, of)
        return lay_numbers(self.values, FD_KEEP_PROB if self.keeps else FD_P, shape, laid)


# Probabilities that are checked at once.
cdef size_t CHECKED = 1 << 22


cdef ndarray copied_probabilities(object value):
    """Return a copy, read-only, of a plain array of doubles in [0, 1], and of others None."""
    cdef ndarray values, copy
    cdef const fd_kernels *kernels = engine.kernels()
    cdef size_t n, count, done = 0
    cdef int right = True
    if type(value) is not ndarray:
        return None
    values = value
    if cnp.PyArray_TYPE(values) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(values):
        return None
    copy = np.empty((<object>values).shape)
    n = values.size
    while done < n and right:
        PyErr_CheckSignals()
        count = min(CHECKED, n - done)
        with nogil:
            right = kernels.probabilities(<const double *>cnp.PyArray_DATA(values) + done, count,
                                          <double *>cnp.PyArray_DATA(copy) + done)
        done += count
    return read_only(copy) if right else None


cdef int lay_numbers(ndarray values, fd_meaning meaning, tuple shape, fd_numbers *laid) except -1:
    set_broadcast(&laid.broadcast, (<object>values).shape, shape)
    if laid.broadcast.ndim == 0:  # one to one
        laid.broadcast.ndim = 1
        laid.broadcast.shape[0] = size_of(shape)
        laid.broadcast.stride[0] = 1
    laid.values = <const double *>cnp.PyArray_DATA(values)
    laid.meaning = meaning
    return 0


def probability_of(p, keep_prob=None, str name="p"):
    """Return the Probability of a number, or the Probabilities of an array."""
    value = p if keep_prob is None else keep_prob
    if not isinstance(value, float) and takes_array(
        name if keep_prob is None else "keep_prob", value
    ):
        return Probabilities(p, keep_prob, name)
    return Probability(p, keep_prob, name)


cdef ndarray read_only(ndarray values):
    values.flags.writeable = False
    return values


cdef ndarray lent(ndarray values, Mask mask):
    """Return a read-only view of what the mask owns, as an array that is the caller's.

    Its base is the mask, not the array: whatever the caller does to it, ours keeps its shape.
    """
    cdef ndarray view = cnp.PyArray_SimpleNewFromData(
        cnp.PyArray_NDIM(values), cnp.PyArray_DIMS(values), cnp.PyArray_TYPE(values),
        cnp.PyArray_DATA(values),
    )
    cnp.set_array_base(view, mask)
    return read_only(view)


cdef bint same_numbers(a, b, shape):
    """Are they the same for every element of a mask?"""
    if type(a) is float and type(b) is float:
        return a == b
    return np.array_equal(np.broadcast_to(a, shape), np.broadcast_to(b, shape))


cdef object numbers_of_window(values, shape, entries):
    """Return the numbers of a window of a mask: an array no larger than it must be, or a float."""
    if type(values) is float:
        return values
    part = np.broadcast_to(values, shape)[(*entries, ...)]
    part = part[tuple(slice(None) if stride else slice(1) for stride in part.strides)]
    return float(part) if part.ndim == 0 else part.copy()


# ---- the mask --------------------------------------------------------------------------------

STREAM_VERSION = 1
SOURCE_NAMES = {number: engine.sources[number].name.decode() for number in range(FD_SOURCES)}
SOURCE_CODES = {name: code for code, name in SOURCE_NAMES.items()}

# Elements of a window's span that are drawn at once, and of a bool array that are packed at once.
cdef int64_t SPAN = 1 << 22, PACKED = 1 << 20


cdef ndarray padded_bits(size_t n):
    """Return room for ``n`` bits, and for the whole words that kernels read and write."""
    return np.empty((n + 7) // 8 + FD_PADDING, np.uint8)


def padded_room(n):
    """Return the same for functions of Python."""
    return padded_bits(n)


cdef ndarray pack(kept, ndarray padded=None):
    """Return the padded bits of a bool array, in C order; in the room for them, where it is given.

    Given that and a contiguous array, it allocates nothing that is large.
    """
    if padded is None:
        padded = padded_bits(kept.size)
    flat = kept.reshape(-1)
    for first in range(0, flat.size, PACKED):
        part = np.packbits(flat[first : first + PACKED], bitorder="little")
        padded[first // 8 : first // 8 + part.size] = part
    padded[(flat.size + 7) // 8 :] = 0
    return padded


cdef int64_t size_of(tuple shape):
    cdef int64_t size = 1, length
    for length in shape:
        size *= length
    return size


def contiguous_strides(shape):
    """Return the strides of C order, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def is_contiguous(shape, strides):
    """Tell whether elements of those strides follow each other in C order."""
    return all(
        length <= 1 or stride == full
        for length, stride, full in zip(shape, strides, contiguous_strides(shape), strict=True)
    )


def window_entries(window, shape):
    """Return the checked entries of an index, one for each axis of a mask of that shape."""
    entries = window if isinstance(window, tuple) else (window,)
    entries = list(map(check_index, entries))
    missing = len(shape) - len(entries)
    if ... in entries:
        place = entries.index(...)
        entries[place : place + 1] = [slice(None)] * (missing + 1)
    else:
        entries += [slice(None)] * missing
    if ... in entries:
        raise IndexError("an index of a mask has more than one ellipsis; one is the most")
    if len(entries) > len(shape):
        raise IndexError(
            f"an index of a mask has {len(entries)} entries; the mask has {len(shape)} axes"
        )
    return tuple(entries)


def window_of(shape, strides, entries):
    """Return (offset, shape, strides), in elements, of what those entries take of an array."""
    offset = 0
    window_shape, window_strides = [], []
    for axis, (entry, length, stride) in enumerate(zip(entries, shape, strides, strict=True)):
        if isinstance(entry, slice):
            places = range(*entry.indices(length))
            window_shape.append(len(places))
            window_strides.append(places.step * stride)
            offset += places.start * stride if places else 0
        elif -length <= entry < length:
            offset += entry % length * stride
        else:
            raise IndexError(f"index {entry} is out of bounds for axis {axis} of length {length}")
    return offset, tuple(window_shape), tuple(window_strides)


cdef class Mask:
    """What elements are kept: as a place in a stream (seeded) or as bits (packed).

    Masks come from `dropout`, `dropout_mask`, from another mask's windows, or from pickles.

    Attributes
    ----------
    shape : tuple of int
        Shape of the mask; it broadcasts to the arrays that it is applied to.
    size : int
        Number of decisions.
    p : float or ndarray of float64
        Probability of dropping (1 - keep_prob where that was given); read-only, and of a shape that
        broadcasts to the mask's.
    scale : float or ndarray of float64
        Factor of the kept elements, likewise; inf at p = 1, where there are none.
    nbytes : int
        Bytes that the decisions take: 0 (seeded) or one bit each (packed).
    bits : ndarray of uint8 or None
        The bits of a packed mask, read-only: flat, C order, lowest bit first, pad bits 0, as of
        ``np.packbits(kept, axis=None, bitorder="little")``.

    Notes
    -----
    ``np.asarray(mask)`` is a bool array, True where kept. ``mask[window]``, with integers, slices
    and an ellipsis, is the mask of that window, and still seeded. Two masks are equal if shape,
    p, scale and kept elements are, however they are stored.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> mask = fd.dropout_mask((1000, 1000), p=0.1, rng=7)
    >>> mask.nbytes
    0
    >>> np.array_equal(np.asarray(mask)[250:260, :5], mask[250:260, :5])
    True
    """

    def __init__(self, *args, **kwargs):
        raise TypeError("a Mask is made by dropout_mask or dropout, not by calling its class")

    @property
    def p(self):
        """Probability of dropping: a float, or a read-only array that broadcasts to the mask."""
        if self.drops is None and self.drops_of is not None:
            self.drops = self.drops_of.p
        return self.drop if self.drops is None else lent(self.drops, self)

    @property
    def scale(self):
        """Factor of the kept elements: a float, or a read-only array that broadcasts likewise."""
        self.make_factors()
        return self.factor if self.factors is None else lent(self.factors, self)

    cdef int make_factors(self) except -1:
        if self.factors is None and self.factors_of is not None:
            self.factors = self.factors_of.scale
        return 0

    cdef Mask with_numbers(self, p, scale):
        # Return itself, with these: floats, or arrays in C order that are nobody else's.
        if isinstance(p, ndarray):
            self.drops = p
        else:
            self.drop = p
        if isinstance(scale, ndarray):
            self.factors = scale
        else:
            self.factor = scale
        return self

    cdef Mask with_probability(self, Probability probability, scale):
        # Return itself, with that, and a number as its scale; None: that of the probability.
        cdef bint several = isinstance(probability, Probabilities)
        if several:
            self.drops_of = probability
        else:
            self.drop = probability.drop
        if scale is not None:
            self.factor = scale
        elif several:
            self.factors_of = probability
        else:
            self.factor = probability.factor
        return self

    cdef Mask with_bits(self, ndarray padded):
        # Return another with the same shape and numbers.
        cdef Mask mask = packed_mask(self.shape, padded)
        mask.drop, mask.drops, mask.drops_of = self.drop, self.drops, self.drops_of
        mask.factor, mask.factors, mask.factors_of = self.factor, self.factors, self.factors_of
        return mask

    @property
    def nbytes(self):
        """Bytes that the decisions take: 0 (seeded) or one bit each (packed)."""
        return 0 if self.padded is None else (self.size + 7) // 8

    @property
    def bits(self):
        """The bits of a packed mask, read-only, as of ``np.packbits``; None of a seeded one."""
        if self.padded is None:
            return None
        return lent(self.padded, self)[: self.nbytes]

    def apply(self, x, out=None):
        """Return ``x * scale`` where kept, 0 where dropped.

        Parameters
        ----------
        x : array_like of float
            An array to which the mask's shape broadcasts.
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
            If the mask's shape does not broadcast to x's, or out is read-only or of another
            shape.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.dropout_mask(3, p=0.0, rng=1).apply([1.0, 2.0, 3.0])
        array([1., 2., 3.])
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
        >>> y, mask = fd.dropout(np.ones(4), p=0.5, rng=1)
        >>> bool(np.all(mask.backward(np.ones(4)) == y))
        True
        """
        return self.applied(dy, out, "dy")

    cdef object applied(self, object x, object out, str name):
        """Return x under the mask; errors call it by that name."""
        cdef ndarray from_ = as_input(x, name)
        cdef ndarray to
        if self.shape != (<object>from_).shape:
            check_broadcast("mask shape", self.shape, (<object>from_).shape, name)
        to = as_output(from_, out, name)
        if self.factors is None and self.factors_of is None:
            self.scale_all(from_, to)
        else:
            self.scale_each(from_, to)
        return to if out is None else out

    cdef int scale_all(self, ndarray x, ndarray y) except -1:
        """Write x under the mask to y: one factor for all."""
        cdef fd_job job = job_of(FD_SCALE, self.factor)
        cdef fd_cursor cursor = self.start
        return self.run(&job, apart(x, y), None, y, &cursor, None)

    cdef int scale_each(self, ndarray x, ndarray y) except -1:
        """Write x under the mask to y: factors of the elements' own."""
        cdef fd_job job = job_of(FD_SCALE_EACH, 1.0)
        cdef fd_numbers laid
        cdef ndarray _held = self.lay_factors(y, &laid)
        cdef fd_cursor cursor = self.start
        job.each = &laid
        return self.run(&job, apart(x, y), None, y, &cursor, None)

    cdef ndarray lay_factors(self, ndarray y, fd_numbers *laid):
        """Lay factors of their own over the elements of y, in the order of its memory.

        They are those of the array that is returned.
        """
        cdef tuple shape = (<object>y).shape, axes = order_of_memory(y)
        cdef ndarray values
        cdef fd_meaning meaning
        if self.factors is None and 2 * self.factors_of.values.size > size_of(shape):
            values = self.factors_of.values
            meaning = FD_KEEP_PROB if self.factors_of.keeps else FD_P
        else:  # shared by so many elements that to make them first pays
            values, meaning = self.finite_factors(), FD_FACTOR
        if axes is not None:
            values = transposed(values, axes)
            shape = permuted(shape, axes)
        lay_numbers(values, meaning, shape, laid)
        return values

    cdef ndarray finite_factors(self):
        """Return the factors that multiply: 1 where p is 1, as in `run`."""
        if self.finite is None:
            self.make_factors()
            self.finite = self.factors
            if np.isinf(self.factors).any():
                self.finite = np.where(self.p == 1.0, 1.0, self.factors)
        return self.finite

    cdef int run(self, fd_job *job, ndarray x, ndarray other, ndarray y,
                 fd_cursor *cursor, tuple room) except -1:
        """Do something with it to checked arrays; ``cursor`` moves to the end of the mask.

        ``room`` is that of `room_for`, or None: then it is made now, where it is needed.
        """
        cdef fd_any_mask mask
        cdef ndarray padded = self.padded
        cdef tuple axes = order_of_memory(y)
        if isinf(job.scale) and self.drop == 1.0:
            # Nothing is kept; or a caller's mask says otherwise, and keeps it as it is.
            job.scale = 1.0
        if padded is None and (
            axes is not None or self.strides is not None or self.size != cnp.PyArray_SIZE(x)
        ):
            padded = self.draw_bits(cursor, None if room is None else room[0])
        if axes is not None:
            return self.run_reordered(job, axes, x, other, y, padded, room)
        mask.each, mask.packed = NULL, NULL
        if padded is None:
            mask.seeded = self.seeded
        else:
            mask.packed = <uint8_t *>cnp.PyArray_DATA(padded)
        return apply_mask(job, &mask, self.shape, cursor, x, other, y)

    cdef int run_reordered(self, fd_job *job, tuple axes, ndarray x, ndarray other,
                           ndarray y, ndarray padded, tuple room) except -1:
        """Do it in the order of y's memory, to which the bits are brought."""
        cdef fd_any_mask mask
        cdef fd_cursor unused = self.start
        cdef uint8_t *changed = job.changed
        cdef ndarray changed_there
        cdef ndarray reordered = padded_bits(self.size) if room is None else room[1]
        cdef tuple shape = (1,) * (y.ndim - len(self.shape)) + self.shape
        gather(padded, shape, axes, <uint8_t *>cnp.PyArray_DATA(reordered))
        mask.each, mask.packed = NULL, <uint8_t *>cnp.PyArray_DATA(reordered)
        if changed != NULL:  # relu: as many bits, to be brought back
            changed_there = padded_bits(self.size) if room is None else room[2]
            changed_there[:] = 0
            job.changed = <uint8_t *>cnp.PyArray_DATA(changed_there)
        apply_mask(
            job, &mask, permuted(shape, axes), &unused, x.transpose(axes),
            None if other is None else other.transpose(axes), y.transpose(axes),
        )
        if changed != NULL:
            gather(changed_there, permuted(shape, axes), np.argsort(axes).tolist(), changed)
        return 0

    cdef ndarray draw_bits(self, fd_cursor *cursor, ndarray room):
        """Return the padded bits of a seeded mask; ``cursor`` moves to its end."""
        if self.strides is not None:
            return pack(np.asarray(self), room)
        if room is None:
            room = padded_bits(self.size)
        self.draw_contiguous(room, False, cursor)
        return room

    cdef int draw_contiguous(self, ndarray out, bint bytes_, fd_cursor *cursor) except -1:
        cdef size_t n = self.size
        cdef void *to = cnp.PyArray_DATA(out)
        cdef fd_executor pool = engine.pool()
        with nogil:
            draw_all(&self.seeded, NULL, False, bytes_, to, cursor, n, &pool)
        return 0

    def packed(self):
        """Return the same mask as bits: itself if it is packed.

        Returns
        -------
        mask : Mask
            A packed mask, equal to this one.

        Examples
        --------
        >>> import fastdrop as fd
        >>> mask = fd.dropout_mask(20, p=0.5, rng=1).packed()
        >>> mask.nbytes, mask.bits.size
        (3, 3)
        """
        cdef fd_cursor cursor = self.start
        if self.padded is not None:
            return self
        return self.with_bits(self.draw_bits(&cursor, None))

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("copy=False is not possible: a mask is stored as a seed or as bits")
        cdef fd_cursor cursor = self.start
        if self.padded is not None:
            kept = np.empty(self.shape, bool)
            unpack(self.padded, self.size, kept)
        elif self.strides is None:
            kept = np.empty(self.shape, bool)
            self.draw_contiguous(kept, True, &cursor)
        else:
            kept = np.empty(self.shape, bool)
            self.draw_window(kept, 0, self.strides)
        return kept if dtype is None else kept.astype(dtype, copy=False)

    cdef int draw_window(self, out, int64_t offset, strides) except -1:
        """Write the decisions at offset + index * strides: spans are drawn, and picked from."""
        cdef int64_t low, span, rows
        reach = [(length - 1) * stride for length, stride in zip(out.shape, strides, strict=True)]
        if out.size == 0:
            return 0
        PyErr_CheckSignals()
        low = offset + sum(min(step, 0) for step in reach)
        span = 1 + sum(abs(step) for step in reach)
        if span <= SPAN:
            drawn = np.asarray(seeded_mask((span,), self.later(low)))
            out[...] = np.lib.stride_tricks.as_strided(drawn[offset - low :], out.shape, strides)
        elif out.shape[0] == 1:
            self.draw_window(out[0], offset, strides[1:])
        else:
            rows = max(1, SPAN // max(1, abs(strides[0])))
            for row in range(0, out.shape[0], rows):
                self.draw_window(out[row : row + rows], offset + row * strides[0], strides)
        return 0

    cdef fd_seeded later(self, int64_t offset):
        cdef fd_seeded seeded = self.seeded
        seeded.position += <uint64_t>offset
        return seeded

    def __getitem__(self, window):
        entries = window_entries(window, self.shape)
        strides = self.strides or contiguous_strides(self.shape)
        offset, shape, strides = window_of(self.shape, strides, entries)
        p = numbers_of_window(self.p, self.shape, entries)
        scale = numbers_of_window(self.scale, self.shape, entries)
        if self.padded is not None:
            return self.packed_window(offset, shape, strides).with_numbers(p, scale)
        cdef fd_seeded first = self.later(0 if 0 in shape else offset)
        cdef Mask mask = seeded_mask(shape, first).with_numbers(p, scale)
        if mask.size and not is_contiguous(shape, strides):
            mask.strides = strides
        return mask

    cdef Mask packed_window(self, int64_t offset, shape, strides):
        reach = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
        if 0 in shape:
            return packed_mask(shape, padded_bits(0))
        low = offset + sum(min(step, 0) for step in reach)
        high = offset + sum(max(step, 0) for step in reach)
        spanned = np.unpackbits(self.padded[low // 8 : high // 8 + 1], bitorder="little")
        kept = np.lib.stride_tricks.as_strided(spanned[offset - low // 8 * 8 :], shape, strides)
        return packed_mask(shape, pack(kept))

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
        if not isinstance(other, Mask):
            return NotImplemented
        cdef Mask that = other
        if self.shape != that.shape or not (
            same_numbers(self.p, that.p, self.shape)
            and same_numbers(self.scale, that.scale, self.shape)
        ):
            return False
        if self.padded is None and that.padded is None and self.place() == that.place():
            return True  # no need for the bits
        return np.array_equal(self.packed().bits, that.packed().bits)

    __hash__ = None

    def __reduce__(self):
        common = {"shape": self.shape, "p": self.p, "scale": self.scale}
        if self.padded is not None:
            return rebuild_packed, (common | {"bits": self.bits.tobytes()},)
        return rebuild_seeded, (common | self.place(),)

    cdef dict place(self):
        """Return where a seeded mask was drawn, and how it decides."""
        threshold = self.seeded.threshold
        return place_of(&self.seeded) | {
            "threshold": 2**64 if threshold.drops_all else threshold.value,
            "strides": self.strides,
        }

    def __repr__(self):
        p = f"{self.p:.6g}" if type(self.p) is float else f"array of shape {self.p.shape}"
        stored = "seeded" if self.padded is None else "packed"
        return f"<Mask of shape {self.shape}, p={p}, {stored}>"


# What a mask needs to be applied, apart from the arrays, or None. It is made before a source
# advances, so that nothing is lost where memory is short.
cdef tuple room_for(tuple shape, bint seeded, ndarray x, ndarray y, bint changes=False):
    cdef size_t size
    if order_of_memory(y) is not None:
        size = size_of(shape)
        return (
            padded_bits(size) if seeded else None,
            padded_bits(size),
            padded_bits(size) if changes else None,
        )
    if seeded and size_of(shape) != cnp.PyArray_SIZE(x):
        return (padded_bits(size_of(shape)),)
    return None


# Arrays and shapes whose axes are permuted; an array lacks axes of length 1.
cdef ndarray transposed(ndarray values, tuple axes):
    cdef ndarray whole = (<object>values).reshape(
        (1,) * (len(axes) - values.ndim) + (<object>values).shape
    )
    cdef ndarray copy = np.empty(permuted((<object>whole).shape, axes))
    transpose_into(whole, axes, copy)
    return copy


cdef tuple permuted(tuple shape, axes):
    return tuple([shape[axis] for axis in axes])


cdef int gather(ndarray padded, tuple shape, axes, uint8_t *to) except -1:
    """Write the bits of an array of that shape in another order of its axes."""
    cdef const uint8_t *bits = <const uint8_t *>cnp.PyArray_DATA(padded)
    cdef fd_view view = view_of(shape, axes)
    with nogil:
        engine.gather_bits(&view, bits, to)
    return 0


cdef int unpack(ndarray padded, size_t n, ndarray out) except -1:
    """Write packed bits as bytes of 0 and 1."""
    cdef const fd_kernels *kernels = engine.kernels()
    with nogil:
        kernels.unpack(<const uint8_t *>cnp.PyArray_DATA(padded), n,
                       <uint8_t *>cnp.PyArray_DATA(out))
    return 0


# Masks whose numbers are yet to be set.

cdef Mask seeded_mask(tuple shape, fd_seeded seeded):
    cdef Mask mask = Mask.__new__(Mask)
    mask.shape = shape
    mask.size = size_of(shape)
    mask.seeded = seeded
    return mask


cdef Mask packed_mask(tuple shape, ndarray padded):
    cdef Mask mask = Mask.__new__(Mask)
    mask.shape = shape
    mask.size = size_of(shape)
    mask.padded = padded
    return mask


# A pickle may hold anything: all of it is checked.

def rebuild_packed(entries):
    """Return the packed mask that was pickled."""
    check_entries("the pickled mask", entries, ("shape", "p", "scale", "bits"))
    shape = check_shape(entries["shape"])
    size, bits = size_of(shape), entries["bits"]
    if not isinstance(bits, bytes):
        raise TypeError(f"bits is a {type(bits).__name__}; it must be bytes")
    if len(bits) != -(-size // 8):
        raise ValueError(f"bits has {len(bits)} bytes; a mask of shape {shape} has {-(-size // 8)}")
    if size % 8 and bits[size // 8] >> size % 8:
        raise ValueError(
            f"bits ends in {bits[size // 8]:#04x}; the bits after those of the mask must be 0"
        )
    padded = padded_bits(size)
    padded[: len(bits)] = np.frombuffer(bits, np.uint8)
    padded[len(bits) :] = 0
    return rebuilt(packed_mask(shape, padded), entries)


def rebuild_seeded(entries):
    """Return the seeded mask that was pickled."""
    check_entries("the pickled mask", entries, ("shape", "p", "scale", "threshold", "strides"))
    cdef fd_seeded seeded = seeded_at(entries)
    threshold = check_integer("threshold", entries["threshold"], 0, 2**64 + 1, "in [0, 2**64]")
    seeded.threshold.drops_all = threshold == 2**64
    seeded.threshold.value = threshold % 2**64
    cdef Mask mask = seeded_mask(check_shape(entries["shape"]), seeded)
    mask.strides = check_strides(entries["strides"], mask.shape, seeded.position)
    return rebuilt(mask, entries)


cdef Mask rebuilt(Mask mask, dict entries):
    p = check_numbers("p", entries["p"], mask.shape, 1.0)
    return mask.with_numbers(p, check_numbers("scale", entries["scale"], mask.shape, math.inf))


cdef tuple check_strides(strides, tuple shape, uint64_t position):
    """Return the strides of a seeded mask whose decisions are all at positions of a source."""
    steps = contiguous_strides(shape) if strides is None else tuple(map(operator.index, strides))
    if len(steps) != len(shape):
        raise ValueError(f"strides is {strides!r}; there must be one for each axis of {shape}")
    reach = [(length - 1) * step for length, step in zip(shape, steps, strict=True)]
    first = position + sum(min(step, 0) for step in reach)
    last = position + sum(max(step, 0) for step in reach)
    if 0 not in shape and not 0 <= first <= last < 2**64:
        raise ValueError(
            f"the mask goes from position {first} to {last} of its source; they must be in "
            "[0, 2**64)"
        )
    return None if strides is None else steps


cdef dict place_of(const fd_seeded *seeded):
    return {
        "stream_version": STREAM_VERSION,
        "source": SOURCE_NAMES[seeded.source],
        "key": (seeded.identity.key[0], seeded.identity.key[1]),
        "counter": (seeded.identity.counter[0], seeded.identity.counter[1]),
        "position": seeded.position,
    }


cdef fd_seeded seeded_at(place) except *:
    check_entries(
        "the place of the mask", place, ("stream_version", "source", "key", "counter", "position")
    )
    if place["stream_version"] != STREAM_VERSION:
        raise ValueError(
            f"the mask is of stream version {place['stream_version']!r}; "
            f"allowed is version {STREAM_VERSION}"
        )
    if place["source"] not in SOURCE_NAMES.values():
        raise ValueError(
            f"the mask is of source {place['source']!r}; it must be of "
            f"{', '.join(SOURCE_NAMES.values())}"
        )
    from fastdrop import source as sources

    halves = place["counter"]
    if not isinstance(halves, tuple) or len(halves) != 2:
        raise ValueError(f"counter is {halves!r}; it must be a pair of integers")
    low, high = (
        check_integer("counter", half, 0, 2**64, "in [0, 2**64)") for half in halves
    )
    cdef Source source = getattr(sources, place["source"])(
        key=place["key"], counter=low | high << 64
    )
    return source.at(check_position(place["position"]))


# ---- drawing ---------------------------------------------------------------------------------

def kept_mask(tuple shape, scale):
    """Return a mask that keeps every element, times ``scale``; it draws nothing."""
    cdef fd_seeded seeded
    memset(&seeded, 0, sizeof(seeded))
    return seeded_mask(shape, seeded).with_numbers(0.0, scale)


def unscaled(Mask mask):
    """Return the same mask with 1 as the factor of the kept elements."""
    cdef Mask same = mask.with_bits(mask.padded)
    same.factor, same.factors, same.factors_of = 1.0, None, None
    same.seeded, same.start, same.strides = mask.seeded, mask.start, mask.strides
    return same


def mask_from_array(kept, Probability probability, scale):
    """Return the packed mask of a caller's bool array, True where kept.

    ``scale`` is a number, or None for that of the probability.
    """
    cdef fd_numbers laid
    if isinstance(probability, Probabilities):
        (<Probabilities>probability).lay(kept.shape, &laid)
    return packed_mask(kept.shape, pack(kept)).with_probability(probability, scale)


def apply_drawn(ndarray kept, ndarray padded, ndarray spare, Probability probability, double scale,
                ndarray x, ndarray y):
    """Write x to y under a bool array, True where kept, and return that as a mask.

    It takes room that was made before the array was drawn: for the mask's bits, ``padded``, and
    for as many, ``spare``; x is apart from y.
    """
    cdef Mask mask = packed_mask((<object>kept).shape, pack(kept, padded))
    cdef fd_job job = job_of(FD_SCALE, scale)
    cdef fd_cursor cursor
    mask.with_probability(probability, scale)
    mask.run(&job, x, None, y, &cursor, (None, spare))
    return mask


cdef Mask reserve_mask(object source, tuple shape, Probability probability, double scale):
    """Draw a mask of one probability: a range of an addressable source, or bits."""
    cdef Mask mask
    cdef ndarray padded
    cdef size_t n = size_of(shape)
    if isinstance(source, Source):
        mask = Mask.__new__(Mask)
        (<Source>source).reserve(n, &mask.seeded, &mask.start)
        mask.seeded.threshold = probability.threshold
        mask.shape = shape
        mask.size = n
    else:
        padded = padded_bits(n)
        draw_decisions(source, shape, probability, False, False, padded)
        mask = packed_mask(shape, padded)
    mask.drop = probability.drop
    mask.factor = scale
    return mask


cdef Mask packed_draw(object source, tuple shape, Probability probability, scale):
    """Draw a mask of one probability or of several: bits."""
    cdef ndarray padded = padded_bits(size_of(shape))
    draw_decisions(source, shape, probability, False, False, padded)
    return packed_mask(shape, padded).with_probability(probability, scale)


cdef int draw_decisions(object source, tuple shape, Probability probability, bint dropped,
                        bint bytes_, ndarray out) except -1:
    # Draws the kept or the dropped elements of a mask, as bits or as bytes. A sequential source
    # gives kept bits only, and needs FD_PADDING bytes to spare.
    cdef fd_numbers laid
    cdef fd_numpy_limit limit
    cdef fd_seeded seeded
    cdef fd_cursor cursor
    cdef void *to = cnp.PyArray_DATA(out)
    cdef size_t n = size_of(shape)
    cdef fd_executor pool = engine.pool()
    limit.each = NULL
    if isinstance(probability, Probabilities):
        (<Probabilities>probability).lay(shape, &laid)
        limit.each = &laid
    if isinstance(source, NumPySource):
        limit.threshold, limit.p = probability.threshold, probability.drop
        (<NumPySource>source).draw(n, &limit, out)
        return 0
    (<Source>source).reserve(n, &seeded, &cursor)
    seeded.threshold = probability.threshold
    with nogil:
        draw_all(&seeded, limit.each, dropped, bytes_, to, &cursor, n, &pool)
    (<Source>source).leave(&seeded, &cursor)
    return 0


cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes_,
                  void *out, fd_cursor *cursor, size_t n,
                  const fd_executor *executor) except -1 nogil:
    cdef fd_job job
    cdef fd_any_mask mask
    cdef fd_arrays arrays
    memset(&job, 0, sizeof(job))
    mask.seeded, mask.each, mask.packed = seeded[0], each, NULL
    job.kernels, job.mask = engine.kernels(), &mask
    job.as_dropped, job.as_bytes = dropped, bytes_
    arrays.x, arrays.other, arrays.y = NULL, NULL, <char *>out
    return engine.draw(&job, cursor, n, arrays, executor)


def draw_mask(tuple shape, Probability probability, source, bint packed):
    """Return a mask drawn from ``source``, which advances by its size."""
    if packed or isinstance(probability, Probabilities):
        return packed_draw(source, shape, probability, None)
    return reserve_mask(source, shape, probability, probability.factor)


def forward(x, out, Probability probability, source, noise_shape, bint scaled):
    """Return (y, mask) of a newly drawn mask; all checks come before the draw."""
    cdef ndarray from_ = as_input(x)
    cdef ndarray to
    cdef Mask mask
    cdef fd_job job
    shape = (<object>from_).shape
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    to = as_output(from_, out)
    if isinstance(probability, Probabilities):
        mask = forward_each(from_, to, probability, source, shape, scaled)
    else:
        job = job_of(FD_SCALE, probability.factor if scaled else 1.0)
        mask = run_first(&job, from_, None, to, source, shape, probability,
                         job.scale)
    return to if out is None else out, mask


cdef Mask forward_each(ndarray x, ndarray y, Probabilities probability, source, tuple shape,
                       bint scaled):
    """Write x to y under a newly drawn mask of several probabilities, and return that."""
    cdef fd_job job = job_of(FD_SCALE, 1.0)
    cdef Mask mask = packed_mask(shape, padded_bits(size_of(shape)))
    cdef tuple room = room_for(shape, False, x, y)
    cdef fd_numbers laid
    cdef fd_cursor cursor = mask.start
    cdef ndarray _held
    probability.lay(shape, &laid)
    mask.with_probability(probability, None if scaled else 1.0)
    if scaled:
        _held = mask.lay_factors(y, &laid)
        job.operation, job.each = FD_SCALE_EACH, &laid
    x = apart(x, y)
    draw_decisions(source, shape, probability, False, False, mask.padded)
    mask.run(&job, x, None, y, &cursor, room)
    return mask


cdef Mask run_first(fd_job *job, ndarray x, ndarray other, ndarray y, source,
                    tuple shape, Probability probability, double scale):
    """Draw a mask of one probability and do something with it to checked arrays.

    All memory is taken before the source advances.
    """
    cdef tuple room = room_for(shape, isinstance(source, Source), x, y, job.changed != NULL)
    cdef Mask mask
    cdef fd_cursor cursor
    x = apart(x, y)
    if other is not None:
        other = apart(other, y)
    mask = reserve_mask(source, shape, probability, scale)
    cursor = mask.start
    mask.run(job, x, other, y, &cursor, room)
    if isinstance(source, Source):
        (<Source>source).leave(&mask.seeded, &cursor)
    return mask


def draw_bernoulli(tuple shape, Probability probability, source, bint packed, out, dtype):
    """Return booleans that are True where dropout would drop, as bytes or as bits."""
    cdef size_t n = size_of(shape)
    cdef tuple wanted = ((n + 7) // 8,) if packed else shape
    cdef ndarray given = np.empty(wanted, dtype) if out is None else np.asarray(out)
    cdef bint direct = cnp.PyArray_ISCARRAY_RO(given)
    cdef ndarray target = given if direct else np.empty(wanted, dtype)
    cdef ndarray bits
    if isinstance(source, NumPySource):
        bits = padded_bits(n)
        draw_decisions(source, shape, probability, False, False, bits)
        np.invert(bits, bits)
        if packed:
            target[:] = bits[: target.size]
            if n % 8:
                target[n // 8] &= (1 << n % 8) - 1
        else:
            unpack(bits, n, target)
    else:
        draw_decisions(source, shape, probability, True, not packed, target)
    if not direct:
        given[...] = target
    return given if out is None else out
