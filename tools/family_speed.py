# SPDX-License-Identifier: BSD-3-Clause
"""Prints what each function of the family costs, on one thread, float32: a Markdown table.

    ns        nanoseconds an element
    copies    its time over that of `np.copyto` of as many bytes as it reads and writes
    bare      of fused functions: its time over that of the same step without dropout, unfused,
              in NumPy, into memory that exists
    peer      the time of its peer over its own: PyTorch's function where there is one, else what
              programs write in PyTorch instead (named in the table)

All are called in turn in each round; shown are medians over the rounds. The exit status does not
judge.

    python tools/family_speed.py [--sizes 20 24] [--p 0.1] [--rounds 15] [--functions zoneout ...]
"""

import argparse
import math
import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

import fastdrop as fd

ATTEMPT = 5e-3  # seconds that a function is repeated for in a round


class Row(NamedTuple):
    """One function: calls without arguments, and how many arrays of x's size it moves."""

    call: object
    peer_name: str
    peer: object
    moved: int = 2
    bare: object = None


def rows(bits, p):
    """Return name -> Row, for arrays of 2**bits elements."""
    n = 2**bits
    rng = np.random.default_rng(0)
    x, other = (np.resize(rng.standard_normal(2**16, np.float32), n) for _ in range(2))
    maps = x.reshape(-1, 16, 32, 32)
    table, bias = x.reshape(-1, 256), rng.standard_normal(256, np.float32)
    y, part = np.ones_like(x), np.ones_like(x)
    source = fd.Xoshiro256PlusPlus(1)
    t, t_other, t_bias = map(torch.from_numpy, (x, other, bias))
    t_maps, t_table = t.view(maps.shape), t.view(table.shape)

    def ours(function, x, *others, **options):
        out = y.reshape(x.shape)
        return lambda: function(x, *others, p, rng=source, out=out, **options)

    def theirs(function, x):
        return lambda: function(x, p, training=True)

    def stochastic_depth():
        kept = t_maps.new_empty((len(t_maps), 1, 1, 1)).bernoulli_(1 - p).div_(1 - p)
        return t_maps * kept

    def blocks():
        block, (height, width) = 7, t_maps.shape[2:]
        gamma = p / block**2 * height * width / ((height - block + 1) * (width - block + 1))
        begins = torch.empty(*t_maps.shape[:2], height - block + 1, width - block + 1)
        begins = functional.pad(begins.bernoulli_(gamma), [block // 2] * 4)
        kept = 1 - functional.max_pool2d(begins, block, 1, block // 2)
        return t_maps * kept * (kept.numel() / (kept.sum() + 1e-6))

    def rows_of_words():
        return t_table * t_table.new_empty((len(t_table), 1)).bernoulli_(1 - p).div_(1 - p)

    def noise():
        return t * (1 + math.sqrt(p / (1 - p)) * torch.randn_like(t))

    def bare_sum():
        np.add(table, bias, out=part.reshape(table.shape))
        np.add(part, other, out=y)

    side = 2 ** (bits // 2)
    weight, vector = x[: side * side].reshape(side, side), other[:side].reshape(1, side)
    t_weight, t_vector = torch.from_numpy(weight), torch.from_numpy(vector)
    lines = x.reshape(-1, 16, 1024)
    volumes = x.reshape(-1, 16, 4, 16, 16)
    return {
        "dropout": Row(ours(fd.dropout, x), "torch", theirs(functional.dropout, t)),
        "dropout1d": Row(
            ours(fd.dropout1d, lines), "torch", theirs(functional.dropout1d, t.view(lines.shape))
        ),
        "dropout2d": Row(ours(fd.dropout2d, maps), "torch", theirs(functional.dropout2d, t_maps)),
        "dropout3d": Row(
            ours(fd.dropout3d, volumes),
            "torch",
            theirs(functional.dropout3d, t.view(volumes.shape)),
        ),
        "drop_path": Row(ours(fd.drop_path, maps), "timm's recipe", stochastic_depth),
        "drop_block2d": Row(ours(fd.drop_block2d, maps), "torchvision's recipe", blocks),
        "embedding_dropout": Row(
            ours(fd.embedding_dropout, table), "AWD-LSTM's recipe", rows_of_words
        ),
        "drop_connect": Row(
            lambda: fd.drop_connect(vector, weight, p, rng=source),
            "linear of dropout",
            lambda: functional.linear(t_vector, functional.dropout(t_weight, p)),
        ),
        "alpha_dropout": Row(
            ours(fd.alpha_dropout, x), "torch", theirs(functional.alpha_dropout, t)
        ),
        "feature_alpha_dropout": Row(
            ours(fd.feature_alpha_dropout, maps),
            "torch",
            theirs(functional.feature_alpha_dropout, t_maps),
        ),
        "gaussian_dropout": Row(ours(fd.gaussian_dropout, x), "x * (1 + s * randn)", noise),
        "zoneout": Row(
            ours(fd.zoneout, x, other),
            "where(rand < p, ...)",
            lambda: torch.where(torch.rand_like(t) < p, t_other, t),
            moved=3,
        ),
        "dropout_add": Row(
            ours(fd.dropout_add, table, other.reshape(table.shape), bias=bias),
            "residual + dropout(x + bias)",
            lambda: t_other.view(t_table.shape) + functional.dropout(t_table + t_bias, p),
            moved=3,
            bare=bare_sum,
        ),
        "relu_dropout": Row(
            ours(fd.relu_dropout, x),
            "dropout(relu(x))",
            lambda: functional.dropout(functional.relu(t), p),
            bare=lambda: np.maximum(x, 0, out=y),
        ),
    }


def timed(functions, rounds):
    """Return the median seconds of each, called in turn."""
    repeats = []
    for function in functions:
        function()
        start = time.perf_counter()
        function()
        repeats.append(max(1, int(ATTEMPT / (time.perf_counter() - start))))
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, repeat, seen in zip(functions, repeats, times, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                function()
            seen.append((time.perf_counter() - start) / repeat)
    return [statistics.median(seen) for seen in times]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 24], help="powers of two")
    parser.add_argument("--p", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--functions", nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    fd.set_num_threads(1)
    print("| function | elements | ns | copies | bare | peer | which peer |")
    print("|---|---|---|---|---|---|---|")
    for bits in options.sizes:
        chosen = rows(bits, options.p)
        for name in options.functions or chosen:
            row = chosen[name]
            before = np.ones(row.moved * 2**bits // 2, np.float32)
            after = np.ones_like(before)
            calls = [row.call, lambda before=before, after=after: np.copyto(after, before)]
            calls += [row.peer] if row.bare is None else [row.peer, row.bare]
            own, copy, peer, *bare = timed(calls, options.rounds)
            shown = f"{own / bare[0]:.2f}" if bare else ""
            print(
                f"| {name} | 2^{bits} | {own / 2**bits * 1e9:.3f} | {own / copy:.2f} | {shown} "
                f"| {peer / own:.1f} | {row.peer_name} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
