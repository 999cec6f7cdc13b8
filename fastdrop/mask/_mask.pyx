# SPDX-License-Identifier: BSD-3-Clause
# Design: a mask is a value. It has a decision for each element, by a place in a stream (seeded) or
# as bits (packed), and knows how the kept elements are scaled, so that the backward pass needs
# nothing else. Both numbers, p and scale, may be arrays that broadcast to the mask: where p is, the
# mask is packed.
cimport cython
from libc.stdint cimport int64_t

import math

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    check_bits,
    check_bools,
    check_broadcast,
    check_choice,
    check_entries,
    check_numbers,
    check_shape,
    check_window,
    refuse_call,
    refuse_zoneout,
    selects,
)
from fastdrop._pickle import add_reader, in_words, load

from fastdrop.apply._apply cimport (
    apart,
    as_input,
    as_output,
    fit_boxes,
    has_shape,
    job_of,
    order_of_memory,
)
from fastdrop.kernels._kernels cimport (
    FD_SCALE,
    FD_SCALE_EACH,
    fd_cursor,
    fd_job,
    fd_numbers,
    fd_seeded,
)
from fastdrop.mask._bits cimport lent, pack, padded_copy, permuted
from fastdrop.mask._decisions cimport Decisions
from fastdrop.mask._probability cimport (
    Probability,
    multiplier,
    numbers_in_reverse,
    numbers_of,
    numbers_of_window,
    same_numbers,
)
from fastdrop.mask._probability import probability_of
from fastdrop.mask._state cimport state_of
from fastdrop.mask._count import count_kept
from fastdrop.mask._picture import html_of
from fastdrop.mask._window import contiguous_strides, window_of
from fastdrop.source._class_name cimport say_public

cnp.import_array()


