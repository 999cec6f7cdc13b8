# SPDX-License-Identifier: BSD-3-Clause
"""alpha_dropout: its constants, mean and variance, shared decisions, evaluation."""

import math

import numpy as np
import pytest
from helpers import DTYPES, assert_same_floats

import fastdrop as fd
from fastdrop import _reference as reference

LIMIT = -1.7580993408473766  # of SELU at minus infinity: -scale * alpha
PROBABILITIES = (0.05, 0.1, 1 / 3, 0.5, 0.9)


def constants(p):
    """The a and b of the paper's section "New dropout technique"."""
    a = ((1 - p) * (1 + p * LIMIT**2)) ** -0.5
    return a, -a * p * LIMIT


@pytest.mark.parametrize("p", PROBABILITIES)
def test_constants(p):
    x = np.array([0.0, 1.0, -2.5, 1e6] * 50)
    y, mask = fd.alpha_dropout(x, p, rng=1)
    kept = np.asarray(mask)
    a, b = constants(p)
    np.testing.assert_allclose(y, np.where(kept, a * x + b, a * LIMIT + b), rtol=1e-14, atol=1e-14)
    assert mask.scale == pytest.approx(a, rel=1e-15)
    assert mask == fd.dropout_mask(x.shape, p, rng=1) or mask.scale != 1 / (1 - p)
    assert np.array_equal(kept, np.asarray(fd.dropout_mask(x.shape, p, rng=1)))


@pytest.mark.parametrize("p", PROBABILITIES)
def test_mean_and_variance_are_kept(p):
    """Bounds of 4.5 standard deviations, a false alarm in 150,000 each; the seeds are fixed."""
    n = 2**22
    x = np.random.default_rng(8).standard_normal(n)
    y, _ = fd.alpha_dropout(x, p, rng=9)
    assert abs(y.mean()) < 4.5 / math.sqrt(n)
    a, b = constants(p)
    dropped = a * LIMIT + b
    # E y^4, where y = a z + b if kept: the variance of y^2 is that less 1.
    fourth = (1 - p) * (3 * a**4 + 6 * a**2 * b**2 + b**4) + p * dropped**4
    assert abs((y * y).mean() - 1) < 4.5 * math.sqrt((fourth - 1) / n)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_all_are_kept_or_dropped(dtype):
    x = np.array([1.5, -2.0, np.inf, -np.inf, np.nan, -0.0], dtype)
    source = fd.Philox4x32(1)
    y, mask = fd.alpha_dropout(x, 0.0, rng=source)
    assert_same_floats(y, x + dtype.type(0))
    assert mask.scale == 1.0
    y, mask = fd.alpha_dropout(x, 1.0, rng=source)
    assert_same_floats(y, np.zeros_like(x))
    assert not np.asarray(mask).any()
    assert not fd.dropout_backward(x, mask).view(np.uint8).any()
    assert source.position == 2 * x.size


def test_what_is_dropped_is_one_number_whatever_it_was():
    x = np.full(10_000, np.nan, np.float32)
    y, mask = fd.alpha_dropout(x, 0.5, rng=1)
    kept = np.asarray(mask)
    assert np.isnan(y[kept]).all()
    a, b = constants(0.5)
    assert np.unique(y[~kept]).tolist() == [np.float32(a * LIMIT + b)]


@pytest.mark.parametrize("axes", [1, 0, (0, 1), -1, (-2,), ()])
def test_shared_decisions(axes):
    x = np.random.default_rng(1).standard_normal((20, 30))
    source = fd.Philox4x32(3)
    y, mask = fd.alpha_dropout(x, 0.4, broadcast_axes=axes, rng=source)
    assert mask.shape == np.mean(x, axis=axes, keepdims=True).shape
    assert source.position == mask.size
    kept = np.broadcast_to(np.asarray(mask), x.shape)
    a, b = constants(0.4)
    np.testing.assert_allclose(y, np.where(kept, a * x + b, a * LIMIT + b), rtol=1e-14, atol=1e-14)
    assert_same_floats(fd.dropout_backward(x, mask), reference.apply(x, kept, mask.scale))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6), (2, 3, 4, 5, 6), (0, 3, 2), (4, 5, 0)])
def test_channels(shape):
    x = np.random.default_rng(1).standard_normal(shape)
    noise_shape = (*shape[:2], *(1,) * (len(shape) - 2))
    y, mask = fd.feature_alpha_dropout(x, 0.4, rng=2)
    expected, same = fd.alpha_dropout(x, 0.4, broadcast_axes=range(2, x.ndim), rng=2)
    assert np.array_equal(y, expected)
    assert mask == same
    assert mask.shape == noise_shape


@pytest.mark.parametrize("function", [fd.alpha_dropout, fd.feature_alpha_dropout])
def test_evaluation_returns_x(function):
    x = np.random.default_rng(1).standard_normal((3, 4))
    y, mask = function(x, 0.3, training=False)
    assert y is x
    assert np.asarray(mask).all()
    assert mask.scale == 1.0
    out = np.empty_like(x)
    y, mask = function(x, 0.3, training=False, out=out)
    assert y is out
    assert np.array_equal(out, x)
    assert np.array_equal(fd.dropout_backward(x, mask), x)


@pytest.mark.parametrize(
    ("function", "shape", "options", "error", "words"),
    [
        (fd.feature_alpha_dropout, (), {}, ValueError, ["()", "(N, C, ...)"]),
        (fd.feature_alpha_dropout, (3,), {}, ValueError, ["(3,)", "(N, C, ...)"]),
        (fd.alpha_dropout, (3, 4), {"broadcast_axes": 2}, ValueError, ["2", "(3, 4)"]),
        (fd.alpha_dropout, (3, 4), {"broadcast_axes": (0, -2)}, ValueError, ["(0, -2)"]),
        (
            fd.alpha_dropout,
            (3, 4),
            {"broadcast_axes": 1.0},
            TypeError,
            ["broadcast_axes must", "not 1.0"],
        ),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_bad_shapes(function, shape, options, error, words, training):
    source, out = fd.Philox4x32(1), np.full(shape, -5.0)
    with pytest.raises(error) as caught:
        function(np.ones(shape), 0.3, rng=source, out=out, training=training, **options)
    assert all(word in str(caught.value) for word in words)
    assert source.position == 0
    assert (out == -5.0).all()
