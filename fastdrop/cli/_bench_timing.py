# SPDX-License-Identifier: BSD-3-Clause
"""Time one statement against another, turn by turn, and say on which machine.

A `Row` names two statements, and `measure` lets them take turns. Each round gives a ratio, and the
median of the ratios is the result.
"""

import statistics
import timeit
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import fastdrop as fd
from fastdrop.cli._bench_arrays import Buffer, is_slow
from fastdrop.cli._bench_turns import in_turn, ratios, repeats_lasting

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Unavailable(Exception):
    """A row cannot be measured here, without what the text names."""

    def __init__(self, row: "Row", what: str) -> None:
        super().__init__(what)
        self.row = row


@dataclass(frozen=True, slots=True)
class Goal:
    """The ratio that a row has to reach.

    Parameters
    ----------
    limit : float or None
        The bound on the score; None where nothing is promised, and only the score is shown.
    faster : bool, default: False
        Whether the candidate should be at least `limit` times faster than its baseline, rather
        than cost at most `limit` baselines.
    """

    limit: float | None
    faster: bool = False

    def score(self, ratio: float) -> float:
        """Express candidate / baseline the way the goal is stated."""
        return 1 / ratio if self.faster else ratio

    def met(self, ratio: float) -> bool | None:
        """Say whether candidate / baseline reaches the goal; None where there is no bound."""
        if self.limit is None:
            return None
        score = self.score(ratio)
        return score >= self.limit if self.faster else score <= self.limit

    @property
    def unit(self) -> str:
        """What follows a score in print."""
        return " x faster" if self.faster else ""

    def __str__(self) -> str:
        if self.limit is None:
            return ""
        return f"{'>=' if self.faster else '<='} {self.limit:g}{self.unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: two statements, and the ratio between them to reach.

    Statements and setup are Python source, so that a report can show exactly what was timed, and
    nothing but the statement is timed. They see `fd`, `np`, the float32 arrays `x` and `y` of `n`
    elements, the `buffer` that further arrays come from, `p`, `threads`, and whatever the setup
    defines.

    Parameters
    ----------
    table, case : str
        Where the row is shown, and its name there.
    candidate, baseline : str
        The statements to time.
    size : int
        Number of elements.
    goal : Goal, optional
        None where nothing is promised.
    p : float, default: 0.5
        Probability of dropping.
    setup : str, optional
        Run once, untimed.
    simd : str, optional
        SIMD level to force; empty leaves the level in use.
    threads : int, default: 1
        Threads that fastdrop may use.
    per_call : bool, default: False
        Whether the time shown is one of a call rather than of an element.
    note : str, optional
        What a reader should know about the candidate.
    baseline_runs : int, default: 1
        How often the baseline does its work in one run. The time is divided by it.
    """

    table: str
    case: str
    candidate: str
    baseline: str
    size: int
    goal: Goal | None = None
    p: float = 0.5
    setup: str = ""
    simd: str = ""
    threads: int = 1
    per_call: bool = False
    note: str = ""
    baseline_runs: int = 1

    @property
    def unit(self) -> str:
        """The unit of the times that `shown` gives."""
        return "us per call" if self.per_call else "ns per element"

    def shown(self, seconds: float) -> float:
        """Express the time of a run in the row's unit."""
        return seconds * 1e6 if self.per_call else seconds * 1e9 / self.size


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Parameters
    ----------
    sample : float
        Seconds that each timed sample lasts at least.
    budget : float
        Seconds to spend on a row, as far as `rounds` allows.
    rounds : tuple of int
        Fewest and most rounds of candidate and baseline.
    """

    sample: float
    budget: float
    rounds: tuple[int, int]


THOROUGH = Effort(sample=2e-3, budget=0.4, rounds=(9, 51))
QUICK = Effort(sample=0.5e-3, budget=0.05, rounds=(5, 21))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of all rounds.

    Parameters
    ----------
    candidate_seconds, baseline_seconds : float
        Time of one run of each statement.
    ratio : float
        Candidate / baseline, the median over the rounds.
    quartiles : tuple of float
        The first and third quartile of that ratio.
    rounds : int
        Number of rounds.
    """

    candidate_seconds: float
    baseline_seconds: float
    ratio: float
    quartiles: tuple[float, float]
    rounds: int


@dataclass(frozen=True, slots=True)
class Result:
    """A row and what was measured for it."""

    row: Row
    times: Comparison
    slow_baseline: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal, or without a baseline to judge by."""
        if self.row.goal is None or self.slow_baseline:
            return None
        return self.row.goal.met(self.times.ratio)


def compare(
    candidate: timeit.Timer, baseline: timeit.Timer, effort: Effort, baseline_runs: int = 1
) -> Comparison:
    """Time two statements in alternation.

    Parameters
    ----------
    candidate, baseline : timeit.Timer
        The statements.
    effort : Effort
        How long to measure.
    baseline_runs : int, default: 1
        How often the baseline does its work in one run.

    Returns
    -------
    Comparison
        Medians over the rounds.
    """
    timers = {"candidate": candidate, "baseline": baseline}
    works = {"candidate": 1, "baseline": baseline_runs}
    loops, seconds = {}, 0.0
    for name, timer in timers.items():
        loops[name], taken = repeats_lasting(timer.timeit, effort.sample)
        seconds += taken
    fewest, most = effort.rounds
    rounds = min(max(int(effort.budget / seconds), fewest), most)
    times = in_turn(
        timers, lambda name: timers[name].timeit(loops[name]) / (loops[name] * works[name]), rounds
    )
    of_rounds = ratios(times, "candidate", "baseline")
    first, _, third = statistics.quantiles(of_rounds, n=4)
    return Comparison(
        candidate_seconds=statistics.median(times["candidate"]),
        baseline_seconds=statistics.median(times["baseline"]),
        ratio=statistics.median(of_rounds),
        quartiles=(first, third),
        rounds=rounds,
    )


def power_of_two(size: int) -> str:
    """Write a size the way people say it: 2^20."""
    power = size.bit_length() - 1
    return f"2^{power}" if size == 1 << power else str(size)


def shown_p(p: float) -> str:
    """Write a probability the way people say it: 1/3."""
    return "1/3" if p == 1 / 3 else f"{p:g}"


@lru_cache(maxsize=1)
def arrays(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Make a float32 array of normal numbers and one to write to, every page of both touched."""
    buffer = Buffer()
    numbers = np.random.default_rng(1).standard_normal(4096, dtype=np.float32)
    x = buffer.to_read(np.resize(numbers, size))
    return x, buffer.to_write(x)


