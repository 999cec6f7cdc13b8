# SPDX-License-Identifier: BSD-3-Clause
"""The functions do what their contract says, and refuse the rest before anything is touched."""

import fractions
import inspect
import math
import pickle
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from helpers import BIT_GENERATORS, SOURCES, kept_at, same_state

import fastdrop as fd
from fastdrop import _reference as reference

SENTINEL = -5.0
FUNCTIONS = (fd.dropout, fd.dropout_backward, fd.dropout_mask, fd.bernoulli)


def kept(mask):
    return np.asarray(mask)


# ---- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "positional", "keywords"),
    [
        (
            fd.dropout,
            {"x": inspect.Parameter.empty, "p": 0.5},
            {
                "keep_prob": None,
                "rng": None,
                "training": True,
                "scale": "train",
                "noise_shape": None,
                "broadcast_axes": None,
                "mask": None,
                "out": None,
            },
        ),
        (
            fd.dropout_backward,
            {"dy": inspect.Parameter.empty, "mask": inspect.Parameter.empty},
            {"out": None},
        ),
        (
            fd.dropout_mask,
            {"shape": inspect.Parameter.empty, "p": 0.5},
            {
                "keep_prob": None,
                "rng": None,
                "noise_shape": None,
                "broadcast_axes": None,
                "store": "auto",
            },
        ),
        (
            fd.bernoulli,
            {"shape": inspect.Parameter.empty, "p": inspect.Parameter.empty},
            {"rng": None, "dtype": None, "packed": False, "out": None},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_signatures(function, positional, keywords):
    parameters = inspect.signature(function).parameters.values()
    by_kind = {
        kind: {p.name: p.default for p in parameters if p.kind is kind}
        for kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    }
    assert by_kind[inspect.Parameter.POSITIONAL_OR_KEYWORD] == positional
    assert by_kind[inspect.Parameter.KEYWORD_ONLY] == keywords
    assert len(positional) + len(keywords) == len(parameters)


def test_rng_is_a_keyword():
    for call in (
        lambda: fd.dropout(np.ones(3), 0.5, None, 1),
        lambda: fd.dropout_mask(3, 0.5, None, 1),
        lambda: fd.bernoulli(3, 0.5, 1),
        lambda: fd.dropout_backward(np.ones(3), fd.dropout_mask(3), np.ones(3)),
    ):
        with pytest.raises(TypeError, match="position"):
            call()


def test_the_default_of_p_is_not_the_number_that_is_shown():
    """So that the number counts as given, wherever it comes from."""
    shown = inspect.signature(fd.dropout).parameters["p"].default
    for call in (
        lambda: fd.dropout(np.ones((2, 3)), shown, mask=MASK),
        lambda: fd.dropout(np.ones(3), shown, keep_prob=0.5),
        lambda: fd.dropout_mask(3, shown, keep_prob=0.5),
        lambda: fd.Dropout(shown, keep_prob=0.5),
    ):
        with pytest.raises(TypeError, match=r"p=0\.5 and .* exclude each other"):
            call()
    assert fd.dropout(np.ones(3), rng=1)[1] == fd.dropout(np.ones(3), shown, rng=1)[1]
    assert fd.Dropout().p == shown


# ---- bad input: one clear sentence, and nothing has happened -------------------------------------

x32 = np.ones((2, 3), np.float32)
MASK = fd.dropout_mask((2, 3), rng=1)


def read_only():
    out = np.full((2, 3), SENTINEL, np.float32)
    out.flags.writeable = False
    return out


def filled(shape=(2, 3), dtype=np.float32):
    return np.full(shape, SENTINEL, dtype)


# What is given instead of something good, the exception, and words that its message must contain.
PROBABILITIES = [
    (1.5, ValueError, ["1.5", "[0, 1]"]),
    (-0.1, ValueError, ["-0.1", "[0, 1]"]),
    (1 + 2**-52, ValueError, ["1.0000000000000002"]),
    (-5e-324, ValueError, ["-5e-324"]),
    (math.nan, ValueError, ["nan", "[0, 1]"]),
    (math.inf, ValueError, ["inf"]),
    (2, ValueError, ["2"]),
    (10**400, ValueError, ["1000000", "[0, 1]"]),
    (np.float32(1.25), ValueError, ["1.25"]),
    (fractions.Fraction(5, 4), ValueError, ["5, 4"]),
    ("0.5", TypeError, ["'0.5'", "str"]),
    (b"0.5", TypeError, ["b'0.5'", "bytes"]),
    (0.5j, TypeError, ["0.5j", "complex"]),
    ([0.5], TypeError, ["[0.5]", "list", "NumPy array"]),
    (True, TypeError, ["True", "bool"]),
    (np.array(True), TypeError, ["True", "[0, 1]"]),
    (np.array("0.5"), TypeError, ["0.5", "[0, 1]"]),
    (np.array(None), TypeError, ["None", "[0, 1]"]),
    (np.array([True, False, True]), TypeError, ["bool", "[0, 1]"]),
    (np.array([0.25, 0.5]), ValueError, ["(2,)", "(2, 3)"]),
    (np.full((1, 2, 3), 0.5), ValueError, ["(1, 2, 3)", "(2, 3)"]),
    (np.full((0, 3), 0.5), ValueError, ["(0, 3)", "(2, 3)"]),
    (np.array([0.25, 1.5, -0.5]), ValueError, ["[1] must", "1.5", "[0, 1]"]),
    (np.array([[0.25], [math.nan]]), ValueError, ["[1, 0] must", "nan", "[0, 1]"]),
    (np.array([0, 1, 2]), ValueError, ["[2] must", "not 2"]),
    (np.array([0.5j]), TypeError, ["complex128", "[0, 1]"]),
    (np.array([fractions.Fraction(1, 4)]), TypeError, ["object"]),
    (np.array(["0.5"]), TypeError, ["<U3"]),
]
RNGS = [
    (1.5, TypeError, ["1.5", "float", "Generator"]),
    ("1", TypeError, ["'1'", "str"]),
    (b"1", TypeError, ["b'1'", "bytes"]),
    (True, TypeError, ["True", "bool"]),
    (SimpleNamespace(), TypeError, ["SimpleNamespace"]),
    (np.random, TypeError, ["module"]),
    (fd.Philox4x32, TypeError, ["rng", "type"]),
    (-1, ValueError, ["-1", "not negative"]),
    ([3, -2], ValueError, ["[3, -2]"]),
    ([1.5], TypeError, ["1.5"]),
    (np.array([1.5]), TypeError, ["(1,)", "float64"]),
    (np.array([True]), TypeError, ["(1,)", "bool"]),
]
SHAPES = [
    (-1, ValueError, ["-1", "no negative"]),
    ((2, -3), ValueError, ["(2, -3)"]),
    (2.0, TypeError, ["2.0"]),
    ((2, 3.0), TypeError, ["(2, 3.0)"]),
    ("ab", TypeError, ["'ab'"]),
    (None, TypeError, ["None"]),
    ((2, None), TypeError, ["(2, None)"]),
    ((2**32, 2**31), ValueError, ["4294967296", "2**63"]),
    ((1,) * 65, ValueError, ["65", "64"]),
]
# as x (or dy), and as a mask
ARRAYS = [
    (np.ones((2, 3), np.int64), TypeError, ["int64", "float32"]),
    (np.ones((2, 3), np.uint8), TypeError, ["uint8"]),
    (np.ones((2, 3), bool), TypeError, ["bool"]),
    (np.ones((2, 3), object), TypeError, ["object"]),
    (np.zeros((2, 3), "f4, f4"), TypeError, ["f0", "<f4"]),
    (np.ones((2, 3), "U3"), TypeError, ["<U3"]),
    (np.ones((2, 3), "M8[s]"), TypeError, ["datetime64"]),
    (np.ones((2, 3), np.longdouble), TypeError, [np.dtype(np.longdouble).name]),
    (np.ones((2, 3), ml_dtypes.float8_e4m3fn), TypeError, ["float8_e4m3fn"]),
    ([[1, 2, 3], [4, 5, 6]], TypeError, ["int64"]),
    (1, TypeError, ["1 (an int)"]),
    (True, TypeError, ["bool"]),
    (None, TypeError, ["None"]),
    ("abc", TypeError, ["'abc' (a str)"]),
    (fd.dropout_mask((2, 3), rng=1), TypeError, ["bool"]),
]
OUTS = [
    (filled((3, 2)), ValueError, ["(3, 2)", "(2, 3)"]),
    (filled((6,)), ValueError, ["(6,)", "(2, 3)"]),
    (filled((1, 2, 3)), ValueError, ["(1, 2, 3)", "(2, 3)"]),
    (filled(()), ValueError, ["()", "(2, 3)"]),
    (filled(dtype=np.float64), TypeError, ["float64", "float32"]),
    (filled(dtype=np.int32), TypeError, ["int32", "float32"]),
    (filled(dtype=">f4"), TypeError, [">f4", "float32"]),
    (filled(dtype=ml_dtypes.bfloat16), TypeError, ["bfloat16", "float32"]),
    (read_only(), ValueError, ["read-only"]),
    ([[SENTINEL] * 3] * 2, TypeError, ["list"]),
    (SENTINEL, TypeError, ["float"]),
    ((filled(),), TypeError, ["tuple"]),
]
NOISE_SHAPES = [
    ((2, 2), ValueError, ["(2, 2)", "(2, 3)"]),
    ((3, 2), ValueError, ["(3, 2)", "(2, 3)"]),
    ((2,), ValueError, ["(2,)", "(2, 3)"]),
    ((1, 2, 3), ValueError, ["(1, 2, 3)", "(2, 3)"]),
    ((0, 3), ValueError, ["(0, 3)", "(2, 3)"]),
    ((-1, 3), ValueError, ["(-1, 3)"]),
    ((2.0, 3), TypeError, ["2.0"]),
    (3, TypeError, ["3"]),
    ("ab", TypeError, ["'ab'"]),
]
BROADCAST_AXES = [
    (2, ValueError, ["2", "[-2, 2)", "(2, 3)"]),
    (-3, ValueError, ["-3", "[-2, 2)"]),
    ((0, 2), ValueError, ["2"]),
    ((1, -1), ValueError, ["(1, -1)", "once"]),
    (1.0, TypeError, ["1.0", "integer"]),
    ((0, 1.0), TypeError, ["1.0"]),
    ("0", TypeError, ["'0'"]),
    (SimpleNamespace(), TypeError, ["namespace()"]),
]
SCALES = [
    ("both", ValueError, ["'both'", "'train', 'test' or 'none'"]),
    (None, ValueError, ["None"]),
    (2.0, ValueError, ["2.0"]),
    (["train"], ValueError, ["train"]),
]
MASKS = [
    (np.ones((2, 4), bool), ValueError, ["(2, 4)", "(2, 3)"]),
    (np.ones((2, 1, 3), bool), ValueError, ["(2, 1, 3)", "(2, 3)"]),
    (fd.dropout_mask((3, 2), rng=1), ValueError, ["(3, 2)", "(2, 3)"]),
    (fd.dropout_mask((1, 2, 3), rng=1), ValueError, ["(1, 2, 3)", "(2, 3)"]),
    (np.ones((2, 3), np.uint8), TypeError, ["uint8", "bool"]),
    (np.ones((2, 3)), TypeError, ["float64", "bool"]),
    ("kept", TypeError, ["'kept'", "bool"]),
    (SimpleNamespace(), TypeError, ["SimpleNamespace", "bool"]),
]


def dropout(x=x32, **options):
    return lambda source, out: fd.dropout(x, **({"rng": source, "out": out} | options))


def evaluated(x=x32, **options):
    return dropout(x, training=False, **options)


def masked(x=x32, mask=None, **options):
    return lambda source, out: fd.dropout(x, mask=mask, **({"out": out} | options))


def p_of(mask):
    """What an array of bool needs, and a Mask brings."""
    return {} if isinstance(mask, fd.Mask) else {"p": 0.25}


def backward(dy=x32, mask=MASK, **options):
    return lambda source, out: fd.dropout_backward(dy, mask, **({"out": out} | options))


def dropout_mask(shape=(2, 3), *args, **options):
    return lambda source, out: fd.dropout_mask(shape, *args, **({"rng": source} | options))


def bernoulli(shape=(2, 3), p=0.5, **options):
    return lambda source, out: fd.bernoulli(shape, p, **({"rng": source} | options))


def bad_calls():
    """(id, call of source and out, exception, words of the message) of everything refused."""

    def add(name, cases, *makers):
        for value, error, words in cases:
            for maker in makers:
                call = maker(value)
                calls.append(pytest.param(call, error, words, id=f"{name}-{value!r:.40}"))

    calls = []
    add("p", PROBABILITIES, lambda p: dropout(p=p), lambda p: evaluated(p=p))
    add("p", PROBABILITIES, lambda p: dropout_mask(p=p))
    add("p", PROBABILITIES, lambda p: masked(mask=np.ones((2, 3), bool), p=p))
    add("p", [(None, TypeError, ["None"])], lambda p: dropout(p=p), lambda p: dropout_mask(p=p))
    add(
        "keep_prob", PROBABILITIES, lambda k: dropout(keep_prob=k), lambda k: evaluated(keep_prob=k)
    )
    add("keep_prob", PROBABILITIES, lambda k: dropout_mask(keep_prob=k))
    add("p", PROBABILITIES, lambda p: bernoulli(p=p))
    add("p", PROBABILITIES, lambda p: bernoulli(p=p, packed=True))
    several = [(np.full(3, 0.5), ValueError, ["'seed'", "array", "'auto' or 'bits'"])]
    add("store", several, lambda p: dropout_mask(p=p, store="seed"))
    add("p", [(None, TypeError, ["None"])], lambda p: bernoulli(p=p))
    for p, keep_prob in ((0.25, 0.75), (0.5, 0.5), (0, 1)):
        both = [((p, keep_prob), TypeError, [repr(p), repr(keep_prob), "keep_prob"])]
        add("both", both, lambda two: dropout(p=two[0], keep_prob=two[1]))
        add("both", both, lambda two: evaluated(p=two[0], keep_prob=two[1]))
        add("both", both, lambda two: dropout_mask((2, 3), two[0], keep_prob=two[1]))
        add("both", both, lambda two: masked(mask=np.ones(3, bool), p=two[0], keep_prob=two[1]))
    add("rng", RNGS, lambda rng: dropout(rng=rng), lambda rng: evaluated(rng=rng))
    add("rng", RNGS, lambda rng: dropout_mask(rng=rng), lambda rng: bernoulli(rng=rng))
    add("x", ARRAYS, lambda x: dropout(x), lambda x: evaluated(x), lambda x: backward(x))
    add("x", ARRAYS, lambda x: evaluated(x, scale="test"), lambda x: masked(x, mask=MASK))
    add("out", OUTS, lambda out: dropout(out=out), lambda out: evaluated(out=out))
    add("out", OUTS, lambda out: evaluated(out=out, scale="test"), lambda out: backward(out=out))
    add("out", OUTS, lambda out: masked(mask=MASK, out=out))
    add("noise_shape", NOISE_SHAPES, lambda shape: dropout(noise_shape=shape))
    add("noise_shape", NOISE_SHAPES, lambda shape: evaluated(noise_shape=shape))
    add("broadcast_axes", BROADCAST_AXES, lambda axes: dropout(broadcast_axes=axes))
    add("broadcast_axes", BROADCAST_AXES, lambda axes: evaluated(broadcast_axes=axes))
    for shape in ((2, 1), (None, 1)):
        both = [(shape, TypeError, ["broadcast_axes=1", repr(shape)])]
        add("both", both, lambda shape: dropout(noise_shape=shape, broadcast_axes=1))
    add("scale", SCALES, lambda scale: dropout(scale=scale), lambda scale: evaluated(scale=scale))
    add("scale", SCALES, lambda scale: masked(mask=MASK, scale=scale))
    add("mask", MASKS, lambda mask: masked(mask=mask, **p_of(mask)))
    add("mask evaluated", MASKS, lambda m: masked(mask=m, training=False, **p_of(m)))
    for options in (
        {"p": 0.5},
        {"p": 0.25},
        {"keep_prob": 0.5},
        {"rng": 1},
        {"noise_shape": (2, 3)},
    ):
        (name, value), *_ = options.items()
        excluded = [(options, TypeError, [f"{name}={value!r}", "mask"])]
        add("with a Mask", excluded, lambda options: masked(mask=MASK, **options))
        add("with a Mask", excluded, lambda options: masked(mask=MASK, training=False, **options))
    kept_all = np.ones((2, 3), bool)
    for shape in ((2, 3), (None, 1), (7,)):
        excluded = [(shape, TypeError, ["noise_shape", repr(shape), "mask"])]
        add("with a mask", excluded, lambda shape: masked(mask=kept_all, noise_shape=shape))
    for axes in (0, (0, 1)):
        excluded = [(axes, TypeError, ["broadcast_axes", repr(axes), "mask"])]
        for mask in (MASK, kept_all):
            add("with a mask", excluded, lambda axes, m=mask: masked(mask=m, broadcast_axes=axes))
    wrong = [(rng, TypeError, [repr(rng)]) for rng in (1.5, "1", True)]
    add("rng with a mask", wrong, lambda rng: masked(mask=kept_all, rng=rng))
    add("mask of backward", MASKS[2:4], lambda mask: backward(mask=mask))
    for mask in (np.ones((2, 3), bool), None, "kept", 0.5):
        wrong = [(mask, TypeError, ["None" if mask is None else type(mask).__name__, "Mask"])]
        add("mask of backward", wrong, lambda mask: backward(mask=mask))
    add("shape", SHAPES, lambda shape: dropout_mask(shape), lambda shape: bernoulli(shape))
    for store in ("seeds", None, 1):
        add("store", [(store, ValueError, [repr(store)])], lambda store: dropout_mask(store=store))
    for dtype, words in (
        (np.float32, ["float32"]),
        (np.int8, ["int8"]),
        (object, ["object"]),
        ("booleans", ["booleans"]),
    ):
        add("dtype", [(dtype, TypeError, words)], lambda dtype: bernoulli(dtype=dtype))
    return calls


@pytest.mark.parametrize(("call", "error", "words"), bad_calls())
def test_bad_input(call, error, words):
    for source in (
        fd.Xoshiro256PlusPlus(1),
        fd.Philox4x32(1),
        np.random.Generator(fd.Xorshift128Plus(1)),
        np.random.PCG64(1),
        np.random.default_rng(1),
        np.random.RandomState(1),
    ):
        generator = getattr(source, "bit_generator", getattr(source, "_bit_generator", source))
        out = filled()
        before = generator.state
        with pytest.raises(error) as caught:
            call(source, out)
        message = str(caught.value)
        assert type(caught.value) is error
        assert all(word in message for word in words), message
        assert "\n" not in message
        assert same_state(generator.state, before)
        assert (out == SENTINEL).all()


def test_bad_input_touches_no_output():
    """The outputs that are refused themselves still hold what they held."""
    for out, _, _ in OUTS:
        if isinstance(out, np.ndarray):
            assert (out == SENTINEL).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"out": np.zeros((3, 2), bool)}, ValueError, ["(3, 2)", "(2, 3)"]),
        ({"out": np.zeros(6, bool)}, ValueError, ["(6,)", "(2, 3)"]),
        ({"out": np.zeros((2, 3), np.int8)}, TypeError, ["int8"]),
        ({"out": np.zeros((2, 3))}, TypeError, ["float64"]),
        ({"out": [False] * 6}, TypeError, ["list"]),
        ({"out": np.broadcast_to(False, (2, 3))}, ValueError, ["read-only"]),
        ({"packed": True, "out": np.zeros(6, np.uint8)}, ValueError, ["(6,)", "(1,)"]),
        ({"packed": True, "out": np.zeros(1, bool)}, TypeError, ["bool", "uint8"]),
        ({"packed": True, "out": np.zeros((2, 3), np.uint8)}, ValueError, ["(2, 3)", "(1,)"]),
    ],
)
def test_bad_outputs_of_bernoulli(options, error, words):
    source = fd.Xoshiro256PlusPlus(1)
    with pytest.raises(error) as caught:
        fd.bernoulli((2, 3), 1.0, rng=source, **options)
    assert all(word in str(caught.value) for word in words)
    assert source.position == 0
    assert not np.any(options["out"])


