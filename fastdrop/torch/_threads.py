# SPDX-License-Identifier: BSD-3-Clause
"""Finds the OpenMP runtime that PyTorch computes with, so that its threads serve the kernels.

Their number is that of ``torch.set_num_threads``. Where the runtime is not found (it has another
interface on Windows), a call uses one thread.
"""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from fastdrop.torch._tensor import use_openmp

__all__ = ["find_openmp"]

FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


def _libraries() -> Iterator[ctypes.CDLL]:
    """Yield libraries that are loaded already: PyTorch's own first."""
    if not hasattr(os, "RTLD_NOLOAD"):
        return
    for path in sorted((Path(torch.__file__).parent / "lib").glob("lib*omp*")):
        try:
            yield ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            continue
    yield ctypes.CDLL(None)


def find_openmp() -> bool:
    """Give the addresses of PyTorch's OpenMP functions to the kernels; return whether found."""
    for library in _libraries():
        try:
            functions = [library[name] for name in FUNCTIONS]
        except AttributeError:
            continue
        use_openmp(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions))
        return True
    return False
