# SPDX-License-Identifier: BSD-3-Clause
"""What PyTorch does not have, one thread: as programs write it in PyTorch, and by fastdrop.

As in `bench_torch`, the baseline is a `clone` forward and backward.
"""

from contextlib import nullcontext

from .bench_torch import MAPS, TABLE, P, Steps
from .common import BUFFER, SIZES, Torch, require, tracked

STEPS = (-1, 4, 256)
# A function, its module, and the shape of its tensor.
RELATIVES = {
    "drop_path": ("DropPath", MAPS),
    "drop_block2d": ("DropBlock2d", MAPS),
    "embedding_dropout": ("EmbeddingDropout", TABLE),
    "gaussian_dropout": ("GaussianDropout", TABLE),
    "locked_dropout": ("LockedDropout", STEPS),
    "zoneout": ("Zoneout", TABLE),
    "drop_connect": ("DropConnect", TABLE),
}


def recipe(name, other):
    """Give what programs do in PyTorch."""
    import torch
    from torch.nn import functional as F

    def shared(x, shape):
        return x * x.new_empty(shape).bernoulli_(1 - P).div_(1 - P)

    def blocks(x, block=7):
        *maps, height, width = x.shape
        places = (height - block + 1) * (width - block + 1)
        gamma = P / block**2 * height * width / places
        begins = torch.empty(*maps, height - block + 1, width - block + 1).bernoulli_(gamma)
        kept = 1 - F.max_pool2d(F.pad(begins, [block // 2] * 4), block, 1, block // 2)
        return x * kept * (kept.numel() / kept.sum())

    return {
        "drop_path": lambda x: shared(x, (len(x), 1, 1, 1)),
        "drop_block2d": blocks,
        "embedding_dropout": lambda x: shared(x, (len(x), 1)),
        "gaussian_dropout": lambda x: x * (1 + (P / (1 - P)) ** 0.5 * torch.randn_like(x)),
        "locked_dropout": lambda x: shared(x, (1, *x.shape[1:])),
        "zoneout": lambda x: torch.where(torch.rand_like(x) < P, other, x),
        "drop_connect": lambda x: F.linear(other[:8], F.dropout(x, P)),
    }[name]


class RelativeSteps(Steps):
    """Base class: calls that have more than one tensor."""

    def tensors(self, name, size):
        x = self.tensor(SIZES[size]).view(RELATIVES[name][1])
        return x, self.tensor(*x.shape)

    def make_steps(self, way, forward, x):
        # The baseline's gradient has x's shape; that of a product is another.
        import torch

        super().make_steps(way, forward, x)
        clone = self.baseline
        shape = forward(x).shape
        if shape != x.shape:
            gradient = BUFFER.tensor(torch.ones(shape))

            def step():
                forward(x).backward(gradient)
                x.grad = None

            self.call = step
            self.baseline = clone


@tracked("clones")
class Relatives(RelativeSteps):
    """Every function, on the elements of a last-level cache."""

    params = [list(RELATIVES), ["stock", "explicit"]]
    param_names = ["function", "way"]

    def prepare(self, name, way):
        super().prepare()
        import fastdrop.torch

        x, other = self.tensors(name, "LLC")
        forward = recipe(name, other)
        if way == "explicit":
            function = require(name, fastdrop.torch)
            forward = {
                "zoneout": lambda x: function(x, other, P),
                "drop_connect": lambda x: function(other[:8], x, P),
            }.get(name, lambda x: function(x, P))
        self.make_steps(way, forward, x)


@tracked("clones")
class RelativeModules(RelativeSteps):
    """Every module, on 4096 elements."""

    params = [[module for module, _ in RELATIVES.values()], ["stock", "explicit"]]
    param_names = ["module", "way"]

    def prepare(self, module, way):
        super().prepare()
        import fastdrop.torch

        (name,) = (name for name, (cls, _) in RELATIVES.items() if cls == module)
        x, other = self.tensors(name, "L1")
        forward = recipe(name, other)
        if way == "explicit":
            cls = require(module, fastdrop.torch)
            layer = cls(x.shape[1], 8, P) if name == "drop_connect" else cls(P)
            forward = (lambda x: layer(x, other)) if name == "zoneout" else layer
        self.make_steps(way, forward, x)


@tracked("calls of nn.LSTM")
class WeightDroppedLSTM(Torch):
    """The weight-dropped LSTM of AWD-LSTM, forward and backward, compared with PyTorch's LSTM."""

    params = [[64, 512]]
    param_names = ["hidden"]

    def prepare(self, hidden):
        super().prepare()
        import torch

        import fastdrop.torch

        cls = require("WeightDropLSTM", fastdrop.torch)
        stock, dropped = torch.nn.LSTM(hidden, hidden), cls(hidden, hidden, p=P)
        x = self.tensor(16, 8, hidden)

        def step(lstm):
            lstm(x)[0].sum().backward()
            for parameter in lstm.parameters():
                parameter.grad = None

        self.call, self.baseline = lambda: step(dropped), lambda: step(stock)
        self.around = nullcontext, nullcontext


@tracked("loops")
class MonteCarlo(Torch):
    """Predictions with dropout left on, compared with a loop over the model in training."""

    params = [[1, 20]]
    param_names = ["samples"]

    def prepare(self, samples):
        super().prepare()
        import torch

        import fastdrop.torch

        predict = require("mc_predict", fastdrop.torch)
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), fastdrop.torch.Dropout(P))
        x = self.tensor(32, 64)

        @torch.no_grad()
        def loop():
            results = torch.stack([model(x) for _ in range(samples)])
            return results.mean(0), results.std(0, correction=0)

        self.call, self.baseline = lambda: predict(model, x, samples), loop
        self.around = nullcontext, nullcontext
