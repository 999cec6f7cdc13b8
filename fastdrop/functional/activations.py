# SPDX-License-Identifier: BSD-3-Clause
"""gelu and silu with dropout, in one pass over memory. relu with dropout is in `fused`."""

from __future__ import annotations

from typing import Any, Literal, Never

from fastdrop._checks import check_choice
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike
from fastdrop._words import public, refuse
from fastdrop.functional._given import check_mask_of
from fastdrop.functional._probability import as_drawing
from fastdrop.mask import _activate
from fastdrop.mask._mask import Mask

__all__ = [
    "gelu_dropout",
    "gelu_dropout_backward",
    "silu_dropout",
    "silu_dropout_backward",
]

APPROXIMATIONS = ("none", "tanh")


@public()
def gelu_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    approximate: Literal["none", "tanh"] = "none",
    bias: ArrayLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Return ``dropout(gelu(x + bias))`` in one pass.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order. The dtype is float16, bfloat16, float32 or float64.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    approximate : {"none", "tanh"}, default "none"
        "none" is x times the probability that a normal number is below x. "tanh" is the
        approximation ``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``.
    bias : array_like of float, optional
        Added to x first. It has the length of x's last axis, and x's dtype.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        As in `dropout`. False applies gelu alone.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be x.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        The mask that `dropout` would draw, for `gelu_dropout_backward`.

    Raises
    ------
    TypeError
        If x does not hold real floats, or bias or out has another dtype.
    ValueError
        If p is outside [0, 1] or NaN, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    Notes
    -----
    float16 and bfloat16 are computed in float32 and rounded once. All instruction sets give the
    same floats.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.array([1.0, 2.0, -3.0, -4.0, 5.0, 6.0])
    >>> y, mask = fd.gelu_dropout(x, p=0.5, rng=1)
    >>> y.round(4)
    array([ 0.000e+00,  3.909e+00,  0.000e+00, -3.000e-04,  0.000e+00,
            1.200e+01])
    """
    if late or words:
        refuse(gelu_dropout, late, words)
    return _forward(_named(approximate), x, p, bias, rng, training, out)


@public()
def gelu_dropout_backward(
    dy: ArrayLike,
    x: ArrayLike,
    mask: Mask,
    *late: Never,
    approximate: Literal["none", "tanh"] = "none",
    bias: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> NDArray[Any]:
    """Return the gradient of `gelu_dropout` with respect to x, in one pass.

    Parameters
    ----------
    dy : array_like of float
        Gradient with respect to y, of x's shape and dtype.
    x : array_like of float
        The x of the forward function.
    mask : Mask
        The mask that the forward function returned.
    approximate, bias : str and array_like, optional
        The arguments of the forward function.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be dy or x.

    Returns
    -------
    dx : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype. Its sum over all axes
        except the last is the gradient of the bias.

    Raises
    ------
    TypeError
        If an array does not hold real floats, or has another dtype than x, or mask is not a Mask.
    ValueError
        If a shape does not fit, or out is read-only.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.zeros(6)
    >>> y, mask = fd.gelu_dropout(x, p=0.5, rng=1)
    >>> fd.gelu_dropout_backward(np.ones(6), x, mask).round(6)
    array([0., 1., 0., 1., 0., 1.])
    """
    if late or words:
        refuse(gelu_dropout_backward, late, words)
    check_mask_of("gelu_dropout", mask)
    return _activate.activate_backward(_named(approximate), dy, x, bias, out, mask)


@public()
def silu_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    bias: ArrayLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Return ``dropout(silu(x + bias))`` in one pass, where silu is ``x / (1 + exp(-x))``.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order. The dtype is float16, bfloat16, float32 or float64.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    bias, rng, training, out : optional
        As in `gelu_dropout`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        The mask that `dropout` would draw, for `silu_dropout_backward`.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `gelu_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.array([1.0, 2.0, -3.0, -4.0, 5.0, 6.0])
    >>> y, mask = fd.silu_dropout(x, p=0.5, rng=1)
    >>> y.round(4)
    array([ 0.    ,  3.5232,  0.    , -0.1439,  0.    , 11.9703])
    """
    if late or words:
        refuse(silu_dropout, late, words)
    return _forward("silu", x, p, bias, rng, training, out)


@public()
def silu_dropout_backward(
    dy: ArrayLike,
    x: ArrayLike,
    mask: Mask,
    *late: Never,
    bias: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> NDArray[Any]:
    """Return the gradient of `silu_dropout` with respect to x, in one pass.

    Parameters
    ----------
    dy, x, mask, bias, out : array_like and Mask
        As in `gelu_dropout_backward`.

    Returns
    -------
    dx : ndarray
        As in `gelu_dropout_backward`.

    Raises
    ------
    TypeError, ValueError
        As in `gelu_dropout_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.zeros(6)
    >>> y, mask = fd.silu_dropout(x, p=0.5, rng=1)
    >>> fd.silu_dropout_backward(np.ones(6), x, mask)
    array([0., 1., 0., 1., 0., 1.])
    """
    if late or words:
        refuse(silu_dropout_backward, late, words)
    check_mask_of("silu_dropout", mask)
    return _activate.activate_backward("silu", dy, x, bias, out, mask)


def _named(approximate: str) -> str:
    check_choice("approximate", approximate, APPROXIMATIONS)
    return "gelu" if approximate == "none" else "gelu_tanh"


def _forward(
    name: str,
    x: ArrayLike,
    p: ProbabilityLike,
    bias: ArrayLike | None,
    rng: RNGLike,
    training: bool,
    out: NDArray[Any] | None,
) -> tuple[NDArray[Any], Mask]:
    probability, source = as_drawing(p, rng, training)
    return _activate.activate(name, x, bias, out, probability, source)
