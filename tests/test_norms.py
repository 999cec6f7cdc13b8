# SPDX-License-Identifier: BSD-3-Clause
"""dropout_add_layer_norm and dropout_add_rms_norm: the twin to the last bit, exact to rounding."""

import numpy as np
import pytest
from helpers import DTYPES, assert_same_floats
from layouts import LAYOUTS, WRITEABLE, native

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop._words import HALF

SHAPES = [(1, 1), (3, 1), (2, 7), (5, 16), (3, 31), (2, 33), (7, 64), (2, 3, 100), (130, 257)]
NORMS = {
    True: (fd.dropout_add_layer_norm, fd.dropout_add_layer_norm_backward),
    False: (fd.dropout_add_rms_norm, fd.dropout_add_rms_norm_backward),
}
centers = pytest.mark.parametrize("centered", NORMS, ids=lambda it: "layer" if it else "rms")


def normal(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def case(shape, dtype, seed=0):
    """x, residual, weight, bias, linear_bias."""
    arrays = [normal(shape, dtype, seed + i) for i in range(2)]
    return [*arrays, *(normal(shape[-1:], dtype, seed + i) for i in range(2, 5))]


def forward(centered, x, residual, weight, bias, p, **options):
    before = (weight, bias) if centered else (weight,)
    return NORMS[centered][0](x, residual, *before, p, **options)


def backward(centered, *arguments, **options):
    """The five gradients; RMS norm has no bias."""
    gradients = NORMS[centered][1](*arguments, **options)
    return gradients if centered else (*gradients[:3], None, gradients[3])


def assert_as_the_twin(centered, x, residual, weight, bias, linear_bias, p, eps=1e-5, rng=1):
    """Forward and backward; all that is optional is there."""
    bias = bias if centered else None
    options = {"linear_bias": linear_bias, "eps": eps}
    y, total, mask = forward(
        centered, x, residual, weight, bias, p, prenorm=True, rng=rng, **options
    )
    kept, factor = np.asarray(mask), 1.0 if p == 1 else reference.scale_factor(p)
    sums = reference.joined(x, kept, factor, residual, linear_bias)
    assert_same_floats(y, reference.norm(sums, weight, bias, eps, centered, x.dtype))
    assert_same_floats(total, sums.astype(x.dtype))
    dy, dtotal = normal(x.shape, x.dtype, 8), normal(x.shape, x.dtype, 9)
    actual = backward(centered, dy, x, residual, weight, mask, dtotal=dtotal, **options)
    expected = reference.norm_backward(dy, sums, kept, factor, weight, dtotal, eps, centered)
    for one, other in zip(actual, expected, strict=True):
        if one is not None:
            assert_same_floats(one, other)


# ---- the twin ------------------------------------------------------------------------------------


@centers
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_twin_to_the_last_bit(level, dtype, shape, centered):
    assert_as_the_twin(centered, *case(shape, dtype), 0.3)


@centers
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_any_probability(p, centered):
    assert_as_the_twin(centered, *case((40, 50), np.dtype(np.float32)), p)


@centers
@pytest.mark.parametrize("width", [4096, 4097, 20_000])
def test_rows_longer_than_a_tile(width, centered):
    assert_as_the_twin(centered, *case((3, width), np.dtype(np.float32)), 0.1)


@centers
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads, centered):
    fd.set_num_threads(threads)
    assert_as_the_twin(centered, *case((1501, 200), np.dtype(np.float32)), 0.1)


@centers
def test_rows_that_are_not_finite_or_do_not_vary(level, centered):
    x, residual, weight, bias, before = case((6, 40), np.dtype(np.float32))
    x[0, 3], x[1, 5], x[2, 7], residual[3] = np.nan, np.inf, -np.inf, np.inf
    x[4], residual[4], x[5], residual[5], before[:] = 3.0, 1.0, 0.0, 0.0, 0.0
    assert_as_the_twin(centered, x, residual, weight, bias, before, 0.1)
    assert_as_the_twin(centered, x, residual, weight, bias, before, 0.0, eps=0.0)


# ---- how exact it is -----------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_errors_of_rounding(offset):
    """A mean much larger than the deviation costs nothing."""
    x, residual, weight, bias, _ = case((50, 1000), np.dtype(np.float32))
    residual += np.float32(offset)
    y, total, _ = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.1, prenorm=True, rng=1)
    wide = total.astype(np.float64)
    away = wide - wide.mean(-1, keepdims=True)
    exact = away / np.sqrt((away * away).mean(-1, keepdims=True) + 1e-5) * weight + bias
    assert np.abs(y - exact).max() < 1.5e-6


