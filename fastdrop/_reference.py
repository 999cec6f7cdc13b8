# SPDX-License-Identifier: BSD-3-Clause
"""The slow NumPy twin of every stage: the executable specification of stream version 1.

Each compiled kernel is tested against this module bit for bit. It is written to be read, top to
bottom, in the order of the stages: source (words, then bytes), mask (decisions), apply.

A source is a pure function of a key (two uint32 words), a counter (four uint32 words, the lowest
first, added to modulo 2**128) and a position in its stream of bytes. Words are little endian on
every machine. Positions wrap around modulo 2**64.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.random import BitGenerator, SeedSequence
from numpy.typing import ArrayLike, NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Words: TypeAlias = NDArray[np.uint64]
Decisions: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]

BLOCK_BYTES = 16384  # the xorshift family is reseeded at every multiple of this position
LANES = 8  # 64-bit words in one step of the xorshift family
STEP_BYTES = 8 * LANES
PHILOX_BYTES = 16  # each counter gives as many
NUMPY_TIE_TAG = "fd:tienp"  # tie digits of masks drawn from NumPy's bit generators

_32 = np.uint64(32)
_LOW_32 = np.uint64(2**32 - 1)
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint64)
_NONZERO_WORD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SourceSpec:
    """What tells the addressable sources apart.

    Attributes
    ----------
    name : str
        Class name of the source.
    lane_words : int
        64-bit words in the state of a lane; 0 for Philox, which has no lanes.
    lanes_tag, tie_tag : str
        Eight ASCII characters that turn the key into the key of the lanes and of the tie digits.
    """

    name: str
    lane_words: int
    lanes_tag: str
    tie_tag: str


SOURCES = {
    spec.name: spec
    for spec in (
        SourceSpec("Philox4x32", 0, "", "fd:tieph"),
        SourceSpec("Xoshiro256PlusPlus", 4, "fd:xo256", "fd:tiexo"),
        SourceSpec("Xorshift128Plus", 2, "fd:xs128", "fd:tiexs"),
    )
}


# --- source: words -------------------------------------------------------------------------------


def philox4x32(counter: ArrayLike, key: ArrayLike, rounds: int = 10) -> NDArray[np.uint32]:
    """Philox4x32: uint32 counters (..., 4) and keys (..., 2) to words (..., 4).

    Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
    """
    x0, x1, x2, x3 = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    k0, k1 = np.moveaxis(np.asarray(key, dtype=np.uint64), -1, 0)
    for _ in range(rounds):
        a, b = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0, x1, x2, x3 = (b >> _32) ^ x1 ^ k0, b & _LOW_32, (a >> _32) ^ x3 ^ k1, a & _LOW_32
        k0, k1 = (k0 + _WEYL[0]) & _LOW_32, (k1 + _WEYL[1]) & _LOW_32
    return np.stack(np.broadcast_arrays(x0, x1, x2, x3), axis=-1).astype(np.uint32)


def _rotate_left(word: Words, bits: int) -> Words:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@np.errstate(over="ignore")  # sums are modulo 2**64, which NumPy remarks upon for scalars
def xoshiro256plusplus_step(s: Words) -> tuple[Words, Words]:
    """One step of xoshiro256++, from lanes of shape (4, ...) to (new lanes, output words).

    Blackman & Vigna, "Scrambled linear pseudorandom number generators" (2021).
    """
    s0, s1, s2, s3 = s
    output = _rotate_left(s0 + s3, 23) + s0
    s2, s3, shifted = s2 ^ s0, s3 ^ s1, s1 << np.uint64(17)
    s1, s0 = s1 ^ s2, s0 ^ s3
    return np.stack([s0, s1, s2 ^ shifted, _rotate_left(s3, 45)]), output


@np.errstate(over="ignore")
def xorshift128plus_step(s: Words) -> tuple[Words, Words]:
    """One step of xorshift128+, from lanes of shape (2, ...) to (new lanes, output words).

    Vigna, "Further scramblings of Marsaglia's xorshift generators" (2017), with the shifts
    23, 18, 5; the output is the sum of the state before its update.
    """
    a, b = s
    output = a + b
    a = a ^ (a << np.uint64(23))
    return np.stack([b, a ^ b ^ (a >> np.uint64(18)) ^ (b >> np.uint64(5))]), output


_STEPS = {
    "Xoshiro256PlusPlus": xoshiro256plusplus_step,
    "Xorshift128Plus": xorshift128plus_step,
}


# --- source: identity, lanes, bytes --------------------------------------------------------------


def identity(
    seed: int | Sequence[int] | SeedSequence,
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Return key and counter of the source with this seed: 128 bits of `numpy.random.SeedSequence`.

    Parameters
    ----------
    seed : int, sequence of int, or numpy.random.SeedSequence

    Returns
    -------
    key : tuple of two int
    counter : tuple of four int
    """
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    w = [int(word) for word in seed.generate_state(4)]
    return (w[0], w[1]), (0, 0, w[2], w[3])


