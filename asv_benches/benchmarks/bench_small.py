# SPDX-License-Identifier: BSD-3-Clause
"""Small arrays, where the call costs more than the work."""

import numpy as np

from .common import Benchmark, fd, make_array, make_source, ratio


class Small(Benchmark):
    params = [[1, 16, 128, 1024]]
    param_names = ["elements"]

    def setup(self, elements):
        super().setup()
        self.source = make_source("Xoshiro256PlusPlus")
        self.rng = np.random.default_rng(1)
        self.x = make_array(elements)
        self.y = np.ones_like(self.x)
        self.mask = fd.dropout_mask(elements, 0.1, rng=1)

    def time_dropout(self, elements):
        fd.dropout(self.x, 0.1, rng=self.source)

    def time_dropout_out(self, elements):
        fd.dropout(self.x, 0.1, rng=self.source, out=self.y)

    def time_dropout_no_rng(self, elements):
        fd.dropout(self.x, 0.1)

    def time_dropout_seed(self, elements):
        fd.dropout(self.x, 0.1, rng=1)

    def time_dropout_generator(self, elements):
        fd.dropout(self.x, 0.1, rng=self.rng)

    def time_dropout_evaluation(self, elements):
        fd.dropout(self.x, 0.1, training=False)

    def time_dropout_backward(self, elements):
        fd.dropout_backward(self.x, self.mask)

    def time_bernoulli(self, elements):
        fd.bernoulli(elements, 0.1, rng=self.source)

    def track_against_numpy(self, elements):
        p = 0.1
        return ratio(
            lambda: self.x * (self.rng.random(self.x.shape) >= p) / (1 - p),
            lambda: fd.dropout(self.x, p, rng=self.source),
        )

    track_against_numpy.unit = "times faster"