@centers
def test_gradients_are_differences(centered):
    """Of float64, by differences of both sides."""
    x, residual, weight, bias, before = case((3, 10), np.dtype(np.float64))
    dy, dtotal = normal(x.shape, float, 8), normal(x.shape, float, 9)
    arrays = {"x": x, "residual": residual, "weight": weight, "bias": bias, "linear_bias": before}
    mask = forward(centered, x, residual, weight, bias, 0.3, rng=1)[-1]

    def loss(**changed):
        given = arrays | changed
        y, total, _ = forward(
            centered, given["x"], given["residual"], given["weight"], given["bias"], HALF,
            prenorm=True, linear_bias=given["linear_bias"], mask=mask,
        )  # fmt: skip
        return (y * dy).sum() + (total * dtotal).sum()

    gradients = backward(centered, dy, x, residual, weight, mask, linear_bias=before, dtotal=dtotal)
    for (name, array), gradient in zip(arrays.items(), gradients, strict=True):
        for index in np.ndindex(array.shape) if gradient is not None else ():
            step = np.zeros_like(array)
            step[index] = 1e-6
            slope = (loss(**{name: array + step}) - loss(**{name: array - step})) / 2e-6
            assert abs(gradient[index] - slope) < 1e-7


# ---- the same as its parts -----------------------------------------------------------------------


@centers
def test_the_mask_and_the_sum_are_those_of_dropout_add(centered):
    x, residual, weight, bias, before = case((20, 30), np.dtype(np.float32))
    total, mask = fd.dropout_add(x, residual, 0.3, bias=before, rng=7)
    options = {"prenorm": True, "linear_bias": before}
    _, same, drawn = forward(centered, x, residual, weight, bias, 0.3, rng=7, **options)
    assert drawn == mask
    assert_same_floats(same, total)
    for given in (mask, mask.packed(), np.asarray(mask)):
        p = 0.3 if isinstance(given, np.ndarray) else HALF
        _y, same, _ = forward(centered, x, residual, weight, bias, p, mask=given, **options)
        assert_same_floats(same, total)


def test_a_source_is_left_after_the_mask():
    x, residual, weight, bias, _ = case((20, 30), np.dtype(np.float32))
    for make in (fd.Philox4x32, np.random.PCG64):
        one, other = make(3), make(3)
        for _ in range(2):
            mask = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.3, rng=one)[1]
            assert mask == fd.dropout_add(x, residual, 0.3, rng=other)[1]


@centers
def test_evaluation(centered):
    x, residual, weight, bias, _ = case((20, 30), np.dtype(np.float32))
    source = fd.Philox4x32(1)
    y, mask = forward(centered, x, residual, weight, bias, 0.3, training=False, rng=source)
    expected, _ = forward(centered, x, residual, weight, bias, 0.0)
    assert_same_floats(y, expected)
    assert source.position == 0
    assert mask.all()
    assert mask.scale == 1.0


@centers
def test_shared_decisions(centered):
    x, residual, weight, bias, _ = case((20, 30), np.dtype(np.float32))
    mask = fd.dropout_mask((20, 1), 0.5, rng=1)
    _y, total, _ = forward(centered, x, residual, weight, bias, HALF, mask=mask, prenorm=True)
    assert_same_floats(total, residual + mask.apply(x))
    dresidual = backward(centered, x, x, residual, weight, mask)[1]
    assert dresidual.shape == x.shape


@centers
def test_without_weight_and_bias(centered):
    x, residual, *_ = case((20, 30), np.dtype(np.float64))
    y, mask = forward(centered, x, residual, None, None, 0.3, rng=1)
    ones, zeros = np.ones(30), np.zeros(30)
    assert np.array_equal(y, forward(centered, x, residual, ones, zeros, 0.3, rng=1)[0])
    _, _, dweight, _, dlinear_bias = backward(centered, x, x, residual, None, mask)
    assert dweight is None
    assert dlinear_bias is None


@centers
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_weights_of_float32_beside_sixteen_bits(dtype, centered):
    x, residual, weight, bias, before = case((20, 30), dtype)
    narrow, _ = forward(centered, x, residual, weight, bias, 0.3, linear_bias=before, rng=1)
    wide = (array.astype(np.float32) for array in (weight, bias))
    options = {"linear_bias": before.astype(np.float32), "rng": 1}
    assert_same_floats(narrow, forward(centered, x, residual, *wide, 0.3, **options)[0])


# ---- layouts, outputs, errors --------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout):
    x, residual, weight, bias, _ = case((6, 8, 10), np.dtype(np.float32))
    laid, beside = LAYOUTS[layout](x), LAYOUTS[layout](residual)
    x, residual = (np.ascontiguousarray(native(array)) for array in (laid, beside))
    plain, mask = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.3, rng=1)
    rows = [row.astype(laid.dtype) for row in (weight, bias)]
    y, same, _ = fd.dropout_add_layer_norm(laid, beside, *rows, 0.3, rng=1, prenorm=True)
    assert y.dtype == laid.dtype
    assert_same_floats(native(y), plain)
    assert_same_floats(native(same), fd.dropout_add(x, residual, 0.3, rng=1)[0])
    dx = fd.dropout_add_layer_norm_backward(laid, laid, beside, rows[0], mask)[0]
    expected = fd.dropout_add_layer_norm_backward(x, x, residual, weight, mask)[0]
    assert_same_floats(native(dx), expected)


