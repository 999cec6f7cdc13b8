# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks share: sizes, sources, arrays, base classes, and the ratio of two times.

Nothing here may depend on what is installed, so that the parameters of a benchmark are the same on
every machine and for every commit. What cannot run raises `NotImplementedError` while it is
prepared, and asv skips it.
"""

import itertools
import os
import sys
from contextlib import nullcontext
from functools import cache
from importlib import util
from pathlib import Path
from timeit import repeat

import numpy as np

try:
    import fastdrop as fd
except (ValueError, RuntimeError):
    # A level that this machine lacks is an error at import, and here a reason to skip. Nothing else
    # that goes wrong at import is.
    if os.environ.get("FASTDROP_SIMD", "auto") == "auto":
        raise
    fd = None


@cache
def of_this_tree(file):
    """Import a file of the tree that the benchmarks are in, whatever commit is installed.

    So all commits are measured by the same statements, with the same arrays.
    """
    path = Path(__file__).parents[2] / file
    spec = util.spec_from_file_location(path.stem, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_places = of_this_tree("fastdrop/cli/_bench_arrays.py")
_turns = of_this_tree("fastdrop/cli/_bench_turns.py")
BUFFER = _places.Buffer()


class Third(float):
    """A third; asv shows it as such."""

    def __repr__(self):
        return "1/3"


# Sizes are named after the place where two float32 arrays of them live on most machines.
SIZES = {"L1": 2**12, "L2": 2**16, "LLC": 2**20, "memory": 2**25}
SOURCES = ("Xoshiro256PlusPlus", "Xorshift128Plus", "Philox4x32")
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "SFC64", "MT19937", "Philox")
PROBABILITIES = (0.1, Third(1 / 3), 0.5, 0.9)


class Benchmark:
    """Base class of most benchmarks: `prepare(*params)` says what they need.

    asv calls `setup` again before every timed call; the preparation is done once in a process. So
    the memory stays warm, and a sample is one call.
    """

    version = 1
    repeat = (10, 1000, 0.2)
    timeout = 120
    prepared = False

    # Of `track_ratio`: the contexts of call and baseline, how often the baseline does its work in
    # one run, and how long to measure.
    around = (nullcontext, nullcontext)
    baseline_runs = 1
    seconds = 0.3

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
        self.y = BUFFER.to_write(self.x)
        self.baseline = self.copy

    def copy(self):
        """Copy x into y."""
        np.copyto(self.y, self.x)


class ShortCalls:
    """Base class of benchmarks of a few microseconds: `prepare()` serves all parameters.

    It adds to `skip_params` those that a commit lacks, or raises `NotImplementedError` for all.
    They have no `setup`, because with one a sample would be a single call, and the clock a part of
    what it shows. Without, asv times as many calls in a row as fill ten milliseconds.
    """

    version = 1

    def __init__(self):
        self.skip_params = []
        try:
            if fd is None:
                raise NotImplementedError("this machine lacks the level of FASTDROP_SIMD")
            self.prepare()
        except NotImplementedError:
            self.skip_params = list(itertools.product(*self.params))


class Torch(Benchmark):
    """Base class of benchmarks in PyTorch on one thread; skips where it or the adapter is missing.

    The allocator keeps its memory, as `tools/torch_tax.py` explains: or it would be measured too.
    """

    version = 2

    def prepare(self, *params):
        try:
            import torch

            import fastdrop.torch
        except ImportError as error:
            raise NotImplementedError("needs torch") from error
        self.tax = of_this_tree("tools/torch_tax.py")
        self.tax.keep_memory()
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.ways = {"installed": fastdrop.torch.installed}

    def way(self, name):
        """Return what makes the context of a way to call PyTorch."""
        return self.ways.get(name, nullcontext)

    @staticmethod
    def tensor(*shape, dtype="float32"):
        """Make a tensor of normal numbers."""
        import torch

        return BUFFER.tensor(torch.randn(shape).to(getattr(torch, dtype)))


def tracked(unit):
    """Let a class have `track_ratio`: the time of `call` in times of `baseline` (`unit`).

    Its `prepare` sets both; `arrays` sets the baseline to a copy.
    """

    def decorate(cls):
        def track_ratio(self, *params):
            samples = ratio(
                self.call,
                self.baseline,
                around=self.around,
                baseline_runs=self.baseline_runs,
                seconds=self.seconds,
            )
            if unit == "copies" and hasattr(self, "x"):
                warn_of_slow_copies(self.copy, self.x)
            return samples

        track_ratio.unit = unit
        cls.track_ratio = track_ratio
        return cls

    return decorate


def against(unit):
    """Let a class have `time_call` as well."""

    def decorate(cls):
        def time_call(self, *params):
            self.call()

        cls.time_call = time_call
        return tracked(unit)(cls)

    return decorate


def ratio(candidate, baseline, *, around=(nullcontext, nullcontext), baseline_runs=1, seconds=0.3):
    """Give samples of time(candidate) / time(baseline), measured turn by turn: less is better.

    Both run alternately in the same process, so what disturbs the machine disturbs both. `around`
    makes the contexts in which each is called; they are not timed. A run of the baseline does its
    work `baseline_runs` times. asv shows the median, and knows from the samples how certain it is;
    it is one of them, of three digits, since their number is odd.
    """
    calls = {"candidate": candidate, "baseline": baseline}
    times = _turns.calls_in_turn(
        calls,
        lambda: _turns.for_seconds(seconds, fewest=5, odd=True),
        around=dict(zip(calls, around, strict=True)),
    )
    samples = [
        float(f"{of_round * baseline_runs:.3g}")
        for of_round in _turns.ratios(times, "candidate", "baseline")
    ]
    return {"samples": samples, "number": 1}


def warn_of_slow_copies(copy, x):
    """Say on stderr if the copy of x takes longer per byte than that of an array 4 times as long.

    Then it is no unit, and the ratio is too small.
    """
    if x.nbytes > 2**25:  # in memory, where there is no larger place
        return
    long = BUFFER.to_read(np.resize(x, (4, x.size)))
    to = BUFFER.to_write(long)
    seconds = min(repeat(copy, number=1, repeat=9))
    longer = min(repeat(lambda: np.copyto(to, long), number=1, repeat=9))
    if _places.is_slow(seconds, longer, 4):
        print(
            f"slow baseline: {seconds * 1e6:.3g} us, four times as much {longer * 1e6:.3g} us",
            file=sys.stderr,
        )


def make_source(name, seed=1):
    """Give a source of fastdrop, or a NumPy bit generator, by its name."""
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
    return BUFFER.to_read(np.resize(values, shape).astype(dtype))


def make_probabilities(shape):
    """Give an array of p, or skip: not every commit takes one."""
    try:
        fd.dropout(np.ones(2), np.full(2, 0.5), rng=1)
    except TypeError as error:
        raise NotImplementedError("this commit takes no array as p") from error
    return BUFFER.to_read(np.random.default_rng(1).uniform(0.1, 0.9, shape))


def require(name, package=fd):
    """Give a function of the package, or skip: not every commit has it."""
    if not hasattr(package, name):
        raise NotImplementedError(f"this commit has no {name}")
    return getattr(package, name)
