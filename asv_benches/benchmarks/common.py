# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks share: sizes, sources, arrays, two base classes, and the ratio of two times.

Nothing here may depend on what is installed, so that the parameters of a benchmark are the same on
every machine and for every commit. What cannot run raises `NotImplementedError` while it is
prepared, and asv skips it.
"""

import itertools
import os
from contextlib import nullcontext
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


class Benchmark:
    """Base class of most benchmarks: `prepare(*params)` says what they need.

    asv calls `setup` again before every timed call; the preparation is done once in a process. So
    the memory stays warm, and a sample is one call.
    """

    version = 1
    repeat = (10, 1000, 0.2)
    timeout = 120
    prepared = False

    def setup(self, *params):
        if self.prepared:
            return
        if fd is None:
            raise NotImplementedError("this machine lacks the level of FASTDROP_SIMD")
        self.prepare(*params)
        self.prepared = True

    def prepare(self, *params):
        """Make what the benchmark needs."""

    def arrays(self, shape, dtype="float32"):
        """Make x, and y of the same kind; the baseline is to copy one into the other."""
        self.x = make_array(shape, dtype)
        self.y = np.ones_like(self.x)
        self.baseline = lambda: np.copyto(self.y, self.x)


class ShortCalls:
    """Base class of benchmarks of a few microseconds: `prepare()` serves all parameters.

    They have no `setup`, because with one a sample would be a single call, and the clock a part of
    what it shows. Without, asv times as many calls in a row as fill ten milliseconds.
    """

    version = 1

    def __init_subclass__(cls):
        if fd is None:
            cls.skip_params = list(itertools.product(*cls.params))

    def __init__(self):
        if fd is not None:
            self.prepare()


def against(unit):
    """Let a class have `time_call` and `track_ratio`, the latter counted in baselines (`unit`).

    Its `prepare` sets `call` and `baseline`; `arrays` sets the baseline to a copy.
    """

    def decorate(cls):
        def time_call(self, *params):
            self.call()

        def track_ratio(self, *params):
            return ratio(self.call, self.baseline)

        track_ratio.unit = unit
        cls.time_call, cls.track_ratio = time_call, track_ratio
        return cls

    return decorate


def ratio(candidate, baseline, *, around=(nullcontext, nullcontext), seconds=0.3):
    """Give samples of time(candidate) / time(baseline), measured turn by turn: less is better.

    Both run alternately in the same process, so what disturbs the machine disturbs both. `around`
    makes the contexts in which each is called; they are not timed. asv shows the median, and knows
    from the samples how certain it is.
    """
    turns = list(zip((candidate, baseline), around, strict=True))
    repeats = []
    for function, context in turns:
        with context():
            function()
            start = perf_counter()
            function()
            repeats.append(max(1, int(2e-3 / max(perf_counter() - start, 1e-7))))
    samples = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(samples) < 5:
        times = [0.0, 0.0]
        # Forwards and backwards in turn, so that neither always follows the other.
        for i in (0, 1) if len(samples) % 2 else (1, 0):
            function, context = turns[i]
            with context():
                start = perf_counter()
                for _ in range(repeats[i]):
                    function()
                times[i] = (perf_counter() - start) / repeats[i]
        samples.append(round(times[0] / times[1], 4))
    return {"samples": samples, "number": 1}


def make_source(name, seed=1):
    """Give a source of ours, or a NumPy bit generator, by its name."""
    if hasattr(fd, name):
        return getattr(fd, name)(seed)
    return getattr(np.random, name)(seed)


def make_array(shape, dtype="float32"):
    """Give an array of that shape, or of that many elements, every page of it touched."""
    if dtype == "bfloat16":
        try:
            from ml_dtypes import bfloat16 as dtype
        except ImportError as error:
            raise NotImplementedError("needs ml_dtypes") from error
    values = np.random.default_rng(0).standard_normal(2**16, dtype=np.float32)
    return np.resize(values, shape).astype(dtype)


def require(name):
    """Give a function of the package, or skip: not every commit has it."""
    if not hasattr(fd, name):
        raise NotImplementedError(f"this commit has no {name}")
    return getattr(fd, name)
