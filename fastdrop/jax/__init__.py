# SPDX-License-Identifier: BSD-3-Clause
"""Dropout, masks and random bits in compiled JAX programs, on CPUs at the price of a memory copy.

A mask is a function of a key. From ``key_of(fastdrop.Philox4x32(seed))`` it is the mask that
`fastdrop.dropout_mask` draws from this source, bit for bit, however an array is sharded.

Modules for Flax are in `linen` and `nnx`, which import Flax when they are first used.
"""

import importlib
from types import ModuleType

try:
    import jax as _  # noqa: F401
except ModuleNotFoundError as _error:
    if _error.name != "jax":
        raise
    raise ModuleNotFoundError(
        "fastdrop.jax needs JAX 0.5 or newer: pip install jax", name="jax"
    ) from None

from fastdrop.jax._keys import key_of, prng_impl
from fastdrop.jax._register import register
from fastdrop.jax.functional import bernoulli, dropout, dropout_mask

__all__ = ["bernoulli", "dropout", "dropout_mask", "key_of", "prng_impl", "register"]


def __getattr__(name: str) -> ModuleType:
    if name in ("linen", "nnx"):
        return importlib.import_module(f"fastdrop.jax.{name}")
    raise AttributeError(f"module 'fastdrop.jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "linen", "nnx"])
