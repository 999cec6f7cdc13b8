# SPDX-License-Identifier: BSD-3-Clause
"""Alpha dropout: dropped elements become SELU's negative limit, mean and variance stay."""

import math

__all__ = ["alpha_factors"]

LIMIT = 1.7580993408473766  # minus SELU's limit at -infinity


def alpha_factors(p: float) -> tuple[float, float, float]:
    """Return (factor, step, shift): y = kept ? x * factor + step + shift : shift."""
    if p == 1.0:
        return 0.0, 0.0, 0.0
    factor = 1.0 / math.sqrt((LIMIT * LIMIT * p + 1.0) * (1.0 - p))
    return factor, LIMIT * factor, LIMIT * factor * (p - 1.0)
