# SPDX-License-Identifier: BSD-3-Clause
"""Measure what `performance.md` and `measurements.md` show, on the machine at hand.

``python docs/measure_performance.py`` runs ``python -m fastdrop bench`` and writes what the page
includes: ``docs/performance-tables.md``, with the pictures that `draw_speed.py` makes of it, and
``docs/performance-family.md``. Name ``tables`` or ``family`` for one of the two. Install torch, jax
and numba first, to have them in the tables, and leave the machine alone while it runs.
"""

import argparse
import datetime
import subprocess
import sys
from pathlib import Path

import draw_speed

DOCS = Path(__file__).parent
LEVELS = ["--simd", "best", "--simd", "avx2"]
PAGES = {
    "tables": ["--rows", "core", "peers", "--full", *LEVELS],
    "family": ["--rows", "family"],
}


def origin(page: str) -> str:
    """Return the sentence that says where the tables of a page come from."""
    command = ["git", "-C", str(DOCS), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    today = datetime.date.today().isoformat()
    script = f"python docs/measure_performance.py {page}"
    return f"Measured on {today} at commit `{commit}` by `{script}`.\n"


def main() -> None:
    """Run the benchmark and write its tables and their pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"{' or '.join(PAGES)}; both")
    for page in parser.parse_args().pages or PAGES:
        command = [sys.executable, "-m", "fastdrop", "bench", "--markdown", *PAGES[page]]
        tables = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode("utf-8")
        text = f"{origin(page)}\n{tables}"
        (DOCS / f"performance-{page}.md").write_text(text, encoding="utf-8")
        if page == "tables":
            draw_speed.main()


if __name__ == "__main__":
    main()
