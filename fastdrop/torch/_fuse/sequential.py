# SPDX-License-Identifier: BSD-3-Clause
"""``nn.Sequential`` with linear maps, activations and dropout fused."""

from typing import Any, TypeAlias

import torch
from torch import nn

from fastdrop.torch._fuse.activations import Activation, activation_of
from fastdrop.torch._fuse.linear import linear_dropout
from fastdrop.torch._fuse.proof import Fused, has_global_hooks, is_dropout, is_plain, rng_of, takes

__all__ = ["Sequential", "fuses_sequential"]


class Sequential(Fused, nn.Sequential):
    """``nn.Sequential`` that does an activation and the dropout behind it in one pass.

    So it does with a linear map before them.
    """

    _stock = nn.Sequential

    def forward(self, input: Any) -> Any:
        """Return what the modules make of the input, one after the other."""
        if not (self.training and takes(input)) or has_global_hooks():
            return super().forward(input)
        at, children = 0, list(self)
        while at < len(children):
            step = _step_at(children, at) if type(input) is torch.Tensor else None
            if step is None:
                input = children[at](input)
                at += 1
                continue
            linear, function, dropout = step
            at += (linear is not None) + (function is not None) + 1
            if linear is not None:
                input = linear_dropout(input, linear, function, dropout)
            elif function is not None:
                input = function(input, dropout.p, dropout.training, rng=rng_of(dropout))
        return input


# A linear map, the fused function of an activation, one of which may be missing, and dropout.
_Step: TypeAlias = tuple[Any, Activation | None, Any]


def _step_at(children: list[nn.Module], at: int) -> _Step | None:
    """Return what of the modules from a place on is one pass; None, if it is one module."""
    linear = children[at] if is_plain(children[at], nn.Linear) else None
    following = children[at + 1 : at + 3] if linear is not None else children[at : at + 2]
    if linear is not None and following and is_dropout(following[0]):
        return linear, None, following[0]
    if len(following) < 2 or not is_dropout(following[1]):
        return None
    activation, dropout = following
    # Without a linear map before it, relu in place would change what the caller has.
    if linear is None and getattr(activation, "inplace", False):
        return None
    function = activation_of(activation)
    return None if function is None else (linear, function, dropout)


def fuses_sequential(module: nn.Sequential) -> bool:
    """Return whether there is something to fuse."""
    children = list(module)
    return any(_step_at(children, at) is not None for at in range(len(children)))
