# SPDX-License-Identifier: BSD-3-Clause
"""Random booleans, as bytes or as bits."""

from __future__ import annotations

import math
from typing import Any, Literal, Never, overload

import numpy as np
from numpy.typing import DTypeLike

from fastdrop._checks import check_booleans, check_of_booleans, check_shape, check_switch
from fastdrop._typing import BoolArray, NDArray, ProbabilityLike, RNGLike, ShapeLike
from fastdrop._words import public, refuse
from fastdrop.mask._draw import draw_bernoulli
from fastdrop.mask._probability import probability_of
from fastdrop.source.default import as_source

__all__ = ["bernoulli"]

# The types of booleans.
BYTES, BITS = np.dtype(bool), np.dtype(np.uint8)


@overload
def bernoulli(
    shape: ShapeLike,
    p: ProbabilityLike,
    *,
    rng: RNGLike = ...,
    dtype: type[bool] | None = ...,
    packed: Literal[False] = ...,
    out: None = ...,
) -> BoolArray: ...


@overload
def bernoulli(
    shape: ShapeLike,
    p: ProbabilityLike,
    *,
    rng: RNGLike = ...,
    dtype: DTypeLike | None = ...,
    packed: bool = ...,
    out: NDArray[Any] | None = ...,
) -> NDArray[Any]: ...


@public()
def bernoulli(
    shape: ShapeLike,
    p: ProbabilityLike,
    *late: Never,
    rng: RNGLike = None,
    dtype: DTypeLike | None = None,
    packed: bool = False,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> NDArray[Any]:
    """Draw booleans that are True with probability ``p``.

    An element is True where dropout with this p *drops*. The mask of ``keep_prob=p`` has the same
    probability of True, but other elements are True.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the result.
    p : float or ndarray
        Probability of True, in [0, 1]. It is exact to 2**-64. An array broadcasts to the result's
        shape and gives each element its own p.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        Where the bits come from, as in `dropout`.
    dtype : {bool, uint8}, optional
        Type of the result. With uint8 the values are 0 and 1. None is bool, or the type of
        ``out``. Bits are uint8.
    packed : bool, default False
        Return bits in a flat uint8 array of ``ceil(n / 8)`` bytes, as
        ``np.packbits(bitorder="little")`` makes: in C order, lowest bit first, with pad bits 0.
    out : ndarray, optional
        Where to write: an array of this shape and dtype.

    Returns
    -------
    b : ndarray
        A new array, or ``out``.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or is out of range, or out does not fit.
    OverflowError
        If the source would pass position 2**64.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.bernoulli(8, 0.25, rng=1)
    array([ True, False,  True, False,  True, False,  True, False])
    >>> fd.bernoulli(8, 0.25, rng=1, packed=True)
    array([85], dtype=uint8)
    >>> fd.bernoulli((2, 4), np.array([0.0, 0.25, 0.75, 1.0]), rng=1)
    array([[False, False,  True,  True],
           [False, False,  True,  True]])
    """
    if late or words:
        refuse(bernoulli, late, words)
    shape = check_shape(shape)
    probability = probability_of(p)
    source = as_source(rng)
    packed = check_switch("packed", packed)
    dtypes = _dtypes_of_booleans(dtype, packed)
    if out is not None:
        check_booleans(out, dtypes, (-(-math.prod(shape) // 8),) if packed else shape)
    return draw_bernoulli(shape, probability, source, packed, out, dtypes[0])


def _dtypes_of_booleans(dtype: DTypeLike | None, packed: bool) -> tuple[np.dtype[Any], ...]:
    """Return the dtypes that the result may have; the first is that of a new array."""
    if dtype is None:
        return (BITS,) if packed else (BYTES, BITS)
    return (check_of_booleans(dtype, packed),)
