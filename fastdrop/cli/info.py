# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop info``: the versions, the CPU, and how this copy was built."""

import argparse

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
    fd.show_config()
    return 0
