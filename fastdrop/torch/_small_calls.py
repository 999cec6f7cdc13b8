# SPDX-License-Identifier: BSD-3-Clause
"""Gives PyTorch's dispatcher the kernels for small tensors, which are in C.

A call of a kernel in Python takes longer than a small tensor itself does. The kernels in C need
functions of PyTorch that are looked up by name. Where one is not found (on macOS and Windows, or in
another version of PyTorch), the kernels in Python serve all calls.
"""

import ctypes
import os
from pathlib import Path

import torch

from fastdrop.torch._dispatcher import SMALL, WORDS, find_key_set, function_names, register

__all__ = ["IN_PYTHON", "register_small_calls"]

# Where the kernels in Python are, for those in C: keys of a device that no program has.
IN_PYTHON = {"AutogradCPU": "AutogradPrivateUse3", "CPU": "PrivateUse3"}

# Included while a program is recorded, transformed, or looked on at.
WATCHING = ("Python", "PythonDispatcher", "FuncTorchDynamicLayerFrontMode")

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool)


def _addresses() -> list[int] | None:
    """Return the addresses of PyTorch's functions, or None where not all are there."""
    names = function_names()
    if not names or not hasattr(os, "RTLD_NOLOAD"):
        return None
    folder = Path(torch.__file__).parent / "lib"
    try:
        libraries = [
            ctypes.CDLL(str(folder / name), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            for name in ("libtorch_cpu.so", "libc10.so")
        ]
    except OSError:
        return None
    addresses = []
    for name in names:
        for library in libraries:
            function = getattr(library, name, None)
            if function is not None:
                addresses.append(ctypes.cast(function, ctypes.c_void_p).value or 0)
                break
        else:
            return None
    return addresses


def _keys(x: torch.Tensor) -> int:
    keys: int = torch._C._dispatch_keys(x).raw_repr()
    return keys


def _samples() -> list[torch.Tensor]:
    """Return tensors of different dispatch keys: a plain one, one of inference mode, and others."""
    with torch.inference_mode(False):
        x = torch.empty(2, dtype=torch.complex64, device="cpu")
        with torch.inference_mode():
            y = torch.empty(2, dtype=torch.complex64, device="cpu")
        others = [x.conj(), torch._neg_view(x), x.to_sparse(), torch.empty(2, device="meta")]
        return [x, y, *others]


def register_small_calls() -> bool:
    """Register the kernels in C; return whether they are there."""
    addresses, samples = _addresses(), _samples()
    offset = find_key_set([(x, _keys(x)) for x in samples])
    if addresses is None or offset is None:
        return False
    keys = torch._C.DispatchKey
    with torch.inference_mode(False):
        ones = [torch.ones(SMALL, dtype=dtype, device="cpu") for dtype in DTYPES]
        words = [torch.zeros(4, dtype=torch.int64, device="cpu") for _ in range(WORDS)]
        pairs = [(word, word[:3]) for word in words]
    return register(
        addresses,
        offset,
        [_keys(x) for x in samples[:2]],
        [int(getattr(keys, name)) for name in WATCHING],
        [torch._C.DispatchKeySet(getattr(keys, key)).raw_repr() for key in IN_PYTHON.values()],
        ones,
        pairs,
    )
