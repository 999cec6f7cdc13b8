# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of channels, samples, rows and blocks: the right elements share a decision."""

import itertools
import math

import numpy as np
import pytest
from helpers import DTYPES, assert_same_floats, every_kind_of_float, kept_at, kept_of
from hypothesis import given
from hypothesis import strategies as st

import fastdrop as fd
from fastdrop import _reference as reference

CHANNELS = {1: fd.dropout1d, 2: fd.dropout2d, 3: fd.dropout3d}
ALL_DTYPES = (*DTYPES, np.dtype(np.complex64), np.dtype(np.complex128))

# (function and options, shape of x, shape of the decisions)
SHARED = [
    pytest.param(fd.dropout1d, {}, (4, 5, 6), (4, 5, 1), id="1d"),
    pytest.param(fd.dropout1d, {}, (5, 6), (5, 1), id="1d, one sample"),
    pytest.param(fd.dropout1d, {"channel_axis": 2}, (4, 5, 6), (4, 1, 6), id="1d, last"),
    pytest.param(fd.dropout1d, {"channel_axis": -1}, (5, 6), (1, 6), id="1d, one, last"),
    pytest.param(fd.dropout1d, {"channel_axis": 2}, (5, 6), (1, 6), id="1d, one, axis 2"),
    pytest.param(fd.dropout1d, {"channel_axis": -2}, (4, 5, 6), (4, 5, 1), id="1d, -2"),
    pytest.param(fd.dropout2d, {}, (4, 5, 6, 3), (4, 5, 1, 1), id="2d"),
    pytest.param(fd.dropout2d, {}, (5, 6, 3), (5, 1, 1), id="2d, one sample"),
    pytest.param(fd.dropout2d, {"channel_axis": -1}, (4, 5, 6, 3), (4, 1, 1, 3), id="2d, last"),
    pytest.param(fd.dropout2d, {"channel_axis": -1}, (5, 6, 3), (1, 1, 3), id="2d, one, last"),
    pytest.param(fd.dropout2d, {"channel_axis": 2}, (4, 5, 6, 3), (4, 1, 6, 1), id="2d, axis 2"),
    pytest.param(fd.dropout2d, {"channel_axis": 2}, (5, 6, 3), (1, 6, 1), id="2d, one, axis 2"),
    pytest.param(fd.dropout3d, {}, (4, 5, 2, 6, 3), (4, 5, 1, 1, 1), id="3d"),
    pytest.param(fd.dropout3d, {}, (5, 2, 6, 3), (5, 1, 1, 1), id="3d, one sample"),
    pytest.param(fd.dropout3d, {"channel_axis": -1}, (4, 5, 2, 6, 3), (4, 1, 1, 1, 3), id="3d, -1"),
    pytest.param(fd.drop_path, {}, (7,), (7,), id="path of (N,)"),
    pytest.param(fd.drop_path, {}, (7, 5), (7, 1), id="path of (N, F)"),
    pytest.param(fd.drop_path, {}, (7, 5, 2, 3), (7, 1, 1, 1), id="path of (N, C, H, W)"),
    pytest.param(fd.embedding_dropout, {}, (9, 4), (9, 1), id="embedding"),
]
FUNCTIONS = [
    *SHARED,
    pytest.param(fd.drop_block2d, {"block_size": 3}, (4, 5, 6, 7), (4, 5, 6, 7), id="block"),
    pytest.param(fd.drop_block2d, {}, (5, 10, 9), (5, 10, 9), id="block of one sample"),
]


