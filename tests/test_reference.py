# SPDX-License-Identifier: BSD-3-Clause
"""The twin is right: it gives every published vector, every vector of stream version 1 and the
exact decisions and roundings that the specification states.
"""

import csv
import hashlib
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdrop import _reference as reference

DATA = Path(__file__).parent / "data"
KEY, COUNTER = reference.identity(2026)
ZERO = (0, 0, 0, 0)
SOURCES = list(reference.SOURCES)
LANED = [name for name, spec in reference.SOURCES.items() if spec.lane_words]
STEPS = {
    "xoshiro256plusplus": reference.xoshiro256plusplus_step,
    "xorshift128plus_23_18_5": reference.xorshift128plus_step,
}


def hex_words(text, dtype):
    return np.array([int(word, 16) for word in text.split()], dtype=dtype)


def counter_words(value):
    """The four words of an integer modulo 2**128."""
    return tuple((value >> shift) % 2**32 for shift in (0, 32, 64, 96))


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def philox_vectors():
    for line in (DATA / "random123_philox4x32.txt").read_text().splitlines():
        if not line.startswith("#"):
            _, rounds, *words = line.split()
            values = hex_words(" ".join(words), np.uint32)
            name = f"{rounds}-{words[0]}"
            yield pytest.param(int(rounds), values[:4], values[4:6], values[6:], id=name)


def family_vectors():
    with (DATA / "xorshift_family.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            s = hex_words(row["state_words_hex"], np.uint64)
            expected = hex_words(row["expected_words_hex"], np.uint64)
            yield pytest.param(row["generator"], s, expected, id=f"{row['generator']}-{s[0]}")


def stream_vectors():
    for vector in json.loads((DATA / "stream_v1.json").read_text())["vectors"]:
        fields = [vector[name] for name in ("source", "seed", "position") if name in vector]
        yield pytest.param(vector, id="-".join(map(str, fields)))


VECTORS = list(stream_vectors())
OWN = [vector for vector in VECTORS if vector.values[0]["source"] in reference.SOURCES]
NUMPYS = [vector for vector in VECTORS if vector not in OWN]


def place(vector):
    return vector["source"], vector["key"], vector["counter"], vector["position"]


# --- source: words -------------------------------------------------------------------------------


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), list(philox_vectors()))
def test_philox_gives_the_words_of_random123(rounds, counter, key, expected):
    words = reference.philox4x32(counter, key, rounds)
    assert words.dtype == np.uint32
    np.testing.assert_array_equal(words, expected)


def test_philox_broadcasts_counters_against_keys():
    rng = np.random.default_rng(1)
    counters = rng.integers(2**32, size=(3, 1, 4), dtype=np.uint32)
    keys = rng.integers(2**32, size=(2, 2), dtype=np.uint32)
    words = reference.philox4x32(counters, keys)
    assert words.shape == (3, 2, 4)
    for i, j in np.ndindex(3, 2):
        np.testing.assert_array_equal(words[i, j], reference.philox4x32(counters[i, 0], keys[j]))


@pytest.mark.parametrize("lanes", [(), (1,), (8,), (3, 8)], ids=str)
@pytest.mark.parametrize(("generator", "s", "expected"), list(family_vectors()))
def test_steps_give_the_published_outputs(generator, s, expected, lanes):
    s = np.broadcast_to(s.reshape(-1, *[1] * len(lanes)), (len(s), *lanes)).copy()
    for word in expected:
        s, output = STEPS[generator](s)
        assert output.shape == lanes
        assert np.all(output == word)


# --- source: stream version 1 --------------------------------------------------------------------


@pytest.mark.parametrize("vector", OWN)
def test_identity(vector):
    expected = tuple(vector["key"]), tuple(vector["counter"])
    assert reference.identity(vector["seed"]) == expected
    assert reference.identity([vector["seed"]]) == expected
    assert reference.identity(np.random.SeedSequence(vector["seed"])) == expected


