# SPDX-License-Identifier: BSD-3-Clause
"""Time windows of masks: nanoseconds for each element, to apply a window to float32 elements.

``python tools/windows.py`` prints a table: a row for each window, and two columns for each source:
of the window, and of its transpose. The last column is of packed masks, where they fit into memory:
to take the window and to apply it. Below are microseconds of small calls: to take a window, and to
make a source. Calls take turns. A number is the least processor time that one thread took for a
call.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

import fastdrop as fd
from fastdrop.cli._bench_turns import for_seconds, in_turn, repeats_lasting

SOURCES = {"xoshiro": fd.Xoshiro256PlusPlus, "Philox": fd.Philox4x32}

# Shapes of whole masks, and windows of them.
LARGE = (10**5, 10**5)
WINDOWS = {
    "1000 of 4096 rows": ((4096, 4096), np.s_[1000:2000]),
    "1024^2 of 4096^2": ((4096, 4096), np.s_[1000:2024, 1000:2024]),
    "64 of 4096 columns": ((16384, 4096), np.s_[:, 1000:1064]),
    "128^3 of 1024^3": ((1024,) * 3, np.s_[100:228, 300:428, 500:628]),
    "1000^2 of 10^5 x 10^5": (LARGE, np.s_[5000:6000, 7000:8000]),
    "8 of 10^5 columns": (LARGE, np.s_[:20000, 7000:7008]),
    "1 of 10^5 columns": (LARGE, np.s_[:20000, 7000]),
    "8 of 16 columns": ((10**5, 16), np.s_[:, 4:12]),
    "3^2 of 4^2": ((10**5, 4, 4), np.s_[:, :3, :3]),
    "[:, ::2]": ((1000, 4096), np.s_[:, ::2]),
    "[:, ::5]": ((1000, 4096), np.s_[:, ::5]),
    "[:, ::64]": ((4000, 4096), np.s_[:, ::64]),
    "[:, ::1000]": ((1000, 10**5), np.s_[:, ::1000]),
    "[:, ::-1]": ((1000, 1000), np.s_[:, ::-1]),
    "[::-1]": ((1000, 1000), np.s_[::-1]),
}

PACKED = 1 << 28  # elements of the largest mask that is packed

Call = Callable[[], object]


def seconds_of(call: Call, repeats: int) -> float:
    """Return how long so many calls take this thread."""
    start = time.thread_time()
    for _ in range(repeats):
        call()
    return time.thread_time() - start


def least(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """Return the least seconds of each call; they take turns."""
    repeats = {
        name: repeats_lasting(lambda n: seconds_of(call, n), 2e-3)[0]  # noqa: B023
        for name, call in calls.items()
    }
    times = in_turn(
        calls,
        lambda name: seconds_of(calls[name], repeats[name]) / repeats[name],
        for_seconds(seconds, fewest=5),
    )
    return {name: min(times[name]) for name in calls}


def applied(mask: fd.Mask) -> Call:
    """Return a call that applies a mask to elements of its shape."""
    x = np.ones(mask.shape, np.float32)
    y = np.empty_like(x)
    return lambda: mask.apply(x, out=y)


def window_calls(shape: tuple[int, ...], window: object) -> dict[str, Call]:
    """Return a call for each column."""
    calls = {}
    for name, cls in SOURCES.items():
        part = fd.dropout_mask(shape, 0.1, rng=cls(1))[window]
        calls[name] = applied(part)
        calls[f"{name}, T"] = applied(part.T)
    if np.prod(shape) <= PACKED:
        packed = fd.dropout_mask(shape, 0.1, rng=1, store="bits")
        x = np.ones(part.shape, np.float32)
        y = np.empty_like(x)
        calls["packed"] = lambda: packed[window].apply(x, out=y)
    return calls


def small_calls() -> dict[str, Call]:
    """Return calls that take windows, or make sources."""
    mask = fd.dropout_mask((1000, 1000), 0.1, rng=1)
    skipping = mask[::2, ::3]
    each = fd.dropout_mask((100, 100), np.full((100, 1), 0.1), rng=1)
    seeds = np.random.SeedSequence
    words = (1, 2), (3, 4, 5, 6)
    return {
        "mask[3]": lambda: mask[3],
        "mask[10:20, 30:40]": lambda: mask[10:20, 30:40],
        "mask[::2, ::3][3:9, ::-1]": lambda: skipping[3:9, ::-1],
        "the same, p an array": lambda: each[10:20, 30:40],
        "SeedSequence(7).generate_state(4)": lambda: seeds(7).generate_state(4),
        "Xoshiro256PlusPlus(7)": lambda: fd.Xoshiro256PlusPlus(7),
        "SeedSequence of six words": lambda: seeds([1, 2, 3, 4, 5, 6]),
        "Philox4x32(key=, counter=)": lambda: fd.Philox4x32(key=words[0], counter=words[1]),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row")
    chosen = parser.parse_args()
    fd.set_num_threads(1)
    columns = [part for name in SOURCES for part in (name, f"{name}, T")] + ["packed"]
    print(f"{'ns an element':24}" + "".join(f"{name:>12}" for name in columns))
    for name, (shape, window) in WINDOWS.items():
        calls = window_calls(shape, window)
        size = fd.dropout_mask(shape, 0.1, rng=1)[window].size
        times = least(calls, chosen.seconds)
        row = (
            f"{times[column] / size * 1e9:12.2f}" if column in times else "" for column in columns
        )
        print(f"{name:24}" + "".join(row), flush=True)
    print()
    print(f"{'microseconds a call':36}")
    for name, seconds in least(small_calls(), 4 * chosen.seconds).items():
        print(f"{name:36}{seconds * 1e6:8.2f}")


if __name__ == "__main__":
    main()
