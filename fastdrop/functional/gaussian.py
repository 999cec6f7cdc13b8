# SPDX-License-Identifier: BSD-3-Clause
"""Dropout whose mask holds normal numbers instead of zeros and ones."""

from __future__ import annotations

from typing import Any, Never, overload

from fastdrop._checks import check_gaussian_p, check_switch
from fastdrop._typing import ArrayLike, AxesLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop._words import public, refuse
from fastdrop.functional._sharing import shared
from fastdrop.functional.dropout import dropout
from fastdrop.mask._gaussian_mask import GaussianMask, gaussian, without_noise
from fastdrop.source.default import as_source

__all__ = ["gaussian_dropout"]


@overload
def gaussian_dropout(
    x: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], GaussianMask]: ...


@overload
def gaussian_dropout(
    x: ArrayLike,
    p: ProbabilityLike,
    *,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], GaussianMask]: ...


@public()
def gaussian_dropout(
    x: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    broadcast_axes: AxesLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], GaussianMask]:
    """Multiply each element by a normal number of mean 1 and variance p / (1 - p).

    The factors of `dropout`, 0 and 1 / (1 - p), have the same mean and variance.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order. The dtype is float16, bfloat16, float32, float64,
        complex64 or complex128.
    p : float
        In [0, 1). The larger it is, the more noise there is.
    broadcast_axes : int or sequence of int, optional
        Axes of x along which elements share a number.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`. A source of fastdrop advances by four positions per element. From a NumPy
        generator, two elements take one 64-bit word, for any ``draws`` of its `NumPySource`.
    training : bool, default True
        False returns x itself and a mask that keeps all of it. Nothing is drawn then.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be x.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : GaussianMask
        For `dropout_backward`. Its length along ``broadcast_axes`` is 1. From a source of the
        package it takes no memory. In evaluation, its p is 0 and its factors are 1.

    Raises
    ------
    TypeError
        If x does not hold floats, or an argument has a wrong type.
    ValueError
        If p is outside [0, 1) or NaN, or out does not fit or is read-only.
    OverflowError
        If the source would pass position 2**64.

    Notes
    -----
    The factors are float32 and the same for every dtype of x, instruction set and number of
    threads. An element takes 32 random bits, which are read as an odd signed number. The sign of
    this number is the sign of the normal number z. Its magnitude is the probability beyond ``|z|``.
    z is right to 6e-6 and at most 6.2303. It is computed by polynomials of degree 5, one for each
    power of two of the magnitude.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a
       simple way to prevent neural networks from overfitting", JMLR 15 (2014), section 10. Its p
       is 1 - p.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.gaussian_dropout(np.ones(100_000), p=0.2, rng=1)
    >>> print(f"mean {y.mean():.2f}, variance {y.var():.2f}")
    mean 1.00, variance 0.25
    >>> np.array_equal(fd.dropout_backward(np.ones(100_000), mask), y)
    True
    """
    if late or words:
        refuse(gaussian_dropout, late, words)
    p = check_gaussian_p(p)
    source = as_source(rng)
    if not check_switch("training", training):
        y, kept = dropout(x, 0.0, training=False, broadcast_axes=broadcast_axes, out=out)
        return y, without_noise(kept.shape)
    shape = None
    if broadcast_axes is not None:
        x, shape = shared("x", x, broadcast_axes)
    return gaussian(x, out, p, source, shape)