@pytest.mark.parametrize("vector", OWN)
def test_bytes(vector):
    stream = reference.stream_bytes(*place(vector), 40_000)
    assert stream.dtype == np.uint8
    assert stream.shape == (40_000,)
    assert stream[:32].tobytes().hex() == vector["bytes_32"]
    assert sha256(stream) == vector["bytes_40000_sha256"]


@pytest.mark.parametrize("vector", OWN)
def test_tie_digits(vector):
    digits = reference.tie_digits(*place(vector), 3)
    assert [f"{digit:014x}" for digit in digits] == vector["tie_digits_3"]


@pytest.mark.parametrize("vector", OWN)
def test_kept(vector):
    for p, expected in vector["kept_packed_40000_sha256"].items():
        threshold = reference.decision_threshold(float(p))
        kept = reference.kept(*place(vector), 40_000, threshold)
        assert sha256(reference.pack(kept)) == expected, p


@pytest.mark.parametrize("vector", NUMPYS)
def test_numpy_kept(vector):
    for p, expected in vector["kept_packed_1001_sha256"].items():
        bit_generator = getattr(np.random, vector["source"])(vector["seed"])
        kept = reference.numpy_kept(bit_generator, 1001, reference.decision_threshold(float(p)))
        assert sha256(reference.pack(kept)) == expected, p


@pytest.mark.parametrize("vector", OWN)
def test_lanes(vector):
    """The vectors hold the lanes at the start of the block; those at the position follow."""
    source, key, counter, position = place(vector)
    if source not in LANED:
        assert "lanes_of_the_block" not in vector
        return
    expected = [hex_words(" ".join(lane), np.uint64) for lane in vector["lanes_of_the_block"]]
    start = position - position % reference.BLOCK_BYTES
    np.testing.assert_array_equal(reference.lanes(source, key, counter, start), expected)

    s = reference.lanes(source, key, counter, position)
    assert s.shape == (8, reference.SOURCES[source].lane_words)
    _, output = reference._STEPS[source](s.T)
    step = position - position % reference.STEP_BYTES
    stream = reference.stream_bytes(source, key, counter, step, reference.STEP_BYTES)
    np.testing.assert_array_equal(output, stream.view("<u8"))


@pytest.mark.parametrize("source", LANED)
def test_lanes_are_words_of_a_tagged_philox_stream(source):
    """Word j of lane l of block n is word 8j + l of the bytes [64kn, 64k(n+1)): by Python ints."""
    spec = reference.SOURCES[source]
    k, n = spec.lane_words, 5
    tagged = bytes(
        a ^ b
        for a, b in zip(
            b"".join(w.to_bytes(4, "little") for w in KEY), spec.lanes_tag.encode(), strict=True
        )
    )
    key = int.from_bytes(tagged[:4], "little"), int.from_bytes(tagged[4:], "little")
    seeds = reference.stream_bytes("Philox4x32", key, COUNTER, 64 * k * n, 64 * k).tobytes()
    s = reference.lanes(source, KEY, COUNTER, n * 16384)
    for lane in range(8):
        for j in range(k):
            at = 8 * (8 * j + lane)
            assert int(s[lane, j]) == int.from_bytes(seeds[at : at + 8], "little")


def test_zero_lanes_are_mended():
    s = np.arange(24, dtype=np.uint64).reshape(4, 6) % np.uint64(6)
    mended = reference._without_zero_lanes(s)
    assert mended[:, 0].tolist() == [0x9E3779B97F4A7C15, 0, 0, 0]
    np.testing.assert_array_equal(mended[:, 1:], s[:, 1:])
    assert not s[:, 0].any(), "the argument is left alone"


@pytest.mark.parametrize("source", LANED)
def test_zero_lanes_are_mended_in_the_stream(source, monkeypatch):
    def zeros(key, counter, blocks):
        return np.zeros((*blocks.shape, 16), dtype=np.uint8)

    monkeypatch.setattr(reference, "_philox_bytes", zeros)
    s = reference.lanes(source, KEY, COUNTER, 3 * 16384)
    assert np.all(s[:, 0] == 0x9E3779B97F4A7C15)
    assert not s[:, 1:].any()
    assert reference.stream_bytes(source, KEY, COUNTER, 0, 64).any()


