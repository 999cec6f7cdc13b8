# SPDX-License-Identifier: BSD-3-Clause
"""What fastdrop promises about its speed and its masks: the rows of the core, and their goals."""

from dataclasses import dataclass, replace
from itertools import product

import fastdrop as fd
from fastdrop.cli._bench_peers import COPY, IDIOM, SOURCES, bytes_kept_by_torch
from fastdrop.cli._bench_timing import MIB, Goal, Row, power_of_two

PROBABILITIES = (0.1, 1 / 3, 0.5, 0.9)
STORES = {"seeded": "seed", "packed": "bits"}

FORWARD = "fd.dropout(x, p, rng=src, out=y)"
NEW = "fd.dropout(x, p, rng=src)"
DEFAULT_SOURCE = "src = fd.Xoshiro256PlusPlus(1)\n"
DEFAULT_GENERATOR = "rng = np.random.default_rng(1)\n"

# Python takes some 50 microseconds to give two threads work, fastdrop a few. So that the copy does
# not look slow, its threads copy several times for it.
COPIES = 8
TWO_COPIERS = f"""
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)

def copy_{COPIES}_times(y, x):
    for _ in range({COPIES}):
        np.copyto(y, x)
"""

FORWARD_GOALS = {
    # place, SIMD level: (xoshiro and xorshift, Philox), in copies
    ("memory", "avx512"): (Goal(0.80), Goal(1.0)),
    ("memory", "avx2"): (Goal(0.85), Goal(1.3)),
    ("LLC", "avx512"): (Goal(1.6), Goal(2.5)),
    ("LLC", "avx2"): (Goal(2.1), Goal(3.5)),
    ("L2", "avx512"): (Goal(1.6), Goal(2.5)),
    ("L2", "avx2"): (Goal(2.2), Goal(4.5)),
    ("L1", "avx512"): (Goal(4), Goal(5)),
    ("L1", "avx2"): (Goal(4), Goal(5)),
}
BERNOULLI_GOALS = {"avx512": Goal(30, faster=True), "avx2": Goal(25, faster=True)}


