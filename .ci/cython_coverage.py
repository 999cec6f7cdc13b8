# SPDX-License-Identifier: BSD-3-Clause
"""Print how many lines of each Cython module ran, by GCC's counters under the current folder.

gcovr, which does the same for C, finds one line in each of them.
"""

import re
import subprocess
import sys
from pathlib import Path


def main(folders):
    """Print a line for each module, and one for all of them."""
    all_lines = all_ran = 0.0
    for counters in sorted(Path("build").rglob("build/cython/fastdrop/*/*.gcda")):
        name = f"{counters.parent.name}/{counters.stem}"
        if counters.parent.name not in folders:
            continue
        command = ["gcov", "-n", "-o", str(counters.parent), str(counters)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(rf"File 'fastdrop/{name}\.pyx'\nLines executed:([\d.]+)% of (\d+)", said)
        share, lines = float(found[1]), int(found[2])
        all_lines, all_ran = all_lines + lines, all_ran + share * lines / 100
        print(f"{name:28}{lines:6}{share:8.1f}%")
    print(f"{'all':28}{all_lines:6.0f}{100 * all_ran / all_lines:8.1f}%")


if __name__ == "__main__":
    main(sys.argv[1:])
