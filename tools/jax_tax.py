# SPDX-License-Identifier: BSD-3-Clause
"""Prints the dropout tax: what dropout adds to the training steps of Flax models.

A step is the loss and its gradients, compiled, on one thread. Each model is stepped in these ways,
in turns:

    none      no dropout: the base
    x * 1     each dropout replaced by a product with an argument of the program that is 1; XLA
              fuses it with its neighbours
    call      each dropout is that of fastdrop with p = 0, which draws nothing: the cost of a pass
              of its own, which XLA cannot fuse
    fastdrop  `fastdrop.jax.linen.Dropout` with the key of a Philox4x32 or Xoshiro256PlusPlus
    JAX       `flax.linen.Dropout` with keys of threefry2x32, rbg and philox4x32

The tax of a way is the median, over the rounds, of its processor time over that of "none" in the
same round, less one. That is the time of all threads of the process, so other programs on the
machine change it little. The exit status does not judge. The two variables make glibc keep its
memory, see `torch_tax.py`:

    MALLOC_TRIM_THRESHOLD_=2147483647 MALLOC_MMAP_MAX_=0 python tools/jax_tax.py [--rounds 15]
        [--models mlp encoder conv]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false "
    "intra_op_parallelism_threads=1"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import flax
import jax
import jax.numpy as jnp
from flax import linen

import fastdrop as fd
import fastdrop.jax
import fastdrop.jax.linen
from fastdrop.cli._bench_turns import in_turn, median_ratio

Dropout = Callable[[float], Callable[[Any], Any]]


class Perceptron(linen.Module):
    """The 784-1024-1024-10 perceptron, p = .5."""

    dropout: Dropout

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """Return the outputs."""
        for _ in range(2):
            x = self.dropout(0.5)(linen.relu(linen.Dense(1024)(x)))
        return linen.Dense(10)(x)


class Encoder(linen.Module):
    """A layer of an encoder of transformers, with dropout on the weights of attention, p = .1."""

    dropout: Dropout
    heads: int = 8

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """Return x after attention and perceptron."""
        *outer, width = x.shape
        heads = (*outer, self.heads, width // self.heads)
        q, k, v = (linen.Dense(width)(x).reshape(heads) for _ in range(3))
        weights = jnp.einsum("bihd,bjhd->bhij", q, k) * heads[-1] ** -0.5
        weights = self.dropout(0.1)(linen.softmax(weights))
        y = jnp.einsum("bhij,bjhd->bihd", weights, v).reshape(x.shape)
        x = linen.LayerNorm()(x + self.dropout(0.1)(linen.Dense(width)(y)))
        y = self.dropout(0.1)(linen.relu(linen.Dense(4 * width)(x)))
        return linen.LayerNorm()(x + self.dropout(0.1)(linen.Dense(width)(y)))


class Convolutions(linen.Module):
    """A block of two convolutions, p = .2."""

    dropout: Dropout

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """Return the maps."""
        for _ in range(2):
            x = self.dropout(0.2)(linen.relu(linen.Conv(32, (3, 3))(x)))
        return x


MODELS = {
    "mlp": (Perceptron, (128, 784)),
    "encoder": (Encoder, (16, 128, 256)),
    "conv": (Convolutions, (32, 32, 32, 3)),
}


class Times(linen.Module):
    """What stands for dropout in a pass that XLA fuses: x * 1, of an argument that is 1."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """Return the product."""
        return x * self.variable("one", "one", lambda: jnp.ones(())).value


class Call(linen.Module):
    """What stands for a dropout that draws nothing, in a pass of its own."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """Return a copy."""
        return fastdrop.jax.dropout(self.make_rng("dropout"), x, 0.0)


def ways() -> dict[str, tuple[Dropout, Any]]:
    """Return name -> what makes the layers, and a key."""

    def fastdrop_layer(rate: float) -> Any:
        return fastdrop.jax.linen.Dropout(rate, deterministic=False)

    def flax_layer(rate: float) -> Any:
        return linen.Dropout(rate, deterministic=False)

    philox, xoshiro = (
        fastdrop.jax.key_of(cls(7)) for cls in (fd.Philox4x32, fd.Xoshiro256PlusPlus)
    )
    made: dict[str, tuple[Dropout, Any]] = {
        "none": (lambda rate: lambda x: x, philox),
        "x * 1": (lambda rate: Times(), philox),
        "call": (lambda rate: Call(), philox),
        "Philox4x32": (fastdrop_layer, philox),
        "Xoshiro256PlusPlus": (fastdrop_layer, xoshiro),
    }
    for name in ("threefry2x32", "rbg", "philox4x32"):
        try:
            made[name] = (flax_layer, jax.random.key(7, impl=name))
        except (KeyError, ValueError):
            print(f"this JAX has no {name}")
    return made


def compiled_step(model: Any, key: Any, batch: Any) -> Callable[[], Any]:
    """Return a call that makes one step and waits for it."""
    variables = dict(model.init({"params": jax.random.key(0), "dropout": key}, batch))
    parameters = variables.pop("params")

    @jax.jit
    def step(parameters: Any, others: Any, key: Any, batch: Any) -> Any:
        def loss(parameters: Any) -> Any:
            everything = {"params": parameters, **others}
            return (model.apply(everything, batch, rngs={"dropout": key}) ** 2).mean()

        return jax.value_and_grad(loss)(parameters)

    def call() -> Any:
        return jax.block_until_ready(step(parameters, variables, key, batch))

    return call


def taxes(name: str, rounds: int, warm: int = 2, steps: int = 3) -> dict[str, float]:
    """Return way -> tax; that of "none" is its seconds for a step."""
    cls, shape = MODELS[name]
    batch = jax.random.normal(jax.random.key(1), shape)
    calls = {way: compiled_step(cls(make), key, batch) for way, (make, key) in ways().items()}

    def measure(way: str) -> float:
        best = float("inf")
        for _ in range(steps):
            start = time.process_time()
            calls[way]()
            best = min(best, time.process_time() - start)
        return best

    in_turn(calls, measure, warm)
    seconds = in_turn(calls, measure, rounds)
    return {
        way: median_ratio(seconds, way, "none") - 1 if way != "none" else statistics.median(times)
        for way, times in seconds.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    fd.set_num_threads(1)
    print(f"JAX {jax.__version__}, Flax {flax.__version__}, {fd.simd_levels()[-1]}, float32")
    table = {name: taxes(name, options.rounds) for name in options.models}
    print(f"{'':20}", *(f"{name:>9}" for name in table))
    for way in table[options.models[0]]:
        figures = (column[way] for column in table.values())
        if way == "none":
            print(f"{'none, ms a step':20}", *(f"{1e3 * figure:9.1f}" for figure in figures))
        else:
            print(f"{way:20}", *(f"{figure:+9.1%}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
