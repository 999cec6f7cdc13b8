# SPDX-License-Identifier: BSD-3-Clause
"""The modules go where Flax's own go: in training, in evaluation, under its transformations."""

import inspect

import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fastdrop.jax
from fastdrop.jax import dropout

KEY = jax.random.key(3)
X = jnp.asarray(np.random.default_rng(1).standard_normal((6, 10)).astype("float32"))


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_signatures_are_flaxs(library):
    own = getattr(fastdrop.jax, library).Dropout
    other = getattr(flax, library).Dropout
    assert issubclass(own, other)
    for method in ("__init__", "__call__"):
        found, expected = (
            [(name, each.default, each.kind) for name, each in of.items()]
            for of in (inspect.signature(getattr(cls, method)).parameters for cls in (own, other))
        )
        assert found == expected


# ---- linen ---------------------------------------------------------------------------------------


def linen_model(dropout):
    class Model(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, x, train):
            x = flax.linen.Dense(8)(x)
            x = dropout.Dropout(0.5, broadcast_dims=(0,))(x, deterministic=not train)
            return dropout.Dropout(0.25, deterministic=not train)(x)

    return Model()


def test_linen_takes_the_place_of_flaxs():
    """Of the same names: so keys and parameters are the same, and masks follow from the keys."""
    model, other = linen_model(fastdrop.jax.linen), linen_model(flax.linen)
    variables = model.init(KEY, X, train=False)
    assert jax.tree.all(jax.tree.map(same, variables, other.init(KEY, X, train=False)))
    assert same(model.apply(variables, X, train=False), other.apply(variables, X, train=False))
    with pytest.raises(flax.errors.InvalidRngError):
        model.apply(variables, X, train=True)

    @jax.jit
    def loss(variables, key):
        return (model.apply(variables, X, train=True, rngs={"dropout": key}) ** 2).mean()

    assert float(loss(variables, KEY)) == float(loss(variables, KEY))
    assert float(loss(variables, KEY)) != float(loss(variables, jax.random.key(4)))
    gradients = jax.grad(loss)(variables, KEY)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_linen_takes_a_key():
    layer = fastdrop.jax.linen.Dropout(0.5, deterministic=False)
    assert same(layer.apply({}, X, rng=KEY), dropout(KEY, X, 0.5))
    for rate, expected in ((0.0, X), (1.0, X * 0)):
        layer = fastdrop.jax.linen.Dropout(rate, deterministic=False)
        assert same(layer.apply({}, X), expected)


# ---- nnx -----------------------------------------------------------------------------------------


class Model(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(10, 8, rngs=rngs)
        self.dropout = fastdrop.jax.nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(self.linear(x))


def test_nnx_draws_new_masks_and_obeys_eval():
    model = Model(nnx.Rngs(0))
    call = nnx.jit(lambda model, x: model(x))
    first, second = call(model, X), call(model, X)
    assert not same(first, second)
    again = Model(nnx.Rngs(0))
    assert same(call(again, X), first)
    model.eval()
    assert same(model(X), model.linear(X))
    model.train()
    gradients = nnx.grad(lambda model: (model(X) ** 2).mean())(model)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_nnx_takes_keys_in_every_form():
    layer = fastdrop.jax.nnx.Dropout(0.5)
    assert same(layer(X, rngs=KEY), dropout(KEY, X, 0.5))
    key = nnx.Rngs(dropout=5).dropout()
    assert same(layer(X, rngs=nnx.Rngs(dropout=5)), dropout(key, X, 0.5))
    assert same(layer(X, rngs=nnx.Rngs(dropout=5).dropout), dropout(key, X, 0.5))
    assert layer(X, deterministic=True) is X
    for rate, expected in ((0.0, X), (1.0, X * 0)):
        assert same(fastdrop.jax.nnx.Dropout(rate)(X), expected)
    with pytest.raises(ValueError, match="rngs must be an Rngs, not None: give it"):
        layer(X)
    with pytest.raises(ValueError, match=r"deterministic must be .*, not None"):
        fastdrop.jax.nnx.Dropout(0.5, deterministic=None)(X)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'haiku'"):
        fastdrop.jax.haiku  # noqa: B018


def test_switches_and_rates_are_checked():
    key, x = jax.random.key(1), jnp.ones(8)

    def by_linen(rate=0.5, **options):
        layer = fastdrop.jax.linen.Dropout(rate, **options)
        return layer.apply({}, x, rngs={"dropout": key})

    def by_nnx(rate=0.5, **options):
        return fastdrop.jax.nnx.Dropout(rate, **options, rngs=nnx.Rngs(0))(x)

    for call in (by_linen, by_nnx):
        for wrong in ("no", 1, jnp.array(True)):
            with pytest.raises(TypeError, match=r"^deterministic must be True or False, not "):
                call(deterministic=wrong)
        for wrong in (True, "0.5", None):
            with pytest.raises(TypeError, match=r"^rate must be a number in \[0, 1\], not "):
                call(wrong, deterministic=False)
        with pytest.raises(ValueError, match=r"^rate must be a number in \[0, 1\], not 2"):
            call(2, deterministic=False)
        assert (call(deterministic=np.True_) == x).all()
    with pytest.raises(TypeError, match=r"^rngs must be an Rngs, an RngStream or a key, not 'a'"):
        fastdrop.jax.nnx.Dropout(0.5)(x, rngs="a")
