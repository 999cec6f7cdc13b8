# SPDX-License-Identifier: BSD-3-Clause
"""JAX arrays have the bits of NumPy's arrays, and arguments are checked."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import signatures
from hypothesis import given, settings
from hypothesis import strategies as st

import fastdrop as fd
import fastdrop.jax
from fastdrop.jax import bernoulli, dropout, dropout_mask, key_of

SOURCES = (fd.Xoshiro256PlusPlus, fd.Xorshift128Plus, fd.Philox4x32)
PROBABILITIES = (0.0, 1e-30, 1e-4, 0.1, 1 / 3, 0.5, 0.9, 1 - 2**-53, 1.0)
DTYPES = ("float16", "bfloat16", "float32", "complex64")
KEY = key_of(fd.Philox4x32(7))


def numbers(shape, dtype="float32"):
    """Numbers of a dtype, of which some are not finite."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    if "complex" in dtype:
        x = x + 1j * rng.standard_normal(shape)
    if x.size:
        x[rng.random(shape) < 0.1] = np.inf
        x[rng.random(shape) < 0.1] = np.nan
    return np.asarray(x).astype(jnp.dtype(dtype))


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (63,), (257, 129), (3, 0)])
def test_bits_are_numpys(source_class, shape):
    x, key = numbers(shape), key_of(source_class(5))
    for p in PROBABILITIES:  # one program serves all
        y, mask = fd.dropout(x, p, rng=source_class(5))
        assert same_bits(dropout(key, x, p), y)
        assert same_bits(dropout_mask(key, shape, p), np.asarray(mask))
        assert same_bits(bernoulli(key, p, shape), fd.bernoulli(shape, p, rng=source_class(5)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(source_class, dtype):
    x = numbers((100, 30), dtype)
    expected = fd.dropout(x, 0.3, rng=source_class(5))[0]
    assert same_bits(jax.jit(dropout, static_argnums=2)(key_of(source_class(5)), x, 0.3), expected)


def test_large(source_class):
    """Larger than what one thread does, and than the caches."""
    x = np.ones(2**22 + 3, np.float32)
    for threads in (1, 3):
        fd.set_num_threads(threads)
        expected = fd.dropout(x, 0.1, rng=source_class(5))[0]
        assert same_bits(dropout(key_of(source_class(5)), x, 0.1), expected)


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5).flatmap(
        lambda shape: st.tuples(
            st.just(tuple(shape)), st.sets(st.integers(-len(shape), len(shape) - 1))
        )
    ),
    st.sampled_from(SOURCES),
)
def test_broadcast_dims(case, source):
    shape, dims = case
    if len({dim % len(shape) for dim in dims}) != len(dims):
        return
    x = numbers(shape)
    expected = fd.dropout(x, 0.4, rng=source(5), broadcast_axes=tuple(dims))[0]
    assert same_bits(dropout(key_of(source(5)), x, 0.4, broadcast_dims=tuple(dims)), expected)


def test_a_traced_p(source_class):
    """A schedule has p of float32; it decides as the same number does in NumPy."""
    x, key = numbers((40, 50)), key_of(source_class(5))
    drop, draw = jax.jit(dropout), jax.jit(dropout_mask, static_argnums=1)
    for p in map(np.float32, [*PROBABILITIES, 1e-42, 1 - 2**-24]):
        expected, mask = fd.dropout(x, p, rng=source_class(5))
        assert same_bits(drop(key, x, p), expected)
        assert same_bits(draw(key, (40, 50), p), np.asarray(mask))
    assert same_bits(drop(key, x, jnp.bfloat16(0.5)), dropout(key, x, 0.5))


def test_integers_may_be_a_traced_p():
    x = np.ones(100, np.float32)
    assert same_bits(jax.jit(dropout)(KEY, x, 0), x)
    assert same_bits(jax.jit(dropout)(KEY, x, 1), np.zeros_like(x))


def test_levels_agree(level):
    x = numbers((100, 30))
    y = fd.dropout(x, 0.1, rng=fd.Philox4x32(7))[0]
    assert same_bits(dropout(KEY, x, 0.1), y)


def test_not_in_training():
    x = jnp.ones(3)
    assert dropout(KEY, x, 0.5, training=False) is x


def test_keys_of_jax():
    """Any implementation serves, and the bits follow from its words alone."""
    masks = []
    for name in ("threefry2x32", "rbg", "unsafe_rbg"):
        key = jax.random.key(3, impl=name)
        mask = dropout_mask(key, (1000,), 0.5)
        assert abs(mask.mean() - 0.5) < 0.1
        assert same_bits(dropout_mask(jax.random.key_data(key), (1000,), 0.5), mask)
        masks.append(np.asarray(mask).tobytes())
    assert masks[0] != masks[1] == masks[2]  # the last two have the same words
    for other in jax.random.split(jax.random.key(3), 3):
        assert np.asarray(dropout_mask(other, (1000,), 0.5)).tobytes() not in masks


