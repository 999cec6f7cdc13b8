# SPDX-License-Identifier: BSD-3-Clause
"""Let asv draw the results that are committed, and no others: ``python publish.py [HTML_DIR]``.

The pages of asv take scripts of others, such as jQuery, from the web whenever somebody looks at
them. With ``--scripts`` they are fetched now, compared with the hashes that asv knows, and put
next to the pages, which then need no network.

What else is in `results/` was measured on a machine that nobody named, or is a trial; to look at
that, run ``asv publish``. Commits lead to the project's repository, if `pyproject.toml` names it
(`urls.Repository`).
"""

import argparse
import base64
import hashlib
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

BENCHES = Path(__file__).resolve().parent
FOREIGN = re.compile(
    r'(src|href)="(https://[^"]+/([^"/]+))" integrity="(sha\d+)-([^"]+)" crossorigin="anonymous"'
    r'(?: referrerpolicy="no-referrer")?'
)


def committed(benches: Path) -> list[Path]:
    """Return the files of results that git keeps, relative to the folder of the benchmarks."""
    command = ["git", "-C", str(benches), "ls-files", "-z", "results"]
    listing = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    return [Path(name) for name in listing.split("\0") if name]


def keep_measured(results: Path) -> None:
    """Take benchmarks and parameters without results out of asv's list: nothing shown is empty."""
    known = json.loads((results / "benchmarks.json").read_bytes())
    measured: dict[str, list[set[str]]] = {}
    for file in results.glob("*/*-*.json"):
        record = json.loads(file.read_bytes())
        for name, row in record["results"].items():
            columns = dict(zip(record["result_columns"], row, strict=False))
            if name not in known or columns["version"] != known[name]["version"]:
                continue
            combinations = itertools.product(*columns["params"])
            for values, result in zip(combinations, columns["result"] or [], strict=False):
                if result is not None and not math.isnan(result):  # failed, or left out
                    seen = measured.setdefault(name, [set() for _ in values])
                    for place, value in zip(seen, values, strict=True):
                        place.add(value)
    shown = {"version": known["version"]}
    for name, seen in measured.items():
        params = [
            [value for value in values if value in place]
            for values, place in zip(known[name]["params"], seen, strict=True)
        ]
        shown[name] = known[name] | {"params": params}
    (results / "benchmarks.json").write_text(json.dumps(shown), encoding="utf-8")


def settings(benches: Path, folder: Path, html: Path) -> dict[str, Any]:
    """Return asv's configuration for the committed results, which are copied into a folder."""
    for file in committed(benches):
        copy = folder / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(benches / file, copy)
    keep_measured(folder / "results")
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


def fetched(url: str) -> bytes:
    """Return what is at an address."""
    with urllib.request.urlopen(url, timeout=60) as response:
        content: bytes = response.read()
    return content


def keep_scripts(html: Path, fetch: Callable[[str], bytes] = fetched) -> None:
    """Put the scripts and styles of others into a folder of the pages, with their licences.

    Raises
    ------
    ValueError
        If a file is not the one that asv knows, or if a page still takes one from elsewhere.
    """
    folder = html / "scripts"
    folder.mkdir(exist_ok=True)

    def own(match: re.Match[str]) -> str:
        attribute, url, name, algorithm, expected = match.groups()
        content = fetch(url)
        digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
        if digest != expected:
            raise ValueError(f"{url} must have the {algorithm} {expected}, not {digest}")
        (folder / name).write_bytes(content)
        return f'{attribute}="scripts/{name}"'

    page = html / "index.html"
    text = FOREIGN.sub(own, page.read_text(encoding="utf-8"))
    if left := re.findall(r'<(?:script|link rel="stylesheet")[^>]+"(https?:[^"]+)', text):
        raise ValueError(f"the pages must take nothing from elsewhere, not {left[0]}")
    page.write_text(text, encoding="utf-8")
    shutil.copyfile(BENCHES / "scripts-licences.txt", folder / "LICENCES.txt")


def main() -> None:
    """Write asv's pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("html", nargs="?", type=Path, default=BENCHES / "html")
    parser.add_argument("--scripts", action="store_true", help="fetch the scripts of others now")
    arguments = parser.parse_args()
    html: Path = arguments.html
    with tempfile.TemporaryDirectory() as name:
        config = Path(name, "asv.conf.json")
        config.write_text(json.dumps(settings(BENCHES, Path(name), html)), encoding="utf-8")
        command = [sys.executable, "-m", "asv", "publish", "--no-pull", "--config", str(config)]
        subprocess.run(command, check=True)
    if arguments.scripts:
        keep_scripts(html)


if __name__ == "__main__":
    main()
