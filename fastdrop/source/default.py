# SPDX-License-Identifier: BSD-3-Clause
"""From the ``rng`` argument to a source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from fastdrop._checks import check_seed, refuse_rng
from fastdrop._typing import RNGLike, SeedLike
from fastdrop._words import public
from fastdrop.source._generators import Xoshiro256PlusPlus
from fastdrop.source._numpy_source import NumPySource
from fastdrop.source._source import Source, new_in_children

__all__ = ["as_source", "seed", "seeded"]

_default = new_in_children(Xoshiro256PlusPlus())

# Where a block of `seeded` is open: what None stands for in this thread or task.
_local: ContextVar[Source | NumPySource | None] = ContextVar("fastdrop.seeded", default=None)


@public()
def as_source(rng: Any = None) -> Source | NumPySource:
    """Return the source that ``rng`` stands for.

    Parameters
    ----------
    rng : object, optional
        None is the source of the process, which the operating system or `seed` has keyed. In a
        block of `seeded` it is the source of that block. An int, a sequence of ints or a
        SeedSequence seeds the default source: it gives the same mask in every call. A source of
        the package advances. From a NumPy Generator, BitGenerator or RandomState every bit is
        drawn.

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
    if rng is None:
        return _local.get() or _default
    if isinstance(rng, (Source, NumPySource)):
        return rng
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
        return Xoshiro256PlusPlus(check_seed(rng, "rng", refuse_rng))
    refuse_rng(rng)


@public()
def seed(seed: SeedLike | None = None) -> None:
    """Key the process-wide source, which ``rng=None`` stands for.

    So a whole program can be repeated. It acts on all threads: where several draw, each takes what
    the others leave. `seeded` acts on one thread and for a while. A forked child has a key of its
    own, from the operating system, until it calls this itself.

    Parameters
    ----------
    seed : int, sequence of int, SeedSequence or None
        As in `Xoshiro256PlusPlus`. None: a new key from the operating system.

    Raises
    ------
    TypeError
        If the seed is anything else.
    ValueError
        If it is negative.

    Notes
    -----
    PyTorch's faces draw from PyTorch's generators, which `torch.manual_seed` keys.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.seed(7)
    >>> first, second = fd.dropout_mask(100), fd.dropout_mask(100)
    >>> fd.seed(7)
    >>> fd.dropout_mask(100) == first, fd.dropout_mask(100) == second
    (True, True)
    >>> fd.seed()
    """
    global _default
    _default = new_in_children(Xoshiro256PlusPlus(check_seed(seed)))


@public()
def seeded(rng: RNGLike) -> contextlib.AbstractContextManager[Source | NumPySource]:
    """Let ``rng=None`` stand for another source inside a ``with`` block.

    It acts on the thread (of asyncio, the task) that opens the block, and on no other one.

    Parameters
    ----------
    rng : int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `as_source`: a seed makes one source for the block, which advances from call to call.

    Returns
    -------
    block : context manager
        Its ``as`` gives the Source or NumPySource that None stands for inside.

    Raises
    ------
    TypeError, ValueError
        As in `as_source`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> with fd.seeded(7) as source:
    ...     first, second = fd.dropout_mask(100), fd.dropout_mask(100)
    >>> first == second
    False
    >>> with fd.seeded(7):
    ...     again = fd.dropout_mask(100)
    >>> again == first
    True
    """
    as_source(rng)  # a check, before the block is entered
    return _block(rng)


@contextlib.contextmanager
def _block(rng: RNGLike) -> Iterator[Source | NumPySource]:
    source = as_source(rng)
    token = _local.set(source)
    try:
        yield source
    finally:
        _local.reset(token)
