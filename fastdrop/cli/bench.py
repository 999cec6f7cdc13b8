# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop bench``: what dropout costs, in copies of the same bytes.

Three files stand beside this one: `_bench_timing` measures a row, `_bench_peers` lists the rows of
other systems, and `_bench_plot` draws them. Here are the rows of fastdrop itself, the tables and
the command line.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import fastdrop as fd
from fastdrop.cli._bench_peers import COPY, IDIOM, bytes_kept_by_torch, peer_rows
from fastdrop.cli._bench_timing import (
    MIB,
    QUICK,
    THOROUGH,
    Effort,
    Goal,
    Result,
    Row,
    Unavailable,
    caches,
    machine,
    measure,
    power_of_two,
)

if TYPE_CHECKING:
    from rich.console import Group

SOURCES = ("Xoshiro256PlusPlus", "Xorshift128Plus", "Philox4x32")
PROBABILITIES = (0.1, 1 / 3, 0.5, 0.9)
PEER_SIZES = (1 << 20, 1 << 24)
STORES = {"seeded": "seed", "packed": "bits"}
SCHEMA = 1  # of the JSON file

FORWARD = "fd.dropout(x, p, rng=src, out=y)"
DEFAULT_SOURCE = "src = fd.Xoshiro256PlusPlus(1)\n"
DEFAULT_GENERATOR = "rng = np.random.default_rng(1)\n"

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
        *(
            Row(
                table="Forward into a new array, float32",
                case=f"{place}, {power_of_two(sizes[place])}",
                candidate="fd.dropout(x, p, rng=src)",
                baseline="x.copy()",
                goal=Goal(1.15),
                size=sizes[place],
                setup=DEFAULT_SOURCE,
            )
            for place in ("memory", "LLC")
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
            candidate="fd.dropout(x, p, rng=src)",
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
                + f"x, y = x.astype({dtype}), y.astype({dtype})\n"
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
            baseline="list(pool.map(np.copyto, y.reshape(2, -1), x.reshape(2, -1)))",
            goal=Goal(1.0),
            size=sizes["memory"],
            setup=DEFAULT_SOURCE
            + "from concurrent.futures import ThreadPoolExecutor\n"
            + "pool = ThreadPoolExecutor(2)",
            threads=2,
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
    """What a kind of mask keeps for the backward pass, and PyTorch instead: bytes an element."""

    case: str
    kept: float
    kept_by_torch: float
    goal: Goal

    @property
    def met(self) -> bool:
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


def measure_all(rows: list[Row], effort: Effort) -> tuple[list[Result], list[str]]:
    """Measure rows, with a progress bar on stderr.

    Parameters
    ----------
    rows : list of Row
        What to measure.
    effort : Effort
        How long to measure each.

    Returns
    -------
    results : list of Result
        What was measured.
    notes : list of str
        What was left out, and why.
    """
    from rich.console import Console
    from rich.progress import Progress

    results: list[Result] = []
    notes: list[str] = []
    # Redrawn by hand between rows: a thread that does so would disturb what is timed.
    with Progress(console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=f"{row.table}, {row.case}", refresh=True)
            try:
                results.append(measure(row, effort))
            except Unavailable as reason:
                notes.append(f"Left out: {reason}.")
            progress.advance(task)
    return results, list(dict.fromkeys(notes))


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns, below a title and the statements that it is about."""

    title: str
    header: tuple[str, ...]
    cells: list[tuple[str, ...]]
    code: str = ""

    @property
    def sides(self) -> list[Literal["left", "right"]]:
        """The side that each column is aligned to: numbers to the right, words to the left."""
        words = ("machine", "", "case", "system", "SIMD", "goal", "met?", "note")
        return ["left" if name in words else "right" for name in self.header]

    def markdown(self) -> str:
        """Render as GitHub's markdown."""
        code = f"`{self.code}`\n\n" if self.code else ""
        rule = [":--" if side == "left" else "--:" for side in self.sides]
        lines = (f"| {' | '.join(line)} |" for line in (self.header, rule, *self.cells))
        return f"### {self.title}\n\n{code}" + "\n".join(lines) + "\n"

    def __rich__(self) -> "Group":
        """Render for a terminal."""
        from rich import box
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        colours = {"yes": "green", "no": "bold red"}
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for name, side in zip(self.header, self.sides, strict=True):
            table.add_column(name, justify=side)
        for line in self.cells:
            table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in line))
        above = [Text(self.title, "bold")]
        if self.code:
            above.append(Text(self.code, "dim"))
        return Group(*above, table)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _ratio(result: Result) -> str:
    goal, ratio = result.row.goal, result.times.ratio
    return _number(goal.score(ratio)) + goal.unit if goal else _number(ratio)


