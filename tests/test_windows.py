# SPDX-License-Identifier: BSD-3-Clause
"""A window of a mask has the elements of the whole, whatever it skips, and stores them alone."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from helpers import PROBABILITIES, SOURCES, kept_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import LAYOUTS

import fastdrop as fd
from fastdrop import _reference as reference

# Rows that are shorter than a piece, as long, and longer. Some 256 decisions are as soon drawn as
# skipped; a tile has 8192, and a block of the stream 16384.
SHAPES = [
    (7, 5, 3, 4),
    (300, 4, 4),
    (40, 1000),
    (1000, 40),
    (3, 20_000),
    (70_000,),
    (2, 257, 256),
    (5, 1, 8193),
    (0, 4),
    (),
]
POSITIONS = [0, 63, 16_380, 2**63 - 7, 2**63 + 5, 2**64 - 2**20]


@pytest.fixture
def three_threads():
    threads = fd.get_num_threads()
    fd.set_num_threads(3)
    yield
    fd.set_num_threads(threads)


def whole_mask(shape, p, source, position, **options):
    place = source(5)
    place.position = position
    return fd.dropout_mask(shape, p, rng=place, **options)


def assert_window(part, kept, layout):
    """Check all ways to what a window of a mask holds."""
    assert part.shape == kept.shape
    assert np.array_equal(np.asarray(part), kept)
    assert np.array_equal(part.packed().bits, reference.pack(kept))
    x = layout(np.arange(1, kept.size + 1, dtype=np.float32).reshape(kept.shape))
    assert np.array_equal(part.apply(x), reference.apply(x, kept, part.scale))


@st.composite
def cuts(draw, shape):
    """A window of that shape: slices with any start and step, integers, an ellipsis."""
    if draw(st.booleans()):
        return draw(hnp.basic_indices(shape))
    entries = []
    for length in shape:
        step = draw(st.sampled_from([1, 2, 3, 7, 64, 255, 256, 257, 300, 5000]))
        start = draw(st.integers(0, max(length - 1, 0)))
        entries.append(np.s_[start::step] if draw(st.booleans()) else np.s_[start::-step])
    return tuple(entries)


@given(
    shape=st.sampled_from(SHAPES),
    p=st.sampled_from([0.0, *PROBABILITIES, 1.0]),
    source=st.sampled_from(SOURCES),
    position=st.sampled_from(POSITIONS),
    store=st.sampled_from(["seed", "bits"]),
    level=st.sampled_from(fd.simd_levels()),
    layout=st.sampled_from(sorted(LAYOUTS)),
    data=st.data(),
)
@settings(max_examples=200)
def test_windows_of_windows(shape, p, source, position, store, level, layout, data):
    """Windows, transposes and windows of these, in any order of axes and directions."""
    mask = whole_mask(shape, p, source, position, store=store)
    kept = np.asarray(mask)
    with fd.use_simd(level):
        for _ in range(data.draw(st.integers(1, 3))):
            if data.draw(st.booleans()):
                mask, kept = mask.T, kept.T
            else:
                window = data.draw(cuts(mask.shape))
                mask, kept = mask[window], kept[window]
        assert_window(mask, kept, LAYOUTS[layout])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "window",
    [
        np.s_[:, ::3],
        np.s_[::-1],
        np.s_[::-1, ::-1],
        np.s_[1:, 5:29_999],
        np.s_[:, ::-7],
        np.s_[::2, ::300],
        np.s_[:, 100:200:2],
    ],
    ids=str,
)
def test_windows_by_several_threads(window, source, three_threads):
    mask = whole_mask((30, 30_000), 0.1, source, 77)
    kept = np.asarray(mask)
    for part, expected in [(mask[window], kept[window]), (mask[window].T, kept[window].T)]:
        assert_window(part, expected, np.copy)


@given(
    axes=st.tuples(*[st.booleans()] * 3),
    source=st.sampled_from(SOURCES),
    store=st.sampled_from(["seed", "bits"]),
    data=st.data(),
)
def test_windows_of_shared_decisions(axes, source, store, data):
    """A window of a mask that broadcasts is broadcast to the window of x."""
    shape = (6, 50, 40)
    shared = tuple(1 if axis else length for axis, length in zip(axes, shape, strict=True))
    mask = whole_mask(shared, 0.3, source, 3, store=store)
    x = np.arange(1.0, math.prod(shape) + 1).reshape(shape)
    y = mask.apply(x)
    window = tuple(
        data.draw(st.slices(length).filter(lambda entry, n=length: len(range(*entry.indices(n)))))
        for length in shape
    )
    entries = tuple(
        slice(None) if axis else entry for axis, entry in zip(axes, window, strict=True)
    )
    assert np.array_equal(mask[entries].apply(x[window]), y[window])


@given(
    rows=st.integers(0, 2**31 - 2),
    steps=st.tuples(*[st.sampled_from([1, -1, 2, 1000, -(2**20), 2**30])] * 2),
    columns=st.integers(0, 2**32 - 2),
    transposed=st.booleans(),
    source=st.sampled_from(SOURCES),
)
@settings(max_examples=60)
def test_windows_of_the_largest_masks(rows, columns, steps, transposed, source):
    """Of masks of 2**63 - 2**31 elements, that end 2**31 positions before the end of the source."""
    shape = (2**31, 2**32 - 1)
    mask = whole_mask(shape, 0.3, source, 2**63)
    places = [
        range(length)[start::step][:3]
        for start, step, length in zip((rows, columns), steps, shape, strict=True)
    ]
    part = mask[
        tuple(slice(p[0], p[-1] + p.step if p[-1] + p.step >= 0 else None, p.step) for p in places)
    ]
    expected = [
        kept_at(source(5), 2**63 + row * shape[1] + column, 1, 0.3)[0]
        for row, column in itertools.product(*places)
    ]
    kept = np.asarray(part.T).T if transposed else np.asarray(part)
    assert kept.ravel().tolist() == expected


@pytest.mark.parametrize("strides", [(0, 1), (1, 1), (1, 0), (2, 3), (-1, 2), (0, 0), (-300, 300)])
@pytest.mark.parametrize("shape", [(5, 7), (200, 300), (1, 9000)])
def test_strides_of_states(strides, shape):
    """A state may hold strides that no window has; they mean what strides mean."""
    state = fd.dropout_mask(3_000_000, 0.3, rng=1).state
    kept = np.asarray(fd.dropout_mask(3_000_000, 0.3, rng=1))
    first = 100_000
    state |= {"shape": shape, "strides": strides, "position": state["position"] + first}
    places = first + np.add.outer(*map(np.multiply, map(np.arange, shape), strides))
    part = fd.Mask.from_state(state)
    for mask, at in [(part, places), (part.T, places.T), (part[1:, ::-2], places[1:, ::-2])]:
        assert np.array_equal(np.asarray(mask), kept[at])
        assert np.array_equal(mask.packed().bits, reference.pack(kept[at]))


def test_states_of_more_positions_than_a_mask_has():
    state = fd.dropout_mask(2, 0.3, rng=1).state
    with pytest.raises(ValueError, match=r"from position 0 to 9223372036854775808 .* apart"):
        fd.Mask.from_state(state | {"strides": (2**63,)})
    far = fd.Mask.from_state(state | {"strides": (2**63 - 1,)})
    assert np.asarray(far)[1] == kept_at(fd.Xoshiro256PlusPlus(1), 2**63 - 1, 1, 0.3)[0]


@pytest.mark.parametrize("window", [np.s_[:, ::7], np.s_[::-1], np.s_[:, 5::300]], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_windows_make_their_own_bits_alone(window, transposed):
    """Neither what lies between the elements nor bytes are stored, twice the bits at most."""
    part = fd.dropout_mask((2**9, 2**12), 0.1, rng=1)[window]
    part = part.T if transposed else part
    x = np.ones(part.shape, np.float32)
    part.apply(x, out=x)
    tracemalloc.start()
    try:
        part.apply(x, out=x)
        assert tracemalloc.get_traced_memory()[1] < 2 * x.size // 8 + 20_000
    finally:
        tracemalloc.stop()
