# SPDX-License-Identifier: BSD-3-Clause
"""Calls that take turns: their times in one run, and the ratios of these.

Times differ from one machine, and one minute, to the next; ratios taken in one run hold far better.
All that measures here measures by these functions: ``python -m fastdrop bench``, the benchmarks of
asv, and the tools. This file needs Python alone, and asv takes it from the tree that it is in.
"""

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Measured = TypeVar("Measured")


def seconds_of(function: Callable[[], object], repeats: int) -> float:
    """Return how long so many calls take."""
    start = perf_counter()
    for _ in range(repeats):
        function()
    return perf_counter() - start


def repeats_lasting(seconds_of_repeats: Callable[[int], float], sample: float) -> tuple[int, float]:
    """Find how many repeats last long enough.

    Parameters
    ----------
    seconds_of_repeats : callable
        Makes so many repeats and returns how long they took. One is made before, so that nothing
        is timed cold.
    sample : float
        Seconds that they last at least.

    Returns
    -------
    repeats : int
        Number of repeats.
    seconds : float
        How long they took.
    """
    seconds_of_repeats(1)
    repeats = 1
    while (seconds := seconds_of_repeats(repeats)) < sample:
        growth = min(10.0, 1.2 * sample / max(seconds, 1e-9))
        repeats = math.ceil(repeats * growth)
    return repeats, seconds


def in_turn(
    names: Iterable[Name],
    measure: Callable[[Name], Measured],
    goes_on: int | Callable[[int], bool],
) -> dict[Name, list[Measured]]:
    """Measure things in rounds: what disturbs the machine disturbs them all.

    Rounds go forwards and backwards in turn, so that none always follows the same other.

    Parameters
    ----------
    names : iterable
        What is measured.
    measure : callable
        Measures one of them once.
    goes_on : int or callable
        The number of rounds; or what says, of the number of those that are done, whether there is
        another one.

    Returns
    -------
    dict
        By name, what was measured in each round.
    """
    results: dict[Name, list[Measured]] = {name: [] for name in names}
    rounds = 0
    while goes_on(rounds) if callable(goes_on) else rounds < goes_on:
        for name in reversed(results) if rounds % 2 else results:
            results[name].append(measure(name))
        rounds += 1
    return results


def calls_in_turn(
    calls: Mapping[Name, Callable[[], object]],
    goes_on: Callable[[], Callable[[int], bool]],
    sample: float = 2e-3,
    around: Mapping[Name, Callable[[], AbstractContextManager[object]]] | None = None,
) -> dict[Name, list[float]]:
    """Time calls in rounds.

    Parameters
    ----------
    calls : dict
        What is called, by name.
    goes_on : callable
        Called when all calls are warm; returns what `in_turn` asks, as `for_seconds` makes it.
    sample : float, default: 0.002
        Seconds that one turn lasts at least.
    around : dict, optional
        What makes the contexts of calls. They are not timed.

    Returns
    -------
    dict
        By name, the seconds of one call in each round.
    """
    around = {name: nullcontext for name in calls} | dict(around or {})
    repeats = {}
    for name, function in calls.items():
        with around[name]():
            repeats[name], _ = repeats_lasting(lambda n: seconds_of(function, n), sample)  # noqa: B023

    def measure(name: Name) -> float:
        with around[name]():
            return seconds_of(calls[name], repeats[name]) / repeats[name]

    return in_turn(calls, measure, goes_on())


def for_seconds(seconds: float, fewest: int = 3, odd: bool = False) -> Callable[[int], bool]:
    """Return what says whether there is another round: for so long, and a few at least."""
    end = perf_counter() + seconds

    def goes_on(rounds: int) -> bool:
        return perf_counter() < end or rounds < fewest or (odd and rounds % 2 == 0)

    return goes_on


def ratios(times: Mapping[Name, list[float]], name: Name, base: Name) -> list[float]:
    """Return the ratio of two times in each round."""
    return [a / b for a, b in zip(times[name], times[base], strict=True)]


def median_ratio(times: Mapping[Name, list[float]], name: Name, base: Name) -> float:
    """Return the median of the ratios of all rounds."""
    return statistics.median(ratios(times, name, base))