@pytest.mark.parametrize("left", [0, 4, 5])
def test_a_source_does_not_go_past_its_end(source_class, left):
    source = source_class(1)
    source.position = 2**64 - 1 - left
    out = filled()
    bools = np.zeros((2, 3), np.uint8)
    for call in (
        lambda: fd.dropout(x32, rng=source, out=out),
        lambda: fd.dropout(x32, p=0.0, rng=source, out=out),
        lambda: fd.dropout_mask((2, 3), rng=source),
        lambda: fd.dropout_mask((2, 3), rng=source, store="bits"),
        lambda: fd.bernoulli((2, 3), 0.5, rng=source, out=bools),
    ):
        with pytest.raises(OverflowError, match=f"6 positions from {2**64 - 1 - left} on"):
            call()
        assert source.position == 2**64 - 1 - left
    assert (out == SENTINEL).all()
    assert not bools.any()


def test_a_source_goes_to_its_end(source_class):
    source = source_class(1)
    source.position = position = 2**64 - 7
    _, mask = fd.dropout(x32, 0.3, rng=source)
    assert source.position == 2**64 - 1
    assert np.array_equal(kept(mask).ravel(), kept_at(source, position, 6, 0.3))


# ---- p, keep_prob --------------------------------------------------------------------------------


def test_p_is_one_half_by_default():
    assert fd.dropout(x32, rng=1)[1] == fd.dropout(x32, 0.5, rng=1)[1]
    assert fd.dropout_mask(99, rng=1) == fd.dropout_mask(99, 0.5, rng=1)
    assert fd.dropout_mask(99, rng=1) == fd.dropout_mask(99, keep_prob=0.5, rng=1)