def random(shape, dtype=np.float64, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def layouts(x):
    """The same values in other orders and strides."""
    wide = np.repeat(x, 2, axis=-1)
    return [
        np.asfortranarray(x),
        wide[..., ::2],
        x[::-1].copy()[::-1],
        x.astype(x.dtype.newbyteorder()) if x.dtype.kind != "V" else x.copy(),
        x.tolist() if x.dtype == float else x,
    ]


# ---- who shares a decision -----------------------------------------------------------------------


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), SHARED)
@pytest.mark.parametrize("p", [0.3, 0.5])
def test_values(function, options, shape, decisions, p, source_class):
    source = source_class(7)
    source.position = 11
    x = random(shape)
    y, mask = function(x, p, rng=source, **options)
    kept = kept_at(source, 11, math.prod(decisions), p).reshape(decisions)
    assert_same_floats(y, np.where(kept, x * (1 / (1 - p)), 0.0))
    assert mask.shape == decisions
    assert (mask.p, mask.scale) == (p, 1 / (1 - p))
    assert np.array_equal(kept_of(mask), kept)
    assert source.position == 11 + math.prod(decisions)


@pytest.mark.parametrize(("spatial", "function"), CHANNELS.items())
def test_a_sample_is_a_batch_of_one(spatial, function):
    shape = (6, 5, 4, 3)[: spatial + 1]
    x = random(shape)
    for axis in (*range(1, spatial + 2), *range(-1, -spatial - 2, -1)):
        one, _ = function(x, 0.5, rng=2, channel_axis=axis)
        batch, _ = function(x[None], 0.5, rng=2, channel_axis=axis)
        assert np.array_equal(one, batch[0])


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_every_dtype_and_layout(function, options, shape, decisions, dtype):
    x = random(shape, dtype)
    expected, mask = function(x, 0.3, rng=1, **options)
    assert expected.dtype == dtype
    kept = np.broadcast_to(kept_of(mask), shape)
    assert kept.any()
    assert not kept.all()
    assert_same_floats(expected, reference.apply(x, kept, mask.scale))
    for same in layouts(x):
        y, again = function(same, 0.3, rng=1, **options)
        assert y.dtype.newbyteorder("=") == dtype
        assert_same_floats(y.astype(dtype), expected)
        assert again == mask
        out = np.empty_like(np.asarray(same))
        y, _ = function(same, 0.3, rng=1, out=out, **options)
        assert y is out
        assert_same_floats(out.astype(dtype), expected)


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_in_place(function, options, shape, decisions):
    x = random(shape)
    expected, _ = function(x.copy(), 0.3, rng=1, **options)
    y, _ = function(x, 0.3, rng=1, out=x, **options)
    assert y is x
    assert np.array_equal(x, expected)


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_what_is_dropped_is_zero_whatever_it_was(function, options, shape, decisions):
    x = every_kind_of_float(np.float32, math.prod(shape)).reshape(shape)
    y, mask = function(x, 0.5, rng=1, **options)
    dropped = ~np.broadcast_to(kept_of(mask), shape)
    assert dropped.any()
    assert (y[dropped].view(np.uint32) == 0).all()


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_all_and_none(function, options, shape, decisions):
    x = random(shape)
    source = fd.Philox4x32(1)
    y, mask = function(x, 0.0, rng=source, **options)
    assert np.array_equal(y, x)
    assert mask.scale == 1.0
    assert source.position > 0
    if function is not fd.drop_block2d:
        y, _ = function(x, 1.0, rng=source, **options)
        assert not y.any()


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_nested(function, options, shape, decisions):
    kept = [kept_of(function(random(shape), p, rng=4, **options)[1]) for p in (0.1, 0.3, 0.5, 0.9)]
    for larger, smaller in itertools.pairwise(kept):
        assert (larger >= smaller).all()
    assert kept[0].sum() > kept[-1].sum()


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_the_same_on_every_instruction_set(function, options, shape, decisions, level):
    x = random((300, *shape[1:]), np.float32)
    y, _ = function(x, 0.3, rng=4, **options)
    with fd.use_simd("scalar"):
        assert_same_floats(y, function(x, 0.3, rng=4, **options)[0])


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (fd.dropout2d, (64, 64, 16, 16)),
        (fd.drop_path, (64, 2**14)),
        (fd.embedding_dropout, (2**14, 64)),
        (fd.drop_block2d, (64, 64, 16, 16)),
    ],
)
def test_the_same_with_every_number_of_threads(function, shape):
    x = random(shape, np.float32)
    results = []
    for threads in (1, 2, 5):
        fd.set_num_threads(threads)
        results.append(function(x, 0.3, rng=4)[0])
    assert_same_floats(results[1], results[0])
    assert_same_floats(results[2], results[0])


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
@pytest.mark.parametrize("rng", [np.random.PCG64, np.random.MT19937, np.random.RandomState])
def test_generators_of_numpy(function, options, shape, decisions, rng):
    x = random(shape)
    y, mask = function(x, 0.3, rng=rng(5), **options)
    assert np.array_equal(y, function(x, 0.3, rng=rng(5), **options)[0])
    assert_same_floats(y, reference.apply(x, np.broadcast_to(kept_of(mask), shape), mask.scale))
    if function is not fd.drop_block2d:
        assert mask == fd.dropout_mask(decisions, 0.3, rng=rng(5))


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_empty_arrays(function, options, shape, decisions):
    for axis in range(len(shape)):
        empty = np.empty((*shape[:axis], 0, *shape[axis + 1 :]), np.float32)
        y, mask = function(empty, 0.3, rng=1, **options)
        assert y.shape == empty.shape
        assert y.dtype == np.float32
        assert fd.dropout_backward(y, mask).shape == empty.shape


