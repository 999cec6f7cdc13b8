# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx extension that lets a line end inside code, and inside a name that is a title.

It may end after a dot, a slash and the like. Browsers break code at spaces alone, so a long name
makes the column of a table wide. What is copied from the page does not change.
"""

import re
from typing import Any

from sphinx.application import Sphinx

CODE = re.compile(r'(?:(?<=<span class="pre">)|(?<=<h1>))[^<]+')
PLACE = re.compile(r"(?:(?<=[./(,])|(?<=[A-Za-z0-9]_))(?=[A-Za-z])")


def mark(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Mark the places where a line may end."""
    if "body" in context:
        context["body"] = CODE.sub(lambda found: PLACE.sub("<wbr>", found[0]), context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what to call."""
    app.connect("html-page-context", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
