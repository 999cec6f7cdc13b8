# SPDX-License-Identifier: BSD-3-Clause
"""Dropout in PyTorch: stock, and with `fastdrop.torch.install()`, one thread.

The tax of whole training steps is printed by `tools/torch_tax.py`.
"""

from .common import SIZES, Benchmark, ratio

P = 0.1


def training(x, gradient):
    import torch

    def step():
        torch.dropout(x, P, True).backward(gradient)
        x.grad = None

    return step


def cloning(x, gradient):
    def step():
        x.clone().backward(gradient)
        x.grad = None

    return step


class Torch(Benchmark):
    """Forward and backward of one dropout layer."""

    params = (["stock", "fastdrop"], ["L1", "L2", "LLC", "memory"], ["float32", "bfloat16"])
    param_names = ("dropout", "place", "dtype")
    timeout = 120

    def setup(self, who, place, dtype):
        super().setup()
        try:
            import torch

            import fastdrop.torch
        except ImportError as error:
            raise NotImplementedError("needs torch") from error
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)
        size = SIZES[place]
        x = torch.randn(size, dtype=getattr(torch, dtype)).requires_grad_()
        gradient = torch.randn(size).to(x.dtype)
        self.uninstall = fastdrop.torch.uninstall
        if who == "fastdrop":
            fastdrop.torch.install()
        self.step, self.clone = training(x, gradient), cloning(x, gradient)
        self.step()

    def teardown(self, *params):
        import torch

        self.uninstall()
        torch.set_num_threads(self.threads)

    def time_step(self, who, place, dtype):
        self.step()

    def track_step_per_clone(self, who, place, dtype):
        return ratio(self.step, self.clone)

    track_step_per_clone.unit = "clones"