# ---- evaluation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
def test_evaluation_draws_nothing_and_returns_x(function, options, shape, decisions):
    x = random(shape)
    source = fd.Xoshiro256PlusPlus(1)
    y, mask = function(x, 0.3, rng=source, training=False, **options)
    assert y is x
    assert source.position == 0
    assert kept_of(mask).all()
    assert mask.scale == 1.0
    assert np.array_equal(fd.dropout_backward(x, mask), x)
    out = np.empty_like(x)
    y, _ = function(x, 0.3, training=False, out=out, **options)
    assert y is out
    assert np.array_equal(out, x)


def test_paths_as_in_the_paper():
    """Equations 2 and 5: no scaling in training, the survival probability in evaluation."""
    x = random((50, 3))
    y, mask = fd.drop_path(x, 0.2, rng=1, scale="test")
    assert np.array_equal(y, x * kept_of(mask))
    assert mask.scale == 1.0
    y, mask = fd.drop_path(x, 0.2, rng=1, scale="test", training=False)
    assert np.array_equal(y, x * 0.8)
    assert np.array_equal(fd.dropout_backward(x, mask), x * 0.8)
    y, mask = fd.drop_path(x, 0.2, rng=1, scale="none")
    assert np.array_equal(y, x * kept_of(mask))


def test_one_path_for_a_mini_batch():
    x = random((50, 3))
    seen = {bool(fd.dropout(x, 0.5, rng=seed, noise_shape=())[0].any()) for seed in range(20)}
    assert seen == {False, True}
    for seed in range(20):
        y, mask = fd.dropout(x, 0.5, rng=seed, noise_shape=())
        assert mask.size == 1
        assert np.array_equal(y, 2 * x if kept_of(mask) else 0 * x)


# ---- backward ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "options", "shape", "decisions"), FUNCTIONS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_against_finite_differences(function, options, shape, decisions, training):
    x, dy = random(shape), random(shape, seed=9)

    def loss(x):
        return (dy * function(x, 0.3, rng=6, training=training, **options)[0]).sum()

    _, mask = function(x, 0.3, rng=6, training=training, **options)
    dx = fd.dropout_backward(dy, mask)
    step = 2.0**-10
    for index in np.random.default_rng(2).permutation(x.size)[:100]:
        shift = np.zeros(x.size)
        shift[index] = step
        shift = shift.reshape(shape)
        slope = (loss(x + shift) - loss(x - shift)) / (2 * step)
        np.testing.assert_allclose(dx.ravel()[index], slope, atol=1e-9)


# ---- rates: bounds of 4.5 standard deviations, a false alarm in 150,000 each; seeds are fixed ----


