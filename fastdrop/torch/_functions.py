# SPDX-License-Identifier: BSD-3-Clause
"""Finds functions of PyTorch's libraries, which the compiled modules call by their addresses.

So no header of PyTorch is needed when this package is built, and one build serves every version of
PyTorch that has the functions.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

__all__ = ["addresses_of"]

PATTERN = {"win32": "{}.dll", "darwin": "lib{}.dylib"}.get(sys.platform, "lib{}.so")


def _libraries() -> Iterator[ctypes.CDLL]:
    """Yield PyTorch's libraries, which are loaded already."""
    mode = getattr(os, "RTLD_NOLOAD", 0) | getattr(os, "RTLD_NOW", 0) or ctypes.DEFAULT_MODE
    for name in ("torch_cpu", "c10"):
        path = Path(torch.__file__).parent / "lib" / PATTERN.format(name)
        try:
            yield ctypes.CDLL(str(path), mode=mode)
        except OSError:
            continue


def addresses_of(names: list[str]) -> list[int] | None:
    """Return the addresses of functions of PyTorch; None where one of them is missing."""
    found: dict[str, int] = {}
    for library in _libraries():
        for name in names:
            if name not in found and hasattr(library, name):
                found[name] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    return [found[name] for name in names] if len(found) == len(names) else None
