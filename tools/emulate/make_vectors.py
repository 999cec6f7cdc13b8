# SPDX-License-Identifier: BSD-3-Clause
"""Write what check_kernels.c compares the kernels with: inputs, and results of the NumPy twin.

Needs numpy alone: the twin, fastdrop/_reference.py, is loaded by its path.

The file is a sequence of records, all numbers 64 bits, little endian: kind, which (source or
dtype), n, key, counter (2), at (step, position or operation), value (threshold, scale or
deviation), and three times a length and as many bytes: kept bits (or factors), input, wanted
result.
"""

import importlib.util
import itertools
import struct
import sys
from pathlib import Path

import numpy as np

TWIN = Path(__file__).resolve().parents[2] / "fastdrop" / "_reference.py"
FILL, LANES, THRESHOLD, APPLY, UNPACK, DRAW, WORDS, OPERATE, NORMAL, MULTIPLY = range(10)
SOFTMAX, SOFTMAX_BACKWARD = 10, 11
PROBABILITIES, HEADS, COMPARE, DIGITS, FACTORS, SCALE_EACH = range(12, 18)
MULTIPLY_NORMAL, SOFTMAX_WEIGHTS = 18, 19
MEANINGS = ("p", "keep_prob", "factor")  # in the order of kernels.h
SOURCES = ("Philox4x32", "Xoshiro256PlusPlus", "Xorshift128Plus")
DTYPES = ("<u2", "<u2", "<u4", "<u8")  # bit patterns of float16, bfloat16, float32, float64
FLOATS = ("<f2", None, "<f4", "<f8")
LENGTHS = (0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1000)
SHIFT, DROPPED = 0.375, -1.25  # of the affine operation
SCALES = (1.0, 2.0, 1.5, 10 / 9, 1 / 3, 0.0, 3e4, 1e-5)  # products with 1.5 tie when rounded
TILE = 8192  # FD_TILE of kernels.h, the most decisions at once
NORMALS = 32  # FD_NORMALS of kernels.h, whose words are read together
TOP = 2**64 - 1

# Key, and counter: zeros, anything, and where an addition carries into the upper 64 bits or wraps.
IDENTITIES = (
    ((0, 0), (0, 0, 0, 0)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)),
    ((1, 2), (2**32 - 5, 2**32 - 1, 7, 0)),
    ((2**32 - 1, 2**32 - 1), (2**32 - 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)),
)

rng = np.random.Generator(np.random.PCG64(20260101))


