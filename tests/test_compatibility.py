# SPDX-License-Identifier: BSD-3-Clause
"""What docs/compatibility.md promises: floats stay, and the tests that it names are there."""

import json
import re
import runpy
from pathlib import Path

import pytest
from helpers import DATA

import fastdrop as fd

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
GOLDEN = json.loads((DATA / "golden_floats.json").read_text())
DIGESTS = GOLDEN["sha256_of_floats"]
MADE = runpy.run_path(str(DATA / "make_golden_floats.py"))


@pytest.mark.parametrize("dtype", MADE["DTYPES"])
def test_golden_floats(level, dtype):
    """A change here is one that the page has to allow."""
    assert GOLDEN["stream_version"] == 1
    assert MADE["golden_floats"](dtype) == DIGESTS[dtype]


@pytest.mark.parametrize("threads", [1, 3])
def test_golden_floats_are_those_of_any_number_of_threads(threads):
    before = fd.get_num_threads()
    fd.set_num_threads(threads)
    try:
        assert MADE["golden_floats"]("float32") == DIGESTS["float32"]
    finally:
        fd.set_num_threads(before)


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_the_tests_that_the_page_names_are_there():
    named = re.findall(r"`tests/(\S+\.py)::(\w+)`", PAGE.read_text("utf-8"))
    assert len(named) >= 6
    for file, name in named:
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text("utf-8"), re.M), name
