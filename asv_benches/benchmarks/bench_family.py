# SPDX-License-Identifier: BSD-3-Clause
"""The relatives of dropout.

What is compared with a copy, PyTorch, or the same step without dropout are the statements of
`python -m fastdrop bench --rows family`: those of the tree that this file is in, for all commits.
"""

from textwrap import indent

import numpy as np

from .common import (
    BUFFER,
    SIZES,
    Benchmark,
    against,
    fd,
    make_array,
    make_probabilities,
    make_source,
    of_this_tree,
    require,
)

relatives = of_this_tree("fastdrop/cli/_bench_relatives.py")
FAMILY = {relative.case: relative for relative in relatives.FAMILY}
PLACES = ["LLC", "memory"]


class Relatives(Benchmark):
    """Base class: a function and what the method `against` of its description gives.

    When the meaning of a statement there changes, this class gets the next `version`.
    """

    params = [list(FAMILY), PLACES]
    param_names = ["function", "size"]
    against = ""

    def prepare(self, case, place):
        relative = FAMILY[case]
        require(relative.name)
        self.arrays(SIZES[place])
        baseline = getattr(relative, self.against)()
        names = {"fd": fd, "np": np, "buffer": BUFFER, "x": self.x, "y": self.y}
        names |= {"n": SIZES[place], "p": relatives.P, "threads": 1}
        try:
            exec(baseline.setup, names)
        except ImportError as error:
            raise NotImplementedError(str(error)) from error
        self.call = function_of(relative.candidate, names)
        self.baseline = function_of(baseline.statement, names)


def function_of(statements, names):
    """Give a function that runs statements among those names."""
    exec(f"def run():\n{indent(statements, '    ')}", names)
    return names["run"]


@against("copies")
class AgainstCopy(Relatives):
    """Forward; the baseline is `np.copyto` of as many bytes as it reads and writes."""

    against = "against_copy"


@against("steps without dropout")
class AgainstBare(Relatives):
    """Forward; the baseline is the step without dropout, one by one, into memory that exists."""

    params = [[case for case, relative in FAMILY.items() if relative.bare], PLACES]
    against = "against_bare"


@against("times of PyTorch")
class AgainstPyTorch(Relatives):
    """Forward; the baseline is PyTorch's function, or what is done without."""

    params = [list(FAMILY), ["LLC"]]
    against = "against_torch"


LINES, VOLUMES = (64, 16, 1024), (64, 16, 4, 16, 16)
MAPS, TABLE = (16, 64, 32, 32), (4096, 256)
BACKWARD = {
    "dropout1d": LINES,
    "dropout2d": MAPS,
    "dropout3d": VOLUMES,
    "drop_path": MAPS,
    "embedding_dropout": TABLE,
    "drop_block2d": MAPS,
    "gaussian_dropout": MAPS,
    "alpha_dropout": MAPS,
    "feature_alpha_dropout": MAPS,
    "relu_dropout": MAPS,
    "dropout_add": TABLE,
}


@against("copies")
class FamilyBackward(Benchmark):
    """Backward, from the mask that the forward function returned."""

    params = [list(BACKWARD)]
    param_names = ["function"]

    def prepare(self, name):
        function, backward = require(name), require("dropout_backward")
        self.arrays(BACKWARD[name])
        others = [self.x] if name == "dropout_add" else []
        _, mask = function(self.x, *others, 0.1, rng=1)
        self.call = lambda: backward(self.x, mask, out=self.y)


@against("pairs of copies")
class ZoneoutBackward(Benchmark):
    """Backward into two new arrays; the baseline is two copies into new arrays."""

    params = [["LLC", "memory"]]
    param_names = ["size"]

    def prepare(self, size):
        function, backward = require("zoneout"), require("zoneout_backward")
        x = make_array(SIZES[size])
        _, mask = function(x, x, 0.1, rng=1)
        dy = BUFFER.to_read(x, into_new=True)
        self.call = lambda: backward(dy, mask)
        self.baseline = lambda: (dy.copy(), dy.copy())


SHAPES = {
    "sample": (16, 1, 1, 1),
    "channel": (64, 1, 1),
    "pixel": (32, 32),
    "element": (16, 64, 32, 32),
}


@against("NumPy idioms")
class ProbabilityOfEach(Benchmark):
    """An array as p; the baseline is `x * (rng.random(x.shape) >= p) / (1 - p)` on PCG64."""

    version = 2
    params = [list(SHAPES)]
    param_names = ["p_of_each"]

    def prepare(self, each):
        source, rng = make_source("Xoshiro256PlusPlus"), np.random.Generator(np.random.PCG64(1))
        self.arrays((16, 64, 32, 32))
        p = make_probabilities(SHAPES[each])
        self.call = lambda: fd.dropout(self.x, p, rng=source, out=self.y)
        self.baseline = lambda: self.x * (rng.random(self.x.shape) >= p) / (1 - p)


@against("copies")
class ProbabilityOfEachBackward(Benchmark):
    """Backward, from the mask that such a call returned."""

    version = 2
    params = [list(SHAPES)]
    param_names = ["p_of_each"]

    def prepare(self, each):
        self.arrays((16, 64, 32, 32))
        p = make_probabilities(SHAPES[each])
        _, mask = fd.dropout(self.x, p, rng=1)
        self.call = lambda: fd.dropout_backward(self.x, mask, out=self.y)


@against("copies")
class ChannelsLast(Benchmark):
    """Whole channels that lie next to each other in memory."""

    params = [[3, 64, 100]]
    param_names = ["channels"]

    def prepare(self, channels):
        function, source = require("dropout2d"), make_source("Xoshiro256PlusPlus")
        self.arrays((1024 // channels, 32, 32, channels))
        self.call = lambda: function(self.x, 0.1, channel_axis=-1, rng=source, out=self.y)


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


@against("products without dropout")
class DropConnectBackward(Benchmark):
    """All three gradients; the baseline are those of the map that loses no connections."""

    params = [[16, 256]]
    param_names = ["batch"]

    def prepare(self, batch):
        function, backward = require("drop_connect"), require("drop_connect_backward")
        x, dy, weight = (make_array((rows, 1024)) for rows in (batch, batch, 1024))
        _, mask = function(x, weight, 0.1, rng=1)
        self.call = lambda: backward(dy, x, weight, mask)
        self.baseline = lambda: (dy @ weight, dy.T @ x, dy.sum(axis=0))
