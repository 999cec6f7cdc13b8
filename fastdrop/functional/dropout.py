# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of elements, its gradient, and masks by themselves."""

from __future__ import annotations

from typing import Any, Never, overload

import numpy as np

from fastdrop._checks import (
    as_array,
    check_broadcast,
    check_choice,
    check_kept,
    check_made_by,
    check_noise_shape,
    check_one_way_to_share,
    check_shape,
    check_store,
    check_switch,
    refuse_with_mask,
)
from fastdrop._typing import (
    ArrayLike,
    AxesLike,
    NDArray,
    NoiseShapeLike,
    ProbabilityLike,
    RNGLike,
    ScalarT,
    Scale,
    Shape,
    ShapeLike,
    Store,
)
from fastdrop._words import HALF, public, refuse
from fastdrop.apply._apply import check_arrays
from fastdrop.functional._given import check_given_mask
from fastdrop.functional._probability import as_probability
from fastdrop.functional._sharing import shared, shared_shape
from fastdrop.mask._draw import (
    draw_mask,
    forward,
    kept_mask,
    mask_from_array,
    unscaled,
)
from fastdrop.mask._gaussian_mask import GaussianMask
from fastdrop.mask._mask import Mask
from fastdrop.source.default import as_source

__all__ = ["dropout", "dropout_backward", "dropout_mask"]

SCALES = ("train", "test", "none")


