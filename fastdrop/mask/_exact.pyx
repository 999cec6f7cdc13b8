# SPDX-License-Identifier: BSD-3-Clause
# Design: bits with an exact number of ones in each row. Booleans of a fitting probability are drawn
# first. Then as many elements as are missing are dropped, or kept again, at places that are drawn
# one by one: about the root of n of them.
from libc.math cimport sqrt
from libc.stdint cimport uint8_t

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.mask._draw import draw_bernoulli
from fastdrop.mask._probability import probability_of

from fastdrop.kernels._kernels cimport engine, fd_exact_row
from fastdrop.mask._bits cimport padded_bits

cnp.import_array()


def choose(size_t rows, size_t n, size_t k, source):
    """Return the bits of an array of shape (rows, n) with k <= n / 2 ones in each row."""
    if k == 0 or rows == 0:
        return np.zeros((rows * n + 7) // 8, np.uint8)
    # Any probability is right, for whatever it gives, all choices of as many are equally likely.
    # Where ones are rare it is lower: to take a one away means to find it first.
    cdef double expected = k if 16 * k >= n else max(0.0, k - 2 * sqrt(<double>k))
    cdef ndarray wrong = np.empty((rows, sizeof(fd_exact_row)), np.uint8)
    cdef ndarray bits = drawn(rows * n, expected / n, source)
    cdef ndarray words
    cdef uint8_t *at = <uint8_t *>cnp.PyArray_DATA(bits)
    cdef fd_exact_row *listed = <fd_exact_row *>cnp.PyArray_DATA(wrong)
    cdef size_t count, needed
    with nogil:
        count = engine.exact_list(at, rows, n, k, listed)
    while count:
        with nogil:
            needed = engine.exact_words(listed, count, n, k)
        words = drawn(64 * needed, 0.5, source)
        with nogil:
            count = engine.exact_correct(
                at, n, k, listed, count, <const uint8_t *>cnp.PyArray_DATA(words)
            )
    return bits


cdef ndarray drawn(size_t n, double p, source):
    """Return n bits that are 1 with that probability, with bytes to spare."""
    cdef ndarray bits = (<object>padded_bits(n))[: (n + 7) // 8]
    return draw_bernoulli((n,), probability_of(p), source, True, bits, np.uint8)
