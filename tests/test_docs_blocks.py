# SPDX-License-Identifier: BSD-3-Clause
"""Who copies the blocks of a page, from the first on, has a program that runs."""

import doctest
import os
import re
import subprocess
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

# The pages whose sections are programs of their own, as each needs another framework.
RECIPES = ("howto/recipes.md", "howto/more-recipes.md")


def program(markdown):
    """Return the source of all blocks that readers see, and the packages that these need."""
    parts, needed = [], set()
    for options, text in BLOCK.findall(markdown):
        if ":hide:" in options:
            continue
        needed |= set(re.findall(r"(\w+) is None", options))
        needed |= set(re.findall(r'find_spec\("(\w+)"\)', options))
        examples = doctest.DocTestParser().get_examples(text)
        parts += [each.source for each in examples if not each.exc_msg] if examples else [text]
    return "".join(parts), needed


def programs():
    """Return the name of each program and the text that has it: a page, or a section of one."""
    found = {}
    for page in PAGES:
        text = (DOCS / page).read_text(encoding="utf-8")
        if page in RECIPES:
            for section in text.split("\n## ")[1:]:
                found[f"{page}: {section.splitlines()[0]}"] = section
        else:
            found[page] = text
    return {name: text for name, text in found.items() if program(text)[0]}


PROGRAMS = programs()


def runnable(page):
    """Return the source of a program, or skip the test where a package is missing."""
    source, needed = program(PROGRAMS[page])
    missing = [name for name in sorted(needed) if not find_spec(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return source


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
@pytest.mark.parametrize("page", list(PROGRAMS) or [None])
def test_the_blocks_of_a_page_are_a_program(page, tmp_path, monkeypatch):
    source = runnable(page)
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.chdir(tmp_path)
    exec(compile(source, page, "exec"), {"__name__": page})


@pytest.mark.slow
@pytest.mark.skipif(not PAGES, reason="the documentation is not here")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_layer_for_keras_has_two_backends(backend):
    """In processes of their own: Keras takes its backend when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", runnable("howto/more-recipes.md: Keras 3")],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
