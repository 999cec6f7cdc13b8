# SPDX-License-Identifier: BSD-3-Clause
"""An array of probabilities decides about each element as that number alone would."""

import copy
import math
import pickle
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from helpers import (
    BIT_GENERATORS,
    DTYPES,
    SOURCES,
    assert_same_floats,
    every_kind_of_float,
    kept_at,
    kept_of,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastdrop as fd
from fastdrop import _reference as reference

# Both ends and their neighbours; values that never tie, that tie in their last digits, and any.
ENDS = (0.0, 5e-324, 2.0**-64, 2.0**-56, 1 / 256, 0.5, 255 / 256, 1 - 2.0**-53, 1.0)
probabilities = st.sampled_from(ENDS) | st.floats(0, 1)
# Shapes of p that a mask of (4, 3, 50, 7) has room for: per sample, channel, row, element, all.
SHAPES = (
    (4, 1, 1, 1),
    (3, 1, 1),
    (4, 3, 1, 1),
    (50, 1),
    (7,),
    (1, 7),
    (1,),
    (3, 1, 7),
    (4, 3, 50, 7),
)
MASK_SHAPE = (4, 3, 50, 7)


def values_of(shape, seed=3):
    """Probabilities of that shape, the ends among them."""
    values = np.random.default_rng(seed).random(shape)
    flat = values.reshape(-1)
    flat[:: max(1, flat.size // 20)] = np.resize(ENDS, flat[:: max(1, flat.size // 20)].size)
    return values


def expected(source, shape, p=None, keep_prob=None, position=0):
    """What the twin says."""
    thresholds = reference.decision_thresholds(shape, p, keep_prob)
    kept = reference.kept(
        type(source).__name__, source.key, source.counter, position, math.prod(shape), thresholds
    )
    return kept.reshape(shape)


def factors(p=None, keep_prob=None):
    """The twin's factors of kept elements."""
    if keep_prob is None:
        numbers = [reference.scale_factor(one) for one in p.ravel().tolist()]
        return np.reshape(numbers, p.shape)
    numbers = [reference.scale_factor(None, one) for one in keep_prob.ravel().tolist()]
    return np.reshape(numbers, keep_prob.shape)


@st.composite
def broadcastable(draw):
    """A shape, and probabilities that broadcast to it."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=70))
    shape = shape if math.prod(shape) <= 20_000 else shape[:2]
    axes = draw(st.integers(1, len(shape)))
    small = tuple(draw(st.sampled_from((1, n))) for n in shape[len(shape) - axes :])
    few = draw(st.lists(probabilities, min_size=1, max_size=50))
    return shape, np.resize(np.array(few), small)


# ---- decisions -----------------------------------------------------------------------------------


@given(
    case=broadcastable(),
    cls=st.sampled_from(SOURCES),
    position=st.integers(0, 2**64 - 1 - 20_000),
    keeps=st.booleans(),
    level=st.sampled_from(fd.simd_levels()),
)
def test_masks_are_the_twins(case, cls, position, keeps, level):
    shape, values = case
    source = cls(9)
    source.position = position
    options = {"keep_prob" if keeps else "p": values}
    with fd.use_simd(level):
        mask = fd.dropout_mask(shape, rng=source, **options)
    assert source.position == position + math.prod(shape)
    kept = expected(source, shape, position=position, **options)
    assert np.array_equal(kept_of(mask), kept)
    assert np.array_equal(mask.bits, reference.pack(kept))
    assert np.array_equal(mask.scale, factors(**options))
    if not keeps:
        source.position = position
        assert np.array_equal(fd.bernoulli(shape, values, rng=source), ~kept)
        source.position = position
        bits = fd.bernoulli(shape, values, rng=source, packed=True)
        assert np.array_equal(bits, reference.pack(~kept))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["p", "keep_prob"])
def test_each_element_is_decided_as_by_its_own_number(level, source_class, shape, name):
    """Element by element the mask of an array is that of a number, which others may have too."""
    values = np.random.default_rng(4).choice([0.0, 0.1, 1 / 3, 0.9, 1.0], shape)
    mask = kept_of(fd.dropout_mask(MASK_SHAPE, rng=source_class(5), **{name: values}))
    for number in np.unique(values):
        own = np.broadcast_to(values == number, MASK_SHAPE)
        alone = kept_of(fd.dropout_mask(MASK_SHAPE, rng=source_class(5), **{name: float(number)}))
        assert np.array_equal(mask[own], alone[own])


@pytest.mark.parametrize("number", [0.0, 0.1, 1 / 3, 0.5, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_where_all_are_equal_the_mask_is_that_of_the_number(shape, number):
    values = np.full(shape, number)
    assert fd.dropout_mask(MASK_SHAPE, values, rng=5) == fd.dropout_mask(MASK_SHAPE, number, rng=5)
    for mine, other in (
        ({"keep_prob": values}, {"keep_prob": number}),
        ({"p": values}, {"p": number}),
    ):
        y, mask = fd.dropout(np.ones(MASK_SHAPE), rng=5, **mine)
        y_number, mask_number = fd.dropout(np.ones(MASK_SHAPE), rng=5, **other)
        assert mask == mask_number
        assert np.array_equal(y, y_number)
    drops = fd.bernoulli(MASK_SHAPE, values, rng=5)
    assert np.array_equal(drops, fd.bernoulli(MASK_SHAPE, number, rng=5))


@given(case=broadcastable(), factor=st.floats(0, 1))
def test_masks_are_nested(case, factor):
    shape, values = case
    fewer = kept_of(fd.dropout_mask(shape, values, rng=3))
    more = kept_of(fd.dropout_mask(shape, values * factor, rng=3))
    assert not (fewer & ~more).any()


def test_ties_are_exact(level, source_class):
    """At the uniform of an element and at its neighbours, one 2**-64 and 2**-53 away."""
    n = 600
    source = source_class(8)
    heads = reference.stream_bytes(source_class.__name__, source.key, source.counter, 0, n)
    digits = reference.tie_digits(source_class.__name__, source.key, source.counter, 0, n)
    uniforms = [int(head) << 56 | int(rest) for head, rest in zip(heads, digits, strict=True)]
    p = np.array([math.ldexp(uniform, -64) for uniform in uniforms])  # rounded to a double
    for values in (p, np.nextafter(p, 0), np.nextafter(p, 1), np.floor(p * 256) / 256):
        mask = fd.dropout_mask(n, values, rng=source_class(8))
        limits = [math.ceil(Fraction(one) * 2**64) for one in values.tolist()]
        assert kept_of(mask).tolist() == [u >= d for u, d in zip(uniforms, limits, strict=True)]


@pytest.mark.parametrize("shape", [(2**19 + 77,), (513, 1), (1,)])
def test_threads_see_the_same(shape):
    whole = (513, 2**11 + 9) if len(shape) == 2 else (2**19 + 77,)
    values = values_of(shape)
    drawn = []
    for threads in (1, 2, 5):
        fd.set_num_threads(threads)
        drawn.append(fd.dropout_mask(whole, values, rng=2))
    assert drawn[0] == drawn[1] == drawn[2]
    assert np.array_equal(kept_of(drawn[0]), expected(fd.Xoshiro256PlusPlus(2), whole, values))


def test_calls_go_on_where_the_last_one_ended(source_class):
    source, values = source_class(6), values_of((1001,))
    drawn = [kept_of(fd.dropout_mask(n, values[:n], rng=source)) for n in (1, 70, 1001)]
    position = 0
    for kept in drawn:
        p = values[: kept.size]
        assert np.array_equal(kept, expected(source_class(6), kept.shape, p, position=position))
        position += kept.size
    # and a number after an array
    mask = fd.dropout_mask(99, 0.3, rng=source)
    assert np.array_equal(kept_of(mask), kept_at(source_class(6), position, 99, 0.3))


@pytest.mark.parametrize("name", ["p", "keep_prob"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bit_generator_class", BIT_GENERATORS)
def test_numpy_generators(level, bit_generator_class, shape, name):
    values = values_of(shape)
    n = math.prod(MASK_SHAPE)
    generator = bit_generator_class(7)
    mask = fd.dropout_mask(MASK_SHAPE, rng=generator, **{name: values})
    thresholds = reference.decision_thresholds(MASK_SHAPE, **{name: values})
    twin = bit_generator_class(7)
    assert np.array_equal(kept_of(mask).ravel(), reference.numpy_kept(twin, n, thresholds))
    assert generator.random_raw() == twin.random_raw()
    p = values if name == "p" else 1.0 - values
    for draws, dtype in (("double", np.float64), ("float", np.float32)):
        source = fd.NumPySource(bit_generator_class(7), draws=draws)
        kept = kept_of(fd.dropout_mask(MASK_SHAPE, rng=source, **{name: values}))
        uniforms = np.random.Generator(bit_generator_class(7)).random(MASK_SHAPE, dtype=dtype)
        assert np.array_equal(kept, uniforms >= p.astype(dtype))
        if name == "p":
            source = fd.NumPySource(bit_generator_class(7), draws=draws)
            assert np.array_equal(fd.bernoulli(MASK_SHAPE, values, rng=source), ~kept)


def test_rates_are_right():
    p = np.linspace(0, 1, 11)
    dropped = fd.bernoulli((40_000, 11), p, rng=1).mean(axis=0)
    assert np.all(np.abs(dropped - p) <= 5 * np.sqrt(p * (1 - p) / 40_000))


# ---- scaling -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", [*DTYPES, np.dtype(np.complex64), np.dtype(np.complex128)], ids=str
)
@pytest.mark.parametrize("shape", SHAPES)
def test_kept_elements_are_scaled_by_their_own_factor(dtype, shape):
    values, n = values_of(shape), math.prod(MASK_SHAPE)
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        x = every_kind_of_float(part, 2 * n).view(dtype).reshape(MASK_SHAPE)
    else:
        x = every_kind_of_float(dtype, n).reshape(MASK_SHAPE)
    for options in ({"p": values}, {"keep_prob": values}):
        y, mask = fd.dropout(x, rng=1, **options)
        kept = expected(fd.Xoshiro256PlusPlus(1), MASK_SHAPE, **options)
        assert_same_floats(y, reference.apply(x, kept, factors(**options)))
        assert_same_floats(fd.dropout_backward(x, mask), y)
        swapped = x.T.copy().T  # another order
        assert_same_floats(mask.backward(swapped), y)
        out = x.copy()
        assert fd.dropout(out, rng=1, out=out, **options)[0] is out
        assert_same_floats(out, y)


def test_other_byte_orders_and_strides():
    values = values_of((3, 1))
    x = np.arange(24.0).reshape(4, 3, 2)
    y = fd.dropout(x, values, rng=1)[0]
    for same in (x.astype(">f8"), np.repeat(x, 2, axis=2)[:, :, ::2], x[::-1].copy()[::-1]):
        assert np.array_equal(fd.dropout(same, values, rng=1)[0], y)
    room = np.empty((4, 3, 4), ">f8")
    fd.dropout(x.astype(">f8"), values, rng=1, out=room[:, :, ::2])
    assert np.array_equal(room[:, :, ::2], y)
    lapping = np.arange(25.0)
    fd.dropout(lapping[:24].reshape(4, 3, 2), values, rng=1, out=lapping[1:].reshape(4, 3, 2))
    assert np.array_equal(lapping[1:].reshape(4, 3, 2), y)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, ml_dtypes.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(40, 30, 50), (30, 50), (50,), (30, 1), (40, 1, 1)])
@pytest.mark.parametrize("name", ["p", "keep_prob"])
def test_large_arrays_of_every_order(name, shape, dtype):
    values = values_of(shape)
    x = np.random.default_rng(1).standard_normal((40, 30, 50)).astype(dtype)
    kept = expected(fd.Xoshiro256PlusPlus(1), x.shape, **{name: values})
    y, mask = fd.dropout(x, rng=1, **{name: values})
    assert_same_floats(y, reference.apply(x, kept, factors(**{name: values})))
    for axes in ((2, 1, 0), (1, 2, 0), (0, 2, 1)):
        swapped = np.empty([x.shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))
        swapped[...] = x
        again, _ = fd.dropout(swapped, rng=1, **{name: values})
        assert again.strides == swapped.strides
        assert_same_floats(again, y)
        assert_same_floats(mask.backward(x, out=again[:, ::-1]), y)
        again[...] = swapped
        assert_same_floats(pickle.loads(pickle.dumps(mask)).apply(again, out=again), y)
    shared = fd.dropout(x, rng=1, noise_shape=(40, 1, 50), **{name: values_of((50,))})[1]
    scaled = reference.apply(x, np.asarray(shared), shared.scale)
    assert_same_floats(shared.apply(x.T.copy().T), scaled)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(2**18 + 77,), (1,)])
def test_threads_multiply_by_the_same(shape, threads):
    x, values = np.random.default_rng(1).random(2**18 + 77), values_of(shape)
    fd.set_num_threads(threads)
    y, mask = fd.dropout(x, values, rng=2)
    assert_same_floats(y, reference.apply(x, kept_of(mask), factors(values)))
    assert_same_floats(mask.backward(x), y)


@pytest.mark.parametrize("name", ["p", "keep_prob"])
def test_scale(name):
    values = values_of((3, 1))
    x = np.random.default_rng(1).random((4, 3, 5), np.float32)
    kept = expected(fd.Xoshiro256PlusPlus(1), x.shape, **{name: values})
    keep_prob = values if name == "keep_prob" else 1.0 - values
    for scale in ("test", "none"):
        y, mask = fd.dropout(x, rng=1, scale=scale, **{name: values})
        assert np.array_equal(y, np.where(kept, x, 0))
        assert mask.scale == 1.0
        y, mask = fd.dropout(x, training=False, scale=scale, **{name: values})
        if scale == "none":
            assert y is x
            continue
        assert np.array_equal(y, x * keep_prob.astype(np.float32))
        assert np.array_equal(mask.scale, keep_prob)
        assert np.array_equal(fd.dropout_backward(x, mask), y)
        assert mask == pickle.loads(pickle.dumps(mask)) == mask[:]
    y, mask = fd.dropout(x, training=False, **{name: values})
    assert y is x
    assert mask.scale == 1.0
    for scale in ("train", "test", "none"):
        with pytest.raises(ValueError, match=rf"{name} shape \(2,\).*\(4, 3, 5\)"):
            fd.dropout(x, training=False, scale=scale, **{name: np.array([0.1, 0.2])})


def test_nothing_warns_and_nothing_dropped_is_multiplied():
    x = np.array([np.nan, np.inf, 1.0, -0.0], np.float32)
    with np.errstate(all="raise"):
        y, mask = fd.dropout(x, np.array([1.0, 1.0, 0.0, 0.0]), rng=1)
        assert_same_floats(y, np.array([0.0, 0.0, 1.0, -0.0], np.float32))
        small, _ = fd.dropout(x, keep_prob=np.array([5e-324, 5e-324, 1.0, 1.0]), rng=1)
    assert_same_floats(small, y)
    assert mask.scale.tolist() == [math.inf, math.inf, 1.0, 1.0]


def test_masks_of_the_caller():
    x, kept = np.arange(6.0).reshape(2, 3), np.array([[True, False, True], [True, True, False]])
    p = np.array([0.0, 0.5, 1.0])
    y, mask = fd.dropout(x, p, mask=kept)
    assert np.array_equal(y, [[0, 0, 2], [3, 8, 0]])  # at p = 1 nothing is multiplied
    assert np.array_equal(mask.p, p)
    assert np.array_equal(fd.dropout(x, mask=mask)[0], y)
    assert np.array_equal(fd.dropout(x, mask=mask, scale="none")[0], np.where(kept, x, 0))
    y, _ = fd.dropout(x, mask=mask, scale="test", training=False)
    assert np.array_equal(y, x * (1 - p))


# ---- functions and layers on top -----------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 4])
def test_a_keep_prob_near_0_together_with_one_of_0(columns):
    """p of both is 1, but only of the second nothing is multiplied: in each way of a call."""
    x, kept = np.ones((2, 4)), np.ones((2, 4), bool)
    keep_prob = np.repeat([[2.0**-64], [0.0]], columns, axis=1)
    wanted = [[2.0**64] * 4, [1.0] * 4]  # a caller's mask keeps what has no probability
    y, mask = fd.dropout(x, keep_prob=keep_prob, mask=kept)
    assert np.array_equal(mask.p, np.ones((2, columns)))
    assert np.array_equal(y, wanted)
    assert np.array_equal(mask.backward(x), wanted)
    assert np.array_equal(mask.T.apply(x.T).T, wanted)
    assert np.array_equal(mask[:, 1:].apply(x[:, 1:]), np.array(wanted)[:, 1:])
    assert np.array_equal(fd.Mask.from_state(mask.state).apply(x), wanted)


def test_samples_channels_words():
    p = np.array([0.0, 1.0, 0.5])
    ends = np.array([True, False])
    path, mask = fd.drop_path(np.ones((3, 5)), p[:, None], rng=1)
    assert mask.shape == (3, 1)
    assert np.array_equal(path[:2].any(axis=1), ends)
    rows, _ = fd.embedding_dropout(np.ones((3, 5)), p[:, None], rng=1)
    assert np.array_equal(rows[:2].any(axis=1), ends)
    for function, inner in ((fd.dropout1d, 1), (fd.dropout2d, 2), (fd.dropout3d, 3)):
        x = np.ones((50, 3, *(2,) * inner))
        y, mask = function(x, p.reshape(3, *(1,) * inner), rng=1)
        assert mask.shape == (50, 3, *(1,) * inner)
        assert (y[:, 0] == 1).all()
        assert not y[:, 1].any()
        assert set(np.unique(y[:, 2])) == {0.0, 2.0}
        dx = fd.dropout_backward(x, mask)
        assert np.array_equal(dx, y)
        last, _ = function(np.moveaxis(x, 1, -1), p, channel_axis=-1, rng=1)
        assert np.array_equal(np.moveaxis(last, -1, 1), y)
    shared, mask = fd.dropout(np.ones((4, 6, 3)), p, broadcast_axes=1, rng=1)
    assert mask.shape == (4, 1, 3)
    assert (shared == shared[:, :1]).all()
    with pytest.raises(ValueError, match=r"p shape \(3,\).*the mask's shape \(50, 3, 1\)"):
        fd.dropout1d(np.ones((50, 3, 2)), p)


def test_drop_connect_by_output():
    x, weight = np.ones((2, 4)), np.ones((3, 4))
    y, _ = fd.drop_connect(x, weight, np.array([[0.0], [1.0], [0.5]]), rng=1)
    assert np.array_equal(y[:, :2], [[4, 0], [4, 0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda p: fd.drop_block2d(np.ones((3, 8, 8)), p),
        lambda p: fd.alpha_dropout(np.ones(3), p),
        lambda p: fd.gaussian_dropout(np.ones(3), p),
        lambda p: fd.dropout_add(np.ones(3), np.ones(3), p),
        lambda p: fd.relu_dropout(np.ones(3), p),
        lambda p: fd.zoneout(np.ones(3), np.ones(3), p),
        lambda p: fd.DropBlock2d(p),
    ],
)
def test_others_take_a_number(call):
    with pytest.raises(TypeError, match=r"p must be .*, not an ndarray of shape \(3,\)"):
        call(np.full(3, 0.5))


def test_layers():
    p = np.array([0.0, 1.0, 0.5])
    layer = fd.Dropout(p, rng=1)
    y = layer(np.ones((50, 3)))
    assert np.array_equal(y, fd.dropout(np.ones((50, 3)), p, rng=1)[0])
    assert np.array_equal(layer.backward(np.ones((50, 3))), y)
    assert repr(layer) == "Dropout(p=array([0. , 1. , 0.5]))"
    p[0] = 1.0  # the layer has its own
    again = pickle.loads(pickle.dumps(layer))
    assert np.array_equal(again.p, [0.0, 1.0, 0.5])
    assert np.array_equal(again(np.ones((50, 3))), layer(np.ones((50, 3))))
    with pytest.raises(ValueError, match=r"p\[0\] must .*, not 2.0"):
        fd.Dropout(np.array([2.0]))


# ---- masks ---------------------------------------------------------------------------------------


def test_attributes():
    p = np.array([[0.25], [0.5]], np.float32)
    mask = fd.dropout_mask((2, 3), p, rng=1)
    assert mask.nbytes == 1
    assert mask.packed() is mask
    assert repr(mask) == "<Mask of shape (2, 3), p=array of shape (2, 1), packed>"
    assert mask.p.dtype == mask.scale.dtype == np.float64
    assert np.array_equal(mask.p, p)
    assert np.array_equal(mask.scale, 1 / (1 - p.astype(np.float64)))
    p[...] = 1.0
    assert mask.p.tolist() == [[0.25], [0.5]]
    for numbers in (mask.p, mask.scale, mask[:1].p, pickle.loads(pickle.dumps(mask)).scale):
        with pytest.raises(ValueError, match="read-only"):
            numbers[...] = 0.0


@pytest.mark.parametrize(
    "p",
    [
        np.float16([0.25, 0.5]),
        np.array([0.25, 0.5], ml_dtypes.bfloat16),
        np.longdouble([0.25, 0.5]),
    ],
)
def test_numbers_of_every_kind(p):
    assert fd.dropout_mask((9, 2), p, rng=1) == fd.dropout_mask((9, 2), np.float64(p), rng=1)


def test_integers_and_orders():
    ends = np.array([0, 1])
    assert kept_of(fd.dropout_mask((9, 2), ends, rng=1)).tolist() == [[True, False]] * 9
    p = values_of((40, 30))
    mask = fd.dropout_mask((40, 30), p, rng=1)
    for same in (np.asfortranarray(p), p.astype(">f8"), p[::-1].copy()[::-1]):
        assert mask == fd.dropout_mask((40, 30), same, rng=1)


@pytest.mark.parametrize("shape", [(), (0,), (4, 0, 3), (1, 1)])
def test_small_masks(shape):
    p = np.full((1,) * max(1, len(shape)), 1.0)
    if not shape:
        with pytest.raises(ValueError, match=r"p shape \(1,\)"):
            fd.dropout_mask(shape, p, rng=1)
        return
    y, mask = fd.dropout(np.ones(shape), p, rng=1)
    assert mask.shape == y.shape == shape
    assert not y.any()
    assert mask == fd.dropout_mask(shape, 1.0, rng=1)
    assert fd.dropout_mask((2, 0), np.ones((2, 0)), rng=1).size == 0


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
def test_windows(shape, data):
    mask = fd.dropout_mask(MASK_SHAPE, values_of(shape), rng=1)
    window = data.draw(hnp.basic_indices(MASK_SHAPE, allow_newaxis=False))
    part = mask[window]
    assert np.array_equal(kept_of(part), kept_of(mask)[window])
    for name in ("p", "scale"):
        numbers = getattr(part, name)
        whole = np.broadcast_to(getattr(mask, name), MASK_SHAPE)
        assert np.array_equal(np.broadcast_to(numbers, part.shape), whole[window])
        assert np.size(numbers) <= getattr(mask, name).size
        assert isinstance(numbers, float) == (part.shape == ())
    x = np.random.default_rng(1).random(MASK_SHAPE)
    assert np.array_equal(part.apply(x[window]), mask.apply(x)[window])


def test_equality():
    p = np.array([0.25, 0.5])
    mask = fd.dropout_mask((3, 2), p, rng=1)
    assert mask == fd.dropout_mask((3, 2), np.tile(p, (3, 1)), rng=1)
    assert mask == mask[:]
    assert mask != fd.dropout_mask((3, 2), p, rng=2)
    assert mask != fd.dropout_mask((3, 2), p[::-1], rng=1)
    assert mask != fd.dropout_mask((3, 2), 0.25, rng=1)
    assert mask != fd.dropout(np.ones((3, 2)), p, rng=1, scale="none")[1]
    assert mask != mask[:2]


def test_copies():
    mask = fd.dropout_mask(MASK_SHAPE, values_of((3, 1, 1)), rng=1)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(mask, protocol))
        assert again == mask
        assert again.p.shape == (3, 1, 1)
    assert copy.copy(mask) == copy.deepcopy(mask) == mask


def test_what_is_applied_may_be_larger_than_the_mask():
    p = np.array([[0.0], [0.5], [1.0]])
    x = np.random.default_rng(1).random((8, 3, 6))
    mask = fd.dropout_mask((3, 1), p, rng=1)
    kept = expected(fd.Xoshiro256PlusPlus(1), (3, 1), p)
    assert_same_floats(
        mask.apply(x), reference.apply(x, np.broadcast_to(kept, x.shape), factors(p))
    )
