# SPDX-License-Identifier: BSD-3-Clause
"""Keys whose implementation is a source of fastdrop, and what other keys stand for.

The four words (w0, w1, w2, w3) of such a key are an identity of the stream contract: key (w0, w1)
and counter (0, 0, w2, w3). Child i of `split` is philox(key ^ "fd:split"; (i, 0, w2, w3)), and the
key of `fold_in` with data d is philox(key ^ "fd:foldi"; (d, 0, w2, w3)).
"""

import functools
from collections.abc import Hashable
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np

import fastdrop as fd
from fastdrop._checks import check_given, kind_of, shown
from fastdrop._words import public
from fastdrop.jax._philox import philox, tagged
from fastdrop.jax._primitives import FOLDED, draw_bits
from fastdrop.jax._seeds import identity_of_seed

__all__ = ["key_of", "prng_impl", "words_of"]

# The classes, by their index in C.
SOURCES: tuple[type[fd.Source], ...] = (fd.Philox4x32, fd.Xoshiro256PlusPlus, fd.Xorshift128Plus)
WORDS = 4


@functools.partial(jax.jit, static_argnums=1)
def _split(key: Any, shape: tuple[int, ...]) -> Any:
    child = jnp.arange(np.prod(shape, dtype=int), dtype=jnp.uint32).reshape(shape)
    return jnp.stack(philox(tagged(key, "fd:split"), _counter(key, child)), -1)


@jax.jit
def _fold_in(key: Any, data: Any) -> Any:
    return jnp.stack(philox(tagged(key, "fd:foldi"), _counter(key, data)), -1)


def _counter(key: Any, first: Any) -> tuple[Any, Any, Any, Any]:
    zero = jnp.zeros_like(first)
    return first, zero, zero + key[2], zero + key[3]


@functools.cache
def _implementation(index: int) -> Hashable:
    """Return the implementation of keys that draw from the source with that index."""
    name = SOURCES[index].__name__

    def random_bits(key: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
        return draw_bits(key, index, bit_width, shape)

    implementation: Hashable = jax.extend.random.define_prng_impl(
        key_shape=(WORDS,),
        seed=jax.jit(identity_of_seed),
        split=_split,
        random_bits=random_bits,
        fold_in=_fold_in,
        name=f"fastdrop_{name.lower()}",
        tag=f"fd{index}",
    )
    return implementation


@public("fastdrop.jax")
def prng_impl() -> Hashable:
    """Return an implementation of JAX's keys: all of ``jax.random`` from the kernels, on CPUs.

    ``jax.random.key(seed, impl=prng_impl())`` is the stream of a `fastdrop.Xoshiro256PlusPlus` of
    this seed. The key's four words are its identity. On other devices such keys can be split, but
    they draw nothing.

    Returns
    -------
    impl : hashable
        For `jax.random.key` and `jax.random.wrap_key_data`. The option ``jax_default_prng_impl``
        takes JAX's own names only.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import fastdrop.jax
    >>> import jax
    >>> key = jax.random.key(7, impl=fastdrop.jax.prng_impl())
    >>> [int(word) for word in jax.random.bits(key, 2, "uint32")]
    [3014217464, 1122177587]
    """
    return _implementation(SOURCES.index(fd.Xoshiro256PlusPlus))


@public("fastdrop.jax")
def key_of(source: fd.Source) -> jax.Array:
    """Return the JAX key that draws what a source of fastdrop draws from its start.

    Parameters
    ----------
    source : Source
        One of the package's own, at position 0. Its class is the algorithm. It does not advance.

    Returns
    -------
    key : jax.Array
        For the functions of `fastdrop.jax`, and for those of ``jax.random``.

    Raises
    ------
    TypeError
        If source is none of these.
    ValueError
        If it has advanced, or the low half of its counter is not 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import fastdrop.jax
    >>> key = fastdrop.jax.key_of(fd.Philox4x32(7))
    >>> kept = fastdrop.jax.dropout_mask(key, (2, 3), 0.5)
    >>> bool((kept == fd.dropout_mask((2, 3), 0.5, rng=fd.Philox4x32(7)).__array__()).all())
    True
    """
    if type(source) not in SOURCES:
        names = ", ".join(cls.__name__ for cls in SOURCES)
        raise TypeError(f"source must be a source of fastdrop ({names}), not {shown(source)}")
    if source.position or any(source.counter[:2]):
        raise ValueError(
            f"source has position {source.position} and counter {source.counter}; a key needs "
            "position 0 and a counter that starts with two zeros"
        )
    words = np.array([*source.key, *source.counter[2:]], np.uint32)
    key: jax.Array = jax.random.wrap_key_data(
        words, impl=_implementation(SOURCES.index(type(source)))
    )
    return key


def words_of(key: object) -> tuple[Any, int]:
    """Return the words of a key, and the index of its source, or that they are to be folded."""
    check_given("key", key)
    if isinstance(key, (int, np.integer, fd.Source)):
        raise TypeError(
            "key must be a JAX key, as of jax.random.key or "
            f"fastdrop.jax.key_of(fastdrop.Philox4x32(seed)), not {shown(key)}"
        )
    if isinstance(key, np.ndarray):
        key = jnp.asarray(key)
    if not isinstance(key, jax.Array):
        raise TypeError(f"key must be a JAX key, not {kind_of(key)}")
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.ndim:
            raise ValueError(
                f"key must be one key, not of shape {key.shape}: use jax.vmap for more"
            )
        return jax.random.key_data(key).reshape(-1), _index_of(key)
    if key.dtype != jnp.uint32 or key.ndim != 1 or key.size == 0:
        raise TypeError(
            "key, the first argument, must be a JAX key, as of jax.random.key or "
            f"jax.random.PRNGKey, not an array of {key.dtype} and shape {key.shape}"
        )
    return key, FOLDED


def _index_of(key: jax.Array) -> int:
    implementation = jax.random.key_impl(key)
    for index in range(len(SOURCES)):
        if implementation == _implementation(index):
            return index
    return FOLDED