@pytest.mark.parametrize("p", [0.1, 1 / 3, 0.9])
@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (fd.dropout1d, (200, 300, 2)),
        (fd.dropout2d, (200, 300, 2, 1)),
        (fd.dropout3d, (200, 300, 1, 1, 2)),
        (fd.drop_path, (60_000, 2)),
        (fd.embedding_dropout, (60_000, 2)),
    ],
)
def test_rates(function, shape, p):
    y, mask = function(np.ones(shape), p, rng=12)
    assert mask.size == 60_000
    dropped = mask.size - np.count_nonzero(kept_of(mask))
    assert abs(dropped - p * mask.size) < 4.5 * math.sqrt(mask.size * p * (1 - p))
    assert np.array_equal(y == 0, np.broadcast_to(~kept_of(mask), shape))


# ---- blocks --------------------------------------------------------------------------------------


def gamma_of(p, block, height, width):
    """The gamma of the paper, for maps that need not be square."""
    places = (height - block + 1) * (width - block + 1)
    return p / block**2 * height * width / places


def blocks_of(source, shape, p, block):
    """The paper's algorithm in loops: what is kept."""
    *maps, height, width = shape
    block = min(block, height, width)
    rows, columns = height - block + 1, width - block + 1
    kept = np.ones(shape, bool)
    corners = (*maps, rows, columns)
    begins = ~kept_at(source, 0, math.prod(corners), gamma_of(p, block, height, width))
    for *place, row, column in np.argwhere(begins.reshape(corners)):
        kept[(*place, slice(row, row + block), slice(column, column + block))] = False
    return kept


@given(
    maps=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    block=st.integers(1, 20),
    p=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_blocks_are_those_of_the_algorithm(maps, height, width, block, p, seed):
    source = fd.Philox4x32(seed)
    shape = (*maps, height, width)
    x = random(shape)
    y, mask = fd.drop_block2d(x, p, block_size=block, rng=source)
    kept = blocks_of(source, shape, p, block)
    assert np.array_equal(kept_of(mask), kept)
    assert mask.p == p
    assert mask.scale == (kept.size / kept.sum() if kept.any() else 1.0)
    assert_same_floats(y, reference.apply(x, kept, mask.scale))
    clipped = min(block, height, width)
    places = (height - clipped + 1) * (width - clipped + 1)
    assert source.position == math.prod(maps) * places


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 8])
def test_fraction_of_dropped_elements(block):
    """A wrong gamma is seen: the bound is at most 5 percent of the rate, from independent maps."""
    maps, height, width, p = 40_000, 14, 11, 0.1
    x = np.ones((maps, 1, height, width), np.float32)
    _, mask = fd.drop_block2d(x, p, block_size=block, rng=21)
    fractions = 1 - kept_of(mask).reshape(maps, -1).mean(axis=1)
    gamma = gamma_of(p, block, height, width)
    covering = [
        np.convolve(np.ones(length - block + 1), np.ones(block)) for length in (height, width)
    ]
    expected = np.mean(1 - (1 - gamma) ** np.outer(*covering))
    error = fractions.std() / math.sqrt(maps)
    assert 4.5 * error < 0.05 * expected
    assert abs(fractions.mean() - expected) < 4.5 * error


def test_blocks_of_one_are_dropout_but_for_the_scale():
    x = random((3, 4, 5, 6))
    _, mask = fd.drop_block2d(x, 0.3, block_size=1, rng=1)
    kept = kept_of(fd.dropout_mask(x.shape, 0.3, rng=1))
    assert np.array_equal(kept_of(mask), kept)
    assert mask.scale == kept.size / kept.sum()


def test_kept_elements_are_scaled_to_the_same_sum():
    ones = np.ones((8, 4, 20, 20))
    for p in (0.05, 0.3, 0.8):
        y, mask = fd.drop_block2d(ones, p, rng=1)
        assert 0 < np.count_nonzero(y) < y.size
        np.testing.assert_allclose(y.sum(), ones.sum(), rtol=1e-12)
        assert mask.nbytes == y.size // 8


