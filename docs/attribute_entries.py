# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx extension that makes an entry of each attribute that the docstring of a class lists.

numpydoc would make a table of them, to which nothing can link. Attributes that a page names as
members have entries already, from docstrings of their own.
"""

from typing import Any

from numpydoc.docscrape import NumpyDocString, Parameter
from sphinx.application import Sphinx

BEFORE_NUMPYDOC, AFTER_NUMPYDOC = 400, 600

taken: dict[str, list[Parameter]] = {}


def take(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Take the section "Attributes" out of a class's docstring."""
    if what != "class" or "Attributes" not in lines:
        return
    members = options.get("members") or ()
    taken[name] = []
    for entry in NumpyDocString("\n".join(lines))["Attributes"]:
        others = [part for part in entry.name.split(", ") if part not in members]
        if others:
            taken[name].append(entry._replace(name=", ".join(others)))
    start = lines.index("Attributes")
    rules = (i for i in range(start + 2, len(lines)) if lines[i] and not lines[i].strip("-"))
    del lines[start : next(rules, len(lines) + 1) - 1]


def give(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put the entries after the text that numpydoc has made."""
    for entry in taken.pop(name, ()):
        first, *more = entry.name.split(", ")
        kind = [f"*{entry.type}.*"] if entry.type else []
        lines += ["", f".. py:attribute:: {first}"]
        lines += [f"                  {attribute}" for attribute in more]
        lines += ["", *(f"   {line}" for line in (*kind, *entry.desc)), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen for docstrings."""
    app.connect("autodoc-process-docstring", take, priority=BEFORE_NUMPYDOC)
    app.connect("autodoc-process-docstring", give, priority=AFTER_NUMPYDOC)
    return {"parallel_read_safe": True}
