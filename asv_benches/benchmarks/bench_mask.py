# SPDX-License-Identifier: BSD-3-Clause
"""Masks alone: raw booleans, seeded, packed and Gaussian masks, their methods and pickles."""

import pickle

import numpy as np

from .common import (
    BIT_GENERATORS,
    BUFFER,
    SIZES,
    SOURCES,
    Benchmark,
    ShortCalls,
    against,
    fd,
    make_source,
    require,
)


class Bernoulli(Benchmark):
    """Raw booleans into memory that exists."""

    params = [SOURCES + BIT_GENERATORS, [0.1, 0.5], ["L2", "LLC"]]
    param_names = ["source", "p", "size"]

    def prepare(self, source, p, size):
        self.n = SIZES[size]
        self.source = make_source(source)
        self.booleans = BUFFER.to_write(np.empty(self.n, bool))
        self.bits = BUFFER.to_write(np.empty(self.n // 8, np.uint8))

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


def make_mask(store, shape=(1024, 1024)):
    """Give a mask of that kind, or skip."""
    if store == "gaussian":
        return require("gaussian_dropout")(np.ones(shape, np.float32), 0.1, rng=1)[1]
    return fd.dropout_mask(shape, 0.1, rng=1, store=store)


STORES = ["seed", "bits", "gaussian"]


def make_masks(skip_params):
    """Give a mask of each kind that the commit has."""
    masks = {}
    for store in STORES:
        try:
            masks[store] = make_mask(store)
        except NotImplementedError:
            skip_params.append((store,))
    return masks


class Reading(Benchmark):
    """The whole of a mask."""

    params = [["seed", "bits"]]
    param_names = ["store"]

    def prepare(self, store):
        self.mask, self.twin = make_mask(store), make_mask("bits")

    def time_asarray(self, store):
        np.asarray(self.mask)

    def time_packed(self, store):
        self.mask.packed()

    def time_equal(self, store):
        assert self.mask == self.twin


class ReadingGaussian(Benchmark):
    """The whole of a Gaussian mask."""

    def prepare(self):
        self.mask, self.twin = make_mask("gaussian"), make_mask("gaussian")

    def time_asarray(self):
        np.asarray(self.mask)

    def time_equal(self):
        assert self.mask == self.twin


@against("copies")
class Applying(Benchmark):
    """A mask's own methods; the baseline is `np.copyto`."""

    params = [STORES, ["apply", "backward"]]
    param_names = ["store", "method"]

    def prepare(self, store, method):
        self.arrays((1024, 1024))
        method = getattr(make_mask(store), method)
        self.call = lambda: method(self.x, out=self.y)


class Window(ShortCalls):
    """A thousand elements out of a million, and the window alone."""

    params = [STORES]
    param_names = ["store"]

    def prepare(self):
        self.masks = make_masks(self.skip_params)

    def time_asarray(self, store):
        np.asarray(self.masks[store][500:510, 100:200])

    def time_window(self, store):
        self.masks[store][500:510, 100:200]


class Pickles(ShortCalls):
    """What keeps a mask of a million elements."""

    params = [STORES]
    param_names = ["store"]

    def prepare(self):
        self.masks = make_masks(self.skip_params)
        self.pickles = {store: pickle.dumps(mask) for store, mask in self.masks.items()}

    def time_dumps(self, store):
        pickle.dumps(self.masks[store])

    def time_loads(self, store):
        pickle.loads(self.pickles[store])