def places(cache_bytes: dict[int, int]) -> dict[str, int]:
    """Choose how many float32 elements an array has in each place of the memory hierarchy.

    Parameters
    ----------
    cache_bytes : dict
        Bytes of the data caches by level, as `caches` gives them.

    Returns
    -------
    dict
        Elements by place. In memory an array is at least twice the last-level cache (taken as
        32 MiB where unknown), as far as 2^26 elements allow.
    """
    last_level = max(cache_bytes.values(), default=32 * MIB)
    twice_in_floats = max(2 * last_level // 4, 1 << 22)
    memory = min(1 << (twice_in_floats - 1).bit_length(), 1 << 26)
    return {"memory": memory, "LLC": 1 << 20, "L2": 1 << 16, "L1": 1 << 12}


def core_rows(level: str, sizes: dict[str, int], threads: int = 1) -> list[Row]:
    """List what fastdrop promises about its speed, as rows.

    Parameters
    ----------
    level : str
        SIMD level to measure at.
    sizes : dict
        Elements by place, as `places` gives them.
    threads : int, default: 1
        Threads that fastdrop may use. The goals are those of one thread, so with more they are
        left out, except where a row itself is about two threads.

    Returns
    -------
    list of Row
        The rows, one for each probability.
    """
    forward_goals = {place: FORWARD_GOALS.get((place, level), (None, None)) for place in sizes}
    one_thread = [
        *(
            Row(
                table=f"Forward, {place}: {power_of_two(size)} float32",
                case=source,
                candidate=FORWARD,
                baseline=COPY,
                goal=forward_goals[place][source == "Philox4x32"],
                size=size,
                setup=f"src = fd.{source}(1)",
            )
            for (place, size), source in product(sizes.items(), SOURCES)
        ),
        Row(
            table="Forward into a new array, float32",
            case=f"memory, {power_of_two(sizes['memory'])}",
            candidate=NEW,
            baseline="x.copy()",
            goal=Goal(1.2),
            size=sizes["memory"],
            setup=DEFAULT_SOURCE + "x = buffer.to_read(x, into_new=True)",
        ),
        # In a cache `x.copy()` takes the memory of the copy before, which is there already, and is
        # no limit: the copy of the rows of forward is.
        Row(
            table="Forward into a new array in a cache, float32",
            case=f"LLC, {power_of_two(sizes['LLC'])}",
            candidate=NEW,
            baseline=COPY,
            goal=forward_goals["LLC"][0],
            size=sizes["LLC"],
            setup=DEFAULT_SOURCE,
        ),
        *(
            Row(
                table="Backward, float32",
                case=f"{place}, {power_of_two(size)}, {kind} mask",
                candidate="fd.dropout_backward(dy, mask, out=dx)",
                baseline="np.copyto(dx, dy)",
                goal=forward_goals[place][0],
                size=size,
                setup=DEFAULT_SOURCE
                + f"mask = fd.dropout_mask(x.shape, p, rng=src, store={store!r})\n"
                + "dy, dx = x, y",
            )
            for (place, size), (kind, store) in product(sizes.items(), STORES.items())
        ),
        Row(
            table="Small call: 128 float32",
            case="new array",
            candidate=NEW,
            baseline=IDIOM,
            goal=Goal(3, faster=True),
            size=128,
            setup=DEFAULT_SOURCE + DEFAULT_GENERATOR,
            per_call=True,
        ),
        *(
            Row(
                table=f"Other dtypes, LLC: {power_of_two(sizes['LLC'])} elements",
                case=dtype,
                candidate=FORWARD,
                baseline="np.copyto(y_bytes, x_bytes)",
                goal=goal,
                size=sizes["LLC"],
                setup=DEFAULT_SOURCE
                + f"from {module} import {dtype}\n"
                + f"x = buffer.to_read(x.astype({dtype}))\n"
                + "y = buffer.to_write(x)\n"
                + "x_bytes, y_bytes = x.view(np.uint8), y.view(np.uint8)",
            )
            for module, dtype, goal in (
                ("numpy", "float64", Goal(1.4)),
                ("numpy", "float16", Goal(2.5)),
                ("ml_dtypes", "bfloat16", Goal(2.5)),
            )
        ),
        Row(
            table=f"NumPy's PCG64 as the source, LLC: {power_of_two(sizes['LLC'])} float32",
            case="PCG64",
            candidate="fd.dropout(x, p, rng=pcg64, out=y)",
            baseline=IDIOM,
            goal=Goal(8, faster=True),
            size=sizes["LLC"],
            setup="pcg64 = np.random.PCG64(1)\nrng = np.random.Generator(pcg64)",
        ),
        Row(
            table=f"Packed booleans, LLC: {power_of_two(sizes['LLC'])}",
            case="bernoulli",
            candidate="fd.bernoulli((n,), p, rng=src, packed=True)",
            baseline="rng.random(n) < p",
            goal=BERNOULLI_GOALS.get(level),
            size=sizes["LLC"],
            setup=DEFAULT_SOURCE + DEFAULT_GENERATOR,
        ),
    ]
    two_threads = [
        Row(
            table=f"Two threads, memory: {power_of_two(sizes['memory'])} float32",
            case="Xoshiro256PlusPlus",
            candidate=FORWARD,
            baseline=f"list(pool.map(copy_{COPIES}_times, y.reshape(2, -1), x.reshape(2, -1)))",
            goal=Goal(1.0),
            size=sizes["memory"],
            setup=DEFAULT_SOURCE + TWO_COPIERS,
            threads=2,
            baseline_runs=COPIES,
        )
    ]
    if threads != 1:
        one_thread = [replace(row, threads=threads, goal=None) for row in one_thread]
    return [
        replace(row, simd=level, p=p)
        for row, p in product((*one_thread, *two_threads), PROBABILITIES)
    ]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a kind of mask keeps for the backward pass, and PyTorch instead: bytes per element."""

    case: str
    kept: float
    kept_by_torch: float
    goal: Goal

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached."""
        return self.goal.met(self.kept)


def footprints(size: int) -> list[Footprint]:
    """Weigh a seeded and a packed mask of `size` elements."""
    mask = fd.dropout_mask((size,), 0.1, rng=fd.Xoshiro256PlusPlus(1), store="seed")
    torch = bytes_kept_by_torch(size) / size
    return [
        Footprint("seeded mask", mask.nbytes / size, torch, Goal(0)),
        Footprint("packed mask", mask.packed().nbytes / size, torch, Goal(1 / 8)),
    ]