@overload
def dropout(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    keep_prob: ProbabilityLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    scale: Scale = ...,
    noise_shape: NoiseShapeLike | None = ...,
    broadcast_axes: AxesLike | None = ...,
    mask: Mask | ArrayLike | None = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def dropout(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    keep_prob: ProbabilityLike | None = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    scale: Scale = ...,
    noise_shape: NoiseShapeLike | None = ...,
    broadcast_axes: AxesLike | None = ...,
    mask: Mask | ArrayLike | None = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def dropout(
    x: ArrayLike,
    p: ProbabilityLike = HALF,
    *late: Never,
    keep_prob: ProbabilityLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    scale: Scale = "train",
    noise_shape: NoiseShapeLike | None = None,
    broadcast_axes: AxesLike | None = None,
    mask: Mask | ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop elements of ``x`` at random with probability ``p``, and scale the others.

    In training, ``y = x / (1 - p)`` where an element is kept. It is +0 where an element is dropped,
    even if this element was NaN or infinity. The expected value of y is x, so evaluation needs no
    scaling.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order. The dtype is float16, bfloat16, float32, float64,
        complex64 or complex128.
    p : float or ndarray, default 0.5
        Probability of *dropping* an element, in [0, 1]. An array broadcasts to the mask's shape:
        (C, 1, 1) gives each channel of (N, C, H, W) its own p, and (N, 1, 1, 1) gives each sample
        its own p.
    keep_prob : float or ndarray, optional
        Instead of p: the probability of *being present*, the paper's p.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        Where the mask comes from. None is the source of the process. A seed gives the same mask in
        every call. A source of fastdrop advances by one position per element. With a NumPy
        generator, every bit comes from it.
    training : bool, default True
        False returns x itself (copied to ``out`` if that is given) and a mask that keeps all
        elements. Nothing is drawn then.
    scale : {"train", "test", "none"}, default "train"
        When to scale. "train" scales by 1/(1 - p) in training. "test" is the paper's form: it
        scales by 1 - p at test time, so ``training=False`` returns a new array. "none" never
        scales.
    noise_shape : sequence of int or None, optional
        Shape of the mask, which broadcasts to x's shape, so that many elements share a decision.
        None stands for x's length.
    broadcast_axes : int or sequence of int, optional
        Instead of noise_shape: the axes of x along which elements share a decision.
    mask : Mask or array_like of bool, optional
        A mask to apply instead of drawing one. A Mask has its own p and scale. An array is True
        where an element is kept. It needs p or keep_prob, or ``scale="none"``.
    out : ndarray, optional
        Where to write: an array of x's shape and dtype. It may be x.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        It says which elements are kept, for `dropout_backward`. From a source of fastdrop it takes
        no memory. If p is an array, it takes one bit per element.

    Raises
    ------
    TypeError
        If x does not hold floats, if two arguments exclude each other (p and keep_prob,
        broadcast_axes and noise_shape, a Mask and any of these or rng), or if an argument has a
        wrong type.
    ValueError
        If a probability is outside [0, 1] or NaN, a shape or axis does not fit, or out is
        read-only.
    OverflowError
        If the source would pass position 2**64.

    See Also
    --------
    dropout_backward : The gradient.
    dropout_mask : The mask alone.

    Notes
    -----
    p is exact to 2**-64. So is each p of an array: an element is dropped if and only if a call with
    this p as a number would drop it. The mask depends only on the source and its position. It does
    not depend on dtype, strides, threads, chunks, CPU or system.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a
       simple way to prevent neural networks from overfitting", JMLR 15 (2014), section 4.
    .. [2] Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016, section 4: one mask for all time steps.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.ones((2, 4), np.float32)
    >>> y, mask = fd.dropout(x, p=0.5, rng=1)
    >>> y
    array([[0., 2., 0., 2.],
           [0., 2., 0., 0.]], dtype=float32)
    >>> dx = fd.dropout_backward(np.ones_like(y), mask)
    >>> np.array_equal(dx, y)
    True

    One decision for each row:

    >>> y, mask = fd.dropout(x, p=0.5, rng=1, noise_shape=(None, 1))
    >>> mask.shape
    (2, 1)

    One mask for all time steps of (sample, time, feature), as in [2]_:

    >>> y, mask = fd.dropout(np.ones((8, 20, 3)), p=0.5, rng=1, broadcast_axes=1)
    >>> mask.shape
    (8, 1, 3)

    A probability for each channel, here the last axis:

    >>> y, mask = fd.dropout(x, p=np.array([0.0, 0.5, 0.75, 1.0]), rng=1)
    >>> y
    array([[1., 2., 0., 0.],
           [1., 2., 0., 0.]], dtype=float32)
    >>> mask.scale
    array([ 1.,  2.,  4., inf])
    """
    if late or words:
        refuse(dropout, late, words)
    if broadcast_axes is not None:
        x, noise_shape = _shared(x, noise_shape, mask, broadcast_axes)
    if scale is not SCALES[0]:
        check_choice("scale", scale, SCALES)
    if training is not True:
        training = check_switch("training", training)
    if mask is not None:
        return _with_mask(x, p, keep_prob, rng, training, scale, noise_shape, mask, out)
    if training:
        given = p if keep_prob is None and p is not HALF else as_probability(p, keep_prob)
        return forward(x, out, given, rng, noise_shape, scale == "train")
    probability = as_probability(p, keep_prob)
    as_source(rng)  # nothing is drawn, but it is checked
    name = "p" if keep_prob is None else "keep_prob"
    return _evaluate(x, probability.keep_prob, scale, noise_shape, out, name)


def _shared(
    x: ArrayLike,
    noise_shape: NoiseShapeLike | None,
    mask: Mask | ArrayLike | None,
    broadcast_axes: AxesLike,
) -> tuple[NDArray[Any], Shape]:
    """Return x as an array, and its noise_shape: one decision along each of ``broadcast_axes``."""
    if mask is not None:
        refuse_with_mask("broadcast_axes", broadcast_axes)
    check_one_way_to_share(noise_shape, broadcast_axes)
    return shared("x", x, broadcast_axes)


def _evaluate(
    x: ArrayLike,
    keep_prob: float | NDArray[np.float64],
    scale: Scale,
    noise_shape: NoiseShapeLike | None,
    out: NDArray[Any] | None,
    name: str,
) -> tuple[NDArray[Any], Mask]:
    """Return x itself, or times ``keep_prob`` as in the paper, and a mask that keeps all of it."""
    x, shape = check_arrays(x, out, noise_shape)
    if isinstance(keep_prob, np.ndarray):
        check_broadcast(f"{name} shape", keep_prob.shape, shape, "the mask")
    mask = kept_mask(shape, keep_prob if scale == "test" else 1.0)
    if scale != "test" and out is None:
        return x, mask
    return mask.apply(x, out), mask


def _with_mask(
    x: ArrayLike,
    p: ProbabilityLike,
    keep_prob: ProbabilityLike | None,
    rng: RNGLike,
    training: bool,
    scale: Scale,
    noise_shape: NoiseShapeLike | None,
    mask: Mask | ArrayLike,
    out: NDArray[Any] | None,
) -> tuple[NDArray[Any], Mask]:
    """Return (y, mask) of a caller's mask."""
    if isinstance(mask, Mask):
        check_given_mask(mask, p, keep_prob=keep_prob, rng=rng, noise_shape=noise_shape)
        keep = 1.0 - mask.p
        if scale != "train":
            mask = unscaled(mask)
    elif noise_shape is not None:
        refuse_with_mask("noise_shape", noise_shape)
    else:
        as_source(rng)  # drawn from or not, it is checked
        says_p = p is not HALF or keep_prob is not None or scale == "none"
        kept = check_kept(mask, says_p, "p or keep_prob, or scale='none'")
        probability = as_probability(p, keep_prob)
        keep = probability.keep_prob
        mask = mask_from_array(kept, probability, None if scale == "train" else 1.0)
    if training:
        return mask.apply(x, out), mask
    x = as_array("x", x)
    check_broadcast("mask shape", mask.shape, x.shape)
    return _evaluate(x, keep, scale, mask.shape, out, "p")


@overload
def dropout_backward(
    dy: NDArray[ScalarT], mask: Mask | GaussianMask, *, out: NDArray[ScalarT] | None = ...
) -> NDArray[ScalarT]: ...


@overload
def dropout_backward(
    dy: ArrayLike, mask: Mask | GaussianMask, *, out: NDArray[Any] | None = ...
) -> NDArray[Any]: ...


@public()
def dropout_backward(
    dy: ArrayLike, mask: Mask | GaussianMask, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return the gradient of `dropout`, or of a function like it, with respect to x.

    Parameters
    ----------
    dy : array_like of float
        Gradient with respect to y.
    mask : Mask or GaussianMask
        The mask that the forward function returned.
    out : ndarray, optional
        Where to write: an array of dy's shape and dtype. It may be dy.

    Returns
    -------
    dx : ndarray
        ``dy * mask.scale`` where kept, +0 where dropped. With a GaussianMask it is dy times the
        factors.

    Raises
    ------
    TypeError
        If dy does not hold floats, or mask is not a Mask.
    ValueError
        If the mask's shape does not broadcast to dy's, or out does not fit, or the mask is from
        `zoneout`, which has `zoneout_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.dropout(np.ones(4), p=0.5, rng=1)
    >>> fd.dropout_backward(np.full(4, 10.0), mask)
    array([ 0., 20.,  0., 20.])
    """
    if not isinstance(mask, (Mask, GaussianMask)):  # on small arrays the call alone would be felt
        check_made_by("the forward function", mask, Mask, GaussianMask)  # type: ignore[unreachable]
    return mask.backward(dy, out)


@public()
def dropout_mask(
    shape: ShapeLike,
    p: ProbabilityLike = HALF,
    *late: Never,
    keep_prob: ProbabilityLike | None = None,
    rng: RNGLike = None,
    noise_shape: NoiseShapeLike | None = None,
    broadcast_axes: AxesLike | None = None,
    store: Store = "auto",
    **words: Never,
) -> Mask:
    """Draw a mask: each element is dropped with probability ``p``.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the mask, or of the array that it is for.
    p : float or ndarray, default 0.5
        Probability of dropping an element, in [0, 1]. An array broadcasts to the mask's shape and
        gives each element its own p.
    keep_prob : float or ndarray, optional
        Instead of p: the probability of being present.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        Where the mask comes from, as in `dropout`.
    noise_shape : sequence of int or None, optional
        The mask has this shape, which broadcasts to the given one, as in `dropout`.
    broadcast_axes : int or sequence of int, optional
        Instead of noise_shape: the axes along which elements share a decision.
    store : {"auto", "seed", "bits"}, default "auto"
        "seed" stores where the mask was drawn, and takes no memory. "bits" stores one bit per
        element. "auto" is "seed" for a source of fastdrop. It is "bits" for a NumPy generator,
        which cannot go back, and if p is an array.

    Returns
    -------
    mask : Mask
        It has the given shape, or noise_shape.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or is out of range, or the shape of an array does not fit,
        or ``store="seed"`` is given with a NumPy generator or an array.
    OverflowError
        If the source would pass position 2**64.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> mask = fd.dropout_mask((2, 4), p=0.25, rng=1)
    >>> np.asarray(mask)
    array([[False,  True, False,  True],
           [False,  True, False,  True]])
    """
    if late or words:
        refuse(dropout_mask, late, words)
    check_choice("store", store, ("auto", "seed", "bits"))
    check_one_way_to_share(noise_shape, broadcast_axes)
    shape = check_shape(shape)
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    if broadcast_axes is not None:
        shape = shared_shape(shape, broadcast_axes)
    probability = as_probability(p, keep_prob)
    source = as_source(rng)
    check_store(store, probability.is_array, source)
    return draw_mask(shape, probability, source, store == "bits")
