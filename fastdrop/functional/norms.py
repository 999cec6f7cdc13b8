# SPDX-License-Identifier: BSD-3-Clause
"""The ends of the blocks of transformers: dropout, the sum with a residual and a norm in one."""

from __future__ import annotations

from typing import Any, Literal, Never, overload

from fastdrop._checks import check_eps, check_kept, check_switch
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike
from fastdrop._words import HALF, public, refuse
from fastdrop.functional._given import check_given_mask, check_mask_of
from fastdrop.functional._probability import as_number
from fastdrop.mask._draw import mask_from_array
from fastdrop.mask._mask import Mask
from fastdrop.mask._norm import norm, norm_gradients
from fastdrop.source.default import as_source

__all__ = [
    "dropout_add_layer_norm",
    "dropout_add_layer_norm_backward",
    "dropout_add_rms_norm",
    "dropout_add_rms_norm_backward",
]

# What functions return: arrays of numbers.
Array = NDArray[Any]


@overload
def dropout_add_layer_norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    p: ProbabilityLike = ...,
    *,
    keep_prob: ProbabilityLike | None = ...,
    eps: float = ...,
    linear_bias: ArrayLike | None = ...,
    prenorm: Literal[False] = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    mask: Mask | ArrayLike | None = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[Array, Mask]: ...


@overload
def dropout_add_layer_norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    p: ProbabilityLike = ...,
    *,
    keep_prob: ProbabilityLike | None = ...,
    eps: float = ...,
    linear_bias: ArrayLike | None = ...,
    prenorm: Literal[True],
    rng: RNGLike = ...,
    training: bool = ...,
    mask: Mask | ArrayLike | None = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[Array, Array, Mask]: ...


@public()
def dropout_add_layer_norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    p: ProbabilityLike = HALF,
    *late: Never,
    keep_prob: ProbabilityLike | None = None,
    eps: float = 1e-5,
    linear_bias: ArrayLike | None = None,
    prenorm: bool = False,
    rng: RNGLike = None,
    training: bool = True,
    mask: Mask | ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[Array, Mask] | tuple[Array, Array, Mask]:
    """Return ``layer_norm(residual + dropout(x + linear_bias))`` in one pass.

    This is the end of a block of a transformer. The norm is over the last axis.

    Parameters
    ----------
    x : array_like of float
        Output of the block's last linear map, of any shape with a last axis, any strides and order.
        The dtype is float16, bfloat16, float32 or float64.
    residual : array_like of float
        The array that the branch is added to, of x's shape and dtype.
    weight, bias : array_like of float or None
        Weight and bias of the norm. They have the length of x's last axis and x's dtype, or float32
        if x has 16 bits. None leaves one out.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    keep_prob : float, optional
        As in `dropout`, instead of p.
    eps : float, default 1e-5
        Added to the variance of a row.
    linear_bias : array_like of float, optional
        Added to x before anything is dropped. It has the length and the dtype of weight and bias.
    prenorm : bool, default False
        Return the sum, too. It is the residual of the next block.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        False drops nothing and scales nothing.
    mask : Mask or array_like of bool, optional
        As in `dropout`.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be x or residual.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    total : ndarray
        The sum. It is returned only with ``prenorm=True``.
    mask : Mask
        The mask that `dropout_add` would draw, for `dropout_add_layer_norm_backward`.

    Raises
    ------
    TypeError
        If x does not hold real floats, or another array has another dtype.
    ValueError
        If p is outside [0, 1] or NaN, eps is negative, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    Notes
    -----
    A row is computed in float32 (float64 for float64) and rounded once. Its mean is computed before
    its variance. The numbers are the same on any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, residual = np.ones((2, 4)), np.arange(8.0).reshape(2, 4)
    >>> weight, bias = np.ones(4), np.zeros(4)
    >>> y, mask = fd.dropout_add_layer_norm(x, residual, weight, bias, p=0.5, rng=1)
    >>> y.round(3)
    array([[-1.387,  0.277, -0.277,  1.387],
           [-1.633,  0.816,  0.   ,  0.816]])
    """
    if late or words:
        refuse(dropout_add_layer_norm, late, words)
    return _forward(
        x, residual, weight, bias, p, keep_prob, eps, linear_bias, prenorm, rng, training, mask,
        out, True,
    )  # fmt: skip


