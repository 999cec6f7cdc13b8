# SPDX-License-Identifier: BSD-3-Clause
"""Sources alone: how fast they make words, how fast they start, spawn and jump."""

import numpy as np

from .common import SIZES, SOURCES, Benchmark, fd, make_source, ratio


class Words(Benchmark):
    """64-bit words by `random_raw`; the baseline is a copy of as many bytes."""

    params = [SOURCES, ["L1", "L2", "LLC"]]
    param_names = ["source", "size"]

    def setup(self, source, size):
        super().setup()
        self.words = SIZES[size] // 2
        self.source = make_source(source)
        self.x = np.ones(self.words, dtype=np.uint64)

    def time_random_raw(self, source, size):
        self.source.random_raw(self.words)

    def track_random_raw(self, source, size):
        return ratio(lambda: self.source.random_raw(self.words), self.x.copy)

    track_random_raw.unit = "copies"


class Making(Benchmark):
    """New sources, from a seed, from words, from another one."""

    params = [SOURCES]
    param_names = ["source"]

    def setup(self, source):
        super().setup()
        self.type = getattr(fd, source)
        self.source = self.type(1)

    def time_seed(self, source):
        self.type(1)

    def time_key(self, source):
        self.type(key=(1, 2), counter=(3, 4, 5, 6))

    def time_spawn(self, source):
        self.type(1).spawn(8)

    def time_jumped(self, source):
        self.source.jumped()


class Positioning(Benchmark):
    """Eight bytes from a place far away: the price of reaching it."""

    params = [SOURCES]
    param_names = ["source"]

    def setup(self, source):
        super().setup()
        self.source = make_source(source)

    def time_far_word(self, source):
        self.source.position = 10**12 + 16383
        self.source.random_raw()
