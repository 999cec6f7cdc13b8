# SPDX-License-Identifier: BSD-3-Clause
"""Whatever is unpickled is a right value, or one clear error: pickles are changed by chance.

A file that was damaged, of another version or written by hand must not make a function read outside
of what it has. (That unpickling may run any program is Python's own affair.)
"""

import base64
import contextlib
import copy
import io
import json
import math
import pickle
import runpy
from random import Random

import numpy as np
import pytest
from helpers import DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from isolated import isolated
from values import FACTORS, GENERATORS, LAYERS, MASKS, VALUES, X, plain, uses_of

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop._pickle import load

ERRORS = (TypeError, ValueError)
STRANGERS = [
    *(None, True, False, -1, 0, 1, 2, 7, 255, 2**31, 2**32, 2**53 + 1, 2**62, 2**63, 2**64 - 1),
    *(2**64, -(2**63), 10**30, 0.0, -0.5, 0.5, 1.5, 1e308, 5e-324, math.inf, math.nan, 1j),
    *("", "a", "Philox4x32", "Xoshiro256PlusPlus", "double", b"", b"\xff", b"\xff" * 40, bytes(5)),
    *((), (1,), (4, 10), (10, 4), (40,), (4, -10), (2**62, 4), (2**63, 0), (4.0, 10), (10**7,)),
    *((1,) * 70, [4, 10], [], {}, {"key": 1}, slice(2), ..., int, fd.Mask, fd.Philox4x32, len),
    *(np.int64(4), np.float32(0.5), np.float64(2.0), np.bool_(True), np.array(0.25), np.array(7)),
    *(np.ones(3), np.ones((4, 10)), np.ones((4, 10), np.float32), np.ones((4, 10), np.int8)),
    *(
        np.ones((4, 10), object),
        np.array(["a"]),
        np.full((4, 10), np.nan),
        np.ones(0),
        -np.ones(10),
    ),
    *(np.full(10, 2.0), np.ones((10, 4)).T, np.ones((4, 10), ">f8"), np.ma.ones((4, 10))),
    *(np.random.SeedSequence(1), np.random.PCG64(1), fd.Philox4x32(1), MASKS["packed"]()),
]


def altered(thing, random):
    """The same but for one part somewhere inside."""
    inside = isinstance(thing, (tuple, list, dict)) and len(thing) > 0
    if inside and random.random() < 0.85:
        names = list(thing) if isinstance(thing, dict) else list(range(len(thing)))
        name, parts = random.choice(names), dict(zip(names, entries_of(thing), strict=True))
        way = random.randrange(12)
        if way == 0:
            del parts[name]
        elif way == 1:
            parts["more"] = random.choice(STRANGERS)
        elif way == 2:
            parts[name] = parts[random.choice(names)]
        else:
            parts[name] = altered(parts[name], random)
        return parts if isinstance(thing, dict) else type(thing)(parts.values())
    ways = [lambda: random.choice(STRANGERS)] * 3
    if isinstance(thing, (int, float)):
        ways += [lambda: -thing, lambda: thing + 1, lambda: thing * 2, lambda: str(thing)]
        ways += [lambda: np.array(thing), lambda: np.full((4, 10), thing), lambda: float(thing)]
    elif isinstance(thing, bytes):
        ways += [
            lambda: thing[:-1],
            lambda: thing + b"\xff",
            lambda: thing[:-1] + b"\xff",
            thing.hex,
        ]
    elif isinstance(thing, np.ndarray):
        ways += [lambda: thing.astype(np.float16), lambda: thing[..., :-1], lambda: thing.ravel()]
        ways += [lambda: thing.T, lambda: -thing, lambda: 2 * thing, thing.tolist, thing.tobytes]
    elif isinstance(thing, (tuple, list)):
        ways += [lambda: thing[::-1], lambda: thing * 2, lambda: list(thing)]
    with contextlib.suppress(OverflowError, TypeError):  # of arithmetic
        return random.choice(ways)()
    return None


def entries_of(thing):
    return thing.values() if isinstance(thing, dict) else thing


def rebuilt(function, arguments, state=None):
    """What unpickling makes of what __reduce__ gave."""
    value = function(*arguments)
    if state is not None and hasattr(value, "__dict__"):
        if hasattr(type(value), "__setstate__"):
            value.__setstate__(state)
        else:
            value.__dict__.update(state)
    return value


def check_mask(mask):
    """A mask is consistent in itself, whatever was in its pickle."""
    assert type(mask.shape) is tuple
    assert all(type(length) is int and length >= 0 for length in mask.shape)
    assert mask.size == math.prod(mask.shape)
    assert np.all((np.asarray(mask.p) >= 0) & (np.asarray(mask.p) <= 1))
    repr(mask)
    if 0 < mask.size < 10**5:
        check_small_mask(mask)
    elif mask.size:
        check_small_mask(mask[tuple(slice(-2, None) for _ in mask.shape)])
        check_small_mask(mask[tuple(slice(0, 9, 3) for _ in mask.shape)])


