# SPDX-License-Identifier: BSD-3-Clause
"""Print what dropout of Dask arrays costs, compared with the same graph that doubles its numbers.

The graphs have one task for each chunk, and run in turns on one thread, in the thread's own time. A
figure is the time per element less that of reading, which is a graph that has the chunks alone; the
ratio compares whole graphs. ``--memory`` instead drops elements of 10 GB, and prints the most
memory that the process had.

    python tools/dask_speed.py [--chunks 1000] [--elements 1048576] [--rounds 5]
    python tools/dask_speed.py --memory
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.base import tokenize

import fastdrop as fd
import fastdrop.dask
from fastdrop.cli._bench_turns import in_turn, median_ratio

P = 0.1
GIGABYTE = 10**9


def first_of_each(array: da.Array) -> da.Array:
    """Return one element of every chunk; a copy, as a view would keep the whole chunk."""
    return array.map_blocks(lambda block: block[:1].copy(), chunks=((1,) * array.numblocks[0],))


def repeated(chunk: Any, chunks: int) -> da.Array:
    """Return an array all of whose chunks are one array that is there, so that reading is free.

    Those of ``da.ones`` are views of one number, which no data are.
    """
    name = f"repeated-{tokenize(chunk)}"
    graph = {(name, i): chunk for i in range(chunks)}
    return da.Array(graph, name, chunks=((len(chunk),) * chunks,), meta=chunk[:0])


def graphs(chunks: int, elements: int) -> dict[str, Callable[[], da.Array]]:
    """Return the functions that make each graph."""
    x, p = (repeated(np.full(elements, value, np.float32), chunks) for value in (1.0, P))

    def drop(p: float | da.Array, source: fd.Source) -> da.Array:
        return fastdrop.dask.dropout(x, p, rng=source)[0]

    def idiom() -> da.Array:
        drawn = da.random.default_rng(1).random(x.shape, chunks=elements, dtype="float32")
        return da.where(drawn >= P, x * np.float32(1 / (1 - P)), np.float32(0))

    return {
        "reading": lambda: x,
        "x * 2": lambda: x * 2,
        "dropout": lambda: drop(P, fd.Xoshiro256PlusPlus(1)),
        "dropout, Philox": lambda: drop(P, fd.Philox4x32(1)),
        "dropout, p an array": lambda: drop(p, fd.Xoshiro256PlusPlus(1)),
        "da.random's idiom": idiom,
    }


def compare(chunks: int, elements: int, rounds: int) -> None:
    """Print the table."""
    made = graphs(chunks, elements)

    def measure(name: str) -> float:
        start = time.thread_time()
        first_of_each(made[name]()).compute()
        return time.thread_time() - start

    times = in_turn(made, measure, rounds)
    print(f"{chunks} chunks of {elements} float32, p = {P}, one thread, median of {rounds}")
    print(f"{'graph':24} {'ns per element':>14} {'times x * 2':>12}")
    for name, found in times.items():
        net = statistics.median(
            t - read for t, read in zip(found, times["reading"], strict=True)
        ) / (chunks * elements)
        ratio = median_ratio(times, name, "x * 2")
        print(f"{name:24} {1e9 * net:14.2f} {ratio:12.2f}")


def memory() -> None:
    """Drop elements of 10 GB, and print the most memory that it took."""
    shape = (2_500_000, 1000)
    x = da.ones(shape, chunks=(10_000, 1000), dtype="float32")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    y, _ = fastdrop.dask.dropout(x, P, rng=1)
    mean = y.mean().compute()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"array of {x.nbytes / GIGABYTE:.0f} GB, mean after dropout {mean:.6f}")
    print(f"memory of the process {most / GIGABYTE:.2f} GB, before {before / GIGABYTE:.2f} GB")


def main() -> None:
    """Print one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--elements", type=int, default=2**20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    fd.set_num_threads(1)
    with dask.config.set(scheduler="synchronous"):
        if options.memory:
            memory()
        else:
            compare(options.chunks, options.elements, options.rounds)


if __name__ == "__main__":
    main()
