# SPDX-License-Identifier: BSD-3-Clause
"""Prints what PyTorch's dropout costs at every size after `install()`, as ratios to its own.

Each run is two processes in turn, one that has installed fastdrop and one that has not; a figure is
the least time of some rounds, and a ratio the median of the runs. On one thread it is the time that
the thread computes, which other programs on the machine change little. Freed memory stays with the
process: pages from the system cost more than a dropout, and who gets them is chance. Ratios above
1.05 are marked. The exit status does not judge.

    python tools/torch_small_calls.py [--runs 5] [--threads 1] [--most 24]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch_tax import keep_memory

import fastdrop.torch

Call = Callable[[], object]
P = 0.1
ROUNDS = 5
SECONDS = 0.01  # of a round


def backward(function: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> Call:
    """Return a call of a function and of its derivative."""
    x, dy = torch.randn(shape, requires_grad=True), torch.ones(shape)

    def step() -> None:
        x.grad = None
        function(x).backward(dy)

    return step


def rows_of_size(n: int) -> Iterator[tuple[str, Call]]:
    """Yield names and calls on n elements."""
    x, p = torch.randn(n), torch.full((n,), P)
    yield "dropout", lambda: F.dropout(x, P)
    yield "dropout, evaluation", lambda: F.dropout(x, P, False)
    yield "dropout, with backward", backward(lambda x: F.dropout(x, P), (n,))
    yield "dropout in place", lambda: F.dropout(x, P, inplace=True)
    yield (
        "dropout in place, with backward",
        backward(lambda x: F.dropout(x * 1, P, inplace=True), (n,)),
    )
    yield "alpha_dropout", lambda: F.alpha_dropout(x, P, True)
    yield "alpha_dropout, with backward", backward(lambda x: F.alpha_dropout(x, P, True), (n,))
    if n >= 64:
        for side in (4, 16):
            maps = max(n // (2 * side * side), 1)
            shape = (2, maps, side, side)
            image = torch.randn(shape)
            name = f"dropout2d, maps of {side} x {side}"
            yield name, lambda image=image: F.dropout2d(image, P)
            yield f"{name}, with backward", backward(lambda x: F.dropout2d(x, P), shape)
    yield "bernoulli_ of a number", lambda: x.bernoulli_(P)
    yield "bernoulli of probabilities", lambda: torch.bernoulli(p)


def rows(most: int) -> Iterator[tuple[str, Call]]:
    """Yield names and calls of every size, and of a model and attention."""
    for power in range(0, most + 1, 2):
        for name, call in rows_of_size(2**power):
            yield f"2^{power:<2} {name}", call
    query, key = torch.randn(1, 8, 1, 64), torch.randn(1, 8, 512, 64)
    attend = F.scaled_dot_product_attention
    yield "attention without dropout, 1 query, 512 keys", lambda: attend(query, key, key)
    layers = [nn.Linear(32, 64), nn.ReLU(), nn.Dropout(P), nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(P), nn.Linear(64, 4))
    batch = torch.randn(16, 32)

    def step() -> None:
        model.zero_grad()
        model(batch).sum().backward()

    yield "a step of an MLP, 16 x 32-64-64-4", step
    yield "its evaluation", lambda: model.train(False)(batch) if model.training else model(batch)


def microseconds(call: Call, clock: Callable[[], float]) -> float:
    """Return the least time of a call."""
    call()
    repeats, start = 0, clock()
    while clock() - start < SECONDS:
        call()
        repeats += 1
    times = []
    for _ in range(ROUNDS):
        start = clock()
        for _ in range(repeats):
            call()
        times.append((clock() - start) / repeats)
    return 1e6 * min(times)


def measure(options: argparse.Namespace) -> None:
    """Print the times of this process as JSON."""
    keep_memory()
    torch.set_num_threads(options.threads)
    if options.measure == "fastdrop":
        fastdrop.torch.install()
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    print(json.dumps({name: microseconds(call, clock) for name, call in rows(options.most)}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--most", type=int, default=24, help="the largest size is 2^MOST")
    parser.add_argument("--measure", choices=("stock", "fastdrop"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options)
        return
    times: dict[str, list[dict[str, float]]] = {"stock": [], "fastdrop": []}
    sizes = [f"--threads={options.threads}", f"--most={options.most}"]
    for _ in range(options.runs):
        for which, results in times.items():
            command = [sys.executable, __file__, "--measure", which, *sizes]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout))
    print(f"{'call':55} {'stock us':>10} {'fastdrop us':>11} {'ratio':>6}")
    for name in times["stock"][0]:
        stock, own = ([run[name] for run in times[which]] for which in times)
        ratio = statistics.median(b / a for a, b in zip(stock, own, strict=True))
        print(f"{name:55} {min(stock):10.2f} {min(own):11.2f} {ratio:6.2f}{' *' * (ratio > 1.05)}")


if __name__ == "__main__":
    main()
