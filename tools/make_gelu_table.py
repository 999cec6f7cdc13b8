# SPDX-License-Identifier: BSD-3-Clause
"""Print the factors of the polynomials that gelu is computed by, in `kernels/apply/activate.h`.

The share of the normal distribution below -a is e^(-a^2 / 2) t f(t) with t = 1 / (1 + a / 4). The
function f is smooth. A polynomial interpolates it at the Chebyshev nodes of the range of t that
matters, which keeps the error near the least one: beyond, the power of e is 0. Needs mpmath.

    python tools/make_gelu_table.py
"""

import mpmath
import numpy as np

# By dtype, the degree, and the largest a whose share is not 0.
POLYNOMIALS = {"float32": (9, 14), "float64": (22, 39)}
DIGITS = 60


def smooth(t: mpmath.mpf) -> mpmath.mpf:
    """Return f(t)."""
    a = 4 * (1 / t - 1)
    return mpmath.erfc(a / mpmath.sqrt(2)) / 2 * mpmath.exp(a * a / 2) / t


def factors(degree: int, most: int) -> list[mpmath.mpf]:
    """Return those of t^0, t^1, ... of the polynomial of a degree, for a in [0, most]."""
    count = degree + 1
    angles = [mpmath.pi * (2 * k + 1) / (2 * count) for k in range(count)]
    least = 1 / (1 + mpmath.mpf(most) / 4)
    nodes = [least + (1 - least) * (1 + mpmath.cos(angle)) / 2 for angle in angles]
    powers = mpmath.matrix([[node**k for k in range(count)] for node in nodes])
    return list(mpmath.lu_solve(powers, mpmath.matrix([smooth(node) for node in nodes])))


def main() -> None:
    """Print both."""
    with mpmath.workdps(DIGITS):
        for dtype, (degree, most) in POLYNOMIALS.items():
            numbers = [np.dtype(dtype).type(float(factor)) for factor in factors(degree, most)]
            print(f"{dtype}: {', '.join(map(str, numbers))}")


if __name__ == "__main__":
    main()
