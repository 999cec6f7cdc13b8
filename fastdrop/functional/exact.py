# SPDX-License-Identifier: BSD-3-Clause
"""Masks that drop an exact number of elements."""

from __future__ import annotations

import math
from typing import Any, Never, SupportsIndex

import numpy as np

from fastdrop._checks import check_axes, check_integer, check_p, check_shape, refuse_both
from fastdrop._typing import AxesLike, NDArray, RNGLike, ShapeLike
from fastdrop._words import HALF, public, refuse
from fastdrop.functional.booleans import bernoulli
from fastdrop.mask import Mask
from fastdrop.source import NumPySource, Source
from fastdrop.source.default import as_source

__all__ = ["exact_mask"]


@public()
def exact_mask(
    shape: ShapeLike,
    p: float = HALF,
    *late: Never,
    k: SupportsIndex | None = None,
    axes: AxesLike | None = None,
    rng: RNGLike = None,
    **words: Never,
) -> Mask:
    """Draw a mask that drops an exact number of elements: each choice of them is equally likely.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the mask.
    p : float, default 0.5
        The part to drop, in [0, 1]: ``round(p * n)`` of n elements.
    k : int, optional
        Instead of p: how many to drop.
    axes : int or sequence of int, optional
        The axes along which so many are dropped: -1 drops as many in each row. By default it is
        so many in all.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout`.

    Returns
    -------
    mask : Mask
        A packed mask, whose p is k / n.

    Raises
    ------
    TypeError
        If p and k are both given, or an argument is of another type.
    ValueError
        If p, k or an axis is out of range.

    Notes
    -----
    Booleans of a fitting probability are drawn first. Then as many elements as are missing are
    dropped, or kept again, at places that are drawn one by one: about the root of n of them. How
    far a source advances depends on what it gave.

    In all this takes 4 to 6 times as long as a packed mask of `dropout_mask` for a million elements
    and more, and about 0.1 ms for few; along axes it takes about 10 ns per element.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> mask = fd.exact_mask(1000, k=30, rng=1)
    >>> mask.size - mask.count(), mask.p
    (30, 0.03)
    >>> rows = fd.exact_mask((3, 8), 0.25, axes=-1, rng=1)
    >>> rows.sum(axis=1)
    array([6, 6, 6])
    """
    if late or words:
        refuse(exact_mask, late, words)
    shape = check_shape(shape)
    inner = tuple(range(len(shape))) if axes is None else check_axes("axes", axes, shape)
    n = math.prod(shape[axis] for axis in inner)
    if k is None:
        k = round(check_p(0.5 if p is HALF else p) * n)
    elif p is not HALF:
        refuse_both(p=p, k=k)
    else:
        k = check_integer("k", k, 0, n + 1, f"in [0, {n}], the elements to choose from")
    source = as_source(rng)
    outer = tuple(axis for axis in range(len(shape)) if axis not in inner)
    groups = math.prod(shape[axis] for axis in outer)
    # The rarer ones are chosen, so that at least every second place that is drawn is free.
    bits = _choose(groups, n, min(k, n - k), source)
    if 2 * k <= n:
        bits = ~bits
    kept_p = k / n if n else 0.0
    order = (*outer, *inner)
    size = groups * n
    if order == tuple(range(len(shape))):
        if size % 8:
            bits[-1] &= (1 << size % 8) - 1
        return Mask.from_bits(bits, shape, kept_p)
    kept = np.unpackbits(bits, count=size, bitorder="little").view(bool)
    kept = kept.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    return Mask.from_array(kept, kept_p)


def _choose(groups: int, n: int, k: int, source: Source | NumPySource) -> NDArray[np.uint8]:
    """Return the bits of an array of shape (groups, n) with k <= n / 2 ones in each row."""
    if k == 0 or groups == 0:
        return np.zeros(-(-groups * n // 8), np.uint8)
    # Any probability is right, for whatever it gives, all choices of as many are equally likely.
    # Where ones are rare it is lower: to take a one away means to find it first.
    expected = k if 16 * k >= n else max(0.0, k - 2 * math.sqrt(k))
    bits = bernoulli(groups * n, expected / n, rng=source, packed=True)
    missing = k - _ones(bits, groups, n)
    while (rows := np.flatnonzero(missing)).size:
        adds = missing[rows] > 0
        needed = np.abs(missing[rows])
        free = np.where(adds, n - k + missing[rows], k - missing[rows])  # places that would do
        tries = np.ceil(1.2 * needed * n / free).astype(np.int64) + 1
        group = np.repeat(np.arange(rows.size), tries)
        place, within = _places(source, n, group.size)
        at = rows[group] * n + place
        fits = np.flatnonzero(within & (bits[at >> 3] >> (at & 7) & 1 != adds[group]))
        # Of places that were drawn twice the first counts; of a row, as many as it needs.
        first = np.zeros(at.size, bool)
        first[fits[np.unique(at[fits], return_index=True)[1]]] = True
        before = np.cumsum(first) - first
        start = np.cumsum(tries) - tries
        first &= before - before[start][group] < needed[group]
        at, group = at[first], group[first]
        np.bitwise_xor.at(bits, at >> 3, (1 << (at & 7)).astype(np.uint8))
        missing[rows] -= np.where(adds, 1, -1) * np.bincount(group, minlength=rows.size)
    return bits


def _ones(bits: NDArray[np.uint8], groups: int, n: int) -> NDArray[np.int64]:
    """Return how many ones each row has."""
    if groups == 1 or n % 8 == 0:
        counts = np.bitwise_count(bits).reshape(groups, -1)
    else:
        counts = np.unpackbits(bits, count=groups * n, bitorder="little").reshape(groups, n)
    return np.asarray(counts.sum(axis=1, dtype=np.int64))


def _places(
    source: Source | NumPySource, n: int, count: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return so many numbers of as many bits as n - 1 has, and which of them are below n."""
    words = bernoulli(64 * count, 0.5, rng=source, packed=True).view("<u8")
    place = (words & np.uint64((1 << (n - 1).bit_length()) - 1)).astype(np.int64)
    within = place < n
    return np.where(within, place, 0), within
