# SPDX-License-Identifier: BSD-3-Clause
"""A mask is a value: seeded or packed, whole, cut or pickled, it keeps the same elements."""

import copy
import gc
import itertools
import json
import math
import pickle
import re
import weakref
from fractions import Fraction

import numpy as np
import pytest
from helpers import PROBABILITIES, SOURCES, bytes_at, kept_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastdrop as fd
from fastdrop import _reference as reference

WITH_ENDS = (0.0, *PROBABILITIES, 1.0)
HUGE = (2**20, 2**20)


def draw(shape=(5, 7, 3), p=0.3, source=fd.Xoshiro256PlusPlus, position=11, **options):
    """A mask that does not start at the start of its source."""
    source = source(2026)
    source.position = position
    return fd.dropout_mask(shape, p, rng=source, **options)


def threshold_of(mask):
    """The threshold that a seeded mask compares with, as its state says it."""
    return mask.state["threshold"]


# ---- what a mask says of itself ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (1,), (9,), (4, 0, 3), (2, 3, 5)])
@pytest.mark.parametrize("store", ["seed", "bits"])
def test_attributes(shape, store):
    mask = draw(shape, p=0.2, store=store)
    assert mask.shape == shape
    assert mask.size == math.prod(shape)
    assert mask.p == 0.2
    assert mask.scale == 1 / (1 - 0.2)
    assert mask.nbytes == (0 if store == "seed" else -(-mask.size // 8))
    assert all(type(n) is int for n in (*mask.shape, mask.size, mask.nbytes))
    assert type(mask.p) is type(mask.scale) is float


@pytest.mark.parametrize(
    ("options", "p", "scale"),
    [
        ({}, 0.5, 2.0),
        ({"p": 0.0}, 0.0, 1.0),
        ({"p": 1.0}, 1.0, math.inf),
        ({"p": 1}, 1.0, math.inf),
        ({"p": 0.1}, 0.1, 1 / 0.9),
        ({"keep_prob": 0.1}, 0.9, 10.0),
        ({"keep_prob": 0.8}, 1 - 0.8, 1.25),
        ({"keep_prob": 1.0}, 0.0, 1.0),
        ({"keep_prob": 0}, 1.0, math.inf),
        ({"p": np.float32(0.1)}, float(np.float32(0.1)), 1 / (1 - float(np.float32(0.1)))),
    ],
)
def test_p_and_scale(options, p, scale):
    mask = fd.dropout_mask(3, rng=1, **options)
    assert (mask.p, mask.scale) == (p, scale)


def test_attributes_cannot_be_set():
    mask = draw()
    for name in ("shape", "size", "p", "scale", "nbytes", "bits"):
        with pytest.raises(AttributeError):
            setattr(mask, name, getattr(mask, name))


def test_constructor_refuses():
    with pytest.raises(TypeError, match="dropout_mask"):
        fd.Mask()


def test_length_is_that_of_the_first_axis():
    assert len(draw((4, 2))) == 4
    with pytest.raises(TypeError):
        len(draw(()))


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (draw((2, 3), p=0.5), "<Mask of shape (2, 3), p=0.5, seeded>"),
        (draw((2, 3), p=1 / 3, store="bits"), "<Mask of shape (2, 3), p=0.333333, packed>"),
        (draw(HUGE)[3:5, ::-1], "<Mask of shape (2, 1048576), p=0.3, seeded>"),
    ],
)
def test_repr_is_short(mask, text):
    assert repr(mask) == text


# ---- kept elements -------------------------------------------------------------------------------


@pytest.mark.parametrize("p", WITH_ENDS)
@pytest.mark.parametrize("store", ["seed", "bits"])
def test_kept_elements_are_the_twins(source_class, p, store):
    shape = (41, 103)
    mask = draw(shape, p, source_class, position=16300, store=store)
    expected = kept_at(source_class(2026), 16300, math.prod(shape), p).reshape(shape)
    assert np.array_equal(np.asarray(mask), expected)
    assert np.array_equal(mask.packed().bits, reference.pack(expected))


def test_asarray_is_a_new_bool_array():
    for mask in (draw(), draw(store="bits"), draw()[::2, 1]):
        first, second = np.asarray(mask), np.asarray(mask)
        assert first.dtype == np.bool_
        assert first.shape == mask.shape
        assert first.flags.writeable
        assert not np.shares_memory(first, second)
        first[...] = False
        assert np.array_equal(second, np.asarray(mask))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32, np.complex128, ">i4"])
@pytest.mark.parametrize("store", ["seed", "bits"])
def test_asarray_with_a_dtype(dtype, store):
    mask = draw(store=store)
    converted = np.asarray(mask, dtype=dtype)
    assert converted.dtype == np.dtype(dtype)
    assert np.array_equal(converted, np.asarray(mask).astype(dtype))


@pytest.mark.parametrize("store", ["seed", "bits"])
def test_asarray_without_a_copy_is_refused(store):
    mask = draw(store=store)
    for convert in (np.asarray, np.array):
        with pytest.raises(ValueError, match="copy=False"):
            convert(mask, copy=False)
        assert np.array_equal(convert(mask, copy=True), np.asarray(mask))


