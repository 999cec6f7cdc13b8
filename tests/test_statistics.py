# SPDX-License-Identifier: BSD-3-Clause
"""Kept bits are independent with exactly the stated probability, as far as counts can tell.

In a normal run the seeds are fixed, so that nothing here fails by chance, and one source and one
probability stand for all. `pytest -m statistics` has the others; the nightly run has all of them,
with seeds of its own (support/seeds.py). Each check is a two-sided one at 4.5 standard deviations,
which a fair source fails with probability 7e-6; all checks of this file together (about 1500) would
fail a fair source for one in 100 choices of seeds, and at 5.5, the limit of a night, for one in
17,000.
"""

import math

import numpy as np
import pytest
from helpers import SOURCES
from seeds import first_by_day, limit, seed

import fastdrop as fd

LIMIT = limit(4.5)
LIMIT_OF_PAIRS = limit(5.9)  # 2016 pairs: as much for all of them together as 4.5 for one
N = 2**24
FEWER = 2**22  # where every element is looked at one by one
PROBABILITIES = (1 / 3, 0.1, 1e-4, 1 - 1e-4)
MAKERS = {
    **{cls.__name__: cls for cls in SOURCES},
    **{
        f"NumPySource({name})": lambda number, name=name: fd.NumPySource(
            getattr(np.random, name)(number)
        )
        for name in ("PCG64", "MT19937")
    },
}

every_source = first_by_day("make", MAKERS.values(), ids=MAKERS.keys())
every_class = first_by_day("source_class", SOURCES, ids=lambda cls: cls.__name__)


def assert_normal(deviations):
    """Check numbers of mean 0 and variance 1."""
    worst = np.max(np.abs(deviations))
    assert worst < LIMIT, f"{worst:.2f} standard deviations"


