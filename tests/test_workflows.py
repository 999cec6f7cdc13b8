# SPDX-License-Identifier: BSD-3-Clause
"""The workflows run every session of noxfile.py, and name none that is not there."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What is run by hand: what others are made of, and what the two commands of `simd` stand for.
BY_HAND = {"build"}

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the workflows are not here")


def sessions():
    """The names of all sessions."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    return {
        function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        and any("nox.session" in ast.unparse(each) for each in function.decorator_list)
    }


def named():
    """The names of sessions in the workflows: of commands, and of lists of a matrix."""
    names = set()
    for workflow in WORKFLOWS:
        text = re.sub(r" *#.*", "", workflow.read_text("utf-8"))
        for command in re.findall(r"nox -s (.*)", text):
            before = command.partition(" -- ")[0]
            names |= set(re.findall(r'(?<![\w$])"?([a-z][a-z_]+)(?=[ "\n(-]|$)', before))
        for inline in re.findall(r"session: \[(.*)\]", text):
            names |= set(inline.split(", "))
        for block in re.findall(r"session:\n((?: +- \w+\n)+)", text):
            names |= set(re.findall(r"- (\w+)", block))
    return names


def test_every_session_is_run_by_a_workflow():
    assert sessions() - named() == BY_HAND


def test_the_workflows_name_sessions_that_exist():
    assert named() <= sessions()


def test_every_action_is_pinned_by_the_hash_of_a_commit():
    for workflow in WORKFLOWS:
        for action in re.findall(r"uses: (\S+)", workflow.read_text("utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), (workflow.name, action)


def test_a_night_looks_for_new_examples_and_keeps_those_that_fail():
    """Hypothesis has other settings where CI is set."""
    tests = ROOT / "tests"
    code = f"""
import sys

sys.path[:0] = [{str(tests)!r}, {str(tests / "support")!r}]
import conftest
from hypothesis import settings

night = settings.get_profile("random")
print(night.derandomize, night.database.path)
"""
    printed = subprocess.check_output(
        [sys.executable, "-P", "-c", code], env=os.environ | {"CI": "true"}, text=True
    )
    assert printed.split() == ["False", str(ROOT / ".hypothesis" / "examples")]


def test_what_failed_in_a_night_is_brought_to_the_next():
    text = (ROOT / ".github" / "workflows" / "nightly.yml").read_text("utf-8")
    restored, saved = (
        re.search(rf"actions/cache/{step}@.*?path: \|\n((?: +\.\w+\n)+)", text, re.DOTALL)
        for step in ("restore", "save")
    )
    assert (
        restored and saved and restored[1].split() == saved[1].split() == [".hypothesis", ".fuzz"]
    )
    assert restored.start() < text.index('nox -s "$SESSION"') < saved.start()
