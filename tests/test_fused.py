# SPDX-License-Identifier: BSD-3-Clause
"""dropout_add and relu_dropout are, to the last bit, the operations that they put together."""

import numpy as np
import pytest
from helpers import DTYPES, assert_same_floats
from layouts import EVERY_DTYPE, floats

import fastdrop as fd
from fastdrop import _reference as reference

WIDE = [dtype for dtype in EVERY_DTYPE if dtype.itemsize > 2]


def normal(shape, dtype, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if dtype.kind == "c" else x).astype(dtype)


# ---- dropout_add ---------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_the_three_operations_one_by_one(dtype, p):
    x, residual = normal((2, 40, 700), dtype)
    bias = normal(700, dtype, seed=2)
    for training in (True, False):
        y, mask = fd.dropout_add(x, residual, p, rng=1, training=training)
        assert_same_floats(y, residual + fd.dropout(x, p, rng=1, training=training)[0])
        assert mask == fd.dropout(x, p, rng=1, training=training)[1]
        y, same = fd.dropout_add(x, residual, p, bias=bias, rng=1, training=training)
        assert_same_floats(y, residual + fd.dropout(x + bias, p, rng=1, training=training)[0])
        assert same == mask


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_sixteen_bits_are_rounded_once(dtype):
    x, residual = normal((2, 40, 700), dtype)
    bias = normal(700, dtype, seed=2)
    y, _ = fd.dropout_add(x, residual, 0.3, bias=bias, rng=1)
    wide = x.astype(np.float32) + bias.astype(np.float32)
    dropped = fd.dropout(wide, 0.3, rng=1)[0]
    assert_same_floats(y, (residual.astype(np.float32) + dropped).astype(dtype))


def test_evaluation_keeps_what_training_drops():
    x, residual = floats(np.float32, (1000,), 1), floats(np.float32, (1000,), 2)
    y, mask = fd.dropout_add(x, residual, 1.0, rng=1)
    assert_same_floats(y, reference.add(x, np.False_, 1.0, residual))  # x is never looked at
    assert not np.asarray(mask).any()
    y, mask = fd.dropout_add(x, residual, 1.0, training=False)
    assert_same_floats(y, reference.add(x, np.True_, 1.0, residual))
    assert np.asarray(mask).all()
    assert mask.scale == 1.0


def test_memory_of_the_mask():
    x = np.ones((100, 10))
    assert fd.dropout_add(x, x, rng=1)[1].nbytes == 0
    assert fd.relu_dropout(x, rng=1)[1].nbytes == 125


BAD_BIAS = [
    ((3, 4), np.ones(3), ValueError, ["bias", "(3,)", "(3, 4)"]),
    ((3, 4), np.ones((1, 4)), ValueError, ["(1, 4)"]),
    ((3, 4), np.array(1.0), ValueError, ["()"]),
    ((), np.ones(1), ValueError, ["(1,)", "()"]),
    ((3, 4), np.ones(4, np.float32), TypeError, ["bias", "float32", "float64"]),
    ((3, 4), [1, 2, 3, 4], TypeError, ["int64"]),
]


@pytest.mark.parametrize(("shape", "bias", "error", "words"), BAD_BIAS)
@pytest.mark.parametrize("training", [True, False])
def test_bad_bias(shape, bias, error, words, training):
    x, out, source = np.ones(shape), np.full(shape, -5.0), fd.Philox4x32(1)
    with pytest.raises(error) as caught:
        fd.dropout_add(x, x, 0.5, bias=bias, rng=source, training=training, out=out)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert source.position == 0
    assert (out == -5.0).all()


def test_a_bias_that_y_takes_the_place_of():
    x = np.ones((1, 1000))
    bias = np.arange(1000.0)
    expected, _ = fd.dropout_add(x, x, 0.5, bias=bias, rng=1)
    y, _ = fd.dropout_add(x, x, 0.5, bias=bias, rng=1, out=bias.reshape(1, 1000))
    assert np.array_equal(y, expected)


# ---- relu_dropout --------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_relu_then_dropout(dtype, p):
    """And its mask: kept, and not cut off by relu. NaN passes, as through `np.maximum`."""
    x = floats(dtype, (40, 701))
    zero = np.zeros((), dtype)
    with np.errstate(invalid="ignore"):
        relu, cut = np.maximum(x, zero), x <= 0
    for training in (True, False):
        expected, drawn = fd.dropout(relu, p, rng=1, training=training)
        y, mask = fd.relu_dropout(x, p, rng=1, training=training)
        assert_same_floats(y, np.where(y == 0, zero, expected))  # -0 becomes +0
        assert_same_floats(abs(y), abs(expected))
        assert np.array_equal(np.asarray(mask), np.asarray(drawn) & ~cut)
        assert (mask.p, mask.scale) == (drawn.p, drawn.scale)
        dy = floats(dtype, x.shape, seed=8)
        gradient = reference.apply(dy, np.asarray(mask), mask.scale)
        assert_same_floats(fd.dropout_backward(dy, mask), gradient)


@pytest.mark.parametrize("function", [fd.relu_dropout, fd.gelu_dropout, fd.silu_dropout])
def test_what_is_not_real_is_told_what_is(function):
    """Integers are not sent to dtypes that are refused as well."""
    for x in (np.arange(3), np.ones(3, complex)):
        words = rf"^x must have dtype float16, bfloat16, float32 or float64, not {x.dtype}"
        with pytest.raises(TypeError, match=words):
            function(x, 0.5)


def test_evaluation_of_relu_writes_out():
    x = np.array([-1.0, 2.0, -0.0, np.inf, -np.inf])
    out = np.full(5, -5.0)
    y, mask = fd.relu_dropout(x, 0.5, training=False, out=out)
    assert y is out
    assert_same_floats(y, np.array([0.0, 2.0, 0.0, np.inf, 0.0]))
    assert np.asarray(mask).tolist() == [False, True, False, True, False]


def test_masks_of_relu_are_values():
    x = normal((30, 40), np.dtype(np.float64))
    _, mask = fd.relu_dropout(x, 0.3, rng=1)
    kept = np.asarray(mask)
    assert mask[3:20].bits.tobytes() == np.packbits(kept[3:20], bitorder="little").tobytes()
    assert mask == fd.relu_dropout(x, 0.3, rng=1)[1]
    assert mask != fd.relu_dropout(x, 0.3, rng=2)[1]
