# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx extension that publishes asv's pages, the history of the benchmarks, with the site.

`asv_benches/publish.py` lets asv draw them from results that are committed. It needs the commits
too, so a build from a source distribution goes without, and so does every builder but `html`: the
tag `dashboard` tells pages whether there is one to link to.

asv's pages take scripts from the web. Where ``FASTDROP_DOCS_ONLINE`` lets the build use a network,
the site gets them, so that those who look at it need no other site.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

BENCHES = Path(__file__).parents[1] / "asv_benches"
HEAD = (
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link href="../_static/dashboard.css" rel="stylesheet">'
    '<script src="../_static/dashboard.js"></script>'
)
# What is shown where the scripts cannot be had: asv's own page speaks of swallows.
NO_SCRIPTS = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Dashboard</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"></head><body>
<p>The dashboard needs scripts from the web, and your browser could not load them.
A site that is built with FASTDROP_DOCS_ONLINE=1 has them.</p>
<p><a href="../history.html">The history of the speed</a> shows the most important figures.</p>
</body></html>
"""


def can_publish() -> bool:
    """Tell whether asv, git, the results and the first of their commits are there."""
    if importlib.util.find_spec("asv") is None or shutil.which("git") is None:
        return False
    if not (BENCHES / "results").is_dir():
        return False
    first = (BENCHES / "milestones.txt").read_text(encoding="utf-8").split()[0]
    command = ["git", "-C", str(BENCHES), "cat-file", "-e", f"{first}^{{commit}}"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def announce(app: Sphinx) -> None:
    """Tell pages that there is a dashboard, where there will be one."""
    if app.builder.name == "html" and can_publish():
        app.tags.add("dashboard")


def publish(app: Sphinx, exception: Exception | None) -> None:
    """Let asv write into the folder `benchmarks` of the site; fit it for phones and the dark."""
    if exception is not None or not app.tags.has("dashboard"):
        return
    folder = Path(app.outdir, "benchmarks")
    command = [sys.executable, str(BENCHES / "publish.py"), str(folder)]
    if os.environ.get("FASTDROP_DOCS_ONLINE"):
        command.append("--scripts")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    page = folder / "index.html"
    html = page.read_text(encoding="utf-8")
    page.write_text(html.replace("</head>", HEAD + "</head>"), encoding="utf-8")
    (folder / "error.html").write_text(NO_SCRIPTS, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what to call."""
    app.connect("builder-inited", announce)
    app.connect("build-finished", publish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
