# SPDX-License-Identifier: BSD-3-Clause
"""Whole dropout over arrays, forward and backward, beside a copy of the same array."""

import numpy as np

from .common import PROBABILITIES, SIZES, SOURCES, Benchmark, fd, make_array, make_source, ratio


class Forward(Benchmark):
    """Into memory that exists; the baseline is `np.copyto`."""

    params = [SOURCES, PROBABILITIES, list(SIZES)]
    param_names = ["source", "p", "size"]

    def setup(self, source, p, size):
        super().setup()
        self.source = make_source(source)
        self.x = make_array(SIZES[size])
        self.y = np.ones_like(self.x)

    def time_dropout(self, source, p, size):
        fd.dropout(self.x, p, rng=self.source, out=self.y)

    def track_dropout(self, source, p, size):
        return ratio(
            lambda: fd.dropout(self.x, p, rng=self.source, out=self.y),
            lambda: np.copyto(self.y, self.x),
        )

    track_dropout.unit = "copies"


class Places(Benchmark):
    """The same array to other places: fresh memory, or itself."""

    params = [["LLC", "memory"]]
    param_names = ["size"]

    def setup(self, size):
        super().setup()
        self.source = make_source("Xoshiro256PlusPlus")
        self.x = make_array(SIZES[size])
        self.y = self.x.copy()

    def track_fresh(self, size):
        return ratio(lambda: fd.dropout(self.x, 0.1, rng=self.source), self.x.copy)

    def track_in_place(self, size):
        # No scale, because a factor would let the kept values grow from turn to turn.
        return ratio(
            lambda: fd.dropout(self.y, 0.1, scale="none", rng=self.source, out=self.y),
            lambda: np.copyto(self.x, self.y),
        )

    track_fresh.unit = track_in_place.unit = "copies"


class Backward(Benchmark):
    """From a seeded and from a packed mask."""

    params = [SOURCES, ["seed", "bits"], ["L2", "LLC", "memory"]]
    param_names = ["source", "store", "size"]

    def setup(self, source, store, size):
        super().setup()
        self.dy = make_array(SIZES[size])
        self.dx = np.ones_like(self.dy)
        self.mask = fd.dropout_mask(self.dy.shape, 0.1, rng=make_source(source), store=store)

    def time_dropout_backward(self, source, store, size):
        fd.dropout_backward(self.dy, self.mask, out=self.dx)

    def track_dropout_backward(self, source, store, size):
        return ratio(
            lambda: fd.dropout_backward(self.dy, self.mask, out=self.dx),
            lambda: np.copyto(self.dx, self.dy),
        )

    track_dropout_backward.unit = "copies"


class Dtypes(Benchmark):
    """Every dtype; the baseline copies as many bytes."""

    params = [["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]]
    param_names = ["dtype"]

    def setup(self, dtype):
        super().setup()
        self.source = make_source("Xoshiro256PlusPlus")
        self.x = make_array(SIZES["LLC"], dtype)
        self.y = self.x.copy()

    def time_dropout(self, dtype):
        fd.dropout(self.x, 0.1, rng=self.source, out=self.y)

    def track_dropout(self, dtype):
        return ratio(
            lambda: fd.dropout(self.x, 0.1, rng=self.source, out=self.y),
            lambda: np.copyto(self.y, self.x),
        )

    track_dropout.unit = "copies"


class Layouts(Benchmark):
    """Arrays that are not one row of memory, and masks that are broadcast."""

    params = [["C", "Fortran", "transposed", "every other column", "reversed"]]
    param_names = ["layout"]

    def setup(self, layout):
        super().setup()
        self.source = make_source("Xoshiro256PlusPlus")
        self.x = {
            "C": lambda: make_array(2**20).reshape(1024, 1024),
            "Fortran": lambda: np.asfortranarray(make_array(2**20).reshape(1024, 1024)),
            "transposed": lambda: make_array(2**20).reshape(1024, 1024).T,
            "every other column": lambda: make_array(2**21).reshape(1024, 2048)[:, ::2],
            "reversed": lambda: make_array(2**20).reshape(1024, 1024)[::-1, ::-1],
        }[layout]()
        self.y = np.ones_like(self.x)

    def time_dropout(self, layout):
        fd.dropout(self.x, 0.1, rng=self.source, out=self.y)

    def track_dropout(self, layout):
        return ratio(
            lambda: fd.dropout(self.x, 0.1, rng=self.source, out=self.y),
            lambda: np.copyto(self.y, self.x),
        )

    track_dropout.unit = "copies"


class NoiseShapes(Benchmark):
    """One decision for many elements."""

    params = [["elements", "channels", "samples", "time steps"]]
    param_names = ["decisions"]

    def setup(self, decisions):
        super().setup()
        self.source = make_source("Xoshiro256PlusPlus")
        self.x = make_array(2**20).reshape(16, 64, 32, 32)
        self.y = np.ones_like(self.x)
        self.noise_shape = {
            "elements": (None, None, None, None),
            "channels": (None, None, 1, 1),
            "samples": (None, 1, 1, 1),
            "time steps": (1, 1, 1, None),
        }[decisions]

    def time_dropout(self, decisions):
        fd.dropout(self.x, 0.1, rng=self.source, noise_shape=self.noise_shape, out=self.y)


class NumPySources(Benchmark):
    """Every bit from a NumPy generator; the baseline is the idiom on the same generator."""

    params = [["PCG64", "SFC64", "MT19937", "Philox"], ["bytes", "float", "double"]]
    param_names = ["bit_generator", "draws"]

    def setup(self, bit_generator, draws):
        super().setup()
        bits = make_source(bit_generator)
        self.rng = np.random.Generator(bits)
        self.source = fd.NumPySource(bits, draws=draws)
        self.x = make_array(SIZES["LLC"])
        self.y = np.ones_like(self.x)

    def track_dropout(self, bit_generator, draws):
        p = 0.1
        return ratio(
            lambda: self.x * (self.rng.random(self.x.shape) >= p) / (1 - p),
            lambda: fd.dropout(self.x, p, rng=self.source, out=self.y),
        )

    track_dropout.unit = "times faster"
