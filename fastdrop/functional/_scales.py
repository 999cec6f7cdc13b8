# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of alpha dropout, by which its masks are known."""

import math

__all__ = ["alpha_numbers"]

# The parameters of SELU, and its least value.
ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946
LIMIT = -SCALE * ALPHA


def alpha_numbers(p: float) -> tuple[float, float, float]:
    """Return (scale, shift, dropped): ``y = kept ? x * scale + shift : dropped``.

    No other function gives its masks this scale. It is inf at p = 1, where nothing is kept.
    """
    kept = (1.0 - p) * (1.0 + p * LIMIT * LIMIT)
    if kept == 0.0:
        return math.inf, 0.0, 0.0
    scale = 1.0 / math.sqrt(kept)
    return scale, -scale * p * LIMIT, scale * (1.0 - p) * LIMIT