def philox(key, counter, tag):
    low, high = np.frombuffer(tag, "<u4")
    source = fd.Philox4x32(key=(key[0] ^ low, key[1] ^ high), counter=counter)
    return source.random_raw(2).view("<u4").tolist()


@pytest.mark.parametrize("words", [(1, 2), (3, 4, 5, 6), (7, 8, 9)])
def test_the_rule_of_folding(words):
    folded = [len(words), 0, 0, 0]
    for i in range(0, len(words), 2):
        pair = (*words, 0)[i : i + 2]
        folded = philox(pair, folded, b"fd:jaxky")
    source = fd.Philox4x32(key=folded[:2], counter=(0, 0, *folded[2:]))
    expected = fd.dropout_mask((100,), 0.3, rng=source)
    assert same_bits(dropout_mask(np.array(words, np.uint32), (100,), 0.3), np.asarray(expected))


def test_frozen():
    """Of keys of JAX: a change is a new version of the rule."""
    kept = dropout_mask(jax.random.key(42), (64,), 0.25)
    assert np.packbits(np.asarray(kept), bitorder="little").tobytes().hex() == "967b5febfe8afbd1"


# ---- keys of sources -----------------------------------------------------------------------------


def test_key_of(source_class):
    source = source_class(5).jumped(3)
    expected = fd.dropout_mask((100,), 0.3, rng=source)
    source.position = 0
    assert same_bits(dropout_mask(key_of(source), (100,), 0.3), np.asarray(expected))
    assert source.position == 0
    child = source_class(5).spawn(1)[0]
    mask = dropout_mask(key_of(child), (100,), 0.3)
    assert same_bits(mask, np.asarray(fd.dropout_mask((100,), 0.3, rng=child)))


def test_key_of_refuses():
    with pytest.raises(TypeError, match=r"source must be .*\(Philox4x32.*, not 3"):
        key_of(3)
    with pytest.raises(TypeError, match="must be a source of fastdrop"):
        key_of(fd.NumPySource(np.random.PCG64(1)))
    source = fd.Philox4x32(3)
    source.position = 5
    with pytest.raises(ValueError, match="source has position 5 and counter"):
        key_of(source)
    with pytest.raises(ValueError, match=r"counter \(1, 0, 0, 0\)"):
        key_of(fd.Philox4x32(key=(1, 2), counter=(1, 0, 0, 0)))


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [3, np.int64(3), True, fd.Philox4x32(3)])
def test_a_seed_is_no_key(key):
    for call in (
        lambda: dropout(key, jnp.ones(3)),
        lambda: dropout_mask(key, (3,)),
        lambda: bernoulli(key, 0.5, (3,)),
    ):
        with pytest.raises(TypeError, match=r"key must be a JAX key.*fastdrop\.jax\.key_of"):
            call()


def test_refusals():
    x = jnp.ones(3)
    with pytest.raises(TypeError, match="key must be a JAX key, not None"):
        dropout(None, x)
    with pytest.raises(TypeError, match=r"key, the first argument, must .* float32 and shape"):
        dropout(x, x)
    with pytest.raises(ValueError, match=r"key must be one key, not of shape \(2,\)"):
        dropout(jax.random.split(jax.random.key(1)), x)
    with pytest.raises(TypeError, match=r"x must have dtype float16, bfloat16, .*, not int32"):
        dropout(KEY, jnp.arange(3))
    with pytest.raises(TypeError, match="x must be an array of floats, not a tuple"):
        dropout(KEY, (x, x))
    with pytest.raises(TypeError, match="training must be True or False"):
        dropout(KEY, x, training="yes")
    with pytest.raises(ValueError, match="broadcast_dims"):
        dropout(KEY, x, broadcast_dims=1)
    for p in (1.5, -0.1, float("nan"), jnp.float32(1.5)):
        with pytest.raises(ValueError, match="p must be "):
            dropout(KEY, x, p)
        with pytest.raises(ValueError, match="p must be "):
            dropout_mask(KEY, 3, p)
    for p in ("0.5", jnp.array(True), jnp.array(1j), np.ones(3, bool), jnp.ones(3, bool)):
        with pytest.raises(TypeError, match="p must be "):
            dropout(KEY, x, p)
    with pytest.raises(TypeError, match=r"^dropout\(\) .* rate=0\.5: it is called p here"):
        dropout(KEY, x, rate=0.5)
    with pytest.raises(TypeError, match=r"by name \(broadcast_dims, training\)"):
        dropout(KEY, x, 0.5, (0,))