def test_philox_bytes_are_the_words_of_successive_counters():
    stream = reference.stream_bytes("Philox4x32", KEY, COUNTER, 3, 100).tobytes()
    counters = [np.add(COUNTER, (block, 0, 0, 0)) for block in range(7)]
    words = reference.philox4x32(counters, KEY).ravel().tolist()
    assert stream == b"".join(word.to_bytes(4, "little") for word in words)[3:103]


# The counter grows by one for 16 bytes of Philox, for one tie digit and, since 64k bytes make the
# lanes of a block, by 4k for a block of 16 KiB.
@pytest.mark.parametrize(
    "value", [2**32, 2**64, 2**96, 2**128], ids=lambda v: f"2**{v.bit_length() - 1}"
)
def test_counters_carry_and_wrap(value):
    after = counter_words(value)
    for source, spec in reference.SOURCES.items():
        k = spec.lane_words
        before = counter_words(value - max(1, 4 * k))
        position = 16384 if k else 16
        np.testing.assert_array_equal(
            reference.stream_bytes(source, KEY, before, position, 200),
            reference.stream_bytes(source, KEY, after, 0, 200),
        )
        np.testing.assert_array_equal(
            reference.tie_digits(source, KEY, counter_words(value - 7), 7, 5),
            reference.tie_digits(source, KEY, after, 0, 5),
        )


@pytest.mark.parametrize("source", SOURCES)
def test_positions_wrap(source):
    end = 2**64 - 77
    np.testing.assert_array_equal(
        reference.stream_bytes(source, KEY, COUNTER, end, 200),
        np.concatenate(
            [
                reference.stream_bytes(source, KEY, COUNTER, end, 77),
                reference.stream_bytes(source, KEY, COUNTER, 0, 123),
            ]
        ),
    )
    np.testing.assert_array_equal(
        reference.tie_digits(source, KEY, COUNTER, end, 200),
        np.concatenate(
            [
                reference.tie_digits(source, KEY, COUNTER, end, 77),
                reference.tie_digits(source, KEY, COUNTER, 0, 123),
            ]
        ),
    )


def test_the_last_bytes_of_philox():
    counter = counter_words(sum(w << 32 * i for i, w in enumerate(COUNTER)) + 2**60 - 1)
    np.testing.assert_array_equal(
        reference.stream_bytes("Philox4x32", KEY, COUNTER, 2**64 - 16, 16),
        reference.philox4x32(counter, KEY).astype("<u4").view(np.uint8),
    )


@pytest.mark.parametrize("source", SOURCES)
def test_the_stream_is_additive(source):
    whole = reference.stream_bytes(source, KEY, COUNTER, 16384 - 70, 140)
    for cut in (0, 1, 6, 70, 139, 140):
        parts = [
            reference.stream_bytes(source, KEY, COUNTER, 16384 - 70, cut),
            reference.stream_bytes(source, KEY, COUNTER, 16384 - 70 + cut, 140 - cut),
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


# --- mask ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.0, 0),
        (-0.0, 0),
        (5e-324, 1),
        (2.0**-64, 1),
        (np.nextafter(2.0**-64, 1), 2),
        (0.1, 0x1999999999999A00),
        (1 / 3, 0x5555555555555400),
        (0.5, 2**63),
        (np.float32(0.1), 0x199999A000000000),
        (1 - 2.0**-53, 2**64 - 2**11),
        (1.0, 2**64),
        (1, 2**64),
    ],
    ids=str,
)
def test_decision_threshold_of_p(p, expected):
    threshold = reference.decision_threshold(p)
    assert type(threshold) is int
    assert threshold == expected == math.ceil(Fraction(float(p)) * 2**64)


@pytest.mark.parametrize(
    ("keep_prob", "expected"),
    [
        (0.0, 2**64),
        (5e-324, 2**64),
        (2.0**-64, 2**64 - 1),
        (1 / 3, 2**64 - 0x5555555555555400),
        (0.5, 2**63),
        (1 - 2.0**-53, 2**11),
        (1.0, 0),
    ],
    ids=str,
)
def test_decision_threshold_of_keep_prob(keep_prob, expected):
    threshold = reference.decision_threshold(keep_prob=keep_prob)
    assert threshold == expected == math.ceil(2**64 - Fraction(keep_prob) * 2**64)