@pytest.mark.parametrize(
    "p", [0, 1, np.float16(0.25), np.array(0.25), np.array(1), fractions.Fraction(1, 4)]
)
def test_numbers_of_every_kind(p):
    assert fd.dropout_mask(99, p, rng=1) == fd.dropout_mask(99, float(p), rng=1)
    assert fd.dropout_mask(99, keep_prob=p, rng=1) == fd.dropout_mask(99, keep_prob=float(p), rng=1)
    assert np.array_equal(fd.bernoulli(99, p, rng=1), fd.bernoulli(99, float(p), rng=1))


@pytest.mark.parametrize("keep_prob", [0.0, 1e-4, 0.1, 1 / 3, 0.5, 0.8, 1.0])
def test_keep_prob_is_the_probability_of_being_present(keep_prob, source_class):
    n = 100_000
    source = source_class(3)
    x = np.ones(n)
    y, mask = fd.dropout(x, keep_prob=keep_prob, rng=source)
    expected = kept_at(source, 0, n, keep_prob=keep_prob)
    assert np.array_equal(kept(mask), expected)
    assert np.array_equal(y, reference.apply(x, expected, reference.scale_factor(None, keep_prob)))
    assert abs(expected.sum() - n * keep_prob) <= 4.5 * math.sqrt(n * keep_prob * (1 - keep_prob))
    assert mask.p == 1 - keep_prob
    assert mask.scale == (1 / keep_prob if keep_prob else math.inf)


