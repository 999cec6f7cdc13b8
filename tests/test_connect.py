# SPDX-License-Identifier: BSD-3-Clause
"""A linear map with dropped weights: values, gradients, and what is refused."""

import math

import numpy as np
import pytest
from helpers import DTYPES, kept_at, kept_of, same_state

import fastdrop as fd

ALL_DTYPES = (*DTYPES, np.dtype(np.complex64), np.dtype(np.complex128))
LEADING = [(), (7,), (2, 7), (2, 3, 7)]


def random(shape, dtype=np.float64, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def arrays(leading=(7,), dtype=np.float64):
    """x, weight and bias of a map from 5 features to 4."""
    return (
        random((*leading, 5), dtype),
        random((4, 5), dtype, seed=4),
        random(4, dtype, seed=5),
    )


def at(source_class, position):
    source = source_class(2)
    source.position = position
    return source


# ---- forward -------------------------------------------------------------------------------------


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5])
def test_values(leading, p, source_class):
    x, weight, bias = arrays(leading)
    source = at(source_class, 3)
    y, mask = fd.drop_connect(x, weight, p, bias=bias, rng=source)
    kept = kept_at(source, 3, 20, p).reshape(4, 5)
    expected = np.einsum("...i,oi->...o", x, np.where(kept, weight / (1 - p), 0)) + bias
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert np.array_equal(kept_of(mask), kept)
    assert (mask.shape, mask.p, mask.scale) == ((4, 5), p, 1 / (1 - p))
    assert source.position == 3 + 20
    plain, _ = fd.drop_connect(x, weight, p, rng=at(source_class, 3))
    np.testing.assert_allclose(plain + bias, y, rtol=1e-12, atol=1e-12)


def test_nothing_is_left():
    x, weight, bias = arrays()
    y, _ = fd.drop_connect(x, weight, 1.0, bias=bias)
    assert np.array_equal(y, np.broadcast_to(bias, y.shape))


def test_a_dropped_weight_is_gone_whatever_it_was():
    x, weight, _ = arrays()
    kept = kept_of(fd.dropout_mask((4, 5), 0.5, rng=1))
    weight = np.where(kept, weight, np.nan)
    y, _ = fd.drop_connect(x, weight, 0.5, rng=1)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_every_dtype(dtype):
    x, weight, bias = arrays(dtype=dtype)
    y, mask = fd.drop_connect(x, weight, 0.3, bias=bias, rng=1)
    assert y.dtype == dtype
    if dtype.itemsize == 2:  # multiplied and added in float32, rounded once
        dropped = mask.apply(weight).astype(np.float32)
        wide = x.astype(np.float32) @ dropped.T + bias.astype(np.float32)
        assert np.array_equal(y, wide.astype(dtype))
    else:
        wide = np.complex128 if dtype.kind == "c" else np.float64
        dropped = np.where(kept_of(mask), weight.astype(wide) / 0.7, 0)
        expected = x.astype(wide) @ dropped.T + bias
        tolerance = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    dx, dweight, dbias = fd.drop_connect_backward(y, x, weight, mask)
    assert {dx.dtype, dweight.dtype, dbias.dtype} == {dtype}


def test_every_layout():
    x, weight, bias = arrays()
    expected, mask = fd.drop_connect(x, weight, 0.3, bias=bias, rng=1)
    gradients = fd.drop_connect_backward(expected, x, weight, mask)
    for change in (
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.astype(">f8"),
    ):
        other = [change(a) for a in (x, weight, bias)]
        y, again = fd.drop_connect(other[0], other[1], 0.3, bias=other[2], rng=1)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
        assert y.dtype == other[0].dtype
        assert again == mask
        dy = change(expected)
        for got, wanted in zip(
            fd.drop_connect_backward(dy, *other[:2], mask), gradients, strict=True
        ):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
    y, _ = fd.drop_connect(x.tolist(), weight.tolist(), 0.3, bias=bias.tolist(), rng=1)
    assert np.array_equal(y, expected)


