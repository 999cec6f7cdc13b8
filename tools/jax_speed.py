# SPDX-License-Identifier: BSD-3-Clause
"""Prints what dropout and random numbers cost in compiled JAX programs, compared with JAX's own.

All run on one thread, in turns; a figure is the least processor time of a call, of all threads of
the process, in nanoseconds per element. What JAX's dispatcher takes is in it. It runs programs on
the thread that calls: to hand a small one to another thread takes longer than the program.

    python tools/jax_speed.py [--rounds 15] [--sizes 12 16 20]
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false "
    "intra_op_parallelism_threads=1"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

import fastdrop as fd
import fastdrop.jax

Call = Callable[[], Any]
P = 0.1
SECONDS = 0.01  # of a round


def waits(function: Any, *arguments: Any) -> Call:
    """Return what calls a compiled function and waits for its result."""
    return lambda: function(*arguments).block_until_ready()


def implementations() -> Iterator[tuple[str, Any]]:
    """Yield the names of JAX's own implementations of keys that this version has, and keys."""
    for name in ("threefry2x32", "rbg", "philox4x32"):
        try:
            yield name, jax.random.key(7, impl=name)
        except (KeyError, ValueError):
            print(f"this JAX has no {name}")


def idiom(key: Any, x: Any) -> Any:
    """Drop as Flax does."""
    kept = jax.random.bernoulli(key, 1 - P, x.shape)
    return jax.lax.select(kept, x / (1 - P), jnp.zeros_like(x))


def kernels(n: int) -> Iterator[tuple[str, Call]]:
    """Yield names and calls of the same kernels from NumPy, into an array that is there."""
    x, y = np.ones(n, np.float32), np.empty(n, np.float32)
    for source in (fd.Philox4x32, fd.Xoshiro256PlusPlus):
        mask = fd.dropout_mask(n, P, rng=source(7))
        yield f"without JAX, {source.__name__}", lambda mask=mask: mask.apply(x, out=y)
    empty = fd.dropout_mask(n, 0.0, rng=7)
    yield "without JAX, p = 0", lambda: empty.apply(x, out=y)


def dropouts(n: int) -> Iterator[tuple[str, Call]]:
    """Yield names and calls of dropout."""
    x = jnp.ones(n, jnp.float32)
    double = jax.jit(lambda x: x * 2)
    yield "x * 2", waits(double, x)
    own = jax.jit(lambda key, x: fastdrop.jax.dropout(key, x, P))
    for source in (fd.Philox4x32, fd.Xoshiro256PlusPlus):
        key = fastdrop.jax.key_of(source(7))
        yield f"dropout, {source.__name__}", waits(own, key, x)
    nothing = jax.jit(lambda key, x: fastdrop.jax.dropout(key, x, 0.0))
    yield "dropout, p = 0, draws nothing", waits(nothing, fastdrop.jax.key_of(fd.Philox4x32(7)), x)
    yield from kernels(n)
    key = jax.random.key(7)
    yield "dropout, a key of JAX", waits(own, key, x)
    gradient = jax.jit(jax.grad(lambda x, key: fastdrop.jax.dropout(key, x, P).sum()))
    yield "its gradient", waits(gradient, x, key)
    theirs = jax.jit(idiom)
    for name, key in implementations():
        yield f"Flax's idiom, {name}", waits(theirs, key, x)


def numbers(n: int) -> Iterator[tuple[str, Call]]:
    """Yield names and calls of jax.random."""
    keys = [("fastdrop's prng_impl", fastdrop.jax.key_of(fd.Xoshiro256PlusPlus(7)))]
    functions = {
        "uniform": lambda key: jax.random.uniform(key, (n,)),
        "bernoulli": lambda key: jax.random.bernoulli(key, P, (n,)),
        "bits, 8": lambda key: jax.random.bits(key, (n,), "uint8"),
        "normal": lambda key: jax.random.normal(key, (n,)),
    }
    for what, function in functions.items():
        draw = jax.jit(function)
        for name, key in [*keys, *implementations()]:
            yield f"{what}, {name}", waits(draw, key)


def seconds(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Return the least time of each call, all called in turns."""
    repeats, least = {}, dict.fromkeys(calls, float("inf"))
    for name, call in calls.items():
        call()
        start = time.process_time()
        for _ in range(10):
            call()
        repeats[name] = max(1, int(10 * SECONDS / (time.process_time() - start)))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            least[name] = min(least[name], (time.process_time() - start) / repeats[name])
    return least


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 16, 20], help="powers of two")
    options = parser.parse_args()
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    fd.set_num_threads(1)
    print(f"JAX {jax.__version__}, {fd.simd_levels()[-1]}, p = {P}, float32, ns per element")
    for rows in (dropouts, numbers):
        table: dict[str, list[float]] = {}
        for size in options.sizes:
            for name, time_of_call in seconds(dict(rows(2**size)), options.rounds).items():
                table.setdefault(name, []).append(1e9 * time_of_call / 2**size)
        print(f"\n{'':38}", *(f"{f'2^{size}':>7}" for size in options.sizes))
        for name, figures in table.items():
            print(f"{name:38}", *(f"{figure:7.2f}" for figure in figures))


if __name__ == "__main__":
    main()
