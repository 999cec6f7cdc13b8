# SPDX-License-Identifier: BSD-3-Clause
"""Dropout that keeps mean and variance: for self-normalizing networks."""

import math
from typing import Any

from fastdrop._checks import check_switch
from fastdrop._typing import ArrayLike, NDArray, NoiseShapeLike, ProbabilityLike, RNGLike
from fastdrop.apply._apply import check_arrays
from fastdrop.mask._mask import Mask
from fastdrop.mask._operations import affine
from fastdrop.mask._probability import Probability
from fastdrop.source.default import as_source

__all__ = ["alpha_dropout", "alpha_numbers", "feature_alpha_dropout"]

# The parameters of SELU: its least value is -SCALE * ALPHA.
ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


def alpha_numbers(p: float) -> tuple[float, float, float]:
    """Return (scale, shift, dropped): ``y = kept ? x * scale + shift : dropped``."""
    limit = -SCALE * ALPHA
    kept = (1.0 - p) * (1.0 + p * limit * limit)
    if kept == 0.0:  # nothing is kept
        return 1.0, 0.0, 0.0
    scale = 1.0 / math.sqrt(kept)
    return scale, -scale * p * limit, scale * (1.0 - p) * limit


def alpha_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *,
    noise_shape: NoiseShapeLike | None = None,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], Mask]:
    """Set elements to SELU's least value at random, and keep mean 0 and variance 1.

    ``y = a * x + b`` where an element is kept and ``a * s + b`` where it is dropped, with
    ``s = -1.7581``, the limit of SELU at minus infinity, ``a = ((1 - p) * (1 + p * s**2))**-0.5``
    and ``b = -a * p * s``: where x has mean 0 and variance 1, so has y.

    Parameters
    ----------
    x : array_like of float
        Any shape, strides and order; float16, bfloat16, float32 or float64.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1]. At 1, y is 0.
    noise_shape : sequence of int or None, optional
        As of `dropout`: one decision for many elements.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    out : ndarray, optional
        As of `dropout`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; its scale is a.

    Raises
    ------
    TypeError
        If x is not of real floats, or an argument is of another type.
    ValueError
        If p is outside [0, 1] or NaN, a shape does not fit, or out is read-only.
    OverflowError
        If the source would pass position 2**64.

    See Also
    --------
    feature_alpha_dropout : One decision a channel.

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
    probability = Probability(p, None)
    source = as_source(rng)
    scale, shift, dropped = alpha_numbers(probability.p)
    if probability.p == 1.0:
        scale = math.inf
    drawn_from = source if check_switch("training", training) else None
    return affine(x, out, probability, drawn_from, noise_shape, scale, shift, dropped)


def feature_alpha_dropout(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], Mask]:
    """Do what `alpha_dropout` does to whole channels.

    Parameters
    ----------
    x : array_like of float
        Of shape (N, C, ...): one decision for each channel of each sample.
    p : float, default 0.5
        As of `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `alpha_dropout`.
    training : bool, default True
        As of `alpha_dropout`.
    out : ndarray, optional
        As of `alpha_dropout`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; of shape (N, C, 1, ...).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `alpha_dropout`; ValueError too if x has fewer than two axes.

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
    x, shape = check_arrays(x, None, None)
    if len(shape) < 2:
        raise ValueError(f"x has shape {shape}; allowed are shapes (N, C, ...)")
    noise_shape = (*shape[:2], *(1,) * (len(shape) - 2))
    return alpha_dropout(x, p, noise_shape=noise_shape, rng=rng, training=training, out=out)
