# SPDX-License-Identifier: BSD-3-Clause
"""Dropout in PyTorch, stock and with `fastdrop.torch.install()`, one thread.

The floor is what any dropout that writes a new tensor costs, Python included: `clone` in its place,
forward and backward. The models are those of `tools/torch_tax.py`.
"""

import importlib.util
from contextlib import nullcontext
from pathlib import Path

from .common import SIZES, Benchmark, ratio

TAX = Path(__file__).parents[2] / "tools" / "torch_tax.py"


class Torch(Benchmark):
    """Skips where PyTorch, or the adapter, is missing."""

    def prepare(self, *params):
        try:
            import torch

            import fastdrop.torch
        except ImportError as error:
            raise NotImplementedError("needs torch") from error
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.ways = {"stock": nullcontext, "fastdrop": fastdrop.torch.installed}


class Layer(Torch):
    """Forward and backward of one dropout layer; the baseline is a clone, and its backward."""

    params = [["stock", "fastdrop"], ["L1", "L2", "LLC", "memory"], ["float32", "bfloat16"]]
    param_names = ["dropout", "size", "dtype"]

    def prepare(self, dropout, size, dtype):
        super().prepare()
        import torch

        x = torch.randn(SIZES[size], dtype=getattr(torch, dtype)).requires_grad_()
        gradient = torch.randn_like(x)

        def step(function):
            function(x).backward(gradient)
            x.grad = None

        self.call = lambda: step(lambda x: torch.dropout(x, 0.1, True))
        self.baseline = lambda: step(torch.clone)
        self.way = self.ways[dropout]

    def track_ratio(self, dropout, size, dtype):
        return ratio(self.call, self.baseline, around=(self.way, nullcontext))

    track_ratio.unit = "clones"


class Training(Torch):
    """Training steps of whole models; the baseline is the floor, on the same model."""

    params = [["stock", "fastdrop"], ["mlp", "conv", "encoder", "gpt", "lstm"]]
    param_names = ["dropout", "model"]

    def prepare(self, dropout, model):
        super().prepare()
        spec = importlib.util.spec_from_file_location("torch_tax", TAX)
        self.tax = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.tax)
        model, batch = self.tax.MODELS[model]()
        self.step = lambda: self.tax.step(model, batch)
        self.around = self.ways[dropout], lambda: self.tax.way("floor")

    def track_ratio(self, dropout, model):
        return ratio(self.step, self.step, around=self.around, seconds=3)

    track_ratio.unit = "steps with clones"
