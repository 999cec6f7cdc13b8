# SPDX-License-Identifier: BSD-3-Clause
"""Finds the BLAS that PyTorch multiplies matrices with, so that attention does so too.

The functions are looked up in PyTorch's own library and in those that it was linked with. Where
they are not found (on Windows they are not exported), attention takes whole matrices of weights.
"""

import ctypes
import os
from pathlib import Path

import torch

from fastdrop.torch._attention import use_gemm

__all__ = ["FOUND", "find_blas"]


def find_blas() -> bool:
    """Give the addresses of PyTorch's matrix products to attention; return whether found."""
    if not hasattr(os, "RTLD_NOLOAD"):
        return False
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")):
        try:
            library = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            functions = [library[name] for name in ("sgemm_", "dgemm_")]
        except (OSError, AttributeError):
            continue
        single, double = (ctypes.cast(function, ctypes.c_void_p).value for function in functions)
        if single and double:
            return bool(use_gemm(single, double))
    return False


FOUND = find_blas()