# ---- rng -----------------------------------------------------------------------------------------


def test_without_rng_every_call_differs():
    masks = [fd.dropout(np.ones(64))[1] for _ in range(20)]
    masks += [fd.dropout_mask(64) for _ in range(20)]
    distinct = {kept(mask).tobytes() for mask in masks}
    distinct |= {fd.bernoulli(64, 0.5).tobytes() for _ in range(20)}
    assert len(distinct) == 60


@pytest.mark.parametrize(
    "seed",
    [
        0,
        1,
        10**100,
        np.int64(7),
        np.uint8(7),
        [1, 2],
        (1, 2),
        range(3),
        np.array([1, 2]),
        np.random.SeedSequence(5),
        np.random.SeedSequence(5, spawn_key=(1,)),
    ],
    ids=repr,
)
def test_a_seed_gives_the_same_mask_every_call(seed):
    source = fd.Xoshiro256PlusPlus(seed)
    expected = kept_at(source, 0, 200, 0.3)
    for _ in range(2):
        assert np.array_equal(kept(fd.dropout(np.ones(200), 0.3, rng=seed)[1]), expected)
        assert np.array_equal(kept(fd.dropout_mask(200, 0.3, rng=seed)), expected)
        assert np.array_equal(~fd.bernoulli(200, 0.3, rng=seed), expected)


