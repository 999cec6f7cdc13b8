# SPDX-License-Identifier: BSD-3-Clause
"""Every kernel of every instruction set gives the bits and the floats of its NumPy twin."""

import functools
from statistics import NormalDist

import numpy as np
import pytest
from helpers import (
    DTYPES,
    assert_same_floats,
    bits_of,
    every_kind_of_float,
    kept_at,
    words_of,
)

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop.kernels import _kernels, _testing

KEY = (0x12345678, 0x9ABCDEF0)
LAST_STEP = 2**58  # 64 bytes a step, 2**64 bytes a stream
BLOCK_STEPS = 256

# Where the 128-bit counter carries: out of its first, second and last word, and the last one.
COUNTERS = {
    "0": 0,
    "2**32": 2**32 - 5,
    "2**64": 2**64 - 5,
    "2**64 - 8": 2**64 - 8,
    "2**96": 2**96 - 5,
    "2**128": 2**128 - 5,
    "random": 0x0123456789ABCDEF_FEDCBA9876543210,
}
LENGTHS = (0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096)


def levels_agree(run):
    """Return what ``run()`` returns, after checking that it is the same bits at every level."""
    results = []
    for name in fd.simd_levels():
        with fd.use_simd(name):
            results.append(run())
    for name, result in zip(fd.simd_levels(), results, strict=True):
        assert result.dtype == results[0].dtype, name
        assert result.tobytes() == results[0].tobytes(), name
    return results[0]


def test_every_level_is_used():
    """The levels are the machine's own, the slowest first, and use_simd switches the table."""
    levels = fd.simd_levels()
    assert levels[0] == "scalar"
    assert len(set(levels)) == len(levels)
    before = _kernels.get_level()
    for name in levels:
        with fd.use_simd(name):
            assert _kernels.get_level() == name
    assert _kernels.get_level() == before


# --- source: fill --------------------------------------------------------------------------------


@functools.cache
def twin_steps(source, key, counter, step, steps):
    return reference.stream_bytes(source, key, words_of(counter), 64 * step, 64 * steps)


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS.keys())
def test_fill(level, source, counter):
    """Three blocks and a little, from their start, for counters that carry."""
    steps = 3 * BLOCK_STEPS + 5
    filled = _testing.fill(source, KEY, words_of(counter), 0, steps)
    np.testing.assert_array_equal(filled, twin_steps(source, KEY, counter, 0, steps))


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("word", [2**64, 2**128], ids=["2**64", "2**128"])
def test_fill_where_any_counter_of_a_batch_carries(level, source, word):
    for before in range(1, 20):
        filled = _testing.fill(source, KEY, words_of(word - before), 0, 3)
        np.testing.assert_array_equal(filled, twin_steps(source, KEY, word - before, 0, 3))


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("key", [(0, 0), (2**32 - 1, 2**32 - 1), (0x783A6466, 0x3635326F)], ids=str)
def test_fill_with_any_key(level, source, key):
    """Keys of zeros and ones; and the one that the tag of xoshiro256++ turns to zeros."""
    filled = _testing.fill(source, key, words_of(3), 1, 300)
    np.testing.assert_array_equal(filled, twin_steps(source, key, 3, 1, 300))


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("step", [0, 1, 2, 63, 64, 65, 255, 256, 257, 511])
def test_fill_of_any_steps(level, source, step):
    """Any start and any length, over the ends of blocks."""
    stream = twin_steps(source, KEY, 7, 0, 4 * BLOCK_STEPS)
    for steps in (0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 255, 256, 257):
        filled = _testing.fill(source, KEY, words_of(7), step, steps)
        np.testing.assert_array_equal(filled, stream[64 * step : 64 * (step + steps)])


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("counter", [0, 2**60, 2**64 - 2**60 + 9, 2**128 - 1], ids=hex)
@pytest.mark.parametrize("end", [2**32, 2**50 + 77, LAST_STEP], ids=hex)
def test_fill_far_away(level, source, end, counter):
    """Far into the stream, and up to its last byte."""
    first = end - BLOCK_STEPS - 3
    filled = _testing.fill(source, KEY, words_of(counter), first, BLOCK_STEPS + 3)
    expected = twin_steps(source, KEY, counter, first, BLOCK_STEPS + 3)
    np.testing.assert_array_equal(filled, expected)


# --- mask: threshold -----------------------------------------------------------------------------

