# SPDX-License-Identifier: BSD-3-Clause
"""Which modules of a model are fused."""

from torch import nn

from fastdrop.torch._fuse.proof import Fused
from fastdrop.torch._fuse.sequential import Sequential, fuses_sequential
from fastdrop.torch._fuse.transformer import (
    TransformerDecoderLayer,
    TransformerEncoderLayer,
    parts_are_plain,
)

__all__ = ["fuse"]


def _fused_class(module: nn.Module) -> type[Fused] | None:
    """Return the class that fuses a module; None, where there is nothing to gain or to prove."""
    if "forward" in vars(module):
        return None
    if type(module) is nn.Sequential:
        return Sequential if fuses_sequential(module) else None
    for cls in (TransformerEncoderLayer, TransformerDecoderLayer):
        if type(module) is cls._stock:
            return cls if parts_are_plain(module) else None
    return None


def fuse(model: nn.Module) -> None:
    """Exchange the class of each module that can be fused."""
    for module in model.modules():
        cls = _fused_class(module)
        if cls is not None:
            module.__class__ = cls