def test_seeds_differ():
    seeds = [0, 1, 2, 2**32, 2**64, 2**128, [1, 2], [2, 1], [1, 2, 3]]
    assert len({kept(fd.dropout_mask(200, rng=seed)).tobytes() for seed in seeds}) == len(seeds)


def test_a_source_advances_by_its_decisions(source_class):
    source = source_class(5)
    position = 0
    for p in (0.3, 0.0, 1.0, 0.5):
        for n, draw in (
            (6, lambda p: fd.dropout(x32, p, rng=source)[1]),
            (2, lambda p: fd.dropout(x32, p, rng=source, noise_shape=(2, 1))[1]),
            (0, lambda p: fd.dropout(np.empty((0, 3)), p, rng=source)[1]),
            (1, lambda p: fd.dropout(1.0, p, rng=source)[1]),
            (100, lambda p: fd.dropout_mask((4, 25), p, rng=source)),
            (100, lambda p: fd.dropout_mask((4, 25), p, rng=source, store="bits")),
        ):
            expected = kept_at(source, position, n, p)
            assert np.array_equal(kept(draw(p)).ravel(), expected)
            position += n
            assert source.position == position
        expected = kept_at(source, position, 77, p)
        assert np.array_equal(~fd.bernoulli(77, p, rng=source), expected)
        position += 77
        assert source.position == position


def test_generators_that_wrap_a_source_are_that_source(source_class):
    for wrap in (np.random.Generator, np.random.RandomState):
        source = source_class(5)
        mask = fd.dropout_mask(100, 0.3, rng=wrap(source))
        assert source.position == 100
        assert mask.nbytes == 0
        assert mask == fd.dropout_mask(100, 0.3, rng=source_class(5))


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_numpy_generators_of_every_kind(bit_generator):
    expected = reference.numpy_kept(bit_generator(3), 1001, reference.decision_threshold(0.3))
    for wrap in (
        lambda generator: generator,
        np.random.Generator,
        np.random.RandomState,
        fd.NumPySource,
        lambda generator: fd.NumPySource(np.random.Generator(generator)),
    ):
        y, mask = fd.dropout(np.ones(1001), 0.3, rng=wrap(bit_generator(3)))
        assert np.array_equal(kept(mask), expected)
        assert np.array_equal(y, np.where(expected, 1 / 0.7, 0))
        assert np.array_equal(
            kept(fd.dropout_mask((7, 143), 0.3, rng=wrap(bit_generator(3)))).ravel(), expected
        )
        bits = fd.bernoulli(1001, 0.3, rng=wrap(bit_generator(3)), packed=True)
        assert np.array_equal(bits, reference.pack(~expected))