THRESHOLDS = {
    "0": 0,
    "1": 1,
    "2**56 - 1": 2**56 - 1,
    "2**56": 2**56,
    "p=1e-4": reference.decision_threshold(1e-4),
    "p=0.1": reference.decision_threshold(0.1),
    "p=1/3": reference.decision_threshold(1 / 3),
    "2**63 - 1": 2**63 - 1,
    "2**63": 2**63,
    "2**63 + 1": 2**63 + 1,
    "p=0.9": reference.decision_threshold(0.9),
    "2**64 - 2**56": 2**64 - 2**56,
    "2**64 - 1": 2**64 - 1,
}


def twin_threshold(heads, value, key, counter, position):
    """Compare whole uniforms, with the tie digits of a key that is already tagged."""
    positions = np.arange(heads.size, dtype=np.uint64) + np.uint64(position)
    digits = reference._philox_bytes(key, words_of(counter), positions).view("<u8")[:, 0]
    uniforms = (heads.astype(np.uint64) << np.uint64(56)) + (digits >> np.uint64(8))
    return reference.pack(uniforms >= np.uint64(value))


def check_threshold(heads, value, counter=0, position=0):
    kept = _testing.threshold(heads.tobytes(), heads.size, value, KEY, words_of(counter), position)
    np.testing.assert_array_equal(kept, twin_threshold(heads, value, KEY, counter, position))


@functools.cache
def random_heads():
    heads = np.random.default_rng(1).integers(256, size=4096, dtype=np.uint8)
    heads.flags.writeable = False
    return heads


@pytest.mark.parametrize("value", THRESHOLDS.values(), ids=THRESHOLDS.keys())
def test_threshold(level, value):
    """Random bytes, at every awkward length; pad bits are 0."""
    for n in LENGTHS:
        check_threshold(random_heads()[:n], value, position=n)


@pytest.mark.parametrize("value", THRESHOLDS.values(), ids=THRESHOLDS.keys())
def test_threshold_of_every_byte(level, value):
    """Signed or unsigned, less or at most: every byte against the top byte, its neighbours too."""
    top = value >> 56
    every = np.arange(256, dtype=np.uint8)
    near = np.tile(np.array([max(top - 1, 0), top, min(top + 1, 255)], np.uint8), 50)
    check_threshold(every, value)
    check_threshold(near, value)


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 66, 129, 1000, 4032, 4033, 4095, 4096])
@pytest.mark.parametrize(
    "value", [1, 0x1999999999999A00, 0x5555555555555400, 2**63 + 2**55, 2**64 - 1], ids=hex
)
def test_threshold_where_all_bytes_tie(level, value, n):
    """As many ties as there can be: nothing is lost, at p of any size."""
    check_threshold(np.full(n, value >> 56, np.uint8), value, position=n)


@pytest.mark.parametrize("ties", [*range(1, 20), 60, 64])
def test_threshold_of_any_number_of_ties(level, ties):
    """Ties anywhere in groups of 64, few and many: batches of 8, and parts of them."""
    value = 0x80AA_AAAA_AAAA_AAAA
    rng = np.random.default_rng(ties)
    heads = rng.choice(np.array([0, 0x7F, 0x81, 0xFF], np.uint8), size=640)
    for group in range(0, 640, 64):
        heads[group + rng.permutation(64)[:ties]] = 0x80
    check_threshold(heads, value, position=ties)
    check_threshold(heads[: 640 - ties], value, position=ties)


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS.keys())
@pytest.mark.parametrize(
    "position", [0, 3, 2**32 - 3, 2**63 - 3, 2**64 - 2000, 2**64 - 1000], ids=hex
)
def test_tie_digits_of_any_place(level, counter, position):
    """Counter plus position carries through all four words, between one tie and the next."""
    check_threshold(np.full(1000, 0x55, np.uint8), 0x5555555555555400, counter, position)