def _verdict(met: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[met]


CORE_COLUMNS = {
    "case": lambda result: result.row.case,
    "p": lambda result: f"{result.row.p:.3g}",
    "SIMD": lambda result: result.row.simd,
    "{unit}": lambda result: _number(result.row.shown(result.times.candidate_seconds)),
    "baseline": lambda result: _number(result.row.shown(result.times.baseline_seconds)),
    "ratio": _ratio,
    "goal": lambda result: str(result.row.goal or ""),
    "met?": lambda result: _verdict(result.met),
}
PEER_COLUMNS = {
    "system": lambda result: result.row.case,
    "SIMD": lambda result: result.row.simd,
    "{unit}": lambda result: _number(result.row.shown(result.times.candidate_seconds)),
    "times a copy": lambda result: _number(result.times.ratio),
    "note": lambda result: result.row.note,
}
FOOTPRINT_COLUMNS = {
    "case": lambda footprint: footprint.case,
    "bytes per element": lambda footprint: _number(footprint.kept),
    "PyTorch": lambda footprint: _number(footprint.kept_by_torch),
    "goal": lambda footprint: str(footprint.goal),
    "met?": lambda footprint: _verdict(footprint.met),
}


def _cells(columns: dict[str, Callable[[Any], str]], items: Iterable[Any]) -> list[tuple[str, ...]]:
    return [tuple(show(item) for show in columns.values()) for item in items]


def tabulate(results: list[Result], columns: dict[str, Callable[[Result], str]]) -> list[Table]:
    """Lay results out, one table for each `Row.table`.

    Parameters
    ----------
    results : list of Result
        What was measured, at one SIMD level or several.
    columns : dict
        The header of each column, and what it shows of a result.

    Returns
    -------
    list of Table
        The tables, in order.
    """
    groups: dict[str, list[Result]] = {result.row.table: [] for result in results}
    for result in results:
        groups[result.row.table].append(result)
    tables = []
    for title, group in groups.items():
        row = group[0].row
        header = tuple(name.format(unit=row.unit) for name in columns)
        code = f"{row.candidate}  against  {row.baseline}" if "baseline" in columns else ""
        tables.append(Table(title, header, _cells(columns, group), code))
    return tables


def summary(judged: Iterable[Result | Footprint]) -> str:
    """Count the goals that are met."""
    verdicts = [item.met for item in judged if item.met is not None]
    return f"{sum(verdicts)} of {len(verdicts)} goals met." if verdicts else "No goal was judged."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add = parser.add_argument
    add("--rows", choices=("core", "peers", "all"), default="all", help="which tables to measure")
    add(
        "--simd",
        metavar="LEVEL",
        action="append",
        default=[],
        help="SIMD level to measure at, or 'best'; may be repeated (default: the level in use)",
    )
    add("--threads", metavar="N", type=int, default=1, help="threads to use (default: 1)")
    add("--quick", action="store_true", help="fewer and shorter samples")
    add("--full", action="store_true", help="measure the peers at 2^24 elements too")
    add("--markdown", action="store_true", help="print the tables as GitHub's markdown")
    add("--json", metavar="FILE", type=Path, help="write every number to this file")
    add("--plot", metavar="FILE", type=Path, help="draw fastdrop beside its peers")


def simd_levels(asked: list[str]) -> list[str]:
    """Name the SIMD levels to measure at: those asked for, each once, or the level in use."""
    best = fd.simd_levels()[-1]
    asked = asked or [os.environ.get("FASTDROP_SIMD") or "best"]
    return list(dict.fromkeys(best if level in ("best", "auto") else level for level in asked))


def problem(args: argparse.Namespace) -> str | None:
    """Find what would keep a run from finishing, before it starts.

    Parameters
    ----------
    args : argparse.Namespace
        The options.

    Returns
    -------
    str or None
        A sentence for the user.
    """
    needed = ("rich", "matplotlib") if args.plot else ("rich",)
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        return f'The benchmark needs {" and ".join(missing)}: pip install "fastdrop[bench]"'
    if args.plot and args.rows == "core":
        return "--plot draws the peers, which --rows core leaves out."
    if args.threads < 1:
        return f"--threads must be at least 1, got {args.threads}."
    for level in simd_levels(args.simd):
        if level not in fd.simd_levels():
            return f"SIMD level {level!r} is not one of {', '.join(fd.simd_levels())}."
    for file in filter(None, (args.json, args.plot)):
        if not file.absolute().parent.is_dir():
            return f"There is no folder {str(file.parent)!r} to write {file.name!r} to."
    return None


def main(args: argparse.Namespace) -> int:
    """Measure, print the tables, and write the files asked for.

    Parameters
    ----------
    args : argparse.Namespace
        The options.

    Returns
    -------
    int
        Exit status: 0, or 2 for a run that cannot start.
    """
    if sentence := problem(args):
        print(sentence, file=sys.stderr)
        return 2

    levels, effort = simd_levels(args.simd), QUICK if args.quick else THOROUGH
    sizes = places(caches())
    facts = machine() | {"SIMD": ", ".join(levels), "threads": str(args.threads)}
    core: list[Result] = []
    peers: list[Result] = []
    kept: list[Footprint] = []
    notes: list[str] = []
    if args.rows != "peers":
        rows = [row for level in levels for row in core_rows(level, sizes, args.threads)]
        core, left_out = measure_all(rows, effort)
        kept = footprints(sizes["LLC"])
        notes += [summary([*core, *kept]), *left_out]
        if 4 * sizes["memory"] < 2 * max(caches().values(), default=0):
            notes.append("Arrays in memory are smaller than twice the last-level cache.")
    if args.rows != "core":
        peer_sizes = PEER_SIZES if args.full else PEER_SIZES[:1]
        peers, left_out = measure_all(peer_rows(levels, peer_sizes, args.threads), effort)
        notes += left_out

    tables = [Table("Machine", ("machine", ""), list(facts.items()))]
    tables += tabulate(core, CORE_COLUMNS)
    if kept:
        cells = _cells(FOOTPRINT_COLUMNS, kept)
        tables.append(Table("Kept for the backward pass", tuple(FOOTPRINT_COLUMNS), cells))
    tables += tabulate(peers, PEER_COLUMNS)
    show(tables, notes, args.markdown)
    if args.json:
        args.json.write_text(json.dumps(report(facts, core, kept, peers, notes), indent=1) + "\n")
    if args.plot:
        from fastdrop.cli._bench_plot import draw

        draw(peers, facts, args.plot)
    return 0


def show(tables: list[Table], notes: list[str], markdown: bool) -> None:
    """Print tables and notes."""
    if markdown:
        print(*(table.markdown() for table in tables), *notes, sep="\n")
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    for item in (*tables, *notes):
        console.print(item)


def report(
    facts: dict[str, str],
    core: list[Result],
    kept: list[Footprint],
    peers: list[Result],
    notes: list[str],
) -> dict[str, Any]:
    """Gather everything that was measured, in seconds and bytes, for a JSON file."""

    def record(result: Result) -> dict[str, Any]:
        return {**asdict(result.row), **asdict(result.times), "met": result.met}

    return {
        "schema": SCHEMA,
        "machine": facts,
        "core": [record(result) for result in core],
        "kept": [{**asdict(footprint), "met": footprint.met} for footprint in kept],
        "peers": [record(result) for result in peers],
        "notes": notes,
    }