# ---- training and scale --------------------------------------------------------------------------

RANDOM = np.random.default_rng(9).standard_normal((20, 30)).astype(np.float32)


@pytest.mark.parametrize("scale", ["train", "none"])
def test_evaluation_gives_x_itself(scale):
    for x in (RANDOM, RANDOM.T, RANDOM[::2], np.array(1.5), np.empty((0, 2))):
        y, mask = fd.dropout(x, 0.3, training=False, scale=scale)
        assert y is x
        assert kept(mask).all()
        assert mask.shape == x.shape
        assert (mask.scale, mask.p, mask.nbytes) == (1.0, 0.0, 0)
        assert np.array_equal(fd.dropout_backward(x, mask), x)


@pytest.mark.parametrize("probability", [{"p": 0.3}, {"keep_prob": 0.7}, {"p": 1.0}, {"p": 0.0}])
def test_evaluation_as_in_the_paper(probability):
    keep = probability.get("keep_prob", 1.0 - probability.get("p", 0))
    y, mask = fd.dropout(RANDOM, **probability, training=False, scale="test")
    assert y.dtype == np.float32
    assert not np.shares_memory(y, RANDOM)
    assert np.array_equal(y, RANDOM * np.float32(keep))
    assert kept(mask).all()
    assert (mask.scale, mask.shape) == (keep, RANDOM.shape)
    assert np.array_equal(fd.dropout_backward(RANDOM, mask), y)


@pytest.mark.parametrize("scale", ["train", "test", "none"])
def test_evaluation_with_out(scale):
    expected = RANDOM * np.float32(0.7 if scale == "test" else 1)
    for out in (np.empty_like(RANDOM), np.empty((40, 30), np.float32)[::2], RANDOM.copy()):
        y, mask = fd.dropout(RANDOM, 0.3, training=False, scale=scale, out=out)
        assert y is out
        assert np.array_equal(out, expected)
        assert kept(mask).all()
    x = RANDOM.copy()
    assert fd.dropout(x, 0.3, training=False, scale=scale, out=x)[0] is x
    assert np.array_equal(x, expected)


@pytest.mark.parametrize("scale", ["train", "test", "none"])
def test_evaluation_draws_nothing(scale):
    sources = [source(1) for source in SOURCES] + [generator(1) for generator in BIT_GENERATORS]
    for source in sources:
        before = source.state
        fd.dropout(RANDOM, rng=source, training=False, scale=scale)
        fd.dropout(RANDOM, rng=source, training=False, scale=scale, out=RANDOM.copy())
        fd.dropout(RANDOM, rng=source, training=False, noise_shape=(20, 1))
        assert same_state(source.state, before)


def test_evaluation_has_a_mask_of_the_noise_shape():
    y, mask = fd.dropout(RANDOM, training=False, noise_shape=(None, 1))
    assert y is RANDOM
    assert mask.shape == (20, 1)
    assert np.array_equal(fd.dropout_backward(RANDOM, mask), RANDOM)


@pytest.mark.parametrize(
    ("scale", "factor"), [("train", 1 / (1 - 0.3)), ("test", 1.0), ("none", 1.0)]
)
def test_scale_in_training(scale, factor):
    y, mask = fd.dropout(RANDOM, 0.3, rng=1, scale=scale)
    assert mask.scale == factor
    assert mask.p == 0.3
    assert np.array_equal(y, reference.apply(RANDOM, kept(mask), factor))
    assert np.array_equal(fd.dropout_backward(RANDOM, mask), y)
    assert np.array_equal(kept(mask), kept(fd.dropout_mask(RANDOM.shape, 0.3, rng=1)))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_mean_over_masks_is_x(p, source_class):
    """In training for inverted dropout; what the paper's form gives at test time, for the other."""
    source = source_class(4)
    x = np.linspace(-2, 3, 11)
    rounds = 20_000
    for scale in ("train", "test"):
        many = np.broadcast_to(x, (rounds, x.size))
        mean = fd.dropout(many, p, rng=source, scale=scale)[0].mean(axis=0)
        expected, _ = fd.dropout(x, p, training=False, scale=scale)
        factor = 1 / (1 - p) if scale == "train" else 1
        sigma = np.abs(x) * factor * math.sqrt(p * (1 - p) / rounds)
        assert (np.abs(mean - expected) <= 4.5 * sigma).all()


# ---- a caller's mask -----------------------------------------------------------------------------


def test_a_mask_brings_its_own_p_and_scale():
    for store in ("seed", "bits"):
        given = fd.dropout_mask(RANDOM.shape, 0.3, rng=1, store=store)
        y, mask = fd.dropout(RANDOM, mask=given)
        assert mask == given
        assert np.array_equal(y, reference.apply(RANDOM, kept(given), 1 / 0.7))
        for scale in ("test", "none"):
            y, mask = fd.dropout(RANDOM, mask=given, scale=scale)
            assert (mask.p, mask.scale) == (0.3, 1.0)
            assert np.array_equal(kept(mask), kept(given))
            assert np.array_equal(y, np.where(kept(given), RANDOM, 0))
        assert given.scale == 1 / 0.7


def test_a_mask_of_one_p_may_have_many_scales():
    scales = np.linspace(1, 2, RANDOM.shape[-1])
    state = fd.dropout_mask(RANDOM.shape, 0.3, rng=1).state | {"scale": scales}
    mask = fd.Mask.from_state(state)
    assert np.array_equal(fd.dropout(RANDOM, mask=mask)[0], mask.apply(RANDOM))


