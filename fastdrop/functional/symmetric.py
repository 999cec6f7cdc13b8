# SPDX-License-Identifier: BSD-3-Clause
"""Masks of square matrices that are alike on both sides of the diagonal."""

from __future__ import annotations

from typing import Never, SupportsIndex

import numpy as np

from fastdrop._checks import check_integer, check_p
from fastdrop._typing import RNGLike
from fastdrop._words import HALF, public, refuse
from fastdrop.functional.dropout import dropout_mask
from fastdrop.mask import Mask

__all__ = ["symmetric_mask"]


@public()
def symmetric_mask(
    n: SupportsIndex, p: float = HALF, *late: Never, rng: RNGLike = None, **words: Never
) -> Mask:
    """Draw a mask of shape (n, n) that is its own transpose, for the edges of an undirected graph.

    Parameters
    ----------
    n : int
        Number of nodes. All n * n bools are made at once.
    p : float, default 0.5
        Probability of dropping an edge, in both directions, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.

    Returns
    -------
    mask : Mask
        A packed mask. On and above the diagonal it is the mask of ``dropout_mask((n, n), p,
        rng=rng)``.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If n is negative, or p out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> mask = fd.symmetric_mask(100, 0.2, rng=1)
    >>> mask == mask.T
    True
    >>> edges = np.array([[3, 7], [7, 3]])
    >>> kept = np.asarray(mask)[edges[0], edges[1]]
    >>> bool(kept[0] == kept[1])
    True
    """
    if late or words:
        refuse(symmetric_mask, late, words)
    n = check_integer("n", n, 0, 2**31, "in [0, 2**31)")
    number = check_p(0.5 if p is HALF else p)
    kept = np.asarray(dropout_mask((n, n), number, rng=rng))
    upper = np.triu(kept)
    return Mask.from_array(upper | upper.T, number)
