# SPDX-License-Identifier: BSD-3-Clause
"""Each device draws its part of the mask of the whole array, and nothing is gathered.

A partitioned program binds `drop_here` or `decide_here` on each device, with the place of its part.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from fastdrop.jax._primitives import decide_here_p, drop_here_p

__all__ = ["decide_partitioned", "drop_partitioned"]


def drop_partitioned(key: Any, p: Any, x: Any, *, source: int, shared: int) -> Any:
    """Return x under a mask, in a part of a program that may run on several devices."""
    return _drop(key.ndim - 1, x.shape, source, shared)(key, p, x)


def decide_partitioned(key: Any, p: Any, *, source: int, shape: Any, dropped: bool) -> Any:
    """Return a mask likewise."""
    whole = (*key.shape[:-1], *shape)
    return _decide(key.ndim - 1, whole, source, dropped)(key, p)


@functools.cache
def _drop(batch: int, shape: tuple[int, ...], source: int, shared: int) -> Any:
    def drop(key: Any, p: Any, x: Any) -> Any:
        return drop_here_p.bind(key, p, x, source=source, shared=shared)

    def drop_part(place: Callable[[], Any], length: Any, key: Any, p: Any, x: Any) -> Any:
        return drop_here_p.bind(key, p, x, place(), source=source, shared=shared)

    return _partitioned(drop, drop_part, batch, shape, 1)


@functools.cache
def _decide(batch: int, shape: tuple[int, ...], source: int, dropped: bool) -> Any:
    def decide(key: Any, p: Any) -> Any:
        return decide_here_p.bind(key, p, source=source, shape=shape, dropped=dropped)

    def decide_part(place: Callable[[], Any], local: Any, key: Any, p: Any) -> Any:
        return decide_here_p.bind(key, p, place(), source=source, shape=local, dropped=dropped)

    return _partitioned(decide, decide_part, batch, shape, 0)


def _partitioned(
    whole: Callable[..., Any],
    part: Callable[..., Any],
    batch: int,
    shape: tuple[int, ...],
    arrays: int,
) -> Any:
    """Return a function whose result and last ``arrays`` arguments are cut in the same way."""

    def partition(mesh: Any, arguments: Any, result: Any) -> Any:
        sharding = result.sharding
        everywhere = NamedSharding(mesh, PartitionSpec())
        if not isinstance(sharding, NamedSharding):  # of a program that has no mesh
            return mesh, whole, everywhere, (everywhere,) * (2 + arrays)
        cuts = [*sharding.spec, *[None] * (len(shape) - len(sharding.spec))]
        sharding = NamedSharding(mesh, PartitionSpec(*cuts))
        local = sharding.shard_shape(shape)

        def place() -> Any:
            starts = [
                jnp.uint32(0) if cut is None else lax.axis_index(cut).astype(jnp.uint32) * length
                for cut, length in zip(cuts, np.array(local, np.uint32), strict=True)
            ]
            return jnp.stack([jnp.stack(starts), jnp.array(shape, jnp.uint32)])

        lowered = functools.partial(part, place, local)
        return mesh, lowered, sharding, (everywhere, everywhere, *[sharding] * arrays)

    def infer(mesh: Any, arguments: Any, result: Any) -> Any:
        return arguments[-1].sharding if arrays else NamedSharding(mesh, PartitionSpec())

    def propagate(mesh: Any, user: Any) -> Any:
        return user.sharding

    if not shape:
        return whole
    function = custom_partitioning(whole)
    names = " ".join(f"x{axis}" for axis in range(len(shape)))
    keys, numbers = (" ".join(f"{name}{axis}" for axis in range(batch + 1)) for name in ("k", "p"))
    given = ", ".join([keys, numbers, *[names] * arrays])
    function.def_partition(
        partition,
        infer_sharding_from_operands=infer,
        propagate_user_sharding=propagate,
        sharding_rule=f"{given} -> {names}",
    )
    return function