def test_evaluation_is_the_plain_map():
    x, weight, bias = arrays()
    source = fd.Philox4x32(1)
    y, mask = fd.drop_connect(x, weight, 0.3, bias=bias, rng=source, training=False)
    np.testing.assert_allclose(y, x @ weight.T + bias)
    assert source.position == 0
    assert kept_of(mask).all()
    dx, dweight, _ = fd.drop_connect_backward(y, x, weight, mask)
    np.testing.assert_allclose(dx, y @ weight)
    np.testing.assert_allclose(dweight, y.T @ x)


def test_the_mean_over_masks_is_the_plain_map():
    """Within 4.5 standard errors, a false alarm in 150,000 for each of 4; the seed is fixed."""
    x, weight, bias = arrays(())
    source = fd.Xoshiro256PlusPlus(8)
    ys = np.array([fd.drop_connect(x, weight, 0.3, bias=bias, rng=source)[0] for _ in range(4000)])
    error = ys.std(axis=0) / math.sqrt(len(ys))
    assert (abs(ys.mean(axis=0) - (x @ weight.T + bias)) < 4.5 * error).all()
    spread = np.sqrt((x * weight) ** 2 @ np.full(5, 0.3 / 0.7))
    np.testing.assert_allclose(ys.std(axis=0), spread, rtol=0.1)


@pytest.mark.parametrize("rng", [np.random.PCG64, np.random.RandomState])
def test_generators_of_numpy(rng):
    x, weight, _ = arrays()
    y, mask = fd.drop_connect(x, weight, 0.3, rng=rng(5))
    assert mask == fd.dropout_mask((4, 5), 0.3, rng=rng(5))
    np.testing.assert_allclose(y, x @ mask.apply(weight).T)


@pytest.mark.parametrize(
    ("x", "weight", "y"),
    [
        ((0, 5), (4, 5), (0, 4)),
        ((3, 0), (4, 0), (3, 4)),
        ((3, 5), (0, 5), (3, 0)),
        ((2, 0, 5), (4, 5), (2, 0, 4)),
    ],
)
def test_empty_arrays(x, weight, y):
    x, weight = np.ones(x, np.float32), np.ones(weight, np.float32)
    result, mask = fd.drop_connect(x, weight, 0.5, rng=1)
    assert result.shape == y
    assert not result.any()
    dx, dweight, dbias = fd.drop_connect_backward(result, x, weight, mask)
    assert (dx.shape, dweight.shape, dbias.shape) == (x.shape, weight.shape, weight.shape[:1])
    assert not dx.any()
    assert not dweight.any()


# ---- backward ------------------------------------------------------------------------------------


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_gradients_against_finite_differences(leading, dtype):
    """Complex gradients are PyTorch's: dL/d(real) + i dL/d(imag)."""
    x, weight, bias = arrays(leading, dtype)
    dy = random((*leading, 4), dtype, seed=9)

    def loss(x, weight, bias):
        y, _ = fd.drop_connect(x, weight, 0.3, bias=bias, rng=6)
        return (dy.conj() * y).real.sum()

    _, mask = fd.drop_connect(x, weight, 0.3, bias=bias, rng=6)
    gradients = fd.drop_connect_backward(dy, x, weight, mask)
    inputs = [x, weight, bias]
    step = 2.0**-10
    for which, gradient in enumerate(gradients):
        assert gradient.shape == inputs[which].shape
        for direction in (1, 1j)[: 1 + (np.dtype(dtype).kind == "c")]:
            for index in range(inputs[which].size):
                shift = np.zeros(inputs[which].size, dtype)
                shift[index] = step * direction
                ends = []
                for sign in (1, -1):
                    moved = list(inputs)
                    moved[which] = inputs[which] + sign * shift.reshape(inputs[which].shape)
                    ends.append(loss(*moved))
                slope = (ends[0] - ends[1]) / (2 * step)
                got = gradient.ravel()[index]
                part = got.imag if direction == 1j else got.real
                np.testing.assert_allclose(part, slope, atol=1e-9)


