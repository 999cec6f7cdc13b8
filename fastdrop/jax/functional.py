# SPDX-License-Identifier: BSD-3-Clause
"""The functions: each checks its arguments and binds one primitive."""

import contextlib
import functools
from typing import Any, Never

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fastdrop._checks import (
    check_axes,
    check_broadcast,
    check_given,
    check_p,
    check_probabilities,
    check_shape,
    check_switch,
    described,
    either,
)
from fastdrop._typing import AxesLike, ShapeLike
from fastdrop._words import public, refuse
from fastdrop.jax import (
    _lowering,  # noqa: F401 - says how primitives are compiled
    _pure,
)
from fastdrop.jax._keys import words_of
from fastdrop.jax._primitives import FOLDED, PHILOX, decide, drop

__all__ = ["bernoulli", "dropout", "dropout_mask"]


@public("fastdrop.jax")
def dropout(
    key: jax.Array,
    x: Any,
    p: Any = 0.5,
    *late: Never,
    broadcast_dims: AxesLike = (),
    training: bool = True,
    **words: Never,
) -> jax.Array:
    """Set elements of an array to zero with probability ``p``, and scale the others.

    It may be called under every transformation of JAX. The gradient draws the mask again from the
    key. Where x is sharded, each device makes its own part of the mask of the whole array. So the
    result does not depend on the sharding.

    Parameters
    ----------
    key : jax.Array
        A JAX key. That of `key_of` or `prng_impl` says which source draws. Others are folded to a
        key of Philox4x32.
    x : array_like of float or complex
        Any shape.
    p : float or array, default 0.5
        Probability of dropping an element, in [0, 1]. A number may be traced. Then results are
        differentiable with respect to it, through the scale. An array of NumPy or JAX broadcasts to
        the decisions, needs a key of Philox4x32 or one of JAX's own, and has no gradient. Where it
        is traced, its values are not checked.
    broadcast_dims : int or sequence of int, optional
        Axes along which there is one decision for all elements.
    training : bool, default True
        False: return x itself.

    Returns
    -------
    y : jax.Array
        ``x / (1 - p)`` where kept, else 0. It has x's shape and dtype.

    Raises
    ------
    TypeError
        If key is no JAX key, or x has no floats.
    ValueError
        If p is out of range. Where p is traced, the compiled program says so when it runs.

    Examples
    --------
    >>> import fastdrop.jax
    >>> import jax
    >>> import jax.numpy as jnp
    >>> key = jax.random.key(7)
    >>> y = jax.jit(fastdrop.jax.dropout)(key, jnp.ones((1000, 1000)), 0.25)
    >>> abs(float(y.mean()) - 1.0) < 0.01
    True
    """
    if late or words:
        refuse(dropout, late, words)
    data, source = words_of(key)
    x = _floats(x)
    training = check_switch("training", training)
    shared = 0
    for axis in check_axes("broadcast_dims", broadcast_dims, x.shape):
        shared |= 1 << axis
    p = _probability(p)
    if np.ndim(p):
        decided = tuple(1 if shared >> axis & 1 else n for axis, n in enumerate(x.shape))
        words = _words_of_each(p, decided, source)
        return _drop_each(data, words, x, source=source, shared=shared) if training else x
    if not training:
        return x
    if isinstance(p, jax.Array):
        return _drop_scheduled(source, shared, data, p, x)
    return drop(data, _words_of_double(p), x, source=source, shared=shared)


@public("fastdrop.jax")
def dropout_mask(
    key: jax.Array, shape: ShapeLike, p: Any = 0.5, *late: Never, **words: Never
) -> jax.Array:
    """Return the mask that `dropout` applies: True where an element is kept.

    Parameters
    ----------
    key : jax.Array
        A JAX key, as in `dropout`.
    shape : int or sequence of int
        Shape of the mask.
    p : float or array, default 0.5
        Probability of dropping an element, in [0, 1], as in `dropout`.

    Returns
    -------
    kept : jax.Array of bool
        From the key of a source, what `fastdrop.dropout_mask` draws from this source.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import fastdrop.jax
    >>> kept = fastdrop.jax.dropout_mask(fastdrop.jax.key_of(fd.Philox4x32(1)), 4, 0.5)
    >>> kept.tolist()
    [True, False, True, True]
    """
    if late or words:
        refuse(dropout_mask, late, words)
    return _decide(key, shape, p, dropped=False)


@public("fastdrop.jax")
def bernoulli(key: jax.Array, p: Any, shape: ShapeLike, *late: Never, **words: Never) -> jax.Array:
    """Return random booleans: each is True with probability ``p``.

    They are True exactly where `dropout` with the same key and p drops.

    Parameters
    ----------
    key : jax.Array
        A JAX key, as in `dropout`.
    p : float or array
        Probability of True, in [0, 1]; arrays as in `dropout`.
    shape : int or sequence of int
        Shape of the array.

    Returns
    -------
    booleans : jax.Array of bool
        From the key of a source, what `fastdrop.bernoulli` draws from this source.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import fastdrop.jax
    >>> key = fastdrop.jax.key_of(fd.Xoshiro256PlusPlus(1))
    >>> spikes = fastdrop.jax.bernoulli(key, 0.02, (100, 1000))
    >>> bool((spikes == fd.bernoulli((100, 1000), 0.02, rng=1)).all())
    True
    """
    if late or words:
        refuse(bernoulli, late, words)
    return _decide(key, shape, p, dropped=True)


