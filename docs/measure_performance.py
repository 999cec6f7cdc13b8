# SPDX-License-Identifier: BSD-3-Clause
"""Measure what `performance.md` shows, on the machine at hand.

``python docs/measure_performance.py`` runs ``python -m fastdrop bench`` and writes
``docs/performance-tables.md`` (included by the page) and ``docs/_static/speed.png`` (shown by the
page and by the README). Install torch, jax and numba first, to have them in the tables, and leave
the machine alone while it runs.
"""

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent


def main() -> None:
    """Run the benchmark and write its tables and its plot."""
    command = [sys.executable, "-m", "fastdrop", "bench", "--rows", "all", "--full", "--markdown"]
    levels = ["--simd", "best", "--simd", "avx2"]
    plot = ["--plot", str(DOCS / "_static" / "speed.png")]
    tables = subprocess.run([*command, *levels, *plot], check=True, stdout=subprocess.PIPE).stdout
    (DOCS / "performance-tables.md").write_bytes(tables)


if __name__ == "__main__":
    main()
