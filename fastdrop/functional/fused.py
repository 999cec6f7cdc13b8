# SPDX-License-Identifier: BSD-3-Clause
"""Dropout with the steps before and after it in a network, in one pass over memory."""

from __future__ import annotations

from typing import Any, Never, overload

from fastdrop._typing import ArrayLike, AxesLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop._words import public, refuse
from fastdrop.functional._probability import as_drawing
from fastdrop.functional._sharing import shared
from fastdrop.mask import _operations
from fastdrop.mask._mask import Mask

__all__ = ["dropout_add", "relu_dropout"]


@overload
def dropout_add(
    x: NDArray[ScalarT],
    residual: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    bias: ArrayLike | None = ...,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def dropout_add(
    x: ArrayLike,
    residual: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    bias: ArrayLike | None = ...,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def dropout_add(
    x: ArrayLike,
    residual: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    bias: ArrayLike | None = None,
    broadcast_axes: AxesLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Return ``residual + dropout(x + bias)``: the end of a residual branch, in one pass.

    Parameters
    ----------
    x : array_like of float
        Output of the branch, of any shape, strides and order. The dtype is float16, bfloat16,
        float32, float64, complex64 or complex128.
    residual : array_like of float
        The array that the branch is added to, of x's shape and dtype.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    bias : array_like of float, optional
        Added to x before anything is dropped. It has the length of x's last axis, and x's dtype.
    broadcast_axes : int or sequence of int, optional
        The axes along which elements share a decision.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        False drops nothing and scales nothing: ``residual + x + bias``.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be x or residual.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        ``dropout_backward(dy, mask)`` is the gradient with respect to x. Its sum over all axes
        except the last is the gradient with respect to the bias. The gradient with respect to
        residual is dy.

    Raises
    ------
    TypeError
        If x does not hold floats, or residual, bias or out has another dtype.
    ValueError
        If p is outside [0, 1] or NaN, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    Notes
    -----
    The result is the same as that of the three operations one by one, to the last bit. The
    exceptions are float16 and bfloat16, which are computed in float32 and rounded once.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, residual = np.ones((2, 4)), np.full((2, 4), 10.0)
    >>> y, mask = fd.dropout_add(x, residual, p=0.5, bias=np.arange(4.0), rng=1)
    >>> y
    array([[10., 14., 10., 18.],
           [10., 14., 10., 10.]])
    >>> dx = fd.dropout_backward(np.ones((2, 4)), mask)
    >>> dx.sum(axis=0)  # the gradient of the bias
    array([0., 4., 0., 2.])
    """
    if late or words:
        refuse(dropout_add, late, words)
    probability, source = as_drawing(p, rng, training)
    noise_shape = None
    if broadcast_axes is not None:
        x, noise_shape = shared("x", x, broadcast_axes)
    return _operations.add(x, residual, bias, out, probability, source, noise_shape)


@overload
def relu_dropout(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    bias: ArrayLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def relu_dropout(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    bias: ArrayLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def relu_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    bias: ArrayLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Return ``dropout(relu(x + bias))`` in one pass.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order. The dtype is float16, bfloat16, float32 or float64.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    bias : array_like of float, optional
        Added to x first. It has the length of x's last axis, and x's dtype.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        As in `dropout`. False applies relu alone.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be x.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        ``dropout_backward(dy, mask)`` is the gradient with respect to x, through both steps. So
        this mask keeps only the elements that dropout keeps and where x + bias is greater than 0
        (or NaN, which relu lets pass). It is packed, with one bit per element, in evaluation, too.

    Raises
    ------
    TypeError
        If x does not hold real floats, or out has another dtype.
    ValueError
        If p is outside [0, 1] or NaN, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.array([1.0, 2.0, -3.0, -4.0, 5.0, 6.0])
    >>> y, mask = fd.relu_dropout(x, p=0.5, rng=1)
    >>> y
    array([ 0.,  4.,  0.,  0.,  0., 12.])
    >>> fd.dropout_backward(np.ones(6), mask)
    array([0., 2., 0., 0., 0., 2.])
    """
    if late or words:
        refuse(relu_dropout, late, words)
    probability, source = as_drawing(p, rng, training)
    return _operations.relu(x, bias, out, probability, source)
