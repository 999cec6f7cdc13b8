# SPDX-License-Identifier: BSD-3-Clause
"""The identity of a seed: ``numpy.random.SeedSequence(seed).generate_state(4)`` in JAX.

NumPy's algorithm (that of M.E. O'Neill's seed_seq_fe, with a pool of 4 words), for seeds below
2**64 that may be traced.
"""

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np

__all__ = ["identity_of_seed"]

POOL = 4


class _Hash:
    """A hash of words whose constant changes with every word."""

    def __init__(self, constant: int, multiplier: int) -> None:
        self.constant, self.multiplier = constant, multiplier

    def __call__(self, word: Any) -> Any:
        word = word ^ jnp.uint32(self.constant)
        self.constant = self.constant * self.multiplier % 2**32
        word = word * jnp.uint32(self.constant)
        return word ^ (word >> 16)


def _mix(a: Any, b: Any) -> Any:
    mixed = jnp.uint32(0xCA01F9DD) * a - jnp.uint32(0x4973F715) * b
    return mixed ^ (mixed >> 16)


def identity_of_seed(seed: Any) -> Any:
    """Return the four words of an integer; a negative one counts modulo 2**32, or 2**64."""
    low, high = seed.astype(jnp.uint32), jnp.uint32(0)
    if seed.dtype.itemsize > 4:
        high = (seed >> np.array(32, seed.dtype)).astype(jnp.uint32)
    first = _Hash(0x43B0D7E5, 0x931E8875)
    pool = [first(word) for word in (low, high, jnp.uint32(0), jnp.uint32(0))]
    for source, target in itertools.permutations(range(POOL), 2):
        pool[target] = _mix(pool[target], first(pool[source]))
    second = _Hash(0x8B51F9DD, 0x58F38DED)
    return jnp.stack([second(word) for word in pool])
