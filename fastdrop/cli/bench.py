# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop bench``: what dropout costs, in copies of the same bytes.

Eight files do its work: `_bench_timing` measures a row, with arrays of `_bench_arrays`,
`_bench_rows` lists the rows of dropout itself, `_bench_family` those of its relatives, whose
statements are in `_bench_relatives`, and `_bench_peers` those of other systems, `_bench_tables`
lays the results out, and `_bench_plot` draws them. Here is the command line.
"""

import argparse
import io
import json
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fastdrop as fd
from fastdrop._cpus import usable_cpus
from fastdrop.cli._bench_family import family_rows
from fastdrop.cli._bench_peers import peer_rows
from fastdrop.cli._bench_rows import Footprint, core_rows, footprints, places
from fastdrop.cli._bench_tables import (
    CORE_COLUMNS,
    FAMILY_COLUMNS,
    FOOTPRINT_COLUMNS,
    PEER_COLUMNS,
    Table,
    cells_of,
    show,
    summary,
    tabulate,
)
from fastdrop.cli._bench_timing import (
    QUICK,
    THOROUGH,
    Effort,
    Result,
    Row,
    Unavailable,
    caches,
    flag_slow_baselines,
    machine,
    measure,
    notes_of_slow_baselines,
)
from fastdrop.cli._terminal import cannot_write, console, install_extra

PEER_SIZES = (1 << 20, 1 << 24)
ROWS = ("core", "family", "peers")
SCHEMA = 2  # of the JSON file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add = parser.add_argument
    add(
        "--rows",
        nargs="+",
        choices=ROWS,
        default=ROWS,
        help="which tables to measure (default: all)",
    )
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
    add("--plot", metavar="FILE", type=Path, help="draw fastdrop and its peers")


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
        return f"The benchmark needs {' and '.join(missing)}: {install_extra('bench')}"
    if args.plot and "peers" not in args.rows:
        return f"--plot draws the peers, which --rows {' '.join(args.rows)} leaves out."
    if args.threads < 1:
        return f"--threads must be at least 1, not {args.threads}."
    for level in simd_levels(args.simd):
        if level not in fd.simd_levels():
            return f"SIMD level {level!r} is not one of {', '.join(fd.simd_levels())}."
    if args.json and args.plot and args.json.resolve() == args.plot.resolve():
        return f"--json and --plot both name {str(args.json)!r}."
    if args.plot and (sentence := cannot_draw(args.plot)):
        return sentence
    sentences = (cannot_write(file) for file in (args.json, args.plot) if file)
    return next(filter(None, sentences), None)


def cannot_draw(file: Path) -> str | None:
    """Say why a picture cannot be drawn in the format of this file, or None: tries it."""
    from matplotlib.figure import Figure

    try:
        Figure((1, 1)).savefig(io.BytesIO(), format=file.suffix.lower().removeprefix("."))
    except Exception as error:  # an unknown format, or a program that a known one needs
        return f"--plot cannot draw {file.name!r}: {error}"
    return None


def measure_all(rows: list[Row], effort: Effort) -> tuple[list[Result], list[Unavailable]]:
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
    left_out : list of Unavailable
        The rows that cannot be measured here.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", style="progress.description", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    results: list[Result] = []
    left_out: list[Unavailable] = []
    # Redrawn by hand between rows: a thread that does so would disturb what is timed.
    with Progress(
        *columns, console=console(stderr=True), auto_refresh=False, transient=True
    ) as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=f"{row.table}, {row.case}", refresh=True)
            try:
                results.append(measure(row, effort))
            except Unavailable as reason:
                left_out.append(reason)
            progress.advance(task)
    return results, left_out


def notes_of_left_out(left_out: list[Unavailable]) -> list[str]:
    """Say in one line for each package that is missing what could not be measured."""
    tables: dict[str, list[str]] = {}
    for reason in left_out:
        tables.setdefault(str(reason), []).append(reason.row.table)
    return [
        f"Without {what}, {len(rows)} rows are left out, of: {'; '.join(dict.fromkeys(rows))}."
        for what, rows in tables.items()
    ]


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
    if args.threads > usable_cpus():
        print(
            f"There are {usable_cpus()} CPUs for the {args.threads} threads of --threads.",
            file=sys.stderr,
        )
    rows = {
        "core": [row for level in levels for row in core_rows(level, sizes, args.threads)],
        "family": family_rows(levels, sizes, args.threads),
        "peers": peer_rows(levels, PEER_SIZES if args.full else PEER_SIZES[:1], args.threads),
    }
    results: dict[str, list[Result]] = {name: [] for name in rows}
    left_out: list[Unavailable] = []
    for name in rows:
        if name in args.rows:
            measured, unavailable = measure_all(rows[name], effort)
            results[name] = flag_slow_baselines(measured)
            left_out += unavailable
    core, family, peers = results.values()
    kept = footprints(sizes["LLC"]) if "core" in args.rows else []
    notes: list[str] = []
    if {"core", "family"} & set(args.rows):
        notes.append(summary([*core, *kept, *family]))
        if 4 * sizes["memory"] < 2 * max(caches().values(), default=0):
            notes.append("Arrays in memory are smaller than twice the last-level cache.")
    notes += notes_of_left_out(left_out)
    notes += notes_of_slow_baselines([*core, *family, *peers])

    tables = [Table("Machine", ("machine", ""), list(facts.items()))]
    tables += tabulate(core, CORE_COLUMNS)
    if kept:
        cells = cells_of(FOOTPRINT_COLUMNS, kept)
        tables.append(Table("Kept for the backward pass", tuple(FOOTPRINT_COLUMNS), cells))
    tables += tabulate(family, FAMILY_COLUMNS)
    tables += tabulate(peers, PEER_COLUMNS)
    show(tables, notes, args.markdown)
    if args.json:
        args.json.write_text(
            json.dumps(report(facts, core, kept, family, peers, notes), indent=1) + "\n",
            encoding="utf-8",
        )
    if args.plot:
        from fastdrop.cli._bench_plot import draw

        draw(peers, facts, args.plot)
    return 0


def report(
    facts: dict[str, str],
    core: list[Result],
    kept: list[Footprint],
    family: list[Result],
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
        "family": [record(result) for result in family],
        "peers": [record(result) for result in peers],
        "notes": notes,
    }
