# SPDX-License-Identifier: BSD-3-Clause
"""Arrays whose axes lie in another order in memory: the same results, and no copy of the array."""

import itertools
import math
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from helpers import assert_same_floats

import fastdrop as fd

P = 0.3


def add(x, other, rng, **words):
    return fd.dropout_add(x, other, P, rng=rng, **words)


def uneven(shape):
    return np.random.default_rng(1).uniform(0.1, 0.9, shape)


# Functions of an array, another one and a source: (y, mask).
FORWARD = {
    "dropout": lambda x, other, rng: fd.dropout(x, P, rng=rng),
    "dropout, shared": lambda x, other, rng: fd.dropout(x, P, rng=rng, broadcast_axes=0),
    "alpha_dropout": lambda x, other, rng: fd.alpha_dropout(x, P, rng=rng),
    "relu_dropout": lambda x, other, rng: fd.relu_dropout(x, P, rng=rng),
    "zoneout": lambda x, other, rng: fd.zoneout(x, other, P, rng=rng),
    "dropout_add": add,
    "dropout_add, bias": lambda x, other, rng: add(
        x, other, rng, bias=np.arange(x.shape[-1]).astype(x.dtype)
    ),
    "dropout, p array": lambda x, other, rng: fd.dropout(x, uneven(x.shape), rng=rng),
    "dropout, some p": lambda x, other, rng: fd.dropout(x, uneven(x.shape)[..., :1], rng=rng),
    "gaussian_dropout": lambda x, other, rng: fd.gaussian_dropout(x, P, rng=rng),
    "gaussian_dropout, shared": lambda x, other, rng: fd.gaussian_dropout(
        x, P, rng=rng, broadcast_axes=0
    ),
}
EACH = ["dropout, p array", "dropout, some p"]
COMPLEX = [
    *("dropout", "dropout, p array", "dropout_add, bias"),
    *("gaussian_dropout", "gaussian_dropout, shared"),
]

SHAPES = [(65, 129), (3, 50, 67), (41, 5, 2, 31), (2, 8200), (8200, 2)]


def normal(shape, dtype, seed):
    numbers = np.random.default_rng(seed).standard_normal((2, *shape))
    if np.dtype(dtype).kind == "c":
        return (numbers[0] + 1j * numbers[1]).astype(dtype)
    return numbers[0].astype(dtype)


def in_order(x, axes):
    """The same array, whose axes lie in that order in memory."""
    return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))


def gradients(function, dy, mask):
    backward = fd.zoneout_backward if function == "zoneout" else fd.dropout_backward
    result = backward(dy, mask)
    return result if isinstance(result, tuple) else (result,)


def assert_like(y, expected, there):
    assert y.strides == there.strides
    assert_same_floats(np.ascontiguousarray(y), expected)


@pytest.mark.parametrize("source", [fd.Xoshiro256PlusPlus, fd.Philox4x32, np.random.PCG64])
@pytest.mark.parametrize("function", FORWARD)
def test_every_order(function, source):
    """Forward, and backward by the mask of each, in every order; the source goes as far."""
    call = FORWARD[function]
    for shape in SHAPES:
        x, other, dy = (normal(shape, np.float32, seed) for seed in range(3))
        expected, mask = call(x, other, source(1))
        of_expected = gradients(function, dy, mask)
        for axes in itertools.permutations(range(len(shape))):
            there, beside, back = (in_order(array, axes) for array in (x, other, dy))
            rng = source(1)
            y, same = call(there, beside, rng)
            assert_like(y, expected, there)
            assert same == mask
            for which in (same, mask):
                for dx, wanted in zip(gradients(function, back, which), of_expected, strict=True):
                    assert_like(dx, wanted, there)
            untouched = source(1)
            call(x, other, untouched)
            assert fd.dropout_mask(9, P, rng=rng) == fd.dropout_mask(9, P, rng=untouched)


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.complex64, np.complex128]
)
@pytest.mark.parametrize("function", FORWARD)
def test_every_dtype(function, dtype):
    if np.dtype(dtype).kind == "c" and function not in COMPLEX:
        pytest.skip("for real numbers, or covered by dropout")
    for shape, axes in [((65, 129), (1, 0)), ((3, 50, 67), (2, 0, 1)), ((2, 8200), (1, 0))]:
        x, other = normal(shape, dtype, 1), normal(shape, dtype, 2)
        expected, mask = FORWARD[function](x, other, fd.Xoshiro256PlusPlus(1))
        there, beside = in_order(x, axes), in_order(other, axes)
        y, same = FORWARD[function](there, beside, fd.Xoshiro256PlusPlus(1))
        assert_like(y, expected, there)
        assert same == mask


