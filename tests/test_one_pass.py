# SPDX-License-Identifier: BSD-3-Clause
"""What draws a mask and does more with it than dropout, in one pass: the twin's floats everywhere.

A `Pass` is one of the functions. The tests of this file are about all of them; what only one of
them has is tested in a file of its name.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from helpers import BIT_GENERATORS, DTYPES, assert_same_floats, bytes_at, kept_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import (
    EVERY_DTYPE,
    LAYOUTS,
    WRITEABLE,
    assert_result,
    components,
    floats,
    native,
    swapped,
)

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop.kernels import _kernels

LAST_LEVEL_CACHE = _kernels.get_build()["last_level_cache"]
SELU_LIMIT = -1.7580993408473766


class Pass(NamedTuple):
    """A function, and what the twin says of it.

    ``call(*arrays, bias, p, **settings)`` is the function; ``expected(*arrays, bias, drawn, p)``
    its result, of arrays in native order, where drawn is bool (which elements are kept) or uint32
    (a word per element) of the shape ``decisions(shape)``.
    """

    call: Callable
    expected: Callable
    arrays: int = 1
    dtypes: tuple = EVERY_DTYPE
    decisions: Callable = lambda shape: shape
    least_axes: int = 0
    backward: Callable = fd.dropout_backward  # (dy, mask) -> dx


def affine_of(x, bias, kept, p):
    if p == 1:
        return np.zeros_like(x)
    a = 1 / math.sqrt((1 - p) * (1 + p * SELU_LIMIT * SELU_LIMIT))
    return reference.affine(x, kept, a, -a * p * SELU_LIMIT, a * (1 - p) * SELU_LIMIT)


def scale_of(p):
    return reference.scale_factor(p)


def channels(shape):
    return (*shape[:2], *(1,) * (len(shape) - 2))


def first_of(function):
    """A function of one array as a `Pass` calls it."""
    return lambda x, bias, p, **settings: function(x, p, **settings)


PASSES = {
    "alpha_dropout": Pass(first_of(fd.alpha_dropout), affine_of, dtypes=DTYPES),
    "feature_alpha_dropout": Pass(
        first_of(fd.feature_alpha_dropout),
        affine_of,
        dtypes=DTYPES,
        decisions=channels,
        least_axes=2,
    ),
    "gaussian_dropout": Pass(
        first_of(fd.gaussian_dropout),
        lambda x, bias, words, p: reference.multiply(
            x, reference.gaussian_factors(words.ravel(), p).reshape(words.shape)
        ),
    ),
    "relu_dropout": Pass(
        first_of(fd.relu_dropout),
        lambda x, bias, kept, p: reference.relu(x, kept, scale_of(p))[0],
        dtypes=DTYPES,
    ),
    "zoneout": Pass(
        lambda new, old, bias, p, **settings: fd.zoneout(new, old, p, **settings),
        lambda new, old, bias, kept, p: reference.select(new, kept, old),
        arrays=2,
        backward=lambda dy, mask: fd.zoneout_backward(dy, mask)[0],
    ),
    "dropout_add": Pass(
        lambda x, residual, bias, p, **settings: fd.dropout_add(x, residual, p, **settings),
        lambda x, residual, bias, kept, p: reference.add(x, kept, scale_of(p), residual),
        arrays=2,
    ),
    "dropout_add with bias": Pass(
        lambda x, residual, bias, p, **settings: fd.dropout_add(
            x, residual, p, bias=bias, **settings
        ),
        lambda x, residual, bias, kept, p: reference.add(x, kept, scale_of(p), residual, bias),
        arrays=2,
        least_axes=1,
    ),
}


def one_for_a_row(one):
    """The same, with one decision for all elements along the last axis."""
    return one._replace(
        call=functools.partial(one.call, broadcast_axes=-1),
        decisions=lambda shape: (*shape[:-1], 1),
        least_axes=1,
    )


PASSES |= {
    f"{name}, shared": one_for_a_row(PASSES[name])
    for name in ("alpha_dropout", "zoneout", "dropout_add", "dropout_add with bias")
}
every_pass = pytest.mark.parametrize("one", PASSES.values(), ids=PASSES)
every_pass_and_dtype = pytest.mark.parametrize(
    ("one", "dtype"),
    [
        pytest.param(one, dtype, id=f"{name}-{dtype}")
        for name, one in PASSES.items()
        for dtype in one.dtypes
    ],
)


def drawn_at(one, source, position, shape, p):
    """What a source gives for arrays of that shape: kept or words; and where it is left."""
    shape = one.decisions(shape)
    n = math.prod(shape)
    if one is PASSES["gaussian_dropout"]:
        words = bytes_at(source, position, 4 * n).view("<u4").astype(np.uint32)
        return words.reshape(shape), position + 4 * n
    return kept_at(source, position, n, p).reshape(shape), position + n


def inputs_of(one, dtype, shape, seed=5):
    """Floats of every kind: the arrays of a pass, and its bias."""
    arrays = [floats(dtype, shape, seed + i) for i in range(one.arrays)]
    return arrays, floats(dtype, shape[-1:], seed + 9)


def ordered_as(x, array):
    """The array in x's byte order: all arrays of a call have one, as another is another dtype."""
    if array.dtype.isnative == x.dtype.isnative:
        return array
    return native(array) if x.dtype.isnative else swapped(array)


