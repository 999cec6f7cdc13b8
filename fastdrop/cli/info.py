# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop info``: the versions, the CPU, and how this copy was built."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import fastdrop as fd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command: there are none."""


def main(args: argparse.Namespace) -> int:
    """Print the configuration.

    Parameters
    ----------
    args : argparse.Namespace
        The options.

    Returns
    -------
    int
        Exit status, 0.
    """
    print("\n".join(lines(fd.show_config(mode="dicts"))))
    return 0


def lines(config: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Lay out nested dicts as indented text, the values of each dict aligned.

    Parameters
    ----------
    config : mapping
        Strings, lists, and mappings of them.
    indent : str, optional
        What each line starts with.

    Yields
    ------
    str
        A line.
    """
    width = max((len(str(key)) for key in config), default=0)
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}"
            yield from lines(value, indent + "  ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            yield f"{indent}{key:<{width}}  {text}"
