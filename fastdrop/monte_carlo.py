# SPDX-License-Identifier: BSD-3-Clause
"""Predictions with dropout left on, which tell how sure a network is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastdrop._checks import check_positive, check_result, check_same_results, refuse_function
from fastdrop._typing import NDArray
from fastdrop._words import public

__all__ = ["Prediction", "mc_predict"]


class Prediction(NamedTuple):
    """What `mc_predict` returns."""

    mean: NDArray[Any]
    std: NDArray[Any]
    samples: NDArray[Any]


@public()
def mc_predict(forward: Callable[[Any], NDArray[Any]], x: Any, n: int) -> Prediction:
    """Call ``forward(x)`` n times, with other masks each time, and sum up what comes out.

    Parameters
    ----------
    forward : callable
        The network, with dropout as in training. It draws its masks itself. Every call returns
        one array, of the same shape and dtype.
    x : object
        What it is called with.
    n : int
        Number of calls, at least 1.

    Returns
    -------
    mean : ndarray
        Mean of the samples, of the shape of one: the prediction.
    std : ndarray
        Their standard deviation, with divisor n (as ``np.std``): how far the samples disagree.
    samples : ndarray
        All results, of shape (n, ...). The three are a named tuple.

    Raises
    ------
    TypeError
        If forward cannot be called or does not return an array, or n is not an integer.
    ValueError
        If n is less than 1, or a result has another shape or dtype than the first.

    Warns
    -----
    UserWarning
        If n results that are all alike say nothing: no mask was drawn, or the same one each time.

    Notes
    -----
    float16 and bfloat16 are summed up in float32. The paper's predictive variance adds to
    ``std**2`` the inverse of the model's precision, which only the model can know.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian approximation: representing model
       uncertainty in deep learning", ICML 2016, section 4. Equation 6 is the mean.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Dropout(0.5, rng=1)
    >>> weight = np.array([1.0, 2.0, 3.0, 4.0])
    >>> mean, std, samples = fd.mc_predict(lambda x: layer(x) @ weight, np.ones(4), 1000)
    >>> samples.shape
    (1000,)
    >>> bool(abs(mean - 10) < 1), bool(abs(std - 30**0.5) < 1)
    (True, True)
    """
    if not callable(forward):
        refuse_function(forward)
    n = check_positive("n", n)
    first = check_result(forward(x))
    samples = np.empty((n, *first.shape), first.dtype)
    samples[0] = first
    alike = n > 1 and first.size > 0
    for index in range(1, n):
        result = check_result(forward(x))
        check_same_results(result, first)
        samples[index] = result
        alike = alike and samples[index].tobytes() == samples[0].tobytes()
    if alike:
        warnings.warn(
            f"all {n} samples are alike: forward must draw new masks in each call: from layers in "
            "training, and from a source, not from a seed",
            stacklevel=2,
        )
    wide = np.float32 if first.dtype.itemsize == 2 and first.dtype.kind not in "iu" else None
    mean = samples.mean(axis=0, dtype=wide, keepdims=True)
    std = samples.std(axis=0, dtype=wide, mean=mean)
    if wide:
        mean, std = mean.astype(first.dtype), std.astype(first.dtype)
    return Prediction(mean.reshape(first.shape), np.asarray(std), samples)