def probabilities_of(one):
    ends = [0.0] if one is PASSES["gaussian_dropout"] else [0.0, 1.0]
    return st.sampled_from([*ends, 0.1, 1 / 3, 0.5, 0.9])


# ---- the twin's floats ---------------------------------------------------------------------------


@every_pass
@given(data=st.data())
@settings(max_examples=100)
def test_values(one, data):
    shape = data.draw(
        hnp.array_shapes(min_dims=one.least_axes, max_dims=4, min_side=0, max_side=11)
    )
    dtype = data.draw(st.sampled_from(one.dtypes))
    arrays, bias = inputs_of(one, dtype, shape)
    laid = [LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))](array) for array in arrays]
    laid = [ordered_as(laid[0], array) for array in laid]
    source = data.draw(st.sampled_from([fd.Xoshiro256PlusPlus, fd.Philox4x32]))(7)
    source.position = position = data.draw(st.sampled_from([0, 1, 63, 16300]))
    p = data.draw(probabilities_of(one))
    out = data.draw(st.sampled_from([None, *WRITEABLE]))
    out = None if out is None else WRITEABLE[out](np.zeros(shape, laid[0].dtype))
    drawn, end = drawn_at(one, source, position, shape, p)
    expected = one.expected(*map(native, laid), bias, drawn, p)
    with fd.use_simd(data.draw(st.sampled_from(fd.simd_levels()))):
        y, mask = one.call(*laid, ordered_as(laid[0], bias), p, rng=source, out=out)
    assert out is None or y is out
    assert_result(y, laid[0], expected)
    assert source.position == end
    assert mask.shape == one.decisions(shape)
    assert mask.p == p


@every_pass_and_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_elements_of_every_layout(one, dtype, layout):
    shape = (3, 47, 521)  # several tiles and pieces
    arrays, bias = inputs_of(one, dtype, shape)
    laid = [LAYOUTS[layout](array) for array in arrays]
    drawn, _ = drawn_at(one, fd.Philox4x32(7), 0, shape, 0.3)
    y, _ = one.call(*laid, ordered_as(laid[0], bias), 0.3, rng=fd.Philox4x32(7))
    assert_result(y, laid[0], one.expected(*map(native, laid), bias, drawn, 0.3))
    assert y.strides == np.empty_like(laid[0]).strides


@every_pass_and_dtype
def test_threads_and_levels(one, dtype, level):
    shape = (2, 100_003)  # more than two threads' least, more than three runs of the machine code
    arrays, bias = inputs_of(one, dtype, shape)
    drawn, _ = drawn_at(one, fd.Xoshiro256PlusPlus(7), 0, shape, 0.3)
    expected = one.expected(*arrays, bias, drawn, 0.3)
    for threads in (1, 2, 3):
        fd.set_num_threads(threads)
        source = fd.Xoshiro256PlusPlus(7)
        y, _ = one.call(*arrays, bias, 0.3, rng=source)
        assert_same_floats(y, expected)
        following = fd.dropout_mask(1000, 0.3, rng=source)  # the lanes were left rightly
        assert np.array_equal(following, kept_at(source, source.position - 1000, 1000, 0.3))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 63, 4096, 8191, 8192, 8193, 20_000])
