# SPDX-License-Identifier: BSD-3-Clause
"""Which fused function is that of an activation, a module or a function of PyTorch."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional

from fastdrop.torch._fuse.proof import is_plain
from fastdrop.torch.activations import gelu_dropout, silu_dropout
from fastdrop.torch.fused import relu_dropout

__all__ = ["Activation", "activation_function", "activation_of"]

Activation: TypeAlias = Callable[..., torch.Tensor]


def activation_of(module: nn.Module) -> Activation | None:
    """Return the fused function of a module of PyTorch; None, if there is none."""
    if is_plain(module, nn.ReLU):
        return relu_dropout
    if is_plain(module, nn.GELU):
        approximate = module.approximate
        return functools.partial(gelu_dropout, approximate=approximate)
    return silu_dropout if is_plain(module, nn.SiLU) else None


_ACTIVATIONS: dict[Any, Activation] = {
    functional.relu: relu_dropout,
    torch.relu: relu_dropout,
    functional.gelu: gelu_dropout,
    functional.silu: silu_dropout,
}


def activation_function(activation: Any) -> Activation | None:
    if isinstance(activation, nn.Module):
        return activation_of(activation)
    return _ACTIVATIONS.get(activation)