@given(st.floats(0, 1), st.floats(0, 1))
def test_decision_threshold_relations(a, b):
    dropped, kept = reference.decision_threshold(a), reference.decision_threshold(keep_prob=a)
    inexact = (Fraction(a) * 2**64).denominator != 1
    assert dropped + kept == 2**64 + inexact
    if Fraction(1 - a) == 1 - Fraction(a):
        assert dropped == reference.decision_threshold(keep_prob=1 - a)
    assert (a <= b) <= (dropped <= reference.decision_threshold(b))


def uniforms(source, position, n):
    """U(i) = B * 2**56 + H as Python ints."""
    heads = reference.stream_bytes(source, KEY, COUNTER, position, n).tolist()
    digits = reference.tie_digits(source, KEY, COUNTER, position, n).tolist()
    return [head * 2**56 + rest for head, rest in zip(heads, digits, strict=True)]


@pytest.mark.parametrize("position", [0, 16384 - 500, 2**64 - 500])
@pytest.mark.parametrize("source", SOURCES)
def test_kept_compares_the_whole_uniform(source, position):
    u = uniforms(source, position, 1000)
    assert max(u) < 2**64
    thresholds = [0, 1, 2**63, 2**64 - 1, 2**64]
    thresholds += [u[i] + d for i in (3, 333, 999) for d in (-1, 0, 1)]
    for threshold in thresholds:
        kept = reference.kept(source, KEY, COUNTER, position, 1000, threshold)
        assert kept.dtype == np.bool_
        assert kept.tolist() == [value >= threshold for value in u]


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_masks_are_nested(a, b):
    low, high = sorted(reference.decision_threshold(p) for p in (a, b))
    few = reference.kept("Philox4x32", KEY, COUNTER, 11, 2000, high)
    many = reference.kept("Philox4x32", KEY, COUNTER, 11, 2000, low)
    assert np.all(few <= many)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000])
