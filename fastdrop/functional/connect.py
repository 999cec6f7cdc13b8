# SPDX-License-Identifier: BSD-3-Clause
"""A linear map whose weights are dropped, and its gradients."""

from __future__ import annotations

import math
from typing import Any, Never, overload

import numpy as np

from fastdrop._checks import (
    as_array_no_scalar,
    check_made_by,
    refuse_other_dtype,
    refuse_shape,
)
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT, Shape
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays
from fastdrop.functional.dropout import dropout, dropout_backward
from fastdrop.mask._mask import Mask

__all__ = ["drop_connect", "drop_connect_backward"]


@overload
def drop_connect(
    x: NDArray[ScalarT],
    weight: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    bias: ArrayLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def drop_connect(
    x: ArrayLike,
    weight: ArrayLike,
    p: ProbabilityLike,
    *,
    bias: ArrayLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def drop_connect(
    x: ArrayLike,
    weight: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    bias: ArrayLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Return ``x @ dropout(weight).T + bias``: a linear map that drops weights, not units.

    Parameters
    ----------
    x : array_like of float
        Of shape (..., features_in).
    weight : array_like of float
        Of shape (features_out, features_in) and of x's dtype.
    p : float or ndarray
        Probability of dropping a weight, in [0, 1]. An array broadcasts to the weight.
    bias : array_like of float, optional
        Of shape (features_out,) and of x's dtype. It is never dropped.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`. A source of fastdrop advances by one position per weight.
    training : bool, default True
        False uses the weight as it is. Nothing is drawn then.

    Returns
    -------
    y : ndarray
        Of shape (..., features_out) and x's dtype. float16 and bfloat16 are multiplied and added
        in float32, and rounded once.
    mask : Mask
        Of the weight's shape, for `drop_connect_backward`.

    Raises
    ------
    TypeError
        If an array does not hold floats, or has another dtype than x.
    ValueError
        If a shape does not fit, or p is outside [0, 1] or NaN.
    OverflowError
        If the source would pass position 2**64.

    See Also
    --------
    drop_connect_backward : The gradients.

    Notes
    -----
    All rows of x share one mask. The paper draws one mask for each example. If you need that, call
    the function for each example. The paper drops elements of the bias, too. Kept weights are
    scaled by 1/(1 - p), so evaluation is the plain linear map. The paper samples a Gaussian of the
    same moments there.

    References
    ----------
    .. [1] L. Wan, M. Zeiler, S. Zhang, Y. LeCun, R. Fergus, "Regularization of neural networks
       using DropConnect", ICML 2013: r = a((M * W) v), of which this is (M * W) v.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, weight = np.ones((2, 4)), np.ones((3, 4))
    >>> y, mask = fd.drop_connect(x, weight, p=0.5, rng=1)
    >>> np.asarray(mask).astype(int)
    array([[0, 1, 0, 1],
           [0, 1, 0, 0],
           [1, 0, 1, 1]])
    >>> y
    array([[4., 2., 6.],
           [4., 2., 6.]])
    """
    if late or words:
        refuse(drop_connect, late, words)
    x, weight = _check_map(x, weight)
    if bias is not None:
        bias = widened(_check_other("bias", bias, x, weight.shape[:1]))
    # All memory is taken before anything is drawn.
    weight = weight.astype(weight.dtype.newbyteorder("="), copy=False)
    room = None if training is False else np.empty(weight.shape, weight.dtype)
    wide = None if weight.dtype.itemsize > 2 else np.empty(weight.shape, np.float32)
    read = np.require(x, weight.dtype if wide is None else wide.dtype, ["C", "A"])
    product = np.empty((*x.shape[:-1], weight.shape[0]), read.dtype)
    y = product if product.dtype == x.dtype else np.empty(product.shape, x.dtype)
    dropped, mask = dropout(weight, p, rng=rng, training=training, out=room)
    if wide is not None:
        wide[...] = dropped
        dropped = wide
    np.matmul(read, dropped.T, out=product)
    if bias is not None:
        product += bias
    if y is not product:
        y[...] = product
    return y, mask


@overload
def drop_connect_backward(
    dy: NDArray[ScalarT],
    x: NDArray[ScalarT],
    weight: NDArray[ScalarT],
    mask: Mask,
) -> tuple[NDArray[ScalarT], NDArray[ScalarT], NDArray[ScalarT]]: ...


@overload
def drop_connect_backward(
    dy: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    mask: Mask,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]: ...


@public()
def drop_connect_backward(
    dy: ArrayLike, x: ArrayLike, weight: ArrayLike, mask: Mask
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the gradients of `drop_connect`.

    Parameters
    ----------
    dy : array_like of float
        Gradient with respect to y, of shape (..., features_out) and x's dtype.
    x, weight : array_like of float
        The arguments of the forward function.
    mask : Mask
        The mask that the forward function returned.

    Returns
    -------
    dx : ndarray
        Gradient with respect to x: ``dy @ dropout(weight)``.
    dweight : ndarray
        Gradient with respect to the weight: ``dropout_backward(dy.T @ x, mask)``, with the leading
        axes taken as one.
    dbias : ndarray
        Gradient with respect to the bias: dy, summed over its leading axes.

    Raises
    ------
    TypeError
        If an array does not hold floats, or has another dtype than x, or mask is not a Mask.
    ValueError
        If a shape does not fit.

    Notes
    -----
    If the arrays are complex, x and weight are conjugated, as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, weight = np.ones((2, 4)), np.ones((3, 4))
    >>> y, mask = fd.drop_connect(x, weight, p=0.5, rng=1)
    >>> dx, dweight, dbias = fd.drop_connect_backward(np.ones_like(y), x, weight, mask)
    >>> dx
    array([[2., 4., 2., 4.],
           [2., 4., 2., 4.]])
    >>> dweight
    array([[0., 4., 0., 4.],
           [0., 4., 0., 0.],
           [4., 0., 4., 4.]])
    >>> dbias
    array([2., 2., 2.])
    """
    x, weight = _check_map(x, weight)
    dy = _check_other("dy", dy, x, (*x.shape[:-1], weight.shape[0]))
    check_made_by("drop_connect", mask, Mask)
    if mask.shape != weight.shape:
        refuse_shape("mask", mask.shape, f"{weight.shape}, that of weight")
    dropped = mask.apply(weight)  # the same map as forward
    features_out, features_in = weight.shape
    rows = math.prod(x.shape[:-1])
    wide = widened(dy)
    flat = wide.reshape(rows, features_out)
    dx = wide @ widened(dropped).conj()
    dweight = flat.T @ widened(x).conj().reshape(rows, features_in)
    return (
        dx.astype(x.dtype, copy=False),
        dropout_backward(dweight, mask, out=dweight).astype(x.dtype, copy=False),
        flat.sum(axis=0).astype(x.dtype, copy=False),
    )


def _check_map(x: ArrayLike, weight: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as arrays that can be multiplied."""
    x, shape = check_arrays(x, None, None)
    if not shape:
        refuse_shape("x", shape, "(..., features_in)")
    weight = _of_dtype("weight", weight, x)
    if weight.ndim != 2 or weight.shape[1] != shape[-1]:
        wanted = f"(features_out, {shape[-1]}), as x has shape {shape}"
        refuse_shape("weight", weight.shape, wanted)
    return x, weight


def _of_dtype(name: str, value: ArrayLike, x: NDArray[Any]) -> NDArray[Any]:
    """Return ``value`` as an array of x's dtype."""
    array = as_array_no_scalar(name, value)
    if array.dtype != x.dtype:
        refuse_other_dtype(name, array, "x", x)
    return array


def _check_other(name: str, value: ArrayLike, x: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Return ``value`` as an array of ``shape`` and of x's dtype."""
    array = _of_dtype(name, value, x)
    if array.shape != shape:
        refuse_shape(name, array.shape, shape)
    return array


def widened(x: NDArray[Any]) -> NDArray[Any]:
    """Return x in the dtype to compute in: float32 for 16 bits."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x
