# SPDX-License-Identifier: BSD-3-Clause
"""A linear map with the dropout behind it, in the memory that the map has made.

What the map returns is nobody else's, so relu and dropout need no tensor of their own. Backward
gives the gradients of the map as PyTorch does.
"""

from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from torch.nn.functional import linear
from torch.overrides import has_torch_function_variadic

from fastdrop._checks import check_p
from fastdrop.torch._apply import CLASSES, bias_rows, is_plain
from fastdrop.torch._autograd import drop
from fastdrop.torch._fuse.activations import Activation
from fastdrop.torch._fuse.proof import Optional, rng_of
from fastdrop.torch._mask import Settled, drops
from fastdrop.torch._operator import is_traced
from fastdrop.torch.fused import draw_elements, is_one_run, relu_dropout

__all__ = ["linear_dropout"]

_get_num_threads = torch.get_num_threads


class _LinearDrop(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: Optional,
        relu: bool,
        p: float,
        rng: Settled,
    ) -> torch.Tensor:
        y = linear(x, weight, None if relu else bias)
        mask = draw_elements(y, p, rng)
        if relu:
            rows = bias_rows(None if bias is None else bias.detach())
            mask = mask.relu(y, rows, y, _get_num_threads())
        else:
            mask.apply(y, y, _get_num_threads())
        ctx.mask = mask
        ctx.save_for_backward(x, weight)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Optional, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        dz = drop(dy, ctx.mask)
        rows, of_x = (dz, x) if x.dim() == 2 else (dz.flatten(0, -2), x.flatten(0, -2))
        dx = rows.mm(weight).view(x.shape) if needs_x else None
        dweight = rows.t().mm(of_x) if needs_weight else None
        return dx, dweight, rows.sum(0) if needs_bias else None, None, None, None


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _LinearDrop).apply


def _is_own(x: torch.Tensor, weight: torch.Tensor, bias: Optional) -> bool:
    """Return whether the kernels may write to what the map returns."""
    return (
        not has_torch_function_variadic(x, weight, bias)
        and type(weight) in CLASSES
        and not is_traced(x)
        and x.dim() > 1
        and is_one_run(x)
        and is_plain(weight)
        and weight.dtype == x.dtype
        and x.shape[-1] == weight.shape[1]
        and (bias is None or _is_bias(bias, weight))
    )


def _is_bias(bias: torch.Tensor, weight: torch.Tensor) -> bool:
    return (
        type(bias) in CLASSES
        and is_plain(bias)
        and bias.dtype == weight.dtype
        and bias.shape == weight.shape[:1]
    )


def linear_dropout(
    x: torch.Tensor, module: nn.Linear, function: Activation | None, dropout: nn.Module
) -> torch.Tensor:
    """Return dropout of an activation, whose fused function is given, of a linear map.

    Without a function it is dropout of the map itself.
    """
    weight, bias, rng = module.weight, module.bias, rng_of(dropout)
    p = check_p(dropout.p)
    if function is relu_dropout or function is None:
        if drops(p, dropout.training, rng) and _is_own(x, weight, bias):
            y: torch.Tensor = _record(x, weight, bias, function is not None, p, rng)
            return y
        if function is None:
            y = dropout(module(x))
            return y
    return function(linear(x, weight), p, dropout.training, bias=bias, rng=rng)
