# SPDX-License-Identifier: BSD-3-Clause
"""Forward and backward give the twin's floats for every dtype, layout, mask shape and output."""

import itertools
import math
import re

import ml_dtypes
import numpy as np
import pytest
from helpers import PROBABILITIES, SOURCES, assert_same_floats, bits_of, kept_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import (
    COMPLEX,
    EVERY_DTYPE,
    LAYOUTS,
    WRITEABLE,
    assert_result,
    components,
    floats,
    native,
)

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop.apply._broadcast import Broadcast
from fastdrop.apply._dtypes import NAMES
from fastdrop.kernels import _kernels

LAST_LEVEL_CACHE = _kernels.get_build()["last_level_cache"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (3, 4, 5)])
def test_layouts_keep_values(layout, shape):
    x = np.arange(1.0, math.prod(shape) + 1).reshape(shape)
    assert layout == "repeated" or np.array_equal(LAYOUTS[layout](x), x)


def test_one_table_has_all_dtypes():
    assert set(NAMES) == {np.dtype(dtype).name for dtype in EVERY_DTYPE}
    with pytest.raises(TypeError) as caught:
        fd.dropout(np.ones(3, int), 0.5)
    assert set(re.split("[ ,;]+", str(caught.value))) >= set(NAMES)


@pytest.mark.parametrize(
    ("lengths", "steps", "elements", "shared", "gathers"),
    [
        ((), (), 1, 1, False),
        ((3, 4), (4, 1), 12, 12, False),  # one to one
        ((3, 4), (0, 1), 12, 4, False),
        ((3, 4), (1, 0), 12, 3, False),
        ((3, 4), (1, 3), 12, 12, True),  # transposed
        ((3, 2, 4), (1, 0, 3), 24, 12, True),
        ((2, 1, 4), (4, 7, 1), 8, 8, False),  # a step that nobody takes
        ((3, 0), (1, 1), 0, 0, False),
    ],
)
def test_how_elements_share_decisions(lengths, steps, elements, shared, gathers):
    broadcast = Broadcast(lengths, steps)
    assert (broadcast.elements, broadcast.shared) == (elements, shared)
    assert broadcast.gathers == gathers


def test_decisions_are_shared_along_64_axes_at_most():
    with pytest.raises(RuntimeError, match="along more than 64 axes"):
        Broadcast((2,) * 66, (0, 3) * 33)


# ---- forward and backward ------------------------------------------------------------------------

probabilities = st.one_of(
    st.sampled_from([0.0, 5e-324, 2.0**-64, *PROBABILITIES, 1.0]), st.floats(0, 1)
)


@st.composite
def noise_shapes(draw, shape):
    """None, or a shape that broadcasts to ``shape``, with None for some lengths."""
    if draw(st.booleans()):
        return None
    lengths = tuple(draw(st.sampled_from([1, length, None])) for length in shape)
    return lengths[draw(st.integers(0, len(shape))) :]


def mask_shape(noise_shape, shape):
    if noise_shape is None:
        return shape
    lengths = shape[len(shape) - len(noise_shape) :]
    return tuple(
        full if length is None else length
        for length, full in zip(noise_shape, lengths, strict=True)
    )