@cython.no_gc
cdef class Mask(Decisions):
    """It says which elements are kept, by a place in a stream (seeded) or by bits (packed).

    `dropout`, `dropout_mask`, `from_array`, `from_bits` and `from_state` return masks. So do
    windows of another mask, and pickles.

    Attributes
    ----------
    shape : tuple of int
        Shape of the mask: the lengths of its axes. It broadcasts to the arrays that the mask is
        applied to.
    size : int
        Number of decisions: the product of ``shape``.
    ndim : int
        Number of axes.
    dtype : dtype
        bool, the type of the elements.
    p : float or ndarray of float64
        Probability of dropping, which is 1 - keep_prob if that was given. An array is read-only
        and broadcasts to the mask's shape.
    scale : float or ndarray of float64
        Factor of the kept elements, a number or an array like p. It is inf if p is 1, since
        nothing is kept then.
    nbytes : int
        Bytes that the decisions take: 0 (seeded) or one bit each (packed).
    bits : ndarray of uint8 or None
        The bits of a packed mask, read-only. They are what
        ``np.packbits(kept, axis=None, bitorder="little")`` returns: in C order, the lowest bit
        first, and 0 after the last element.

    Notes
    -----
    ``np.asarray(mask)`` is a bool array, True where an element is kept. ``mask[window]`` with
    integers, slices and an ellipsis is the mask of that window. It is still seeded, and so is
    ``mask.T``. All other indices, such as lists, bools and arrays, index that array. Two masks are
    equal if their shape, p, scale and kept elements are equal, even if one is seeded and the other
    is packed. A mask of `zoneout` is equal to masks of `zoneout` only.

    In arithmetic (``~ & | ^ + - *``) a mask stands for that array. The result is an array, or what
    the other operand makes of one. Arithmetic does not scale. `apply` does.

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
        refuse_call("a Mask", "dropout_mask or dropout")

    @property
    def p(self):
        """Probability of dropping: a float, or a read-only array that broadcasts to the mask."""
        return self.handed_out(self.own_p())

    @property
    def scale(self):
        """Factor of kept elements: a float, or a read-only array that broadcasts to the mask."""
        return self.handed_out(self.own_scale())

    cdef object own_p(self):
        return self.drop if self.numbers is None else self.numbers.p()

    cdef object own_scale(self):
        return self.factor if self.numbers is None else self.numbers.scale()

    cdef object handed_out(self, numbers):
        return numbers if type(numbers) is float else lent(numbers, self)

    cdef Mask with_numbers(self, p, scale):
        # Return itself, with these: floats, or arrays in C order that are nobody else's.
        if type(p) is float:
            self.drop = p
        if type(scale) is float:
            self.factor = scale
        if type(p) is not float or type(scale) is not float:
            self.numbers = numbers_of(None, p, scale)
        return self

    cdef Mask with_probability(self, Probability probability, scale):
        # Set the probability and return self. scale=None means 1 / (1 - p).
        if probability.values is not None:
            self.numbers = numbers_of(probability, None, scale)
        self.drop = probability.drop
        self.factor = probability.factor if scale is None else scale
        return self

    cdef Mask with_bits(self, ndarray padded):
        # Return another with the same shape and numbers.
        cdef Mask mask = packed_mask(self.shape, padded)
        mask.drop, mask.factor, mask.numbers = self.drop, self.factor, self.numbers
        mask.of_zoneout = self.of_zoneout
        return mask

    @property
    def T(self):
        """The mask with its axes in reverse order, still seeded."""
        axes = range(self.ndim)[::-1]
        strides = permuted(self.strides or contiguous_strides(self.shape), axes)
        return self.part(
            0, self.shape[::-1], strides, numbers_in_reverse(self.own_p(), self.ndim),
            numbers_in_reverse(self.own_scale(), self.ndim),
        )

    cdef object applied(self, object x, object out, str name):
        """Return x under the mask; errors call it by that name."""
        cdef ndarray from_ = as_input(x, name)
        cdef ndarray to, _held
        cdef fd_job job = job_of(FD_SCALE, multiplier(self.factor, self.drop))
        cdef fd_cursor cursor = self.start
        cdef fd_numbers laid
        if not has_shape(from_, self.shape):
            check_broadcast("mask shape", self.shape, (<object>from_).shape, name)
        to = as_output(from_, out, name)
        if self.numbers is not None and self.numbers.scales_each():
            job.operation, job.scale = FD_SCALE_EACH, 1.0
            _held = self.numbers.lay_factors(
                &job, &laid, (<object>to).shape, order_of_memory(to), fit_boxes(from_, None, to)
            )
        self.run(&job, apart(from_, to), None, to, &cursor, None)
        return to if out is None else out

    cdef int check_backward(self) except -1:
        if self.of_zoneout:
            refuse_zoneout(self)
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
        return self if self.padded is not None else self.with_bits(self.all_bits())

    def count(self):
        """Return how many elements are kept, without making the array.

        Returns
        -------
        count : int
            The same number as ``mask.sum()``.

        Examples
        --------
        >>> import fastdrop as fd
        >>> mask = fd.dropout_mask((1000, 1000), p=0.1, rng=1)
        >>> bool(mask.count() == mask.sum())
        True
        """
        return count_kept(self)

    def _repr_html_(self):
        return html_of(self)

    def __getitem__(self, window):
        try:
            entries = check_window(window, self.shape)
        except TypeError:
            if not selects(window):
                raise
            return np.asarray(self)[window]
        strides = self.strides or contiguous_strides(self.shape)
        offset, shape, strides = window_of(self.shape, strides, entries)
        p = numbers_of_window(self.own_p(), self.shape, entries)
        scale = numbers_of_window(self.own_scale(), self.shape, entries)
        return self.part(offset, shape, strides, p, scale)

    cdef Mask part(self, int64_t offset, tuple shape, tuple strides, p, scale):
        """Return the mask of the decisions at offset + index * strides, with these numbers."""
        cdef Mask mask = Mask.__new__(Mask)
        self.view(mask, offset, shape, strides)
        mask.of_zoneout = self.of_zoneout
        return mask.with_numbers(p, scale)

    def __eq__(self, other):
        if not isinstance(other, Mask):
            return NotImplemented
        cdef Mask that = other
        if (self.shape, self.of_zoneout) != (that.shape, that.of_zoneout) or not (
            same_numbers(self.p, that.p, self.shape)
            and same_numbers(self.scale, that.scale, self.shape)
        ):
            return False
        if self.padded is None and that.padded is None and self.entries() == that.entries():
            return True  # no need for the bits
        return np.array_equal(self.packed().bits, that.packed().bits)

    __hash__ = None

    @property
    def state(self):
        """The whole mask as a dict that programs can keep. `from_state` makes the mask of it.

        Its entries are shape, p, scale and stream_version. A packed mask also has ``bits``, as
        bytes. A seeded mask says where it was drawn, even if ``rng`` was None: ``source`` is the
        name of the class, and ``key``, ``counter`` and ``position`` are those of the source. An
        element is dropped if its 64-bit uniform is below ``threshold``. ``strides`` is None, unless
        a window skipped elements. A mask of `zoneout` has ``of``, which is "zoneout".
        """
        state = state_of(self.shape, self.p) | {"scale": self.scale}
        if self.of_zoneout:
            state["of"] = "zoneout"
        return state | self.entries()

    @staticmethod
    def from_state(state):
        """Return the mask of a state.

        Parameters
        ----------
        state : dict
            A `state` of this version or of any earlier one. Lists may stand for tuples, as in
            JSON.

        Returns
        -------
        mask : Mask
            It is equal to the mask that gave the state.

        Raises
        ------
        TypeError, ValueError
            If an entry is missing, or cannot be of a mask.

        Examples
        --------
        >>> import json
        >>> import fastdrop as fd
        >>> mask = fd.dropout_mask((2, 3), p=0.25, rng=7)
        >>> text = json.dumps(mask.state)
        >>> fd.Mask.from_state(json.loads(text)) == mask
        True

        The source, where the mask was drawn:

        >>> state = mask.state
        >>> source = getattr(fd, state["source"])(key=state["key"], counter=state["counter"])
        >>> source.position = state["position"]
        >>> fd.dropout_mask((2, 3), p=0.25, rng=source) == mask
        True
        """
        check_entries("the state of the mask", state, ("stream_version", "shape", "p", "scale"))
        return mask_of_state(state)

    @staticmethod
    def from_array(kept, p):
        """Return the packed mask of a bool array.

        Parameters
        ----------
        kept : array_like of bool
            True where an element is kept.
        p : float or ndarray
            The probability of dropping an element, in [0, 1]. It gives the scale. An array
            broadcasts to the shape of ``kept``.

        Returns
        -------
        mask : Mask
            A copy, of the shape of ``kept``.

        Raises
        ------
        TypeError
            If kept is not of bool, or p not of numbers.
        ValueError
            If p is outside [0, 1] or NaN, or its shape does not fit.

        Examples
        --------
        >>> import fastdrop as fd
        >>> mask = fd.Mask.from_array([True, False, True], p=0.5)
        >>> mask.apply([1.0, 2.0, 3.0])
        array([2., 0., 6.])
        """
        array = check_bools("kept", kept)
        return mask_of_bits(array.shape, pack(array), probability_of(p), None)

    @staticmethod
    def from_bits(bits, shape, p):
        """Return the packed mask of bits.

        Parameters
        ----------
        bits : bytes or array_like of uint8
            One bit per element, which is 1 where it is kept. The elements are in C order, with the
            lowest bit first, and the bits after the last element are 0. This is what
            ``np.packbits(kept, axis=None, bitorder="little")`` returns.
        shape : int or sequence of int
            Shape of the mask.
        p : float or ndarray
            The probability of dropping an element, in [0, 1]. It gives the scale. An array
            broadcasts to the mask's shape.

        Returns
        -------
        mask : Mask
            A copy, of that shape.

        Raises
        ------
        TypeError
            If bits is not of uint8, or shape or p of another type.
        ValueError
            If there are more or fewer bits than the shape has elements, a bit after the last is not
            0, p is outside [0, 1] or NaN, or its shape does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> mask = fd.dropout_mask((3, 7), p=0.25, rng=1, store="bits")
        >>> fd.Mask.from_bits(mask.bits, (3, 7), p=0.25) == mask
        True
        >>> np.asarray(fd.Mask.from_bits(b"\\x05", 4, p=0.5))
        array([ True, False,  True, False])
        """
        lengths = check_shape(shape)
        padded = padded_copy(check_bits("bits", bits, lengths))
        return mask_of_bits(lengths, padded, probability_of(p), None)

    def __reduce__(self):
        return load, ("Mask", self.state)

    def __repr__(self):
        p = f"{self.p:.6g}" if type(self.p) is float else f"array of shape {self.p.shape}"
        stored = "seeded" if self.padded is None else "packed"
        of = ", of zoneout" if self.of_zoneout else ""
        return f"<Mask of shape {self.shape}, p={p}, {stored}{of}>"


def is_of_zoneout(Mask mask):
    """Tell whether `zoneout` returned it."""
    return mask.of_zoneout


# Masks whose numbers are yet to be set.

cdef Mask seeded_mask(tuple shape, fd_seeded seeded):
    cdef Mask mask = Mask.__new__(Mask)
    mask.place_at(shape, seeded)
    return mask


cdef Mask packed_mask(tuple shape, ndarray padded):
    cdef Mask mask = Mask.__new__(Mask)
    mask.hold(shape, padded)
    return mask


cdef Mask mask_of_bits(tuple shape, ndarray padded, Probability probability, scale):
    cdef fd_numbers laid
    if probability.values is not None:  # a check of its shape
        probability.lay(shape, &laid)
    return packed_mask(shape, padded).with_probability(probability, scale)


cdef Mask mask_of_state(dict state):
    """Return the mask of a state, which may hold anything: all of it is checked."""
    cdef Mask mask = Mask.__new__(Mask)
    cdef double most = math.inf
    mask.take(state)
    cdef tuple shape = mask.shape
    if "of" in state:  # zoneout takes one p, and scales nothing up
        check_choice("of", state["of"], ("zoneout",))
        mask.of_zoneout = True
        shape, most = (), 1.0
    p = check_numbers("p", state["p"], shape, 1.0)
    return mask.with_numbers(p, check_numbers("scale", state["scale"], shape, most))


say_public(Mask, "fastdrop.Mask")

add_reader("Mask", Mask.from_state)


# Masks that were pickled before `load` was there name these two.

def rebuild_packed(entries):
    """Return the packed mask that was pickled."""
    return Mask.from_state(in_words(entries))


def rebuild_seeded(entries):
    """Return the seeded mask that was pickled."""
    return Mask.from_state(in_words(entries))
