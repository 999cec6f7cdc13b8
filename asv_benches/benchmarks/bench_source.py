# SPDX-License-Identifier: BSD-3-Clause
"""Sources alone: how fast they make words, how fast they start, spawn and jump."""

import numpy as np

from .common import BUFFER, SIZES, SOURCES, Benchmark, ShortCalls, against, fd, make_source


@against("copies")
class Words(Benchmark):
    """64-bit words by `random_raw`; the baseline is a copy of as many bytes."""

    params = [SOURCES, ["L1", "L2", "LLC"]]
    param_names = ["source", "size"]

    def prepare(self, source, size):
        n = SIZES[size] // 2
        rng = make_source(source)
        self.call = lambda: rng.random_raw(n)
        self.baseline = BUFFER.to_read(np.ones(n, np.uint64), into_new=True).copy


class Making(ShortCalls):
    """New sources: from a seed, from words, from another one; and places far away."""

    params = [SOURCES]
    param_names = ["source"]

    def prepare(self):
        self.sources = {name: make_source(name) for name in SOURCES}

    def time_seed(self, source):
        getattr(fd, source)(1)

    def time_key(self, source):
        getattr(fd, source)(key=(1, 2), counter=(3, 4, 5, 6))

    def time_spawn(self, source):
        self.sources[source].spawn(8)

    def time_jumped(self, source):
        self.sources[source].jumped()

    def time_far_word(self, source):
        self.sources[source].position = 10**12 + 16383
        self.sources[source].random_raw()
