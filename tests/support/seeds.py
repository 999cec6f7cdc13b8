# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of the statistical tests: always the same, unless ``FASTDROP_TEST_SEED`` says others.

The stream is frozen, so a test with a fixed seed says the same in every run: what it could find,
the digests find first. So a normal run has a few of these tests, and the others have the marker
`statistics`. Each night takes seeds of its own: ``FASTDROP_TEST_SEED=random``. A run prints the
number that it took, and that number instead of "random" repeats it.
"""

import os
import secrets
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

__all__ = ["FRESH", "first_by_day", "header", "limit", "seed"]


def _fresh() -> int | None:
    given = os.environ.get("FASTDROP_TEST_SEED", "").strip()
    if not given:
        return None
    if given == "random":
        # For processes that this one starts, and those of pytest-xdist: the same seeds.
        given = os.environ["FASTDROP_TEST_SEED"] = str(secrets.randbits(64))
    return int(given)


FRESH = _fresh()  # None: the seeds are as the tests say


def seed(number: int) -> int:
    """Return the seed that a test calls by that number."""
    if FRESH is None:
        return number
    return int(
        np.random.SeedSequence([FRESH, number]).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def limit(deviations: float) -> float:
    """Return how many standard deviations a fair source may be off.

    Fixed seeds have been seen to pass. Those of a night nobody has seen: one more deviation makes
    a false alarm a matter of years.
    """
    return deviations if FRESH is None else deviations + 1.0


def first_by_day(name: str, values: Iterable[Any], ids: Any = None) -> pytest.MarkDecorator:
    """Parametrize a test: a normal run has the first value, and `statistics` the others."""
    first, *others = values
    marked = [pytest.param(value, marks=pytest.mark.statistics) for value in others]
    return pytest.mark.parametrize(name, [first, *marked], ids=ids)


def header() -> list[str]:
    """Return what pytest prints first."""
    return [] if FRESH is None else [f"statistics: FASTDROP_TEST_SEED={FRESH}"]
