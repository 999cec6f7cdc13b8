# SPDX-License-Identifier: BSD-3-Clause
# cython: auto_pickle=False
# Design: a probability is a number, or an array of them that broadcasts to the mask; a number is
# the case without axes. Thresholds and factors of an array's elements are made by the kernels.
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport isinf

import math

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    check_broadcast,
    check_keep_prob,
    check_probabilities,
    check_probability,
    takes_array,
)

from fastdrop.apply._broadcast cimport set_broadcast
from fastdrop.kernels._kernels cimport (
    FD_FACTOR,
    FD_KEEP_PROB,
    FD_P,
    engine,
    fd_drop_threshold,
    fd_keep_threshold,
    fd_job,
    fd_kernels,
    fd_meaning,
    fd_numbers,
)
from fastdrop.mask._bits cimport permuted, read_only, size_of, transposed

cnp.import_array()

# The largest p below 1: that of a keep_prob which is not 0, but whose inverse is infinite. So p = 1
# says by itself that nothing is kept, and an infinite scale with another p says that it multiplies.
cdef double BELOW_ONE = 1.0 - 2.0 ** -53


cdef class Probability:
    """p or keep_prob, checked: thresholds, factors of kept elements, and p as shown."""

    def __init__(self, p, keep_prob, str name="p"):
        self.take(p, keep_prob, name)

    cdef int take(self, p, keep_prob, str name) except -1:
        """Become that of a number."""
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
        return 0

    @property
    def is_array(self):
        """Whether it is an array of probabilities."""
        return self.values is not None

    @property
    def p(self):
        if self.values is None:
            return self.drop
        if not self.keeps:
            return self.values
        p = 1.0 - self.values
        p[(self.values > 0.0) & np.isinf(self.scale)] = BELOW_ONE
        return p

    @property
    def keep_prob(self):
        if self.values is None:
            return self.keep
        return self.values if self.keeps else 1.0 - self.values

    @property
    def scale(self):
        if self.values is None:
            return self.factor
        with np.errstate(divide="ignore", over="ignore"):
            return 1.0 / self.keep_prob

    cdef int lay(self, tuple shape, fd_numbers *laid) except -1:
        """Lay an array over a mask of that shape, or say that it does not fit."""
        check_broadcast(f"{self.name} shape", (<object>self.values).shape, shape, "the mask")
        return lay_numbers(self.values, self.meaning(), shape, laid)

    cdef fd_meaning meaning(self) noexcept:
        return FD_KEEP_PROB if self.keeps else FD_P


cpdef Probability probability_of(p, keep_prob=None, str name="p"):
    """Return the probability that a number or an array says."""
    cdef Probability probability = Probability.__new__(Probability)
    value = p if keep_prob is None else keep_prob
    if keep_prob is not None:
        name = "keep_prob"
    if isinstance(value, float) or not takes_array(name, value):
        probability.take(p, keep_prob, name)
        return probability
    probability.name, probability.keeps = name, keep_prob is not None
    probability.values = copied_probabilities(value)
    if probability.values is None:
        probability.values = check_probabilities(name, value)
    return probability


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


cdef double multiplier(double factor, double drop) noexcept:
    # Where nothing is kept, an infinite factor has nothing to multiply; or a caller's mask says
    # otherwise, and keeps it as it is.
    return 1.0 if isinf(factor) and drop == 1.0 else factor


# ---- numbers of masks ------------------------------------------------------------------------

# One number for so many elements takes no more memory than their bits.
cdef size_t FEW = 64


