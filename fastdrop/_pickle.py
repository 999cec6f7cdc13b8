# SPDX-License-Identifier: BSD-3-Clause
"""The one door of all pickles. Programs keep its path in their files: it is never moved.

A pickle of a mask or a source holds `load`, the name of a kind, and what the reader of that kind
takes. Each room adds the readers of its own kinds.
"""

from collections.abc import Callable
from typing import Any

from fastdrop._checks import check_choice, check_words

__all__ = ["add_reader", "in_words", "load"]

READERS: dict[str, Callable[..., Any]] = {}


def add_reader(kind: str, reader: Callable[..., Any]) -> None:
    """Add the function that makes a value of what was pickled of it."""
    READERS[kind] = reader


def load(kind: str, *parts: Any) -> Any:
    """Return the value that was pickled."""
    return READERS[check_choice("the kind of what was pickled", kind, READERS)](*parts)


def in_words(entries: Any) -> Any:
    """Return the entries of a mask pickled before `load` was there, as a state has them.

    They had no version where there was no source, and a counter of two 64-bit halves.
    """
    if not isinstance(entries, dict):
        return entries  # which its reader refuses
    entries = {"stream_version": 1} | entries
    halves = entries.get("counter")
    if isinstance(halves, tuple) and len(halves) == 2:
        low, high = (check_words("counter", half, 2) for half in halves)
        entries["counter"] = low + high
    return entries
