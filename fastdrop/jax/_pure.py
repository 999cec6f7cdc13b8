# SPDX-License-Identifier: BSD-3-Clause
"""Masks of Philox4x32 in operations of JAX alone, for devices that have no kernels of fastdrop.

A second implementation of the stream contract: the same bits as the kernels.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo
from jax.interpreters import batching, mlir

from fastdrop.jax._philox import Pair, add, multiply, philox, tagged
from fastdrop.jax._primitives import FOLDED
from fastdrop.jax._typed import abstract

__all__ = ["bits", "decide", "drop"]

BLOCK = 16  # bytes that one call of Philox makes


def drop(key: Any, p: Any, x: Any, place: Any = None, *, source: int, shared: int) -> Any:
    """Return x under a mask, as the custom call does."""
    batch = key.ndim - 1
    ones = [axis >= batch and bool(shared >> axis - batch & 1) for axis in range(x.ndim)]
    shape = tuple(1 if one else length for one, length in zip(ones, x.shape, strict=True))
    if place is not None:
        alone = jnp.array([[0], [1]], jnp.uint32)  # the one decision of an axis is its first
        place = jnp.where(jnp.array(ones), alone, place)
    key, p = _of_batch(key, p, place, shape)
    kept = _kept(key, p, place, shape, source)
    wide = jnp.finfo(x.dtype).dtype if x.dtype.itemsize > 2 else jnp.dtype(jnp.float32)
    factor = _each(factor_p.bind(p, dtype=wide), x.ndim)
    return jnp.where(kept, _product(x, factor), jnp.zeros((), x.dtype))


def decide(
    key: Any, p: Any, place: Any = None, *, source: int, shape: tuple[int, ...], dropped: bool
) -> Any:
    """Return which elements are kept, or dropped, as the custom call does."""
    key, p = _of_batch(key, p, place, shape)
    kept = _kept(key, p, place, shape, source)
    return ~kept if dropped else kept


def bits(key: Any, *, source: int, bit_width: int, shape: tuple[int, ...]) -> Any:
    """Return the first bytes of streams as little-endian unsigned integers."""
    batch, dtype = key.shape[:-1], jnp.dtype(f"uint{bit_width}")
    count = math.prod(shape) * dtype.itemsize
    blocks = lax.iota(jnp.uint32, -(-count // BLOCK))  # fewer than 2**32 of them: 64 GiB
    k0, k1, c2, c3 = (word[..., None] for word in _identity(key, source))
    counter = _later((jnp.zeros_like(c2), jnp.zeros_like(c2), c2, c3), (blocks, jnp.uint32(0)))
    words = jnp.stack(philox((k0, k1), counter), -1)
    if dtype.itemsize < 4:
        words = lax.bitcast_convert_type(words, dtype)
    elif dtype.itemsize > 4:
        words = lax.bitcast_convert_type(words.reshape(*words.shape[:-1], 2, 2), dtype)
    return words.reshape(*batch, -1)[..., : math.prod(shape)].reshape(*batch, *shape)


# ---- keys ----------------------------------------------------------------------------------------


def _of_batch(key: Any, p: Any, place: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the keys and probabilities of the part of a batch that is here."""
    if place is None:
        return key, p
    batch = key.ndim - 1
    starts = [place[0, axis] for axis in range(batch)]
    start, lengths = [*starts, jnp.uint32(0)], shape[:batch]
    return tuple(lax.dynamic_slice(words, start, (*lengths, words.shape[-1])) for words in (key, p))


def _identity(key: Any, source: int) -> tuple[Any, ...]:
    """Return the four words of an identity, folded from others by the rule of calls/keys.c."""
    words = [key[..., i] for i in range(key.shape[-1])]
    if source != FOLDED:
        return tuple(words)
    zero = jnp.zeros_like(words[0])
    folded = (zero + jnp.uint32(len(words)), zero, zero, zero)
    if len(words) % 2:
        words.append(zero)
    for pair in zip(words[::2], words[1::2], strict=True):
        folded = philox(tagged(pair, "fd:jaxky"), folded)
    return folded


def _each(numbers: Any, ndim: int) -> Any:
    """Return numbers of a batch as they broadcast to its arrays."""
    return numbers.reshape(numbers.shape + (1,) * (ndim - numbers.ndim))


# ---- decisions -----------------------------------------------------------------------------------


def _kept(key: Any, p: Any, place: Any, shape: tuple[int, ...], source: int) -> Any:
    """Return U(i) >= D for the elements of masks."""
    ndim = len(shape)
    k0, k1, c2, c3 = (_each(word, ndim) for word in _identity(key, source))
    zero = jnp.zeros_like(c2)
    counter = zero, zero, c2, c3
    position = _position(place, shape, key.ndim - 1)
    block = position[0] >> 4 | position[1] << 28, position[1] >> 4
    bytes_ = jnp.stack(jnp.broadcast_arrays(*philox((k0, k1), _later(counter, block))))
    word = jnp.broadcast_to(position[0] >> 2 & 3, bytes_.shape[1:])
    byte = jnp.take_along_axis(bytes_, word[None].astype(jnp.int32), 0)[0]
    byte = byte >> ((position[0] & 3) * 8) & 0xFF
    w0, w1, *_ = philox(tagged((k0, k1), "fd:tieph"), _later(counter, position))
    low, high = w1 << 24 | w0 >> 8, byte << 24 | w1 >> 8
    limit_low, limit_high, drops_all = (_each(each, ndim) for each in _threshold(p))
    kept = (high > limit_high) | ((high == limit_high) & (low >= limit_low))
    return jnp.broadcast_to(kept & ~drops_all, shape)