def check_small_mask(mask):
    kept, x = np.asarray(mask), np.ones(mask.shape, np.float32)
    reverse = (..., slice(None, None, -1)) if mask.shape else ...
    assert kept.shape == mask.shape
    y = mask.apply(x)
    if isinstance(mask, fd.GaussianMask):
        assert np.array_equal(y, kept)
        window = np.asarray(mask[reverse])
    else:
        finite = np.isfinite(np.broadcast_to(mask.scale, mask.shape))  # else it depends on p
        assert np.array_equal(y[finite], reference.apply(x, kept, mask.scale)[finite])
        packed = mask.packed()
        assert np.array_equal(packed.bits, reference.pack(kept))
        assert np.array_equal(np.asarray(packed[reverse]), kept[reverse])
        window = np.asarray(mask[reverse])
    assert np.array_equal(window, kept[reverse])
    again = pickle.loads(pickle.dumps(mask))
    assert again == mask
    assert plain(again.apply(x)) == plain(y)


def check_value(value):
    if isinstance(value, (fd.Mask, fd.GaussianMask)):
        check_mask(value)
        return
    for use in uses_of(value):
        with contextlib.suppress(*ERRORS, OverflowError, AttributeError, RuntimeError):
            use()
    if isinstance(value, np.random.BitGenerator):
        assert 0 <= value.position < 2**64


@pytest.mark.parametrize("name", VALUES)
@isolated
def test_altered_pickles(name):
    reduced = [part for part in VALUES[name]().__reduce_ex__(4) if part is not None]
    kinds = next(kind for kind in (MASKS, FACTORS, GENERATORS, LAYERS) if name in kind)
    types = tuple({type(make()) for make in kinds.values()})

    @given(seed=st.integers(0, 2**64))
    @settings(max_examples=60)
    def check(seed):
        random = Random(seed)
        parts = list(reduced[1:])  # what the function is given, and the state where there is one
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            place = random.randrange(len(parts))
            parts[place] = altered(parts[place], random)
        try:
            value = rebuilt(reduced[0], *parts)
        except ERRORS:
            return
        if isinstance(value, types):
            check_value(value)

    check()


# ---- pickles of earlier versions -----------------------------------------------------------------

FROZEN = json.loads((DATA / "pickles_v1.json").read_text())
KINDS = ("masks", "factors", "sources", "layers")
FROZEN_NAMES = [(kind, name) for kind in KINDS for name in FROZEN[kind]]
given_by = runpy.run_path(str(DATA / "make_pickles.py"))["given_by"]


@pytest.mark.parametrize(("kind", "name"), FROZEN_NAMES)
def test_pickles_of_earlier_versions_are_loaded_for_ever(kind, name):
    frozen = FROZEN[kind][name]
    first = pickle.loads(base64.b64decode(frozen["pickle"]))
    for value in (first, pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):
        # Through JSON, as what it is compared with: tuples are lists there.
        assert json.loads(json.dumps(given_by(copy.deepcopy(value)))) == frozen["gives"]


def test_early_layers_of_zoneout_go_backward():
    """Their masks did not say yet that they are of zoneout."""
    (name,) = (name for name in FROZEN["layers"] if name.startswith("Zoneout"))
    layer = pickle.loads(base64.b64decode(FROZEN["layers"][name]["pickle"]))
    early = pickle.loads(base64.b64decode(FROZEN["masks"]["zoneout"]["pickle"]))
    drawn, dy = fd.zoneout(X, -X, 0.3, rng=7)[1], np.ones((4, 10))
    assert layer.mask == fd.Mask.from_state(early.state | {"of": "zoneout"}) == drawn
    for one, same in zip(layer.backward(dy), fd.zoneout_backward(dy, drawn), strict=True):
        assert np.array_equal(one, same)


def globals_of(value):
    """The functions and classes of the package that a pickle names."""
    found = []
    with io.BytesIO(pickle.dumps(value)) as file:
        unpickler = pickle._Unpickler(file)
        find = unpickler.find_class
        unpickler.find_class = lambda *names: found.append(names) or find(*names)
        unpickler.load()
    return {names for names in found if names[0].partition(".")[0] == "fastdrop"}


@pytest.mark.parametrize("name", MASKS | FACTORS | GENERATORS)
def test_pickles_name_one_function_that_never_moves(name):
    assert globals_of(VALUES[name]()) == {("fastdrop._pickle", "load")}


@pytest.mark.parametrize(
    ("base", "arguments"),
    [
        (fd.Philox4x32, (7,)),
        (fd.Xoshiro256PlusPlus, (7,)),
        (fd.NumPySource, (np.random.PCG64(7), "double")),
    ],
)
def test_pickles_of_users_classes_name_these(base, arguments):
    class Own(base):
        pass

    Own.__qualname__ = "Own"
    globals()["Own"] = Own
    source = pickle.loads(pickle.dumps(Own(*arguments)))
    assert type(source) is Own
    assert fd.dropout_mask(9, rng=source) == fd.dropout_mask(9, rng=base(*arguments))


@pytest.mark.parametrize("parts", [("Masque",), (7,), ([],), ("Source", "Philox2x32")])
def test_pickles_of_unknown_kinds(parts):
    with pytest.raises(ValueError, match="must be '"):
        load(*parts, *[None] * (4 * len(parts) - 4))


@pytest.mark.parametrize("name", VALUES)
def test_pickles_that_were_not_altered(name):
    value = VALUES[name]()
    again = rebuilt(*value.__reduce_ex__(4)[:3])
    check_value(again)
    if name in MASKS | FACTORS:
        assert again == VALUES[name]()
        assert np.array_equal(again.apply(X), value.apply(X))
