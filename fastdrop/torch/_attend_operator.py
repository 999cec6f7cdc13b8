# SPDX-License-Identifier: BSD-3-Clause
"""The operators that stand for attention in traced programs.

As `fastdrop::drop`, `fastdrop::attend` is one step of a recorded program and a pure function of
its inputs: the mask is made from ``words``, a tensor of the program. Its derivative is an operator
of its own, which has none.
"""

from typing import Any

import torch

from fastdrop.torch._apply import logical_strides
from fastdrop.torch._attend import (
    Inputs,
    attend_whole,
    expand,
    gradients_in_blocks,
    in_blocks,
    scale_of,
    weights_shape,
)
from fastdrop.torch._operator import drop_traced
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = ["attend_traced"]


def _checked(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float,
) -> tuple[Inputs, TensorMask]:
    """Return the inputs, and the mask."""
    shape = (*query.shape[:-1], key.size(-2))
    inputs = expand(Inputs(query, key, value, bias, causal, scale, shape))
    if inputs is None:
        raise RuntimeError(
            f"query is a {tuple(query.shape)} tensor, key a {tuple(key.shape)} tensor; allowed are "
            "sizes above 0, and a PyTorch whose BLAS can be found"
        )
    words = words.contiguous()
    return inputs, mask_from_words(words.data_ptr(), p, logical_strides(shape))


@torch.library.custom_op("fastdrop::attend", mutates_args=())
def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    out, statistics = in_blocks(*_checked(query, key, value, bias, words, p, causal, scale))
    return out.contiguous(), statistics


@_attend.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    out = query.new_empty(*query.shape[:-1], value.size(-1))
    return out, query.new_empty(2, *query.shape[:-1], dtype=torch.float64)


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
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    inputs, mask = _checked(query, key, value, bias, words, p, causal, scale)
    gradients = gradients_in_blocks(inputs, mask, out, statistics, out_gradient)
    of_query, of_key, of_value = (gradient.contiguous() for gradient in gradients)
    return of_query, of_key, of_value


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
    ctx.save_for_backward(*output, *inputs[:5])
    ctx.settings = inputs[5:]


def _backward(ctx: Any, out_gradient: torch.Tensor, _: Any) -> tuple[Any, ...]:
    gradients = torch.ops.fastdrop.attend_backward(out_gradient, *ctx.saved_tensors, *ctx.settings)
    return (*gradients, *[None] * 5)


_attend.register_autograd(_backward, setup_context=_keep)


def attend_traced(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    causal: bool,
    scale: float | None,
    grouped: bool,
    words: torch.Tensor,
    p: float,
) -> torch.Tensor:
    """Return attention under the mask of the words, as steps of the traced program."""
    scale = scale_of(query.size(-1), scale)
    shape = weights_shape(query.shape, key.shape, grouped)
    inputs = expand(Inputs(query, key, value, bias, causal, scale, shape))
    if inputs is not None:
        out, _ = torch.ops.fastdrop.attend(*inputs[:4], words, p, causal, scale)
        return out
    factor = 1.0 / (1.0 - p) if p < 1.0 else 1.0
    return attend_whole(
        *(query, key, value, bias, causal, scale),
        lambda weights: drop_traced(weights, words, p, factor, False),
    )
