# SPDX-License-Identifier: BSD-3-Clause
"""The same work by others, one thread each: NumPy recipes, Numba, PyTorch, JAX, Keras, thinc.

Every peer is used as its users would use it, without needless copies. NumPy is there with its best
recipes as well, not only with the one that everybody writes.
"""

import os

import numpy as np

from .common import BUFFER, SIZES, Benchmark, against, fd, make_source

P = 0.1


def fastdrop(x):
    source, y = make_source("Xoshiro256PlusPlus"), BUFFER.to_write(x)
    return lambda: fd.dropout(x, P, rng=source, out=y)


def numpy_idiom(x):
    rng = np.random.default_rng(1)
    return lambda: x * (rng.random(x.shape) >= P) / (1 - P)


def numpy_float32(x):
    """No temporary is made twice, and uniforms have 24 bits."""
    rng, scale = np.random.Generator(np.random.SFC64(1)), x.dtype.type(1 / (1 - P))
    y, uniforms, kept = (BUFFER.to_write(x.astype(dtype)) for dtype in (x.dtype, x.dtype, bool))

    def forward():
        rng.random(out=uniforms, dtype=np.float32)
        np.greater_equal(uniforms, P, out=kept)
        np.multiply(x, scale, out=y)
        np.multiply(y, kept, out=y)

    return forward


def numpy_uint8(x):
    """One byte per element: as fast as NumPy can be, and p is rounded to 1/256."""
    bits, y = np.random.SFC64(1), BUFFER.to_write(x)
    kept, scale = BUFFER.to_write(x.astype(bool)), x.dtype.type(1 / (1 - P))
    threshold = np.uint8(round(256 * P))

    def forward():
        draws = bits.random_raw(-(-x.size // 8)).view(np.uint8)[: x.size]
        np.greater_equal(draws, threshold, out=kept)
        np.multiply(x, scale, out=y)
        np.multiply(y, kept, out=y)

    return forward


def numba_loop(x):
    import numba

    rng, y, scale = np.random.default_rng(1), BUFFER.to_write(x), x.dtype.type(1 / (1 - P))

    @numba.njit
    def loop(x, y, scale, rng):
        for i in range(x.size):
            y[i] = x[i] * scale if rng.random() >= P else np.float32(0)

    return lambda: loop(x, y, scale, rng)


def one_torch_thread():
    import torch

    torch.set_num_threads(1)
    return torch


def one_jax_thread():
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    import jax

    return jax


def torch_eager(x):
    torch = one_torch_thread()
    t = torch.from_numpy(x)
    return lambda: torch.nn.functional.dropout(t, P)


def jax_jitted(x):
    jax = one_jax_thread()

    @jax.jit
    def drop(key, x):
        kept = jax.random.bernoulli(key, 1 - P, x.shape)
        return jax.numpy.where(kept, x / (1 - P), 0)

    key, t = jax.random.key(1), jax.numpy.asarray(x)
    return lambda: drop(key, t).block_until_ready()


def keras_layer(backend, x):
    os.environ["KERAS_BACKEND"] = backend
    import keras

    layer, t = keras.layers.Dropout(P, seed=1), keras.ops.convert_to_tensor(x)
    return lambda: layer(t, training=True)


def keras_on_torch(x):
    one_torch_thread()
    return keras_layer("torch", x)


def keras_on_jax(x):
    one_jax_thread()
    forward = keras_layer("jax", x)
    return lambda: forward().block_until_ready()


def thinc_layer(x):
    import thinc.api

    layer = thinc.api.Dropout(P)
    row = x.reshape(1, -1)
    return lambda: layer(row, is_train=True)


PEERS = {
    "fastdrop": fastdrop,
    "numpy idiom": numpy_idiom,
    "numpy float32": numpy_float32,
    "numpy uint8": numpy_uint8,
    "numba": numba_loop,
    "torch": torch_eager,
    "jax": jax_jitted,
    "keras on torch": keras_on_torch,
    "keras on jax": keras_on_jax,
    "thinc": thinc_layer,
}


@against("copies")
class Peers(Benchmark):
    """One forward pass; the baseline is `np.copyto`."""

    params = [list(PEERS), ["L2", "LLC"]]
    param_names = ["peer", "size"]

    def prepare(self, peer, size):
        self.arrays(SIZES[size])
        try:
            self.call = PEERS[peer](self.x)
        except ImportError as error:
            raise NotImplementedError(f"{peer} is not installed") from error
        self.call()
