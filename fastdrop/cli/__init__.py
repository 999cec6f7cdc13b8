# SPDX-License-Identifier: BSD-3-Clause
"""The commands of ``python -m fastdrop``."""

import argparse
from collections.abc import Sequence

from fastdrop import __version__
from fastdrop.cli import bench, demo, info
from fastdrop.cli._terminal import any_terminal

__all__ = ["main"]

COMMANDS = {
    "demo": (demo, "train a network with and without dropout, and plot what it does"),
    "bench": (bench, "time the package against NumPy, a memory copy and other packages"),
    "info": (info, "print version, machine, kernels, threads and build"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m fastdrop",
        description="Dropout and random masks on CPUs, at the price of a memory copy.",
    )
    parser.add_argument("--version", action="version", version=f"fastdrop {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary}.".capitalize())
        module.add_arguments(command)
        command.set_defaults(run=module.main)
    with any_terminal():
        args = parser.parse_args(argv)
        status: int = args.run(args)
    return status