def _position(place: Any, shape: tuple[int, ...], batch: int) -> Pair:
    """Return where in its stream each element of a mask is."""
    position: Pair = jnp.uint32(0), jnp.uint32(0)
    stride: Pair = jnp.uint32(1), jnp.uint32(0)
    for axis in reversed(range(batch, len(shape))):
        of_whole = jnp.uint32(shape[axis])
        index = lax.broadcasted_iota(jnp.uint32, (shape[axis],) + (1,) * (len(shape) - axis - 1), 0)
        if place is not None:
            of_whole = place[1, axis]
            index = index + place[0, axis]
        position = add(position, _times(stride, index))
        stride = _times(stride, of_whole)
    return position


def _times(pair: Pair, word: Any) -> Pair:
    low, high = multiply(pair[0], word)
    return low, high + pair[1] * word


def _later(counter: tuple[Any, ...], offset: Pair) -> tuple[Any, ...]:
    """Return counter + offset modulo 2**128."""
    low = add((counter[0], counter[1]), offset)
    carry = (low[1] < offset[1]) | ((low[1] == offset[1]) & (low[0] < offset[0]))
    return *low, *add((counter[2], counter[3]), (carry.astype(jnp.uint32), jnp.uint32(0)))


def _threshold(p: Any) -> tuple[Any, Any, Any]:
    """Return ceil(p * 2**64) of doubles in [0, 1], and whether that is 2**64."""
    low, high = p[..., 0], p[..., 1]
    exponent = high >> 20
    low, high = low, high & 0xFFFFF | (exponent > 0).astype(jnp.uint32) << 20
    exponent = jnp.maximum(exponent, 1)
    # p * 2**64 is the significand times 2**(exponent - 1011). A shift by 32 or more gives 0.
    left = exponent - 1011  # wraps where it is negative
    up = low << left, high << left | low >> (32 - left)
    right = 1011 - exponent
    few = low >> right | high << (32 - right), high >> right
    many = high >> (right - 32), jnp.zeros_like(high)
    down = tuple(jnp.where(right < 32, *each) for each in zip(few, many, strict=True))
    # What is shifted out makes the next integer of it.
    back = down[0] << right, down[1] << right | down[0] >> (32 - right)
    back_of_many = jnp.zeros_like(low), down[0] << (right - 32)
    again = tuple(jnp.where(right < 32, *each) for each in zip(back, back_of_many, strict=True))
    rest = (again[0] != low) | (again[1] != high)
    down = add(down, (rest.astype(jnp.uint32), jnp.zeros_like(low)))
    small = exponent < 1011
    return (
        jnp.where(small, down[0], up[0]),
        jnp.where(small, down[1], up[1]),
        exponent >= 1023,
    )


# ---- arithmetic ----------------------------------------------------------------------------------

factor_p = Primitive("fastdrop_factor")


@factor_p.def_abstract_eval
def _factor_abstract(p: Any, *, dtype: Any) -> Any:
    return abstract(p, p.shape[:-1], dtype)


def _factor_lowering(ctx: Any, p: Any, *, dtype: Any) -> Any:
    """1 / (1 - p) in double and then rounded, also where JAX has no float64; at p = 1 it is 1."""
    shape = ctx.avals_out[0].shape
    double = ir.RankedTensorType.get(shape, ir.F64Type.get())
    element = ir.F64Type.get() if dtype == np.float64 else ir.F32Type.get()
    one = stablehlo.constant(ir.DenseElementsAttr.get_splat(double, ir.FloatAttr.get_f64(1.0)))
    kept = stablehlo.subtract(one, stablehlo.bitcast_convert(double, p))
    factor = stablehlo.divide(one, kept)
    zero = stablehlo.subtract(one, one)
    direction = stablehlo.ComparisonDirectionAttr.get("GT")
    factor = stablehlo.select(stablehlo.compare(kept, zero, direction), factor, one)
    return [stablehlo.convert(ir.RankedTensorType.get(shape, element), factor)]


mlir.register_lowering(factor_p, _factor_lowering)


def _factor_batch(operands: Any, dims: Any, *, dtype: Any) -> tuple[Any, int]:
    return factor_p.bind(jnp.moveaxis(operands[0], dims[0], 0), dtype=dtype), 0


batching.primitive_batchers[factor_p] = _factor_batch


def _product(x: Any, factor: Any) -> Any:
    """Return x * factor, rounded once; of a complex number both of its parts."""
    if jnp.iscomplexobj(x):
        return lax.complex(x.real * factor, x.imag * factor)
    return (x.astype(factor.dtype) * factor).astype(x.dtype)
