# SPDX-License-Identifier: BSD-3-Clause
"""p or keep_prob, of which one is given."""

from fastdrop._checks import refuse_both
from fastdrop._typing import ProbabilityLike
from fastdrop._words import HALF
from fastdrop.mask._probability import Probability, probability_of

__all__ = ["as_probability"]


def as_probability(p: ProbabilityLike, keep_prob: ProbabilityLike | None) -> Probability:
    """Return the Probability of p or keep_prob, of which one is given: a number or an array."""
    if keep_prob is not None and p is not HALF:
        refuse_both(p=p, keep_prob=keep_prob)
    return probability_of(0.5 if p is HALF else p, keep_prob)
