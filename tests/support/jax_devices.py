# SPDX-License-Identifier: BSD-3-Clause
"""What several devices must agree on; run in a process that has them: see test_jax_sharding.py."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import fastdrop as fd
from fastdrop.jax import bernoulli, dropout, dropout_mask, key_of

SHAPE = (8, 12, 4)
KEY = key_of(fd.Philox4x32(7))
X = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
SPECS = {
    2: [P("a"), P(None, "a"), P(None, None, "a"), P()],
    4: [P("a"), P(("b", "a")), P("b", None, "a"), P("a", "b"), P(None, ("a", "b")), P()],
}


def mesh():
    devices = np.array(jax.devices())
    return Mesh(devices.reshape(2, -1), ("a", "b"))


def cuts(spec):
    return NamedSharding(mesh(), spec)


def every_sharding():
    return SPECS[len(jax.devices())]


def is_local(function, *arguments):
    """Whether no device sends anything to another."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    return not any(name in text for name in ("all-gather", "all-to-all", "collective", "all-red"))


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


# ---- the mask of the whole array -----------------------------------------------------------------


def dropout_does_not_depend_on_the_sharding():
    for source in (fd.Philox4x32, fd.Xoshiro256PlusPlus):
        key = key_of(source(7))
        for dims in ((), (1,), (0, 2)):
            expected = fd.dropout(X, 0.3, rng=source(7), broadcast_axes=dims)[0]

            def drop(key, x, dims=dims):
                return dropout(key, x, 0.3, broadcast_dims=dims)

            for spec in every_sharding():
                x = jax.device_put(X, cuts(spec))
                y = jax.jit(drop)(key, x)
                assert same(y, expected), (source, dims, spec)
                assert y.sharding.is_equivalent_to(x.sharding, x.ndim)
                assert is_local(drop, key, x), spec
                if source is fd.Philox4x32 and not dims:
                    assert same(dropout(key, x, 0.3), expected)


def gradients_do_not_either():
    def loss(x):
        return (dropout(KEY, x, 0.3) ** 3).sum()

    expected = jax.grad(loss)(X)
    for spec in every_sharding():
        found = jax.jit(jax.grad(loss))(jax.device_put(X, cuts(spec)))
        assert np.allclose(found, expected)
        assert found.sharding.is_equivalent_to(cuts(spec), 3)


def batches_do_not_either():
    keys = jax.random.split(KEY, SHAPE[0])

    def drop(keys, x):
        return jax.vmap(lambda key, x: dropout(key, x, 0.3, broadcast_dims=(1,)))(keys, x)

    def drop_all(x):
        return jax.vmap(lambda x: dropout(KEY, x, 0.3), 1)(x)

    expected, of_one_key = drop(keys, X), drop_all(X)
    for spec in every_sharding():
        x = jax.device_put(X, cuts(spec))
        assert same(jax.jit(drop)(keys, x), expected), spec
        assert same(jax.jit(drop_all)(x), of_one_key), spec
    cut = jax.device_put(keys, cuts(P("a")))
    assert same(jax.jit(drop)(cut, jax.device_put(X, cuts(P("a")))), expected)


def masks_do_not_either():
    kept = np.asarray(fd.dropout_mask(SHAPE, 0.3, rng=fd.Philox4x32(7)))
    for spec in every_sharding():
        draw = jax.jit(lambda key: dropout_mask(key, SHAPE, 0.3), out_shardings=cuts(spec))
        assert same(draw(KEY), kept), spec
        draw = jax.jit(lambda key: bernoulli(key, 0.3, SHAPE), out_shardings=cuts(spec))
        assert same(draw(KEY), ~kept), spec
        text = draw.lower(KEY).compile().as_text()
        assert f"pred[{','.join(map(str, cuts(spec).shard_shape(SHAPE)))}]" in text


def a_training_step_does_not_either():
    """Samples along one axis of the mesh, and columns of the weights along the other one."""
    weight = np.random.default_rng(2).standard_normal((16, 8)).astype("float32")
    rows = np.random.default_rng(3).standard_normal((8, 16)).astype("float32")

    def loss(weight, rows):
        return (dropout(KEY, jnp.tanh(rows @ weight), 0.3) ** 2).sum()

    expected = jax.grad(loss)(weight, rows)
    found = jax.jit(jax.grad(loss))(
        jax.device_put(weight, cuts(P(None, "b"))), jax.device_put(rows, cuts(P("a")))
    )
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5)