def namespace(row: Row) -> dict[str, Any]:
    """Make the names that the statements of a row see.

    Parameters
    ----------
    row : Row
        The row.

    Returns
    -------
    dict
        Names and values.

    Raises
    ------
    Unavailable
        If the setup imports something that is not installed.
    """
    x, y = arrays(row.size)
    names = {"fd": fd, "np": np, "n": row.size, "p": row.p, "threads": row.threads}
    names |= {"x": x, "y": y, "buffer": Buffer()}
    try:
        exec(row.setup, names)
    except ImportError as error:
        raise Unavailable(row, error.name or str(error)) from error
    return names


@contextmanager
def conditions(row: Row) -> Iterator[None]:
    """Set the SIMD level and the number of threads that a row asks for, for a while."""
    threads = fd.get_num_threads()
    with fd.use_simd(row.simd) if row.simd else nullcontext():
        fd.set_num_threads(row.threads)
        try:
            yield
        finally:
            fd.set_num_threads(threads)


def measure(row: Row, effort: Effort, clock: Callable[[], float] = perf_counter) -> Result:
    """Measure one row.

    Parameters
    ----------
    row : Row
        What to measure.
    effort : Effort
        How long.
    clock : callable, default: time.perf_counter
        Gives the time in seconds.

    Returns
    -------
    Result
        The row and its times.
    """
    with conditions(row):
        names = namespace(row)
        candidate, baseline = (
            timeit.Timer(statement, timer=clock, globals=names)
            for statement in (row.candidate, row.baseline)
        )
        return Result(row, compare(candidate, baseline, effort, row.baseline_runs))


def flag_slow_baselines(results: Iterable[Result]) -> list[Result]:
    """Flag baselines that took longer per byte than the same with larger arrays.

    Parameters
    ----------
    results : iterable of Result
        What was measured.

    Returns
    -------
    list of Result
        The same, in this order.
    """
    flagged = list(results)
    alike: dict[Row, list[int]] = {}
    for place, result in enumerate(flagged):
        key = replace(result.row, table="", case="", goal=None, size=0)
        alike.setdefault(key, []).append(place)
    for places in alike.values():
        for place, next_place in pairwise(sorted(places, key=lambda at: flagged[at].row.size)):
            one, larger = flagged[place], flagged[next_place]
            times = larger.row.size / one.row.size
            if times > 1 and is_slow(
                one.times.baseline_seconds, larger.times.baseline_seconds, times
            ):
                flagged[place] = replace(one, slow_baseline=True)
    return flagged


def notes_of_slow_baselines(results: Iterable[Result]) -> list[str]:
    """Say a sentence about each baseline that is flagged."""
    return [
        f"Slow baseline: {result.row.table}, {result.row.case}, p = {shown_p(result.row.p)}: "
        f"{result.times.baseline_seconds * 1e6:.3g} us, so its ratio is too small and not judged."
        for result in results
        if result.slow_baseline
    ]


def caches(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> dict[int, int]:
    """Read the sizes of the data caches of the first CPU.

    Parameters
    ----------
    folder : pathlib.Path
        Where Linux describes them.

    Returns
    -------
    dict
        Bytes by cache level, lowest level first; empty where the system does not say.
    """
    unit = {"K": KIB, "M": MIB, "G": GIB}
    sizes = {}
    for index in folder.glob("index[0-9]*"):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind in ("Data", "Unified"):
            sizes[int(level)] = int(size.rstrip("KMG")) * unit.get(size[-1], 1)
    return dict(sorted(sizes.items()))


def _installed(package: str) -> str | None:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, str]:
    """Describe the machine and the software that is compared.

    Returns
    -------
    dict
        What, and its value, as text.
    """
    levels = (
        f"L{level} {size // MIB} MiB" if size >= MIB else f"L{level} {size // KIB} KiB"
        for level, size in caches().items()
    )
    config = fd.show_config(mode="dicts")
    packages = (_installed(name) for name in ("numpy", "ml_dtypes", "torch", "jax", "numba"))
    return {
        "CPU": config["machine"]["processor"],
        "caches": ", ".join(levels) or "unknown",
        "CPUs usable": config["threads"]["CPUs"],
        "system": f"{config['machine']['system']}, Python {config['version']['python']}",
        "fastdrop": fd.__version__,
        "others": ", ".join(filter(None, packages)),
    }
