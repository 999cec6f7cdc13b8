# SPDX-License-Identifier: BSD-3-Clause
"""Threads: dropout by several, compared with a copy by as many; and several callers at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .common import BUFFER, SIZES, Benchmark, against, fd, make_array, make_source


def make_pool(threads):
    """Give a pool of that many Python threads, or skip: the machine must have a CPU for each."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if threads > usable:
        raise NotImplementedError("fewer CPUs than threads")
    return ThreadPoolExecutor(threads)


@against("copies")
class Threads(Benchmark):
    """One call by several threads; the baseline is a copy by as many.

    Each thread of the baseline copies its part many times. So what Python takes to give the threads
    their work, a third of a copy in the last-level cache, is no part of the unit; what fastdrop
    takes is a part of the call.
    """

    version = 2
    params = [[1, 2, 4, 8], ["LLC", "memory"]]
    param_names = ["threads", "size"]

    def prepare(self, threads, size):
        pool = make_pool(threads)
        fd.set_num_threads(threads)
        self.arrays(SIZES[size])
        self.baseline_runs = 2**26 // SIZES[size]
        rng, runs = make_source("Xoshiro256PlusPlus"), range(self.baseline_runs)
        parts = np.array_split(self.y, threads), np.array_split(self.x, threads)

        def copies(y, x):
            for _ in runs:
                np.copyto(y, x)

        self.call = lambda: fd.dropout(self.x, 0.1, rng=rng, out=self.y)
        self.baseline = lambda: list(pool.map(copies, *parts))


class Callers(Benchmark):
    """Several Python threads, each with a source and arrays of its own."""

    params = [[1, 2, 4]]
    param_names = ["callers"]

    def prepare(self, callers):
        self.pool = make_pool(callers)
        sources = make_source("Philox4x32").spawn(callers)
        self.jobs = [
            (source, x, BUFFER.to_write(x)) for source in sources for x in [make_array(SIZES["L2"])]
        ]

    @staticmethod
    def work(job):
        source, x, y = job
        for _ in range(100):
            fd.dropout(x, 0.1, rng=source, out=y)

    def time_100_dropouts_each(self, callers):
        list(self.pool.map(self.work, self.jobs))