# ---- arguments -----------------------------------------------------------------------------------


def _floats(x: Any) -> jax.Array:
    check_given("x", x)
    if isinstance(x, tuple):
        raise TypeError("x must be an array of floats, not a tuple")
    array = None
    if not isinstance(x, (str, bytes)):
        with contextlib.suppress(TypeError, ValueError):  # of None, of objects
            array = jnp.asarray(x)
    if array is None:
        raise TypeError(f"x must be an array of floats, not {described(x)}")
    if array.dtype not in DTYPES:
        raise TypeError(f"x must have dtype {either(map(str, DTYPES))}, not {array.dtype}")
    return array


DTYPES = tuple(
    np.dtype(dtype)
    for dtype in (
        jnp.float16,
        jnp.bfloat16,
        np.float32,
        np.float64,
        np.complex64,
        np.complex128,
    )
)


def _probability(p: Any) -> Any:
    """Return a checked float, or an array of float32 or float64 that a program may have traced."""
    if isinstance(p, np.ndarray) and p.ndim:
        return check_probabilities("p", p)
    if not isinstance(p, jax.Array):
        return check_p(p)
    if p.dtype == bool or not jnp.isrealobj(p) or not jnp.issubdtype(p.dtype, jnp.number):
        raise TypeError(f"p must be of numbers in [0, 1], not of dtype {p.dtype}")
    if not isinstance(p, jax.core.Tracer):
        return check_probabilities("p", np.asarray(p)) if p.ndim else check_p(np.asarray(p).item())
    return p if p.dtype == jnp.float64 else p.astype(jnp.float32)


def _words_of_double(p: Any) -> Any:
    """Return the two words of p as a double."""
    if not isinstance(p, jax.Array):
        return np.array(p, "<f8")[..., None].view("<u4").astype(np.uint32)
    if p.dtype == jnp.float64:
        return lax.bitcast_convert_type(p, jnp.uint32)
    word = lax.bitcast_convert_type(p, jnp.uint32)
    # The exponent has three bits more, and a bias of 1023 and not of 127; that of infinity and NaN
    # stays the largest. What is below the normal numbers becomes the smallest of them: as
    # probabilities they are the same, the least one above 0.
    exponent, magnitude = word >> 23 & 0xFF, word & 0x7FFFFFFF
    magnitude = jnp.where((exponent == 0) & (magnitude > 0), jnp.uint32(1 << 23), magnitude)
    bias = jnp.where(exponent == 0xFF, jnp.uint32(0x700 << 20), jnp.uint32(896 << 20))
    high = jnp.where(magnitude > 0, (magnitude >> 3) + bias, 0)
    return jnp.stack([magnitude << 29, high | word & jnp.uint32(1 << 31)], -1)


def _words_of_each(p: Any, decided: tuple[int, ...], source: int) -> Any:
    """Return the same of an array of p, with as many axes as the decisions have."""
    check_broadcast("p shape", p.shape, decided, "the mask")
    if source not in (PHILOX, FOLDED):
        raise TypeError(
            "p must be a number with a key of an xorshift source, not an array of shape "
            f"{p.shape}; that needs a key of fastdrop.jax.key_of(fastdrop.Philox4x32(seed)), or "
            "one of JAX's own"
        )
    words = _words_of_double(p)
    return words.reshape((1,) * (len(decided) - p.ndim) + words.shape)


@functools.partial(jax.jit, static_argnames=("source", "shared"))
def _drop_each(data: Any, words: Any, x: Any, *, source: int, shared: int) -> Any:
    """Drop by an array of p, in operations of JAX. The backward pass decides again."""
    drop_again = functools.partial(_pure.drop, source=source, shared=shared)
    return jax.checkpoint(drop_again)(data, words, x)


_decide_each = jax.jit(_pure.decide, static_argnames=("source", "shape", "dropped"))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _drop_scheduled(source: int, shared: int, data: Any, p: Any, x: Any) -> Any:
    """Drop with a traced p."""
    return drop(data, _words_of_double(p), x, source=source, shared=shared)


@_drop_scheduled.defjvp
def _drop_scheduled_jvp(source: int, shared: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    data, p, x = primals
    _, of_p, of_x = tangents
    y = _drop_scheduled(source, shared, data, p, x)
    change = drop(data, _words_of_double(p), of_x, source=source, shared=shared)
    # The scale 1 / (1 - p) has the derivative scale**2; at p = 1 nothing is multiplied.
    scale = jnp.where(p < 1, 1 / jnp.where(p < 1, 1 - p, 1), 0)
    return y, change + y * (scale * of_p).astype(y.dtype)


def _decide(key: jax.Array, shape: ShapeLike, p: Any, *, dropped: bool) -> jax.Array:
    data, source = words_of(key)
    shape = check_shape(shape)
    p = _probability(p)
    if np.ndim(p):
        words = _words_of_each(p, shape, source)
        return _decide_each(data, words, source=source, shape=shape, dropped=dropped)
    words = _words_of_double(p)
    return decide(data, words, source=source, shape=shape, dropped=dropped)