# ---- an array of p -------------------------------------------------------------------------------

X = numbers((5, 3, 4))
EACH = np.array([0.1, 1 / 3, 0.9, 1.0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [EACH, EACH.reshape(4)[:3, None].astype("float32"), EACH[:1]])
def test_an_array_of_p_is_that_of_arrays(dtype, p):
    x = numbers((5, 3, 4), dtype)
    expected, mask = fd.dropout(x, p, rng=fd.Philox4x32(7))
    assert same_bits(dropout(KEY, x, p), expected)
    assert same_bits(dropout_mask(KEY, x.shape, p), mask)
    assert same_bits(bernoulli(KEY, p, x.shape), ~np.asarray(mask))
    p = p.astype("float32")
    expected, _ = fd.dropout(x, p, rng=fd.Philox4x32(7))
    for function in (dropout, jax.jit(dropout)):
        assert same_bits(function(KEY, x, jnp.asarray(p)), expected)


def test_an_array_of_p_and_shared_decisions():
    p = EACH[:3, None]
    expected, _ = fd.dropout(X, p, rng=fd.Philox4x32(7), broadcast_axes=(0, 2))
    assert same_bits(dropout(KEY, X, p, broadcast_dims=(0, 2)), expected)


def test_derivatives_with_an_array_of_p():
    """With respect to x alone. The pass back decides again."""
    p = jnp.asarray(EACH, jnp.float32)

    def f(x, p):
        return (dropout(KEY, x, p) * 3).sum()

    x = jnp.ones((5, 3, 4))
    expected = dropout(KEY, 3 * x, p)
    of_x, of_p = jax.grad(f, argnums=(0, 1))(x, p)
    assert same_bits(of_x, expected) and not of_p.any()
    assert same_bits(jax.jvp(lambda x: dropout(KEY, x, p), (x,), (3 * x,))[1], expected)
    batches = jax.vmap(lambda x, p: dropout(KEY, x, p))(x, jnp.stack([p] * 5))
    assert all(same_bits(batch, dropout(KEY, x[0], p)) for batch in batches)


def test_wrong_arrays_of_p():
    for wrong, error, match in (
        (EACH * 2, ValueError, r"p\[2\] must be a number in \[0, 1\], not 1\.8"),
        (jnp.asarray(EACH) * 2, ValueError, r"p\[2\] must be a number in \[0, 1\], not 1\.79"),
        (np.ones(7), ValueError, r"p shape \(7,\) does not broadcast to the mask's shape"),
    ):
        with pytest.raises(error, match=match):
            dropout(KEY, X, wrong)
        with pytest.raises(error, match=match):
            dropout_mask(KEY, X.shape, wrong)
    with pytest.raises(TypeError, match="p must be a number with a key of an xorshift source"):
        dropout(key_of(fd.Xoshiro256PlusPlus(7)), X, EACH)


@pytest.mark.parametrize("p", [1.5, -1e-9, float("nan"), float("inf"), -float("inf")])
def test_a_traced_p_out_of_range(p):
    """The program tells when it runs; no number is changed silently."""
    with pytest.raises(RuntimeError, match=r"fastdrop: p must be in \[0, 1\], not"):
        jax.block_until_ready(jax.jit(dropout)(KEY, jnp.ones(3), p))
    with pytest.raises(RuntimeError, match="fastdrop: p must be"):
        jax.block_until_ready(jax.jit(dropout_mask, static_argnums=1)(KEY, (3,), p))


@pytest.mark.skipif(not signatures.PAGE.exists(), reason="the documentation is not here")
def test_signatures_are_those_of_the_table():
    names = ["bernoulli", "dropout", "dropout_mask", "key_of", "prng_impl", "register"]
    assert signatures.found(fastdrop.jax, names) == signatures.written("fastdrop.jax.")


def test_examples():
    """Those of the functions, which say that they are of the package."""
    found = doctest.testmod(fastdrop.jax)
    assert found.attempted > 15
    assert found.failed == 0


def test_what_is_no_array_and_what_is_missing():
    key = jax.random.key(1)
    for wrong in (None, "a", object(), np.array([None])):
        with pytest.raises(TypeError, match=r"^x must be an array of floats, not ") as caught:
            dropout(key, wrong)
        assert "\n" not in str(caught.value)
    for call, name in ((dropout, "key"), (lambda: dropout(key), "x")):
        with pytest.raises(TypeError, match=f"^{name} must be given; it is missing$"):
            call()
