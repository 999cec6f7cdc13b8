# SPDX-License-Identifier: BSD-3-Clause
"""Monte Carlo predictions: every call is counted in, and the moments are the right ones."""

import itertools
import math
import pickle

import ml_dtypes
import numpy as np
import pytest

import fastdrop as fd

ROWS = np.random.default_rng(1).standard_normal((10, 3, 4))


def rows(dtype=np.float64):
    """A network that returns one row of ROWS after the other."""
    left = iter(ROWS.astype(dtype))
    return lambda x: next(left)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_moments(n):
    prediction = fd.mc_predict(rows(), None, n)
    mean, std, samples = prediction
    assert samples.shape == (n, 3, 4)
    assert np.array_equal(samples, ROWS[:n])
    np.testing.assert_allclose(mean, sum(ROWS[:n]) / n, rtol=1e-14, atol=1e-15)
    variance = sum((row - mean) ** 2 for row in ROWS[:n]) / n
    np.testing.assert_allclose(std, np.sqrt(variance), rtol=1e-12, atol=1e-15)
    assert prediction.mean is mean
    assert prediction.std is std
    assert prediction.samples is samples
    again = pickle.loads(pickle.dumps(prediction))
    assert np.array_equal(again.samples, samples)


def test_forward_is_called_n_times_with_x():
    x = object()
    seen = []

    def forward(given):
        seen.append(given)
        return np.full(2, len(seen))

    fd.mc_predict(forward, x, 7)
    assert len(seen) == 7
    assert all(given is x for given in seen)


def test_results_are_copied():
    buffer = np.zeros(3)

    def forward(x):
        buffer[...] += 1
        return buffer

    assert fd.mc_predict(forward, None, 4).samples[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64, np.complex128]
)
def test_dtypes(dtype):
    mean, std, samples = fd.mc_predict(rows(dtype), None, 10)
    assert samples.dtype == mean.dtype == dtype
    assert std.dtype == np.empty(0, dtype).real.dtype
    # 16 bits: summed up in float32, and rounded once
    exact = samples.astype(np.float32 if samples.dtype.itemsize == 2 else np.complex128)
    tolerance = 1e-5 if samples.dtype.itemsize > 2 else float(ml_dtypes.finfo(dtype).eps)
    wide = mean.astype(exact.dtype)
    np.testing.assert_allclose(wide, exact.mean(axis=0), rtol=tolerance, atol=1e-6)
    np.testing.assert_allclose(std.astype(float), exact.std(axis=0), rtol=tolerance)


def test_16_bits_do_not_overflow():
    values = itertools.cycle((60_000, 59_968))
    mean, std, _ = fd.mc_predict(lambda x: np.full(2, next(values), np.float16), None, 100)
    assert mean.tolist() == [59_968, 59_968]  # 59984, rounded to even
    assert std.tolist() == [16, 16]


def test_numbers_and_integers():
    left = iter(range(5))
    mean, std, samples = fd.mc_predict(lambda x: next(left), None, 5)
    assert mean.shape == std.shape == ()
    assert (mean, std) == (2.0, math.sqrt(2))
    assert samples.tolist() == [0, 1, 2, 3, 4]


def test_a_linear_network():
    """Mean x.w and variance sum (x w)^2 p / (1 - p), within 4.5 standard errors; fixed seed."""
    x, weight = np.arange(1.0, 9.0), np.linspace(-1, 1, 8)
    layer = fd.Dropout(0.2, rng=3)
    n = 20_000
    mean, std, samples = fd.mc_predict(lambda x: layer(x) @ weight, x, n)
    variance = ((x * weight) ** 2).sum() * 0.2 / 0.8
    assert abs(mean - x @ weight) < 4.5 * math.sqrt(variance / n)
    fourth = ((samples - x @ weight) ** 4).mean()
    assert abs(std**2 - variance) < 4.5 * math.sqrt((fourth - variance**2) / n)
    layer.eval()
    with pytest.warns(UserWarning, match="all 3 samples are alike: .* layers in training"):
        mean, std, _ = fd.mc_predict(lambda x: layer(x) @ weight, x, 3)
    np.testing.assert_allclose(mean, x @ weight, rtol=1e-15)
    np.testing.assert_allclose(std, 0, atol=1e-14)


@pytest.mark.parametrize("value", [1.0, np.nan, np.zeros((2, 3))])
def test_samples_that_are_all_alike_are_warned_of(value):
    for n in (2, 5):
        with pytest.warns(UserWarning, match=f"all {n} samples are alike") as caught:
            fd.mc_predict(lambda x: value, None, n)
        assert caught[0].filename == __file__
    fd.mc_predict(lambda x: value, None, 1)  # nothing to compare
    fd.mc_predict(lambda x: np.empty(0), None, 3)
    with pytest.warns(UserWarning, match="from a source, not from a seed"):
        fd.mc_predict(lambda x: fd.dropout(x, 0.5, rng=1)[0], np.ones(99), 3)


def growing():
    left = iter([np.zeros(2), np.zeros(3)])
    return lambda x: next(left)


def widening():
    left = iter([np.zeros(2), np.zeros(2, np.float32)])
    return lambda x: next(left)


@pytest.mark.parametrize(
    ("forward", "n", "error", "words"),
    [
        (None, 3, TypeError, ["forward must", "not None"]),
        (np.ones(3), 3, TypeError, ["forward"]),
        (lambda x: np.ones(3), 0, ValueError, ["n must", "at least 1", "not 0"]),
        (lambda x: np.ones(3), -1, ValueError, ["-1"]),
        (lambda x: np.ones(3), 2.0, TypeError, ["2.0"]),
        (lambda x: fd.dropout(np.ones(3)), 3, TypeError, ["tuple", "(y, mask)"]),
        (lambda x: [1.0], 3, TypeError, ["list"]),
        (lambda x: None, 3, TypeError, ["None"]),
        (growing(), 2, ValueError, ["(3,)", "(2,)"]),
        (widening(), 2, ValueError, ["float32", "float64"]),
    ],
)
def test_bad_input(forward, n, error, words):
    with pytest.raises(error) as caught:
        fd.mc_predict(forward, 0.5, n)
    message = str(caught.value)
    assert type(caught.value) is error
    assert all(word in message for word in words), message


def test_n_is_checked_before_the_first_call():
    def forward(x):
        pytest.fail("called")

    with pytest.raises(ValueError, match=r"n must .*, not 0"):
        fd.mc_predict(forward, None, 0)
