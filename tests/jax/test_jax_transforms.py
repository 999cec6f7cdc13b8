# SPDX-License-Identifier: BSD-3-Clause
"""Every transformation of JAX gives what the function without it gives."""

import contextlib
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import fastdrop as fd
from fastdrop.jax import bernoulli, dropout, dropout_mask, key_of

KEY = key_of(fd.Philox4x32(7))
P = 0.3


def numbers(shape=(6, 10), dtype="float32"):
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape).astype(dtype))


def same(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


# ---- derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [(), (0,), (0, 1)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_derivatives_are_the_same_mask(dtype, dims):
    def f(x):
        return dropout(KEY, x, P, broadcast_dims=dims)

    x, dy = numbers().astype(dtype), numbers().astype(dtype)[::-1]
    y, back = jax.vjp(f, x)
    assert same(y, f(x))
    assert same(back(dy)[0], f(dy))
    assert same(jax.jvp(f, (x,), (dy,))[1], f(dy))
    _, linear = jax.linearize(f, x)
    assert same(linear(dy), f(dy))
    assert same(jax.linear_transpose(f, x)(dy)[0], f(dy))


def test_second_derivatives():
    def loss(x):
        return (dropout(KEY, x, P) ** 2).sum()

    x = numbers()
    kept = dropout(KEY, jnp.ones_like(x), P)
    assert same(jax.grad(loss)(x), 2 * dropout(KEY, dropout(KEY, x, P), P))
    hessian = jax.hessian(loss)(x).reshape(60, 60)
    assert np.allclose(hessian, np.diag(2 * kept.reshape(-1) ** 2))


def test_a_backward_pass_keeps_the_key_alone():
    _, back = jax.vjp(lambda x: dropout(KEY, x, P), numbers((100, 100)))
    assert sum(leaf.size for leaf in jax.tree.leaves(back)) < 10


def test_derivative_of_p():
    x = numbers()
    p = jnp.float32(P)
    y, change = jax.jvp(lambda p: dropout(KEY, x, p), (p,), (jnp.float32(1),))
    assert same(y, dropout(KEY, x, p))
    assert np.allclose(change, y / (1 - P), rtol=1e-6)
    of_p, of_x = jax.jit(jax.grad(lambda p, x: dropout(KEY, x, p).sum(), argnums=(0, 1)))(p, x)
    assert np.allclose(of_p, y.sum() / (1 - P), rtol=1e-4)
    assert same(of_x, dropout(KEY, jnp.ones_like(x), p))
    assert float(jax.grad(lambda p: dropout(KEY, x, p).sum())(jnp.float32(1))) == 0


# ---- batches -------------------------------------------------------------------------------------


def rows(f, *arguments):
    return np.stack([np.asarray(f(*row)) for row in zip(*arguments, strict=True)])


@pytest.mark.parametrize(("axis", "dims"), [(0, ()), (1, (0,)), (2, (1,))])
def test_vmap(axis, dims):
    def f(key, x):
        return dropout(key, x, P, broadcast_dims=dims)

    x = numbers((4, 4, 4))
    batch = x.shape[axis]
    keys = jax.random.split(KEY, batch)
    moved = np.moveaxis(x, axis, 0)
    same_key = [KEY] * batch
    assert same(jax.vmap(f, (0, axis))(keys, x), rows(f, keys, moved))
    assert same(jax.vmap(f, (None, axis))(KEY, x), rows(f, same_key, moved))
    assert same(jax.vmap(f, (0, None))(keys, x[0]), rows(f, keys, [x[0]] * batch))
    out = jax.vmap(f, (0, axis), out_axes=axis)(keys, x)
    assert same(np.moveaxis(out, axis, 0), rows(f, keys, moved))


@pytest.mark.parametrize("inner", [(0, 0), (None, 0), (0, None)])
@pytest.mark.parametrize("outer", [(0, 0), (None, 0), (0, None)])
def test_vmap_of_vmap(inner, outer):
    def f(key, x):
        return dropout(key, x, P, broadcast_dims=(0,))

    def with_axes(array, of_key):
        """Give an argument the batches that it is to have."""
        wanted = [outer[not of_key] is not None, inner[not of_key] is not None]
        return array[tuple(slice(None) if each else 0 for each in wanted)]

    keys = with_axes(jax.random.split(KEY, (3, 4)), True)
    x = with_axes(numbers((3, 4, 5, 6)), False)
    found = jax.jit(jax.vmap(jax.vmap(f, inner), outer))(keys, x)
    for i in range(3):
        for j in range(4):
            key = keys[tuple(k for k, d in ((i, outer[0]), (j, inner[0])) if d is not None)]
            part = x[tuple(k for k, d in ((i, outer[1]), (j, inner[1])) if d is not None)]
            assert same(found[i, j], f(key, part))


def test_vmap_of_masks_and_of_p():
    keys = jax.random.split(KEY, 4)
    p = jnp.linspace(0, 1, 4)
    x = numbers((4, 50))
    masks = jax.vmap(lambda key, p: dropout_mask(key, (50,), p))(keys, p)
    assert same(masks, rows(lambda key, p: dropout_mask(key, (50,), p), keys, p))
    assert same(jax.vmap(dropout, (None, 0, 0))(KEY, x, p), rows(dropout, [KEY] * 4, x, p))
    drawn = jax.vmap(lambda p: bernoulli(KEY, p, (50,)))(p)
    assert same(drawn, rows(lambda p: bernoulli(KEY, p, (50,)), p))


def test_gradients_of_a_batch():
    keys, x = jax.random.split(KEY, 6), numbers()

    def loss(key, x):
        return (dropout(key, x, P) ** 2).sum()

    assert same(jax.vmap(jax.grad(loss, 1))(keys, x), rows(jax.grad(loss, 1), keys, x))
    assert same(
        jax.jacobian(lambda x: dropout(KEY, x, P))(x[0]), np.diag(dropout(KEY, x[0] * 0 + 1, P))
    )


# ---- control flow --------------------------------------------------------------------------------


def test_scan():
    keys, x = jax.random.split(KEY, 5), numbers()

    def step(x, key):
        return dropout(key, x, P), x.sum()

    def loss(x):
        return lax.scan(step, x, keys)[0].sum()

    expected, ones = x, jnp.ones_like(x)
    for key in keys:
        expected = dropout(key, expected, P)
        ones = dropout(key, ones, P)
    assert same(jax.jit(lambda x: lax.scan(step, x, keys)[0])(x), expected)
    assert np.allclose(jax.jit(jax.grad(loss))(x), ones)


def test_cond_while_and_switch():
    x = numbers()
    f = jax.jit(lambda on, x: lax.cond(on, lambda x: dropout(KEY, x, P), lambda x: x, x))
    assert same(f(True, x), dropout(KEY, x, P))
    assert same(f(False, x), x)
    looped = lax.fori_loop(0, 3, lambda i, x: dropout(jax.random.fold_in(KEY, i), x, P), x)
    expected = x
    for i in range(3):
        expected = dropout(jax.random.fold_in(KEY, i), expected, P)
    assert same(looped, expected)
    chosen = lax.switch(1, [lambda x: x, lambda x: dropout(KEY, x, P)], x)
    assert same(chosen, dropout(KEY, x, P))


@pytest.mark.parametrize("policy", [None, jax.checkpoint_policies.dots_saveable])
def test_checkpoint(policy):
    def f(x):
        return jnp.tanh(dropout(KEY, jnp.sin(x), P)).sum()

    x = numbers()
    again = jax.checkpoint(f, policy=policy)
    assert np.allclose(jax.jit(jax.grad(again))(x), jax.grad(f)(x))


# ---- programs ------------------------------------------------------------------------------------


def test_ahead_of_time():
    x = numbers()
    compiled = jax.jit(dropout, static_argnums=2).lower(KEY, x, P).compile()
    assert same(compiled(KEY, x), dropout(KEY, x, P))
    assert "fastdrop_drop_v1" in compiled.as_text()


def test_donation():
    x = numbers()
    expected = np.asarray(dropout(KEY, x, P))
    f = jax.jit(lambda x: dropout(KEY, x, P), donate_argnums=0)
    assert same(f(x), expected)
    assert x.is_deleted()


def test_one_program_serves_every_p():
    f = jax.jit(lambda key, x, p: dropout(key, x, p))
    x = numbers()
    for p in (0.1, 0.2, 0.3):
        f(KEY, x, p)
    assert f._cache_size() == 1


def test_what_is_not_used_is_not_run():
    text = jax.jit(lambda x: (dropout(KEY, x, P), x)[1]).lower(numbers()).compile().as_text()
    assert "fastdrop" not in text


@contextlib.contextmanager
def x64():
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", False)


def test_a_dtype_of_an_input_does_not_change_in_x64_mode():
    for dtype in ("float16", "float32", "float64", "complex128"):
        with x64():
            x = np.random.default_rng(1).standard_normal((6, 10)).astype(dtype)
            expected = fd.dropout(x, P, rng=fd.Philox4x32(7))[0]
            for y in (
                dropout(KEY, x, P),
                jax.jit(dropout)(KEY, x, np.float64(P)),
            ):
                assert y.dtype == dtype
                assert same(y, expected)
            assert jax.grad(lambda x: dropout(KEY, x, P).real.sum())(x).dtype == dtype
            key = jax.random.key(2**40 + 3, impl=fd.jax.prng_impl())
            assert same(dropout_mask(key, (99,), P), fd.dropout_mask((99,), P, rng=2**40 + 3))


PROGRAM = """
    import sys
    import jax, jax.numpy as jnp, numpy as np
    import fastdrop as fd, fastdrop.jax
    from jax import export
    key = jax.random.key_data(fastdrop.jax.key_of(fd.Philox4x32(7)))
    x = jnp.arange(60, dtype="float32").reshape(6, 10)
"""


def run(code, *arguments):
    """Run a program in another process, and return what it writes."""
    code = textwrap.dedent(PROGRAM) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("p", [0.1, np.array([0.1, 0.5, 0.9, 1.0])], ids=["number", "array"])
def test_export_of_symbolic_shapes(p):
    """One program for all lengths of an axis, with the masks of each."""
    from jax import export

    key = key_of(fd.Philox4x32(7))
    checks = [export.DisabledSafetyCheck.custom_call("fastdrop_drop_v1")]
    shape = export.symbolic_shape("b, n, 4")
    program = export.export(jax.jit(lambda x: dropout(key, x, p)), disabled_checks=checks)(
        jax.ShapeDtypeStruct(shape, jnp.float32)
    )
    for lengths in ((5, 3), (1, 1), (7, 20)):
        x = np.ones((*lengths, 4), np.float32)
        expected, _ = fd.dropout(x, p, rng=fd.Philox4x32(7))
        assert same(program.call(x), expected)


def test_export_of_masks_of_symbolic_shapes():
    """These are made from their shape alone, which must be of numbers."""
    from jax import export

    key = key_of(fd.Philox4x32(7))
    x = jax.ShapeDtypeStruct(export.symbolic_shape("b, 4"), jnp.float32)
    with pytest.raises(TypeError, match="shape must be an integer or a sequence of integers"):
        export.export(jax.jit(lambda x: dropout_mask(key, x.shape, 0.1)))(x)


def test_export(tmp_path):
    """The names of the custom calls have the version of the stream in them."""
    pytest.importorskip("flatbuffers")
    from jax import export

    x = numbers()
    checks = [export.DisabledSafetyCheck.custom_call("fastdrop_drop_v1")]
    words = jax.random.key_data(jax.random.key(3))
    f = jax.jit(lambda words, x: dropout(words, x, P))
    exported = export.export(f, disabled_checks=checks)(words, x)
    expected = np.asarray(dropout(words, x, P))
    assert same(exported.call(words, x), expected)
    (tmp_path / "program").write_bytes(exported.serialize())
    np.save(tmp_path / "x.npy", np.asarray(x))
    np.save(tmp_path / "expected.npy", expected)
    assert run(
        """
        fastdrop.jax.register()
        folder = sys.argv[1]
        program = export.deserialize(bytearray(open(folder + "/program", "rb").read()))
        words = jax.random.key_data(jax.random.key(3))
        y = program.call(words, jnp.asarray(np.load(folder + "/x.npy")))
        print(np.array_equal(y, np.load(folder + "/expected.npy")))
        """,
        tmp_path,
    ).endswith("True")


def test_the_persistent_cache_in_a_second_process(tmp_path):
    code = """
        jax.config.update("jax_compilation_cache_dir", sys.argv[1])
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        hits = []
        jax.monitoring.register_event_listener(
            lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None
        )
        key = fastdrop.jax.key_of(fd.Philox4x32(7))
        f = jax.jit(lambda key, x: fastdrop.jax.dropout(key, x, 0.3))
        y = f(key, x)
        assert np.array_equal(y, fd.dropout(np.asarray(x), 0.3, rng=fd.Philox4x32(7))[0])
        print(len(hits))
    """
    assert run(code, tmp_path) == "0"
    assert int(run(code, tmp_path)) > 0


def test_nothing_is_registered_before_it_is_needed():
    """JAX has no CPU where it refuses a version when its backend starts: so this one is first."""
    code = """
        from fastdrop.jax import _register
        import jax
        told = []
        jax.ffi.register_ffi_target = lambda *given, **named: told.append(given[0])
        devices = jax.devices
        jax.devices = lambda platform: (told.append(platform), devices(platform))[1]
        assert not told
        fastdrop.jax.register()
        fastdrop.jax.register()
        print(told)
    """
    names = ["cpu", "fastdrop_drop_v1", "fastdrop_decide_v1", "fastdrop_bits_v1"]
    assert run(code) == str(names)


def test_a_jax_that_is_too_old(monkeypatch):
    from fastdrop.jax import _register

    monkeypatch.setattr(jax, "__version_info__", (0, 4, 38))
    monkeypatch.setattr(jax, "__version__", "0.4.38")
    with pytest.raises(RuntimeError, match=r"JAX must be 0\.5 or newer, not 0\.4\.38"):
        _register._register.__wrapped__()
