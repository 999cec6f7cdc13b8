# SPDX-License-Identifier: BSD-3-Clause
"""Masks alone: raw booleans, seeded and packed masks, windows, conversion."""

import numpy as np

from .common import (
    BIT_GENERATORS,
    PROBABILITIES,
    SIZES,
    SOURCES,
    Benchmark,
    fd,
    make_source,
    ratio,
)


class Bernoulli(Benchmark):
    """Raw booleans into memory that exists."""

    params = [SOURCES + BIT_GENERATORS, PROBABILITIES, ["L2", "LLC"]]
    param_names = ["source", "p", "size"]

    def setup(self, source, p, size):
        super().setup()
        self.n = SIZES[size]
        self.source = make_source(source)
        self.booleans = np.zeros(self.n, dtype=bool)
        self.bits = np.zeros(self.n // 8, dtype=np.uint8)

    def time_packed(self, source, p, size):
        fd.bernoulli(self.n, p, rng=self.source, packed=True, out=self.bits)

    def time_bool(self, source, p, size):
        fd.bernoulli(self.n, p, rng=self.source, out=self.booleans)


class BernoulliAgainstNumPy(Benchmark):
    """How many times faster packed booleans are than `rng.random(n) < p`."""

    params = [SOURCES + BIT_GENERATORS, [0.1, 0.5]]
    param_names = ["source", "p"]

    def setup(self, source, p):
        super().setup()
        self.n = SIZES["LLC"]
        self.source = make_source(source)
        name = source if source in BIT_GENERATORS else "PCG64"
        self.rng = np.random.Generator(getattr(np.random, name)(1))

    def track_packed(self, source, p):
        return ratio(
            lambda: self.rng.random(self.n) < p,
            lambda: fd.bernoulli(self.n, p, rng=self.source, packed=True),
        )

    track_packed.unit = "times faster"


class Drawing(Benchmark):
    """New masks. A seeded mask should cost the same at every size."""

    params = [["seed", "bits"], ["L1", "L2", "LLC"]]
    param_names = ["store", "size"]

    def setup(self, store, size):
        super().setup()
        self.n = SIZES[size]
        self.source = make_source("Xoshiro256PlusPlus")

    def time_dropout_mask(self, store, size):
        fd.dropout_mask(self.n, 0.1, rng=self.source, store=store)


class Reading(Benchmark):
    """What can be asked of a mask."""

    params = [["seed", "bits"]]
    param_names = ["store"]

    def setup(self, store):
        super().setup()
        n = SIZES["LLC"]
        self.mask = fd.dropout_mask((1024, n // 1024), 0.1, rng=1, store=store)
        self.twin = fd.dropout_mask((1024, n // 1024), 0.1, rng=1, store="bits")

    def time_asarray(self, store):
        np.asarray(self.mask)

    def time_packed(self, store):
        self.mask.packed()

    def time_window(self, store):
        np.asarray(self.mask[500:510, 100:200])

    def time_equal(self, store):
        assert self.mask == self.twin
