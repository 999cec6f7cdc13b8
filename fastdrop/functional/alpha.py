# SPDX-License-Identifier: BSD-3-Clause
"""Dropout that keeps mean and variance: for self-normalizing networks."""

from __future__ import annotations

from typing import Any, Never, overload

from fastdrop._checks import refuse_axes
from fastdrop._typing import ArrayLike, AxesLike, NDArray, ProbabilityLike, RNGLike, ScalarT, Shape
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays
from fastdrop.functional._probability import as_drawing
from fastdrop.functional._scales import alpha_numbers
from fastdrop.functional._sharing import feature_shape, shared
from fastdrop.mask._mask import Mask
from fastdrop.mask._operations import affine

__all__ = ["alpha_dropout", "feature_alpha_dropout"]


@overload
def alpha_dropout(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def alpha_dropout(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def alpha_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    broadcast_axes: AxesLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Set elements to SELU's least value at random, and keep mean 0 and variance 1.

    Where an element is kept, ``y = a * x + b``. Where it is dropped, ``y = a * s + b``, and ``s =
    -1.7581`` is the limit of SELU at minus infinity. Here ``a = ((1 - p) * (1 + p * s**2))**-0.5``
    and ``b = -a * p * s``. So if x has mean 0 and variance 1, y has them, too.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order. The dtype is float16, bfloat16, float32 or float64.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1]. At 1, y is 0.
    broadcast_axes : int or sequence of int, optional
        The axes along which elements share a decision, as in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    out : ndarray, optional
        As in `dropout`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. Its scale is a.

    Raises
    ------
    TypeError
        If x does not hold real floats, or an argument has a wrong type.
    ValueError
        If p is outside [0, 1] or NaN, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    See Also
    --------
    feature_alpha_dropout : The same for whole channels.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural
       networks", NeurIPS 2017, section "New dropout technique".

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.random.default_rng(1).standard_normal(100_000)
    >>> y, mask = fd.alpha_dropout(x, p=0.2, rng=1)
    >>> bool(abs(y.mean()) < 0.02), bool(abs(y.var() - 1) < 0.02)
    (True, True)
    """
    if late or words:
        refuse(alpha_dropout, late, words)
    noise_shape = None
    if broadcast_axes is not None:
        x, noise_shape = shared("x", x, broadcast_axes)
    return _drop(x, p, noise_shape, rng, training, out)


@overload
def feature_alpha_dropout(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def feature_alpha_dropout(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def feature_alpha_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Apply `alpha_dropout` to whole channels, with one decision for each.

    Parameters
    ----------
    x : array_like of float
        An array of shape (N, C, ...). Each channel of each sample has one decision.
    p : float, default 0.5
        As in `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `alpha_dropout`.
    training : bool, default True
        As in `alpha_dropout`.
    out : ndarray, optional
        As in `alpha_dropout`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. Its shape is (N, C, 1, ...).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `alpha_dropout`. Also a ValueError if x has fewer than two axes.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural
       networks", NeurIPS 2017, section "New dropout technique".

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.feature_alpha_dropout(np.ones((1, 3, 2)), p=0.5, rng=1)
    >>> y.round(2)
    array([[[-0.78, -0.78],
            [ 1.67,  1.67],
            [-0.78, -0.78]]])
    """
    if late or words:
        refuse(feature_alpha_dropout, late, words)
    x, shape = check_arrays(x, None, None)
    if len(shape) < 2:
        refuse_axes("feature_alpha_dropout", shape, "(N, C, ...)")
    return _drop(x, p, feature_shape(shape), rng, training, out)


def _drop(
    x: ArrayLike,
    p: ProbabilityLike,
    noise_shape: Shape | None,
    rng: RNGLike,
    training: bool,
    out: NDArray[Any] | None,
) -> tuple[NDArray[Any], Mask]:
    probability, source = as_drawing(p, rng, training)
    numbers = alpha_numbers(probability.p)
    return affine(x, out, probability, source, noise_shape, *numbers)