def _tagged(key: ArrayLike, tag: str) -> NDArray[np.uint32]:
    """Return the key, its eight bytes XORed with the eight ASCII bytes of the tag."""
    words = np.frombuffer(tag.encode("ascii"), dtype="<u4").astype(np.uint32)
    return np.asarray(key, dtype=np.uint32) ^ words


def _counter_plus(counter: Sequence[int], offsets: Words) -> NDArray[np.uint32]:
    """Add an array of uint64 to a counter modulo 2**128, giving uint32 words (..., 4)."""
    base = sum(int(word) << 32 * i for i, word in enumerate(counter))
    low = offsets + np.uint64(base % 2**64)
    high = np.uint64(base >> 64) + (low < offsets)  # the carry
    return np.stack([low, high], axis=-1).astype("<u8").view("<u4").astype(np.uint32)


def _philox_bytes(key: ArrayLike, counter: Sequence[int], blocks: Words) -> Bytes:
    """Return 16-byte blocks (an array of uint64) of the Philox stream: uint8 (..., 16)."""
    return philox4x32(_counter_plus(counter, blocks), key).astype("<u4").view(np.uint8)


def _without_zero_lanes(s: Words) -> Words:
    """Replace word 0 of the lanes (k, ...) that are all zero: zero is a fixed point."""
    s = s.copy()
    s[0][(s == 0).all(axis=0)] = _NONZERO_WORD
    return s


