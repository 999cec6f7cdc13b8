# SPDX-License-Identifier: BSD-3-Clause
"""zoneout: states pass unchanged in training, are mixed in evaluation, and both gradients."""

import math

import numpy as np
import pytest
from helpers import assert_same_floats
from layouts import EVERY_DTYPE, LAYOUTS, assert_result, floats, native

import fastdrop as fd
from fastdrop import _reference as reference


def states(shape, seed=1):
    return np.random.default_rng(seed).standard_normal((2, *shape))


def test_the_mask_says_what_is_new():
    new, old = states((30, 40))
    y, mask = fd.zoneout(new, old, 0.3, rng=1)
    assert np.array_equal(y, np.where(np.asarray(mask), new, old))
    assert np.array_equal(np.asarray(mask), np.asarray(fd.dropout_mask((30, 40), 0.3, rng=1)))
    assert (mask.p, mask.scale) == (0.3, 1.0)


def test_one_decision_for_many():
    new, old = states((30, 40))
    for axes, shape in ((0, (1, 40)), (-1, (30, 1)), ((0, 1), (1, 1)), ((), (30, 40))):
        source = fd.Philox4x32(1)
        y, mask = fd.zoneout(new, old, 0.3, broadcast_axes=axes, rng=source)
        assert mask.shape == shape
        assert source.position == mask.size
        assert mask.state["of"] == "zoneout"
        assert np.array_equal(y, np.where(np.asarray(mask), new, old))
        evaluated = fd.zoneout(new, old, 0.3, broadcast_axes=axes, training=False)
        assert evaluated[1].shape == shape
        assert np.array_equal(evaluated[0], fd.zoneout(new, old, 0.3, training=False)[0])
    with pytest.raises(ValueError, match=r"broadcast_axes must be .*, not 2"):
        fd.zoneout(new, old, 0.3, broadcast_axes=2, rng=source)
    assert source.position == 30 * 40


def test_all_old_or_all_new():
    new, old = floats(np.float32, (1000,), 1), floats(np.float32, (1000,), 2)
    assert fd.zoneout(new, old, 0.0, rng=1)[0].tobytes() == new.tobytes()
    assert fd.zoneout(new, old, 1.0, rng=1)[0].tobytes() == old.tobytes()


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
def test_bits_pass_unchanged(dtype):
    """NaN keep their payload: nothing is computed."""
    new, old = floats(dtype, (20_000,), 1), floats(dtype, (20_000,), 2)
    y, mask = fd.zoneout(new, old, 0.3, rng=1)
    kept = np.asarray(mask)
    assert y[kept].tobytes() == new[kept].tobytes()
    assert y[~kept].tobytes() == old[~kept].tobytes()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_is_the_mean(layout, dtype, p):
    new, old = floats(dtype, (20, 31), 1), floats(dtype, (20, 31), 2)
    part = reference.apply(old, np.True_, p)
    expected = reference.add(new, np.True_, 1.0 - p, part)
    laid = LAYOUTS[layout](new), LAYOUTS[layout](old)
    if layout == "repeated":
        expected = expected[:, :1].repeat(31, axis=1)
    y, mask = fd.zoneout(*laid, p, training=False)
    assert_result(y, laid[0], expected)
    assert np.asarray(mask).all()
    assert mask.scale == 1.0 - p
    for index in (0, 1):
        arrays = [new.copy(), old.copy()]
        y, _ = fd.zoneout(*arrays, p, training=False, out=arrays[index])
        assert y is arrays[index]
        if layout != "repeated":
            assert_same_floats(y, expected)


def test_evaluation_is_the_mean_of_training():
    """A bound of 4.5 standard deviations; the seed is fixed."""
    new, old = np.full(2**20, 3.0), np.full(2**20, 1.0)
    y, _ = fd.zoneout(new, old, 0.3, rng=1)
    expected, _ = fd.zoneout(new, old, 0.3, training=False)
    assert abs(y.mean() - expected[0]) < 4.5 * 2 * math.sqrt(0.3 * 0.7 / y.size)


# ---- backward ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("axes", [None, 0, (0, 1)])
def test_both_gradients_against_finite_differences(p, training, axes):
    words = {"rng": 3, "training": training, "broadcast_axes": axes}
    new, old = states((5, 7))
    dy = states((5, 7), seed=2)[0]

    def loss(new, old):
        return (dy * fd.zoneout(new, old, p, **words)[0]).sum()

    _, mask = fd.zoneout(new, old, p, **words)
    dnew, dold = fd.zoneout_backward(dy, mask)
    step = 2.0**-10
    for index in np.ndindex(new.shape):
        shift = np.zeros_like(new)
        shift[index] = step
        slope = (loss(new + shift, old) - loss(new - shift, old)) / (2 * step)
        np.testing.assert_allclose(dnew[index], slope, atol=1e-9)
        slope = (loss(new, old + shift) - loss(new, old - shift)) / (2 * step)
        np.testing.assert_allclose(dold[index], slope, atol=1e-9)


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3, 700), (0, 3), ()])
def test_gradients_of_every_dtype_and_layout(layout, dtype, shape):
    """Each element of dy goes one of two ways, and +0 the other; NaN and infinity as well."""
    ones = np.ones(shape, dtype)
    _, mask = fd.zoneout(ones, ones, 0.3, rng=3)
    kept = np.asarray(mask)
    dy = LAYOUTS[layout](floats(dtype, shape))
    dnew, dold = fd.zoneout_backward(dy, mask)
    assert_result(dnew, dy, reference.apply(native(dy), kept, 1.0))
    assert_result(dold, dy, reference.apply(native(dy), ~kept, 1.0))


def test_bad_gradients():
    _, mask = fd.zoneout(np.ones(4), np.ones(4), 0.3, rng=3)
    with pytest.raises(TypeError, match="int64"):
        fd.zoneout_backward(np.ones(4, int), mask)
    with pytest.raises(ValueError, match=r"\(5,\)"):
        fd.zoneout_backward(np.ones(5), mask)
    with pytest.raises(TypeError, match="ndarray"):
        fd.zoneout_backward(np.ones(4), np.ones(4, bool))