@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
def test_biases_of_every_length(length, dtype, level):
    one = PASSES["dropout_add with bias"]
    shape = (70_001 // length, length)
    arrays, bias = inputs_of(one, dtype, shape)
    drawn, _ = drawn_at(one, fd.Philox4x32(7), 0, shape, 0.3)
    y, _ = one.call(*arrays, bias, 0.3, rng=7_000)
    again, _ = one.call(*arrays, bias, 0.3, rng=fd.Philox4x32(7))
    assert y.shape == again.shape
    assert_same_floats(again, one.expected(*arrays, bias, drawn, 0.3))
    wide = np.repeat(bias, 2)[::2], bias.tolist() if dtype == np.float64 else bias
    for same in wide:
        y, _ = one.call(*arrays, same, 0.3, rng=fd.Philox4x32(7))
        assert_same_floats(y, again)


@pytest.mark.skipif(LAST_LEVEL_CACHE > 2**28, reason="the last-level cache is enormous")
@every_pass_and_dtype
def test_arrays_beyond_the_caches(one, dtype):
    """A whole call gives what calls of parts do, which stay in the caches, and the twin's."""
    columns, step = 1003, 250
    rows = LAST_LEVEL_CACHE // dtype.itemsize // columns + 71
    pattern, bias = inputs_of(one, dtype, (97, columns))
    arrays = [np.resize(array, (rows, columns)) for array in pattern]
    whole, parts = fd.Xoshiro256PlusPlus(7), fd.Xoshiro256PlusPlus(7)
    y, _ = one.call(*arrays, bias, 0.3, rng=whole)
    for start in range(0, rows, step):
        window = slice(start, start + step)
        part, _ = one.call(*(array[window] for array in arrays), bias, 0.3, rng=parts)
        assert_same_floats(components(y[window]), components(part))
    assert whole.position == parts.position
    last = slice(rows - 30, rows)
    n = math.prod(one.decisions((30, columns)))
    each = 4 if one is PASSES["gaussian_dropout"] else 1
    drawn, _ = drawn_at(one, whole, whole.position - each * n, (30, columns), 0.3)
    expected = one.expected(*(array[last] for array in arrays), bias, drawn, 0.3)
    assert_same_floats(y[last], expected)


# ---- where y goes --------------------------------------------------------------------------------


@every_pass_and_dtype
@pytest.mark.parametrize("n", [5, 20_000, 300_000])
def test_in_place(one, dtype, n):
    """y may take the place of x, and of the other array."""
    arrays, bias = inputs_of(one, dtype, (2, n // 2))
    expected, _ = one.call(*arrays, bias, 0.3, rng=7)
    for index in range(one.arrays):
        copies = [array.copy() for array in arrays]
        y, _ = one.call(*copies, bias, 0.3, rng=7, out=copies[index])
        assert y is copies[index]
        assert_same_floats(y, expected)
        for i, array in enumerate(copies):
            if i != index:
                assert array.tobytes() == arrays[i].tobytes()


@every_pass
def test_an_array_beside_itself(one):
    arrays, bias = inputs_of(one, np.dtype(np.float32), (2, 1000))
    same = [arrays[0]] * one.arrays
    expected, _ = one.call(*(array.copy() for array in same), bias, 0.3, rng=7)
    y, _ = one.call(*same, bias, 0.3, rng=7)
    assert_same_floats(y, expected)
    y, _ = one.call(*same, bias, 0.3, rng=7, out=same[0])
    assert y is same[0]
    assert_same_floats(y, expected)


@every_pass
@pytest.mark.parametrize("shift", [-3, -1, 1, 8])
@pytest.mark.parametrize("n", [20, 30_000])
def test_partial_overlap(one, shift, n):
    """As with NumPy's functions: y is what it would be without the overlap."""
    for index in range(one.arrays):
        arrays, bias = inputs_of(one, np.dtype(np.float64), (2, n))
        expected, _ = one.call(*(array.copy() for array in arrays), bias, 0.3, rng=7)
        room = np.zeros(2 * n + 20)
        inside = room[10 : 10 + 2 * n].reshape(2, n)
        inside[:] = arrays[index]
        arrays[index] = inside
        out = room[10 + shift : 10 + shift + 2 * n].reshape(2, n)
        y, _ = one.call(*arrays, bias, 0.3, rng=7, out=out)
        assert y is out
        assert_same_floats(y, expected)


@every_pass
def test_nothing_beside_out_is_written(one):
    arrays, bias = inputs_of(one, np.dtype(np.float32), (3, 1001))
    room = np.full((5, 1001), -5, np.float32)
    one.call(*arrays, bias, 0.3, rng=7, out=room[1:4])
    assert (room[[0, 4]] == -5).all()


@every_pass
def test_lists_and_memory_that_is_read_only(one):
    arrays = [np.arange(6.0).reshape(2, 3) + i for i in range(one.arrays)]
    bias = np.array([1.0, 2.0, 3.0])
    expected, _ = one.call(*arrays, bias, 0.3, rng=7)
    for array in arrays:
        array.flags.writeable = False
    y, _ = one.call(*arrays, bias, 0.3, rng=7)
    assert np.array_equal(y, expected)
    y, _ = one.call(*(array.tolist() for array in arrays), bias.tolist(), 0.3, rng=7)
    assert np.array_equal(y, expected)


@every_pass_and_dtype
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4), ()])
@pytest.mark.parametrize("training", [True, False])
def test_no_elements_and_no_axes(one, dtype, shape, training):
    if len(shape) < one.least_axes:
        pytest.skip("needs more axes")
    arrays, bias = inputs_of(one, dtype, shape)
    source = fd.Philox4x32(1)
    y, mask = one.call(*arrays, bias, 0.3, rng=source, training=training)
    assert y.shape == shape
    assert y.dtype == dtype
    assert type(y) is np.ndarray
    assert one.backward(arrays[0], mask).shape == shape
    assert mask.shape == one.decisions(shape)
    if not mask.size:
        assert source.position == 0


