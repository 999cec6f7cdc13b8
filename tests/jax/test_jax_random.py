# SPDX-License-Identifier: BSD-3-Clause
"""All of jax.random from the kernels: streams are those of the sources, and keys make keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastdrop as fd
from fastdrop.jax import dropout_mask, key_of, prng_impl

KEY = key_of(fd.Xoshiro256PlusPlus(7))


def words(key):
    return np.asarray(jax.random.key_data(key)).tolist()


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_seeds_are_numpys(seed):
    assert words(jax.random.key(seed, impl=prng_impl())) == words(
        key_of(fd.Xoshiro256PlusPlus(seed))
    )
    expected = np.random.SeedSequence(seed).generate_state(4).tolist()
    assert words(jax.jit(lambda seed: jax.random.key(seed, impl=prng_impl()))(seed)) == expected


def test_a_seed_of_two_words():
    jax.config.update("jax_enable_x64", True)
    try:
        found = words(jax.random.key(2**40 + 5, impl=prng_impl()))
    finally:
        jax.config.update("jax_enable_x64", False)
    assert found == np.random.SeedSequence(2**40 + 5).generate_state(4).tolist()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_words_are_those_of_the_stream(source_class, dtype):
    """Of lengths that end within a step, and beyond what one thread makes."""
    key = key_of(source_class(7))
    for shape in ((), (5,), (3, 7), (100_003,), (0,)):
        found = np.asarray(jax.random.bits(key, shape, dtype))
        bytes_ = source_class(7).random_raw(found.nbytes // 8 + 1).view("u1")[: found.nbytes]
        assert found.shape == shape
        assert found.tobytes() == bytes_.tobytes()


def philox(key, counter, tag):
    low, high = np.frombuffer(tag, "<u4")
    source = fd.Philox4x32(key=(key[0] ^ low, key[1] ^ high), counter=counter)
    return source.random_raw(2).view("<u4").tolist()


def test_the_rules_of_split_and_fold_in():
    w = words(KEY)
    children = jax.random.split(KEY, (2, 3))
    expected = [philox(w, (i, 0, w[2], w[3]), b"fd:split") for i in range(6)]
    assert words(children.reshape(-1)) == expected
    assert words(jax.random.split(KEY)) == expected[:2]
    assert words(jax.random.fold_in(KEY, 9)) == philox(w, (9, 0, w[2], w[3]), b"fd:foldi")
    folded = jax.jit(jax.vmap(lambda i: jax.random.fold_in(KEY, i)))(jnp.arange(3, dtype="uint32"))
    assert words(folded) == [philox(w, (i, 0, w[2], w[3]), b"fd:foldi") for i in range(3)]


def test_keys_are_keys():
    assert jax.random.key_impl(KEY) == prng_impl()
    assert jnp.issubdtype(KEY.dtype, jax.dtypes.prng_key)
    assert hash(prng_impl()) == hash(prng_impl())
    again = jax.random.wrap_key_data(jax.random.key_data(KEY), impl=prng_impl())
    assert np.array_equal(dropout_mask(again, (9,)), dropout_mask(KEY, (9,)))


def test_distributions():
    n = 200_000
    key = jax.random.key(1, impl=prng_impl())
    uniform, normal, booleans, integers, order = (
        jax.random.uniform(key, (n,)),
        jax.random.normal(key, (n,)),
        jax.random.bernoulli(key, 0.2, (n,)),
        jax.random.randint(key, (n,), 0, 10),
        jax.random.permutation(key, 1000),
    )
    assert 0 <= uniform.min() < 1e-4
    assert 1 - 1e-4 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.005
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs(booleans.mean() - 0.2) < 0.005
    assert np.allclose(np.bincount(integers) / n, 0.1, atol=0.005)
    assert np.array_equal(np.sort(order), np.arange(1000))


def test_a_batch_of_keys():
    keys = jax.random.split(KEY, 4)
    found = jax.jit(jax.vmap(lambda key: jax.random.bits(key, (50,), "uint8")))(keys)
    assert np.array_equal(found, [jax.random.bits(key, (50,), "uint8") for key in keys])


def test_levels_and_threads_agree(level):
    expected = fd.Xoshiro256PlusPlus(7).random_raw(2**17)
    for threads in (1, 3):
        fd.set_num_threads(threads)
        found = np.asarray(jax.random.bits(KEY, (2**18,), "uint32"))
        assert found.tobytes() == expected.tobytes()
