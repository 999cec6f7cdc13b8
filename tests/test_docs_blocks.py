# SPDX-License-Identifier: BSD-3-Clause
"""Who copies the blocks of a page, from the first on, has a program that runs."""

import doctest
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastdrop as fd

DOCS = Path(__file__).parents[1] / "docs"
# A block's options, which a blank line ends, and what it says.
BLOCK = re.compile(
    r"^```\{(?:doctest|testcode)\}\n((?::[^\n]*\n)*)\n*(.*?)^```$", re.MULTILINE | re.DOTALL
)

PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def program(page):
    """Return the source of all blocks that readers see, and the packages that these need."""
    parts, needed = [], set()
    for options, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if ":hide:" in options:
            continue
        needed |= set(re.findall(r"(\w+) is None", options))
        needed |= set(re.findall(r'find_spec\("(\w+)"\)', options))
        examples = doctest.DocTestParser().get_examples(text)
        parts += [each.source for each in examples if not each.exc_msg] if examples else [text]
    return "".join(parts), needed


@pytest.fixture
def settings_are_kept():
    """Take back what a page sets for the whole process."""
    threads = fd.get_num_threads()
    yield
    fd.set_num_threads(threads)
    if "fastdrop.torch" in sys.modules:
        sys.modules["fastdrop.torch"].uninstall()


@pytest.mark.skipif(not PAGES, reason="the documentation is not here")
@pytest.mark.usefixtures("settings_are_kept")
@pytest.mark.parametrize("page", [page for page in PAGES if program(page)[0]] or [None])
def test_the_blocks_of_a_page_are_a_program(page, tmp_path, monkeypatch):
    source, needed = program(page)
    missing = [name for name in needed if not find_spec(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    monkeypatch.chdir(tmp_path)
    exec(compile(source, page, "exec"), {"__name__": page})
