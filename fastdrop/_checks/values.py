# SPDX-License-Identifier: BSD-3-Clause
"""Checks of switches, choices, integers and seeds."""

import math
import operator
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any, NoReturn

import numpy as np
from numpy.random import SeedSequence
from numpy.random.bit_generator import ISeedSequence

from fastdrop._checks.display import check_given, described, either, is_array, shown

__all__ = [
    "check_choice",
    "check_eps",
    "check_integer",
    "check_jumps",
    "check_position",
    "check_positive",
    "check_seed",
    "check_switch",
    "check_words",
    "entries_of",
]


def entries_of(value: Any, ordered: bool) -> tuple[Any, ...]:
    """Return the entries of a sequence, or raise a TypeError of what only looks like one.

    Sets have no order; mappings and bytes give what nobody meant.
    """
    if isinstance(value, tuple):
        return value
    kinds = (str, bytes, bytearray, Mapping)
    if isinstance(value, kinds) or (ordered and isinstance(value, Set)):
        raise TypeError
    return tuple(value)


def check_switch(name: str, value: Any) -> bool:
    """Return ``value``, which is True or False."""
    if isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False, not {shown(value)}")


def check_choice(name: str, value: Any, choices: Collection[str]) -> str:
    """Return ``value``, one of the strings ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {either(map(repr, choices))}, not {shown(value)}")
    return value


def check_integer(name: str, value: Any, least: int, end: float, which: str) -> int:
    """Return ``value`` as an int in [least, end)."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        check_given(name, value)
        raise TypeError(f"{name} must be an integer {which}, not {described(value)}") from None
    if not least <= number < end:
        raise ValueError(f"{name} must be an integer {which}, not {shown(number)}")
    return number


def check_eps(value: Any) -> float:
    """Return the ``eps`` of a norm as a float that is finite and not negative."""
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__") or is_array(value):
        raise TypeError(f"eps must be a finite number of at least 0, not {described(value)}")
    try:
        eps = float(value)
    except (TypeError, ValueError, OverflowError):  # a complex number, a signalling NaN, 10**400
        eps = math.nan
    if not 0.0 <= eps < math.inf:
        raise ValueError(f"eps must be a finite number of at least 0, not {shown(value)}")
    return eps


def check_positive(name: str, value: Any) -> int:
    """Return ``value`` as an int of at least 1."""
    return check_integer(name, value, 1, math.inf, "of at least 1")


def check_jumps(value: Any) -> int:
    """Return a number of jumps as an int that is not negative."""
    return check_integer("jumps", value, 0, math.inf, "that is not negative")


def check_position(value: Any) -> int:
    """Return a position of a source as an int in [0, 2**64)."""
    return check_integer("position", value, 0, 2**64, "in [0, 2**64)")


def check_seed(
    value: Any, name: str = "seed", refuse: Callable[[Any], NoReturn] | None = None
) -> ISeedSequence:
    """Return the ``SeedSequence`` of a seed: None, integers that are not negative, or itself.

    ``refuse`` raises the error of another type, where more than seeds is allowed.
    """
    if type(value) is not int and isinstance(value, ISeedSequence):
        return value
    try:
        if type(value) is not int and _has_bools(value):  # at once for most seeds
            raise TypeError
        return SeedSequence(value)
    except ValueError:
        one = hasattr(value, "__index__") and not is_array(value)
        which = "an integer that is not negative" if one else "integers that are not negative"
        raise ValueError(f"{name} must be {which}, not {shown(value)}") from None
    except TypeError:
        pass
    if refuse is not None:
        refuse(value)
    raise TypeError(
        f"{name} must be None, an integer, a sequence of integers or a SeedSequence, not "
        f"{described(value)}"
    )


def _has_bools(value: Any) -> bool:
    """Tell whether a value is a bool, or a sequence that holds one, where integers are needed."""
    if isinstance(value, (tuple, list)):
        return any(map(_has_bools, value))
    if is_array(value):
        return bool(np.asarray(value).dtype == np.bool_)
    return isinstance(value, (bool, np.bool_))


def check_words(name: str, value: Any, count: int) -> tuple[int, ...]:
    """Return ``count`` 32-bit words from a sequence of them, or from one int, low word first."""
    if not isinstance(value, (tuple, list)):
        try:
            if isinstance(value, bool):
                raise TypeError
            number = operator.index(value)
        except TypeError:
            pass
        else:
            return _words_of(name, value, number, count)
    try:
        entries = entries_of(value, ordered=True)
        if bool in map(type, entries):
            raise TypeError
        words = tuple(map(operator.index, entries))
    except TypeError:
        raise TypeError(
            f"{name} must be an integer or a sequence of {count} integers, not {described(value)}"
        ) from None
    if len(words) != count or min(words) < 0 or max(words) >= 1 << 32:
        raise ValueError(f"{name} must be {count} words in [0, 2**32), not {shown(value)}")
    return words


def _words_of(name: str, value: Any, number: int, count: int) -> tuple[int, ...]:
    """Return the words of one int."""
    if not 0 <= number < 1 << 32 * count:
        raise ValueError(f"{name} must be an integer in [0, 2**{32 * count}), not {shown(value)}")
    return tuple([number >> 32 * i & 0xFFFFFFFF for i in range(count)])
