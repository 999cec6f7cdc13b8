# SPDX-License-Identifier: BSD-3-Clause
"""What can be proved of the modules of a model, and of the tensors of a call."""

from typing import Any, ClassVar, TypeAlias

import torch
from torch import nn

from fastdrop.torch import modules

__all__ = [
    "Fused",
    "Optional",
    "has_global_hooks",
    "has_hooks",
    "is_dropout",
    "is_norm",
    "is_plain",
    "rng_of",
    "takes",
]

Optional: TypeAlias = torch.Tensor | None

DROPOUTS = (nn.Dropout, modules.Dropout)


def is_plain(module: nn.Module, *kinds: type) -> bool:
    """Return whether a module is of one of the kinds, and nothing watches or changes its calls."""
    return type(module) in kinds and "forward" not in vars(module) and not has_hooks(module)


def has_hooks(module: nn.Module) -> bool:
    """Return whether somebody wants to see or change the calls of a module."""
    state = vars(module)
    return bool(
        state["_forward_hooks"]
        or state["_forward_pre_hooks"]
        or state["_backward_hooks"]
        or state["_backward_pre_hooks"]
    )


def has_global_hooks() -> bool:
    """Return whether hooks of all modules are set, or calls of modules are being recorded."""
    of_all = nn.modules.module
    return bool(
        of_all._global_forward_hooks
        or of_all._global_forward_pre_hooks
        or of_all._global_backward_hooks
        or of_all._global_backward_pre_hooks
        or torch.jit.is_tracing()
        or torch.jit.is_scripting()
    )


def is_dropout(module: nn.Module) -> bool:
    """Return whether a module drops elements, each by a decision of its own."""
    return is_plain(module, *DROPOUTS) and not getattr(module, "_shared", None)


def rng_of(dropout: nn.Module) -> Any:
    return getattr(dropout, "rng", None)


def takes(x: Any, *others: Any) -> bool:
    """Return whether inputs are tensors that are no subclass, outside of autocast."""
    return (
        type(x) is torch.Tensor
        and all(type(one) is torch.Tensor for one in others)
        and x.is_floating_point()
        and not torch.is_autocast_enabled("cpu")
    )


def is_norm(norm: nn.Module) -> bool:
    return is_plain(norm, nn.LayerNorm) and len(norm.normalized_shape) == 1


class Fused(nn.Module):
    """What modules have in common whose class was exchanged for one that fuses."""

    # What they were, and are again for `copy`, `pickle` and `repr` of other libraries.
    _stock: ClassVar[type[nn.Module]]