@pytest.mark.parametrize("layout", WRITEABLE)
def test_any_layout_of_out(layout):
    x, residual, weight, bias, _ = case((6, 8, 10), np.dtype(np.float32))
    plain, _ = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.3, rng=1)
    out = WRITEABLE[layout](np.zeros_like(x))
    if out.dtype.isnative:
        y, _ = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.3, rng=1, out=out)
        assert y is out
        assert_same_floats(np.ascontiguousarray(out), plain)


def test_out_may_be_an_input_or_overlap_one():
    x, residual, weight, bias, _ = case((6, 40), np.dtype(np.float32))
    plain, _ = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.3, rng=1)
    for which in range(2):
        arrays = [x.copy(), residual.copy()]
        fd.dropout_add_layer_norm(*arrays, weight, bias, 0.3, rng=1, out=arrays[which])
        assert_same_floats(arrays[which], plain)
    room = np.empty(x.size + 3, x.dtype)
    moved, out = room[3:].reshape(x.shape), room[:-3].reshape(x.shape)
    moved[...] = x
    fd.dropout_add_layer_norm(moved, residual, weight, bias, 0.3, rng=1, out=out)
    assert_same_floats(out, plain)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0,)], ids=str)
def test_empty(shape):
    x, residual, weight, bias, before = case(shape, np.dtype(np.float32))
    y, total, mask = fd.dropout_add_layer_norm(x, residual, weight, bias, 0.3, prenorm=True)
    assert y.shape == total.shape == mask.shape == shape
    gradients = fd.dropout_add_layer_norm_backward(x, x, residual, weight, mask, linear_bias=before)
    assert [gradient.shape for gradient in gradients] == [shape] * 2 + [shape[-1:]] * 3
    assert not any(gradient.any() for gradient in gradients)


GOOD = {"x": np.ones((3, 4)), "residual": np.ones((3, 4)), "weight": np.ones(4), "bias": np.ones(4)}
BAD = [
    ({"x": np.array(1.0)}, ValueError, ["x must have at least one axis, not shape ()"]),
    ({"x": np.ones((3, 4), complex)}, TypeError, ["complex128"]),
    ({"residual": np.ones((3, 5))}, ValueError, ["residual", "(3, 5)", "(3, 4)"]),
    ({"weight": np.ones(3)}, ValueError, ["weight", "(3,)", "(4,)"]),
    ({"weight": np.ones(3, np.float32)}, ValueError, ["weight", "(3,)", "(4,)"]),
    ({"weight": np.ones(4, np.float32)}, TypeError, ["weight", "float32", "float64"]),
    ({"bias": np.ones((1, 4))}, ValueError, ["bias", "(1, 4)"]),
    ({"linear_bias": np.ones(5)}, ValueError, ["linear_bias", "(5,)"]),
    ({"eps": -1.0}, ValueError, ["eps", "-1.0"]),
    ({"eps": np.nan}, ValueError, ["eps", "nan"]),
    ({"eps": "1"}, TypeError, ["eps", "'1'"]),
    ({"p": 1.5}, ValueError, ["1.5"]),
    ({"p": 0.5, "keep_prob": 0.5}, TypeError, ["keep_prob"]),
    ({"prenorm": 1}, TypeError, ["prenorm", "1"]),
    ({"mask": np.ones((3, 4))}, TypeError, ["mask", "float64"]),
    ({"mask": np.ones((3, 4), bool)}, TypeError, ["give p or keep_prob"]),
    ({"mask": np.ones((3, 5), bool), "p": 0.5}, ValueError, ["(3, 5)"]),
    ({"out": np.ones((3, 5))}, ValueError, ["out"]),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "error", "words"), BAD)
def test_errors_come_before_anything_is_done(changed, error, words):
    source, out = fd.Philox4x32(1), np.full((3, 4), -5.0)
    with pytest.raises(error) as caught:
        fd.dropout_add_layer_norm(**{"out": out, "rng": source} | GOOD | changed)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert source.position == 0
    assert (out == -5.0).all()


def test_masks_of_others_are_refused():
    x = np.ones((3, 4))
    _, of_zoneout = fd.zoneout(x, x, 0.5)
    _, of_alpha = fd.alpha_dropout(x, 0.5)
    for mask in (of_zoneout, of_alpha, np.ones((3, 4), bool)):
        with pytest.raises((TypeError, ValueError), match="mask"):
            fd.dropout_add_layer_norm_backward(x, x, x, None, mask)


def test_a_mask_of_a_tiny_p_is_one_of_dropout():
    """Its scale is that which alpha_dropout has, too: 1."""
    x = np.ones((3, 4))
    y, mask = fd.dropout_add_rms_norm(x, x, None, 2.0**-64, rng=1)
    assert np.array_equal(fd.dropout_add_rms_norm(x, x, None, mask=mask)[0], y)
    assert np.array_equal(fd.dropout(x, mask=mask)[0], x)