@given(data=st.data())
@settings(max_examples=200)
def test_forward_and_backward(data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=11))
    dtype = data.draw(st.sampled_from(EVERY_DTYPE))
    x, dy = (
        LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))](floats(dtype, shape, seed))
        for seed in (1, 2)
    )
    source = data.draw(st.sampled_from(SOURCES))(7)
    source.position = position = data.draw(st.sampled_from([0, 1, 63, 16300]))
    noise_shape = data.draw(noise_shapes(shape))
    scale = data.draw(st.sampled_from(["train", "test", "none"]))
    name = data.draw(st.sampled_from(["p", "keep_prob"]))
    probability = {name: data.draw(probabilities)}
    out = data.draw(st.sampled_from([None, *WRITEABLE]))
    out = None if out is None else WRITEABLE[out](np.zeros(shape, x.dtype))

    drawn = mask_shape(noise_shape, shape)
    kept = kept_at(source, position, math.prod(drawn), **probability).reshape(drawn)
    factor = reference.scale_factor(**probability) if scale == "train" else 1.0
    before = x.tobytes()
    with fd.use_simd(data.draw(st.sampled_from(fd.simd_levels()))):
        y, mask = fd.dropout(
            x, **probability, rng=source, scale=scale, noise_shape=noise_shape, out=out
        )
        dx = fd.dropout_backward(dy, mask)

    assert out is None or y is out
    assert_result(y, x, reference.apply(native(x), kept, factor))
    assert_result(dx, dy, reference.apply(native(dy), kept, factor))
    assert x.tobytes() == before
    assert mask.shape == drawn
    assert mask.scale == factor
    assert np.array_equal(np.asarray(mask), kept)
    assert source.position == position + math.prod(drawn)
    if out is None:
        assert y.strides == np.empty_like(x).strides


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
def test_arrays_without_axes(layout, dtype):
    for value, p in itertools.product((3, -0.5), (0.0, 0.5, 1.0)):
        x = LAYOUTS[layout](np.array(value, dtype))
        mask = fd.dropout_mask((), p, rng=2)
        expected = reference.apply(native(x), np.asarray(mask), mask.scale)
        assert_result(fd.dropout(x, p, rng=2)[0], x, expected)
        assert_result(mask.packed().apply(x), x, expected)
        for out_layout in WRITEABLE:
            out = WRITEABLE[out_layout](np.array(-1).astype(x.dtype))
            assert fd.dropout_backward(x, mask, out=out) is out
            assert_result(out, x, expected)


SHAPE = (3, 47, 1021)  # several tiles, pieces and threads, none of them whole


