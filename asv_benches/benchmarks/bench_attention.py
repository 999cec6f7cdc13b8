# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout in PyTorch, forward and backward, one thread, 8 heads of 64.

It stands against PyTorch's attention without dropout, which is flash attention.
`tools/torch_attention.py` prints the table, with memory and more threads.
"""

from contextlib import nullcontext

from .common import Torch, require, tracked

P = 0.1
LENGTH = 512
WAYS = ["stock", "installed", "explicit"]


class AttentionSteps(Torch):
    """Base class: a step of a way, and one of flash attention on the same tensors."""

    timeout = 300

    def make_steps(self, way, length, *, dtype="float32", groups=8, **options):
        import torch

        import fastdrop.torch

        stock = torch.nn.functional.scaled_dot_product_attention
        attention = stock
        if way == "explicit":
            attention = require("scaled_dot_product_attention", fastdrop.torch)
        query, gradient = (self.tensor(1, 8, length, 64, dtype=dtype) for _ in range(2))
        key, value = (self.tensor(1, groups, length, 64, dtype=dtype) for _ in range(2))
        leaves = [tensor.requires_grad_() for tensor in (query, key, value)]

        def step(function, **dropout):
            function(*leaves, **dropout, **options).backward(gradient)
            for leaf in leaves:
                leaf.grad = None

        self.call = lambda: step(attention, dropout_p=P)
        self.baseline = lambda: step(stock)
        self.around = self.way(way), nullcontext


@tracked("flash attentions")
class Attention(AttentionSteps):
    """Several lengths."""

    params = [WAYS, [128, 512, 2048], [False, True]]
    param_names = ["way", "length", "causal"]

    def prepare(self, way, length, causal):
        super().prepare()
        self.make_steps(way, length, is_causal=causal)


@tracked("flash attentions")
class AttentionKinds(AttentionSteps):
    """Half widths, masks, and queries that share keys in groups of four."""

    params = [WAYS, ["float16", "bfloat16", "boolean mask", "float mask", "grouped queries"]]
    param_names = ["way", "kind"]

    def prepare(self, way, kind):
        super().prepare()
        import torch

        if kind in ("float16", "bfloat16"):
            options = {"dtype": kind}
        elif kind == "boolean mask":
            options = {"attn_mask": torch.rand(LENGTH, LENGTH) < 0.9}
        elif kind == "float mask":
            options = {"attn_mask": torch.randn(LENGTH, LENGTH)}
        else:
            options = {"groups": 2, "enable_gqa": True}
        self.make_steps(way, LENGTH, **options)
