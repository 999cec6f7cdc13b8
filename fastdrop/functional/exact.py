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

    In all this takes 2 to 6 times as long as a packed mask of `dropout_mask`. Along axes it takes
    3 to 8 times as long where a row has 1000 elements or more, about 25 times for 64, and about
    100 times, 4 ns per element, for 8: there most of the time goes into drawing the places.

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
