# SPDX-License-Identifier: BSD-3-Clause
"""What several test files share: known answers, samples of floats, comparisons of bits."""

import csv
import hashlib
import json
from pathlib import Path

import ml_dtypes
import numpy as np

import fastdrop as fd
from fastdrop import _reference as reference

DATA = Path(__file__).parents[1] / "data"

SOURCES = (fd.Xoshiro256PlusPlus, fd.Xorshift128Plus, fd.Philox4x32)
LANED = (fd.Xoshiro256PlusPlus, fd.Xorshift128Plus)
BIT_GENERATORS = (
    np.random.PCG64,
    np.random.PCG64DXSM,
    np.random.SFC64,
    np.random.MT19937,
    np.random.Philox,
)
DTYPES = tuple(np.dtype(kind) for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64))

# One of each kind: exact in 8 bits, in 64, near both ends, never tied, with top byte 0 and 255.
PROBABILITIES = (0.1, 1 / 3, 0.5, 0.9, 1e-4, 1 - 1e-4)


def words_of(value, count=4):
    """Return an integer as ``count`` 32-bit words, lowest first."""
    return tuple(value >> 32 * i & 0xFFFFFFFF for i in range(count))


def value_of(words):
    """Return 32-bit words, lowest first, as an integer."""
    return sum(int(word) << 32 * i for i, word in enumerate(words))


def sha256(array):
    """Return the digest of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def hex_words(text, dtype=np.uint64):
    """Return words that are written in hexadecimal, with spaces between them."""
    return np.array([int(word, 16) for word in text.split()], dtype=dtype)


def random123_vectors(rounds=10):
    """Return (counter, key, words) of each published vector of Philox4x32."""
    lines = (DATA / "random123_philox4x32.txt").read_text().splitlines()
    vectors = []
    for line in lines:
        if not line.startswith("#"):
            _, number, *words = line.split()
            if int(number) == rounds:
                values = [int(word, 16) for word in words]
                vectors.append((values[:4], values[4:6], values[6:]))
    return vectors


def xorshift_vectors(generator):
    """Return (state, outputs) of each published vector of the xorshift family."""
    with (DATA / "xorshift_family.csv").open(newline="") as file:
        return [
            (hex_words(row["state_words_hex"]), hex_words(row["expected_words_hex"]))
            for row in csv.DictReader(file)
            if row["generator"] == generator
        ]


def stream_vectors():
    """Return the vectors of stream version 1."""
    return json.loads((DATA / "stream_v1.json").read_text())["vectors"]


def bytes_at(source, position, n):
    """Return what the twin says of a source's bytes."""
    return reference.stream_bytes(type(source).__name__, source.key, source.counter, position, n)


def kept_at(source, position, n, p=None, keep_prob=None):
    """Return what the twin says of a source's decisions."""
    threshold = reference.decision_threshold(p, keep_prob)
    return reference.kept(type(source).__name__, source.key, source.counter, position, n, threshold)


def kept_of(mask):
    """Return a mask as bools."""
    return np.asarray(mask)


def same_state(a, b):
    """Tell whether two states of bit generators, which are dicts of dicts and arrays, are equal."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[name], b[name]) for name in a)
    return np.array_equal(a, b)


def bits_of(x):
    """Return floats as unsigned integers of their width."""
    return x.view(f"u{x.dtype.itemsize}")


@np.errstate(invalid="ignore")  # ml_dtypes remarks upon signalling NaN
def is_nan(x):
    """Return where x is NaN."""
    return np.isnan(x)


def assert_same_floats(actual, expected):
    """Check for the same bits, the sign of zero too, but for NaN, whose payload is not said."""
    assert actual.dtype == expected.dtype
    if actual.dtype.kind == "c":
        actual, expected = (np.stack([z.real, z.imag]) for z in (actual, expected))
    nan = is_nan(expected)
    np.testing.assert_array_equal(is_nan(actual), nan)
    np.testing.assert_array_equal(bits_of(actual[~nan]), bits_of(expected[~nan]))


def every_kind_of_float(dtype, n, seed=5):
    """Return n floats of random bits: every size and sign, subnormal, infinite, NaN of any payload.

    All 65536 patterns come first where there are no more.
    """
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(seed)
    if dtype.itemsize == 2:
        patterns = np.resize(np.arange(1 << 16, dtype=np.uint16), n)
        return patterns.view(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    exponents = 8 if dtype.itemsize == 4 else 11
    fraction = 8 * dtype.itemsize - 1 - exponents
    patterns = rng.integers(2 ** (8 * dtype.itemsize) - 1, size=n, dtype=unsigned, endpoint=True)
    # A fifth each near the ends of the exponent: zero and subnormal, infinite and NaN.
    kind = rng.integers(5, size=n)
    low = unsigned.type(2**fraction - 1)
    top = unsigned.type((2**exponents - 1) << fraction)
    sign = unsigned.type(1 << (8 * dtype.itemsize - 1))
    patterns = np.where(kind == 0, patterns & (sign | low), patterns)
    patterns = np.where(kind == 1, patterns | top, patterns)
    few = [0, 1, low, low + 1, top, top - 1, top + 1, top | low, top | (low // 2 + 1)]
    special = np.array([*few, *(value | sign for value in map(unsigned.type, few))], unsigned)
    patterns[: special.size] = special[:n]
    return patterns.astype(unsigned).view(dtype)