@public()
def dropout_add_layer_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    mask: Mask,
    *late: Never,
    eps: float = 1e-5,
    linear_bias: ArrayLike | None = None,
    dtotal: ArrayLike | None = None,
    **words: Never,
) -> tuple[Array, Array, Array | None, Array, Array | None]:
    """Return the gradients of `dropout_add_layer_norm`, in one pass.

    Parameters
    ----------
    dy : array_like of float
        Gradient with respect to y, of x's shape and dtype.
    x, residual, weight : array_like
        The arguments of the forward function.
    mask : Mask
        The mask that the forward function returned.
    eps, linear_bias : float and array_like, optional
        The arguments of the forward function.
    dtotal : array_like of float, optional
        Gradient with respect to the sum that ``prenorm=True`` returns.

    Returns
    -------
    dx, dresidual : ndarray
        Of x's shape and dtype.
    dweight : ndarray or None
        Of weight's shape. It is None where weight is None.
    dbias : ndarray
        Gradient with respect to the norm's bias.
    dlinear_bias : ndarray or None
        It is None where linear_bias is None. These three gradients have the dtype in which rows are
        computed: float64 for float64, else float32. They are the same on any number of threads.

    Raises
    ------
    TypeError
        If an array does not hold real floats, or has another dtype than x, or mask is not a Mask.
    ValueError
        If a shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, residual = np.ones((2, 4)), np.arange(8.0).reshape(2, 4)
    >>> weight, bias = np.ones(4), np.zeros(4)
    >>> y, mask = fd.dropout_add_layer_norm(x, residual, weight, bias, p=0.5, rng=1)
    >>> dx, dresidual, dweight, dbias, _ = fd.dropout_add_layer_norm_backward(
    ...     np.ones((2, 4)), x, residual, weight, mask
    ... )
    >>> dbias
    array([2., 2., 2., 2.])
    """
    if late or words:
        refuse(dropout_add_layer_norm_backward, late, words)
    check_mask_of("dropout_add_layer_norm", mask)
    eps = check_eps(eps)
    return norm_gradients(dy, x, residual, weight, linear_bias, dtotal, mask, True, eps)


@overload
def dropout_add_rms_norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    p: ProbabilityLike = ...,
    *,
    keep_prob: ProbabilityLike | None = ...,
    eps: float = ...,
    linear_bias: ArrayLike | None = ...,
    prenorm: Literal[False] = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    mask: Mask | ArrayLike | None = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[Array, Mask]: ...


@overload
def dropout_add_rms_norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    p: ProbabilityLike = ...,
    *,
    keep_prob: ProbabilityLike | None = ...,
    eps: float = ...,
    linear_bias: ArrayLike | None = ...,
    prenorm: Literal[True],
    rng: RNGLike = ...,
    training: bool = ...,
    mask: Mask | ArrayLike | None = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[Array, Array, Mask]: ...


