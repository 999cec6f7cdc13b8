# SPDX-License-Identifier: BSD-3-Clause
"""Whole dropout over arrays, forward and backward, compared with a copy of the same array."""

import numpy as np

from .common import (
    BUFFER,
    PROBABILITIES,
    SIZES,
    SOURCES,
    Benchmark,
    against,
    fd,
    make_array,
    make_probabilities,
    make_source,
)


@against("copies")
class Forward(Benchmark):
    """Into memory that exists; the baseline is `np.copyto`."""

    params = [SOURCES, PROBABILITIES, list(SIZES)]
    param_names = ["source", "p", "size"]

    def prepare(self, source, p, size):
        self.arrays(SIZES[size])
        rng, p = make_source(source), float(p)
        self.call = lambda: fd.dropout(self.x, p, rng=rng, out=self.y)


@against("copies")
class FreshMemory(Benchmark):
    """Into memory of its own; the baseline is `x.copy()`."""

    params = [["L2", "LLC", "memory"]]
    param_names = ["size"]

    def prepare(self, size):
        self.arrays(SIZES[size])
        rng = make_source("Xoshiro256PlusPlus")
        x = BUFFER.to_read(self.x, into_new=True)
        self.call = lambda: fd.dropout(x, 0.1, rng=rng)
        self.baseline = x.copy


@against("copies")
class InPlace(Benchmark):
    """Where x lies. Without a scale, because kept values would grow from turn to turn."""

    params = [["L2", "LLC", "memory"]]
    param_names = ["size"]

    def prepare(self, size):
        self.arrays(SIZES[size])
        rng = make_source("Xoshiro256PlusPlus")
        z = BUFFER.to_read(self.x)
        self.call = lambda: fd.dropout(z, 0.1, scale="none", rng=rng, out=z)


@against("copies")
class SeveralProbabilities(Benchmark):
    """An array as p, for (N, C, H, W)."""

    params = [["sample", "channel", "pixel", "element"]]
    param_names = ["of"]

    def prepare(self, of):
        self.arrays((16, 64, 32, 32))
        shapes = {"sample": (16, 1, 1, 1), "channel": (64, 1, 1), "pixel": (32, 32)}
        p = make_probabilities(shapes.get(of, self.x.shape))
        rng = make_source("Xoshiro256PlusPlus")
        self.call = lambda: fd.dropout(self.x, p, rng=rng, out=self.y)


@against("copies")
class Backward(Benchmark):
    """From a seeded and from a packed mask."""

    params = [SOURCES, ["seed", "bits"], ["L2", "LLC", "memory"]]
    param_names = ["source", "store", "size"]

    def prepare(self, source, store, size):
        self.arrays(SIZES[size])
        mask = fd.dropout_mask(self.x.shape, 0.1, rng=make_source(source), store=store)
        self.call = lambda: fd.dropout_backward(self.x, mask, out=self.y)


@against("copies")
class Dtypes(Benchmark):
    """Every dtype; the baseline copies as many bytes."""

    params = [["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]]
    param_names = ["dtype"]

    def prepare(self, dtype):
        self.arrays(SIZES["LLC"], dtype)
        rng = make_source("Xoshiro256PlusPlus")
        self.call = lambda: fd.dropout(self.x, 0.1, rng=rng, out=self.y)


LAYOUTS = {
    "C": lambda: make_array((1024, 1024)),
    "Fortran": lambda: BUFFER.to_read(np.asfortranarray(make_array((1024, 1024)))),
    "transposed": lambda: make_array((1024, 1024)).T,
    "every other column": lambda: make_array((1024, 2048))[:, ::2],
    "reversed": lambda: make_array((1024, 1024))[::-1, ::-1],
}


@against("copies")
class Layouts(Benchmark):
    """Arrays that are not one row of memory."""

    params = [list(LAYOUTS)]
    param_names = ["layout"]

    def prepare(self, layout):
        x = LAYOUTS[layout]()
        y = BUFFER.to_write(x)
        rng = make_source("Xoshiro256PlusPlus")
        self.call = lambda: fd.dropout(x, 0.1, rng=rng, out=y)
        self.baseline = lambda: np.copyto(y, x)


NOISE_SHAPES = {
    "elements": (None, None, None, None),
    "channels": (None, None, 1, 1),
    "samples": (None, 1, 1, 1),
    "time steps": (1, 1, 1, None),
}


@against("copies")
class NoiseShapes(Benchmark):
    """One decision for many elements."""

    params = [list(NOISE_SHAPES)]
    param_names = ["decisions"]

    def prepare(self, decisions):
        self.arrays((16, 64, 32, 32))
        rng, noise_shape = make_source("Xoshiro256PlusPlus"), NOISE_SHAPES[decisions]
        self.call = lambda: fd.dropout(self.x, 0.1, rng=rng, noise_shape=noise_shape, out=self.y)


@against("NumPy idioms")
class NumPySources(Benchmark):
    """Every bit from a NumPy generator; the baseline is the idiom on the same generator."""

    params = [["PCG64", "SFC64", "MT19937", "Philox"], ["bytes", "float", "double"]]
    param_names = ["bit_generator", "draws"]

    def prepare(self, bit_generator, draws):
        self.arrays(SIZES["LLC"])
        bits, p = make_source(bit_generator), 0.1
        rng, source = np.random.Generator(bits), fd.NumPySource(bits, draws=draws)
        self.call = lambda: fd.dropout(self.x, p, rng=source, out=self.y)
        self.baseline = lambda: self.x * (rng.random(self.x.shape) >= p) / (1 - p)