@given(p=st.floats(0, 1))
def test_threshold_is_exact(p):
    assert threshold_of(fd.dropout_mask(1, p, rng=1)) == reference.decision_threshold(p)
    assert threshold_of(fd.dropout_mask(1, keep_prob=p, rng=1)) == reference.decision_threshold(
        keep_prob=p
    )


def test_decisions_turn_at_the_double_that_their_uniform_says(source_class):
    """The last p that keeps an element and the first that drops it are neighbouring doubles."""
    n = 40
    made = source_class(2026)
    heads = bytes_at(made, 5, n)
    digits = reference.tie_digits(type(made).__name__, made.key, made.counter, 5, n)
    for i, (head, rest) in enumerate(zip(heads.tolist(), digits.tolist(), strict=True)):
        uniform = Fraction(head * 2**56 + rest, 2**64)
        p = float(uniform)
        while Fraction(p) > uniform:
            p = math.nextafter(p, 0)
        for probability, expected in ((p, True), (math.nextafter(p, 1), False)):
            mask = draw((n,), probability, source_class, position=5)
            assert np.asarray(mask)[i] == expected
            assert np.asarray(mask[i]) == expected


# ---- stored as a seed or as bits -----------------------------------------------------------------


def test_store(source_class):
    automatic, seeded, packed = (
        draw(source=source_class, store=store) for store in ("auto", "seed", "bits")
    )
    assert automatic.bits is None
    assert seeded.bits is None
    assert packed.bits is not None
    assert automatic == seeded == packed


@pytest.mark.parametrize("store", ["auto", "bits"])
def test_masks_of_numpy_generators_are_packed(store):
    mask = fd.dropout_mask((3, 5), 0.4, rng=np.random.default_rng(3), store=store)
    assert mask.nbytes == 2
    assert mask == fd.dropout_mask((3, 5), 0.4, rng=np.random.default_rng(3))


def test_numpy_generators_cannot_store_a_seed():
    generator = np.random.default_rng(3)
    before = generator.bit_generator.state
    with pytest.raises(ValueError, match=r"store must be 'auto' or 'bits' .*, not 'seed'$"):
        fd.dropout_mask(5, rng=generator, store="seed")
    assert generator.bit_generator.state == before


