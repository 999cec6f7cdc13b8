# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of attention give the floats of their NumPy twins, and these are exact enough."""

import math

import numpy as np
import pytest

from fastdrop import _reference as reference
from fastdrop.kernels import _testing

DTYPES = (np.float32, np.float64)
LENGTHS = (0, 16, 32, 160, 1008)
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def packed(kept, at):
    """Return bits that hold a mask from bit ``at`` on, with the bytes that may be read past it."""
    rng = np.random.default_rng(at)
    before, after = rng.random(at) < 0.5, rng.random(16) < 0.5
    return np.packbits(np.concatenate([before, kept, after]), bitorder="little")


def a_row(dtype, n, kind, seed=0):
    rng = np.random.default_rng(seed)
    scores = (5 * rng.standard_normal(n)).astype(dtype)
    if kind == "masked":
        scores[rng.random(n) < 0.7] = -np.inf
    elif kind == "all masked":
        scores[:] = -np.inf
    elif kind == "far apart":
        scores *= dtype(200)
    elif kind == "where weights end":
        least = -88 if dtype is np.float32 else -709
        scores = np.linspace(least - 1, least + 2, n).astype(dtype)
        scores[-1:] = 0
    elif kind in ("nan", "inf"):
        scores[n // 2 :][:1] = float(kind)
    elif kind == "nan among masked":
        scores[:] = -np.inf
        scores[-1:] = np.nan
    return scores, rng.random(n) < 0.7


KINDS = ("usual", "masked", "all masked", "far apart", "where weights end")
KINDS += ("nan", "inf", "nan among masked")


@dtypes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", LENGTHS)
def test_softmax(level, dtype, kind, n):
    scores, kept = a_row(dtype, n, kind)
    for at, before in ((0, -np.inf), (1, 0.0), (7, -np.inf), (8, 7.5), (67, -1e3)):
        row = scores.copy()
        expected, *numbers = reference.softmax(scores, kept, before)
        np.testing.assert_equal(_testing.softmax(row, packed(kept, at), at, before), numbers)
        np.testing.assert_array_equal(row, expected)


@dtypes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_backward(level, dtype, kind, n):
    scores, kept = a_row(dtype, n, kind)
    gradients = a_row(dtype, n, "usual", seed=1)[0]
    gradients[~kept] = np.nan  # what is dropped does not matter
    row = (*reference.softmax(scores, kept)[1:], 1 / 0.7)
    *weights, delta = reference.softmax_weights(scores, gradients, kept, *row)
    rest = (1 / 0.7, 0.125, -0.3)
    expected = reference.softmax_backward(*weights, kept, *rest)
    for at in (0, 1, 7, 8, 67):
        rows = scores.copy(), gradients.copy()
        found = _testing.softmax_weights(*rows, packed(kept, at), at, *row)
        np.testing.assert_array_equal(rows, weights)
        np.testing.assert_equal(found, delta)
        _testing.softmax_backward(*rows, packed(kept, at), at, *rest)
        np.testing.assert_array_equal(rows, expected)


@dtypes
def test_the_exponential_is_within_two_units_of_the_last_place(dtype):
    x = -np.abs(np.random.default_rng(3).standard_normal(20000) * 25)
    x = np.concatenate([x, -np.geomspace(1e-9, 80, 2000), [0.0]]).astype(dtype)
    x = x[x > -80]
    true = np.array([math.exp(value) for value in x.astype(np.float64)])
    error = np.abs(reference.exponential(x).astype(np.float64) - true)
    assert (error <= 2 * np.spacing(true.astype(dtype)).astype(np.float64)).all()


@dtypes
def test_the_exponential_ends_at_zero(dtype):
    least = -88 if dtype is np.float32 else -709
    x = np.array([least, 2 * least, -1e30, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(reference.exponential(x), [0, 0, 0, 0, np.nan])
    tiny = np.finfo(dtype).tiny
    near = reference.exponential(np.linspace(least + 0.5, least + 1.5, 50).astype(dtype))
    assert (near > tiny / 4).all()
    assert (near < 8 * tiny).all()


@dtypes
def test_softmax_is_softmax(dtype):
    scores, kept = a_row(dtype, 160, "masked")
    weights, _, inverse = reference.softmax(scores, kept)
    true = np.exp((scores - scores.max()).astype(np.float64))
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(weights * inverse, np.where(kept, true / true.sum(), 0), tolerance)


@dtypes
def test_softmax_backward_is_its_derivative(dtype):
    """Against differences, in float64, of the sum of gradient times dropped weight."""
    scores, kept = a_row(np.float64, 32, "usual")
    gradients = np.random.default_rng(4).standard_normal(32)
    factor = 1 / 0.7

    def loss(scores):
        weights = np.exp(scores) / np.exp(scores).sum()
        return (gradients * np.where(kept, weights * factor, 0)).sum()

    steps = 1e-5 * np.eye(32)
    slopes = [(loss(scores + step) - loss(scores - step)) / 2e-5 for step in steps]
    _, largest, inverse = reference.softmax(scores.astype(dtype), kept)
    rows = scores.astype(dtype), gradients.astype(dtype)
    *weights, delta = reference.softmax_weights(*rows, kept, largest, inverse, factor)
    np.testing.assert_allclose(delta, loss(scores), rtol=1e-5)
    _, found = reference.softmax_backward(*weights, kept, factor, 1.0, delta)
    np.testing.assert_allclose(found, slopes, atol=1e-6)