cdef class Numbers:
    """p and scale of a mask, of which one is an array at least, or both. Made when asked for.

    What was made first stays: views of it, which the mask alone keeps alive, have been given away.
    A critical section, which is nothing where Python has the GIL, has the choice; to make arrays in
    it would leave it.
    """

    cdef object p(self):
        """Return p: a float, or an array that is not to be given away."""
        with cython.critical_section(self):
            if self.drops is not None:
                return self.drops
        made = self.source.p
        with cython.critical_section(self):
            if self.drops is None:
                self.drops = made
            return self.drops

    cdef object scale(self):
        """Return the factors, likewise."""
        with cython.critical_section(self):
            if self.factors is not None:
                return self.factors
        made = self.source.scale
        with cython.critical_section(self):
            if self.factors is None:
                self.factors = made
            return self.factors

    cdef Numbers with_factors(self, object factors):
        """Return those of the same p."""
        with cython.critical_section(self):
            return numbers_of(self.source, self.drops, factors)

    cdef object made_factors(self):
        """Return the factors, or None where nobody has asked for them yet."""
        with cython.critical_section(self):
            return self.factors

    cdef bint scales_each(self) except -1:
        """Tell whether elements have factors of their own."""
        return type(self.made_factors()) is not float

    cdef ndarray lay_factors(self, fd_job *job, fd_numbers *laid, tuple shape, tuple axes,
                             bint boxes):
        """Lay factors of their own over the elements of an array of that shape.

        ``axes`` is the order in which it is written; None: that of its indices. If it is written in
        ``boxes``, many factors follow the indices nevertheless. The factors are those of the array
        that is returned.
        """
        cdef ndarray values
        cdef fd_meaning meaning
        if self.made_factors() is None and 2 * self.source.values.size > size_of(shape):
            values, meaning = self.source.values, self.source.meaning()
        else:  # shared by so many elements that to make them first pays
            values, meaning = self.finite_factors(), FD_FACTOR
        job.each = laid
        job.each_by_index = boxes and axes is not None and FEW * values.size > size_of(shape)
        if axes is not None and not job.each_by_index:
            values = transposed(values, axes)
            shape = permuted(shape, axes)
        lay_numbers(values, meaning, shape, laid)
        return values

    cdef ndarray finite_factors(self):
        """Return the factors that multiply: 1 where nothing is kept, as where they are one number.

        p alone does not say it: of a keep_prob below 2**-53 it is 1 too, but what is kept is
        multiplied.
        """
        with cython.critical_section(self):
            if self.finite is not None:
                return self.finite
        factors = self.scale()
        infinite = np.isinf(factors)
        if infinite.any():
            factors = np.where(infinite & np.equal(self.p(), 1.0), 1.0, factors)
        with cython.critical_section(self):
            if self.finite is None:
                self.finite = factors
            return self.finite


cdef Numbers numbers_of(Probability source, object drops, object factors):
    """Return those of a probability, or given ones: floats, and arrays that are nobody else's."""
    cdef Numbers numbers = Numbers.__new__(Numbers)
    numbers.source, numbers.drops, numbers.factors = source, drops, factors
    return numbers


cdef bint same_numbers(a, b, shape):
    """Are they the same for every element of a mask?"""
    if type(a) is float and type(b) is float:
        return a == b
    return np.array_equal(np.broadcast_to(a, shape), np.broadcast_to(b, shape))


cdef object numbers_of_window(values, shape, entries):
    """Return the numbers of a window of a mask: an array no larger than it must be, or a float."""
    if type(values) is float:
        return values
    whole = with_axes(values, len(shape))
    part = whole[(*[
        entry if length > 1 else slice(None) if isinstance(entry, slice) else 0
        for entry, length in zip(entries, whole.shape, strict=True)
    ], ...)]
    return float(part) if part.ndim == 0 else part.copy()


cdef object with_axes(values, ndim):
    """Return an array with as many axes as a mask, to which it broadcasts."""
    missing = ndim - values.ndim
    return values.reshape((1,) * missing + values.shape) if missing else values


cdef object numbers_in_reverse(values, ndim):
    """Return the numbers of a mask whose axes are in reverse order."""
    if type(values) is float:
        return values
    return with_axes(values, ndim).T.copy()
