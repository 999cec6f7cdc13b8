# SPDX-License-Identifier: BSD-3-Clause
"""Threads: dropout by several, beside a copy by as many; and several callers at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .common import SIZES, Benchmark, fd, make_array, make_source, ratio


def usable_cpus():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Threads(Benchmark):
    params = [[1, 2, 4, 8], ["LLC", "memory"]]
    param_names = ["threads", "size"]

    def setup(self, threads, size):
        super().setup()
        if threads > usable_cpus():
            raise NotImplementedError("fewer CPUs than threads")
        self.before = fd.get_num_threads()
        fd.set_num_threads(threads)
        self.source = make_source("Xoshiro256PlusPlus")
        self.x = make_array(SIZES[size])
        self.y = np.ones_like(self.x)
        self.pool = ThreadPoolExecutor(threads)
        self.parts = list(
            zip(np.array_split(self.y, threads), np.array_split(self.x, threads), strict=True)
        )

    def teardown(self, threads, size):
        if hasattr(self, "pool"):
            self.pool.shutdown()
            fd.set_num_threads(self.before)

    def copy(self):
        list(self.pool.map(lambda part: np.copyto(*part), self.parts))

    def time_dropout(self, threads, size):
        fd.dropout(self.x, 0.1, rng=self.source, out=self.y)

    def track_dropout(self, threads, size):
        return ratio(
            lambda: fd.dropout(self.x, 0.1, rng=self.source, out=self.y),
            self.copy,
        )

    track_dropout.unit = "copies"


class Callers(Benchmark):
    """Several Python threads, each with a source and arrays of its own."""

    params = [[1, 2, 4]]
    param_names = ["callers"]

    def setup(self, callers):
        super().setup()
        if callers > usable_cpus():
            raise NotImplementedError("fewer CPUs than callers")
        self.pool = ThreadPoolExecutor(callers)
        x = make_array(SIZES["L2"])
        self.jobs = [(source, x, x.copy()) for source in make_source("Philox4x32").spawn(callers)]

    def teardown(self, callers):
        if hasattr(self, "pool"):
            self.pool.shutdown()

    @staticmethod
    def work(job):
        source, x, y = job
        for _ in range(100):
            fd.dropout(x, 0.1, rng=source, out=y)

    def time_100_dropouts_each(self, callers):
        list(self.pool.map(self.work, self.jobs))