def test_one_tie_is_decided_by_all_its_digits(level):
    """Thresholds one below, at and one above an element's uniform: exact to the last bit."""
    heads = random_heads()[:200]
    digits = reference._philox_bytes(KEY, words_of(9), np.arange(200, dtype=np.uint64) + 5)
    for i in (0, 7, 64, 199):
        uniform = int(heads[i]) << 56 | int(digits.view("<u8")[i, 0]) >> 8
        for value, kept in ((uniform - 1, 1), (uniform, 1), (uniform + 1, 0)):
            bits = _testing.threshold(heads.tobytes(), 200, value, KEY, words_of(9), 5)
            assert bits[i // 8] >> i % 8 & 1 == kept


# --- source and mask: decide ---------------------------------------------------------------------


def check_decide(source, value, counter, position, lengths):
    ties_key = reference._tagged(KEY, reference.SOURCES[source].tie_tag)
    runs = _testing.decide(source, KEY, words_of(counter), position, lengths, value, ties_key)
    stream = source, KEY, words_of(counter), position, sum(lengths)
    bounds = np.cumsum(lengths)[:-1]
    for run, kept in zip(runs, np.split(reference.kept(*stream, value), bounds), strict=True):
        np.testing.assert_array_equal(run, reference.pack(kept))


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("value", THRESHOLDS.values(), ids=THRESHOLDS.keys())
def test_decide(level, source, value):
    """Every threshold, for elements that start and end inside of a step, and for all of a tile."""
    for position, n in ((0, 8192), (7, 8192), (64, 64), (65, 62), (65, 63), (65, 64), (3, 1)):
        check_decide(source, value, 9, position, [n])


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("position", [0, 1, 63, 64, 16320, 16383, 16384, 16385])
def test_decide_goes_on_where_it_ended(level, source, position):
    """The lanes are left where the next run needs them: inside of a step and at a block's end."""
    lengths = [0, 1, 1, 62, 63, 64, 65, 127, 128, 0, 200, 3, 8192, 5, 8000, 192, 8192]
    check_decide(source, reference.decision_threshold(0.1), 3, position, lengths)


@pytest.mark.parametrize("source", reference.SOURCES)
@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS.keys())
@pytest.mark.parametrize("position", [2**32 - 300, 2**60 + 5, 2**64 - 8100], ids=hex)
def test_decide_far_away(level, source, counter, position):
    """Up to the last element of a stream, for counters that carry."""
    check_decide(source, reference.decision_threshold(1 / 3), counter, position, [8000, 99])


# --- mask: a probability for each element --------------------------------------------------------

MEANINGS = ("p", "keep_prob")
SMALL_LENGTHS = (*range(20), 63, 64, 65, 1000)


def test_every_meaning_is_tested():
    assert set(_testing.MEANINGS) == {*MEANINGS, "factor"}


@functools.cache
def every_probability():
    """Whole 256ths and their neighbours, the smallest and the largest numbers, and any."""
    whole = np.arange(257) / 256
    values = [whole, np.nextafter(whole, 0), np.nextafter(whole, 1), 2.0 ** -np.arange(1075.0)]
    return np.concatenate([*values, np.random.default_rng(1).random(5000)])


def test_probabilities(level):
    values = every_probability()
    for n in SMALL_LENGTHS:
        copy, right = _testing.probabilities(values[values.size - n :])
        assert right
        assert np.array_equal(copy, values[values.size - n :])
    for wrong in (np.nan, -np.nan, np.nextafter(1, 2), 2.0, np.inf, -5e-324, -1.0, -np.inf):
        for n in (1, 7, 8, 9, 40):
            for place in {0, n // 2, n - 1}:
                several = values[1:n].copy()
                several = np.insert(several, place, wrong)
                assert not _testing.probabilities(several)[1]
    assert _testing.probabilities(np.array([-0.0]))[1]


@pytest.mark.parametrize("meaning", MEANINGS)
def test_heads(level, meaning):
    values = every_probability()
    expected = reference.heads(**{meaning: values})
    np.testing.assert_array_equal(_testing.heads(values, meaning), expected)
    for n in SMALL_LENGTHS:
        np.testing.assert_array_equal(_testing.heads(values[:n], meaning), expected[:n])


@pytest.mark.parametrize("meaning", MEANINGS)
def test_heads_leave_digits_to_decide(meaning):
    """Every threshold lies in the 2**56 that begin at the head, both ends included."""
    values = every_probability()
    thresholds = reference.decision_thresholds(values.shape, **{meaning: values})
    heads = reference.heads(**{meaning: values}).tolist()
    limits = [value - (head << 56) for value, head in zip(thresholds, heads, strict=True)]
    assert min(limits) == 0
    assert max(limits) == 2**56


def test_compare(level):
    every = np.arange(256, dtype=np.uint8)
    pairs = [np.tile(every, 256), np.repeat(every, 256)]
    cases = [[part.reshape(-1, 4096)[i] for part in pairs] for i in range(16)]
    cases += [random_heads()[:n].reshape(-1, 1)[:, [0, 0]].T for n in LENGTHS]
    for stream, heads in (*cases, *((a[:n], b[:n]) for a, b in cases[:1] for n in SMALL_LENGTHS)):
        kept, equal = _testing.compare(stream.tobytes(), heads.tobytes())
        np.testing.assert_array_equal(kept, reference.pack(stream >= heads))
        np.testing.assert_array_equal(equal, reference.pack(stream == heads))


@pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS.keys())
@pytest.mark.parametrize("position", [0, 2**32 - 3, 2**64 - 9000, 2**64 - 8192], ids=hex)
def test_digits(level, counter, position):
    index = np.random.default_rng(1).permutation(8192).astype(np.uint16)[:300]
    positions = index.astype(np.uint64) + np.uint64(position)
    words = reference._philox_bytes(KEY, words_of(counter), positions).view("<u8")[:, 0]
    for n in (0, 1, 7, 8, 9, 300):
        digits = _testing.digits(KEY, words_of(counter), position, index[:n])
        np.testing.assert_array_equal(digits, words[:n] >> np.uint64(8))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("meaning", [*MEANINGS, "factor"])
