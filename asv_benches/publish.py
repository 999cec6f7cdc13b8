# SPDX-License-Identifier: BSD-3-Clause
"""Let asv draw the results that are committed, and no others: ``python publish.py [HTML_DIR]``.

What else is in `results/` was measured on a machine that nobody named, or is a trial; to look at
that, run ``asv publish``. Commits lead to the project's repository, if `pyproject.toml` names it
(`urls.Repository`).
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).resolve().parent


def committed(benches: Path) -> list[Path]:
    """Return the files of results that git keeps, relative to the folder of the benchmarks."""
    command = ["git", "-C", str(benches), "ls-files", "-z", "results"]
    listing = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    return [Path(name) for name in listing.split("\0") if name]


def settings(benches: Path, folder: Path, html: Path) -> dict[str, Any]:
    """Return asv's configuration for the committed results, which are copied into a folder."""
    for file in committed(benches):
        copy = folder / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(benches / file, copy)
    text = (benches / "asv.conf.json").read_text(encoding="utf-8")
    conf: dict[str, Any] = json.loads(re.sub(r"(?m)^\s*//.*", "", text))
    conf |= {
        "repo": str(benches.parent),
        "benchmark_dir": str(benches / "benchmarks"),
        "results_dir": str(folder / "results"),
        "html_dir": str(html.resolve()),
    }
    project = tomllib.loads((benches.parent / "pyproject.toml").read_text(encoding="utf-8"))
    if repository := project["project"].get("urls", {}).get("Repository"):
        conf |= {"project_url": repository, "show_commit_url": f"{repository}/commit/"}
    return conf


def main() -> None:
    """Write asv's pages."""
    html = Path(*sys.argv[1:]) if sys.argv[1:] else BENCHES / "html"
    with tempfile.TemporaryDirectory() as name:
        config = Path(name, "asv.conf.json")
        config.write_text(json.dumps(settings(BENCHES, Path(name), html)), encoding="utf-8")
        command = [sys.executable, "-m", "asv", "publish", "--no-pull", "--config", str(config)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
