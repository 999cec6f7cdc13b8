# SPDX-License-Identifier: BSD-3-Clause
"""The relatives of dropout, on 2^20 elements of shape (16, 64, 32, 32)."""

import numpy as np

from .common import Benchmark, against, fd, make_array, make_source, require

FUNCTIONS = [
    "dropout2d",
    "drop_path",
    "drop_block2d",
    "gaussian_dropout",
    "alpha_dropout",
    "feature_alpha_dropout",
    "relu_dropout",
]


@against("copies")
class Family(Benchmark):
    """Forward, into memory that exists; the baseline is `np.copyto`."""

    params = [FUNCTIONS]
    param_names = ["function"]

    def prepare(self, name):
        function, rng = require(name), make_source("Xoshiro256PlusPlus")
        self.arrays((16, 64, 32, 32))
        self.call = lambda: function(self.x, 0.1, rng=rng, out=self.y)


@against("copies")
class FamilyBackward(Benchmark):
    """Backward, from the mask that the forward function returned."""

    params = [FUNCTIONS]
    param_names = ["function"]

    def prepare(self, name):
        function, backward = require(name), require("dropout_backward")
        self.arrays((16, 64, 32, 32))
        _, mask = function(self.x, 0.1, rng=1)
        self.call = lambda: backward(self.x, mask, out=self.y)


SHAPES = {
    "sample": (16, 1, 1, 1),
    "channel": (64, 1, 1),
    "pixel": (32, 32),
    "element": (16, 64, 32, 32),
}


@against("NumPy idioms")
class ProbabilityOfEach(Benchmark):
    """An array as p; the baseline is `x * (rng.random(x.shape) >= p) / (1 - p)` on PCG64."""

    params = [list(SHAPES)]
    param_names = ["p_of_each"]

    def prepare(self, each):
        source, rng = make_source("Xoshiro256PlusPlus"), np.random.Generator(np.random.PCG64(1))
        self.arrays((16, 64, 32, 32))
        p = 0.8 * np.random.default_rng(1).random(SHAPES[each])
        self.call = lambda: fd.dropout(self.x, p, rng=source, out=self.y)
        self.baseline = lambda: self.x * (rng.random(self.x.shape) >= p) / (1 - p)


@against("copies")
class ProbabilityOfEachBackward(Benchmark):
    """Backward, from the mask that such a call returned."""

    params = [list(SHAPES)]
    param_names = ["p_of_each"]

    def prepare(self, each):
        self.arrays((16, 64, 32, 32))
        p = 0.8 * np.random.default_rng(1).random(SHAPES[each])
        _, mask = fd.dropout(self.x, p, rng=1)
        self.call = lambda: fd.dropout_backward(self.x, mask, out=self.y)


@against("copies")
class ChannelsLast(Benchmark):
    """Whole channels that lie next to each other in memory."""

    params = [[3, 64, 100]]
    param_names = ["channels"]

    def prepare(self, channels):
        source = make_source("Xoshiro256PlusPlus")
        self.arrays((1024 // channels, 32, 32, channels))
        self.call = lambda: fd.dropout2d(self.x, 0.1, channel_axis=-1, rng=source, out=self.y)


@against("sums")
class DropoutAdd(Benchmark):
    """The end of a residual branch; the baseline is `np.add`, without bias and dropout."""

    params = [[False, True]]
    param_names = ["bias"]

    def prepare(self, bias):
        function, rng = require("dropout_add"), make_source("Xoshiro256PlusPlus")
        self.arrays((1024, 1024))
        residual, b = make_array((1024, 1024)), make_array(1024) if bias else None
        self.call = lambda: function(self.x, residual, 0.1, bias=b, rng=rng, out=self.y)
        self.baseline = lambda: np.add(self.x, residual, out=self.y)


@against("products without dropout")
class DropConnect(Benchmark):
    """A linear map that loses connections; the baseline is the map that loses none."""

    params = [[16, 256]]
    param_names = ["batch"]

    def prepare(self, batch):
        function, rng = require("drop_connect"), make_source("Xoshiro256PlusPlus")
        x, weight = make_array((batch, 1024)), make_array((1024, 1024))
        self.call = lambda: function(x, weight, 0.1, rng=rng)
        self.baseline = lambda: x @ weight.T
