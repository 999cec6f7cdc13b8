# SPDX-License-Identifier: BSD-3-Clause
"""Masks alone: raw booleans, seeded and packed masks, windows, conversion."""

import numpy as np

from .common import (
    BIT_GENERATORS,
    SIZES,
    SOURCES,
    Benchmark,
    ShortCalls,
    against,
    fd,
    make_source,
)


class Bernoulli(Benchmark):
    """Raw booleans into memory that exists."""

    params = [SOURCES + BIT_GENERATORS, [0.1, 0.5], ["L2", "LLC"]]
    param_names = ["source", "p", "size"]

    def prepare(self, source, p, size):
        self.n = SIZES[size]
        self.source = make_source(source)
        self.booleans = np.zeros(self.n, dtype=bool)
        self.bits = np.zeros(self.n // 8, dtype=np.uint8)

    def time_packed(self, source, p, size):
        fd.bernoulli(self.n, p, rng=self.source, packed=True, out=self.bits)

    def time_bool(self, source, p, size):
        fd.bernoulli(self.n, p, rng=self.source, out=self.booleans)


@against("NumPy idioms")
class BernoulliAgainstNumPy(Benchmark):
    """Packed booleans; the baseline is `rng.random(n) < p` on PCG64, or on the same generator."""

    params = [SOURCES + BIT_GENERATORS, [0.1, 0.5]]
    param_names = ["source", "p"]

    def prepare(self, source, p):
        n = SIZES["LLC"]
        bits = make_source(source)
        rng = np.random.Generator(bits if source in BIT_GENERATORS else np.random.PCG64(1))
        self.call = lambda: fd.bernoulli(n, p, rng=bits, packed=True)
        self.baseline = lambda: rng.random(n) < p


class Packed(Benchmark):
    """New packed masks."""

    params = [["L1", "L2", "LLC"]]
    param_names = ["size"]

    def prepare(self, size):
        self.n = SIZES[size]
        self.source = make_source("Xoshiro256PlusPlus")

    def time_dropout_mask(self, size):
        fd.dropout_mask(self.n, 0.1, rng=self.source, store="bits")


class Seeded(ShortCalls):
    """New seeded masks, which should cost the same at every size."""

    params = [["L1", "L2", "LLC"]]
    param_names = ["size"]

    def prepare(self):
        self.source = make_source("Xoshiro256PlusPlus")

    def time_dropout_mask(self, size):
        fd.dropout_mask(SIZES[size], 0.1, rng=self.source, store="seed")


class Reading(Benchmark):
    """The whole of a mask."""

    params = [["seed", "bits"]]
    param_names = ["store"]

    def prepare(self, store):
        n = SIZES["LLC"]
        self.mask = fd.dropout_mask((1024, n // 1024), 0.1, rng=1, store=store)
        self.twin = fd.dropout_mask((1024, n // 1024), 0.1, rng=1, store="bits")

    def time_asarray(self, store):
        np.asarray(self.mask)

    def time_packed(self, store):
        self.mask.packed()

    def time_equal(self, store):
        assert self.mask == self.twin


class Window(ShortCalls):
    """A thousand elements out of a million."""

    params = [["seed", "bits"]]
    param_names = ["store"]

    def prepare(self):
        self.masks = {
            store: fd.dropout_mask((1024, 1024), 0.1, rng=1, store=store)
            for store in self.params[0]
        }

    def time_asarray(self, store):
        np.asarray(self.masks[store][500:510, 100:200])