def load_twin():
    """Return the module of the NumPy twin."""
    spec = importlib.util.spec_from_file_location("twin", TWIN)
    twin = sys.modules["twin"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    return twin


twin = load_twin()


def little(words):
    """Return 32-bit words, the lowest first, as one integer."""
    return sum(int(word) << 32 * i for i, word in enumerate(words))


def record(
    kind,
    which,
    n,
    identity=IDENTITIES[0],
    at=0,
    value=0,
    kept=b"",
    given=b"",
    wanted=b"",
):
    """Return one record."""
    key, counter = little(identity[0]), little(identity[1])
    head = struct.pack("<8Q", kind, which, n, key, counter & TOP, counter >> 64, at, value)
    return head + b"".join(struct.pack("<Q", len(blob)) + blob for blob in (kept, given, wanted))


def fills():
    """Bytes and lanes: inside blocks, across them, and at the end of the stream."""
    runs = ((0, 1), (1, 4), (254, 5), (5 * 256 + 17, 300), (2**40 + 3, 3), (2**58 - 3, 3))
    for (which, name), identity, (step, steps) in itertools.product(
        enumerate(SOURCES), IDENTITIES, runs
    ):
        made = twin.stream_bytes(name, *identity, 64 * step, 64 * steps)
        yield record(FILL, which, steps, identity, step, wanted=made.tobytes())
        if name in twin._STEPS:
            lanes = twin.lanes(name, *identity, 64 * step).T.astype("<u8")
            yield record(LANES, which, 0, identity, step, wanted=lanes.tobytes())


def thresholds():
    """Decisions from random bytes, from bytes of which many tie, and from nothing but ties."""
    values = [0, 1, 2**56 - 1, 2**56, TOP, *map(twin.decision_threshold, (0.1, 1 / 3, 0.5, 0.9))]
    positions = (0, 12345, 2**64 - TILE)
    lengths = itertools.cycle((*LENGTHS[1:], 4000, TILE))
    for value, identity, position in itertools.product(values, IDENTITIES, positions):
        top = value >> 56
        for low, high in ((0, 255), (max(top - 1, 0), min(top + 1, 255)), (top, top)):
            n = next(lengths)
            heads = rng.integers(low, high, n, np.uint8, endpoint=True)
            kept = twin._kept(heads, "fd:tieph", *identity, position, value)
            ties = twin._tagged(identity[0], "fd:tieph"), identity[1]
            groups = -(-n // 64)  # read and written whole; the bits that pad them are 0
            padding = np.full(64 * groups - n, top, np.uint8)
            yield record(
                THRESHOLD,
                0,
                n,
                ties,
                position,
                value,
                given=heads.tobytes() + padding.tobytes(),
                wanted=twin.pack(kept).tobytes().ljust(8 * groups, b"\0"),
            )


def double_bits(number):
    """Return the bits of a double as an integer."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    return bits


def bfloat16(x):
    """Round float32 to the bit patterns of bfloat16, to nearest even."""
    bits = x.view("<u4").astype(np.uint64)
    rounded = bits + 0x7FFF + (bits >> 16 & 1) >> 16
    return np.where(np.isnan(x), 0x7FC0, rounded).astype("<u2")


def numbers_of(which, patterns):
    """Return bit patterns as numbers; the twin's own bfloat16 needs ml_dtypes, so as float32."""
    if FLOATS[which]:
        return patterns.view(FLOATS[which])
    return (patterns.astype("<u4") << 16).view("<f4")


def patterns_of(which, numbers):
    """Return the bytes of numbers as a kernel writes them."""
    return (numbers if FLOATS[which] else bfloat16(numbers)).tobytes()


def applies():
    """Numbers of each dtype: every one of 16 bits, the special ones of the others, any."""
    for which, dtype in enumerate(DTYPES):
        size = np.dtype(dtype).itemsize
        if size == 2:
            whole = np.arange(2**16, dtype=dtype)
        else:
            finfo = np.finfo(FLOATS[which])
            numbers = np.array([0, finfo.smallest_subnormal, finfo.tiny, 1, finfo.max, np.inf])
            normal, infinity = numbers.astype(FLOATS[which]).view(dtype)[[2, 5]]
            quiet = infinity >> 1 & ~infinity  # the top bit of a NaN's payload
            special = [*numbers.astype(FLOATS[which]).view(dtype), normal - 1, infinity + 1]
            special += [infinity | quiet, infinity | quiet | 1]  # NaNs, as the one before
            special = np.array(special, dtype)
            anything = rng.integers(0, 2 ** (8 * size), 4096, dtype)
            whole = [special, special | 1 << 8 * size - 1, anything, anything % normal]
            whole = np.concatenate(whole).astype(dtype)
        cases = [(whole, scale, share) for scale in SCALES for share in (1.0, 0.5)]
        cases += [(rng.choice(whole, n), 10 / 9, 0.7) for n in LENGTHS]
        for patterns, scale, share in cases:
            kept = rng.random(patterns.size) < share
            result = twin.apply(numbers_of(which, patterns), kept, scale)
            yield record(
                APPLY,
                which,
                patterns.size,
                value=double_bits(scale),
                kept=twin.pack(kept).tobytes(),
                given=patterns.tobytes(),
                wanted=patterns_of(which, result),
            )


def operations():
    """Return those that follow `scale_each` in kernels.h as functions of the twin."""
    return (
        lambda x, kept, scale, other, bias: twin.affine(x, kept, scale, SHIFT, DROPPED),
        lambda x, kept, scale, other, bias: twin.add(x, kept, scale, other),
        lambda x, kept, scale, other, bias: twin.add(x, kept, scale, other, bias),
        lambda x, kept, scale, other, bias: twin.select(x, kept, other),
        lambda x, kept, scale, other, bias: twin.relu(x, kept, scale)[0],
    )


def operates():
    """Every operation on any numbers: x, other and bias one after the other."""
    for (which, dtype), (index, operation) in itertools.product(
        enumerate(DTYPES), enumerate(operations(), 2)
    ):
        for n in (*LENGTHS, 4096):
            given = rng.integers(0, np.iinfo(dtype).max, (3, n), dtype, endpoint=True)
            kept = rng.random(n) < 0.7
            x, other, bias = (numbers_of(which, patterns) for patterns in given)
            yield record(
                OPERATE,
                which,
                n,
                at=index,
                value=double_bits(10 / 9),
                kept=twin.pack(kept).tobytes(),
                given=given.tobytes(),
                wanted=patterns_of(which, operation(x, kept, 10 / 9, other, bias)),
            )


def normals():
    """Gaussian factors of any words, and of those at both ends; and what they multiply."""
    for p in (0.0, 0.1, 0.5, 0.9):
        words = rng.integers(0, 2**32, 4096, np.uint32)
        words[:200] = np.r_[:50, 2**31 - 50 : 2**31, 2**31 : 2**31 + 50, 2**32 - 50 : 2**32]
        factors = twin.gaussian_factors(words, p)
        deviation = double_bits(float(np.sqrt(p / (1 - p))))
        given, wanted = words.astype("<u4").tobytes(), factors.astype("<f4").tobytes()
        yield record(NORMAL, 2, words.size, value=deviation, given=given, wanted=wanted)
        for (which, dtype), n in itertools.product(enumerate(DTYPES), LENGTHS):
            patterns = rng.integers(0, np.iinfo(dtype).max, n, dtype, endpoint=True)
            result = twin.multiply(numbers_of(which, patterns), factors[:n])
            arrays = {"given": patterns.tobytes(), "wanted": patterns_of(which, result)}
            used = factors[:n].astype("<f4").tobytes()
            yield record(MULTIPLY, which, n, kept=used, **arrays)
            whole = words[: n + -n % NORMALS].astype("<u4").tobytes()
            yield record(MULTIPLY_NORMAL, which, n, value=deviation, kept=whole, **arrays)


def numbers():
    """Numbers that each element has: checked, as heads, and as factors; and what these multiply."""
    whole = np.arange(257) / 256
    values = [whole, np.nextafter(whole, 0), np.nextafter(whole, 1)[:-1]]
    values = np.concatenate([*values, 2.0 ** -np.arange(1075.0), rng.random(1000)])
    for n in (*LENGTHS, values.size):
        given = values[values.size - n :].astype("<f8")
        wanted = given.tobytes() + b"\1"
        yield record(PROBABILITIES, 3, n, given=given.tobytes(), wanted=wanted)
        for value, meaning in enumerate(MEANINGS[:2]):
            heads = twin.heads(**{meaning: given})
            yield record(HEADS, 3, n, value=value, given=given.tobytes(), wanted=heads.tobytes())
    for wrong, place in itertools.product((np.nan, 1 + 2**-52, -5e-324), (0, 9, 16)):
        given = np.insert(values[:16], place, wrong).astype("<f8").tobytes()
        yield record(PROBABILITIES, 3, 17, given=given, wanted=given + b"\0")
    given = np.append(values, [1e39, 1e308, np.inf]).astype("<f8")
    for (which, number), (value, meaning) in itertools.product(
        enumerate(("f4", "f4", "f4", "f8")), enumerate(MEANINGS)
    ):
        for n in (3, 16, given.size - 3 * (meaning != "factor")):
            factors = twin.kept_factors(np.dtype(number), **{meaning: given[:n]})
            wanted = factors.astype("<" + number).tobytes()
            yield record(FACTORS, which, n, value=value, given=given[:n].tobytes(), wanted=wanted)
    for (which, dtype), n in itertools.product(enumerate(DTYPES), (*LENGTHS, 4096)):
        patterns = rng.integers(0, np.iinfo(dtype).max, n, dtype, endpoint=True)
        factors = (1 / rng.random(n)).astype("<f8" if which == 3 else "<f4")
        kept = rng.random(n) < 0.7
        result = twin.scale_each(numbers_of(which, patterns), kept, factors)
        yield record(
            SCALE_EACH,
            which,
            n,
            kept=twin.pack(kept).tobytes(),
            given=patterns.tobytes() + factors.tobytes(),
            wanted=patterns_of(which, result),
        )


def compares():
    """Bytes and heads, and digits of ties."""
    for n in (*LENGTHS, TILE):
        size = -(-n // 64) * 64  # read and written in whole groups; the bits that pad them are 0
        heads = rng.integers(0, 256, size, np.uint8)
        near = heads.astype(int) + rng.integers(-1, 2, size)
        stream = np.clip(near, 0, 255).astype(np.uint8)
        bits = [twin.pack(kept[:n]).tobytes() for kept in (stream >= heads, stream == heads)]
        wanted = b"".join(part.ljust(size // 8, b"\0") for part in bits)
        given = stream.tobytes()
        yield record(COMPARE, 0, n, kept=heads.tobytes(), given=given, wanted=wanted)
    for identity, position in itertools.product(IDENTITIES, (0, 12345, 2**64 - TILE)):
        index = rng.integers(0, TILE, 64).astype("<u2")
        positions = index.astype(np.uint64) + np.uint64(position)
        digits = twin._tie_digits_at("fd:tieph", *identity, positions).astype("<u8")
        ties = twin._tagged(identity[0], "fd:tieph"), identity[1]
        yield record(DIGITS, 0, 64, ties, position, given=index.tobytes(), wanted=digits.tobytes())


def unpacks():
    """Bits to bytes."""
    for n in LENGTHS:
        kept = rng.random(n) < 0.5
        yield record(UNPACK, 0, n, kept=twin.pack(kept).tobytes(), wanted=kept.tobytes())


def draws():
    """Whole masks, longer than a tile and than the share of a thread, and words of 64 bits."""
    value = twin.decision_threshold(0.1)
    for (which, name), identity in itertools.product(enumerate(SOURCES), IDENTITIES):
        for position, n in ((0, 100), (77, 5000), (2**64 - 200002, 200001)):
            kept = twin.kept(name, *identity, position, n, value)
            packed = twin.pack(kept).tobytes()
            yield record(DRAW, which, n, identity, position, value, wanted=packed)
        for values, n in ((rng.random(3000), 3000), (rng.random(40), 40 * 1001)):
            values[:4] = 0.0, 1.0, 0.5, 1 / 3  # p, or keep_prob, of each element or of each row
            for keeps in (0, 1):
                name_of = "keep_prob" if keeps else "p"
                each = np.repeat(values, n // values.size)
                thresholds = twin.decision_thresholds((n,), **{name_of: each})
                packed = twin.pack(twin.kept(name, *identity, 77, n, thresholds)).tobytes()
                given = values.astype("<f8").tobytes()
                yield record(DRAW, which, n, identity, 77, keeps, given=given, wanted=packed)
        made = twin.stream_bytes(name, *identity, 16001, 8 * 300)
        yield record(WORDS, which, 300, identity, 16001, wanted=made.tobytes())


def softmaxes():
    """Rows of attention scores, some masked, and their derivatives."""
    factor, scale = 1 / 0.7, 0.125
    for which, n, at in itertools.product((2, 3), (0, 16, 48, 320), (0, 5, 8)):
        scores, gradients = (6 * rng.standard_normal((2, n))).astype(FLOATS[which])
        scores[rng.random(n) < 0.3] = -np.inf
        scores[:1] = -87.6 if which == 2 else -708.5  # where weights end
        kept = rng.random(at + n + 16) < 0.7
        packed, kept = twin.pack(kept).tobytes(), kept[at : at + n]
        weights, *row = twin.softmax(scores, kept)
        yield record(
            SOFTMAX,
            which,
            n,
            at=at,
            kept=packed,
            given=scores.tobytes(),
            wanted=weights.tobytes() + struct.pack("<2d", *row),
        )
        *results, delta = twin.softmax_weights(scores, gradients, kept, *row, factor)
        yield record(
            SOFTMAX_WEIGHTS,
            which,
            n,
            at=at,
            kept=packed,
            given=scores.tobytes() + gradients.tobytes() + struct.pack("<5d", *row, factor, 0, 0),
            wanted=b"".join(result.tobytes() for result in results) + struct.pack("<d", delta),
        )
        given = b"".join(result.tobytes() for result in results)
        results = twin.softmax_backward(*results, kept, factor, scale, delta)
        yield record(
            SOFTMAX_BACKWARD,
            which,
            n,
            at=at,
            kept=packed,
            given=given + struct.pack("<5d", 0, 0, factor, scale, delta),
            wanted=b"".join(result.tobytes() for result in results),
        )


def main(path):
    """Write the file."""
    masks = (thresholds, normals, numbers, compares, unpacks, draws)
    stages = (fills, *masks, applies, operates, softmaxes)
    Path(path).write_bytes(b"".join(vector for stage in stages for vector in stage()))


if __name__ == "__main__":
    main(sys.argv[1])