@public()
def dropout_add_rms_norm(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    p: ProbabilityLike = HALF,
    *late: Never,
    keep_prob: ProbabilityLike | None = None,
    eps: float = 1e-5,
    linear_bias: ArrayLike | None = None,
    prenorm: bool = False,
    rng: RNGLike = None,
    training: bool = True,
    mask: Mask | ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[Array, Mask] | tuple[Array, Array, Mask]:
    """Return ``rms_norm(residual + dropout(x + linear_bias))`` in one pass.

    Parameters
    ----------
    x, residual : array_like of float
        As in `dropout_add_layer_norm`.
    weight : array_like of float or None
        Weight of the norm, as in `dropout_add_layer_norm`.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    keep_prob, eps, linear_bias, prenorm, rng, training, mask, out : optional
        As in `dropout_add_layer_norm`. Here eps is added to the mean of the squares of a row.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    total : ndarray
        The sum. It is returned only with ``prenorm=True``.
    mask : Mask
        The mask that `dropout_add` would draw, for `dropout_add_rms_norm_backward`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout_add_layer_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, residual = np.ones((2, 4)), np.arange(8.0).reshape(2, 4)
    >>> y, mask = fd.dropout_add_rms_norm(x, residual, np.ones(4), p=0.5, rng=1)
    >>> y.round(3)
    array([[0.   , 0.973, 0.649, 1.622],
           [0.653, 1.143, 0.98 , 1.143]])
    """
    if late or words:
        refuse(dropout_add_rms_norm, late, words)
    return _forward(
        x, residual, weight, None, p, keep_prob, eps, linear_bias, prenorm, rng, training, mask,
        out, False,
    )  # fmt: skip


@public()
def dropout_add_rms_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    mask: Mask,
    *late: Never,
    eps: float = 1e-5,
    linear_bias: ArrayLike | None = None,
    dtotal: ArrayLike | None = None,
    **words: Never,
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return the gradients of `dropout_add_rms_norm`, in one pass.

    Parameters
    ----------
    dy, x, residual, weight, mask, eps, linear_bias, dtotal : array_like, Mask and float
        As in `dropout_add_layer_norm_backward`.

    Returns
    -------
    dx, dresidual, dweight, dlinear_bias : ndarray
        As in `dropout_add_layer_norm_backward`. This norm has no bias.

    Raises
    ------
    TypeError, ValueError
        As in `dropout_add_layer_norm_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, residual = np.ones((1, 4)), np.ones((1, 4))
    >>> y, mask = fd.dropout_add_rms_norm(x, residual, None, p=0.5, rng=1)
    >>> dx, dresidual, _, _ = fd.dropout_add_rms_norm_backward(
    ...     np.ones((1, 4)), x, residual, None, mask
    ... )
    >>> dresidual.round(3)
    array([[ 0.268, -0.089,  0.268, -0.089]])
    """
    if late or words:
        refuse(dropout_add_rms_norm_backward, late, words)
    check_mask_of("dropout_add_rms_norm", mask)
    dx, dresidual, dweight, _, dlinear_bias = norm_gradients(
        dy, x, residual, weight, linear_bias, dtotal, mask, False, check_eps(eps)
    )
    return dx, dresidual, dweight, dlinear_bias


def _forward(
    x: ArrayLike,
    residual: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    p: ProbabilityLike,
    keep_prob: ProbabilityLike | None,
    eps: float,
    linear_bias: ArrayLike | None,
    prenorm: bool,
    rng: RNGLike,
    training: bool,
    mask: Mask | ArrayLike | None,
    out: NDArray[Any] | None,
    centered: bool,
) -> tuple[Array, Mask] | tuple[Array, Array, Mask]:
    eps, prenorm = check_eps(eps), check_switch("prenorm", prenorm)
    training = check_switch("training", training)
    given = _given(mask, p, keep_prob, rng)
    probability, source = None, None
    if given is None:
        probability = as_number(p, keep_prob)
        source = as_source(rng)
    if not training:
        given, source = None, None
    y, total, drawn = norm(
        x, residual, weight, bias, linear_bias, out, probability, source, given, centered, eps,
        prenorm,
    )  # fmt: skip
    return (y, drawn) if total is None else (y, total, drawn)


def _given(
    mask: Mask | ArrayLike | None,
    p: ProbabilityLike,
    keep_prob: ProbabilityLike | None,
    rng: RNGLike,
) -> Mask | None:
    """Return a caller's mask."""
    if mask is None:
        return None
    if isinstance(mask, Mask):
        check_given_mask(mask, p, keep_prob=keep_prob, rng=rng)
        return mask
    as_source(rng)  # drawn from or not, it is checked
    kept = check_kept(mask, p is not HALF or keep_prob is not None, "p or keep_prob")
    return mask_from_array(kept, as_number(p, keep_prob), None)