def test_a_mask_is_not_applied_in_evaluation():
    given = fd.dropout_mask(RANDOM.shape, 0.3, rng=1)
    for mask in (given, kept(given), given[:, :1], kept(given)[0]):
        probability = {} if isinstance(mask, fd.Mask) else {"p": 0.3}
        for scale in ("train", "none"):
            y, all_kept = fd.dropout(RANDOM, mask=mask, training=False, scale=scale, **probability)
            assert y is RANDOM
            assert kept(all_kept).all()
        y, all_kept = fd.dropout(RANDOM, mask=mask, training=False, scale="test", **probability)
        assert np.array_equal(y, RANDOM * np.float32(0.7))
        assert all_kept.scale == 0.7
        assert kept(all_kept).all()


def test_a_mask_of_keep_prob_in_evaluation():
    given = fd.dropout_mask(5, keep_prob=0.1, rng=1)
    y, mask = fd.dropout(np.ones(5), mask=given, training=False, scale="test")
    np.testing.assert_allclose(y, 0.1, rtol=1e-15)
    np.testing.assert_allclose(mask.scale, 0.1, rtol=1e-15)


@pytest.mark.parametrize("shape", [(20, 30), (30,), (1, 30), (20, 1), (1, 1), ()])
def test_bool_arrays_are_masks_too(shape):
    array = np.asarray(np.random.default_rng(2).random(shape) >= 0.3)
    before = array.copy()
    for options, factor in (({"p": 0.5}, 2.0), ({"p": 0.2}, 1.25), ({"keep_prob": 0.1}, 10.0)):
        y, mask = fd.dropout(RANDOM, mask=array, **options)
        assert np.array_equal(y, reference.apply(RANDOM, np.broadcast_to(array, (20, 30)), factor))
        assert mask.scale == factor
        assert mask.p == options.get("p", 1 - options.get("keep_prob", 0.0))
        assert mask.shape == shape
        assert np.array_equal(kept(mask), array)
        assert np.array_equal(fd.dropout_backward(RANDOM, mask), y)
        y, mask = fd.dropout(RANDOM, mask=array, scale="none", **options)
        assert np.array_equal(y, np.where(array, RANDOM, 0))
        assert mask.scale == 1.0
    y, mask = fd.dropout(RANDOM, mask=array, scale="none")
    assert np.array_equal(y, np.where(array, RANDOM, 0))
    array[...] = ~array
    assert np.array_equal(kept(mask), before)


def test_bool_arrays_of_every_layout():
    array = np.random.default_rng(2).random((20, 30)) >= 0.3
    expected = np.where(array, RANDOM * 2, 0)
    for mask in (
        np.asfortranarray(array),
        array[::-1, ::-1].copy()[::-1, ::-1],
        array.tolist(),
        np.repeat(array, 2, axis=1)[:, ::2],
    ):
        assert np.array_equal(fd.dropout(RANDOM, 0.5, mask=mask)[0], expected)


@pytest.mark.parametrize("probability", [{"p": 1.0}, {"keep_prob": 0.0}])
@pytest.mark.parametrize("several", [False, True])
def test_nothing_is_multiplied_where_nothing_is_kept(probability, several):
    if several:
        probability = {name: np.full((2, 1), p) for name, p in probability.items()}
    x, kept = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[True, False], [True, True]])
    y, mask = fd.dropout(x, **probability, mask=kept)
    assert y.tolist() == [[1.0, 0.0], [0.0, 3.0]]
    assert np.all(mask.p == 1.0)
    assert np.all(mask.scale == math.inf)
    for again in (pickle.loads(pickle.dumps(mask)), mask[:, :], mask.packed()):
        assert np.array_equal(again.apply(x), y)


@pytest.mark.parametrize("several", [False, True])
def test_a_factor_that_overflows_multiplies(several):
    x, kept = np.array([[1.0, 2.0], [0.0, -3.0]]), np.array([[True, False], [True, True]])
    keep_prob = np.full((1, 2), 5e-309) if several else 5e-309
    y, mask = fd.dropout(x, keep_prob=keep_prob, mask=kept)
    expected = [[math.inf, 0.0], [math.nan, -math.inf]]  # x times 1 / keep_prob
    np.testing.assert_array_equal(y, expected)
    assert np.all(mask.p < 1.0)
    assert np.all(mask.scale == math.inf)
    for again in (pickle.loads(pickle.dumps(mask)), mask[:, :], mask.packed()):
        np.testing.assert_array_equal(again.apply(x), expected)
    assert not fd.dropout(np.ones(100), keep_prob=5e-309, rng=1)[0].any()


# ---- shared decisions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (0, (1, 5, 6)),
        (1, (4, 1, 6)),
        (-1, (4, 5, 1)),
        ((0, 2), (1, 5, 1)),
        ([-3, 1], (1, 1, 6)),
        ((), (4, 5, 6)),
        ((2, 1, 0), (1, 1, 1)),
        (np.int64(1), (4, 1, 6)),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_broadcast_axes_are_a_noise_shape(axes, shape, training):
    x = np.random.default_rng(1).standard_normal((4, 5, 6))
    sources = fd.Philox4x32(3), fd.Philox4x32(3)
    y, mask = fd.dropout(x, 0.3, rng=sources[0], broadcast_axes=axes, training=training)
    expected = fd.dropout(x, 0.3, rng=sources[1], noise_shape=shape, training=training)
    assert mask == expected[1]
    assert mask.shape == shape
    assert np.array_equal(y, expected[0])
    assert sources[0].position == sources[1].position == training * math.prod(shape)


