# SPDX-License-Identifier: BSD-3-Clause
"""Write the coefficients of the kernel `normal`, which are the NumPy twin's, as a C header.

Run it from the root of the repository: ``PYTHONPATH=. python tools/make_normal_table.py``.
"""

from pathlib import Path

import numpy as np

from fastdrop import _reference as twin

FILE = Path(__file__).parents[1] / "fastdrop" / "kernels" / "mask" / "normal_table.h"
PER_LINE = 6

HEADER = """\
/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Made by tools/make_normal_table.py: the coefficients of normal.h, row j those of m^j. A column is
 * an octave, and its place the low five bits of a float's exponent there: that of 2^k is 127 + k.
 */
#ifndef FD_NORMAL_TABLE_H
#define FD_NORMAL_TABLE_H

#include "../kernels.h"

/* clang-format off */
static const FD_ALIGN64 float normal_table[6][32] = {
"""


def row(coefficients):
    """Return the 32 coefficients of one power as a C initialiser."""
    literals = [f"{np.format_float_positional(c, trim='0')}f" for c in coefficients]
    lines = [literals[i : i + PER_LINE] for i in range(0, len(literals), PER_LINE)]
    return "    {" + ",\n     ".join(", ".join(line) for line in lines) + "},\n"


def header():
    """Return all of the file."""
    by_exponent = np.roll(twin.normal_table(), 127 % 32, axis=0)
    return HEADER + "".join(row(power) for power in by_exponent.T) + "};\n\n#endif\n"


if __name__ == "__main__":
    FILE.write_text(header(), encoding="utf-8")