def arrays_of_p_do_not_either():
    """A number for each element, column or sample, in the program or given to it, cut or whole."""
    for shape in (SHAPE, (12, 1), (8, 1, 1), (4,)):
        p = np.random.default_rng(4).uniform(0, 1, shape).astype("float32")
        expected = fd.dropout(X, p, rng=fd.Philox4x32(7))[0]
        kept = np.asarray(fd.dropout_mask(SHAPE, p, rng=fd.Philox4x32(7)))

        def drop(x, p):
            return dropout(KEY, x, p)

        def loss(x, p):
            return dropout(KEY, x, p).sum()

        for spec in every_sharding():
            x = jax.device_put(X, cuts(spec))
            assert same(jax.jit(drop)(x, p), expected), (shape, spec)
            assert same(jax.jit(lambda x, p=p: dropout(KEY, x, p))(x), expected), (shape, spec)
            assert jax.jit(drop)(x, p).sharding.is_equivalent_to(x.sharding, x.ndim)
            assert is_local(drop, x, p), (shape, spec)
            if shape == SHAPE:
                cut = jax.device_put(p, cuts(spec))
                assert same(jax.jit(drop)(x, cut), expected), spec
                assert is_local(drop, x, cut), spec
                found = jax.jit(jax.grad(loss))(x, p)
                assert same(found, fd.dropout(np.ones_like(X), p, rng=fd.Philox4x32(7))[0])
                draw = jax.jit(lambda p: dropout_mask(KEY, SHAPE, p), out_shardings=cuts(spec))
                assert same(draw(p), kept), (shape, spec)
                draw = jax.jit(lambda p: bernoulli(KEY, p, SHAPE), out_shardings=cuts(spec))
                assert same(draw(p), ~kept), (shape, spec)
    p = np.random.default_rng(5).uniform(0, 1, (8, 1, 4)).astype("float32")
    expected = fd.dropout(X, p, rng=fd.Philox4x32(7), broadcast_axes=1)[0]
    for spec in every_sharding():
        x = jax.device_put(X, cuts(spec))
        found = jax.jit(lambda x, p: dropout(KEY, x, p, broadcast_dims=1))(x, p)
        assert same(found, expected), spec


# ---- where a program says itself what each device does -------------------------------------------


def shard_map_is_local():
    """Each device sees its part alone, as a whole array; the devices differ by their keys."""
    shard_map = jax.shard_map if hasattr(jax, "shard_map") else None
    if shard_map is None:
        from jax.experimental.shard_map import shard_map
    count = len(jax.devices())
    line = Mesh(np.array(jax.devices()), ("a",))
    keys = jax.random.split(KEY, count)
    parts = np.split(X, count)

    def one_key(key, x):
        return dropout(key, x, 0.3)

    def own_key(keys, x):
        return dropout(keys[0], x, 0.3)

    f = jax.jit(shard_map(one_key, mesh=line, in_specs=(P(), P("a")), out_specs=P("a")))
    assert same(f(KEY, X), np.concatenate([one_key(KEY, part) for part in parts]))
    g = jax.jit(shard_map(own_key, mesh=line, in_specs=(P("a"), P("a")), out_specs=P("a")))
    expected = np.concatenate([one_key(*each) for each in zip(keys, parts, strict=True)])
    assert same(g(keys, X), expected)
    # The key varies and x does not: so the result does, and the gradient is summed.
    h = jax.jit(shard_map(own_key, mesh=line, in_specs=(P("a"), P()), out_specs=P("a")))
    assert same(h(keys, parts[0]), np.concatenate([one_key(key, parts[0]) for key in keys]))
    ones = jnp.ones_like(parts[0])
    found = jax.grad(lambda x: h(keys, x).sum())(parts[0])
    assert np.allclose(found, sum(one_key(key, ones) for key in keys))
    found = jax.grad(lambda x: g(keys, x).sum())(X)
    assert same(found, np.concatenate([one_key(key, ones) for key in keys]))

    def masks(keys):
        return dropout_mask(keys[0], (5,), 0.3)

    drawn = jax.jit(shard_map(masks, mesh=line, in_specs=P("a"), out_specs=P("a")))(keys)
    assert same(drawn, np.concatenate([dropout_mask(key, (5,), 0.3) for key in keys]))


def pmap_is_local():
    count = len(jax.devices())
    keys = jax.random.split(KEY, count)
    x = X.reshape(count, -1)
    found = jax.pmap(lambda key, x: dropout(key, x, 0.3))(keys, x)
    assert same(found, [dropout(key, part, 0.3) for key, part in zip(keys, x, strict=True)])
    found = jax.pmap(lambda key, x: dropout(key, x, 0.3), in_axes=(None, 0))(KEY, x)
    assert same(found, [dropout(KEY, part, 0.3) for part in x])


CHECKS = {
    function.__name__: function
    for function in (
        dropout_does_not_depend_on_the_sharding,
        gradients_do_not_either,
        batches_do_not_either,
        masks_do_not_either,
        a_training_step_does_not_either,
        shard_map_is_local,
        pmap_is_local,
    )
}

# These compile some dozens of programs.
SLOW = {"arrays_of_p_do_not_either": arrays_of_p_do_not_either}

if __name__ == "__main__":
    assert len(jax.devices()) == int(sys.argv[1])
    for name, check in (SLOW if "slow" in sys.argv else CHECKS).items():
        check()
        print(name)