@pytest.mark.parametrize("function", ["dropout", "relu_dropout"])
@pytest.mark.parametrize("shape", [(7, 4, 9, 20), (16, 4, 8, 64), (3, 5, 2, 4, 6), (70, 3, 5, 2)])
def test_short_axes_in_every_order(shape, function):
    """Bits of several short axes are turned at once."""
    x = normal(shape, np.float32, 1)
    expected, mask = FORWARD[function](x, None, fd.Xoshiro256PlusPlus(1))
    for axes in itertools.permutations(range(len(shape))):
        there = in_order(x, axes)
        y, same = FORWARD[function](there, None, fd.Xoshiro256PlusPlus(1))
        assert_like(y, expected, there)
        assert same == mask


# Functions of an array, another one and a source, that write to a third one: (y, mask).
INTO = {
    "dropout": lambda x, other, rng, out: fd.dropout(x, P, rng=rng, out=out),
    "dropout, shared": lambda x, other, rng, out: fd.dropout(
        x, P, rng=rng, broadcast_axes=0, out=out
    ),
    "dropout, p array": lambda x, other, rng, out: fd.dropout(x, uneven(x.shape), rng=rng, out=out),
    "relu_dropout": lambda x, other, rng, out: fd.relu_dropout(x, P, rng=rng, out=out),
    "zoneout": lambda x, other, rng, out: fd.zoneout(x, other, P, rng=rng, out=out),
    "dropout_add, bias": lambda x, other, rng, out: add(
        x, other, rng, bias=np.arange(x.shape[-1]).astype(x.dtype), out=out
    ),
    "gaussian_dropout": lambda x, other, rng, out: fd.gaussian_dropout(x, P, rng=rng, out=out),
    "gaussian_dropout, shared": lambda x, other, rng, out: fd.gaussian_dropout(
        x, P, rng=rng, broadcast_axes=0, out=out
    ),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("function", INTO)
def test_each_array_in_an_order_of_its_own(function, dtype):
    """What is read and what is written lie in three orders; or they have gaps, or run backwards."""
    if np.dtype(dtype).kind == "c" and function in ("relu_dropout", "zoneout"):
        pytest.skip("for real numbers, or covered by dropout")
    for shape in [(65, 129), (3, 50, 67), (2, 8200)]:
        x, other = (normal(shape, dtype, seed) for seed in range(2))
        expected, mask = INTO[function](x, other, fd.Xoshiro256PlusPlus(1), None)
        orders = list(itertools.permutations(range(len(shape))))
        for (of_x, of_out), of_other in zip(
            itertools.product(orders, repeat=2), itertools.cycle(orders[1:]), strict=False
        ):
            room = in_order(np.empty((*shape[:-1], 2 * shape[-1]), dtype), of_out)
            for out in (in_order(np.empty(shape, dtype), of_out), room[..., ::2]):
                there, beside = in_order(x, of_x), in_order(other, of_other)[..., ::-1]
                rng = fd.Xoshiro256PlusPlus(1)
                y, same = INTO[function](there, beside[..., ::-1], rng, out)
                assert y is out
                assert_same_floats(np.ascontiguousarray(y), expected)
                assert same == mask
                if function != "zoneout":
                    dx = fd.dropout_backward(there[::-1][::-1], same, out=out)
                    wanted = fd.dropout_backward(x, mask)
                    assert_same_floats(np.ascontiguousarray(dx), wanted)


@pytest.mark.parametrize("function", INTO)
def test_no_copy_into_another_order(function):
    """Written in another order, nothing is made that is larger than one bit an element."""
    shape = (64, 128, 512)
    size = math.prod(shape)
    x = np.ones(shape, np.float32)
    other, out = in_order(x, (1, 0, 2)), in_order(x, (2, 1, 0))
    p = fd.dropout_mask(shape, uneven(shape), rng=1)
    tracemalloc.start()
    try:
        if function == "dropout, p array":  # whose mask has the numbers of the caller
            p.apply(x, out=out)
        else:
            INTO[function](x, other, fd.Xoshiro256PlusPlus(1), out)
        assert tracemalloc.get_traced_memory()[1] < 4 * size // 8 + 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("function", ["gaussian_dropout", "dropout, p array", "dropout_add, bias"])
def test_threads_and_place(function):
    """Several boxes for each of several threads; in place; from an odd place of the stream."""
    x, other = normal((300, 1700), np.float32, 1), normal((300, 1700), np.float32, 2)
    sources = [fd.Xoshiro256PlusPlus(1) for _ in range(2)]
    for source in sources:
        source.position = 16384 - 37
    expected, _ = FORWARD[function](x, other, sources[0])
    there, beside = in_order(x, (1, 0)), in_order(other, (1, 0))
    threads = fd.get_num_threads()
    try:
        fd.set_num_threads(3)
        y, mask = FORWARD[function](there, beside, sources[1])
    finally:
        fd.set_num_threads(threads)
    assert_like(y, expected, there)
    assert sources[0].position == sources[1].position
    if function == "gaussian_dropout":
        assert_same_floats(mask.apply(there, out=there), y)


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("function", FORWARD)
def test_no_copy(function, axes):
    """Each array that a call makes is no larger than one bit an element, or than 1 MiB."""
    if function in EACH:
        pytest.skip("whose mask has the numbers of the caller: see the next test")
    shape = (64, 128, 512)
    size = math.prod(shape)
    x, other = (in_order(np.ones(shape, np.float32), axes) for _ in range(2))
    room = 4 * size // 8 + 2**20  # the bits of a mask, in two orders, and of what relu leaves
    results = 3 if function == "zoneout" else 1  # two gradients, and the zeros that one is made of
    tracemalloc.start()
    try:
        y, mask = FORWARD[function](x, other, fd.Xoshiro256PlusPlus(1))
        assert tracemalloc.get_traced_memory()[1] < y.nbytes + room
        del y
        tracemalloc.reset_peak()
        gradients(function, x, mask)
        assert tracemalloc.get_traced_memory()[1] < results * x.nbytes + room
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_no_copy_of_probabilities(axes):
    shape = (64, 128, 512)
    x = in_order(np.ones(shape, np.float32), axes)
    masks = [fd.dropout_mask(shape, p, rng=1) for p in (uneven(shape), uneven(shape)[:, :, :1])]
    for mask in masks:
        tracemalloc.start()
        try:
            mask.apply(x, out=x)
            assert tracemalloc.get_traced_memory()[1] < x.size // 8 + 2**20
        finally:
            tracemalloc.stop()


# ---- windows -------------------------------------------------------------------------------------

WINDOWS = [
    np.s_[:, :, 100:200],
    np.s_[:, :, 200:207],
    np.s_[:, :, 5],
    np.s_[:, ::3],
    np.s_[::2, 10:20],
    np.s_[::-1, :, 7:500],
    np.s_[3, 5:100, 64:128],
    np.s_[:, ::-1, 900:],
    np.s_[:, ::-1, ::7],
]


@pytest.mark.parametrize("source", [fd.Xoshiro256PlusPlus, fd.Philox4x32])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_windows(window, source):
    """A window that skips decisions has those of the whole mask, in any order of axes."""
    place = source(3)
    place.position = 12345
    mask = fd.dropout_mask((7, 300, 1000), P, rng=place)
    kept = np.asarray(mask)
    threads = fd.get_num_threads()
    try:
        fd.set_num_threads(3)
        for part, wanted in [(mask[window], kept[window]), (mask[window].T, kept[window].T)]:
            assert np.array_equal(np.asarray(part), wanted)
            assert np.array_equal(np.asarray(part.packed()), wanted)
            ones = np.ones(wanted.shape, np.float32)
            for x in (ones, in_order(ones, range(ones.ndim)[::-1])):
                assert np.array_equal(part.apply(x) != 0, wanted)
    finally:
        fd.set_num_threads(threads)


def test_windows_make_bits_alone():
    """To apply a window of columns draws its bits, and not the whole mask's or bytes."""
    window = fd.dropout_mask((2**14, 2**16), P, rng=1)[:, 64:128]
    x = np.ones(window.shape, np.float32)
    tracemalloc.start()
    try:
        window.apply(x, out=x)
        assert tracemalloc.get_traced_memory()[1] < 2 * x.size // 8
    finally:
        tracemalloc.stop()
