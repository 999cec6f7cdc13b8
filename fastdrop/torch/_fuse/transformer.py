# SPDX-License-Identifier: BSD-3-Clause
"""Layers of transformers with their dropout fused."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fastdrop.torch._drawing import as_node, is_leaf
from fastdrop.torch._fuse.activations import activation_function
from fastdrop.torch._fuse.linear import linear_dropout
from fastdrop.torch._fuse.proof import (
    Fused,
    Optional,
    has_global_hooks,
    has_hooks,
    is_dropout,
    is_norm,
    is_plain,
    rng_of,
    takes,
)
from fastdrop.torch.attention import scaled_dot_product_attention
from fastdrop.torch.fused import dropout_add
from fastdrop.torch.norms import dropout_add_layer_norm

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer", "parts_are_plain"]


def _is_attention(attention: nn.Module) -> bool:
    return (
        is_plain(attention, nn.MultiheadAttention)
        and attention._qkv_same_embed_dim
        and attention.bias_k is None
        and not attention.add_zero_attn
        and not has_hooks(attention.out_proj)
        and "forward" not in vars(attention.out_proj)
    )


def _attend(
    attention: nn.MultiheadAttention,
    query: torch.Tensor,
    memory: torch.Tensor,
    hidden: tuple[Optional, bool],
) -> torch.Tensor:
    """Return attention, without the bias of its last map; ``memory`` has keys and values."""
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    width, heads = attention.embed_dim, attention.num_heads
    if query is memory:
        q, k, v = functional.linear(query, weight, bias).unflatten(-1, (3, width)).unbind(-2)
    else:
        of_query = None if bias is None else bias[:width]
        of_memory = None if bias is None else bias[width:]
        q = functional.linear(query, weight[:width], of_query)
        k, v = functional.linear(memory, weight[width:], of_memory).unflatten(
            -1, (2, width)
        ).unbind(-2)  # fmt: skip
    q, k, v = (x.unflatten(-1, (heads, -1)) for x in (q, k, v))
    if attention.batch_first:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    else:  # (L, N, heads, E) -> (N, heads, L, E)
        q, k, v = (x.permute(1, 2, 0, 3) for x in (q, k, v))
    dropout = attention.dropout if attention.training else 0.0
    y = scaled_dot_product_attention(q, k, v, hidden[0], dropout, hidden[1])
    # In the memory of (L, N, E) in any case, as PyTorch has it: masks after it follow the memory.
    y = functional.linear(y.permute(2, 0, 1, 3).flatten(-2), attention.out_proj.weight)
    return y.transpose(0, 1) if attention.batch_first else y


def _merged(
    attention: nn.MultiheadAttention,
    x: torch.Tensor,
    mask: Optional,
    padding: Optional,
    is_causal: bool,
) -> tuple[Optional, bool]:
    """Return the mask of attention as PyTorch's module makes it, and whether it is causal.

    A mask is one that is added. That a mask is causal PyTorch believes, and does not read the mask.
    """
    if is_causal and padding is None:
        return None, True
    if padding is not None:
        padding = functional._canonical_mask(
            padding, "key_padding_mask", functional._none_or_dtype(mask), "attn_mask", x.dtype
        )
    if mask is not None:
        mask = functional._canonical_mask(mask, "attn_mask", None, "", x.dtype, False)
        assert mask is not None
        if mask.dim() == 3:  # (N * heads, L, S)
            mask = mask.unflatten(0, (-1, attention.num_heads))
    if padding is None:
        return mask, False
    padding = padding[:, None, None, :]
    return padding if mask is None else mask + padding, False


class _Layer(Fused):
    """What layers of encoders and decoders have in common."""

    def _fuses(self, *inputs: Any) -> bool:
        """Return whether this call can be fused, as far as it does not depend on masks."""
        return (
            self.training
            and takes(*inputs)
            and all(x.dim() == 3 for x in inputs)
            and not has_global_hooks()
            and parts_are_plain(self)
        )

    def _perceptron(self: Any, x: torch.Tensor) -> torch.Tensor:
        """Return what the two linear maps make of x, without the bias of the last."""
        function = activation_function(self.activation)
        assert function is not None
        hidden = linear_dropout(x, self.linear1, function, self.dropout)
        return functional.linear(hidden, self.linear2.weight)

    def _norm_of_sum(
        self: Any,
        branch: torch.Tensor,
        residual: torch.Tensor,
        bias: Optional,
        dropout: nn.Module,
        norm: nn.LayerNorm,
        prenorm: bool = False,
    ) -> Any:
        return dropout_add_layer_norm(
            branch, residual, norm.weight, norm.bias, dropout.p, dropout.training, eps=norm.eps,
            linear_bias=bias, prenorm=prenorm, rng=rng_of(dropout),
        )  # fmt: skip

    def _run(self: Any, x: torch.Tensor, steps: list[Any]) -> torch.Tensor:
        """Return what blocks make of x; each is (branch of its input, bias, dropout, norm)."""
        branches, biases, dropouts, norms = zip(*steps, strict=True)
        if not self.norm_first:
            for branch, bias, dropout, norm in steps:
                x = self._norm_of_sum(branch(x), x, bias, dropout, norm)
            return x
        y = norms[0](x)
        for at, branch in enumerate(branches[:-1]):
            y, x = self._norm_of_sum(branch(y), x, biases[at], dropouts[at], norms[at + 1], True)
        dropout = dropouts[-1]
        return dropout_add(
            branches[-1](y), x, dropout.p, dropout.training, bias=biases[-1], rng=rng_of(dropout)
        )


def parts_are_plain(layer: Any) -> bool:
    names = vars(layer)["_modules"]
    return (
        all(_is_attention(names[name]) for name in ("self_attn", "multihead_attn") if name in names)
        and all(is_norm(names[name]) for name in ("norm1", "norm2", "norm3") if name in names)
        and all(
            is_dropout(names[name])
            for name in ("dropout", "dropout1", "dropout2", "dropout3")
            if name in names
        )
        and all(is_plain(names[name], nn.Linear) for name in ("linear1", "linear2"))
        and activation_function(layer.activation) is not None
    )


class TransformerEncoderLayer(_Layer, nn.TransformerEncoderLayer):
    """``nn.TransformerEncoderLayer`` with fused blocks, where that is sure to be the same."""

    _stock = nn.TransformerEncoderLayer

    def forward(
        self,
        src: torch.Tensor,
        src_mask: torch.Tensor | None = None,
        src_key_padding_mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """Return what the layer makes of ``src``."""
        if is_leaf(self, src):
            return as_node(self, src, src_mask, src_key_padding_mask, is_causal)
        if not self._fuses(src) or (is_causal and src_mask is None):
            return super().forward(src, src_mask, src_key_padding_mask, is_causal)
        attention = self.self_attn
        hidden = _merged(attention, src, src_mask, src_key_padding_mask, is_causal)
        steps = [
            (
                lambda x: _attend(attention, x, x, hidden),
                attention.out_proj.bias,
                self.dropout1,
                self.norm1,
            ),
            (self._perceptron, self.linear2.bias, self.dropout2, self.norm2),
        ]
        return self._run(src, steps)


class TransformerDecoderLayer(_Layer, nn.TransformerDecoderLayer):
    """``nn.TransformerDecoderLayer`` with fused blocks, where that is sure to be the same."""

    _stock = nn.TransformerDecoderLayer

    def forward(
        self,
        tgt: torch.Tensor,
        memory: torch.Tensor,
        tgt_mask: torch.Tensor | None = None,
        memory_mask: torch.Tensor | None = None,
        tgt_key_padding_mask: torch.Tensor | None = None,
        memory_key_padding_mask: torch.Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> torch.Tensor:
        """Return what the layer makes of ``tgt`` and ``memory``."""
        rest = (
            tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
            memory_is_causal,
        )  # fmt: skip
        if is_leaf(self, tgt, memory):
            return as_node(self, tgt, memory, *rest)
        hinted = (tgt_is_causal, tgt_mask), (memory_is_causal, memory_mask)
        if not self._fuses(tgt, memory) or any(hint and mask is None for hint, mask in hinted):
            return super().forward(tgt, memory, *rest)
        own, other = self.self_attn, self.multihead_attn
        hidden = _merged(own, tgt, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        of_memory = _merged(other, tgt, memory_mask, memory_key_padding_mask, memory_is_causal)
        steps = [
            (
                lambda x: _attend(own, x, x, hidden),
                own.out_proj.bias,
                self.dropout1,
                self.norm1,
            ),
            (
                lambda x: _attend(other, x, memory, of_memory),
                other.out_proj.bias,
                self.dropout2,
                self.norm2,
            ),
            (self._perceptron, self.linear2.bias, self.dropout3, self.norm3),
        ]
        return self._run(tgt, steps)
