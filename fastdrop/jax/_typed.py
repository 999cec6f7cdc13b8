# SPDX-License-Identifier: BSD-3-Clause
"""The types of arrays inside of programs, of JAX versions that say more than a shape and a dtype.

Inside of `jax.shard_map` a type says along which axes of the mesh an array varies, and the
arguments of a primitive must agree.
"""

from typing import Any

import jax
from jax.core import ShapedArray

__all__ = ["abstract", "alike"]


def _varying(array: Any) -> frozenset[Any]:
    varying: frozenset[Any] = getattr(array, "vma", frozenset())
    return varying


def abstract(like: Any, shape: tuple[int, ...], dtype: Any) -> ShapedArray:
    """Return the type of a result that varies as an argument does."""
    if like.shape == shape:
        return like.update(dtype=dtype, weak_type=False)
    varying = _varying(like)
    return ShapedArray(shape, dtype, vma=varying) if varying else ShapedArray(shape, dtype)


def alike(*arrays: Any) -> tuple[Any, ...]:
    """Return arrays that vary along the same axes: along those that one of them varies along."""
    if not hasattr(jax, "typeof"):
        return arrays
    own = [_varying(jax.typeof(array)) for array in arrays]
    axes: frozenset[Any] = frozenset().union(*own)
    return tuple(
        _vary(array, tuple(axes - varying)) if axes - varying else array
        for array, varying in zip(arrays, own, strict=True)
    )


def _vary(array: Any, axes: tuple[Any, ...]) -> Any:
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(array, axes, to="varying")
    return jax.lax.pvary(array, axes)
