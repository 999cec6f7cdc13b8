# SPDX-License-Identifier: BSD-3-Clause
"""What dropout costs elsewhere: the peers that fastdrop is compared with, as rows.

A peer that is not installed is left out of the report, with a note. Each runs on as many threads as
fastdrop does, and is called as its own users call it: most of them allocate their result.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from textwrap import dedent

from fastdrop.cli._bench_timing import Row, power_of_two

P = 0.1
COPY = "np.copyto(y, x)"
IDIOM = "x * (rng.random(x.shape) >= p) / (1 - p)"


def _row(case: str, candidate: str, setup: str = "", note: str = "") -> Row:
    return Row(
        table="",
        case=case,
        candidate=dedent(candidate).strip(),
        baseline=COPY,
        size=0,
        p=P,
        setup=dedent(setup),
        note=note,
    )


SOURCES = ("Xoshiro256PlusPlus", "Xorshift128Plus", "Philox4x32")

FASTDROP = tuple(
    _row(
        f"fastdrop {source}",
        "fd.dropout(x, p, rng=src, out=y)",
        setup=f"src = fd.{source}(1)",
        note="exact p",
    )
    for source in SOURCES
)

PEERS = (
    _row("NumPy copyto", COPY, note="the limit: no dropout at all"),
    _row(
        "NumPy tuned",
        """
        draws = bits.random_raw(-(-n // 8)).view(np.uint8)[:n]
        np.greater_equal(draws, threshold, out=kept)
        np.multiply(x, scale, out=y)
        np.multiply(y, kept, out=y)
        """,
        setup="""
        bits = np.random.SFC64(1)
        threshold = np.uint8(round(256 * p))
        scale = np.float32(1 / (1 - p))
        kept = buffer.to_write(np.empty(n, bool))
        """,
        note="8 random bits per element, so p is rounded to 1/256",
    ),
    _row(
        "NumPy idiom",
        IDIOM,
        setup="rng = np.random.default_rng(1)",
        note="x * (rng.random(x.shape) >= p) / (1 - p)",
    ),
    _row(
        "Numba loop",
        "loop(x, y, p, rng)",
        setup="""
        import numba

        rng = np.random.default_rng(1)

        @numba.njit
        def loop(x, y, p, rng):
            scale = np.float32(1 / (1 - p))
            draws = rng.random(x.size)
            for i in range(x.size):
                y[i] = x[i] * scale if draws[i] >= p else np.float32(0)
        """,
        note="compiled, all draws before the loop",
    ),
    _row(
        "PyTorch F.dropout",
        "F.dropout(t, p)",
        setup="""
        import torch
        from torch.nn import functional as F

        torch.set_num_threads(threads)
        t = torch.from_numpy(x)
        """,
        note="eager",
    ),
    _row(
        "JAX jitted",
        "drop(key, t).block_until_ready()",
        setup="""
        from fastdrop.cli._bench_peers import pinned

        with pinned(threads):
            import jax

            @jax.jit
            def drop(key, x):
                kept = jax.random.bernoulli(key, 1 - p, x.shape)
                return jax.numpy.where(kept, x / (1 - p), 0)

            key, t = jax.random.key(1), jax.numpy.asarray(x)
            drop(key, t).block_until_ready()
        """,
        note="threefry, the default",
    ),
)


@contextmanager
def pinned(cpus: int) -> Iterator[None]:
    """Let this thread and those that it starts use only so many CPUs, where the system can do that.

    JAX sizes its pool of threads by the CPUs that it finds usable when it starts, and heeds no
    other setting.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usable)[:cpus])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def peer_rows(levels: Iterable[str], sizes: Iterable[int], threads: int = 1) -> list[Row]:
    """List the rows of the peers' tables.

    Parameters
    ----------
    levels : iterable of str
        SIMD levels to measure fastdrop at.
    sizes : iterable of int
        Numbers of elements, one table each.
    threads : int, default: 1
        Threads that each system may use.

    Returns
    -------
    list of Row
        The rows.
    """
    own = [replace(row, simd=level) for level in levels for row in FASTDROP]
    return [
        replace(
            row,
            table=f"Dropout of {power_of_two(size)} float32, p = {P}",
            size=size,
            threads=threads,
        )
        for size, row in product(sizes, (*own, *PEERS))
    ]


def bytes_kept_by_torch(size: int) -> int:
    """Count the bytes that PyTorch keeps for the backward pass of dropout.

    Parameters
    ----------
    size : int
        Number of float32 elements.

    Returns
    -------
    int
        Bytes of the tensors saved for backward. Where PyTorch is not installed, those of the
        float32 mask that it is known to keep.
    """
    try:
        import torch
    except ImportError:
        return 4 * size
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes), lambda t: t):
        torch.nn.functional.dropout(torch.ones(size, requires_grad=True), P)
    return sum(kept)
