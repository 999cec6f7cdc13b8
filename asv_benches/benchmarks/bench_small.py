# SPDX-License-Identifier: BSD-3-Clause
"""Small arrays, where the call costs more than the work."""

import numpy as np

from .common import BUFFER, Benchmark, ShortCalls, fd, make_array, make_source, tracked

ELEMENTS = [1, 16, 128, 1024]


class Small(ShortCalls):
    """One call, in the ways in which it can be made."""

    params = [ELEMENTS]
    param_names = ["elements"]

    def prepare(self):
        self.source = make_source("Xoshiro256PlusPlus")
        self.rng = np.random.default_rng(1)
        self.x = {n: make_array(n) for n in ELEMENTS}
        self.y = {n: BUFFER.to_write(self.x[n]) for n in ELEMENTS}
        self.mask = {n: fd.dropout_mask(n, 0.1, rng=1) for n in ELEMENTS}

    def time_dropout(self, elements):
        fd.dropout(self.x[elements], 0.1, rng=self.source)

    def time_dropout_out(self, elements):
        fd.dropout(self.x[elements], 0.1, rng=self.source, out=self.y[elements])

    def time_dropout_no_rng(self, elements):
        fd.dropout(self.x[elements], 0.1)

    def time_dropout_seed(self, elements):
        fd.dropout(self.x[elements], 0.1, rng=1)

    def time_dropout_generator(self, elements):
        fd.dropout(self.x[elements], 0.1, rng=self.rng)

    def time_dropout_evaluation(self, elements):
        fd.dropout(self.x[elements], 0.1, training=False)

    def time_dropout_backward(self, elements):
        fd.dropout_backward(self.x[elements], self.mask[elements])

    def time_bernoulli(self, elements):
        fd.bernoulli(elements, 0.1, rng=self.source)


@tracked("NumPy idioms")
class SmallAgainstNumPy(Benchmark):
    """The baseline is the NumPy idiom."""

    params = [ELEMENTS]
    param_names = ["elements"]

    def prepare(self, elements):
        x, p = make_array(elements), 0.1
        source, rng = make_source("Xoshiro256PlusPlus"), np.random.default_rng(1)
        self.call = lambda: fd.dropout(x, p, rng=source)
        self.baseline = lambda: x * (rng.random(x.shape) >= p) / (1 - p)
