# SPDX-License-Identifier: BSD-3-Clause
"""Gives PyTorch's dispatcher the kernels for small tensors, which are in C.

A call of a kernel in Python takes longer than a small tensor itself does. The kernels in C need
functions of PyTorch that are looked up by name. Where one is not found (on macOS and Windows, or in
another version of PyTorch), the kernels in Python serve all calls.
"""

import torch

from fastdrop.torch._dispatcher import SMALL, WORDS, find_key_set, function_names, register
from fastdrop.torch._functions import addresses_of

__all__ = ["IN_PYTHON", "register_small_calls"]

# Where the kernels in Python are, for those in C: keys of a device that no program has.
IN_PYTHON = {"AutogradCPU": "AutogradPrivateUse3", "CPU": "PrivateUse3"}

# Included while a program is recorded, transformed, or looked on at.
WATCHING = ("Python", "PythonDispatcher", "FuncTorchDynamicLayerFrontMode")

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool)


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
    names, samples = function_names(), _samples()
    addresses = addresses_of(names)
    offset = find_key_set([(x, _keys(x)) for x in samples])
    if not names or addresses is None or offset is None:
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
