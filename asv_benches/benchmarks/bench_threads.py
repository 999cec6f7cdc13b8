# SPDX-License-Identifier: BSD-3-Clause
"""Threads: dropout by several, beside a copy by as many; and several callers at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .common import SIZES, Benchmark, against, fd, make_array, make_source


def make_pool(threads):
    """Give a pool of that many Python threads, or skip: the machine must have a CPU for each."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if threads > usable:
        raise NotImplementedError("fewer CPUs than threads")
    return ThreadPoolExecutor(threads)


@against("copies")
class Threads(Benchmark):
    """One call by several threads; the baseline is a copy by as many."""

    params = [[1, 2, 4, 8], ["LLC", "memory"]]
    param_names = ["threads", "size"]

    def prepare(self, threads, size):
        pool = make_pool(threads)
        fd.set_num_threads(threads)
        self.arrays(SIZES[size])
        rng = make_source("Xoshiro256PlusPlus")
        parts = np.array_split(self.y, threads), np.array_split(self.x, threads)
        self.call = lambda: fd.dropout(self.x, 0.1, rng=rng, out=self.y)
        self.baseline = lambda: list(pool.map(np.copyto, *parts))


class Callers(Benchmark):
    """Several Python threads, each with a source and arrays of its own."""

    params = [[1, 2, 4]]
    param_names = ["callers"]

    def prepare(self, callers):
        self.pool = make_pool(callers)
        x = make_array(SIZES["L2"])
        self.jobs = [(source, x, x.copy()) for source in make_source("Philox4x32").spawn(callers)]

    @staticmethod
    def work(job):
        source, x, y = job
        for _ in range(100):
            fd.dropout(x, 0.1, rng=source, out=y)

    def time_100_dropouts_each(self, callers):
        list(self.pool.map(self.work, self.jobs))
