# SPDX-License-Identifier: BSD-3-Clause
"""Tensors of all dtypes and layouts, and their elements as arrays."""

import contextlib

import ml_dtypes
import torch

from fastdrop.torch import _dispatcher
from fastdrop.torch._switch import switch

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
COMPLEX = (torch.complex64, torch.complex128)


def array_of(x):
    """Return a tensor's elements as an array, bfloat16 too."""
    if x.dtype == torch.bfloat16:
        return x.contiguous().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def layouts(x):
    """Return tensors with x's axes in memory in many ways; x has four axes."""
    return {
        "contiguous": x,
        "channels last": x.to(memory_format=torch.channels_last),
        "reversed": x.permute(3, 2, 1, 0),
        "transposed": x.transpose(0, 1),
        "gaps": x[:, ::2, 1:],
        "expanded": x[:1].expand(3, *x.shape[1:]),
        "flipped and gaps": x.permute(1, 3, 0, 2)[1:, ::3],
        "long axes of one": x[:1, :, :, :1],
    }


LAYOUTS = tuple(layouts(torch.empty(2, 2, 2, 2)))


@contextlib.contextmanager
def kernels_in_python():
    """Have the kernels in Python serve small tensors, too, where PyTorch uses fastdrop."""
    _dispatcher.serve(switch.on, in_c=False)
    try:
        yield
    finally:
        _dispatcher.serve(switch.on)