def test_where_nothing_is_kept():
    y, mask = fd.drop_block2d(np.full((2, 3, 4), np.nan), 1.0, block_size=1, rng=1)
    assert not y.any()
    assert mask.scale == 1.0
    y, _ = fd.drop_block2d(np.ones((2, 3, 3)), 1.0, block_size=9, rng=1)
    assert not y.any()


# ---- bad input -----------------------------------------------------------------------------------

BAD = [
    (fd.dropout1d, (3,), {}, ValueError, ["(3,)", "(N, C, L) or (C, L)"]),
    (fd.dropout1d, (2, 3, 4, 5), {}, ValueError, ["(2, 3, 4, 5)"]),
    (fd.dropout1d, (), {}, ValueError, ["()"]),
    (fd.dropout2d, (2, 3), {}, ValueError, ["(2, 3)", "(N, C, H, W) or (C, H, W)"]),
    (fd.dropout2d, (1,) * 5, {}, ValueError, ["(1, 1, 1, 1, 1)"]),
    (fd.dropout3d, (1,) * 3, {}, ValueError, ["(1, 1, 1)", "(N, C, D, H, W)"]),
    (fd.dropout3d, (1,) * 6, {}, ValueError, ["(1, 1, 1, 1, 1, 1)"]),
    (
        fd.dropout2d,
        (2, 3, 4, 5),
        {"channel_axis": 0},
        ValueError,
        ["channel_axis must", "not 0", "[1, 4)"],
    ),
    (
        fd.dropout2d,
        (2, 3, 4, 5),
        {"channel_axis": 4},
        ValueError,
        ["channel_axis must", "not 4", "[1, 4)"],
    ),
    (fd.dropout2d, (2, 3, 4, 5), {"channel_axis": -4}, ValueError, ["-4", "[-3, 0)"]),
    (fd.dropout2d, (3, 4, 5), {"channel_axis": 0}, ValueError, ["channel_axis must", "not 0"]),
    (fd.dropout2d, (3, 4, 5), {"channel_axis": 1.0}, TypeError, ["1.0", "float"]),
    (fd.dropout2d, (3, 4, 5), {"channel_axis": None}, TypeError, ["None"]),
    (fd.drop_path, (), {}, ValueError, ["()", "(N, ...)"]),
    (fd.drop_path, (2,), {"scale": "both"}, ValueError, ["'both'"]),
    (fd.embedding_dropout, (3,), {}, ValueError, ["weight", "(3,)"]),
    (fd.embedding_dropout, (3, 4, 5), {}, ValueError, ["weight", "(3, 4, 5)"]),
    (fd.drop_block2d, (3, 4), {}, ValueError, ["(3, 4)", "(N, C, H, W)"]),
    (fd.drop_block2d, (1,) * 5, {}, ValueError, ["(1, 1, 1, 1, 1)"]),
    (fd.drop_block2d, (3, 4, 5), {"block_size": 0}, ValueError, ["block_size must", "1", "not 0"]),
    (fd.drop_block2d, (3, 4, 5), {"block_size": 2.0}, TypeError, ["2.0"]),
    (fd.drop_block2d, (3, 4, 5), {"block_size": (3, 3)}, TypeError, ["(3, 3)"]),
]
GOOD = {
    fd.dropout1d: (4, 5, 6),
    fd.dropout2d: (4, 5, 6, 3),
    fd.dropout3d: (4, 5, 2, 6, 3),
    fd.drop_path: (4, 5),
    fd.embedding_dropout: (4, 5),
    fd.drop_block2d: (4, 5, 9, 9),
}


def check_refused(call, error, words):
    """Refused in one sentence, before the source moves."""
    for training in (True, False):
        source = fd.Xoshiro256PlusPlus(1)
        with pytest.raises(error) as caught:
            call(rng=source, training=training)
        message = str(caught.value)
        assert type(caught.value) is error
        assert all(word in message for word in words), message
        assert "\n" not in message
        assert source.position == 0


@pytest.mark.parametrize(("function", "shape", "options", "error", "words"), BAD)
def test_bad_shapes_and_options(function, shape, options, error, words):
    out = np.full(shape, -5.0)
    check_refused(
        lambda **settings: function(np.ones(shape), 0.3, out=out, **options, **settings),
        error,
        words,
    )
    assert (out == -5.0).all()


