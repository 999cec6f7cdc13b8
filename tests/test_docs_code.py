# SPDX-License-Identifier: BSD-3-Clause
"""A line of the documentation may end inside a long name, and not inside a number."""

import runpy
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "docs" / "breakable_code.py"


@pytest.mark.skipif(not FILE.exists(), reason="the documentation is not here")
@pytest.mark.parametrize(
    ("body", "marked"),
    [
        ('<span class="pre">fd.dropout(x,</span>', '<span class="pre">fd.|dropout(|x,</span>'),
        ('<span class="pre">drop_path_rates</span>', '<span class="pre">drop_|path_|rates</span>'),
        ('<span class="pre">tools/x.py</span>', '<span class="pre">tools/|x.|py</span>'),
        ('<span class="pre">p=0.5</span>', '<span class="pre">p=0.5</span>'),
        ('<span class="pre">a/_b, __all__</span>', '<span class="pre">a/_b, __all__</span>'),
        ("<h1>fastdrop.torch.dropout<a", "<h1>fastdrop.|torch.|dropout<a"),
        ("<p>fastdrop.torch</p>", "<p>fastdrop.torch</p>"),
    ],
)
def test_a_line_ends_between_the_words_of_a_name(body, marked):
    pytest.importorskip("sphinx")
    context = {"body": body}
    runpy.run_path(str(FILE))["mark"](None, "", "", context, None)
    assert context["body"] == marked.replace("|", "<wbr>")
