# SPDX-License-Identifier: BSD-3-Clause
"""What errors show of a value, and how they join words."""

import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["MISSING", "check_given", "described", "either", "is_array", "kind_of", "shown"]

MOST = 300  # characters of a value that errors show; no number of a float has as many


class _Missing:
    """What stands for an argument that has to be given and was not."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


def check_given(name: str, value: Any) -> None:
    """Check that an argument was given at all."""
    if value is MISSING:
        raise TypeError(f"{name} must be given; it is missing")


def is_array(value: Any) -> bool:
    """Tell an array from a number, which an array without axes is, too."""
    axes = getattr(value, "ndim", 0)  # of a class of arrays, no number
    return isinstance(axes, int) and axes > 0


def kind_of(value: Any) -> str:
    """Return the class of a value with its article: "an int", "a list"; None is itself."""
    if value is None:
        return "None"
    name = type(value).__name__
    vowel = name[0] in "aeioAEIO" or name.startswith("nd")  # "an ndarray", but "a uint8"
    return f"{'an' if vowel else 'a'} {name}"


def shown(value: Any) -> str:
    """Return what an error shows of a value: itself, cut short, or the shape of an array."""
    of_numpy = isinstance(value, np.ndarray)  # whose subclasses may say anything of their shape
    shape = np.ndarray.shape.__get__(value) if of_numpy else getattr(value, "shape", ())
    if shape and (of_numpy or is_array(value)):
        return f"{kind_of(value)} of shape {tuple(shape)}"
    try:
        text = reprlib.repr(value) if isinstance(value, (list, tuple)) else repr(value)
    except Exception:  # of a class of the caller's, or an int of more digits than Python shows
        return f"an int of {value.bit_length()} bits" if isinstance(value, int) else kind_of(value)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= MOST else f"{text[: MOST // 2]}...{text[-20:]}"


def described(value: Any) -> str:
    """Return what an error shows of a value of a wrong type: itself and its class."""
    text, kind = shown(value), kind_of(value)
    if text == kind:  # None is its own class
        return text
    if not text.startswith(f"{kind} of "):
        return f"{text} ({kind})"
    dtype = getattr(value, "dtype", None)
    return text if dtype is None else f"{text} and dtype {dtype}"


def either(words: Iterable[Any], before_last: str = "or") -> str:
    """Join words: "a, b or c"."""
    *most, last = map(str, words)
    return f"{', '.join(most)} {before_last} {last}" if most else last
