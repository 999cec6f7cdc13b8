# SPDX-License-Identifier: BSD-3-Clause
"""The types of arrays inside of programs, of JAX versions that say more than a shape and a dtype.

Inside of `jax.shard_map` a type says along which axes of the mesh an array varies, and the
arguments of a primitive must agree.
"""

from typing import Any

import jax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["abstract", "alike", "let_vary"]


def _varying(array: Any) -> frozenset[Any]:
    """Return the axes of the mesh; they are said in one way until JAX 0.9, and then in another."""
    kind = jax.typeof(array)
    varying: frozenset[Any] = kind.vma if hasattr(kind, "vma") else kind.manual_axis_type.varying
    return varying


def abstract(like: Any, shape: tuple[int, ...], dtype: Any) -> ShapedArray:
    """Return the type of a result that varies as an argument does."""
    if like.shape == shape:
        return like.update(dtype=dtype, weak_type=False)
    if not hasattr(jax, "typeof"):
        return ShapedArray(shape, dtype)
    uncut = NamedSharding(like.sharding.mesh, PartitionSpec(*[None] * len(shape)))
    return like.update(shape=shape, dtype=dtype, weak_type=False, sharding=uncut)


def alike(*arrays: Any) -> tuple[Any, ...]:
    """Return arrays that vary along the same axes: along those that one of them varies along."""
    if not hasattr(jax, "typeof"):
        return arrays
    own = [_varying(array) for array in arrays]
    axes: frozenset[Any] = frozenset().union(*own)
    return tuple(
        _vary(array, tuple(axes - varying)) if axes - varying else array
        for array, varying in zip(arrays, own, strict=True)
    )


def _vary(array: Any, axes: tuple[Any, ...]) -> Any:
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(array, axes, to="varying")
    return jax.lax.pvary(array, axes)


def let_vary(*primitives: Primitive) -> None:
    """Say that the results vary where an argument does, to versions that do not ask the types."""
    if hasattr(jax, "typeof"):
        return
    from jax.experimental import shard_map

    for primitive in primitives:
        shard_map.register_standard_check(primitive)
        shard_map.register_standard_rewrite(primitive)
