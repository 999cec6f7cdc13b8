# SPDX-License-Identifier: BSD-3-Clause
"""Functions that do dropout and more in one pass, and the relatives beside their peers."""

import math

import numpy as np

from .common import SIZES, Benchmark, against, make_array, make_source, require

P = 0.1
PLACES = ["LLC", "memory"]
FUSED = ["relu_dropout", "zoneout", "dropout_add", "dropout_add with bias"]


def fused(name, x, other, bias, y):
    """Give a call of a function of `FUSED`, on rows as long as the bias."""
    name, _, with_bias = name.partition(" ")
    function, rng = require(name), make_source("Xoshiro256PlusPlus")
    arrays = (x,) if name == "relu_dropout" else (x, other)
    options = {"bias": bias} if with_bias else {}
    return lambda: function(*arrays, P, rng=rng, out=y, **options)


class Arrays(Benchmark):
    """Base class: x, another array and y in rows of 256, and a bias."""

    param_names = ["function", "size"]

    def prepare(self, name, size):
        shape = (SIZES[size] // 256, 256)
        self.arrays(shape)
        self.other, self.bias = make_array(shape), make_array(256)
        self.call = fused(name, self.x, self.other, self.bias, self.y)


@against("copies")
class Fused(Arrays):
    """Forward; the baseline is `np.copyto` of as many bytes as it reads and writes."""

    params = [FUSED, PLACES]

    def prepare(self, name, size):
        super().prepare(name, size)
        arrays = 2 if name == "relu_dropout" else 3
        before = np.ones(arrays * SIZES[size] // 2, np.float32)
        after = np.ones_like(before)
        self.baseline = lambda: np.copyto(after, before)


@against("steps without dropout")
class FusedBesideBare(Arrays):
    """Forward; the baseline is the step without dropout, unfused, into memory that exists."""

    params = [["relu_dropout", "dropout_add", "dropout_add with bias"], PLACES]

    def prepare(self, name, size):
        super().prepare(name, size)
        part = np.ones_like(self.x)

        def add():
            np.add(self.x, self.bias, out=part)
            np.add(part, self.other, out=self.y)

        self.baseline = {
            "relu_dropout": lambda: np.maximum(self.x, 0, out=self.y),
            "dropout_add": lambda: np.add(self.x, self.other, out=self.y),
            "dropout_add with bias": add,
        }[name]


PEERS = [
    "dropout2d",
    "drop_path",
    "drop_block2d",
    "embedding_dropout",
    "alpha_dropout",
    "feature_alpha_dropout",
    "gaussian_dropout",
    *FUSED,
]


def peer_of(name, x, other, bias):
    """Give what programs do in PyTorch instead: its function, or the usual recipe."""
    try:
        import torch
        from torch.nn import functional
    except ImportError as error:
        raise NotImplementedError("torch is not installed") from error
    torch.set_num_threads(1)
    t, other, bias = map(torch.from_numpy, (x, other, bias))

    def rows():
        kept = t.new_empty((len(t), *[1] * (t.ndim - 1))).bernoulli_(1 - P).div_(1 - P)
        return t * kept

    def blocks():
        block, (height, width) = 7, t.shape[2:]
        gamma = P / block**2 * height * width / ((height - block + 1) * (width - block + 1))
        begins = torch.empty(*t.shape[:2], height - block + 1, width - block + 1)
        begins = functional.pad(begins.bernoulli_(gamma), [block // 2] * 4)
        kept = 1 - functional.max_pool2d(begins, block, 1, block // 2)
        return t * kept * (kept.numel() / (kept.sum() + 1e-6))

    return {
        "drop_path": rows,
        "drop_block2d": blocks,
        "embedding_dropout": rows,
        "gaussian_dropout": lambda: t * (1 + math.sqrt(P / (1 - P)) * torch.randn_like(t)),
        "relu_dropout": lambda: functional.dropout(functional.relu(t), P),
        "zoneout": lambda: torch.where(torch.rand_like(t) < P, other, t),
        "dropout_add": lambda: other + functional.dropout(t, P),
        "dropout_add with bias": lambda: other + functional.dropout(t + bias, P),
    }.get(name) or (lambda: getattr(functional, name)(t, P, training=True))


@against("times of PyTorch")
class FamilyBesidePyTorch(Benchmark):
    """Forward on 2^20 elements; the baseline is PyTorch's function, or what is done without."""

    params = [PEERS]
    param_names = ["function"]

    def prepare(self, name):
        flat = name in FUSED or name in ("embedding_dropout", "gaussian_dropout")
        shape = (4096, 256) if flat else (16, 64, 32, 32)
        self.arrays(shape)
        other, bias = make_array(shape), make_array(256)
        if name in FUSED:
            self.call = fused(name, self.x, other, bias, self.y)
        else:
            function, rng = require(name), make_source("Xoshiro256PlusPlus")
            self.call = lambda: function(self.x, P, rng=rng, out=self.y)
        self.baseline = peer_of(name, self.x, other, bias)