def test_one_decision_for_all_time_steps():
    x = np.ones((3, 7, 50))
    y, _ = fd.dropout(x, 0.5, rng=1, broadcast_axes=1)
    assert (y == y[:, :1]).all()
    assert len({row.tobytes() for row in y[:, 0]}) == 3  # but samples have their own


# ---- backward ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["train", "test", "none"])
@pytest.mark.parametrize("rng", [1, np.random.PCG64(1)], ids=["fastdrop", "NumPy's"])
def test_backward_is_the_same_map(scale, rng):
    x = RANDOM.astype(np.float64)
    dy = np.random.default_rng(3).standard_normal(x.shape)
    for noise_shape in (None, (20, 1), (1, 30)):
        y, mask = fd.dropout(x, 0.3, rng=rng, scale=scale, noise_shape=noise_shape)
        dx = fd.dropout_backward(dy, mask)
        full = np.broadcast_to(kept(mask), x.shape)
        assert np.array_equal(dx, reference.apply(dy, full, mask.scale))
        assert np.isclose((dx * x).sum(), (dy * y).sum())  # it is linear, and its own transpose
        out = np.empty_like(dy)
        assert fd.dropout_backward(dy, mask, out=out) is out
        assert np.array_equal(out, dx)
        half = fd.dropout_backward(dy.astype(np.float16), mask)
        assert half.dtype == np.float16


# ---- bernoulli -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), 0, 1, 7, (8,), (3, 0), (9, 17), [4, 5], np.int64(70_001)])
@pytest.mark.parametrize("prob", [0.0, 0.1, 0.5, 1.0])
def test_bernoulli(shape, prob, source_class):
    source = source_class(6)
    n = math.prod(shape) if isinstance(shape, (tuple, list)) else int(shape)
    lengths = tuple(shape) if isinstance(shape, (tuple, list)) else (n,)
    expected = ~kept_at(source, 0, n, prob)
    for dtype in (bool, np.bool_, "?", np.uint8, "u1"):
        source.position = 0
        b = fd.bernoulli(shape, prob, rng=source, dtype=dtype)
        assert b.dtype == np.dtype(dtype)
        assert b.shape == lengths
        assert source.position == n
        assert np.array_equal(b.ravel(), expected)
        assert b.view(np.uint8).max(initial=0) <= 1
    source.position = 0
    bits = fd.bernoulli(shape, prob, rng=source, packed=True)
    assert bits.dtype == np.uint8
    assert bits.shape == (-(-n // 8),)
    assert np.array_equal(bits, reference.pack(expected))


def test_bernoulli_is_true_where_dropout_drops():
    drops = fd.bernoulli(10_000, 0.2, rng=1)
    assert np.array_equal(drops, ~kept(fd.dropout_mask(10_000, 0.2, rng=1)))
    kept_with_that_probability = kept(fd.dropout_mask(10_000, keep_prob=0.2, rng=1))
    assert not np.array_equal(drops, kept_with_that_probability)
    assert abs(int(drops.sum()) - 2000) < 4.5 * 40
    assert abs(int(kept_with_that_probability.sum()) - 2000) < 4.5 * 40


@pytest.mark.parametrize("rng", [6, np.random.PCG64], ids=["fastdrop", "NumPy's"])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_bernoulli_writes_outputs_of_every_layout(rng, dtype):
    shape = (70, 1001)

    def draw(**options):
        return fd.bernoulli(shape, 0.3, rng=rng if rng == 6 else rng(6), **options)

    expected = draw()
    room = np.full((150, 3000), 7, dtype)
    for out in (
        np.empty(shape, dtype),
        np.empty(shape, dtype, order="F"),
        room[9:149:2, 5:1006],
        np.empty(shape[::-1], dtype).T,
        np.empty(shape, dtype)[::-1, ::-1],
        np.empty((*shape, 2), dtype)[..., 1],
    ):
        assert draw(out=out) is out
        assert np.array_equal(out, expected)
    assert (room[::2] == room[0, 0]).all()
    assert (room[:, :5] == room[0, 0]).all()
    assert (room[:, 1006:] == room[0, 0]).all()


@pytest.mark.parametrize("rng", [6, np.random.PCG64], ids=["fastdrop", "NumPy's"])
@pytest.mark.parametrize("n", [0, 1, 8, 70_001])
def test_bernoulli_writes_packed_outputs(rng, n):
    size = -(-n // 8)

    def draw(**options):
        return fd.bernoulli(n, 0.3, rng=rng if rng == 6 else rng(6), packed=True, **options)

    expected = draw()
    room = np.full(2 * size + 9, 7, np.uint8)
    for out in (room[4 : 4 + size], room[4 : 4 + 2 * size : 2], np.empty(size, np.uint8)[::-1]):
        room[...] = 7
        assert draw(out=out) is out
        assert np.array_equal(out, expected)
        assert (room[:4] == 7).all()
        assert (room[4 + 2 * size :] == 7).all()


def test_bernoulli_advances_a_source_once(source_class):
    source = source_class(1)
    whole = fd.bernoulli(1000, 0.3, rng=source_class(1))
    parts = [
        fd.bernoulli(n, 0.3, rng=source, packed=packed) for n, packed in ((400, False), (600, True))
    ]
    assert np.array_equal(parts[0], whole[:400])
    assert np.array_equal(parts[1], reference.pack(whole[400:]))