def test_storing_bits_advances_the_source_as_a_seed_does():
    for store in ("auto", "seed", "bits"):
        source = fd.Xoshiro256PlusPlus(1)
        fd.dropout_mask((3, 7), 0.3, rng=source, store=store)
        assert source.position == 21
        after = np.asarray(fd.dropout_mask(100, 0.3, rng=source))
        whole = np.asarray(fd.dropout_mask(121, 0.3, rng=1))
        assert np.array_equal(after, whole[21:])


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097, 70_000])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_packed_bits_are_those_of_packbits(n, p):
    mask = draw((n,), p)
    packed = mask.packed()
    assert packed.bits.dtype == np.uint8
    assert packed.bits.shape == (packed.nbytes,) == (-(-n // 8),)
    kept = np.asarray(mask)
    assert np.array_equal(packed.bits, np.packbits(kept, axis=None, bitorder="little"))
    assert packed == mask
    assert packed.packed() is packed


def test_bits_are_read_only():
    for mask in (draw(store="bits"), draw().packed(), draw(store="bits")[1:, ::2]):
        assert not mask.bits.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            mask.bits[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            mask.bits.flags.writeable = True


def test_arrays_of_a_mask_are_the_callers_to_change():
    x = np.arange(1.0, 13.0).reshape(3, 4)
    p = np.linspace(0.1, 0.6, 12).reshape(3, 4)
    mask = fd.dropout_mask((3, 4), p, rng=1)
    whole, first = mask.apply(x), mask[1].apply(x[1])
    for name in ("p", "scale", "bits"):
        array = getattr(mask, name)
        array.shape = (array.size, 1)
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        while isinstance(array, np.ndarray):  # nor is there a way to what the mask reads
            array.shape = (1, array.size)
            array = array.base
        assert array is mask
        assert getattr(mask, name).ndim == (1 if name == "bits" else 2)
    assert np.array_equal(mask.apply(x), whole)
    assert np.array_equal(mask[1].apply(x[1]), first)
    held = fd.dropout_mask(5, np.full(5, 0.25), rng=1).scale  # outlives its mask
    assert held.tolist() == [4 / 3] * 5


def test_probabilities_are_those_that_were_checked():
    p = np.full(12, 0.5)
    mask, layer = fd.dropout_mask(12, p, rng=1), fd.Dropout(p, rng=1)
    p[:] = 7.0
    assert (mask.p == 0.5).all()
    assert layer(np.ones(12)).max() == 2.0


# ---- windows -------------------------------------------------------------------------------------

masks = st.builds(
    draw,
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7),
    p=st.sampled_from(WITH_ENDS),
    source=st.sampled_from(SOURCES),
    position=st.sampled_from([0, 63, 16380, 2**40 + 5]),
    store=st.sampled_from(["seed", "bits"]),
)


@given(mask=masks, data=st.data())
@settings(max_examples=300)
def test_windows_are_those_of_the_array(mask, data):
    kept = np.asarray(mask)
    for _ in range(data.draw(st.integers(1, 3))):
        window = data.draw(hnp.basic_indices(mask.shape))
        part, kept = mask[window], kept[window]
        assert isinstance(part, fd.Mask)
        assert part.shape == kept.shape
        assert part.size == kept.size
        assert (part.p, part.scale) == (mask.p, mask.scale)
        assert (part.bits is None) == (mask.bits is None)
        mask = part
    assert np.array_equal(np.asarray(mask), kept)
    assert np.array_equal(mask.packed().bits, reference.pack(kept))
    assert mask == mask.packed() == pickle.loads(pickle.dumps(mask))
    x = np.arange(1.0, kept.size + 1).reshape(kept.shape)
    assert np.array_equal(mask.apply(x), reference.apply(x, kept, mask.scale))


@st.composite
def huge_axes(draw_, length):
    """An integer or a slice that picks at most four elements of a long axis."""
    start = draw_(st.integers(0, length - 1))
    if draw_(st.booleans()):
        return start - draw_(st.sampled_from([0, length]))
    step = draw_(st.sampled_from([1, 2, 3, 1000, 2**15 + 1])) * draw_(st.sampled_from([1, -1]))
    count = draw_(st.integers(0, 4))
    stop = start + count * step
    return slice(start, None if stop < 0 else stop, step)


@given(
    window=st.tuples(huge_axes(HUGE[0]), huge_axes(HUGE[1])),
    source=st.sampled_from(SOURCES),
    p=st.sampled_from([0.1, 0.5]),
)
@settings(max_examples=60)
def test_windows_of_masks_larger_than_memory(window, source, p):
    part = draw(HUGE, p, source)[window]
    rows, columns = (
        range(length)[index] if isinstance(index, slice) else [range(length)[index]]
        for index, length in zip(window, HUGE, strict=True)
    )
    expected = [
        kept_at(source(2026), 11 + row * HUGE[1] + column, 1, p)[0]
        for row, column in itertools.product(rows, columns)
    ]
    assert part.nbytes == 0
    assert np.asarray(part).ravel().tolist() == expected


@pytest.mark.parametrize(
    "window",
    [
        np.s_[:: 2**12, 5],
        np.s_[2**19 :: 2**17, -3:],
        np.s_[:: -(2**18), :: -(2**18)],
        np.s_[7, :100_000],
        np.s_[-1, ::-7],
        np.s_[100:102],
    ],
)
def test_wide_windows_of_masks_larger_than_memory(window):
    mask = draw(HUGE, 0.1, fd.Philox4x32)
    part = mask[window]
    kept = np.asarray(part)
    assert kept.shape == part.shape
    assert mask[window].packed() == part
    corners = [(0,) * kept.ndim, tuple(length - 1 for length in kept.shape)]
    for corner in corners:
        assert kept[corner] == np.asarray(part[corner])


def test_nested_windows_of_masks_larger_than_memory():
    mask = draw((2**30, 2**12, 2**20))
    once = mask[2**29 + 3, 17:4000:3, 5 : 2**20 : 1000]
    twice = mask[2**29 :, 2:, 5:][3, 15:3998][::3, ::1000][:, :]
    assert once == twice
    assert twice.nbytes == 0
    assert np.array_equal(np.asarray(once[-1, -4:]), np.asarray(once)[-1, -4:])


def test_a_window_of_a_contiguous_range_is_one_draw_at_its_place():
    source = fd.Xorshift128Plus(2026)
    mask = draw((1000, 1000), 0.2, fd.Xorshift128Plus, position=0)
    source.position = 250_000
    assert mask[250:260] == fd.dropout_mask((10, 1000), 0.2, rng=source)


def test_windows_by_numpy_integers_and_the_empty_tuple():
    mask = draw()
    kept = np.asarray(mask)
    for window in (np.int64(2), np.uint8(1), (np.int16(-1), ..., np.int32(0)), (), ...):
        assert np.array_equal(np.asarray(mask[window]), kept[window])


class Tensor:
    """An array of another package, which NumPy would take for a list of places."""

    def __array__(self, dtype=None, copy=None):
        return np.array([0, 1])

    def __index__(self):
        raise TypeError("only tensors of one element are integers")

    def __repr__(self):
        return "Tensor([0, 1])"


@pytest.mark.parametrize("store", ["seed", "bits"])
@pytest.mark.parametrize("window", [1.0, "a", (0, 1.0), (..., "a")], ids=repr)
def test_windows_are_integers_slices_and_an_ellipsis(store, window):
    mask = draw(store=store)
    with pytest.raises(TypeError, match="must be of integers, slices and an ellipsis"):
        mask[window]


@pytest.mark.parametrize("store", ["seed", "bits"])
@pytest.mark.parametrize(
    "index",
    [
        None,
        True,
        np.True_,
        [0, 1],
        np.array([0]),
        np.array([0, 1]),
        np.array([True, False, True, True, False]),
        np.array(True),
        (..., np.array([0])),
        Tensor(),
        (..., Tensor()),
        (0, None),
    ],
    ids=repr,
)
def test_other_indices_are_those_of_the_array(store, index):
    mask = draw(store=store)
    part = mask[index]
    assert type(part) is np.ndarray
    assert np.array_equal(part, np.asarray(mask)[index])


@pytest.mark.parametrize("store", ["seed", "bits"])
def test_a_mask_is_an_index_of_a_mask(store):
    mask, other = draw(store=store), draw(p=0.7, store=store)
    kept = np.asarray(mask)
    assert np.array_equal(mask[other], kept[np.asarray(other)])
    assert np.array_equal(mask[~mask], kept[~kept])
    assert mask[mask].all()
    with pytest.raises(IndexError):
        mask[draw((2, 2))]
    places = list(np.ndindex(kept.shape))
    assert [place for place in places if mask[place]] == [*map(tuple, np.argwhere(kept).tolist())]


@pytest.mark.parametrize("store", ["seed", "bits"])
@pytest.mark.parametrize("window", [5, -6, (0, 7), (0, 0, 0, 0), (..., ...)])
def test_windows_outside_the_mask(store, window):
    with pytest.raises(IndexError):
        draw(store=store)[window]
    with pytest.raises(ValueError, match="zero"):
        draw(store=store)[::0]


@pytest.mark.parametrize("store", ["seed", "bits"])
def test_masks_without_axes_have_a_truth_and_no_parts(store):
    mask = fd.dropout_mask((2, 2), rng=1, store=store)
    for index in np.ndindex(2, 2):
        assert bool(mask[index]) == np.asarray(mask)[index]
        with pytest.raises(TypeError, match="iteration over a mask without axes"):
            iter(mask[index])
    _, gaussian = fd.gaussian_dropout(np.ones((2, 2)), 0.5, rng=1)
    assert bool(gaussian[0, 0]) == bool(np.asarray(gaussian)[0, 0])
    with pytest.raises(TypeError, match="iteration over a mask without axes"):
        iter(gaussian[0, 0])
    for several in (mask, mask[:0], gaussian, gaussian[:0]):
        with pytest.raises(ValueError, match=r"the truth of a mask of shape .* is ambiguous"):
            bool(several)


def test_iteration_goes_over_the_first_axis():
    mask = draw((4, 3))
    assert [part.shape for part in mask] == [(3,)] * 4
    assert np.array_equal(np.stack([np.asarray(part) for part in mask]), np.asarray(mask))


# ---- apply and backward --------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["seed", "bits"])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (5, 7, 3), (130, 1001)])
def test_apply_and_backward_are_the_same_map(store, shape):
    mask = draw(shape, store=store)
    x = np.random.default_rng(1).standard_normal(shape)
    expected = reference.apply(x, np.asarray(mask), mask.scale)
    for function in (mask.apply, mask.backward):
        assert np.array_equal(function(x), expected)
        out = np.full(shape, np.nan)
        assert function(x, out) is out
        assert np.array_equal(out, expected)
        if x.size:
            assert np.array_equal(function(x.tolist()), expected)


def test_apply_repeats_itself():
    """Where a mask starts is remembered, and that changes nothing."""
    x = np.ones((5, 7, 3), np.float32)
    for mask in (draw(), draw(store="bits"), draw()[1:, ::3], draw()[...]):
        first = mask.apply(x[: mask.shape[0], : mask.shape[1]])
        assert np.array_equal(mask.apply(x[: mask.shape[0], : mask.shape[1]]), first)
        assert np.array_equal(first != 0, np.asarray(mask))


@pytest.mark.parametrize("store", ["seed", "bits"])
@pytest.mark.parametrize("shape", [(1,), (3,), (7, 1), (5, 1, 1), (1, 7, 3), (1, 1, 1)])
def test_masks_broadcast_to_what_they_are_applied_to(store, shape):
    mask = draw(shape, store=store)
    x = np.random.default_rng(1).standard_normal((5, 7, 3)).astype(np.float32)
    assert np.array_equal(mask.apply(x), reference.apply(x, np.asarray(mask), mask.scale))


@pytest.mark.parametrize("channels", [*range(1, 26), 56, 63, 64, 65, 100, 129, 1001])
def test_rows_of_bits_repeat(channels):
    """Masks of which rows are met again, from any bit of a byte on, over the ends of tiles."""
    for rows in (2, 3, 5, 17, 9000 // channels + 2):
        x = np.ones((3, rows, channels), np.float32)
        mask = fd.dropout_mask((3, 1, channels), 0.5, rng=channels)
        assert np.array_equal(mask.apply(x), reference.apply(x, np.asarray(mask), mask.scale))


@pytest.mark.parametrize("store", ["seed", "bits"])
def test_nothing_is_multiplied_at_p_1(store):
    mask = draw((4,), p=1.0, store=store)
    x = np.array([1.0, np.nan, np.inf, -0.0])
    y = mask.apply(x)
    assert y.tobytes() == np.zeros(4).tobytes()


@pytest.mark.parametrize(
    ("x", "options", "error", "words"),
    [
        (np.ones((5, 7, 4)), {}, ValueError, ["(5, 7, 3)", "(5, 7, 4)"]),
        (np.ones((7, 3)), {}, ValueError, ["(5, 7, 3)", "(7, 3)"]),
        (np.ones((5, 7, 1)), {}, ValueError, ["(5, 7, 3)", "(5, 7, 1)"]),
        (np.ones((5, 7, 3), int), {}, TypeError, ["int64"]),
        (np.ones((5, 7, 3)), {"out": np.ones((5, 7, 3), "f4")}, TypeError, ["float32", "float64"]),
        (np.ones((5, 7, 3)), {"out": np.ones((5, 7))}, ValueError, ["(5, 7)", "(5, 7, 3)"]),
        (np.ones((5, 7, 3)), {"out": [1.0]}, TypeError, ["list"]),
        (np.ones((5, 7, 3)), {"out": np.broadcast_to(1.0, (5, 7, 3))}, ValueError, ["read-only"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_bad_arguments_of_apply(x, options, error, words):
    mask = draw()
    before = {name: np.array(value) for name, value in options.items()}
    for function in (mask.apply, mask.backward):
        with pytest.raises(error) as caught:
            function(x, **options)
        assert all(word in str(caught.value) for word in words)
    for name, value in options.items():
        assert np.array_equal(value, before[name])


# ---- equality, pickles, copies -------------------------------------------------------------------


def test_equal_masks():
    mask = draw()
    kept = np.asarray(mask)
    _, from_array = fd.dropout(np.ones(kept.shape), p=0.3, mask=kept)
    for other in (draw(), draw(store="bits"), mask.packed(), mask[...], mask[:], from_array):
        assert (mask == other) is True
        assert (other == mask) is True
        assert (mask != other) is False


@pytest.mark.parametrize(
    "other",
    [
        draw(p=0.30000000000000004),
        draw(position=12),
        draw(source=fd.Philox4x32),
        draw((5, 21)),
        draw((5, 7, 3))[:, :, :2],
        draw()[::-1],
        fd.dropout(np.ones((5, 7, 3)), 0.3, rng=2026, scale="none")[1],
    ],
)
def test_unequal_masks(other):
    mask = draw()
    assert (mask == other) is False
    assert (mask != other) is True


def test_masks_differ_in_scale_alone():
    x = np.ones(50)
    _, trained = fd.dropout(x, 0.3, rng=1)
    _, unscaled = fd.dropout(x, 0.3, rng=1, scale="none")
    assert np.array_equal(np.asarray(trained), np.asarray(unscaled))
    assert trained != unscaled


@pytest.mark.parametrize("other", [None, 1, "mask", (5, 7, 3), object()])
def test_masks_equal_nothing_else(other):
    assert (draw() == other) is False
    assert (draw() != other) is True


def test_unhashable():
    with pytest.raises(TypeError, match="unhashable"):
        hash(draw())


def kinds():
    """Every kind of mask that there is to be pickled."""
    for source, p in itertools.product(SOURCES, WITH_ENDS):
        yield draw(p=p, source=source)
    yield draw(position=2**64 - 200)
    yield draw(())
    yield draw((0, 3))
    yield draw()[1:4, ::-2, 1]
    yield draw()[::2][1]
    yield draw(store="bits")
    yield draw(store="bits", p=1.0)
    yield draw((0,), store="bits")
    yield draw(store="bits")[:, ::-1]
    yield fd.dropout_mask((4, 9), keep_prob=0.1, rng=5)
    yield fd.dropout_mask((4, 9), rng=fd.Xoshiro256PlusPlus(key=1, counter=2**128 - 3))
    yield fd.dropout_mask((4, 9), 0.2, rng=np.random.default_rng(5))
    yield fd.dropout(np.ones(9), mask=np.arange(9) % 3 == 0, p=0.2)[1]
    yield fd.dropout(np.ones(9), 0.2, training=False)[1]
    yield fd.dropout(np.ones(9), 0.2, training=False, scale="test")[1]
    yield fd.dropout(np.ones(9), 0.2, rng=1, scale="test")[1]
    yield fd.dropout(np.ones((4, 9)), 0.2, rng=1, noise_shape=(4, 1))[1]
    yield fd.zoneout(np.ones((4, 9)), np.zeros((4, 9)), 0.2, rng=1)[1]
    yield fd.zoneout(np.ones((4, 9)), np.zeros((4, 9)), 0.2, rng=np.random.default_rng(5))[1]
    yield fd.zoneout(np.ones((4, 9)), np.zeros((4, 9)), 0.2, training=False)[1]


@pytest.mark.parametrize("mask", list(kinds()), ids=repr)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickles(mask, protocol):
    again = pickle.loads(pickle.dumps(mask, protocol))
    assert again == mask
    assert (again.shape, again.p, again.scale) == (mask.shape, mask.p, mask.scale)
    assert repr(again) == repr(mask)
    assert again.nbytes == mask.nbytes
    assert np.array_equal(np.asarray(again), np.asarray(mask))
    x = np.arange(1.0, mask.size + 1).reshape(mask.shape)
    assert np.array_equal(again.apply(x), mask.apply(x))
    if mask.bits is None:
        assert threshold_of(again) == threshold_of(mask)


@pytest.mark.parametrize("mask", [draw(), draw(store="bits"), draw()[::2, 1]], ids=repr)
def test_copies(mask):
    assert copy.copy(mask) == copy.deepcopy(mask) == mask


def altered(mask, **changes):
    """What a changed state of the mask gives."""
    state = {**mask.state, **changes}
    return fd.Mask.from_state({name: value for name, value in state.items() if value is not LOST})


LOST = object()
SEEDED, PACKED = (fd.dropout_mask((4, 5), 0.3, rng=1, store=store) for store in ("seed", "bits"))
MANY = fd.dropout_mask((4, 5), np.full((4, 1), 0.3), rng=1)
OF_ZONEOUT = fd.zoneout(np.ones((4, 5)), np.zeros((4, 5)), 0.3, rng=1)[1]


@pytest.mark.parametrize(
    ("mask", "changes", "error", "words"),
    [
        (
            PACKED,
            {"shape": (10**7,)},
            ValueError,
            r"bits must have 1250000 bytes .*, not shape \(3,\)",
        ),
        (
            PACKED,
            {"bits": b"\xff\xff\xff"},
            ValueError,
            "bits must have zeros after the 20 bits of the mask",
        ),
        (PACKED, {"bits": [1, 2, 3]}, TypeError, "bits must .* int64"),
        (PACKED, {"bits": LOST}, ValueError, "the state of the mask must .* has no 'threshold'"),
        (SEEDED, {"shape": (2**62, 4)}, ValueError, "shape must have fewer than"),
        (SEEDED, {"threshold": 2**64 + 1}, ValueError, "threshold must "),
        (SEEDED, {"threshold": 0.5}, TypeError, "threshold must .*, not 0.5"),
        (SEEDED, {"strides": (1,)}, ValueError, "strides must have one entry for each axis"),
        (SEEDED, {"strides": (2**62, 2**62)}, ValueError, "the mask goes from position"),
        (SEEDED, {"strides": (-1, 1)}, ValueError, "the mask goes from position -3"),
        (SEEDED, {"position": 2**64 - 3}, ValueError, "the mask goes from position"),
        (SEEDED, {"position": -1}, ValueError, "position must .*, not -1"),
        (
            SEEDED,
            {"source": "Philox2x32"},
            ValueError,
            "the mask must be of .*, not of source 'Philox2x32'",
        ),
        (
            SEEDED,
            {"source": "NumPySource"},
            ValueError,
            "the mask must be of .*, not of source 'NumPySource'",
        ),
        (SEEDED, {"key": (1, 2**32)}, ValueError, "key must "),
        (SEEDED, {"counter": (1, 2, 3, 2**32)}, ValueError, "counter must "),
        (SEEDED, {"counter": (1, 2, 3)}, ValueError, "counter must "),
        (SEEDED, {"key": LOST}, ValueError, "the place of the mask must .* has no 'key'"),
        *[
            (mask, changes, error, words)
            for mask in (SEEDED, PACKED, MANY)
            for changes, error, words in [
                ({"shape": (-4, 5)}, ValueError, "shape must "),
                ({"shape": (4.5,)}, TypeError, "shape must "),
                ({"shape": "45"}, TypeError, "shape must "),
                ({"p": 5.0}, ValueError, "p must be .*, not 5.0"),
                ({"p": math.nan}, ValueError, "p must .*, not nan"),
                ({"p": "0.5"}, TypeError, "p must .* <U3"),
                ({"p": np.full((4, 1), 0.5, np.float32)}, TypeError, "p must .* float32"),
                ({"p": np.full((5, 1), 0.5)}, ValueError, "p shape .* does not broadcast"),
                ({"scale": np.ones(3)}, ValueError, "scale shape .* does not broadcast"),
                ({"scale": np.ones((4, 5), object)}, TypeError, "scale must .* object"),
                ({"scale": -1.0}, ValueError, "scale must .*, not -1.0"),
                # Vectors of bfloat16 round without a look for a NaN whose lower bits are not 0.
                ({"scale": math.nan}, ValueError, "scale must .*, not nan"),
                ({"scale": np.full((4, 1), math.nan)}, ValueError, "scale must .* shape"),
                ({"scale": LOST}, ValueError, "has no 'scale'"),
            ]
        ],
        (OF_ZONEOUT, {"of": "dropout"}, ValueError, "of must be .*, not 'dropout'"),
        (OF_ZONEOUT, {"of": None}, ValueError, "of must be .*, not None"),
        (OF_ZONEOUT, {"scale": 2.0}, ValueError, r"scale must be .*, not 2.0"),
        (OF_ZONEOUT, {"scale": np.ones(5)}, ValueError, "scale shape .* does not broadcast"),
        (OF_ZONEOUT, {"p": np.ones(5)}, ValueError, "p shape .* does not broadcast"),
    ],
)
def test_states_are_checked(mask, changes, error, words):
    with pytest.raises(error, match=words):
        altered(mask, **changes)


@pytest.mark.parametrize("mask", [SEEDED, PACKED, MANY])
def test_states_are_dicts(mask):
    load, (kind, _) = mask.__reduce__()
    for read in (fd.Mask.from_state, lambda state: load(kind, state)):
        with pytest.raises(TypeError, match=r"the state of the mask must be .*, not a list"):
            read([])


def test_what_a_state_held_is_the_masks_own():
    scale = np.array(MANY.state["scale"])
    again = altered(MANY, scale=scale)
    scale[:] = 7.0
    assert again == MANY


def test_pickles_of_seeded_masks_are_small():
    mask = draw((2**30, 2**30))
    assert len(pickle.dumps(mask)) < 1000
    mask = draw((50, 100))
    mask.apply(np.ones((50, 100)))
    assert len(pickle.dumps(mask)) < 1000


@pytest.mark.parametrize("store", ["seed", "bits"])
def test_states_name_source_and_stream_version(source_class, store):
    mask = draw(source=source_class, store=store)
    assert mask.state["stream_version"] == 1
    if store == "seed":
        made = source_class(2026)
        place = (mask.state["source"], mask.state["key"], mask.state["counter"])
        assert place == (source_class.__name__, made.key, made.counter)
        assert mask.state["position"] == 11
    with pytest.raises(ValueError, match="stream version 1, not 2"):
        altered(mask, stream_version=2)


def source_at(state):
    """The source of a state, where the mask was drawn."""
    source = getattr(fd, state["source"])(key=state["key"], counter=state["counter"])
    source.position = state["position"]
    return source


def test_a_mask_of_the_process_wide_source_says_where_it_was_drawn():
    fd.dropout_mask(5)
    mask = fd.dropout_mask((40, 50), 0.3)
    assert fd.dropout_mask((40, 50), 0.3, rng=source_at(mask.state)) == mask
    rows = mask[7:9]
    assert fd.dropout_mask((2, 50), 0.3, rng=source_at(rows.state)) == rows
    y, mask = fd.dropout(np.ones(100), 0.3)
    assert np.array_equal(fd.dropout(np.ones(100), 0.3, rng=source_at(mask.state))[0], y)
    y, mask = fd.gaussian_dropout(np.ones(100), 0.3)
    assert np.array_equal(fd.gaussian_dropout(np.ones(100), 0.3, rng=source_at(mask.state))[0], y)


@pytest.mark.parametrize("mask", list(kinds()), ids=repr)
def test_states_go_through_json(mask):
    state = mask.state
    assert type(state) is dict
    assert fd.Mask.from_state(state) == mask
    if "bits" in state:
        state["bits"] = list(state["bits"])
        text = json.loads(json.dumps(state))
        text["bits"] = bytes(text["bits"])
    else:
        text = json.loads(json.dumps(state))
    again = fd.Mask.from_state(text)
    assert again == mask
    assert again.state == mask.state


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (8,), (4, 0, 3), (2, 3, 5), (130, 1001)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_from_array_and_from_bits(shape, p):
    mask = draw(shape, p, store="bits")
    kept = np.asarray(mask)
    for array in (kept, kept.tolist(), kept.T.copy().T, mask, draw(shape, p)):
        if not isinstance(array, list) or kept.size:
            assert fd.Mask.from_array(array, p) == mask
    for bits in (mask.bits, mask.bits.tobytes(), np.repeat(mask.bits, 2)[::2]):
        assert fd.Mask.from_bits(bits, shape, p) == mask
    assert fd.Mask.from_array(kept, np.float32(p)).p == np.float32(p)


def test_from_array_and_from_bits_with_a_probability_for_each_element():
    p = np.linspace(0, 1, 20).reshape(4, 5)
    mask = fd.dropout_mask((4, 5), p, rng=1)
    kept, bits, x = np.asarray(mask), np.array(mask.bits), np.arange(20.0).reshape(4, 5)
    made = [fd.Mask.from_array(kept, p), fd.Mask.from_bits(bits, (4, 5), p)]
    kept[...], bits[...], whole = False, 0, p.copy()
    p[...] = 7.0
    for other in made:
        assert other == mask
        assert np.array_equal(other.p, whole)
        assert np.array_equal(other.apply(x), mask.apply(x))
    rows = fd.Mask.from_bits(b"\xff\xff\x0f", (4, 5), whole[:, :1])
    assert np.array_equal(rows.apply(x)[:3], (x * rows.scale)[:3])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fd.Mask.from_array([1, 0], 0.5), TypeError, "kept must .* int64"),
        (lambda: fd.Mask.from_array([0.0], 0.5), TypeError, "kept must .* float64"),
        (lambda: fd.Mask.from_array([True], 1.5), ValueError, "p must .*, not 1.5"),
        (lambda: fd.Mask.from_array([True], math.nan), ValueError, "p must .*, not nan"),
        (lambda: fd.Mask.from_array([True], "0.5"), TypeError, "p must .*, not '0.5'"),
        (lambda: fd.Mask.from_array([True], [0.5]), TypeError, "p must be .*, not the list"),
        (lambda: fd.Mask.from_array([True], np.ones(3)), ValueError, r"p shape \(3,\) does not"),
        (lambda: fd.Mask.from_array([[True], [True, False]], 0.5), ValueError, "differ in length"),
        (lambda: fd.Mask.from_array([True]), TypeError, "p"),
        (lambda: fd.Mask.from_bits(b"", 4, 0.5), ValueError, r"bits must .* \(0,\)"),
        (lambda: fd.Mask.from_bits(b"\x01\x00", 4, 0.5), ValueError, "bits must have 1 bytes"),
        (
            lambda: fd.Mask.from_bits(b"\x10", 4, 0.5),
            ValueError,
            "bits must have zeros after the 4 .*0x10",
        ),
        (lambda: fd.Mask.from_bits([1], 4, 0.5), TypeError, "bits must .* int64"),
        (lambda: fd.Mask.from_bits("a", 4, 0.5), TypeError, "bits must .* <U1"),
        (
            lambda: fd.Mask.from_bits(np.ones((1, 1), "u1"), 4, 0.5),
            ValueError,
            "bits must have .*, not shape",
        ),
        (lambda: fd.Mask.from_bits(b"\x01", -4, 0.5), ValueError, "shape must .*, not -4"),
        (lambda: fd.Mask.from_bits(b"\x01", 4.0, 0.5), TypeError, "shape must .*, not 4.0"),
        (lambda: fd.Mask.from_bits(b"\x01", 4, -0.5), ValueError, "p must .*, not -0.5"),
        (lambda: fd.Mask.from_bits(b"\x01", 4, np.ones(3)), ValueError, r"p shape \(3,\) does"),
        (lambda: fd.Mask.from_bits(b"\x01", 4), TypeError, "p"),
    ],
)
def test_from_array_and_from_bits_are_checked(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_mask_outlives_its_source():
    source = fd.Xoshiro256PlusPlus(1)
    mask = fd.dropout_mask(100, 0.3, rng=source)
    kept = np.asarray(mask)
    source.random_raw(1000)
    source.state = fd.Xoshiro256PlusPlus(2).state
    del source
    assert np.array_equal(np.asarray(mask), kept)


def test_masks_of_users_classes_are_collected():
    """Masks have no cycles and are not looked at; what others add to them is."""

    class Own(fd.Mask):
        pass

    made = Own.__new__(Own)
    made.itself, made.mask, alive = made, draw(), weakref.ref(made)
    del made
    gc.collect()
    assert alive() is None
    assert not gc.is_tracked(draw())


# ---- more than 2**31 decisions -------------------------------------------------------------------


@pytest.mark.slow
def test_packed_masks_of_more_than_2_31_decisions(source_class):
    n = 2**31 + 4099
    packed = draw((n,), 0.1, source_class, store="bits")
    seeded = draw((n,), 0.1, source_class)
    assert packed.nbytes == -(-n // 8)
    for start in (0, 2**30 - 7, 2**31 - 5000, n - 9000):
        window = np.s_[start : start + 9000]
        expected = kept_at(source_class(2026), 11 + start, min(9000, n - start), 0.1)
        assert np.array_equal(np.asarray(packed[window]), expected)
        assert np.array_equal(np.asarray(seeded[window]), expected)
    kept = sum(
        int(np.bitwise_count(packed.bits[i : i + 2**24]).sum(dtype=np.int64))
        for i in range(0, packed.nbytes, 2**24)
    )
    assert abs(kept - 0.9 * n) < 5 * math.sqrt(n * 0.09)


@pytest.mark.slow
def test_a_mask_of_more_than_2_31_decisions_is_written_out():
    n = 2**31 + 4099
    mask = draw((n,), 0.5, fd.Xorshift128Plus)
    kept = np.asarray(mask)
    for start in (0, 2**31 - 5000, n - 9000):
        expected = kept_at(fd.Xorshift128Plus(2026), 11 + start, min(9000, n - start), 0.5)
        assert np.array_equal(kept[start : start + 9000], expected)
    assert np.array_equal(np.asarray(mask[::-1][:5000]), kept[:-5001:-1])


# ---- what a mask says of itself ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0, 2), (3, 500), (1, 1, 5000), (5000, 3)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("store", ["seed", "bits"])
def test_count_is_exact_in_pieces_of_any_size(shape, p, store, monkeypatch):
    mask = draw(shape, p, store=store)
    for piece in (1 << 20, 64, 1):
        monkeypatch.setattr("fastdrop.mask._count.PIECE", piece if mask.size < 2000 else 1000)
        count = mask.count()
        assert type(count) is int
        assert count == np.asarray(mask).sum()
        assert mask.T.count() == count
    if mask.ndim == 2:
        assert mask[1:, ::2].count() == np.asarray(mask)[1:, ::2].sum()


@pytest.mark.parametrize("shape", [(), (0, 4), (5,), (3, 60), (40, 100), (2, 3, 4), (1000,)])
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_the_picture_in_a_notebook_shows_the_first_elements(shape, p):
    mask = draw(shape, p)
    text = mask._repr_html_()
    assert "&lt;Mask of shape" in text
    assert len(text) < 20_000
    assert not re.search(r"#[0-9a-f]{3}|rgb|black|white", text)  # the colours of the page
    if mask.size == 0:
        assert "<svg" not in text
        return
    first = np.asarray(mask)
    while first.ndim > 2:
        first = first[0]
    first = np.atleast_2d(first)[:16, :48]
    painted = np.zeros(first.shape, bool)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1", text):
        painted[int(y), int(x) : int(x) + int(length)] = True
    assert np.array_equal(painted, first)
    assert ("the first elements" in text) == (first.size < mask.size)
