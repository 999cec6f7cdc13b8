# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout in PyTorch, forward and backward, one thread, 8 heads of 64.

`tools/torch_attention.py` prints the table, with memory and more threads.
"""

from .common import Benchmark, ratio

P = 0.1


def training(attention, qkv, gradient, **options):
    def step():
        attention(*qkv, **options).backward(gradient)
        for x in qkv:
            x.grad = None

    return step


class Attention(Benchmark):
    """PyTorch's attention with dropout, and ours; against PyTorch's without, which is flash."""

    params = (["stock", "fastdrop"], [128, 512, 2048], [False, True])
    param_names = ("attention", "length", "causal")
    timeout = 300

    def setup(self, who, length, causal):
        super().setup()
        try:
            import torch

            import fastdrop.torch
        except ImportError as error:
            raise NotImplementedError("needs torch") from error
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)
        stock = torch.nn.functional.scaled_dot_product_attention
        ours = fastdrop.torch.scaled_dot_product_attention
        qkv = [torch.randn(1, 8, length, 64).requires_grad_() for _ in range(3)]
        gradient = torch.randn(1, 8, length, 64)
        attention = stock if who == "stock" else ours
        self.step = training(attention, qkv, gradient, dropout_p=P, is_causal=causal)
        self.flash = training(stock, qkv, gradient, is_causal=causal)
        self.step()

    def teardown(self, *params):
        import torch

        torch.set_num_threads(self.threads)

    def time_step(self, who, length, causal):
        self.step()

    def track_step_per_flash(self, who, length, causal):
        return ratio(self.step, self.flash)

    track_step_per_flash.unit = "flash attentions"
