# SPDX-License-Identifier: BSD-3-Clause
"""A mask depends on its source, position, p and C-order index, and on nothing else."""

import json
import math
import runpy

import numpy as np
import pytest
from helpers import (
    BIT_GENERATORS,
    DATA,
    DTYPES,
    PROBABILITIES,
    SOURCES,
    bytes_at,
    kept_at,
    sha256,
    words_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import fastdrop as fd
from fastdrop import _reference as reference

GOLDEN = json.loads((DATA / "golden_masks.json").read_text())
N, SEED = GOLDEN["n"], GOLDEN["seed"]
DIGESTS = GOLDEN["sha256_of_packed_kept_bits"]

sources = st.sampled_from(SOURCES)
levels = st.sampled_from(fd.simd_levels())
identities = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**128 - 1))
positions = st.one_of(
    st.integers(0, 2**15),
    st.integers(0, 2**60),
    # Around the ends of steps, tiles and blocks, and near the end of the stream.
    st.builds(
        lambda end, times, off: max(0, end * times + off),
        st.sampled_from([64, 1024, 4096, 16384, 2**32]),
        st.integers(0, 2**20),
        st.integers(-70, 70),
    ),
    st.integers(2**64 - 2**20, 2**64 - 2**16),
)
lengths = st.one_of(st.integers(0, 200), st.integers(0, 20_000))
probabilities = st.one_of(
    st.sampled_from([0.0, *PROBABILITIES, 1.0]),
    st.floats(0, 1),
    st.integers(0, 256).map(lambda i: i / 256),
    st.builds(lambda i, e: min(1.0, i / 256 + 2.0**-e), st.integers(0, 255), st.integers(9, 64)),
)


def source_at(cls, identity, position):
    """A source of words, at a position."""
    key, counter = identity
    source = cls(key=key, counter=counter)
    source.position = position
    return source


def kept(shape, p, source):
    return np.asarray(fd.dropout_mask(shape, p, rng=source))


# --- frozen --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "group"), [(source, group) for source in DIGESTS for group in DIGESTS[source]]
)
def test_golden_masks(level, source, group):
    """Stream version 1: a change here is a new version."""
    for name, digest in DIGESTS[source][group].items():
        argument, _, value = name.partition("=")
        if source in {cls.__name__ for cls in SOURCES}:
            rng = getattr(fd, source)(SEED)
            rng.position = int(group)
        else:
            rng = fd.NumPySource(getattr(np.random, source)(SEED), draws=group)
        mask = fd.dropout_mask(N, rng=rng, **{argument: float(value)})
        assert sha256(mask.packed().bits) == digest, name
        assert sha256(np.packbits(np.asarray(mask), bitorder="little")) == digest, name


def test_golden_masks_are_of_every_source():
    assert GOLDEN["stream_version"] == 1
    assert set(DIGESTS) == {cls.__name__ for cls in (*SOURCES, *BIT_GENERATORS)}
    flat = [d for groups in DIGESTS.values() for ds in groups.values() for d in ds.values()]
    # All differ, but for those of p = 0 and 1, which are the same everywhere, and of keep_prob
    # and p that state the same number.
    assert len(set(flat)) > 0.7 * len(flat)


def test_the_script_makes_the_golden_masks():
    made = runpy.run_path(str(DATA / "make_golden_masks.py"))["golden_masks"]()
    assert made == GOLDEN


# --- the twin, anywhere --------------------------------------------------------------------------


@settings(max_examples=150)
@given(sources, identities, positions, lengths, probabilities, levels)
def test_any_mask_is_the_twins(cls, identity, position, n, p, level):
    source = source_at(cls, identity, position)
    with fd.use_simd(level):
        mask = fd.dropout_mask(n, p, rng=source)
        decisions = np.asarray(mask)
    np.testing.assert_array_equal(decisions, kept_at(source, position, n, p))
    mask = fd.dropout_mask(n, keep_prob=p, rng=source_at(cls, identity, position))
    np.testing.assert_array_equal(mask, kept_at(source, position, n, keep_prob=p))