def _block_lanes(spec: SourceSpec, key: ArrayLike, counter: Sequence[int], blocks: Words) -> Words:
    """Return the lanes at the start of 16 KiB blocks (an array of uint64): uint64 (k, blocks, 8).

    Word j of lane l in block n is the 64-bit word 8j + l of the bytes [64kn, 64k(n+1)) of the
    Philox stream whose key is tagged.
    """
    k = spec.lane_words
    within = np.arange(STEP_BYTES * k // PHILOX_BYTES, dtype=np.uint64)
    philox_blocks = blocks[:, None] * np.uint64(within.size) + within
    words = _philox_bytes(_tagged(key, spec.lanes_tag), counter, philox_blocks).view("<u8")
    s = words.reshape(len(blocks), k, LANES).astype(np.uint64)
    return _without_zero_lanes(np.moveaxis(s, 1, 0))


def lanes(source: str, key: ArrayLike, counter: Sequence[int], position: int) -> Words:
    """Return the lanes before the 64-byte step that contains the position: uint64 (8, k).

    This is ``state["s"]`` of a source of the xorshift family.
    """
    block, offset = divmod(int(position), BLOCK_BYTES)
    s = _block_lanes(SOURCES[source], key, counter, np.array([block], dtype=np.uint64))
    for _ in range(offset // STEP_BYTES):
        s, _ = _STEPS[source](s)
    return s[:, 0].T.copy()


def _xorshift_bytes(
    spec: SourceSpec, key: ArrayLike, counter: Sequence[int], blocks: Words, steps: int
) -> Bytes:
    """Return the first steps of blocks: step t gives the bytes 64t to 64t + 63, lane l word l."""
    s = _block_lanes(spec, key, counter, blocks)
    outputs = np.empty((len(blocks), steps, LANES), dtype="<u8")
    for t in range(steps):
        s, outputs[:, t] = _STEPS[spec.name](s)
    return outputs.view(np.uint8)


def stream_bytes(
    source: str, key: ArrayLike, counter: Sequence[int], position: int, n: int
) -> Bytes:
    """Return the bytes B(position), ..., B(position + n - 1) of a source.

    Parameters
    ----------
    source : str
        A name in `SOURCES`.
    key : sequence of two int
    counter : sequence of four int
    position : int
        In [0, 2**64).
    n : int

    Returns
    -------
    ndarray of uint8, shape (n,)
    """
    spec = SOURCES[source]
    size = BLOCK_BYTES if spec.lane_words else PHILOX_BYTES
    first, offset = divmod(int(position), size)
    blocks = np.arange(-(-(offset + n) // size), dtype=np.uint64) + np.uint64(first)
    blocks %= np.uint64(2**64 // size)
    if spec.lane_words:
        end = offset + n if len(blocks) == 1 else BLOCK_BYTES  # the rest of one block is not used
        stream = _xorshift_bytes(spec, key, counter, blocks, -(-end // STEP_BYTES))
    else:
        stream = _philox_bytes(key, counter, blocks)
    return stream.ravel()[offset : offset + n]


# --- mask ----------------------------------------------------------------------------------------


def _tie_digits_at(tag: str, key: ArrayLike, counter: Sequence[int], positions: Words) -> Words:
    """Return H(q): the top 56 bits of the first 64-bit word of philox(tagged key; counter + q)."""
    words = _philox_bytes(_tagged(key, tag), counter, positions).view("<u8")
    return words[:, 0].astype(np.uint64) >> np.uint64(8)


def tie_digits(source: str, key: ArrayLike, counter: Sequence[int], position: int, n: int) -> Words:
    """Return the digits H(position), ..., H(position + n - 1), which decide where bytes tie.

    The source is a name in `SOURCES` or a tag such as ``"fd:tienp"``, the other parameters are
    those of `stream_bytes`. Gives uint64 (n,), each below 2**56.
    """
    tag = SOURCES[source].tie_tag if source in SOURCES else source
    positions = np.arange(n, dtype=np.uint64) + np.uint64(position)
    return _tie_digits_at(tag, key, counter, positions)


def decision_threshold(p: float | None = None, keep_prob: float | None = None) -> int:
    """Return the integer ceil(D) in [0, 2**64]: an element is dropped where its uniform U < D.

    D is the real number p * 2**64, or 2**64 - keep_prob * 2**64; U is an integer below 2**64, so
    U < D where U < ceil(D). Computed with integers, hence exact.
    """
    if keep_prob is None:
        numerator, denominator = float(p).as_integer_ratio()  # type: ignore[arg-type]
        return -(-numerator * 2**64 // denominator)
    numerator, denominator = float(keep_prob).as_integer_ratio()
    return 2**64 - numerator * 2**64 // denominator


def decision_thresholds(
    shape: Sequence[int], p: ArrayLike | None = None, keep_prob: ArrayLike | None = None
) -> list[int]:
    """Return the threshold of each element, in C order; p or keep_prob broadcasts to the shape."""
    if keep_prob is None:
        assert p is not None
        return [decision_threshold(one) for one in np.broadcast_to(p, shape).ravel()]
    return [decision_threshold(None, one) for one in np.broadcast_to(keep_prob, shape).ravel()]


def _kept(
    heads: Bytes,
    tag: str,
    key: ArrayLike,
    counter: Sequence[int],
    position: int,
    threshold: int | Sequence[int],
) -> Decisions:
    """Compare U = head * 2**56 + H >= threshold; H is looked at only where the heads tie."""
    integers = np.asarray(threshold, dtype=object)  # up to 2**64
    head = np.broadcast_to(np.asarray(integers >> 56, dtype=np.uint16), heads.shape)
    rest = np.broadcast_to(np.asarray(integers % 2**56, dtype=np.uint64), heads.shape)
    kept: Decisions = heads > head
    tied = np.flatnonzero(heads == head)
    positions = tied.astype(np.uint64) + np.uint64(position)
    kept[tied] = _tie_digits_at(tag, key, counter, positions) >= rest[tied]
    return kept


def kept(
    source: str,
    key: ArrayLike,
    counter: Sequence[int],
    position: int,
    n: int,
    threshold: int | Sequence[int],
) -> Decisions:
    """Decide n elements drawn at a position: bool (n,), True where one is kept.

    The threshold is that of `decision_threshold`, or one for each element; the other parameters are
    those of `stream_bytes`.
    """
    heads = stream_bytes(source, key, counter, position, n)
    return _kept(heads, SOURCES[source].tie_tag, key, counter, position, threshold)


def numpy_kept(bit_generator: BitGenerator, n: int, threshold: int | Sequence[int]) -> Decisions:
    """Decide n elements with a bit generator of NumPy, as ``draws="bytes"`` does.

    For n > 0 it takes 1 + ceil(n / 8) words: the first is the key of the tie digits, the rest are
    the bytes, of which those left over are dropped.
    """
    if n == 0:
        return np.empty(0, dtype=bool)
    interface = bit_generator.ctypes
    with bit_generator.lock:
        words = [interface.next_uint64(interface.state) for _ in range(1 + -(-n // 8))]
    key = words[0] % 2**32, words[0] >> 32
    heads = np.array(words[1:], dtype="<u8").view(np.uint8)[:n]
    return _kept(heads, NUMPY_TIE_TAG, key, (0, 0, 0, 0), 0, threshold)


def heads(p: ArrayLike | None = None, keep_prob: ArrayLike | None = None) -> Bytes:
    """Return the byte of each element whose ties are looked at: greater ones are kept, smaller not.

    The thresholds are in [head, head + 1] times 2**56, so that ties may be decided by digits alone.
    """
    values = np.asarray(p if keep_prob is None else keep_prob, np.float64)
    whole = np.minimum(np.floor(256 * values), 255).astype(np.uint8)
    return whole if keep_prob is None else ~whole


def pack(kept: Decisions) -> Bytes:
    """Pack a mask: one bit for each element in C order, the lowest first, pad bits 0."""
    return np.packbits(kept, axis=None, bitorder="little")


def _through(points: Sequence[tuple[Fraction, Fraction]]) -> list[Fraction]:
    """Return the coefficients, lowest first, of the polynomial through points (x, y)."""
    coefficients = [Fraction(0)] * len(points)
    for x, y in points:
        term = [y]
        for other, _ in points:
            if other != x:
                shifted = zip([Fraction(0), *term], [*term, Fraction(0)], strict=True)
                term = [(a - other * b) / (x - other) for a, b in shifted]
        coefficients = [a + b for a, b in zip(coefficients, term, strict=True)]
    return coefficients


@functools.cache
def normal_table() -> Floats:
    """Return the polynomials of `normal`: (32, 6), one of degree 5 for each octave of t.

    That of the octave t = 2**k * m, 1 <= m < 2, is a function of m. It goes through z at both ends
    and at four more places, those of Chebyshev; so the octaves join. Its coefficients are rounded
    to float32, the lowest first. There is one number in the last octave, 2**31, where z is 0.
    """
    inverse = NormalDist().inv_cdf
    places = [Fraction(1000 + thousandths, 1000) for thousandths in (0, 134, 366, 634, 866, 1000)]
    table = np.zeros((32, len(places)), np.float32)
    for k in range(31):
        z = [-Fraction(inverse(float(m * Fraction(2) ** (k - 32)))) for m in places]
        table[k] = [float(c) for c in _through(list(zip(places, z, strict=True)))]
    return table


def normal(words: NDArray[np.uint32]) -> Floats:
    """Return the inverse of the normal distribution at 32-bit words, as float32.

    A word with its lowest bit set is an odd signed number; its magnitude t, rounded to float32, is
    2**32 times the probability beyond. Every operation is rounded to float32.
    """
    numbers = (words | np.uint32(1)).view(np.int32).astype(np.float32)
    m, exponent = np.frexp(np.abs(numbers))
    coefficients = normal_table()[exponent - 1].T
    m = 2 * m
    z = coefficients[5]
    for coefficient in coefficients[4::-1]:
        z = z * m + coefficient
    result: Floats = np.copysign(z, numbers)
    return result


def gaussian_factors(words: NDArray[np.uint32], p: float) -> Floats:
    """Return the factors of mean 1 and variance p / (1 - p), as float32."""
    deviation = np.float32(np.sqrt(p / (1 - p)))
    return np.float32(1) + deviation * normal(words)


# --- apply ---------------------------------------------------------------------------------------


def scale_factor(p: float | None = None, keep_prob: float | None = None) -> float:
    """Return 1 / (1 - p) or 1 / keep_prob in double precision; infinite at p = 1."""
    present = 1.0 - float(p) if keep_prob is None else float(keep_prob)  # type: ignore[arg-type]
    return 1.0 / present if present else np.inf


@np.errstate(all="ignore")
def kept_factors(
    dtype: np.dtype[Any],
    p: NDArray[np.float64] | None = None,
    keep_prob: NDArray[np.float64] | None = None,
    factor: NDArray[np.float64] | None = None,
) -> NDArray[Any]:
    """Return the factors of kept elements of arrays of a dtype, in the dtype of their products.

    They are 1 / (1 - p), 1 / keep_prob or what is given; 1 where nothing is ever kept, at p = 1.
    """
    if p is not None:
        keep_prob = np.asarray(1.0 - p)
    if keep_prob is not None:
        factor = np.where(keep_prob > 0.0, 1.0 / keep_prob, 1.0)
    assert factor is not None
    return factor.astype(_wide(np.empty(0, dtype)))


def _wide(x: NDArray[Any]) -> np.dtype[Any]:
    """Return the dtype that arrays of x's are computed in: float32 for those of 16 bits."""
    return np.dtype(np.float32) if x.dtype.name in ("float16", "bfloat16") else x.dtype


@np.errstate(all="ignore")
def apply(x: ArrayLike, kept: Decisions, factor: float | NDArray[np.float64]) -> NDArray[Any]:
    """Multiply the kept elements by the factor and make the others +0.0, whatever they held.

    The factor is rounded to the dtype of x, the product once; complex numbers are multiplied by
    component, float16 and bfloat16 in float32. (At p = 1 nothing is kept, unless a caller says
    so of elements; these pass as they are, which is the factor 1.)

    Parameters
    ----------
    x : ndarray of float16, bfloat16, float32, float64, complex64 or complex128
    kept : ndarray of bool, broadcastable to the shape of x
    factor : float, or ndarray of float64, broadcastable to the shape of x

    Returns
    -------
    ndarray of the shape and dtype of x
    """
    x = np.asarray(x)
    y = np.zeros_like(x)
    if x.dtype.kind == "c":
        y.real, y.imag = apply(x.real, kept, factor), apply(x.imag, kept, factor)
        return y
    wide = _wide(x)
    product = (x.astype(wide) * np.asarray(factor, dtype=wide)).astype(x.dtype)
    np.copyto(y, product, where=kept)
    return y


def scale_each(x: NDArray[Any], kept: Decisions, factors: NDArray[Any]) -> NDArray[Any]:
    """Return the products of x and as many factors where kept, else +0."""
    return np.where(kept, multiply(x, factors), np.zeros((), x.dtype))


@np.errstate(all="ignore")
def affine(
    x: NDArray[Any], kept: Decisions, factor: float, shift: float, dropped: float
) -> NDArray[Any]:
    """Return ``x * factor + shift`` where kept, else the number ``dropped``.

    All three numbers are rounded to the dtype of x; product and sum are rounded one by one, but
    for float16 and bfloat16, which are computed in float32 and rounded once.
    """
    wide = _wide(x)
    moved = x.astype(wide) * wide.type(factor) + wide.type(shift)
    result: NDArray[Any] = np.where(kept, moved, wide.type(dropped))
    return result.astype(x.dtype)


@np.errstate(all="ignore")
def add(
    x: NDArray[Any],
    kept: Decisions,
    factor: float,
    other: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return ``other + apply(x + bias, kept, factor)``, in float32 where x has 16 bits."""
    wide = _wide(x)
    summed = x.astype(wide) if bias is None else x.astype(wide) + bias.astype(wide)
    result: NDArray[Any] = other.astype(wide) + apply(summed, kept, factor)
    return result.astype(x.dtype)


def select(x: NDArray[Any], kept: Decisions, other: NDArray[Any]) -> NDArray[Any]:
    """Return x where kept, else other."""
    return np.where(kept, x, other)


@np.errstate(all="ignore")
def relu(
    x: NDArray[Any], kept: Decisions, factor: float, bias: NDArray[Any] | None = None
) -> tuple[NDArray[Any], Decisions]:
    """Return ``apply(relu(x + bias), kept, factor)``, and where that was kept and not cut off.

    NaN is not cut off: it passes, as through NumPy's maximum. The sum is not rounded to 16 bits.
    """
    z = x if bias is None else x.astype(_wide(x)) + bias.astype(_wide(x))
    passed = kept & ~(z <= 0)
    return apply(z, passed, factor).astype(x.dtype), passed


@np.errstate(all="ignore")
def multiply(x: NDArray[Any], factors: NDArray[Any]) -> NDArray[Any]:
    """Return x times factors, rounded once; both parts of complex numbers."""
    if x.dtype.kind == "c":
        y = np.empty_like(x)
        y.real, y.imag = multiply(x.real, factors), multiply(x.imag, factors)
        return y
    wide = _wide(x)
    result: NDArray[Any] = x.astype(wide) * factors.astype(wide)
    return result.astype(x.dtype)


# --- attention -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ExponentialSpec:
    """The constants of the exponential in one dtype."""

    magic: float  # 1.5 times the power of two above which numbers are whole
    least: float  # below, x is taken to be this
    zero: int  # the whole number n whose power 2**n is taken to be 0
    ln2: tuple[float, float]  # in two parts, so that whole multiples of the first are exact
    degree: int
    group: int  # numbers whose sums are kept apart


_EXPONENTIALS = {
    "float32": _ExponentialSpec(12582912.0, -88.0, -127, (0.693359375, -2.12194440e-4), 7, 16),
    "float64": _ExponentialSpec(
        6755399441055744.0,
        -709.0,
        -1023,
        (0.693147180369123816490, 1.90821492927058770002e-10),
        13,
        8,
    ),
}


@np.errstate(all="ignore")
def exponential(x: NDArray[Any]) -> NDArray[Any]:
    """Return e**x for x up to a little above 0, of float32 or float64, by sums and products.

    With n the whole number next to x / ln(2), e**x is 2**n e**r, and e**r a Taylor polynomial.
    """
    spec, number = _EXPONENTIALS[x.dtype.name], x.dtype.type
    magic, ln2 = number(spec.magic), [number(part) for part in spec.ln2]
    clipped = np.where(number(spec.least) > x, number(spec.least), x)
    n = (clipped * number(np.log2(np.e)) + magic) - magic
    r = (clipped - n * ln2[0]) - n * ln2[1]
    total = np.full_like(x, number(1) / number(math.factorial(spec.degree)))
    for k in reversed(range(spec.degree)):
        total = total * r + number(1) / number(math.factorial(k))
    power = np.where(n == spec.zero, number(0), np.ldexp(number(1), _whole(n)))
    result: NDArray[Any] = total * power
    return result


def _whole(n: NDArray[Any]) -> NDArray[np.int32]:
    return np.where(np.isfinite(n), n, 0).astype(np.int32)


def _sum_by_places(numbers: NDArray[Any]) -> Any:
    """Return the sum of a row: for each place of a group first, these are folded at the end."""
    group = _EXPONENTIALS[numbers.dtype.name].group
    places = np.zeros(group, numbers.dtype)
    for row in numbers.reshape(-1, group):
        places = places + row
    while len(places) > 1:
        places = places[: len(places) // 2] + places[len(places) // 2 :]
    return places[0]


@np.errstate(all="ignore")
def softmax(
    scores: NDArray[Any], kept: Decisions, before: float = -np.inf
) -> tuple[NDArray[Any], float, float]:
    """Return (kept weights times their sum, largest score, 1 / sum) of a part of a row.

    The length is a multiple of 16. ``before`` is the largest of scores before these. The largest is
    0, and so is 1 / sum, where all scores are -inf.
    """
    number = scores.dtype.type
    largest = number(max(scores[~np.isnan(scores)], default=before))
    largest = max(largest, number(before))
    largest = number(0) if largest == -np.inf else largest
    weights = exponential(scores - largest)
    total = _sum_by_places(weights)
    inverse = number(0) if total == 0 else number(1) / total
    return np.where(kept, weights, number(0)), float(largest), float(inverse)


@np.errstate(all="ignore")
def softmax_weights(
    scores: NDArray[Any],
    gradients: NDArray[Any],
    kept: Decisions,
    largest: float,
    inverse: float,
    factor: float,
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return (weights, their gradients, the sum of the products of both) of a row.

    ``gradients`` are those of the dropped weights.
    """
    number = scores.dtype.type
    weights = exponential(scores - number(largest)) * number(inverse)
    of_weights = np.where(kept, gradients * number(factor), number(0))
    return weights, of_weights, float(_sum_by_places(weights * of_weights))


@np.errstate(all="ignore")
def softmax_backward(
    weights: NDArray[Any],
    of_weights: NDArray[Any],
    kept: Decisions,
    factor: float,
    scale: float,
    delta: float,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (dropped weights, gradients of the products of query and key) of a row.

    ``of_weights`` and ``delta``, of the whole row, are what `softmax_weights` gives.
    """
    number = weights.dtype.type
    dropped = np.where(kept, weights * number(factor), number(0))
    return dropped, weights * (of_weights - number(delta)) * number(scale)


# --- norms ---------------------------------------------------------------------------------------

NORM_PLACES = {"float32": 32, "float64": 16}  # numbers of a row whose sums are kept apart
NORM_CHUNKS = 64  # the most parts of all rows, whose sums over rows are kept apart
NORM_ELEMENTS = 1 << 15  # what a part has at least


@np.errstate(all="ignore")
def joined(
    x: NDArray[Any],
    kept: Decisions,
    factor: float,
    residual: NDArray[Any],
    linear_bias: NDArray[Any] | None,
) -> NDArray[Any]:
    """Return ``residual + (kept ? (x + linear_bias) * factor : 0)``, not rounded to x's dtype."""
    wide = _wide(x)
    branch = x.astype(wide)
    if linear_bias is not None:
        branch = branch + linear_bias.astype(wide)
    zero = wide.type(0)
    result: NDArray[Any] = residual.astype(wide) + np.where(kept, branch * wide.type(factor), zero)
    return result


def _means(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of each row: sums of places first, which are folded at the end."""
    places = NORM_PLACES[numbers.dtype.name]
    rows, width = numbers.shape
    padded = np.zeros((rows, -(-width // places), places), numbers.dtype)
    padded.reshape(rows, -1)[:, :width] = numbers
    total = np.zeros((rows, places), numbers.dtype)
    for group in range(padded.shape[1]):
        total = total + padded[:, group]
    while total.shape[1] > 1:
        half = total.shape[1] // 2
        total = total[:, :half] + total[:, half:]
    result: NDArray[Any] = total / numbers.dtype.type(width)
    return result


@np.errstate(all="ignore")
def normalized(sums: NDArray[Any], eps: float, centered: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the normalized rows, and one over the deviation of each.

    The mean of what is left after the mean was subtracted says what rounding had left out of it.
    """
    mean = shift = np.zeros((len(sums), 1), sums.dtype)
    if centered:
        mean = _means(sums)
    away = sums - mean
    variance = _means(away * away)
    if centered:
        shift = _means(away)
        variance = variance - shift * shift
        variance = np.where(variance < 0, sums.dtype.type(0), variance)
    inverse = (1.0 / np.sqrt(variance.astype(np.float64) + eps)).astype(sums.dtype)
    return (away - shift) * inverse, inverse


@np.errstate(all="ignore")
def norm(
    sums: NDArray[Any],
    weight: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    eps: float,
    centered: bool,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return the norm of sums over the last axis, rounded to ``dtype``."""
    rows, _ = normalized(sums.reshape(-1, sums.shape[-1]), eps, centered)
    if weight is not None:
        rows = rows * weight.astype(sums.dtype)
    if bias is not None:
        rows = rows + bias.astype(sums.dtype)
    return rows.astype(dtype).reshape(sums.shape)


def _sum_of_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the sum over rows: those of a chunk one by one, then chunks and their neighbours."""
    count, width = rows.shape
    step = max(-(-count // NORM_CHUNKS), NORM_ELEMENTS // width + 1)
    sums = []
    for first in range(0, count, step):
        total = np.zeros(width, rows.dtype)
        for row in rows[first : first + step]:
            total = total + row
        sums.append(total)
    while len(sums) > 1:
        pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
        sums = [pair[0] + pair[1] if len(pair) > 1 else pair[0] for pair in pairs]
    return sums[0]


@np.errstate(all="ignore")
def norm_backward(
    dy: NDArray[Any],
    sums: NDArray[Any],
    kept: Decisions,
    factor: float,
    weight: NDArray[Any] | None,
    dtotal: NDArray[Any] | None,
    eps: float,
    centered: bool,
) -> tuple[NDArray[Any], ...]:
    """Return (dx, dresidual, dweight, dbias, dlinear_bias); the last three are not rounded."""
    wide, width = sums.dtype, sums.shape[-1]
    rows, inverse = normalized(sums.reshape(-1, width), eps, centered)
    of_y = dy.astype(wide).reshape(-1, width)
    gradient = of_y if weight is None else of_y * weight.astype(wide)
    mean = _means(gradient) if centered else np.zeros_like(inverse)
    of_sum = ((gradient - mean) - rows * _means(gradient * rows)) * inverse
    if dtotal is not None:
        of_sum = of_sum + dtotal.astype(wide).reshape(-1, width)
    all_kept = np.broadcast_to(kept, dy.shape).reshape(-1, width)
    dx = np.where(all_kept, of_sum * wide.type(factor), wide.type(0))
    return (
        dx.astype(dy.dtype).reshape(dy.shape),
        of_sum.astype(dy.dtype).reshape(dy.shape),
        _sum_of_rows(of_y * rows),
        _sum_of_rows(of_y),
        _sum_of_rows(dx),
    )


# --- activations ---------------------------------------------------------------------------------

# The share of the normal distribution below -a is e**(-a * a / 2) times t times a polynomial in t,
# with t = 1 / (1 + a / 4): its coefficients, from t**0 on, made by tools/make_gelu_table.py.
GELU = {
    "float32": [
        0.09975179, 0.09941662, 0.09615087, 0.069011636, 0.09537557, -0.0036779593, 0.048318084,
        0.036615256, -0.056345463, 0.015383603,
    ],
    "float64": [
        0.09973557010387663, 0.09973556983946887, 0.09350210585723466, 0.0810349656839141,
        0.06350614776899742, 0.04321725613067316, 0.023616019479006024, 0.005864963379556649,
        0.0032696963836554745, -0.03072241832130962, 0.0680096565489385, -0.17592946165709222,
        0.3317856140129587, -0.4670310516161868, 0.4778805031969773, -0.27548256352588485,
        -0.04922290379091282, 0.2670277219048097, -0.26991779697144513, 0.1544424516474848,
        -0.054406282913560956, 0.011096471880184597, -0.0010122350213441524,
    ],
}  # fmt: skip


def _magnitude(z: NDArray[Any]) -> NDArray[Any]:
    other = z.dtype.type(0) - z
    return np.where(z > other, z, other)


def _logistic(z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the share of the logistic distribution below z, and its density."""
    one = z.dtype.type(1)
    power = exponential(z.dtype.type(0) - _magnitude(z))
    near = one / (one + power)
    far = power * near
    return np.where(~(z <= 0), near, far), near * far


def _normal_share(z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the same of the normal distribution."""
    number = z.dtype.type
    a, one = _magnitude(z), number(1)
    power = exponential(a * a * number(-0.5))
    t = one / (one + a * number(0.25))
    far = np.full_like(z, number(GELU[z.dtype.name][-1]))
    for coefficient in GELU[z.dtype.name][-2::-1]:
        far = far * t + number(coefficient)
    far = far * t * power
    return np.where(~(z <= 0), one - far, far), power * number(0.3989422804014327)


def _activation(z: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return an activation of z and its derivative."""
    number = z.dtype.type
    if name == "gelu":
        share, density = _normal_share(z)
    elif name == "silu":
        share, density = _logistic(z)
    else:  # gelu_tanh: 2 sqrt(2 / pi) (z + 0.044715 z**3)
        square, linear = z * z, number(1.5957691216057308)
        share, density = _logistic(z * (square * number(0.07135481627260025) + linear))
        density = density * (square * number(0.21406444881780073) + linear)
    return z * share, share + z * density


@np.errstate(all="ignore")
def activate(
    x: NDArray[Any], kept: Decisions, factor: float, name: str, bias: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return ``kept ? activation(x + bias) * factor : 0``, rounded once."""
    wide = _wide(x)
    z = x.astype(wide) if bias is None else x.astype(wide) + bias.astype(wide)
    y = _activation(z, name)[0] * wide.type(factor)
    result: NDArray[Any] = np.where(kept, y, wide.type(0)).astype(x.dtype)
    return result


@np.errstate(all="ignore")
def activate_backward(
    dy: NDArray[Any],
    x: NDArray[Any],
    kept: Decisions,
    factor: float,
    name: str,
    bias: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return ``kept ? dy * factor * derivative(x + bias) : 0``, rounded once."""
    wide = _wide(x)
    z = x.astype(wide) if bias is None else x.astype(wide) + bias.astype(wide)
    dx = dy.astype(wide) * wide.type(factor) * _activation(z, name)[1]
    result: NDArray[Any] = np.where(kept, dx, wide.type(0)).astype(x.dtype)
    return result