def deviation_of_chi_square(statistic, degrees):
    """Return a chi-square statistic as a standard deviate, by Wilson and Hilferty."""
    spread = 2 / (9 * degrees)
    return ((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def assert_counts(counts, expected):
    """Check counts, whose sum is given, against what is expected, by chi-square."""
    statistic = np.sum((counts - expected) ** 2 / expected)
    assert_normal(deviation_of_chi_square(statistic, np.size(counts) - 1))


def deviation_of_count(count, n, probability):
    """Return a binomial count as a standard deviate."""
    return (count - n * probability) / math.sqrt(n * probability * (1 - probability))


def count_bits(bits):
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


# --- how many ------------------------------------------------------------------------------------


@every_source
@first_by_day("p", PROBABILITIES)
def test_kept_counts(make, p):
    mask = fd.dropout_mask(N, p, rng=make(seed(1)), store="bits")
    assert_normal(deviation_of_count(count_bits(mask.bits), N, 1 - p))


@every_source
@first_by_day("prob", PROBABILITIES)
def test_true_counts(make, prob):
    drawn = fd.bernoulli(N, prob, rng=make(seed(2)), packed=True)
    assert_normal(deviation_of_count(count_bits(drawn), N, prob))


@pytest.mark.slow
@every_source
@first_by_day("p", PROBABILITIES)
def test_kept_counts_of_a_thousand_million(make, p):
    """2**30 draws, in chunks; the standard deviation of the rate is below 1.5e-5."""
    source, chunk = make(seed(3)), 2**25
    dropped = sum(
        count_bits(fd.bernoulli(chunk, p, rng=source, packed=True)) for _ in range(2**30 // chunk)
    )
    assert_normal(deviation_of_count(dropped, 2**30, p))


@pytest.mark.slow
@first_by_day("p", PROBABILITIES)
@every_class
def test_kept_counts_of_a_thousand_keys(source_class, p):
    """2**30 draws, 2**20 from each key: no key is better than another."""
    counts = [
        count_bits(fd.bernoulli(2**20, p, rng=source_class(key=key), packed=True))
        for key in range(1024)
    ]
    assert_normal(deviation_of_count(sum(counts), 2**30, p))
    variance = 2**20 * p * (1 - p)
    statistic = sum((count - 2**20 * p) ** 2 / variance for count in counts)
    assert_normal(deviation_of_chi_square(statistic, len(counts)))


# --- exactness -----------------------------------------------------------------------------------


@every_source
@first_by_day(
    "p", [0.1, 1 / 3, 1e-4, 1 - 1e-4, 0.5 + 2.0**-9, 0.25 + 2.0**-16], ids=lambda p: f"{p:.7g}"
)
def test_ties_are_decided_at_the_right_rate(make, p):
    """Among the bytes that are p's top one, the rest of p's digits is the rate of dropping.

    Masks are nested: the elements that one of p rounded down to 8 bits keeps and one of p rounded
    up drops are those that tie.
    """
    top = math.floor(256 * p)
    rest = 256 * p - top
    low, high = (fd.dropout_mask(N, t / 256, rng=make(seed(4))) for t in (top, top + 1))
    tied = np.asarray(low) & ~np.asarray(high)
    ties = np.count_nonzero(tied)
    assert_normal(deviation_of_count(ties, N, 1 / 256))
    dropped = np.count_nonzero(~np.asarray(fd.dropout_mask(N, p, rng=make(seed(4))))[tied])
    assert_normal(deviation_of_count(dropped, ties, rest))


@every_source
def test_ties_are_independent_of_their_neighbours(make):
    """Digits are hashed from the position: those of one tie say nothing about the next."""
    low, middle, high = (
        np.asarray(fd.dropout_mask(N, t / 512, rng=make(seed(5)))) for t in (256, 257, 258)
    )
    tied = np.flatnonzero(low & ~high)
    outcome = middle[tied] * 2.0 - 1
    for lag in (1, 2, 3, 4, 8):
        sums = np.dot(outcome[lag:], outcome[:-lag])
        assert_normal(sums / math.sqrt(outcome.size - lag))
    # The digits owe nothing to the place in a word, a step or a tile, nor to the elements around.
    for period in (8, 64, 4096):
        counts = np.bincount(tied % period, weights=outcome, minlength=period)
        sizes = np.bincount(tied % period, minlength=period)
        assert_normal(deviation_of_chi_square(np.sum(counts**2 / sizes), period))
    inner = (tied > 0) & (tied < N - 1)
    for neighbour in (tied[inner] - 1, tied[inner] + 1):
        signs = low[neighbour] * 2.0 - 1
        assert_normal(np.dot(outcome[inner], signs) / math.sqrt(signs.size))


@every_class
def test_tie_digits_are_uniform(source_class):
    """More and more of the tied elements are dropped, at the rate that each p states."""
    masks = [
        np.asarray(fd.dropout_mask(FEWER, (128 + i / 16) / 256, rng=source_class(seed(6))))
        for i in range(17)
    ]
    kept = np.array([np.count_nonzero(mask) for mask in masks])
    counts = kept[:-1] - kept[1:]
    assert_counts(counts, counts.sum() / 16)


# --- independence --------------------------------------------------------------------------------

# Neighbours; places in a word, a step, a chunk of words, a tile and a block.
LAGS = (*range(1, 17), 24, 32, 63, 64, 65, 128, 256, 512, 1024, 4095, 4096, 8192, 16384, 32768)


def signs(make, p, number):
    """Kept elements as numbers of mean 0 and variance 1, of two values."""
    kept = np.asarray(fd.dropout_mask(FEWER, p, rng=make(seed(number))))
    return np.where(kept, np.float32(math.sqrt(p / (1 - p))), np.float32(-math.sqrt((1 - p) / p)))


@every_source
@first_by_day("p", [0.5, 1 / 3, 0.1])
def test_serial_correlation(make, p):
    x = signs(make, p, 7)
    correlations = [
        np.einsum("i,i->", x[lag:], x[:-lag], dtype=np.float64) / math.sqrt(FEWER - lag)
        for lag in LAGS
    ]
    assert_normal(correlations)


@every_source
@first_by_day("p", [0.5, 1 / 3, 0.1])
def test_patterns_of_neighbours(make, p):
    """All 4, 16 and 256 patterns of 2, 4 and 8 elements come as often as they should."""
    octets = fd.dropout_mask(FEWER, p, rng=make(seed(8)), store="bits").bits
    counts = np.bincount(octets, minlength=256)
    for width in (2, 4, 8):
        kept = np.bitwise_count(np.arange(2**width, dtype=np.uint16)).astype(float)
        expected = (1 - p) ** kept * p ** (width - kept) * (FEWER // width)
        folded = sum(
            counts.reshape((2**width,) * (8 // width)).sum(
                axis=tuple(other for other in range(8 // width) if other != axis)
            )
            for axis in range(8 // width)
        )
        assert_counts(folded, expected)


@every_source
@first_by_day("p", [0.5, 1 / 3, 0.1])
def test_every_place_is_kept_as_often(make, p):
    """The place in an octet, a step, a tile or a block makes no difference."""
    bits = fd.dropout_mask(FEWER, p, rng=make(seed(9)), store="bits").bits
    for period in (8, 64, 1024, 4096, 16384):
        rows = np.unpackbits(bits, bitorder="little").reshape(-1, period)
        counts = rows.sum(axis=0, dtype=np.int64)
        variance = len(rows) * p * (1 - p)
        statistic = np.sum((counts - len(rows) * (1 - p)) ** 2) / variance
        assert_normal(deviation_of_chi_square(statistic, period))


@every_source
@first_by_day("p", [0.5, 1 / 3, 0.1])
def test_runs(make, p):
    """As many runs of kept and of dropped elements as there should be, of every length."""
    kept = np.asarray(fd.dropout_mask(FEWER, p, rng=make(seed(10))))
    changes = np.flatnonzero(kept[1:] != kept[:-1])
    product = p * (1 - p)
    # Neighbouring changes share an element, so they are not independent.
    variance = 2 * product * (1 - 2 * product) + 2 * (product - 4 * product**2)
    assert_normal((changes.size - 2 * product * (FEWER - 1)) / math.sqrt(variance * (FEWER - 1)))

    lengths = np.diff(changes)
    of_kept = kept[changes[:-1] + 1]
    for runs, stay in ((lengths[of_kept], 1 - p), (lengths[~of_kept], p)):
        longest = max(2, int(math.log(100 / runs.size) / math.log(stay)))
        counts = np.bincount(np.minimum(runs, longest), minlength=longest + 1)[1:]
        chances = stay ** np.arange(longest) * np.append(np.full(longest - 1, 1 - stay), 1.0)
        assert_counts(counts, chances * runs.size)


@every_class
def test_every_bit_of_the_words_is_balanced(source_class):
    """Each of the 64 bits is set half of the time, and changes half of the time."""
    words = source_class(seed(11)).random_raw(2**20)
    for sample in (words, words[1:] ^ words[:-1], words[8:] ^ words[:-8]):
        places = np.unpackbits(sample.astype("<u8").view(np.uint8), bitorder="little")
        counts = places.reshape(-1, 64).sum(axis=0, dtype=np.int64)
        assert_normal(deviation_of_count(counts, sample.size, 0.5))


@every_class
def test_bytes_are_uniform_and_pairs_of_them_too(source_class):
    octets = source_class(seed(12)).random_raw(FEWER // 8).view(np.uint8)
    assert_counts(np.bincount(octets, minlength=256), FEWER / 256)
    for lag in (1, 8, 64, 16384):
        pairs = octets[lag:].astype(np.uint32) << 8 | octets[:-lag]
        assert_counts(np.bincount(pairs, minlength=65536), pairs.size / 65536)


# --- one source and another ----------------------------------------------------------------------


def families(cls):
    """Sources that differ as little as they can."""
    words = 64
    first = seed(13)
    jumping = cls(first)
    placed = [cls(first) for _ in range(words)]
    for index, source in enumerate(placed):
        source.position = index << 40
    return {
        "seeds": [cls(first + index) for index in range(words)],
        "keys": [cls(key=first + index) for index in range(words)],
        "one bit of the key": [cls(key=first ^ 1 << bit) for bit in range(words)],
        "counters": [cls(key=first, counter=index << 64) for index in range(words)],
        "jumps": [jumping.jumped(jumps) for jumps in range(words)],
        "children": cls(first).spawn(words),
        "places": placed,
    }


@first_by_day("p", [0.5, 0.1])
@every_class
def test_neighbours_are_independent(source_class, p):
    """Seeds, keys, counters, jumps and positions that are next to each other: no two masks are
    alike, nor are the blocks of one, and put together they are as good as one.
    """
    n = 2**17
    scale = math.sqrt(p / (1 - p)), -math.sqrt((1 - p) / p)
    for name, sources in families(source_class).items():
        kept = np.stack([np.asarray(fd.dropout_mask(n, p, rng=source)) for source in sources])
        x = np.where(kept, *scale).astype(np.float32)
        correlations = (x @ x.T) / math.sqrt(n)
        pairs = correlations[np.triu_indices(len(sources), 1)]
        assert np.max(np.abs(pairs)) < LIMIT_OF_PAIRS, name
        statistic = np.sum(pairs**2)
        assert_normal(deviation_of_chi_square(statistic, pairs.size))
        assert_normal(x.sum(dtype=np.float64) / math.sqrt(x.size))


@every_class
def test_blocks_share_nothing(source_class):
    """Lanes are seeded anew every 16 KiB: no word of one block, or of the next, comes again."""
    words = source_class(seed(14)).random_raw(64 * 2048)
    assert np.unique(words).size == words.size
    blocks = words.view(np.uint8).reshape(64, 16384)
    x = np.where(blocks >= 128, np.float32(1), np.float32(-1))
    correlations = (x @ x.T)[np.triu_indices(64, 1)] / math.sqrt(16384)
    assert np.max(np.abs(correlations)) < LIMIT_OF_PAIRS
    assert_normal(deviation_of_chi_square(np.sum(correlations**2), correlations.size))
