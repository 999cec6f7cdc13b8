# SPDX-License-Identifier: BSD-3-Clause
"""What a mask is drawn of: p or keep_prob, of which one is given, and a source."""

from fastdrop._checks import check_switch, refuse_both
from fastdrop._typing import ProbabilityLike, RNGLike
from fastdrop._words import HALF
from fastdrop.mask._probability import Probability, probability_of
from fastdrop.source import NumPySource, Source
from fastdrop.source.default import as_source

__all__ = ["as_drawing", "as_number", "as_probability"]


def as_probability(p: ProbabilityLike, keep_prob: ProbabilityLike | None) -> Probability:
    """Return the Probability of p or keep_prob, of which one is given: a number or an array."""
    return probability_of(_p_of(p, keep_prob), keep_prob)


def as_number(p: ProbabilityLike, keep_prob: ProbabilityLike | None) -> Probability:
    """Return the Probability of p or keep_prob, of which one is given: a number."""
    return Probability(_p_of(p, keep_prob), keep_prob)


def _p_of(p: ProbabilityLike, keep_prob: ProbabilityLike | None) -> ProbabilityLike:
    if keep_prob is not None and p is not HALF:
        refuse_both(p=p, keep_prob=keep_prob)
    return 0.5 if p is HALF else p


def as_drawing(
    p: ProbabilityLike, rng: RNGLike, training: bool
) -> tuple[Probability, Source | NumPySource | None]:
    """Return what a mask of one p is drawn of; the source is None where nothing is drawn."""
    probability, source = Probability(p, None), as_source(rng)
    return probability, source if check_switch("training", training) else None
