# SPDX-License-Identifier: BSD-3-Clause
"""The primitives: what JAX's transformations see of dropout, of masks and of random words.

All take the words of a key, uint32 of shape (..., words), of which the axes before the last are
batched: each has its own stream. `drop` and `decide` take p as the two words of a double, (..., 2).

``drop_here`` and ``decide_here`` are what these become in the part of a program that one device
runs. They take the place of their part too, uint32 of shape (2, axes): its start, and the lengths
of the whole. ``drop`` is linear in x. Its derivative and its transpose are itself, with the same
key. So a backward pass keeps the key, and no mask. ``decide`` gives bools, and ``bits`` unsigned
integers.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from fastdrop.jax._typed import abstract, alike, let_vary

__all__ = [
    "FOLDED",
    "PHILOX",
    "bits_p",
    "decide",
    "decide_here_p",
    "decide_p",
    "draw_bits",
    "drop",
    "drop_here_p",
    "drop_p",
]

PHILOX = 0  # the index of this source in C
FOLDED = -1  # the same, of words that are to be folded

drop_p = Primitive("fastdrop_drop")
decide_p = Primitive("fastdrop_decide")
drop_here_p = Primitive("fastdrop_drop_here")
decide_here_p = Primitive("fastdrop_decide_here")
bits_p = Primitive("fastdrop_bits")


def drop(key: Any, p: Any, x: Any, *, source: int, shared: int) -> Any:
    """Return x under the mask of a key; bit i of ``shared``: one decision along axis i."""
    return drop_p.bind(*alike(key, p, x), source=source, shared=shared)


def decide(key: Any, p: Any, *, source: int, shape: tuple[int, ...], dropped: bool) -> Any:
    """Return which elements of a mask are kept, or dropped."""
    return decide_p.bind(*alike(key, p), source=source, shape=shape, dropped=dropped)


def draw_bits(key: Any, source: int, bit_width: int, shape: tuple[int, ...]) -> Any:
    """Return the first bytes of a stream as little-endian unsigned integers."""
    return bits_p.bind(key, source=source, bit_width=bit_width, shape=shape)


# ---- shapes --------------------------------------------------------------------------------------


def _drop_abstract(key: Any, p: Any, x: Any, *, source: int, shared: int) -> Any:
    return abstract(x, x.shape, x.dtype)


def _decide_abstract(
    key: Any, p: Any, *, source: int, shape: tuple[int, ...], dropped: bool
) -> Any:
    return abstract(key, (*key.shape[:-1], *shape), np.dtype(bool))


def _bits_abstract(key: Any, *, source: int, bit_width: int, shape: tuple[int, ...]) -> Any:
    dtype = np.dtype(f"uint{bit_width}")
    return abstract(key, (*key.shape[:-1], *shape), dtype)


def _drop_here_abstract(key: Any, p: Any, x: Any, *place: Any, source: int, shared: int) -> Any:
    return abstract(x, x.shape, x.dtype)


def _decide_here_abstract(
    key: Any, p: Any, *place: Any, source: int, shape: tuple[int, ...], dropped: bool
) -> Any:
    return abstract(key, shape, np.dtype(bool))


drop_p.def_abstract_eval(_drop_abstract)
decide_p.def_abstract_eval(_decide_abstract)
drop_here_p.def_abstract_eval(_drop_here_abstract)
decide_here_p.def_abstract_eval(_decide_here_abstract)
bits_p.def_abstract_eval(_bits_abstract)

let_vary(drop_p, decide_p, bits_p)


# ---- calls outside of compiled programs ----------------------------------------------------------


def _compiled(primitive: Primitive, *static: str) -> None:
    def call(*arguments: Any, **parameters: Any) -> Any:
        return primitive.bind(*arguments, **parameters)

    call.__name__ = primitive.name
    primitive.def_impl(jax.jit(call, static_argnames=static))


_compiled(drop_p, "source", "shared")
_compiled(decide_p, "source", "shape", "dropped")
_compiled(bits_p, "source", "bit_width", "shape")


# ---- derivatives ---------------------------------------------------------------------------------


def _drop_jvp(primals: Any, tangents: Any, **parameters: Any) -> tuple[Any, Any]:
    key, p, x = primals
    y = drop_p.bind(key, p, x, **parameters)
    if type(tangents[2]) is ad.Zero:
        return y, ad.Zero.from_primal_value(y)
    return y, drop_p.bind(key, p, tangents[2], **parameters)


def _drop_transpose(cotangent: Any, key: Any, p: Any, x: Any, **parameters: Any) -> list[Any]:
    if type(cotangent) is ad.Zero:
        return [None, None, ad.Zero(x.aval)]
    return [None, None, drop_p.bind(key, p, cotangent, **parameters)]


ad.primitive_jvps[drop_p] = _drop_jvp
ad.primitive_transposes[drop_p] = _drop_transpose


# ---- batches -------------------------------------------------------------------------------------

NONE = None  # what is not batched has no axis


def _batched_streams(key: Any, p: Any, dims: Any) -> tuple[Any, Any]:
    """Return both with the batch first, which one of them has at least."""
    size = next(
        operand.shape[dim] for operand, dim in zip((key, p), dims, strict=True) if dim is not NONE
    )
    key, p = (
        jnp.broadcast_to(operand, (size, *operand.shape))
        if dim is NONE
        else jnp.moveaxis(operand, dim, 0)
        for operand, dim in zip((key, p), dims, strict=True)
    )
    return key, p


def _drop_batch(operands: Any, dims: Any, *, source: int, shared: int) -> tuple[Any, int]:
    key, p, x = operands
    if dims[0] is NONE and dims[1] is NONE:  # the mask of one key serves the whole batch
        batch = key.ndim - 1
        x = jnp.moveaxis(x, dims[2], batch)
        return drop_p.bind(key, p, x, source=source, shared=shared << 1 | 1), batch
    key, p = _batched_streams(key, p, dims[:2])
    if dims[2] is NONE:
        x = jnp.broadcast_to(x, (key.shape[0], *x.shape))
    else:
        x = jnp.moveaxis(x, dims[2], 0)
    return drop_p.bind(key, p, x, source=source, shared=shared), 0


def _decide_batch(operands: Any, dims: Any, **parameters: Any) -> tuple[Any, int]:
    key, p = _batched_streams(operands[0], operands[1], dims)
    return decide_p.bind(key, p, **parameters), 0


def _bits_batch(operands: Any, dims: Any, **parameters: Any) -> tuple[Any, int]:
    return bits_p.bind(jnp.moveaxis(operands[0], dims[0], 0), **parameters), 0


batching.primitive_batchers[drop_p] = _drop_batch
batching.primitive_batchers[decide_p] = _decide_batch
batching.primitive_batchers[bits_p] = _bits_batch
