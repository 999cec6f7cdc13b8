# SPDX-License-Identifier: BSD-3-Clause
"""Masks in operations of JAX alone, as other devices draw them: the bits of the kernels."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random123_vectors

import fastdrop as fd
from fastdrop.jax import _pure, dropout, dropout_mask, key_of
from fastdrop.jax._philox import philox
from fastdrop.jax._primitives import FOLDED, PHILOX, drop
from fastdrop.jax.functional import _words_of_double

P = 0.3
WORDS = jax.random.key_data(key_of(fd.Philox4x32(7)))
PROBABILITIES = (0.0, 5e-324, 1e-300, 1e-30, 2.0**-64, 1e-4, 0.1, 1 / 3, 0.5, 0.9, 1 - 2**-53, 1.0)


def double(p):
    return jnp.asarray(_words_of_double(p))


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_published_vectors():
    counters, keys, expected = (
        np.array(each, np.uint32).T for each in zip(*random123_vectors(), strict=True)
    )
    assert np.array_equal(jax.jit(philox)(tuple(keys), tuple(counters)), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_bits_are_those_of_the_kernels(dtype):
    x = np.random.default_rng(1).standard_normal((37, 51)).astype(jnp.dtype(dtype))
    x[0, :9] = np.inf, np.nan, -np.inf, -0.0, 1e-7, 6e4, 0.0, 1.0, 3.0
    pure = jax.jit(functools.partial(_pure.drop, source=PHILOX, shared=0))
    for p in PROBABILITIES:
        expected, _ = fd.dropout(x, p, rng=fd.Philox4x32(7))
        assert same_bits(pure(WORDS, double(p), x), expected), p


@pytest.mark.parametrize(
    ("batch", "shape", "shared", "words"),
    [((), (5, 4, 3), 0, 4), ((), (5, 4, 3), 0b101, 3), ((3, 2), (4, 5), 0b10, 2)],
)
def test_batches_shared_decisions_and_places(batch, shape, shared, words):
    """Any part of a batch of arrays, under keys of any implementation."""
    whole = (*batch, *shape)
    rng = np.random.default_rng(1)
    key = rng.integers(0, 2**32, (*batch, words), np.uint32)
    p = np.stack([_words_of_double(each) for each in rng.random(math.prod(batch))])
    p = p.reshape(*batch, 2)
    x = rng.standard_normal(whole).astype("float32")
    source = PHILOX if words == 4 else FOLDED
    expected = np.asarray(drop(key, p, x, source=source, shared=shared))
    pure = jax.jit(functools.partial(_pure.drop, source=source, shared=shared))
    assert same_bits(pure(key, p, x), expected)
    for start in (np.zeros(len(whole), int), np.array(whole) // 2):
        ends = start + (np.array(whole) + 1) // 2
        part = tuple(map(slice, start, ends))
        place = np.array([start, whole], np.uint32)
        assert same_bits(pure(key, p, x[part], place), expected[part])


def test_large_positions():
    """Of an array with more than 2**32 elements, of which a device has a few."""
    whole = (3, 2**31, 5)
    mask = fd.dropout_mask(whole, P, rng=fd.Philox4x32(7))
    start = (2, 2**31 - 9, 1)
    place = jnp.array([start, whole], jnp.uint32)
    pure = jax.jit(functools.partial(_pure.decide, source=PHILOX, shape=(1, 9, 3), dropped=False))
    found = pure(WORDS, double(P), place)
    assert same_bits(found, np.asarray(mask[2:, 2**31 - 9 :, 1:4]))


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_words(width):
    if width == 64:
        jax.config.update("jax_enable_x64", True)
    try:
        key = np.stack([WORDS, WORDS[::-1]])
        pure = functools.partial(_pure.bits, source=PHILOX, bit_width=width, shape=(3, 7))
        found = jax.jit(pure)(key)
        raw = fd.Philox4x32(7).random_raw(21).view(f"<u{width // 8}")[:21]
        assert same_bits(found[0], raw.reshape(3, 7))
        assert found.shape == (2, 3, 7)
    finally:
        jax.config.update("jax_enable_x64", False)


# ---- other devices -------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["cuda", "tpu", "rocm"])
def test_programs_for_other_devices(platform):
    """No such device is here; a program for it is made, and calls nothing of fastdrop."""
    from jax import export

    def step(words, x, p):
        y, back = jax.vjp(lambda x: dropout(words, x, p), x)
        key = key_of(fd.Philox4x32(7))
        return back(y), dropout_mask(key, (5, 6), 0.1), jax.random.uniform(key, (3,))

    program = export.export(jax.jit(step), platforms=[platform])(
        jnp.zeros(2, jnp.uint32), jnp.ones((3, 4)), jnp.float32(P)
    )
    assert "custom_call" not in program.mlir_module()


def test_xorshift_sources_are_for_cpus():
    from jax import export

    key = key_of(fd.Xoshiro256PlusPlus(7))
    with pytest.raises(NotImplementedError, match="which only CPUs have"):
        export.export(jax.jit(lambda x: dropout(key, x, P)), platforms=["cuda"])(jnp.ones(3))
