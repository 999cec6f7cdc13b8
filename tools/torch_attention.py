# SPDX-License-Identifier: BSD-3-Clause
"""Prints what attention with dropout costs in PyTorch: time and memory, stock and fastdrop.

For each length, forward and backward of one call, 8 heads of 64, float32, p = .1:

    flash     PyTorch's attention without dropout, which is its flash kernel
    stock     PyTorch's attention with dropout
    fastdrop  `fastdrop.torch.scaled_dot_product_attention` with dropout

The times are interleaved in one run; a ratio is the median, over the rounds, of two times of the
same round. The allocator keeps its memory meanwhile, unless ``--allocator stock`` says otherwise:
`torch_tax.py` explains why. Memory is what a fresh process needs at most, beyond what it had before
the call, with inputs and gradients in it. The exit status does not judge.

    python tools/torch_attention.py [--threads 1 2] [--lengths 64 128 ...] [--dtype float32]
        [--budget SECONDS] [--allocator keeps] [--no-memory]
"""

import argparse
import re
import resource
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import torch_tax

import fastdrop.torch
from fastdrop.cli._bench_arrays import Buffer
from fastdrop.cli._bench_turns import calls_in_turn, for_seconds, median_ratio

LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
HEADS, WIDTH, P = 8, 64, 0.1

WAYS = {
    "flash": lambda *qkv, causal: F.scaled_dot_product_attention(*qkv, is_causal=causal),
    "stock": lambda *qkv, causal: F.scaled_dot_product_attention(
        *qkv, dropout_p=P, is_causal=causal
    ),
    "fastdrop": lambda *qkv, causal: fastdrop.torch.scaled_dot_product_attention(
        *qkv, dropout_p=P, is_causal=causal
    ),
}


def inputs(length, dtype):
    """Return query, key and value, and the gradient of the output."""
    shape = (1, HEADS, length, WIDTH)
    tensors = [torch.randn(shape).to(dtype) for _ in range(4)]
    return [x.requires_grad_() for x in tensors[:3]], tensors[3]


def step(way, qkv, gradient, causal):
    """Go forward and backward once."""
    WAYS[way](*qkv, causal=causal).backward(gradient)
    for x in qkv:
        x.grad = None


def seconds(length, causal, dtype, budget):
    """Return way -> the times of its rounds, so many that they take about ``budget`` seconds."""
    qkv, gradient = inputs(length, dtype)
    buffer = Buffer()
    qkv = [buffer.tensor(x.detach()).requires_grad_() for x in qkv]
    gradient = buffer.tensor(gradient)
    calls = {way: partial(step, way, qkv, gradient, causal) for way in WAYS}
    return calls_in_turn(calls, lambda: for_seconds(budget), sample=0.01)


def peak():
    """Return the most bytes that this process has had in memory so far."""
    if sys.platform == "linux":  # getrusage counts the process that started this one too
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def added_memory(way, length, causal, dtype):
    """Return the bytes that the call adds to a process that has made a small one before."""
    qkv, gradient = inputs(64, dtype)
    step(way, qkv, gradient, causal)
    before = peak()
    qkv, gradient = inputs(length, dtype)
    step(way, qkv, gradient, causal)
    return peak() - before


def memory(way, length, causal, dtype, threads):
    """Return the same of a fresh process."""
    command = [sys.executable, __file__, "--measure", way, "--lengths", str(length)]
    command += ["--dtype", dtype, "--threads", str(threads)] + ["--causal"] * causal
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def table(threads, lengths, dtype, budget, with_memory):
    """Print the rows of one number of threads."""
    torch.set_num_threads(threads)
    for causal in (False, True):
        for length in lengths:
            times = seconds(length, causal, getattr(torch, dtype), budget)
            row = f"{threads:7}  {'yes' if causal else 'no':6}{length:6}"
            row += f"{1e3 * statistics.median(times['flash']):10.2f}"
            row += f"{median_ratio(times, 'stock', 'flash'):#8.3g}"
            row += f"{median_ratio(times, 'fastdrop', 'flash'):#10.3g}"
            row += f"{median_ratio(times, 'fastdrop', 'stock'):#12.3g}"
            if with_memory:
                added = [memory(way, length, causal, dtype, threads) / 2**20 for way in WAYS]
                row += "".join(f"{megabytes:9.1f}" for megabytes in added)
            print(row, flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="What attention with dropout costs.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds for each row")
    parser.add_argument("--allocator", choices=("keeps", "stock"), default="keeps")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--causal", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        torch.set_num_threads(arguments.threads[0])
        dtype = getattr(torch, arguments.dtype)
        print(added_memory(arguments.measure, arguments.lengths[0], arguments.causal, dtype))
        return
    if arguments.allocator == "keeps":
        torch_tax.keep_memory()
    print(
        "                        flash   stock  fastdrop    fastdrop     MiB:  flash/stock/fastdrop"
    )
    print("threads  causal  keys    ms    /flash    /flash      /stock")
    for threads in arguments.threads:
        table(
            threads,
            arguments.lengths,
            arguments.dtype,
            arguments.budget,
            not arguments.no_memory,
        )


if __name__ == "__main__":
    main()
