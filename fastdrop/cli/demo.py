# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop demo``: what dropout does to a network that overfits, on real digits."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import fastdrop as fd
from fastdrop.cli._demo_plots import FIGURES, save_plots
from fastdrop.cli._demo_report import findings, introduction, table_of
from fastdrop.cli._demo_results import HALF, QUICK, WITHOUT, Plan, Results
from fastdrop.cli._demo_training import autoencode, classify
from fastdrop.cli._terminal import cannot_write, console, install_extra, plain

FOLDER = "fastdrop-demo"
REQUIRED = ("matplotlib", "rich", "sklearn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer settings, seeds and epochs: some ten seconds of one core, not 1.5 minutes",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder for the plots (default: {FOLDER}, with --quick {FOLDER}-quick)",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, help="of splits, weights and masks (default: %(default)s)"
    )


def main(args: argparse.Namespace) -> int:
    """Run the demo and return the exit code."""
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        names = ", ".join(missing).replace("sklearn", "scikit-learn")
        print(f"The demo needs {names}: {install_extra('demo')}", file=sys.stderr)
        return 2
    folder = args.out or Path(f"{FOLDER}-quick" if args.quick else FOLDER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"The demo cannot write its plots: {error}", file=sys.stderr)
        return 2
    for name in FIGURES:
        if sentence := cannot_write(folder / name):
            print(sentence, file=sys.stderr)
            return 2
    run(QUICK if args.quick else Plan(), folder, args.seed)
    return 0


def run(plan: Plan, folder: Path, seed: int) -> Results:
    """Train, print the table and write the plots.

    Parameters
    ----------
    plan : Plan
        How much to do.
    folder : Path
        Where the plots go; it exists.
    seed : int
        Fixes everything but the times.

    Returns
    -------
    results : Results
        All that was found.
    """
    print("Loading the digits of scikit-learn ...", flush=True)  # which may take some seconds
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from sklearn.datasets import load_digits

    terminal = console()
    digits = load_digits()
    terminal.print(introduction(plan, len(digits.target)))
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(None),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal, transient=True) as progress:
        task = progress.add_task("", total=plan.total_epochs())

        def tick(description: str) -> None:
            progress.update(task, description=description, advance=1)

        with _one_thread():
            results = Results(
                plan,
                tuple(classify(digits, plan, seed, keep, tick) for keep in plan.keeps),
                tuple(autoencode(digits, plan, seed, keep, tick) for keep in (WITHOUT, HALF)),
            )
    terminal.print(table_of(results))
    for sentence in findings(results):
        terminal.print(plain(f"• {sentence}"))
    paths = save_plots(results, folder)
    terminal.print(f"Plots in {folder.resolve()}:", soft_wrap=True)
    for path in paths:
        terminal.print(f"  {path.name}", soft_wrap=True)
    return results


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep matrix products and dropout on one thread.

    The products are small: where other programs want the cores too, threads that wait for each
    other make them many times slower. And the idiom, too, is timed on one thread.
    """
    from threadpoolctl import threadpool_limits

    threads = fd.get_num_threads()
    fd.set_num_threads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        fd.set_num_threads(threads)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a non-negative integer")
    return int(text)