def test_dropped_weights_have_no_gradient():
    x, weight, _ = arrays()
    y, mask = fd.drop_connect(x, weight, 0.5, rng=1)
    _, dweight, _ = fd.drop_connect_backward(np.ones_like(y), x, weight, mask)
    assert np.array_equal(dweight != 0, kept_of(mask))


# ---- bad input -----------------------------------------------------------------------------------

x64, weight64, bias64 = arrays()
BAD = [
    ({"x": np.float64(1.0)}, ValueError, ["()", "features_in"]),
    ({"x": np.ones((7, 4))}, ValueError, ["weight", "(4, 5)", "(7, 4)"]),
    ({"x": np.ones((7, 5), int)}, TypeError, ["int64"]),
    ({"x": None}, TypeError, ["None"]),
    ({"weight": np.ones(5)}, ValueError, ["weight", "(5,)"]),
    ({"weight": np.ones((5, 4))}, ValueError, ["weight", "(5, 4)"]),
    ({"weight": np.ones((1, 4, 5))}, ValueError, ["weight", "(1, 4, 5)"]),
    ({"weight": np.ones((4, 5), np.float32)}, TypeError, ["weight", "float32", "float64"]),
    ({"weight": np.ones((4, 5), int)}, TypeError, ["weight", "int64"]),
    ({"bias": np.ones(5)}, ValueError, ["bias", "(5,)", "(4,)"]),
    ({"bias": np.ones((1, 4))}, ValueError, ["bias", "(1, 4)"]),
    ({"bias": np.float64(1)}, ValueError, ["bias", "()"]),
    ({"bias": np.ones(4, np.float16)}, TypeError, ["bias", "float16"]),
    ({"p": 1.5}, ValueError, ["1.5"]),
    ({"p": math.nan}, ValueError, ["nan"]),
    ({"p": "0.5"}, TypeError, ["'0.5'"]),
]


@pytest.mark.parametrize(("options", "error", "words"), BAD)
@pytest.mark.parametrize("training", [True, False])
def test_bad_input(options, error, words, training):
    for source in (fd.Philox4x32(1), np.random.PCG64(1)):
        before = source.state
        given = {"x": x64, "weight": weight64, "bias": bias64, "p": 0.5} | options
        with pytest.raises(error) as caught:
            fd.drop_connect(**given, rng=source, training=training)
        message = str(caught.value)
        assert type(caught.value) is error
        assert all(word in message for word in words), message
        assert "\n" not in message
        assert same_state(source.state, before)


MASK = fd.dropout_mask((4, 5), rng=1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dy": np.ones((7, 5))}, ValueError, ["dy", "(7, 5)", "(7, 4)"]),
        ({"dy": np.ones((6, 4))}, ValueError, ["dy", "(6, 4)", "(7, 4)"]),
        ({"dy": np.ones((7, 4), np.float32)}, TypeError, ["dy", "float32"]),
        ({"x": np.ones((7, 4))}, ValueError, ["weight", "(7, 4)"]),
        ({"weight": np.ones((3, 5))}, ValueError, ["dy", "(7, 3)"]),
        ({"mask": np.ones((4, 5), bool)}, TypeError, ["ndarray", "Mask"]),
        ({"mask": fd.dropout_mask((5, 4), rng=1)}, ValueError, ["(5, 4)", "(4, 5)"]),
    ],
)
def test_bad_input_of_backward(options, error, words):
    given = {"dy": np.ones((7, 4)), "x": x64, "weight": weight64, "mask": MASK} | options
    with pytest.raises(error) as caught:
        fd.drop_connect_backward(**given)
    assert all(word in str(caught.value) for word in words), caught.value


def test_the_end_of_the_stream():
    source = fd.Philox4x32(1)
    source.position = 2**64 - 19
    with pytest.raises(OverflowError):
        fd.drop_connect(x64, weight64, 0.5, rng=source)
    assert source.position == 2**64 - 19
