# SPDX-License-Identifier: BSD-3-Clause
"""Masks, sources and layers are values: no array that they hand out is a way to change them."""

import contextlib
import warnings

import numpy as np
import pytest
from isolated import isolated
from values import LAYERS, VALUES, used

ERRORS = (TypeError, ValueError, AttributeError)


def arrays_in(thing, depth=0):
    """The arrays that can be reached from a thing, by attributes, parts and pickles; bases too."""
    if isinstance(thing, np.ndarray):
        yield thing
        if thing.base is not None and depth < 9:
            yield from arrays_in(thing.base, depth + 1)
    elif isinstance(thing, dict):
        yield from arrays_in(list(thing.values()), depth + 1)
    elif isinstance(thing, (list, tuple)):
        for part in thing:
            yield from arrays_in(part, depth + 1)


def handed_out(value):
    """The arrays that a value gives out."""
    things = [value.__reduce_ex__(4), getattr(value, "__dict__", {})]
    for name in dir(value):
        if not name.startswith("__"):
            with contextlib.suppress(Exception):
                things.append(getattr(value, name))
    for make in (np.asarray, lambda value: value.packed().bits, lambda value: value[...].scale):
        with contextlib.suppress(Exception):
            things.append(make(value))
    for name in ("mask", "rng"):  # of layers
        part = getattr(value, name, None)
        if part is not None:
            things += list(handed_out(part))
    return [array for thing in things for array in arrays_in(thing)]


def fill(array):
    array.flags.writeable = True
    array.view(np.uint8)[...] = 0xFF


VANDALISM = {
    "reshape": lambda array: setattr(array, "shape", (array.size,)),
    "an axis more": lambda array: setattr(array, "shape", (1, *array.shape)),
    "a column": lambda array: setattr(array, "shape", (array.size, 1)),
    "strides": lambda array: setattr(array, "strides", (0,) * array.ndim),
    "bytes": lambda array: setattr(array, "dtype", np.uint8),
    "other floats": lambda array: setattr(array, "dtype", np.float16),
    "fill": fill,
    "zero": lambda array: array.fill(0),
    "shrink": lambda array: array.resize((1,)),
    "grow": lambda array: array.resize((10**6,)),
    "write": lambda array: array.setflags(write=True),
    "read only": lambda array: array.setflags(write=False),
    "byteswap": lambda array: array.byteswap(inplace=True),
    "swap": lambda array: np.copyto(array, array[::-1].copy()),
}


@pytest.mark.parametrize("name", VALUES)
@isolated
def test_arrays_that_are_handed_out(name):
    expected = used(VALUES[name](), ERRORS)
    for kind, damage in VANDALISM.items():
        value = VALUES[name]()
        for array in handed_out(value):
            with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
                damage(array)
        found = used(value, ERRORS)
        if name not in LAYERS:  # whose attributes are the program's to change
            assert found == expected, kind
