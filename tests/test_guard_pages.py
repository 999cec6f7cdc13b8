# SPDX-License-Identifier: BSD-3-Clause
"""Nothing outside of arrays is read or written: they lie at pages that nobody may touch."""

import ctypes
import functools
import itertools
import random

import numpy as np
import pytest
from face import MEMBERS, assert_near, assert_same
from guarded import Guarded, Placed
from helpers import DTYPES, every_kind_of_float
from isolated import isolated

import fastdrop as fd
from fastdrop.kernels import _testing

FUNCTIONS = [name for name in MEMBERS if name.islower()]  # the layers call these
LAYOUTS = ("C", "C", "C", "unaligned", "backwards", "every other")
ROOM = 2**23  # for every other element, along each axis, of the largest array of complex128

# Around the steps of kernels; tiles, the pieces of np.nditer, and what threads take at least.
SHORT = [*range(68), 95, 127, 128, 129, 191, 255, 256, 257, 300]
EDGES = [2**k + step for k in (12, 13, 15, 16) for step in (-1, 0, 1)]


def test_guard_pages_are_guarded():
    for at_end in (False, True):
        array = Guarded(1).array((3,), np.uint8, at_end)
        outside = array.ctypes.data + (3 if at_end else -1)
        with pytest.raises(pytest.fail.Exception):
            isolated(lambda place=outside: ctypes.string_at(place, 1))()


@pytest.mark.parametrize("name", FUNCTIONS)
@isolated
def test_functions(name):
    """With arrays at guard pages, of which one may be written, a call gives what it always does."""
    levels = itertools.cycle(fd.simd_levels())
    for n in (*SHORT, *EDGES[::5]):
        check_guarded(name, n, None, next(levels))


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
@isolated
def test_functions_of_every_length(name, level):
    for n in (*range(301), *EDGES):
        for dtype in MEMBERS[name].dtypes:
            check_guarded(name, n, dtype, level)


def check_guarded(name, n, dtype, level):
    member = MEMBERS[name]
    if not (member.sums and n > 300):  # products are NumPy's
        for at_end in (False, True):
            chance = random.Random(f"{n} {dtype} {level} {at_end}")
            with fd.use_simd(level):
                compare_guarded(member(chance, dtype=dtype, size=n), at_end, chance)


@functools.cache
def room_of(name):
    return Guarded(ROOM)


def compare_guarded(call, at_end, chance):
    placed = {}

    def place(name, array):
        room = room_of(name)
        placed[name] = Placed(room, array, at_end, chance.choice(LAYOUTS))
        return placed[name].array

    guarded = call.moved(place)
    for name, one in placed.items():
        if name != guarded.written:
            one.read_only()
    y, mask = guarded.run()
    expected, expected_mask = call.run()
    (assert_near if call.member.sums else assert_same)(y, expected)
    assert mask == expected_mask
    for one in placed.values():
        one.assert_margin()


# ---- single kernels ------------------------------------------------------------------------------

MOST = 4097
FEW = [*range(36), *range(61, 68), 127, 128, 129, 257, MOST - 2, MOST - 1, MOST]
PADDING = 8  # bytes that packed bits have to spare
each_end = pytest.mark.parametrize("at_end", [False, True], ids=["begin", "end"])


class Lying:
    """Arrays at one end of guarded rooms, and parts of them that begin or end there."""

    def __init__(self, at_end, read_only=True, **arrays):
        self.at_end = at_end
        self.plain = {name: np.array(array) for name, array in arrays.items()}
        self.placed = {}
        for name, array in self.plain.items():
            self.placed[name] = Placed(Guarded(array.nbytes), array, at_end)
            if read_only:
                self.placed[name].read_only()

    def parts(self, name, n):
        """Return ``n`` elements at the guarded page, and the same ones elsewhere."""
        part = slice(len(self.plain[name]) - n, None) if self.at_end else slice(n)
        return self.placed[name].array[part], self.plain[name][part]


def pairs(arrays, names, n):
    """Parts of several arrays: those at guarded pages, and the same ones elsewhere."""
    both = {name: arrays.parts(name, n) for name in names}
    return ({name: pair[side] for name, pair in both.items()} for side in (0, 1))


