# SPDX-License-Identifier: BSD-3-Clause
"""What a run must be able to test: ``FASTDROP_TEST_REQUIRES=avx2,torch,nogil`` fails without.

Tests that need a package or an instruction set are skipped where it is missing, which is right on
a user's machine, and hides a fault where the run was meant to test it. The names are those of
levels and of modules; "nogil" is a Python that runs without the GIL. With "everything", each test
that is skipped fails.
"""

import importlib
import os
import sys
from typing import TypeVar

import pytest

import fastdrop as fd

__all__ = ["LEVELS", "check", "missing", "required", "unskipped"]

EVERYTHING = "everything"
LEVELS = ("scalar", "sse2", "avx2", "avx512", "neon")


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def required() -> list[str]:
    """Return the names that the environment requires."""
    names = os.environ.get("FASTDROP_TEST_REQUIRES", "").split(",")
    return [name.strip() for name in names if name.strip()]


def check() -> None:
    """Fail where this run cannot test what it has to."""
    for name in required():
        reason = missing(name)
        if reason is not None:
            raise pytest.UsageError(f"FASTDROP_TEST_REQUIRES names {name}: {reason}")


def missing(name: str) -> str | None:
    """Return why this run cannot test what is required, or None."""
    if name == EVERYTHING:  # the tests tell: see `unskipped`
        return None
    if name == "nogil":
        has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
        return "this Python runs with the GIL" if has_gil else None
    if name in LEVELS:
        levels = fd.simd_levels()
        return None if name in levels else f"this machine and build have {', '.join(levels)}"
    try:
        importlib.import_module(name)
    except ImportError as error:
        return str(error)
    return None


def unskipped(report: Report) -> Report:
    """Return the report of a test or a file; that it was skipped is a failure if all must run."""
    if EVERYTHING in required() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"FASTDROP_TEST_REQUIRES names {EVERYTHING}: {reason}"
    return report
