# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of all tests: every instruction set, every source, and settings left as they were."""

import os
from pathlib import Path

import pytest
import required
import seeds
from helpers import SOURCES
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

import fastdrop as fd
from fastdrop.kernels import _kernels

# The same examples in every run; `pytest --hypothesis-profile=random` looks for new ones.
settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
# Where CI is set, Hypothesis would choose the same examples for it, too, and keep none that failed.
settings.register_profile(
    "random",
    deadline=None,
    max_examples=1000,
    print_blob=True,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".hypothesis" / "examples"),
)
settings.load_profile("fixed")

# Processes that tests start import the package that is tested here, and not a folder that lies
# where they are started, such as that of an unpacked source distribution.
_paths = (str(Path(fd.__file__).parents[1]), os.environ.get("PYTHONPATH"))
os.environ |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, _paths))}


def pytest_sessionstart():
    """Fail where this run cannot test what it has to."""
    required.check()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Fail where a file is skipped that this run has to test."""
    return required.unskipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Fail where a test is skipped that this run has to make."""
    return required.unskipped((yield))


def pytest_report_header():
    """Say what a run with fresh seeds needs to be repeated."""
    return seeds.header()


def pytest_collection_modifyitems(items):
    """Refuse names that differ from process to process: pytest-xdist runs tests by their names."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"the name of {item.nodeid} holds an address")


@pytest.fixture(params=fd.simd_levels())
def level(request):
    """Run the test with the kernels of every instruction set of this machine."""
    with fd.use_simd(request.param):
        yield request.param


@pytest.fixture(params=SOURCES, ids=lambda cls: cls.__name__)
def source_class(request):
    """Run the test with every source of the package."""
    return request.param


@pytest.fixture(autouse=True)
def threads_restored():
    """Leave the number of threads as it was, and wake threads for arrays that are quickly made."""
    before, grain = fd.get_num_threads(), _kernels.get_grain()
    _kernels.set_grain(1 << 16)
    yield
    fd.set_num_threads(before)
    _kernels.set_grain(grain)
