# SPDX-License-Identifier: BSD-3-Clause
"""Attention by the formula, with the whole matrix of weights, in operations of PyTorch.

It is for what blocks do not do: transforms, forward mode, derivatives of derivatives, gradients of
the additive mask.
"""

from typing import Any, TypeAlias

import torch

from fastdrop.torch._attend.inputs import Inputs, fitting
from fastdrop.torch._autograd import drop
from fastdrop.torch._tensor import TensorMask

__all__ = ["attend_whole", "gradients_of_whole"]

Optional: TypeAlias = torch.Tensor | None

_safe_softmax = torch.ops.aten._safe_softmax.default


def _repeated(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Return keys or values for each of the query's heads, where several share some of them."""
    if x.dim() < 3 or x.size(-3) == 1 or x.size(-3) >= heads:
        return x  # it broadcasts
    return x.repeat_interleave(heads // x.size(-3), -3)


def attend_whole(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: Optional,
    causal: bool,
    scale: float,
    dropping: Any,
) -> torch.Tensor:
    """Return attention by the formula, in operations of PyTorch; ``dropping`` drops weights.

    As in PyTorch's, a part of the scale goes to query and a part to key: backward keeps these
    products.
    """
    dtype = query.dtype
    if dtype in (torch.float16, torch.bfloat16):
        query, key, value = query.float(), key.float(), value.float()
    if query.dim() > 2:
        key, value = _repeated(key, query.size(-3)), _repeated(value, query.size(-3))
    root = abs(scale) ** 0.5
    scores = (query * (root if scale >= 0 else -root)) @ (key * root).transpose(-1, -2)
    if bias is not None:
        if bias.dtype is torch.bool:
            scores = scores.masked_fill(bias.logical_not(), float("-inf"))
        else:
            scores = scores + bias
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return (dropping(_safe_softmax(scores, -1)) @ value).to(dtype)


def gradients_of_whole(
    inputs: Inputs, mask: TensorMask, out_gradient: torch.Tensor
) -> list[Optional]:
    derived_again = torch.is_grad_enabled()
    query = inputs.query
    given = fitting(*inputs[:6], query.dim() > 2)
    if given is None or given.shape != inputs.shape:
        raise RuntimeError(
            f"query is kept as a {tuple(query.shape)} tensor of {query.dtype}; hooks on what is "
            "kept must give back its shape and dtype"
        )
    with torch.enable_grad():
        # Tensors of their own: query may be what key and value were computed of, or be one of them.
        query, key, value = (x.view_as(x) for x in inputs[:3])
        out = attend_whole(query, key, value, *inputs[3:6], lambda weights: drop(weights, mask))
        out = out.to(out_gradient.dtype)
    tensors = [x for x in (query, key, value) if x.requires_grad]
    found = torch.autograd.grad(out, tensors, out_gradient, create_graph=derived_again)
    gradients = iter(found)
    return [next(gradients) if x.requires_grad else None for x in (query, key, value)]
