# SPDX-License-Identifier: BSD-3-Clause
"""The relatives of dropout.

What stands beside a copy, PyTorch, or the same step without dropout are the rows of
`python -m fastdrop bench --rows family`; their statements are there.
"""

from textwrap import indent

import numpy as np

from .common import SIZES, Benchmark, against, fd, make_array, make_source, require

PLACES = ["LLC", "memory"]
FAMILY = [
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "drop_path",
    "embedding_dropout",
    "drop_block2d",
    "drop_connect",
    "alpha_dropout",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "zoneout",
    "relu_dropout",
    "dropout_add",
    "dropout_add with bias",
]


class Relatives(Benchmark):
    """Base class: a function beside what `make`, of the command, puts beside it.

    When the meaning of a statement there changes, this class gets the next `version`.
    """

    params = [FAMILY, PLACES]
    param_names = ["function", "size"]
    make = None

    def prepare(self, case, place):
        try:
            from fastdrop.cli import _bench_family
            from fastdrop.cli._bench_timing import Unavailable, namespace
        except ImportError as error:
            raise NotImplementedError("this commit has no rows of the family") from error
        (relative,) = (one for one in _bench_family.FAMILY if one.case == case)
        row = getattr(_bench_family, self.make)(relative, place, SIZES[place])
        try:
            names = namespace(row)
        except Unavailable as reason:
            raise NotImplementedError(str(reason)) from reason
        self.call = function_of(row.candidate, names)
        self.baseline = function_of(row.baseline, names)


def function_of(statements, names):
    """Give a function that runs statements among those names."""
    exec(f"def run():\n{indent(statements, '    ')}", names)
    return names["run"]


@against("copies")
class BesideCopy(Relatives):
    """Forward; the baseline is `np.copyto` of as many bytes as it reads and writes."""

    make = "beside_copy"


@against("steps without dropout")
class BesideBare(Relatives):
    """Forward; the baseline is the step without dropout, one by one, into memory that exists."""

    params = [["relu_dropout", "dropout_add with bias"], PLACES]
    make = "beside_bare"


@against("times of PyTorch")
class BesidePyTorch(Relatives):
    """Forward; the baseline is PyTorch's function, or what is done without."""

    params = [FAMILY, ["LLC"]]
    make = "beside_torch"


@against("copies")
class FamilyBackward(Benchmark):
    """Backward, from the mask that the forward function returned."""

    params = [
        [
            "dropout2d",
            "drop_path",
            "drop_block2d",
            "gaussian_dropout",
            "alpha_dropout",
            "feature_alpha_dropout",
            "relu_dropout",
        ]
    ]
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
