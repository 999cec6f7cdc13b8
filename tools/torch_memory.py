# SPDX-License-Identifier: BSD-3-Clause
"""Prints how much memory a training step takes: without dropout, stock, and with fastdrop.

The models and the three ways are those of `torch_tax.py`, with batches eight times as large.
Printed is by how much three steps raise the peak of a process of their own, after one with a batch
of one. That depends on the allocator, so each is shown twice: with glibc's as it is, and with
MALLOC_MMAP_THRESHOLD_=1000000, by which it gives freed tensors back to the system at once: then
the peak is that of living tensors. Linux alone.

    python tools/torch_memory.py [--models mlp conv ...]
"""

import argparse
import os
import resource
import subprocess
import sys

import torch
import torch_tax

WAYS = ("none", "stock", "fastdrop")
STEPS = 3
ALLOCATORS = {"glibc as it is": {}, "given back": {"MALLOC_MMAP_THRESHOLD_": "1000000"}}


def peak():
    """Return the most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rise(name, way):
    """Return by how many MiB training steps raise the peak."""
    torch.set_num_threads(1)
    model, batch = torch_tax.MODELS[name]()
    with torch_tax.way(way):
        torch_tax.step(model, batch[:1])
        before = peak()
        batch = torch.cat([batch] * 8)
        for _ in range(STEPS):
            torch_tax.step(model, batch)
    return peak() - before


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="The memory of PyTorch training steps.")
    models = torch_tax.MODELS
    parser.add_argument("--models", nargs="+", choices=models, default=list(models))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # a process of its own
    arguments = parser.parse_args()
    if arguments.one:
        print(rise(*arguments.one))
        return
    print("MiB            " + "".join(f"{name:>30}" for name in ALLOCATORS))
    print(f"{'model':15}" + "".join(f"{way:>10}" for _ in ALLOCATORS for way in WAYS))
    for name in arguments.models:
        rises = [
            float(
                subprocess.check_output(
                    [sys.executable, __file__, "--one", name, way], env=os.environ | environment
                )
            )
            for environment in ALLOCATORS.values()
            for way in WAYS
        ]
        print(f"{name:15}" + "".join(f"{value:10.0f}" for value in rises), flush=True)


if __name__ == "__main__":
    main()