def test_factors(level, meaning, dtype):
    values = every_probability()
    if meaning == "factor":
        values = np.append(values, [2.0, 1e38, 1e39, 1e308, np.finfo(float).max, np.inf])
    expected = reference.kept_factors(dtype, **{meaning: values})
    assert_same_floats(_testing.factors(values, meaning, dtype.name), expected)
    for n in SMALL_LENGTHS:
        factors = _testing.factors(values[values.size - n :], meaning, dtype.name)
        assert_same_floats(factors, expected[values.size - n :])


# --- mask: unpack --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", LENGTHS)
def test_unpack(level, n):
    bits = np.random.default_rng(n).integers(256, size=(n + 7) // 8 + 8, dtype=np.uint8)
    unpacked = _testing.unpack(bits, n)
    np.testing.assert_array_equal(unpacked, np.unpackbits(bits, count=n, bitorder="little"))


def test_unpack_every_byte_everywhere(level):
    bits = np.concatenate([np.roll(np.arange(256, dtype=np.uint8), shift) for shift in range(8)])
    unpacked = _testing.unpack(bits, 8 * bits.size)
    np.testing.assert_array_equal(unpacked, np.unpackbits(bits, bitorder="little"))


# --- apply ---------------------------------------------------------------------------------------

FACTORS = (1.0, 2.0, 1 / 0.9, 1 / (1 - 1 / 3), 1 / 3, 0.1, 1 / (1 - 0.9999), 2.0**-14, 1e30)
MARGIN = 64

past_caches = pytest.mark.parametrize("past_caches", [False, True], ids=["", "past_caches"])


def packed_kept(n, seed=2):
    """Decisions, as bools and as bits; the pad bits are set, and nothing follows them."""
    kept = np.random.default_rng(seed).random(n) < 0.6
    padded = np.append(kept, np.ones(-n % 8, bool))
    return kept, reference.pack(padded)


def aligned(n, dtype, offset=0):
    """An array whose address is ``offset`` elements past a multiple of 64."""
    dtype = np.dtype(dtype)
    room = np.zeros((n + offset) * dtype.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64 + offset * dtype.itemsize
    return room[start : start + n * dtype.itemsize].view(dtype)


def applied(bits, x, factor, past_caches=False, offset=0, operation="scale", **operands):
    """Run the kernel; whatever lies before and behind its output stays as it was."""
    room = aligned(x.size + 2 * MARGIN, x.dtype, offset)
    room[:] = 7
    out = room[MARGIN : MARGIN + x.size]
    _testing.apply(operation, bits, x, factor, out, past_caches=past_caches, **operands)
    assert np.all(room[:MARGIN] == 7)
    assert np.all(room[MARGIN + x.size :] == 7)
    return out.copy()


@past_caches
@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: f"{factor:.4g}")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_apply(dtype, factor, past_caches):
    """Floats of every kind; of half-width types, all 65536 patterns, kept and dropped.

    What becomes of a NaN's payload is not said, but it is the same at every level.
    """
    x = every_kind_of_float(dtype, 1 << 16)
    kept, bits = packed_kept(x.size)
    y = levels_agree(lambda: applied(bits, x, factor, past_caches))
    assert_same_floats(y, reference.apply(x, kept, factor))
    inverse = levels_agree(lambda: applied(~bits, x, factor, past_caches))
    assert_same_floats(inverse, reference.apply(x, ~kept, factor))
    assert not bits_of(y[~kept]).any()
    assert not bits_of(inverse[kept]).any()


@past_caches
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_apply_at_any_length_and_offset(level, dtype, past_caches):
    """No group of elements is special: any length, any alignment of x, no write past the end."""
    numbers = every_kind_of_float(dtype, 4096 + 64)[::-1].copy()
    for n in (*range(68), 127, 128, 129, 1000, 4095, 4096):
        kept, bits = packed_kept(n, seed=n)
        for offset in (0, 1, 3, 17):
            x = numbers[offset : offset + n]
            y = applied(bits, x, 1 / 0.9, past_caches)
            assert_same_floats(y, reference.apply(x, kept, 1 / 0.9))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_apply_in_place_and_to_any_alignment(level, dtype):
    numbers = every_kind_of_float(dtype, 200)[::-1].copy()
    for n in (1, 7, 8, 15, 16, 17, 31, 32, 33, 100):
        kept, bits = packed_kept(n, seed=n)
        for offset in range(33):
            x = numbers[offset : offset + n]
            expected = numbers.copy()
            expected[offset : offset + n] = reference.apply(x, kept, 1 / 0.9)
            y = applied(bits, x, 1 / 0.9, offset=offset)
            assert_same_floats(y, expected[offset : offset + n])
            same = aligned(200, dtype)
            same[:] = numbers
            part = same[offset : offset + n]
            _testing.apply("scale", bits, part, 1 / 0.9, part)
            assert_same_floats(same, expected)


# The other operations: what the twin makes of x, the kept elements, and two more arrays.
AFFINE = {"shift": 0.37, "dropped": -1.1}
OPERATIONS = {
    "scale_each": lambda x, kept, other, bias: reference.scale_each(x, kept, factors_like(other)),
    "affine": lambda x, kept, other, bias: reference.affine(x, kept, 1 / 0.9, **AFFINE),
    "add": lambda x, kept, other, bias: reference.add(x, kept, 1 / 0.9, other),
    "add_bias": lambda x, kept, other, bias: reference.add(x, kept, 1 / 0.9, other, bias),
    "select": lambda x, kept, other, bias: reference.select(x, kept, other),
    "relu": lambda x, kept, other, bias: reference.relu(x, kept, 1 / 0.9)[0],
    "relu_bias": lambda x, kept, other, bias: reference.relu(x, kept, 1 / 0.9, bias)[0],
}
OPERATIONS |= {
    name: lambda x, kept, other, bias, name=name: reference.activate(x, kept, 1 / 0.9, name, bias)
    for name in ("gelu", "gelu_tanh", "silu")
}
OPERATIONS |= {
    f"{name}_backward": lambda x, kept, other, bias, name=name: reference.activate_backward(
        other, x, kept, 1 / 0.9, name, bias
    )
    for name in ("gelu", "gelu_tanh", "silu")
}


@np.errstate(all="ignore")  # signalling NaN
def factors_like(other):
    return other.astype(np.float64 if other.dtype == np.float64 else np.float32)


BACKWARD = ("gelu_backward", "gelu_tanh_backward", "silu_backward")
READS_OTHER = ("add", "add_bias", "select", *BACKWARD)
READS_BIAS = ("add_bias", "relu_bias", "gelu", "gelu_tanh", "silu", *BACKWARD)
operations = pytest.mark.parametrize("operation", OPERATIONS)


def test_every_operation_is_tested():
    assert set(_testing.OPERATIONS) == {"scale", *OPERATIONS}


def operands_of(operation, other, bias):
    operands = {"other": other} if operation in READS_OTHER else {}
    operands |= {"bias": bias} if operation in READS_BIAS else {}
    operands |= {"factors": factors_like(other)} if operation == "scale_each" else {}
    return operands | (AFFINE if operation == "affine" else {})


@past_caches
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@operations
def test_operation(level, operation, dtype, past_caches):
    """Over three arrays of floats of every kind. Of two NaNs, any may pass."""
    rng = np.random.default_rng(5)
    x = every_kind_of_float(dtype, 1 << 16)
    other, bias = rng.permutation(x), rng.permutation(x)
    kept, bits = packed_kept(x.size)
    operands = operands_of(operation, other, bias)
    y = applied(bits.copy(), x, 1 / 0.9, past_caches, operation=operation, **operands)
    assert_same_floats(y, OPERATIONS[operation](x, kept, other, bias))


@past_caches
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@operations
def test_operation_at_any_length_and_offset(level, operation, dtype, past_caches):
    x, other, bias = every_kind_of_float(dtype, 3 * 1100)[::-1].reshape(3, -1).copy()
    for n in (*range(35), 63, 64, 65, 1000):
        kept, bits = packed_kept(n, seed=n)
        for offset in (0, 1, 17):
            part = slice(offset, offset + n)
            operands = operands_of(operation, other[part], bias[part])
            changed = bits.copy()
            y = applied(changed, x[part], 1 / 0.9, past_caches, operation=operation, **operands)
            assert_same_floats(y, OPERATIONS[operation](x[part], kept, other[part], bias[part]))
            if operation in ("relu", "relu_bias"):
                left = np.unpackbits(changed, count=n, bitorder="little").view(bool)
                added = bias[part] if operation == "relu_bias" else None
                assert np.array_equal(left, reference.relu(x[part], kept, 1.0, added)[1])
            else:
                assert np.array_equal(changed, bits)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@operations
def test_operation_in_place(level, operation, dtype):
    """The result may take the place of x, or of the other array."""
    for n in (5, 16, 100):
        x, other, bias = every_kind_of_float(dtype, 3 * n)[::-1].reshape(3, -1).copy()
        kept, bits = packed_kept(n, seed=n)
        expected = OPERATIONS[operation](x, kept, other, bias)
        operands = operands_of(operation, other, bias)
        y = x.copy()
        _testing.apply(operation, bits.copy(), y, 1 / 0.9, y, **operands)
        assert_same_floats(y, expected)
        if operation in READS_OTHER:
            _testing.apply(operation, bits.copy(), x, 1 / 0.9, other, **operands)
            assert_same_floats(other, expected)


# --- Gaussian masks ------------------------------------------------------------------------------


def random_words(seed, n):
    return np.random.default_rng(seed).integers(2**32, size=n, dtype=np.uint32)


def edge_words():
    """Both ends, the powers of two between them, and all over each octave."""
    octaves = 2.0 ** np.arange(31)
    magnitudes = np.unique(
        np.concatenate(
            [
                np.arange(300),
                2**31 - np.arange(300),
                np.add.outer(octaves, [-1, 0, 1, 2, 3]).ravel(),
                np.multiply.outer(octaves, np.linspace(1, 2, 100)).ravel(),
            ]
        ).astype(np.int64)
    )
    signed = np.concatenate([magnitudes, -magnitudes])
    return signed[(signed >= -(2**31)) & (signed < 2**31)].astype(np.uint32)


@pytest.mark.parametrize("p", [0.0, 1e-3, 0.5, 0.9])
def test_normal(level, p):
    words = np.concatenate([edge_words(), random_words(1, 20000)])
    stream = words.astype("<u4").tobytes()
    factors = _testing.normal(stream, words.size, np.sqrt(p / (1 - p)))
    assert_same_floats(factors, reference.gaussian_factors(words, p))


def test_normal_of_any_number_of_words(level):
    words = random_words(2, 100)
    expected = reference.gaussian_factors(words, 0.5)
    for n in range(100):
        factors = _testing.normal(words.astype("<u4").tobytes(), n, 1.0)
        assert_same_floats(factors, expected[:n])


def test_normal_is_the_inverse_of_the_distribution():
    words = np.concatenate([edge_words(), random_words(3, 1000)])
    numbers = (words.view(np.int32) | 1).astype(np.float64)
    beyond = [NormalDist().inv_cdf(probability) for probability in np.abs(numbers) / 2**32]
    expected = np.copysign(beyond, numbers)
    np.testing.assert_allclose(reference.normal(words), expected, rtol=0, atol=6e-6)


def test_normal_never_falls():
    """Octaves meet: from word to word z falls by no more than the roundings of its sums."""
    numbers = np.sort(edge_words().view(np.int32))
    z = reference.normal(numbers[numbers >= 0].view(np.uint32))
    assert np.diff(z).max() < 6e-7


def check_product(multiply, x, offset, expected):
    """Check ``multiply(x, out)`` into memory that starts anywhere, and in place."""
    room = aligned(x.size + 2 * MARGIN, x.dtype, offset)
    room[:] = 7
    multiply(x, room[MARGIN : MARGIN + x.size])
    assert_same_floats(room[MARGIN : MARGIN + x.size], expected)
    assert np.all(room[:MARGIN] == 7)
    assert np.all(room[MARGIN + x.size :] == 7)
    same = x.copy()
    multiply(same, same)
    assert_same_floats(same, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_multiply(level, dtype):
    numbers = every_kind_of_float(dtype, 1 << 16)
    factors = every_kind_of_float(np.float32, numbers.size)
    for n, offset in [(numbers.size, 0), *((n, n % 5) for n in range(40))]:
        x = numbers[offset : offset + n]
        by = factors[: x.size]
        check_product(
            functools.partial(_testing.multiply, by), x, offset, reference.multiply(x, by)
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_multiply_normal(level, dtype):
    """`normal` and `multiply` in one pass, of all words and of any number of them."""
    words = np.concatenate([edge_words(), random_words(4, 5000)])
    numbers = every_kind_of_float(dtype, words.size)
    for n, offset in [(words.size, 0), *((n, n % 5) for n in range(100))]:
        x = numbers[offset : offset + n]
        by = words[: x.size]
        expected = reference.multiply(x, reference.gaussian_factors(by, 0.2))
        multiply = functools.partial(_testing.multiply_normal, by.astype("<u4").tobytes(), 0.5)
        check_product(multiply, x, offset, expected)


# --- the stages together -------------------------------------------------------------------------


@pytest.mark.parametrize("stored", ["seeded", "packed"])
@pytest.mark.parametrize("dtype", [*DTYPES, np.dtype(complex)], ids=str)
def test_tiles(level, dtype, stored):
    """Masks that start anywhere over outputs that start anywhere: tiles of every cut."""
    source = fd.Xoshiro256PlusPlus(3)
    size = 3 * 4096 + 200
    if dtype.kind == "c":
        numbers = every_kind_of_float(np.float64, 2 * size)[:-64].view(complex)
    else:
        numbers = every_kind_of_float(dtype, size)
    for position, first, n in (
        (0, 0, 2 * 4096),
        (0, 1, 2 * 4096),
        (5, 3, 2 * 4096 + 1),
        (63, 7, 2047),
        (64, 9, 2048),
        (16384 - 2000, 15, 2049),
        (16384 * 5 - 1, 2, 3 * 4096 + 7),
    ):
        source.position = position
        mask = fd.dropout_mask(first + n, 0.3, rng=source)
        mask = (mask.packed() if stored == "packed" else mask)[first:]
        kept = kept_at(source, position, first + n, 0.3)[first:]
        x = numbers[first : first + n]
        expected = reference.apply(x, kept, mask.scale)
        for offset in (0, 1, 5, 8):
            room = aligned(n + 2 * MARGIN, dtype, offset)
            room[:] = 7
            y = mask.apply(x, out=room[MARGIN : MARGIN + n])
            assert_same_floats(y, expected)
            assert np.all(room[:MARGIN] == 7)
            assert np.all(room[MARGIN + n :] == 7)


@pytest.mark.skipif(
    _kernels.get_build()["last_level_cache"] > 2**26, reason="takes much memory on this machine"
)
def test_arrays_beyond_the_caches():
    """Their results are stored in another way, and are the same."""
    n = _kernels.get_build()["last_level_cache"] // 4 + 1001
    x = np.random.default_rng(1).standard_normal(n, dtype=np.float32)
    mask = fd.dropout_mask(n, 1 / 3, rng=1)
    expected = np.where(mask, x * np.float32(mask.scale), np.float32(0))
    rates = np.array([0.0, 0.5, 1.0, 1 / 3, 0.9])
    several = fd.dropout_mask((n // 5, 5), rates, rng=1)
    own = reference.apply(x[: n // 5 * 5].reshape(-1, 5), np.asarray(several), several.scale)
    for offset in (0, 1):
        y = aligned(n, np.float32, offset)
        for name in fd.simd_levels():
            with fd.use_simd(name):
                y[:] = 7
                mask.apply(x, out=y)
                assert np.array_equal(y, expected), name
                part = y[: own.size].reshape(own.shape)
                several.apply(x[: own.size].reshape(own.shape), out=part)
                assert np.array_equal(part, own), name
