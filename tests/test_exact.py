# SPDX-License-Identifier: BSD-3-Clause
"""Masks that drop an exact number of elements, and masks that are their own transpose."""

import collections
import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastdrop as fd

RNGS = {
    "seed": lambda: 7,
    "Philox": lambda: fd.Philox4x32(7),
    "Generator": lambda: np.random.default_rng(7),
    "RandomState": lambda: np.random.RandomState(7),
    "floats": lambda: fd.NumPySource(np.random.PCG64(7), draws="float"),
}
every_rng = pytest.mark.parametrize("rng", RNGS.values(), ids=RNGS)


@every_rng
@pytest.mark.parametrize(
    ("shape", "axes", "n"),
    [
        ((1000,), None, 1000),
        ((3, 7), None, 21),
        ((30, 64), -1, 64),
        ((64, 30), 0, 64),
        ((5, 4, 9), (0, 2), 45),
        ((6, 5), (1, 0), 30),
        ((4, 5), (), 1),
        ((), None, 1),
    ],
)
def test_as_many_are_dropped_everywhere(rng, shape, axes, n):
    whole = tuple(range(len(shape))) if axes is None else axes
    for k in {0, 1, n // 3, n // 2, n - 1, n}:
        mask = fd.exact_mask(shape, k=k, axes=axes, rng=rng())
        assert mask.shape == shape
        assert mask.p == k / n
        assert mask.bits is not None
        assert np.all((~np.asarray(mask)).sum(axis=whole) == k)
        assert mask == fd.exact_mask(shape, k=k, axes=axes, rng=rng())
        assert mask == fd.exact_mask(shape, k / n, axes=axes, rng=rng())


@given(st.integers(0, 70), st.integers(1, 70), st.floats(0, 1), st.integers(0, 2**32))
def test_rows_of_any_length(rows, n, p, seed):
    mask = fd.exact_mask((rows, n), p, axes=1, rng=seed)
    assert np.all(mask.sum(axis=1) == n - round(p * n))


def chosen(rows, n, k, source):
    """Twin of the kernels, bit by bit: ones of an array of shape (rows, n), k <= n / 2 in a row."""
    if k == 0:
        return np.zeros((rows, n), bool)
    expected = k if 16 * k >= n else max(0.0, k - 2 * math.sqrt(k))
    bits = fd.bernoulli((rows, n), expected / n, rng=source)
    while np.any(missing := k - bits.sum(axis=1)):
        wrong = [(row, int(lacks)) for row, lacks in enumerate(missing) if lacks]
        free = [n - k + lacks if lacks > 0 else k - lacks for _, lacks in wrong]
        tries = [
            math.ceil(1.2 * abs(lacks) * n / places) + 1
            for (_, lacks), places in zip(wrong, free, strict=True)
        ]
        words = iter(fd.bernoulli(64 * sum(tries), 0.5, rng=source, packed=True).view("<u8"))
        for (row, lacks), count in zip(wrong, tries, strict=True):
            for _ in range(count):
                place = int(next(words)) % (1 << (n - 1).bit_length())
                fits = place < n and bits[row, place] == (lacks < 0)
                if fits and bits[row].sum() != k:
                    bits[row, place] ^= True
    return bits


@pytest.mark.parametrize("n", [2, 7, 8, 56, 57, 60, 63, 64, 65, 130, 1000])
def test_rows_are_those_of_the_twin(n):
    for k in {1, n // 20, n // 3, n // 2}:
        for make in (fd.Xoshiro256PlusPlus, np.random.default_rng):
            ones = chosen(13, n, k, make(n))
            dropped = ~np.asarray(fd.exact_mask((13, n), k=k, axes=1, rng=make(n)))
            assert np.array_equal(dropped, ones)
            if k < n - k:  # the rarer ones are chosen: here those that are kept
                kept = fd.exact_mask((13, n), k=n - k, axes=1, rng=make(n))
                assert np.array_equal(np.asarray(kept), ones)


def test_exact_masks_are_frozen():
    digest = hashlib.sha256()
    cases = (70, 8, 3), (33, 7, 5), (9, 64, 32), (11, 100, 1), (3, 1000, 480), (1, 100_000, 3000)
    for rows, n, k in cases:
        for rng in (7, fd.Philox4x32(7), np.random.default_rng(7)):
            digest.update(fd.exact_mask((rows, n), k=k, axes=1, rng=rng).bits)
    assert digest.hexdigest() == (
        "c3d6ac3c26035f7b2e0f989b9b99344c159ce30b8b79990baaefa00ff06691e5"
    )


def test_masks_without_elements():
    for shape, axes in (((0,), None), ((0, 4), -1), ((4, 0), -1)):
        assert fd.exact_mask(shape, 0.5, axes=axes, rng=1).shape == shape


@pytest.mark.parametrize(("n", "k"), [(6, 3), (7, 2), (40, 1), (40, 39)])
@pytest.mark.parametrize("in_all", [True, False])
def test_every_choice_is_equally_likely(n, k, in_all):
    """Chi-squared, within 4.5 deviations; the seed is fixed."""
    source, counts, rounds = fd.Xoshiro256PlusPlus(1), collections.Counter(), 12_000
    if in_all:
        rounds = 3000
        for _ in range(rounds):
            counts[np.asarray(fd.exact_mask(n, k=k, rng=source)).tobytes()] += 1
    else:
        for row in np.asarray(fd.exact_mask((rounds, n), k=k, axes=-1, rng=source)):
            counts[row.tobytes()] += 1
    choices = math.comb(n, k)
    seen = np.array([*counts.values(), *[0] * (choices - len(counts))])
    expected = rounds / choices
    chi_squared = ((seen - expected) ** 2 / expected).sum()
    assert abs(chi_squared - (choices - 1)) < 4.5 * math.sqrt(2 * (choices - 1))


def test_it_is_a_mask_of_dropout():
    mask = fd.exact_mask((4, 10), 0.2, axes=-1, rng=1)
    y, same = fd.dropout(np.ones((4, 10)), mask=mask)
    assert same is mask
    np.testing.assert_allclose(y.sum(axis=1), 10.0)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"p": 1.5}, ValueError, "p must be .*, not 1.5"),
        ({"k": 13}, ValueError, r"k must be an integer in \[0, 12\], .*, not 13"),
        ({"k": 5, "axes": -1}, ValueError, r"k must be an integer in \[0, 4\]"),
        ({"k": -1}, ValueError, "k must be .*, not -1"),
        ({"k": 1.5}, TypeError, "k must be .*, not 1.5"),
        ({"p": 0.5, "k": 3}, TypeError, "p=0.5 and k=3 exclude each other"),
        ({"axes": 2}, ValueError, "axes must be .*, not 2"),
        ({"axes": (0, 0)}, ValueError, "axes must name an axis once"),
        ({"rng": "a"}, TypeError, "rng must be "),
        ({"seed": 1}, TypeError, "seed=1: it is called rng here"),
    ],
)
def test_mistakes(options, error, words):
    source = fd.Philox4x32(1)
    with pytest.raises(error, match=words):
        fd.exact_mask((3, 4), **({"rng": source} | options))
    assert source.position == 0


# ---- symmetric masks -----------------------------------------------------------------------------


@every_rng
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 101])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_both_directions_of_an_edge_are_decided_together(rng, n, p):
    mask = fd.symmetric_mask(n, p, rng=rng())
    kept = np.asarray(mask)
    assert mask.p == p
    assert np.array_equal(kept, kept.T)
    drawn = np.asarray(fd.dropout_mask((n, n), p, rng=rng()))
    assert np.array_equal(np.triu(kept), np.triu(drawn))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((-1,), ValueError, "n must be .*, not -1"),
        ((2.0,), TypeError, "n must be .*, not 2.0"),
        ((3, 1.5), ValueError, "p must be .*, not 1.5"),
    ],
)
def test_mistakes_of_symmetric_masks(arguments, error, words):
    with pytest.raises(error, match=words):
        fd.symmetric_mask(*arguments)
