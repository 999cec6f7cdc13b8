# SPDX-License-Identifier: BSD-3-Clause
"""From the ``rng`` argument to a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from fastdrop._checks import check_seed, refuse_rng
from fastdrop._words import public
from fastdrop.source._generators import Xoshiro256PlusPlus
from fastdrop.source._numpy_source import NumPySource
from fastdrop.source._source import Source, new_in_children

__all__ = ["as_source"]

_default = new_in_children(Xoshiro256PlusPlus())


@public()
def as_source(rng: Any = None) -> Source | NumPySource:
    """Return the source that ``rng`` stands for.

    Parameters
    ----------
    rng : object, optional
        None (the process-wide source, keyed from the operating system and again after a fork);
        an int, a sequence of ints or a SeedSequence (the default source, so seeded: the same
        mask for every call); a source of the package (it advances); or a NumPy Generator,
        BitGenerator or RandomState (every bit comes from it).

    Returns
    -------
    source : Source or NumPySource
        A Generator that wraps a source of the package is that source.

    Raises
    ------
    TypeError
        If ``rng`` is anything else.
    ValueError
        If it is a negative seed.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> source = fd.as_source(1)
    >>> type(source).__name__
    'Xoshiro256PlusPlus'
    >>> fd.as_source(np.random.Generator(source)) is source
    True
    >>> fd.as_source(np.random.default_rng(1))
    NumPySource(PCG64, draws='bytes')
    """
    if isinstance(rng, (Source, NumPySource)):
        return rng
    if rng is None:
        return _default
    for attribute in ("bit_generator", "_bit_generator"):  # of a Generator, of a RandomState
        wrapped = getattr(rng, attribute, None)
        if isinstance(wrapped, Source):
            return wrapped
    is_generator = isinstance(rng, (np.random.Generator, np.random.RandomState))
    if is_generator or (hasattr(rng, "capsule") and not isinstance(rng, type)):
        return NumPySource(rng)
    if isinstance(rng, (int, np.integer, Sequence, np.ndarray, ISeedSequence)) and not isinstance(
        rng, (bool, str, bytes)
    ):
        return Xoshiro256PlusPlus(check_seed(rng, "rng"))
    refuse_rng(rng)