# ---- where masks come from -----------------------------------------------------------------------


@every_pass
def test_every_kind_of_rng(one):
    shape = (50, 61)
    arrays, bias = inputs_of(one, np.dtype(np.float64), shape)
    arrays = [np.nan_to_num(array, posinf=1, neginf=-1) for array in arrays]
    bias = np.nan_to_num(bias, posinf=1, neginf=-1)

    def drawn(rng):
        return one.call(*arrays, bias, 0.3, rng=rng)[0].tobytes()

    for seed in (7, [1, 2], np.random.SeedSequence(7)):
        assert drawn(seed) == drawn(seed)
    source = fd.Philox4x32(7)
    first, second = drawn(source), drawn(source)
    assert first != second
    assert drawn(np.random.Generator(fd.Philox4x32(7))) == first
    assert drawn(None) != drawn(None)
    for make in (*BIT_GENERATORS, np.random.RandomState, np.random.default_rng):
        generator = make(7)
        first, second = drawn(generator), drawn(generator)
        assert first != second
        again = make(7)
        assert (drawn(again), drawn(again)) == (first, second)


@every_pass
def test_calls_are_additive(one):
    """A call of n elements and one of m give what one of n + m gives."""
    arrays, bias = inputs_of(one, np.dtype(np.float32), (300, 101))
    whole, parts = fd.Xoshiro256PlusPlus(3), fd.Xoshiro256PlusPlus(3)
    expected, _ = one.call(*arrays, bias, 0.3, rng=whole)
    cuts = [0, 1, 2, 90, 91, 250, 300]
    y = [
        one.call(*(array[a:b] for array in arrays), bias, 0.3, rng=parts)[0]
        for a, b in itertools.pairwise(cuts)
    ]
    assert_same_floats(np.concatenate(y), expected)
    assert parts.position == whole.position


@every_pass
def test_evaluation_draws_nothing(one):
    arrays, bias = inputs_of(one, np.dtype(np.float32), (30, 11))
    source = fd.Philox4x32(1)
    for p in (0.0, 0.3):
        one.call(*arrays, bias, p, rng=source, training=False)
    assert source.position == 0
    generator = np.random.default_rng(1)
    one.call(*arrays, bias, 0.3, rng=generator, training=False)
    assert generator.random() == np.random.default_rng(1).random()


# ---- backward ------------------------------------------------------------------------------------


@every_pass
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_gradients_against_finite_differences(one, training, p):
    rng = np.random.default_rng(2)
    shape = (6, 5, 4)
    x, *others, dy = rng.standard_normal((one.arrays + 1, *shape))
    bias = rng.standard_normal(shape[-1])
    step = 2.0**-10
    x[abs(x + bias) < 4 * step] += 1  # a kink of relu is none of the tests
    x[abs(x) < 4 * step] += 1

    def loss(x, bias=bias):
        y, _ = one.call(x, *others, bias, p, rng=6, training=training)
        return (dy * y).sum()

    _, mask = one.call(x, *others, bias, p, rng=6, training=training)
    dx = one.backward(dy, mask)
    for index in np.ndindex(shape):
        shift = np.zeros(shape)
        shift[index] = step
        slope = (loss(x + shift) - loss(x - shift)) / (2 * step)
        np.testing.assert_allclose(dx[index], slope, atol=1e-9)
    if one is PASSES["dropout_add with bias"]:
        for i in range(bias.size):
            shift = np.zeros(bias.size)
            shift[i] = step
            slope = (loss(x, bias + shift) - loss(x, bias - shift)) / (2 * step)
            np.testing.assert_allclose(dx.sum(axis=(0, 1))[i], slope, atol=1e-9)


