# SPDX-License-Identifier: BSD-3-Clause
"""The operators that stand for attention in traced programs.

As `fastdrop::drop`, `fastdrop::attend` is one step of a recorded program and a pure function of
its inputs: the mask is made from ``words``, a tensor of the program. Its derivative is an operator
of its own, which has none.
"""

from typing import Any

import torch

from fastdrop.torch._apply import apply, logical_strides
from fastdrop.torch._attend import (
    Inputs,
    attend_whole,
    expand,
    gradients_in_blocks,
    gradients_of_whole,
    in_blocks,
    inputs_of,
)
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = ["attend_traced"]


def _checked(tensors: tuple[Any, ...], settings: tuple[Any, ...]) -> tuple[Inputs, TensorMask]:
    """Return the inputs, and their mask."""
    query, key, value, bias, words = tensors
    p, causal, scale, grouped = settings
    inputs = inputs_of(query, key, value, bias, causal, scale, grouped)
    if inputs is None:
        raise RuntimeError(
            f"query, key and value are {[tuple(x.shape) for x in (query, key, value)]} tensors of "
            f"{query.dtype}; allowed are what torch.nn.functional.scaled_dot_product_attention "
            "takes on a CPU"
        )
    words = words.contiguous()
    return inputs, mask_from_words(words.data_ptr(), p, logical_strides(inputs.shape))


@torch.library.custom_op("fastdrop::attend", mutates_args=())
def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, mask = _checked((query, key, value, bias, words), (p, causal, scale, grouped))
    expanded = expand(inputs)
    if expanded is None:
        out = attend_whole(*inputs[:6], lambda weights: apply(mask, weights))
        statistics = torch.zeros(2, *inputs.shape[:-1], dtype=torch.float64)
    else:
        out, statistics = in_blocks(expanded, mask)
    return out.contiguous(), statistics


@_attend.register_fake
def _(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    heads = query.shape[:-2]
    if not grouped:
        heads = torch.broadcast_shapes(heads, key.shape[:-2])
    of_out = heads if grouped else torch.broadcast_shapes(heads, value.shape[:-2])
    out = query.new_empty(*of_out, query.size(-2), value.size(-1))
    return out, query.new_empty(2, *heads, query.size(-2), dtype=torch.float64)


@torch.library.custom_op("fastdrop::attend_backward", mutates_args=())
def _attend_backward(
    out_gradient: torch.Tensor,
    out: torch.Tensor,
    statistics: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tensors = (query, key, value)
    inputs, mask = _checked((*tensors, bias, words), (p, causal, scale, grouped))
    expanded = expand(inputs)
    if expanded is None:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in tensors]
            inputs = inputs._replace(query=leaves[0], key=leaves[1], value=leaves[2])
            gradients = gradients_of_whole(inputs, mask, out_gradient)
    else:
        gradients = gradients_in_blocks(expanded, mask, out, statistics, out_gradient)
    query, key, value = (
        gradient.detach().sum_to_size(x.shape).contiguous()
        for gradient, x in zip(gradients, tensors, strict=True)
    )
    return query, key, value


@_attend_backward.register_fake
def _(
    out_gradient: torch.Tensor,
    out: torch.Tensor,
    statistics: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *rest: Any,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return query.new_empty(query.shape), key.new_empty(key.shape), value.new_empty(value.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    *tensors, p, causal, scale, grouped = inputs
    ctx.save_for_backward(*output, *tensors)
    ctx.settings = (p, causal, scale, grouped)


def _backward(ctx: Any, out_gradient: torch.Tensor, _: Any) -> tuple[Any, ...]:
    gradients = torch.ops.fastdrop.attend_backward(out_gradient, *ctx.saved_tensors, *ctx.settings)
    return (*gradients, *[None] * 6)


_attend.register_autograd(_backward, setup_context=_keep)


def attend_traced(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> torch.Tensor:
    """Return attention under the mask of the words, as a step of the traced program."""
    out, _ = torch.ops.fastdrop.attend(query, key, value, bias, words, p, causal, scale, grouped)
    return out
