# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of the changes of a state: an element keeps its old value instead of becoming 0."""

from __future__ import annotations

from typing import Any, Never, overload

from fastdrop._checks import (
    MISSING,
    check_made_by,
    check_same_axes,
    refuse_float,
    refuse_other_maker,
)
from fastdrop._typing import ArrayLike, AxesLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays
from fastdrop.functional._probability import as_drawing
from fastdrop.functional._sharing import shared
from fastdrop.mask import _operations
from fastdrop.mask._mask import Mask, is_of_zoneout

__all__ = ["zoneout", "zoneout_backward"]


@overload
def zoneout(
    new: NDArray[ScalarT],
    old: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def zoneout(
    new: ArrayLike,
    old: ArrayLike,
    p: ProbabilityLike,
    *,
    broadcast_axes: AxesLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def zoneout(
    new: ArrayLike,
    old: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    broadcast_axes: AxesLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Keep elements of the previous state of a recurrent network at random.

    In training, ``y = old`` with probability p, and ``new`` otherwise. In evaluation it is their
    mean, ``p * old + (1 - p) * new``.

    Parameters
    ----------
    new : array_like of float
        The state after a step, of any shape, strides and order. The dtype is float16, bfloat16,
        float32, float64, complex64 or complex128.
    old : array_like of float
        The state before it, of the same shape and dtype.
    p : float
        Probability of keeping the old state, in [0, 1].
    broadcast_axes : int or sequence of int, optional
        The axes along which elements share a decision.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    out : ndarray, optional
        Where to write: an array of this shape and dtype. It may be new or old.

    Returns
    -------
    y : ndarray
        A new array, or ``out``.
    mask : Mask
        Which elements are new, for `zoneout_backward`.

    Raises
    ------
    TypeError
        If new does not hold floats, or old or out has another dtype.
    ValueError
        If p is outside [0, 1] or NaN, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    See Also
    --------
    zoneout_backward : The gradients.

    References
    ----------
    .. [1] D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden
       activations", ICLR 2017, section 3: zoneout and preliminaries.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> new, old = np.full(8, 2.0), np.full(8, 1.0)
    >>> fd.zoneout(new, old, p=0.5, rng=1)[0]
    array([1., 2., 1., 2., 1., 2., 1., 1.])
    >>> fd.zoneout(new, old, p=0.5, training=False)[0]
    array([1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5])
    """
    if late or words:
        refuse(zoneout, late, words)
    missing: Any = MISSING
    if p is missing and isinstance(old, float):  # zoneout(x, 0.5): old was forgotten, and not p
        refuse_float("old", old, "new")
    probability, source = as_drawing(p, rng, training)
    noise_shape = None
    if broadcast_axes is not None:
        new, noise_shape = shared("new", new, broadcast_axes)
    return _operations.zoneout(new, old, out, probability, source, noise_shape)


@overload
def zoneout_backward(
    dy: NDArray[ScalarT],
    mask: Mask,
) -> tuple[NDArray[ScalarT], NDArray[ScalarT]]: ...


@overload
def zoneout_backward(
    dy: ArrayLike,
    mask: Mask,
) -> tuple[NDArray[Any], NDArray[Any]]: ...


@public()
def zoneout_backward(dy: ArrayLike, mask: Mask) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the gradients of `zoneout`.

    Parameters
    ----------
    dy : array_like of float
        Gradient with respect to y.
    mask : Mask
        The mask that `zoneout` returned.

    Returns
    -------
    dnew, dold : ndarray
        Gradients with respect to the new and to the old state, of dy's shape and dtype.

    Raises
    ------
    TypeError
        If dy does not hold floats, or mask is not a Mask.
    ValueError
        If mask is from another function, or its shape does not fit dy's shape.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.zoneout(np.full(4, 2.0), np.full(4, 1.0), p=0.5, rng=1)
    >>> dnew, dold = fd.zoneout_backward(np.full(4, 10.0), mask)
    >>> dnew
    array([ 0., 10.,  0., 10.])
    >>> dold
    array([10.,  0., 10.,  0.])
    """
    check_made_by("zoneout", mask, Mask)
    if not is_of_zoneout(mask):
        refuse_other_maker("the Mask that zoneout returned", mask)
    dy, shape = check_arrays(dy, None, None, "dy")
    check_same_axes(mask.shape, shape)
    return _operations.zoneout_gradients(dy, mask)
