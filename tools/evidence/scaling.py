# SPDX-License-Identifier: BSD-3-Clause
"""How well threads scale that draw from sources of their own: a line for each kind of call.

    python tools/evidence/scaling.py [--threads 2] [--rounds 15] [--seconds 0.2]

In each round one thread makes calls with a source and an array of its own, and then several do,
each as many calls. The scaling is the number of threads times the one's time over the others',
where N threads that do not hinder each other have N; the number printed is the median of the
rounds. fastdrop's own threads are off.

Long calls let the GIL go, so they scale on each Python; calls of 128 elements need one without it.
The machine has to be idle, and has to have as many cores.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

import fastdrop as fd

Call = Callable[[], object]


def dropout(n: int, seed: int) -> Call:
    """Return a call that drops elements of an array, with a source of its own."""
    source, x = fd.Xoshiro256PlusPlus(seed), np.ones(n, np.float32)
    out = np.empty_like(x)
    return lambda: fd.dropout(x, 0.1, rng=source, out=out)


def bernoulli(n: int, seed: int) -> Call:
    """Return a call that draws bits."""
    source, out = fd.Philox4x32(seed), np.empty(n // 8, np.uint8)
    return lambda: fd.bernoulli(n, 0.1, rng=source, packed=True, out=out)


def numpy_doubles(n: int, seed: int) -> Call:
    """Return a call of NumPy's, for comparison."""
    generator, out = np.random.Generator(np.random.PCG64(seed)), np.empty(n)
    return lambda: generator.random(out=out)


# What a line is called -> what makes its calls, and the elements of a call.
CALLS = {
    "dropout, 2^16 elements": (dropout, 1 << 16),
    "dropout, 128 elements": (dropout, 128),
    "bernoulli, 2^20 bits": (bernoulli, 1 << 20),
    "NumPy's random, 2^16 elements": (numpy_doubles, 1 << 16),
}


def elapsed(calls: list[Call], times: int) -> float:
    """Return how long it takes to make each call so many times, all in threads of their own."""
    gate = threading.Barrier(len(calls))
    moments: list[float] = []

    def work(call: Call) -> None:
        gate.wait()
        moments.append(time.perf_counter())
        for _ in range(times):
            call()
        moments.append(time.perf_counter())

    workers = [threading.Thread(target=work, args=(call,)) for call in calls]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max(moments) - min(moments)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one thread in a round")
    options = parser.parse_args()
    fd.set_num_threads(1)
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]} {'with' if gil else 'without'} the GIL")
    for name, (make, n) in CALLS.items():
        calls = [make(n, seed) for seed in range(options.threads)]
        times = max(1, int(options.seconds / (elapsed(calls[:1], 20) / 20)))
        scalings = [
            options.threads * elapsed(calls[:1], times) / elapsed(calls, times)
            for _ in range(options.rounds)
        ]
        first, median, last = statistics.quantiles(scalings, n=4)
        print(f"{name:32}{median:6.2f}   half of the rounds between {first:.2f} and {last:.2f}")


if __name__ == "__main__":
    main()
