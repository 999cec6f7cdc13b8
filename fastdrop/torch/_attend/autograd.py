# SPDX-License-Identifier: BSD-3-Clause
"""Attention with its derivatives, in blocks or whole; what backward reads is kept here.

As in PyTorch's formula, the output, query, key and the additive mask may be edited before backward:
what backward reads is not theirs, see `owned`.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch.autograd import Function

from fastdrop.torch._apply import is_strided
from fastdrop.torch._attend.blocks import (
    are_few,
    as_dtype,
    exact_dtype,
    gradients_in_blocks,
    in_blocks,
    keeps_out,
    multiplied_dtype,
    rows_of_bias,
    without_repetition,
)
from fastdrop.torch._attend.inputs import Inputs, blocks_of
from fastdrop.torch._attend.whole import attend_whole, gradients_of_whole
from fastdrop.torch._autograd import BETWEEN_GRAPHS, drop
from fastdrop.torch._tensor import TensorMask

__all__ = ["attend", "attend_blocks", "is_derived", "owned", "rounded"]

Optional: TypeAlias = torch.Tensor | None

_foreach_clone = torch._foreach_clone  # one node of the graph for all of them
_is_compiling = torch.compiler.is_compiling
_is_grad_enabled = torch.is_grad_enabled


def is_derived(inputs: Inputs) -> bool:
    """Return whether derivatives of the output are asked for."""
    return bool(_is_grad_enabled()) and any(x.requires_grad for x in inputs[:3])


def owned(inputs: Inputs, wide: bool = False) -> Inputs:
    """Return the inputs for a backward pass, as copies of what may be edited until then.

    PyTorch's formula keeps no value that it has copied, and of the others those that derivatives
    of query or key need: these are kept here too, and an edit of one is PyTorch's error. ``wide``
    copies have the dtype that products read, which spares conversions.
    """
    query, key, value, bias, causal, scale, shape = inputs
    dtype, multiplied = exact_dtype(query.dtype), multiplied_dtype(query.dtype)
    if wide and query.dtype is not multiplied:
        query, key, value = query.to(multiplied), key.to(multiplied), value.to(multiplied)
    elif (
        value.is_contiguous()
        and value.shape[:-2] == shape[:-2]
        and query.dtype is dtype
        and (query.requires_grad or key.requires_grad)
    ):
        query, key = _foreach_clone((query, key))
    else:
        query, key, value = _foreach_clone((query, key, value))
    if bias is not None:
        bias = without_repetition(bias)
        if not wide or bias.dtype is dtype:
            bias = bias.clone()
        if wide:
            bias = rows_of_bias(bias, shape, dtype)
    return Inputs(query, key, value, bias, causal, scale, shape)


def rounded(exact: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the output of a dtype, as memory of its own."""
    return exact.clone() if exact.dtype is dtype else exact.to(dtype)


class _Attend(Function):
    @staticmethod
    def forward(ctx: Any, mask: TensorMask, dtype: torch.dtype, *given: Any) -> torch.Tensor:
        inputs = Inputs(*given)
        exact, statistics = in_blocks(inputs, mask)
        *tensors, ctx.causal, ctx.scale, ctx.shape = given
        ctx.mask = mask
        if keeps_out(ctx.shape[-1]):
            ctx.save_for_backward(*tensors, exact, statistics)
            return rounded(exact, dtype)
        ctx.save_for_backward(*tensors, None, statistics)
        return as_dtype(exact, dtype)

    @staticmethod
    def backward(ctx: Any, out_gradient: torch.Tensor) -> tuple[Optional, ...]:
        if _is_compiling():  # compiled autograd, after a forward pass that was not compiled
            torch._dynamo.graph_break(msg=BETWEEN_GRAPHS)
        query, key, value, bias, exact, statistics = ctx.saved_tensors
        inputs = Inputs(query, key, value, bias, ctx.causal, ctx.scale, ctx.shape)
        gradients: Sequence[Optional]
        # The whole matrix serves a derivative that will be derived again, and batches of gradients.
        if _is_grad_enabled() or not is_strided(out_gradient):
            gradients = gradients_of_whole(inputs, ctx.mask, out_gradient)
        else:
            gradients = gradients_in_blocks(inputs, ctx.mask, exact, statistics, out_gradient)
        return None, None, *gradients, None, None, None, None


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _Attend).apply


def attend_blocks(inputs: Inputs, mask: TensorMask) -> torch.Tensor:
    """Return attention with its weights under the mask, and its derivatives where asked for."""
    dtype = inputs.query.dtype
    if is_derived(inputs):
        inputs = owned(inputs, are_few(inputs))
        if inputs.value.is_inference():  # which cannot be kept
            inputs = inputs._replace(value=inputs.value.clone())
        return _record(mask, dtype, *inputs)
    exact, _ = in_blocks(inputs, mask)
    return as_dtype(exact, dtype)


def attend(inputs: Inputs, mask: TensorMask) -> torch.Tensor:
    """Return the same in blocks, or by the whole matrix of weights."""
    blocks = blocks_of(inputs)
    if blocks is None:
        return attend_whole(*inputs[:6], lambda weights: drop(weights, mask))
    return attend_blocks(blocks, mask)
