# SPDX-License-Identifier: BSD-3-Clause
"""Dropout in PyTorch, one thread: stock, after `fastdrop.torch.install()`, and called by name.

The floor is what any dropout that writes a new tensor costs, Python included: `clone` in its place,
forward and backward. The models are those of `tools/torch_tax.py`.
"""

from contextlib import nullcontext

from .common import BUFFER, SIZES, Torch, require, tracked

P = 0.1

# A function, its module, and the shape of its tensor.
FLAT, TABLE, LINES = (-1,), (-1, 256), (-1, 4, 256)
MAPS, VOLUMES = (-1, 4, 16, 16), (-1, 4, 4, 8, 8)
FAMILY = {
    "dropout": ("Dropout", FLAT),
    "dropout1d": ("Dropout1d", LINES),
    "dropout2d": ("Dropout2d", MAPS),
    "dropout3d": ("Dropout3d", VOLUMES),
    "alpha_dropout": ("AlphaDropout", FLAT),
    "feature_alpha_dropout": ("FeatureAlphaDropout", MAPS),
    "relu_dropout": ("ReLUDropout", FLAT),
    "dropout_add": ("DropoutAdd", TABLE),
}


class Steps(Torch):
    """Base class: forward and backward of a dropout; the baseline is a clone, and its backward."""

    def make_steps(self, way, forward, x):
        import torch

        x.requires_grad_()
        gradient = BUFFER.tensor(torch.randn_like(x))

        def step(function):
            function(x).backward(gradient)
            x.grad = None

        self.call = lambda: step(forward)
        self.baseline = lambda: step(torch.clone)
        self.around = self.way(way), nullcontext


@tracked("clones")
class Layer(Steps):
    """What `nn.Dropout` calls."""

    params = [["stock", "installed"], ["L1", "L2", "LLC", "memory"], ["float32", "bfloat16"]]
    param_names = ["way", "size", "dtype"]

    def prepare(self, way, size, dtype):
        super().prepare()
        import torch

        x = self.tensor(SIZES[size], dtype=dtype)
        self.make_steps(way, lambda x: torch.dropout(x, P, True), x)


@tracked("clones")
class SmallCalls(Steps):
    """The same on tensors so small that the calls take the time."""

    params = [["stock", "installed"], [1, 16, 256, 1024]]
    param_names = ["way", "elements"]

    def prepare(self, way, elements):
        super().prepare()
        import torch

        x = self.tensor(elements)
        self.make_steps(way, lambda x: torch.dropout(x, P, True), x)


def stock_function(name, other):
    """Give what PyTorch has for a function."""
    from torch.nn import functional as F

    if name == "relu_dropout":
        return lambda x: F.dropout(F.relu(x), P, True)
    if name == "dropout_add":
        return lambda x: other + F.dropout(x, P, True)
    function = getattr(F, name)
    return lambda x: function(x, P, True)


@tracked("clones")
class Functions(Steps):
    """Every function; PyTorch has two of them as two calls."""

    params = [list(FAMILY), ["stock", "installed", "explicit"]]
    param_names = ["function", "way"]

    def prepare(self, name, way):
        super().prepare()
        import fastdrop.torch

        x = self.tensor(SIZES["LLC"]).view(FAMILY[name][1])
        other = self.tensor(*x.shape)
        if way == "explicit":
            function = require(name, fastdrop.torch)
            others = [other] if name == "dropout_add" else []
            self.make_steps(way, lambda x: function(x, *others, P, True), x)
        else:
            self.make_steps(way, stock_function(name, other), x)


@tracked("clones")
class Modules(Steps):
    """Every module, on 4096 elements; PyTorch has two of them as a module and a call."""

    params = [
        [module for module, _ in FAMILY.values()],
        ["stock", "installed", "explicit", "accelerated"],
    ]
    param_names = ["module", "way"]

    def prepare(self, name, way):
        super().prepare()
        from torch import nn

        import fastdrop.torch

        (shape,) = (shape for module, shape in FAMILY.values() if module == name)
        x = self.tensor(SIZES["L1"]).view(shape)
        other = self.tensor(*x.shape)
        if way == "explicit":
            module = require(name, fastdrop.torch)(P)
            forward = (lambda x: module(x, other)) if name == "DropoutAdd" else module
        else:
            module = getattr(nn, name, nn.Dropout)(P)
            forward = {
                "ReLUDropout": lambda x: module(nn.functional.relu(x)),
                "DropoutAdd": lambda x: other + module(x),
            }.get(name, module)
        if way == "accelerated":
            require("accelerate", fastdrop.torch)(module)
        self.make_steps(way, forward, x)


class Switches(Torch):
    """Replacing PyTorch's dropout, and the classes of a model's modules."""

    def prepare(self):
        super().prepare()
        import torch

        import fastdrop.torch

        self.package, self.stock = fastdrop.torch, torch.nn.Dropout
        self.model = torch.nn.Sequential(*(self.stock(P) for _ in range(24)))

    def time_install_and_uninstall(self):
        self.package.install()
        self.package.uninstall()

    def time_accelerate_24_modules(self):
        for module in self.model:
            module.__class__ = self.stock
        self.package.accelerate(self.model)


@tracked("steps with clones")
class Training(Torch):
    """Training steps of whole models; the baseline is the floor, on the same model."""

    params = [["stock", "installed"], ["mlp", "conv", "encoder", "gpt", "lstm"]]
    param_names = ["way", "model"]
    seconds = 3

    def prepare(self, way, model):
        super().prepare()
        model, batch = self.tax.MODELS[model]()
        batch = BUFFER.tensor(batch)
        self.call = self.baseline = lambda: self.tax.step(model, batch)
        self.around = self.way(way), lambda: self.tax.way("floor")
