# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks share: sizes, sources, arrays, and the ratio of two times.

Nothing here may depend on what is installed, so that the parameters of a benchmark are the same on
every machine and for every commit. What cannot run raises `NotImplementedError` in `setup`, and asv
skips it.
"""

import os
from statistics import median
from time import perf_counter

import numpy as np

try:
    import fastdrop as fd
except (ValueError, RuntimeError):
    # A level that this machine lacks is an error at import, and here a reason to skip. Nothing else
    # that goes wrong at import is.
    if os.environ.get("FASTDROP_SIMD", "auto") == "auto":
        raise
    fd = None

# Sizes are named after the place where two float32 arrays of them live on most machines.
SIZES = {"L1": 2**12, "L2": 2**16, "LLC": 2**20, "memory": 2**25}
SOURCES = ("Xoshiro256PlusPlus", "Xorshift128Plus", "Philox4x32")
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "SFC64", "MT19937", "Philox")
PROBABILITIES = (0.1, 1 / 3, 0.5, 0.9)


def make_source(name, seed=1):
    """Give a source of ours, or a NumPy bit generator, by its name."""
    if hasattr(fd, name):
        return getattr(fd, name)(seed)
    return getattr(np.random, name)(seed)


def make_array(size, dtype="float32"):
    """Give an array of that many elements, every page of it touched."""
    if dtype == "bfloat16":
        try:
            from ml_dtypes import bfloat16 as dtype
        except ImportError as error:
            raise NotImplementedError("needs ml_dtypes") from error
    values = np.random.default_rng(0).standard_normal(min(size, 2**16), dtype=np.float32)
    return np.resize(values, size).astype(dtype)


def ratio(candidate, baseline, seconds=0.3):
    """Give the median of time(candidate) / time(baseline), measured turn by turn.

    Both run alternately in the same process, so what disturbs the machine disturbs both.
    """
    turns = [candidate, baseline]
    repeats = []
    for function in turns:
        function()
        start = perf_counter()
        function()
        repeats.append(max(1, int(2e-3 / max(perf_counter() - start, 1e-7))))
    ratios = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(ratios) < 5:
        times = []
        for function, repeat in zip(turns, repeats, strict=True):
            start = perf_counter()
            for _ in range(repeat):
                function()
            times.append((perf_counter() - start) / repeat)
        ratios.append(times[0] / times[1])
    return median(ratios)


class Benchmark:
    """Base class: skips everything where the package cannot run at the level asked for."""

    def setup(self, *params):
        if fd is None:
            raise NotImplementedError("this machine lacks the level of FASTDROP_SIMD")