# ---- bad input -----------------------------------------------------------------------------------


def refused(call, error, *words):
    """Refused in one sentence that shows the words, before the source moves."""
    for training in (True, False):
        source = fd.Xoshiro256PlusPlus(1)
        with pytest.raises(error) as caught:
            call(rng=source, training=training)
        message = str(caught.value)
        assert type(caught.value) is error
        assert all(word in message for word in words), message
        assert "\n" not in message
        assert source.position == 0


@every_pass
def test_bad_arrays_and_probabilities(one):
    shape = (3, 4)
    arrays, bias = [np.ones(shape)] * one.arrays, np.ones(4)
    out = np.full(shape, -5.0)
    for p, error in ((1.5, ValueError), (-0.1, ValueError), (math.nan, ValueError)):
        refused(lambda p=p, **to: one.call(*arrays, bias, p, out=out, **to), error, repr(p))
    refused(lambda **to: one.call(*arrays, bias, "0.5", out=out, **to), TypeError, "'0.5'")
    for bad in (np.ones(shape, int), np.ones(shape, bool), np.ones(shape, np.longdouble)):
        refused(
            lambda x=bad, **to: one.call(x, *arrays[1:], bias, 0.5, out=out, **to),
            TypeError,
            str(bad.dtype),
        )
    if one.dtypes is DTYPES:
        refused(
            lambda **to: one.call(np.ones(shape, "c8"), bias, 0.5, out=out, **to),
            TypeError,
            "complex64",
            "float16",
        )
    if one.arrays == 2:
        others = [
            (np.ones(shape, np.float32), TypeError, "float32", "float64"),
            (np.ones(shape, ">f8"), TypeError, ">f8"),
            (np.ones((4, 3)), ValueError, "(4, 3)", "(3, 4)"),
            (np.ones(4), ValueError, "(4,)", "(3, 4)"),
        ]
        for other, error, *words in others:
            refused(
                lambda other=other, **to: one.call(arrays[0], other, bias, 0.5, out=out, **to),
                error,
                *words,
            )
    assert (out == -5.0).all()


@every_pass
def test_bad_outputs(one):
    shape = (3, 4)
    arrays, bias = [np.ones(shape)] * one.arrays, np.ones(4)
    read_only = np.full(shape, -5.0)
    read_only.flags.writeable = False
    outs = [
        (read_only, ValueError, "read-only"),
        (np.full((1, *shape), -5.0), ValueError, "(1, 3, 4)", "(3, 4)"),
        (np.full(4, -5.0), ValueError, "(4,)"),
        (np.full(shape, -5.0, np.float32), TypeError, "float32", "float64"),
        (np.full(shape, -5.0, ">f8"), TypeError, ">f8"),
        ([], TypeError, "list"),
    ]
    for out, error, *words in outs:
        refused(lambda out=out, **to: one.call(*arrays, bias, 0.5, out=out, **to), error, *words)
        assert (np.asarray(out) == -5.0).all()


@every_pass
def test_bad_sources(one):
    arrays, bias = [np.ones((3, 4))] * one.arrays, np.ones(4)
    out = np.full((3, 4), -5.0)
    for training in (True, False):
        with pytest.raises(TypeError, match=r"rng must be .*, not 1\.5"):
            one.call(*arrays, bias, 0.5, rng=1.5, training=training, out=out)
    source = fd.Philox4x32(1)
    _, end = drawn_at(one, source, 0, (3, 4), 0.5)
    source.position = 2**64 - end
    with pytest.raises(OverflowError):
        one.call(*arrays, bias, 0.5, rng=source, out=out)
    assert source.position == 2**64 - end
    assert (out == -5.0).all()
    source.position = 2**64 - end - 1
    one.call(*arrays, bias, 0.5, rng=source, out=out)
    assert source.position == 2**64 - 1


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (fd.alpha_dropout, 1),
        (fd.feature_alpha_dropout, 1),
        (fd.gaussian_dropout, 1),
        (fd.relu_dropout, 1),
        (fd.zoneout, 2),
        (fd.dropout_add, 2),
    ],
)
def test_settings_are_keywords(function, arrays):
    with pytest.raises(TypeError, match="by position: give 1 by name"):
        function(*[np.ones((2, 2))] * arrays, 0.5, 1)