@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "SFC64", "Philox", "MT19937"])
def test_numpy_kept_takes_its_words_from_the_generator(name, n):
    make = getattr(np.random, name)
    bit_generator, twin = make(5), make(5)
    state, next_uint64 = twin.ctypes.state, twin.ctypes.next_uint64
    key_word, *words = (next_uint64(state) for _ in range(1 + -(-n // 8)))
    heads = b"".join(word.to_bytes(8, "little") for word in words)[:n]
    key = np.array([key_word % 2**32, key_word >> 32])
    digits = reference.tie_digits("fd:tienp", key, ZERO, 0, n).tolist()
    u = [head * 2**56 + rest for head, rest in zip(heads, digits, strict=True)]

    threshold = u[-1]
    kept = reference.numpy_kept(bit_generator, n, threshold)
    assert kept.tolist() == [value >= threshold for value in u]
    assert bit_generator.ctypes.next_uint64(bit_generator.ctypes.state) == next_uint64(state)


def test_numpy_kept_of_nothing_takes_nothing():
    bit_generator = np.random.PCG64(5)
    assert reference.numpy_kept(bit_generator, 0, 2**63).shape == (0,)
    assert bit_generator.random_raw() == np.random.PCG64(5).random_raw()


def test_pack_is_lowest_bit_first_in_c_order_with_zero_pad_bits():
    kept = np.zeros((3, 3), dtype=bool, order="F")
    kept[0, 1] = kept[2, 2] = True
    assert reference.pack(kept).tolist() == [0b10, 0b1]
    assert reference.pack(np.ones(11, dtype=bool)).tolist() == [0xFF, 0b111]
    assert reference.pack(np.ones(0, dtype=bool)).shape == (0,)


# --- apply ---------------------------------------------------------------------------------------


def test_scale_factor():
    assert reference.scale_factor(0.0) == reference.scale_factor(keep_prob=1) == 1.0
    assert reference.scale_factor(0.1) == 1.0 / (1.0 - 0.1)
    assert reference.scale_factor(keep_prob=0.9) == 1.0 / 0.9
    assert reference.scale_factor(1) == reference.scale_factor(keep_prob=0.0) == np.inf
    assert reference.scale_factor(keep_prob=5e-324) == np.inf


def assert_same_floats(actual, expected):
    """The same bits, the sign of zero too, but for NaN, whose payload is not specified."""
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(actual), nan)
    assert actual[~nan].tobytes() == expected[~nan].tobytes()


def real_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    return [np.dtype(t) for t in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]


def sample(dtype, n=4096):
    """Every size of number, with both zeros, infinities and NaN."""
    rng = np.random.default_rng(3)
    with np.errstate(over="ignore", under="ignore"):
        x = (rng.normal(size=n) * 2.0 ** rng.integers(-150, 130, size=n)).astype(dtype)
    x[:6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0]
    return x


@pytest.mark.parametrize("factor", [1.0, 2.0, 1 / 0.9, 1 / (1 - 1 / 3), 1e6])
@pytest.mark.parametrize("index", range(4), ids=["float16", "bfloat16", "float32", "float64"])
def test_apply_rounds_once(index, factor):
    """In double every product of the shorter types is exact, so one rounding remains to be done."""
    dtype = real_dtypes()[index]
    x, kept = sample(dtype), np.random.default_rng(4).random(4096) < 0.7
    y = reference.apply(x, kept, factor)
    assert y.dtype == dtype
    if dtype == np.float64:
        expected = x * factor
    else:
        with np.errstate(all="ignore"):
            expected = (x.astype(np.float64) * np.float64(np.float32(factor))).astype(np.float32)
            expected = expected.astype(dtype)
    assert_same_floats(y[kept], expected[kept])
    assert not y[~kept].view(np.uint8).any(), "exactly +0.0"


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_apply_multiplies_complex_numbers_by_component(dtype):
    real, imag = sample(np.dtype(dtype).type().real.dtype).reshape(2, 32, 64)
    x = np.empty((32, 64), dtype)
    x.real, x.imag = real, imag
    x[0, 0] = complex(np.inf, 0.0)  # a complex product would have a NaN here
    kept = np.random.default_rng(4).random((32, 64)) < 0.7
    kept[0, 0] = True
    y = reference.apply(x, kept, 1 / 0.9)
    assert y.dtype == dtype
    assert y[0, 0] == complex(np.inf, 0.0)
    assert_same_floats(y.real, reference.apply(x.real, kept, 1 / 0.9))
    assert_same_floats(y.imag, reference.apply(x.imag, kept, 1 / 0.9))
    assert not y[~kept].view(np.uint8).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_apply_at_p_1_multiplies_nothing(dtype):
    x = np.array([0.0, -0.0, -1.0, np.inf, np.nan], dtype=dtype)
    y = reference.apply(x, np.zeros(5, dtype=bool), reference.scale_factor(1.0))
    assert not y.view(np.uint8).any()
    assert reference.kept_factors(x.dtype, p=np.ones(1)) == 1.0
    assert reference.kept_factors(x.dtype, keep_prob=np.zeros(1)) == 1.0


def test_apply_takes_any_layout_and_broadcasts_the_mask():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    kept = np.array([True, False, True])[:, None]
    expected = np.where(kept, x * np.float32(1.5), np.float32(0))
    for view in (x, np.asfortranarray(x), np.repeat(x, 2, axis=2)[..., ::2], x.astype(">f4")):
        y = reference.apply(view, kept, 1.5)
        assert y.dtype == view.dtype
        np.testing.assert_array_equal(y, expected)
    scalar = reference.apply(np.array(2.0), np.array(True), 1.5)
    assert isinstance(scalar, np.ndarray)
    assert scalar.shape == ()
    assert scalar == 3.0
    assert reference.apply(np.empty((0, 3)), np.empty((0, 3), dtype=bool), 1.5).shape == (0, 3)


@pytest.mark.filterwarnings("error")
def test_apply_does_not_warn():
    for dtype in real_dtypes():
        reference.apply(sample(dtype), np.ones(4096, dtype=bool), 1e30)