@settings(max_examples=100)
@given(sources, identities, positions, lengths, probabilities)
def test_bernoulli_is_true_where_dropout_drops(cls, identity, position, n, p):
    """As bools, as bytes and as bits; and it is not the mask of keep_prob."""
    expected = ~kept(n, p, source_at(cls, identity, position))
    for options in ({}, {"dtype": np.uint8}, {"out": np.empty(n, bool)}):
        drawn = fd.bernoulli(n, p, rng=source_at(cls, identity, position), **options)
        np.testing.assert_array_equal(drawn, expected)
    bits = fd.bernoulli(n, p, rng=source_at(cls, identity, position), packed=True)
    np.testing.assert_array_equal(bits, np.packbits(expected, bitorder="little"))


# --- nested --------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(sources, identities, positions, probabilities, probabilities)
def test_nested(cls, identity, position, a, b):
    """With a larger p more elements are dropped, and no others are kept."""
    low, high = sorted((a, b))
    many = kept(5000, low, source_at(cls, identity, position))
    few = kept(5000, high, source_at(cls, identity, position))
    assert np.all(few <= many)
    assert np.all(many) or low > 0
    assert not np.any(few) or high < 1


def test_exact_in_the_last_bit(level, source_class):
    """Thresholds around one element's uniform: on it, one unit of 2**-64 off, and half a unit."""
    source = source_class(5)
    n = 2**16
    heads = bytes_at(source, 0, n).astype(np.uint64)
    digits = reference.tie_digits(source_class.__name__, source.key, source.counter, 0, n)
    uniforms = heads << np.uint64(56) | digits

    i = int(uniforms.argmin())
    u = int(uniforms[i])  # so small that a double can hold half of its last bit
    assert 1 < u < 2**51
    for threshold in (u - 1, u - 0.5, u, u + 0.5, u + 1):
        assert kept(n, math.ldexp(threshold, -64), source_class(5))[i] == (u >= threshold)

    i = int(uniforms.argmax())
    u = 2**64 - int(uniforms[i])  # dropped where u > keep_prob * 2**64
    assert 1 < u < 2**51
    for threshold in (u - 1, u - 0.5, u, u + 0.5, u + 1):
        mask = fd.dropout_mask(n, keep_prob=math.ldexp(threshold, -64), rng=source_class(5))
        assert np.asarray(mask)[i] == (u <= threshold)


# --- blind ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dtype_blind(source_class, p):
    """Every dtype drops the same elements, complex numbers whole."""
    expected = kept(9000, p, source_class(3))
    for dtype in (*DTYPES, np.complex64, np.complex128):
        x = np.full(9000, 1, dtype)
        y, mask = fd.dropout(x, p, rng=source_class(3))
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y != 0, expected)
        np.testing.assert_array_equal(mask, expected)


