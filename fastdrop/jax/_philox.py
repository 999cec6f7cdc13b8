# SPDX-License-Identifier: BSD-3-Clause
"""Philox4x32-10 in operations of JAX on uint32, and 64-bit numbers as pairs of these.

A pair is (low, high). `lax.mulhi` is new in JAX 0.10, so products are made of 16-bit halves.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["Pair", "add", "multiply", "philox", "tagged"]

Pair = tuple[Any, Any]

ROUNDS = 10
MULTIPLIERS = np.uint32(0xD2511F53), np.uint32(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85


def multiply(a: Any, b: Any) -> Pair:
    """Return the 64-bit products of words."""
    half = jnp.uint32(0xFFFF)
    a_low, a_high, b_low, b_high = a & half, a >> 16, b & half, b >> 16
    first = a_low * b_low
    second = a_high * b_low + (first >> 16)
    third = a_low * b_high + (second & half)
    return a * b, a_high * b_high + (second >> 16) + (third >> 16)


def add(a: Pair, b: Pair) -> Pair:
    """Return a + b modulo 2**64."""
    low = a[0] + b[0]
    return low, a[1] + b[1] + (low < a[0]).astype(jnp.uint32)


def tagged(key: Sequence[Any], tag: str) -> Pair:
    """Return the key of another stream: XOR with the eight letters of its tag."""
    low, high = np.frombuffer(tag.encode(), "<u4")
    return key[0] ^ jnp.uint32(low), key[1] ^ jnp.uint32(high)


def philox(key: Sequence[Any], counter: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """Return the four words of philox(key; counter); words may be arrays that broadcast."""
    words = jnp.broadcast_arrays(*map(jnp.asarray, (*counter, *key)))

    def round_of(number: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        a, b, c, d, *keys = state
        a_low, a_high = multiply(MULTIPLIERS[0], a)
        c_low, c_high = multiply(MULTIPLIERS[1], c)
        later = (own + jnp.uint32(weyl) for own, weyl in zip(keys, WEYL, strict=True))
        return c_high ^ b ^ keys[0], c_low, a_high ^ d ^ keys[1], a_low, *later

    # A loop, as rounds that are written out may keep XLA's compiler busy for minutes.
    a, b, c, d, *_ = lax.fori_loop(0, ROUNDS, round_of, tuple(words))
    return a, b, c, d
