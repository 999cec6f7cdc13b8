# SPDX-License-Identifier: BSD-3-Clause
"""Masks that drop an exact number of elements."""

from __future__ import annotations

import math
from typing import Never, SupportsIndex

import numpy as np

from fastdrop._checks import check_axes, check_integer, check_p, check_shape, refuse_both
from fastdrop._typing import AxesLike, RNGLike, ShapeLike
from fastdrop._words import HALF, public, refuse
from fastdrop.mask import Mask
from fastdrop.mask._exact import choose
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
        The fraction to drop, in [0, 1]: ``round(p * n)`` of n elements.
    k : int, optional
        Instead of p: the number of elements to drop.
    axes : int or sequence of int, optional
        The axes along which this number is dropped. -1 drops this number in each row. By default,
        it is dropped from the whole mask.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.

    Returns
    -------
    mask : Mask
        A packed mask, whose p is k / n.

    Raises
    ------
    TypeError
        If p and k are both given, or an argument has a wrong type.
    ValueError
        If p, k or an axis is out of range.

    Notes
    -----
    First, booleans of a fitting probability are drawn. Their number of dropped elements is wrong by
    about the root of n. So more elements are dropped, or some are kept again, at places that are
    drawn one by one. How far a source advances depends on the numbers that it gave.

    This takes 2 to 6 times as long as a packed mask of `dropout_mask`. Along axes it takes 3 to 8
    times as long if a row has 1000 elements or more, and about 25 times as long for 64. For 8 it
    takes about 100 times as long, or 4 ns per element, because most of the time goes into drawing
    the places.

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
    inner = tuple(range(len(shape))) if axes is None else check_axes("axes", axes, shape, "shape")
    n = math.prod(shape[axis] for axis in inner)
    if k is None:
        k = round(check_p(0.5 if p is HALF else p) * n)
    elif p is not HALF:
        refuse_both(p=p, k=k)
    else:
        k = check_integer("k", k, 0, n + 1, f"in [0, {n}], of {n} elements to choose from")
    source = as_source(rng)
    outer = tuple(axis for axis in range(len(shape)) if axis not in inner)
    groups = math.prod(shape[axis] for axis in outer)
    # The rarer ones are chosen, so that at least every second place that is drawn is free.
    bits = choose(groups, n, min(k, n - k), source)
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