LAYOUTS = {
    "C": lambda x: x.copy(),
    "Fortran": np.asfortranarray,
    "transposed": lambda x: x.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    "reversed": lambda x: x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    "partly reversed": lambda x: x[:, ::-1].copy()[:, ::-1],
    "every second": lambda x: np.repeat(np.repeat(x, 2, 0), 3, 2)[::2, :, ::3],
    "part": lambda x: np.pad(x, 2)[2:-2, 2:-2, 2:-2],
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": lambda x: (
        np.frombuffer(b"?" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    ),
    "repeated": lambda x: np.broadcast_to(x[..., :1], x.shape),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("shape", [(31, 40, 29), (2, 3, 1), (1, 70_000, 1)], ids=str)
def test_layout_blind(source_class, shape, layout):
    """The logical index counts, not where in memory an element lies; of x, and of out."""
    x = np.ones(shape)
    expected = kept(shape, 0.3, source_class(3))
    y, mask = fd.dropout(layout(x), 0.3, rng=source_class(3))
    np.testing.assert_array_equal(y != 0, expected)
    np.testing.assert_array_equal(mask, expected)
    out = layout(np.full(shape, 7.0))
    if isinstance(out, np.ndarray) and out.flags.writeable:
        given_out, _ = fd.dropout(layout(x), 0.3, rng=source_class(3), out=out)
        assert given_out is out
        np.testing.assert_array_equal(out, np.where(expected, mask.scale, 0.0))


@pytest.mark.parametrize("shape", [70_001, (3, 23_333), (70_001, 1), (7, 1, 10_000)], ids=str)
def test_shape_blind(source_class, shape):
    """A mask is drawn in C order: its shape is another way to count."""
    drawn = kept(shape, 1 / 3, source_class(3)).ravel()
    np.testing.assert_array_equal(drawn, kept(drawn.size, 1 / 3, source_class(3)))


@pytest.mark.parametrize("n", [2**18 + 1, 2**19 + 4095, 3 * 2**19 - 77])
def test_thread_blind(source_class, n):
    """One thread or seven, for masks, arrays and bits, at a position that is no multiple."""
    x = np.random.default_rng(1).normal(size=n).astype(np.float32)

    def everything():
        source = source_class(3)
        source.position = 16384 * 3 + 77
        y, mask = fd.dropout(x, 1 / 3, rng=source)
        half, _ = fd.dropout(x[: n // 2].reshape(1, -1), 0.1, rng=source, noise_shape=(1, None))
        flags = fd.bernoulli(n, 0.1, rng=source)
        bits = fd.bernoulli(n, 0.1, rng=source, packed=True)
        packed = mask.packed()
        results = (y, half, flags, bits, packed.bits, packed.apply(x), np.asarray(mask))
        return [sha256(result) for result in results], source.position

    fd.set_num_threads(1)
    expected = everything()
    for threads in (2, 3, 7, 64):
        fd.set_num_threads(threads)
        assert everything() == expected, threads


@settings(max_examples=60)
@given(
    sources,
    positions,
    probabilities,
    st.lists(st.one_of(st.integers(0, 100), st.integers(0, 9000)), max_size=12),
    st.data(),
)
def test_chunk_blind(cls, position, p, sizes, data):
    """Additive: calls of n and of m elements draw what one of n + m does, in whatever way each is
    drawn, with whatever kernels.
    """
    source = source_at(cls, (1, 2), position)
    whole = kept(sum(sizes), p, source_at(cls, (1, 2), position))
    ways = {
        "seeded": lambda n: np.asarray(fd.dropout_mask(n, p, rng=source)),
        "packed": lambda n: np.asarray(fd.dropout_mask(n, p, rng=source, store="bits")),
        "bool": lambda n: ~fd.bernoulli(n, p, rng=source),
        "bits": lambda n: (
            ~np.unpackbits(
                fd.bernoulli(n, p, rng=source, packed=True), count=n, bitorder="little"
            ).astype(bool)
        ),
        "applied": lambda n: fd.dropout(np.ones(n), p, rng=source)[0] != 0,
        "in place": lambda n: _in_place(np.ones(n, np.float32), p, source),
        "strided": lambda n: fd.dropout(np.ones(2 * n)[::2], p, rng=source)[0] != 0,
        "shared": lambda n: (
            fd.dropout(np.ones((n, 3)), p, rng=source, noise_shape=(None, 1))[0][:, 1] != 0
        ),
    }
    at = 0
    for n in sizes:
        way = data.draw(st.sampled_from(sorted(ways)))
        with fd.use_simd(data.draw(levels)):
            np.testing.assert_array_equal(ways[way](n), whole[at : at + n], err_msg=way)
        at += n
        assert source.position == position + at


def _in_place(x, p, source):
    y, _ = fd.dropout(x, p, rng=source, out=x)
    assert y is x
    return x != 0


@settings(max_examples=40)
@given(sources, st.lists(st.tuples(positions, st.integers(0, 600)), min_size=2, max_size=8))
def test_a_source_forgets_where_it_was(cls, places):
    """What it remembers of its last mask is of no consequence, wherever it is sent."""
    source = cls(4)
    for position, n in places:
        source.position = position
        np.testing.assert_array_equal(kept(n, 0.3, source), kept_at(source, position, n, 0.3))
        bits = fd.bernoulli(n, 0.3, rng=source, packed=True)
        expected = ~kept_at(source, position + n, n, 0.3)
        np.testing.assert_array_equal(bits, np.packbits(expected, bitorder="little"))


def test_simd_blind(source_class):
    """Every level gives the same masks and the same floats, over all that a call can be."""
    x = np.random.default_rng(1).normal(size=(50, 41, 3))

    def everything():
        source = source_class(3)
        source.position = 16384 - 1000
        results = []
        for p in PROBABILITIES:
            for dtype in (*DTYPES, np.complex64, np.complex128):
                results.append(fd.dropout(x.astype(dtype), p, rng=source)[0])
            results.append(fd.dropout(x, p, rng=source, noise_shape=(50, 1, 3))[0])
            results.append(fd.dropout(x.T, p, rng=source)[0])
            results.append(fd.bernoulli(x.shape, p, rng=source))
            results.append(fd.bernoulli(x.shape, p, rng=source, packed=True))
            mask = fd.dropout_mask(x.shape, p, rng=source)
            results += [np.asarray(mask), mask.packed().bits, mask.backward(x), mask[3:, ::-2]]
            results.append(np.asarray(source.random_raw(3)))
        return [sha256(np.asarray(result)) for result in results], source.position

    expected = None
    for level in fd.simd_levels():
        with fd.use_simd(level):
            results = everything()
        assert expected is None or results == expected, level
        expected = results


# --- windowed ------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(sources, positions, probabilities, st.integers(0, 20_000), st.data())
def test_windowed(cls, position, p, n, data):
    """A window regenerates its own elements, from its place in the stream alone."""
    mask = fd.dropout_mask(n, p, rng=source_at(cls, (5, 6), position))
    a, b = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    expected = kept_at(source_at(cls, (5, 6), 0), position + a, b - a, p)
    with fd.use_simd(data.draw(levels)):
        window = mask[a:b]
        assert window.nbytes == 0
        np.testing.assert_array_equal(window, expected)
        np.testing.assert_array_equal(mask.packed()[a:b], expected)
        np.testing.assert_array_equal(window.apply(np.ones(b - a)) != 0, expected)


def test_windowed_in_many_axes(source_class):
    mask = fd.dropout_mask((20, 30, 40), 0.3, rng=source_class(5))
    whole = np.asarray(mask)
    for window in (
        np.s_[3],
        np.s_[-1, 4],
        np.s_[2, 3, 4],
        np.s_[5:9],
        np.s_[:, 7:8, 3:],
        np.s_[..., 5],
        np.s_[::-1, ::2, ::-3],
        np.s_[4:4],
        np.s_[...],
    ):
        np.testing.assert_array_equal(mask[window], whole[window])
        np.testing.assert_array_equal(mask.packed()[window], whole[window])


def test_windows_far_into_a_mask(source_class):
    """Of a mask that no machine could hold."""
    source = source_class(key=9)
    mask = fd.dropout_mask((2**30, 2**31), 1 / 3, rng=source)
    assert source.position == 2**61
    window = mask[2**29 + 5, 2**20 + 3 : 2**20 + 1003]
    at = (2**29 + 5) * 2**31 + 2**20 + 3
    np.testing.assert_array_equal(window, kept_at(source, at, 1000, 1 / 3))
    assert words_of(at, 2)[1] != 0
