# SPDX-License-Identifier: BSD-3-Clause
"""Fused passes: their backward; and in PyTorch forward and backward, compared with the parts."""

import numpy as np

from .bench_torch import P, Steps
from .common import BUFFER, SIZES, Benchmark, Torch, against, require, tracked

TABLE = (4096, 256)
BACKWARD = {
    "gelu_dropout": "gelu_dropout_backward",
    "silu_dropout": "silu_dropout_backward",
    "dropout_add_layer_norm": "dropout_add_layer_norm_backward",
    "dropout_add_rms_norm": "dropout_add_rms_norm_backward",
}


@against("copies")
class FusedBackward(Benchmark):
    """Backward from x and the mask that the forward function returned."""

    params = [list(BACKWARD)]
    param_names = ["function"]

    def prepare(self, name):
        function, backward = require(name), require(BACKWARD[name])
        self.arrays(TABLE)
        x, dy = self.x, BUFFER.to_read(np.roll(self.x, 1))
        if "norm" not in name:
            _, mask = function(x, P, rng=1)
            self.call = lambda: backward(dy, x, mask, out=self.y)
            return
        weight = BUFFER.to_read(np.ones(TABLE[-1], np.float32))
        bias = [weight] if name == "dropout_add_layer_norm" else []
        _, mask = function(x, dy, weight, *bias, P, rng=1)
        self.call = lambda: backward(dy, x, dy, weight, mask)


def parts_of(name, other, weight, bias):
    """Give PyTorch's functions, one by one."""
    from torch.nn import functional as F

    return {
        "gelu_dropout": lambda x: F.dropout(F.gelu(x), P, True),
        "silu_dropout": lambda x: F.dropout(F.silu(x), P, True),
        "dropout_add_layer_norm": lambda x: F.layer_norm(
            other + F.dropout(x, P, True), x.shape[-1:], weight, bias
        ),
        "dropout_add_rms_norm": lambda x: F.rms_norm(
            other + F.dropout(x, P, True), x.shape[-1:], weight, 1e-5
        ),
    }[name]


@tracked("clones")
class FusedPasses(Steps):
    """Forward and backward; the baseline is a clone, and its backward."""

    params = [list(BACKWARD), ["stock", "installed", "explicit"]]
    param_names = ["function", "way"]

    def prepare(self, name, way):
        super().prepare()
        import torch

        import fastdrop.torch

        x = self.tensor(SIZES["LLC"]).view(-1, 256)
        other, weight, bias = self.tensor(*x.shape), torch.ones(256), torch.zeros(256)
        forward = parts_of(name, other, weight, bias)
        if way == "explicit":
            function = require(name, fastdrop.torch)
            others = {
                "dropout_add_layer_norm": (other, weight, bias),
                "dropout_add_rms_norm": (other, weight),
            }.get(name, ())
            forward = lambda x: function(x, *others, P, True)  # noqa: E731
        self.make_steps(way, forward, x)


@tracked("clones")
class FusedModules(Steps):
    """The modules, on 4096 elements."""

    params = [["GELUDropout", "SiLUDropout", "DropoutAddLayerNorm", "DropoutAddRMSNorm"]]
    param_names = ["module"]

    def prepare(self, name):
        super().prepare()
        import fastdrop.torch

        x = self.tensor(SIZES["L1"]).view(-1, 256)
        other = self.tensor(*x.shape)
        cls = require(name, fastdrop.torch)
        if "Add" in name:
            module = cls(256, P)
            self.make_steps("explicit", lambda x: module(x, other), x)
        else:
            self.make_steps("explicit", cls(P), x)


@tracked("steps without dropout")
class FusedTraining(Torch):
    """Training steps of models after `accelerate(fuse=True)`; the baseline has no dropout."""

    params = [["mlp", "encoder", "gpt", "causal"]]
    param_names = ["model"]
    seconds = 3

    def prepare(self, name):
        super().prepare()
        import copy

        import fastdrop.torch

        require("fuse_output", fastdrop.torch)  # as old as fuse=
        model, batch = self.tax.MODELS[name]()
        fused = fastdrop.torch.accelerate(copy.deepcopy(model), fuse=True)
        batch = BUFFER.tensor(batch)
        self.call = lambda: self.tax.step(fused, batch)
        self.baseline = lambda: self.tax.step(model, batch)
        self.around = self.way("installed"), lambda: self.tax.way("none")