@pytest.fixture(scope="module")
def kept():
    source = fd.Xoshiro256PlusPlus(7)
    return kept_at(source, 0, math.prod(SHAPE), 0.3).reshape(SHAPE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
def test_many_elements_of_every_layout(layout, dtype, kept):
    x = LAYOUTS[layout](floats(dtype, SHAPE))
    expected = reference.apply(native(x), kept, 1 / 0.7)
    y, mask = fd.dropout(x, 0.3, rng=7)
    assert_result(y, x, expected)
    assert y.strides == np.empty_like(x).strides
    assert_result(mask.packed().apply(x), x, expected)
    window = np.s_[1:, ::-2, 3:]
    assert_result(mask[window].apply(x[window]), x[window], expected[window])


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("layout", ["C", "off the line", "unaligned", "Fortran"])
def test_every_level(level, layout, dtype, kept):
    x = LAYOUTS[layout](floats(dtype, SHAPE))
    expected = reference.apply(native(x), kept, 1 / 0.7)
    assert_result(fd.dropout(x, 0.3, rng=7)[0], x, expected)


@pytest.mark.parametrize("out_layout", WRITEABLE)
@pytest.mark.parametrize("layout", ["C", "Fortran", "every other", "unaligned"])
def test_outputs_of_every_layout(layout, out_layout, kept):
    x = LAYOUTS[layout](floats(np.float32, SHAPE))
    out = WRITEABLE[out_layout](np.full(SHAPE, np.nan, np.float32))
    expected = reference.apply(native(x), kept, 1 / 0.7)
    y, mask = fd.dropout(x, 0.3, rng=7, out=out)
    assert y is out
    assert_result(y, x, expected)
    out[...] = np.nan
    assert fd.dropout_backward(x, mask.packed(), out=out) is out
    assert_result(out, x, expected)


def test_outputs_leave_their_surroundings_alone(level):
    for n, start in itertools.product((1, 15, 64, 4097, 140_001), (1, 3, 16)):
        for dtype in EVERY_DTYPE:
            room = np.full(n + start + 70, -5, dtype)
            fd.dropout(np.ones(n, dtype), rng=1, out=room[start : start + n])
            assert (room[:start] == -5).all()
            assert (room[start + n :] == -5).all()


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("layout", [*WRITEABLE, "swapped", "unaligned swapped"])
def test_in_place(layout, dtype, kept):
    original = LAYOUTS[layout](floats(dtype, SHAPE))
    expected = reference.apply(native(original), kept, 1 / 0.7)
    for again in (False, True):
        x = LAYOUTS[layout](floats(dtype, SHAPE))
        out = x[...] if again else x  # another object, the same memory
        y, _ = fd.dropout(x, 0.3, rng=7, out=out)
        assert y is out
        assert_result(x, x, expected)


def overlaps(n):
    """Inputs and outputs in the same memory, which are not the same elements."""
    for shift in (1, 2, 15, 16, 64, n // 2):
        room = np.arange(1.0, n + shift + 1)
        yield f"{shift} before", room[shift:], room[:-shift]
        room = np.arange(1.0, n + shift + 1)
        yield f"{shift} after", room[:-shift], room[shift:]
    room = np.arange(1.0, n + 1)
    yield "output backwards", room, room[::-1]
    room = np.arange(1.0, n + 1)
    yield "input backwards", room[::-1], room
    room = np.arange(1.0, 2 * n + 1)
    yield "input strided", room[::2], room[:n]
    room = np.arange(1.0, 2 * n + 1)
    yield "output strided", room[:n], room[::2]
    room = np.arange(1.0, 2 * n + 2)
    yield "side by side", room[:-1:2], room[1::2]
    side = math.isqrt(n)
    room = np.arange(1.0, side**2 + 1).reshape(side, side)
    yield "transposed", room, room.T
    room = np.arange(1.0, n + 1)
    yield "input repeated", np.broadcast_to(room[n // 2], (n,)), room


@pytest.mark.parametrize("n", [20, 5000, 200_000])
def test_overlapping_outputs_are_written_as_ufuncs_write_them(n):
    for name, x, out in overlaps(n):
        mask = fd.dropout_mask(x.shape, 0.3, rng=7)
        expected = reference.apply(x.copy(), np.asarray(mask), mask.scale)
        y, _ = fd.dropout(x, 0.3, rng=7, out=out)
        assert y is out
        assert np.array_equal(out, expected), name
    for name, dy, out in overlaps(n):
        mask = fd.dropout_mask(dy.shape, 0.3, rng=7, store="bits")
        expected = reference.apply(dy.copy(), np.asarray(mask), mask.scale)
        fd.dropout_backward(dy, mask, out=out)
        assert np.array_equal(out, expected), name


# ---- one decision for many elements --------------------------------------------------------------

NOISE_SHAPES = [
    (),
    (1,),
    (None,),
    (1, 1, 1),
    (13, 1, 1),
    (1, 211, 1),
    (1, 1, 53),
    (None, 1, None),
    (13, 211, 1),
    (1, None, None),
    (13, 211, 53),
]


@pytest.mark.parametrize("noise_shape", NOISE_SHAPES)
@pytest.mark.parametrize("layout", ["C", "Fortran", "every other"])
def test_noise_shapes(level, layout, noise_shape):
    shape = (13, 211, 53)
    source = fd.Philox4x32(7)
    drawn = mask_shape(noise_shape, shape)
    kept = kept_at(source, 0, math.prod(drawn), 0.3).reshape(drawn)
    for dtype in (np.float16, np.float32, np.complex64):
        source.position = 0
        x = LAYOUTS[layout](floats(dtype, shape))
        y, mask = fd.dropout(x, 0.3, rng=source, noise_shape=noise_shape)
        assert mask.shape == drawn
        assert source.position == math.prod(drawn)
        assert_result(y, x, reference.apply(native(x), kept, 1 / 0.7))
        assert_result(mask.packed().apply(x), x, native(y))


def test_noise_shapes_of_many_axes():
    shape = (2,) * 14
    x = floats(np.float32, shape)
    for drawn in ((2, 1) * 7, (1, 2) * 7, (2,) * 14, (2,) * 7 + (1,) * 7, (1,) * 7 + (2,) * 7):
        y, mask = fd.dropout(x.transpose(range(13, -1, -1)), 0.3, rng=7, noise_shape=drawn)
        expected = reference.apply(x.transpose(range(13, -1, -1)), np.asarray(mask), mask.scale)
        assert_result(y, x, expected)


def test_as_many_axes_as_numpy_has():
    x = np.ones((1,) * 62 + (3, 5))
    for noise_shape in (None, (1,) * 64, (1,) * 62 + (3, 1), (5,)):
        y, mask = fd.dropout(x, 0.3, rng=7, noise_shape=noise_shape)
        assert_result(y, x, reference.apply(x, np.asarray(mask), mask.scale))


def test_masks_of_empty_arrays_may_have_elements():
    source = fd.Xoshiro256PlusPlus(1)
    y, mask = fd.dropout(np.empty((0, 3)), rng=source, noise_shape=(1, 3))
    assert y.shape == (0, 3)
    assert mask.shape == (1, 3)
    assert source.position == 3


# ---- what a dropped element is -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
def test_dropped_elements_are_positive_zero(level, dtype):
    for value in (np.nan, -np.nan, np.inf, -np.inf, -0.0, -1.0):
        value = complex(value, value) if np.dtype(dtype).kind == "c" else value
        for n in (1, 7, 33, 5000):
            x = np.full(n, value, dtype)
            y, mask = fd.dropout(x, 0.5, rng=3)
            dropped = ~np.asarray(mask)
            assert not bits_of(components(y[dropped])).any()
            y, _ = fd.dropout(x, 1.0, rng=3)
            assert not bits_of(components(y)).any()
            fd.dropout(x, 1.0, rng=3, out=x)
            assert not bits_of(components(x)).any()


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
def test_nothing_is_dropped_at_p_0(level, dtype):
    x = floats(dtype, (3001,))
    for p in (0, 0.0, -0.0):
        y, mask = fd.dropout(x, p, rng=3)
        assert_result(y, x, x)
        assert np.asarray(mask).all()


def test_signs_of_zero_are_kept():
    y, mask = fd.dropout(np.full(1000, -0.0, np.float32), rng=1)
    assert np.array_equal(np.signbit(y), np.asarray(mask))


@pytest.mark.parametrize("p", [5e-324, 2.0**-65, 2.0**-64, 1e-18, 1 - 2.0**-53])
def test_p_near_its_ends(p, source_class):
    source = source_class(7)
    kept = kept_at(source, 0, 100_000, p)
    y, mask = fd.dropout(np.ones(100_000), p, rng=source)
    assert np.array_equal(np.asarray(mask), kept)
    assert_result(y, y, reference.apply(np.ones(100_000), kept, reference.scale_factor(p)))


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("keep_prob", [1e-3, 1e-5, 1e-30, 1e-300, 5e-324])
def test_huge_factors_are_rounded_to_the_dtype(dtype, keep_prob):
    x = floats(dtype, (3001,))
    kept = np.arange(3001) % 3 > 0
    y, mask = fd.dropout(x, keep_prob=keep_prob, mask=kept)
    assert mask.scale == reference.scale_factor(keep_prob=keep_prob)
    assert_result(y, x, reference.apply(x, kept, mask.scale))


def test_complex_elements_are_dropped_whole():
    for dtype in COMPLEX:
        y, mask = fd.dropout(np.full(1001, 3 - 4j, dtype), 0.5, rng=1)
        assert np.array_equal(y, np.where(np.asarray(mask), 6 - 8j, 0))


def test_the_mask_does_not_depend_on_the_dtype():
    masks = [fd.dropout(np.ones(5000, dtype), 0.3, rng=1)[1] for dtype in EVERY_DTYPE]
    for dtype, mask in zip(EVERY_DTYPE, masks, strict=True):
        assert mask == masks[0]
        y = fd.dropout(np.ones(5000, dtype), 0.3, rng=1)[0]
        assert np.array_equal(y != 0, np.asarray(mask))


# ---- what may be given as x ----------------------------------------------------------------------


class Wrapped:
    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0, 3.0], np.float32)


@pytest.mark.parametrize(
    ("x", "dtype", "shape"),
    [
        (1.5, np.float64, ()),
        (1.5 + 2j, np.complex128, ()),
        (np.float32(1.5), np.float32, ()),
        (np.float16(1.5), np.float16, ()),
        (ml_dtypes.bfloat16(1.5), ml_dtypes.bfloat16, ()),
        (np.array(1.5, np.float32), np.float32, ()),
        ([1.0, 2.0, 3.0], np.float64, (3,)),
        ([[1.0, 2], (3, 4)], np.float64, (2, 2)),
        ((np.float32(1.0), np.float32(2.0)), np.float32, (2,)),
        ([], np.float64, (0,)),
        ([1.0, 1j], np.complex128, (2,)),
        (Wrapped(), np.float32, (3,)),
        (np.ma.masked_array([1.0, 2.0]), np.float64, (2,)),
        (memoryview(np.ones(3)), np.float64, (3,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scalars_lists_and_the_like(x, dtype, shape):
    expected = np.asarray(x)
    for training in (True, False):
        y, mask = fd.dropout(x, 0.0, rng=1, training=training)
        assert_result(y, expected, expected)
        assert y.dtype == dtype
        assert y.shape == mask.shape == shape
    assert_result(fd.dropout_backward(x, mask), expected, expected)
    y, mask = fd.dropout(x, 0.5, rng=1)
    assert_result(y, expected, reference.apply(expected, np.asarray(mask), 2.0))


def test_memory_maps(tmp_path):
    values = floats(np.float32, (3, 1001))
    values.tofile(tmp_path / "x")
    np.zeros_like(values).tofile(tmp_path / "y")
    x = np.memmap(tmp_path / "x", np.float32, "r", shape=values.shape)
    out = np.memmap(tmp_path / "y", np.float32, "r+", shape=values.shape)
    expected = reference.apply(values, np.asarray(fd.dropout_mask(values.shape, rng=1)), 2.0)
    assert_result(fd.dropout(x, rng=1)[0], values, expected)
    y, _ = fd.dropout(x, rng=1, out=out)
    assert y is out
    out.flush()
    written = np.fromfile(tmp_path / "y", np.float32).reshape(values.shape)
    assert_result(written, values, expected)
    with pytest.raises(ValueError, match="read-only"):
        fd.dropout(x, rng=1, out=x)


# ---- beyond the last-level cache, beyond 2**31 ---------------------------------------------------


def assert_same_as_in_pieces(y, x, mask):
    """Check an array that is too large for the twin against calls that stay in the caches."""
    for start in range(0, x.size, 1 << 18):
        window = np.s_[start : start + (1 << 18)]
        assert y[window].tobytes() == mask[window].apply(x[window]).tobytes(), start


@pytest.mark.skipif(LAST_LEVEL_CACHE > 2**28, reason="the last-level cache is enormous")
@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize(("skip", "skip_out"), [(0, 0), (1, 3), (5, 1)])
def test_arrays_beyond_the_last_level_cache(dtype, skip, skip_out):
    """Their stores go past the caches, whole lines at a time; no line is whole at odd offsets."""
    n = LAST_LEVEL_CACHE // dtype.itemsize + 70_001
    pattern = np.random.default_rng(1).standard_normal(100_003).astype(dtype)
    x = np.resize(pattern, skip + n)[skip:]
    room = np.full(skip_out + n + 100, -5, dtype)
    out = room[skip_out:-100]
    y, mask = fd.dropout(x, 0.3, rng=7, out=out)
    assert y is out
    assert_same_as_in_pieces(y, x, mask)
    for window in (np.s_[:20_000], np.s_[n // 2 - 999 : n // 2 + 20_000], np.s_[-20_000:]):
        expected = reference.apply(x[window], np.asarray(mask[window]), mask.scale)
        assert_same_floats(components(y[window]), components(expected))
    assert (room[:skip_out] == -5).all()
    assert (room[-100:] == -5).all()


@pytest.mark.skipif(LAST_LEVEL_CACHE > 2**28, reason="the last-level cache is enormous")
@pytest.mark.parametrize("layout", ["C", "unaligned", "backwards", "in place"])
def test_layouts_beyond_the_last_level_cache(level, layout):
    n = LAST_LEVEL_CACHE // 8 + 70_001
    pattern = np.random.default_rng(1).standard_normal(100_003)
    original = np.resize(pattern, n)
    x = original.copy() if layout == "in place" else LAYOUTS[layout](original)
    y, mask = fd.dropout(x, 0.3, rng=7, out=x if layout == "in place" else None)
    assert_same_as_in_pieces(y, original, mask)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("in place", fd.Xoshiro256PlusPlus),
        ("new", fd.Xorshift128Plus),
        ("repeated", fd.Philox4x32),
    ],
)
def test_more_than_2_31_elements(kind, make):
    n = 2**31 + 4099
    source = make(7)
    x = np.broadcast_to(np.float16(1), (n,)) if kind == "repeated" else np.ones(n, np.float16)
    y, mask = fd.dropout(x, 0.3, rng=source, out=x if kind == "in place" else None)
    assert y.size == n
    assert source.position == n
    for start in (0, 2**30 - 7, 2**31 - 5000, n - 9000):
        stop = min(start + 9000, n)
        kept = kept_at(source, start, stop - start, 0.3)
        expected = reference.apply(np.ones(stop - start, np.float16), kept, 1 / 0.7)
        assert np.array_equal(y[start:stop], expected)
    count = sum(np.count_nonzero(y[i : i + 2**24]) for i in range(0, n, 2**24))
    assert abs(count - 0.7 * n) < 5 * math.sqrt(n * 0.21)
    fd.dropout_backward(y, mask, out=y)
    for start in (0, 2**31 - 5000, n - 9000):
        stop = min(start + 9000, n)
        kept = kept_at(source, start, stop - start, 0.3)
        once = reference.apply(np.ones(stop - start, np.float16), kept, 1 / 0.7)
        assert np.array_equal(y[start:stop], reference.apply(once, kept, 1 / 0.7))


@pytest.mark.slow
@pytest.mark.parametrize("noise_shape", [(None, 1), (1, None)])
def test_one_decision_for_many_of_more_than_2_31_elements(noise_shape):
    shape = (2**16 + 1, 2**15 + 3)
    x = np.ones(shape, np.float16)
    y, mask = fd.dropout(x, 0.5, rng=7, noise_shape=noise_shape, out=x)
    kept = np.broadcast_to(np.asarray(mask), shape)
    for window in (np.s_[:9], np.s_[2**15 : 2**15 + 9], np.s_[-9:]):
        assert np.array_equal(y[window], np.where(kept[window], np.float16(2), np.float16(0)))


@pytest.mark.parametrize(
    "order",
    [
        lambda x: x.T,
        lambda x: np.asfortranarray(x),
        lambda x: x.transpose(2, 0, 1),
        lambda x: x.transpose(1, 2, 0)[::-1, :, ::2],
        lambda x: x.T.astype(x.dtype.newbyteorder()),
    ],
    ids=["reversed", "Fortran", "channels first", "flipped with gaps", "byte order"],
)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.complex128])
def test_large_arrays_in_another_order(order, dtype):
    """They are written in the order of memory; the mask still follows that of the indices."""
    x = order(np.random.default_rng(1).standard_normal((60, 70, 80)).astype(dtype))
    if np.dtype(dtype).name == "bfloat16" and x.dtype.byteorder == ">":
        pytest.skip("ml_dtypes has one byte order")
    x[0, 0, :5] = np.nan
    one, two = fd.Xoshiro256PlusPlus(1), fd.Xoshiro256PlusPlus(1)
    for shape in (None, (None, 1, None), (1, x.shape[1], 1)):
        y, mask = fd.dropout(x, 0.3, rng=one, noise_shape=shape)
        expected, _ = fd.dropout(np.ascontiguousarray(x), 0.3, rng=two, noise_shape=shape)
        assert y.strides == np.empty_like(x).strides
        assert_same_floats(np.ascontiguousarray(y), expected)
        assert_same_floats(np.ascontiguousarray(mask.packed().apply(x)), expected)
        same = x.copy(order="K")
        mask.apply(same, out=same)
        assert_same_floats(np.ascontiguousarray(same), expected)
    assert one.position == two.position
    assert np.array_equal(fd.bernoulli(9, 0.3, rng=one), fd.bernoulli(9, 0.3, rng=two))