@pytest.mark.parametrize("function", GOOD)
def test_bad_arrays_and_probabilities(function):
    shape = GOOD[function]
    x = np.ones(shape)
    for p, error in ((1.5, ValueError), (math.nan, ValueError), ("0.5", TypeError)):
        check_refused(lambda p=p, **settings: function(x, p, **settings), error, [repr(p)])
    for bad, dtype in ((x.astype(int), "int64"), (x > 0, "bool"), (None, "None")):
        check_refused(lambda x=bad, **settings: function(x, 0.5, **settings), TypeError, [dtype])
    read_only = np.full(shape, -5.0)
    read_only.flags.writeable = False
    outs = [
        (read_only, ValueError, ["read-only"]),
        (np.full((1, *shape), -5.0), ValueError, ["shape"]),
        (np.full(shape, -5.0, np.float32), TypeError, ["float32"]),
        ([], TypeError, ["list"]),
    ]
    for out, error, words in outs:
        check_refused(lambda out=out, **rest: function(x, 0.5, out=out, **rest), error, words)
        assert (np.asarray(out) == -5.0).all()
    for training in (True, False):
        with pytest.raises(TypeError, match=r"rng must .*, not 1\.5"):
            function(x, 0.5, rng=1.5, training=training)
    with pytest.raises(TypeError, match=r"only .* by position"):
        function(x, 0.5, 1)


@pytest.mark.parametrize("function", GOOD)
def test_the_end_of_the_stream(function):
    x, out = np.ones(GOOD[function]), np.full(GOOD[function], -5.0)
    source = fd.Philox4x32(1)
    source.position = 2**64 - 3
    with pytest.raises(OverflowError):
        function(x, 0.5, rng=source, out=out)
    assert source.position == 2**64 - 3
    assert (out == -5.0).all()


# ---- schedules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 12, 50])
@pytest.mark.parametrize("p", [0, 0.1, 0.5, 1.0, np.float32(0.25)])
def test_rates_of_paths_are_linear(depth, p):
    rates = fd.drop_path_rates(depth, p)
    assert rates.dtype == np.float64
    assert rates.shape == (depth,)
    expected = [float(p) * i / (depth - 1) if depth > 1 else 0.0 for i in range(depth)]
    np.testing.assert_allclose(rates, expected, rtol=1e-15)
    assert rates[0] == 0
    assert depth == 1 or rates[-1] == p
    # Equation 4 of the paper: survival 1 - l/L (1 - p_L), where p_L is that of the last layer.
    survival = [1 - layer / depth * float(p) for layer in range(1, depth + 1)]
    np.testing.assert_allclose(1 - fd.drop_path_rates(depth + 1, p)[1:], survival, atol=1e-15)


@pytest.mark.parametrize(
    ("depth", "p", "error", "words"),
    [
        (0, 0.5, ValueError, ["depth must", "at least 1"]),
        (-1, 0.5, ValueError, ["-1"]),
        (2.0, 0.5, TypeError, ["2.0"]),
        (3, 1.5, ValueError, ["1.5"]),
        (3, math.nan, ValueError, ["nan"]),
        (3, "0.5", TypeError, ["'0.5'"]),
    ],
)
def test_bad_schedules(depth, p, error, words):
    with pytest.raises(error) as caught:
        fd.drop_path_rates(depth, p)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 31, 56, 63, 64, 65, 100, 129])
@pytest.mark.parametrize("rows", [1, 3, 200])
def test_runs_of_one_decision(rows, length):
    x = np.random.default_rng(1).standard_normal((33, rows, length), np.float32)
    y, mask = fd.dropout(x, p=0.5, rng=length, noise_shape=(None, None, 1))
    assert np.array_equal(y, np.where(np.asarray(mask), 2 * x, 0))
    assert np.array_equal(mask.packed()[5:].apply(x[5:]), y[5:])
