# SPDX-License-Identifier: BSD-3-Clause
"""Finds the BLAS that PyTorch multiplies matrices with, so that attention does so too.

The functions are looked up in PyTorch's own library and in those that it was linked with. Where
they are not found (on Windows they are not exported), attention takes whole matrices of weights.

Products of bfloat16 are used where the CPU has tiles for them (AMX). Elsewhere MKL widens them.
"""

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from fastdrop.torch._attention import use_bfloat16_gemm, use_gemm

__all__ = ["FOUND", "FOUND_BFLOAT16", "MULTIPLIES_BFLOAT16"]


def _libraries() -> Iterator[ctypes.CDLL]:
    """Yield PyTorch's own library, as it is loaded."""
    if hasattr(os, "RTLD_NOLOAD"):
        for path in sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")):
            with contextlib.suppress(OSError):
                yield ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_NOW)


def _use(use: Callable[..., bool], *names: str) -> bool:
    """Give the addresses of PyTorch's matrix products to attention; return whether it uses them."""
    for library in _libraries():
        with contextlib.suppress(AttributeError):
            functions = [ctypes.cast(library[name], ctypes.c_void_p).value for name in names]
            if all(functions):
                return use(*functions)
    return False


FOUND = _use(use_gemm, "sgemm_", "dgemm_")

_has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", bool)
FOUND_BFLOAT16 = FOUND and _use(use_bfloat16_gemm, "gemm_bf16bf16f32_")
MULTIPLIES_BFLOAT16 = FOUND_BFLOAT16 and _has_tiles()