def floats_and_bits(dtype):
    wide = np.float64 if dtype == np.float64 else np.float32
    x, other, bias = every_kind_of_float(dtype, 3 * MOST)[::-1].reshape(3, MOST)
    bits = np.random.default_rng(1).integers(256, size=MOST // 8 + 1 + PADDING, dtype=np.uint8)
    factors = np.linspace(0, 2, MOST, dtype=wide)
    return {"x": x, "other": other, "bias": bias, "factors": factors, "bits": bits}


@each_end
@pytest.mark.parametrize("operation", _testing.OPERATIONS)
@isolated
def test_operations(operation, at_end, level):
    for dtype in DTYPES:
        arrays = Lying(at_end, operation not in ("relu", "relu_bias"), **floats_and_bits(dtype))
        written = Lying(at_end, False, out=np.zeros(MOST, dtype))
        first = Lying(False, False, out=np.zeros(MOST, dtype))  # which is aligned
        for n in FEW:
            guarded, plain = pairs(arrays, ("x", "other", "bias", "factors"), n)
            kept, plain_kept = arrays.parts("bits", -(-n // 8) + PADDING)
            for past_caches, target in ((False, written), (True, first)):
                out, expected = target.parts("out", n)
                for bits, y, (x, *others), past in (
                    (kept, out, guarded.values(), past_caches),
                    (plain_kept, expected, plain.values(), False),
                ):
                    _testing.apply(
                        *(operation, bits, x, 1.5, y, 0.5, 0.25), *others, past_caches=past
                    )
                assert_same(out, expected)


@each_end
@isolated
def test_multiplications(at_end, level):
    stream = np.random.default_rng(1).bytes(4 * MOST)
    for dtype in DTYPES:
        arrays = Lying(at_end, x=floats_and_bits(dtype)["x"], factors=np.ones(MOST, np.float32))
        written = Lying(at_end, False, out=np.zeros(MOST, dtype))
        for n in FEW:
            out, expected = written.parts("out", n)
            guarded, plain = pairs(arrays, ("x", "factors"), n)
            for y, operands in ((out, guarded), (expected, plain)):
                _testing.multiply(operands["factors"], operands["x"], y)
            assert_same(out, expected)
            for y, operands in ((out, guarded), (expected, plain)):
                _testing.multiply_normal(stream, 0.5, operands["x"], y)
            assert_same(out, expected)


@each_end
@isolated
def test_kernels_of_probabilities_and_bits(at_end, level):
    bits = floats_and_bits(np.float32)["bits"]
    arrays = Lying(at_end, values=np.linspace(0, 1, MOST), bits=bits)
    for n in FEW:
        guarded, values = arrays.parts("values", n)
        assert_same(_testing.probabilities(guarded)[0], values)
        for meaning in ("p", "keep_prob"):
            assert_same(_testing.heads(guarded, meaning), _testing.heads(values, meaning))
            for dtype in ("float32", "float64"):
                expected = _testing.factors(values, meaning, dtype)
                assert_same(_testing.factors(guarded, meaning, dtype), expected)
        guarded, bits = arrays.parts("bits", -(-n // 8))
        assert_same(_testing.unpack(guarded, n), _testing.unpack(bits, n))


@each_end
@isolated
def test_softmax(at_end, level):
    rng = np.random.default_rng(1)
    bits = Lying(at_end, bits=floats_and_bits(np.float32)["bits"])
    for dtype in (np.float32, np.float64):
        scores, gradients = rng.normal(size=(2, 4096)).astype(dtype)
        for n in (*range(16, 320, 16), 4096):
            for at in (0, 1, 7, 8):
                rows = Lying(at_end, False, scores=scores[:n], gradients=gradients[:n])
                both = zip(
                    *(rows.parts(name, n) for name in ("scores", "gradients")),
                    strict=True,
                )
                results = []
                for row, kept in zip(both, bits.parts("bits", -(-(n + at) // 8) + 2), strict=True):
                    before = row[0].copy()
                    largest, inverse = _testing.softmax(row[0], kept, at)
                    weights = row[0].copy()
                    row[0][...] = before
                    _testing.softmax_weights(*row, kept, at, largest, inverse, 2.0)
                    _testing.softmax_backward(*row, kept, at, 2.0, 0.5, 0.25)
                    results.append((weights, row[0], row[1]))
                assert_same(*results)
