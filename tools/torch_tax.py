# SPDX-License-Identifier: BSD-3-Clause
"""Prints the dropout tax: what dropout adds to the training steps of PyTorch models.

Each model is stepped (forward, backward, gradients cleared) in four ways, interleaved in one run:

    none      no dropout: the base
    floor     dropout replaced by `clone`, forward and backward: what any dropout that writes a
              new tensor costs, Python included
    stock     PyTorch's dropout
    fastdrop  the same program after `fastdrop.torch.install()`

With ``--fuse`` there is a fifth way:

    fused     the model after `fastdrop.torch.accelerate(model, fuse=True)`, and installed

and times are those of the thread's CPU where there is one thread.

The tax of a way is the median, over the rounds, of its time over that of "none" in the same round,
less one. The exit status does not judge.

glibc gives the top of its heap back to the system whenever it is free, and clears it again page
by page when it is needed: thousands of times in a step, at any place and by chance, so that the
same way measured twice may differ by more than all that dropout costs. Here the allocator
therefore keeps its memory, unless ``--allocator stock`` says otherwise. The last two columns are
the page faults of a step without dropout and with fastdrop: zeros say that this worked.

    python tools/torch_tax.py [--threads 1 2] [--rounds 30] [--models mlp conv ...] [--fuse]
"""

import argparse
import contextlib
import copy
import ctypes
import resource
import statistics
import sys
import time

import torch
from torch import nn

import fastdrop.torch

WAYS = ("none", "floor", "stock", "fastdrop")


class Attention(nn.Module):
    """Causal self-attention of the GPT style, with dropout on the weights."""

    def __init__(self, width, heads, p):
        super().__init__()
        self.heads = heads
        self.inner = nn.Linear(width, 3 * width)
        self.outer = nn.Linear(width, width)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        """Return the attended values."""
        batch, length, width = x.shape
        q, k, v = self.inner(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5
        hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = self.drop(weights.masked_fill(hidden, float("-inf")).softmax(-1))
        return self.outer((weights @ v).transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """One block of a GPT."""

    def __init__(self, width=256, heads=8, p=0.1):
        super().__init__()
        self.attention = nn.Sequential(
            nn.LayerNorm(width), Attention(width, heads, p), nn.Dropout(p)
        )
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(p),
        )

    def forward(self, x):
        """Return x after attention and perceptron."""
        x = x + self.attention(x)
        return x + self.perceptron(x)


class Causal(nn.Module):
    """One block of a GPT, of PyTorch's own layer."""

    def __init__(self, width=256, heads=8, p=0.1):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, p, "gelu", batch_first=True, norm_first=True
        )

    def forward(self, x):
        """Return x after attention and perceptron."""
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        return self.layer(x, hidden, is_causal=True)


class LastState(nn.Module):
    """An LSTM with dropout between its layers."""

    def __init__(self, p=0.2):
        super().__init__()
        self.lstm = nn.LSTM(64, 128, num_layers=3, dropout=p, batch_first=True)

    def forward(self, x):
        """Return the outputs of all steps."""
        return self.lstm(x)[0]


def mlp():
    """Return the 784-1024-1024-10 perceptron, p = .5, and a batch."""
    model = nn.Sequential(
        nn.Linear(784, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, 10),
    )
    return model, torch.randn(128, 784)


def conv():
    """Return a block of two convolutions, p = .2, and a batch."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.2),
    )
    return model, torch.randn(32, 3, 32, 32)


def encoder():
    """Return a TransformerEncoderLayer, p = .1, and a batch."""
    model = nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.1, batch_first=True)
    return model, torch.randn(16, 128, 256)


def gpt():
    """Return a GPT block with attention dropout, p = .1, and a batch."""
    return Block(), torch.randn(16, 128, 256)


def causal():
    """Return the same block of PyTorch's own layer, and a batch."""
    return Causal(), torch.randn(16, 128, 256)


def lstm():
    """Return an LSTM of three layers, p = .2, and a batch."""
    return LastState(), torch.randn(32, 64, 64)


MODELS = {
    "mlp": mlp,
    "conv": conv,
    "encoder": encoder,
    "gpt": gpt,
    "causal": causal,
    "lstm": lstm,
}


class Clone(torch.autograd.Function):
    """What stands for dropout on the floor: one new tensor forward, one backward."""

    @staticmethod
    def forward(ctx, x):
        """Return a copy."""
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        """Return a copy."""
        return dy.clone()


@contextlib.contextmanager
def dispatched(kernel):
    """Give every CPU dropout that autograd sees to ``kernel``."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("dropout", kernel, "AutogradCPU")
    try:
        yield
    finally:
        library._destroy()


def way(name):
    """Return the context manager of a way."""
    if name == "none":
        return dispatched(lambda x, p, train: x)
    if name == "floor":
        return dispatched(lambda x, p, train: Clone.apply(x))
    if name in ("fastdrop", "fused"):
        return fastdrop.torch.installed()
    return contextlib.nullcontext()


def keep_memory():
    """Tell glibc to keep freed memory in its heap, also that of large tensors."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # the numbers of these parameters in malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


def page_faults():
    """Return how many pages the system has given to this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def clock():
    """Return seconds: of this thread's CPU, where it does all the work."""
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def step(model, batch):
    """Take one training step and return its seconds."""
    start = clock()
    model(batch).square().mean().backward()
    for parameter in model.parameters():
        parameter.grad = None
    return clock() - start


def taxes(model, batch, rounds, warm=3, steps=3, ways=WAYS):
    """Return way -> tax, and way -> page faults a step; the base's tax is its seconds a step."""
    # Here, for asv measures commits without it by this file's models.
    from fastdrop.cli._bench_turns import in_turn, median_ratio

    fused = fastdrop.torch.accelerate(copy.deepcopy(model), fuse=True) if "fused" in ways else None

    def measure(name):
        with way(name):
            before = page_faults()
            mine = fused if name == "fused" else model
            best = min(step(mine, batch) for _ in range(steps))
            return best, page_faults() - before

    in_turn(ways, measure, warm)
    measured = in_turn(ways, measure, rounds)
    seconds = {name: [best for best, _ in pairs] for name, pairs in measured.items()}
    faults = {name: sum(count for _, count in pairs) for name, pairs in measured.items()}
    tax = {"none": statistics.median(seconds["none"])}
    for name in ways[1:]:
        tax[name] = median_ratio(seconds, name, "none") - 1.0
    return tax, {name: total / (rounds * steps) for name, total in faults.items()}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="The dropout tax of PyTorch training steps.")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--allocator", choices=("keeps", "stock"), default="keeps")
    parser.add_argument("--fuse", action="store_true", help="measure accelerate(fuse=True) too")
    arguments = parser.parse_args()
    if arguments.allocator == "keeps":
        keep_memory()
    ways = (*WAYS, "fused") if arguments.fuse else WAYS
    title = "threads  model    step ms    floor    stock  fastdrop  over the floor    page faults"
    print(title + "    fused" * arguments.fuse)
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name in arguments.models:
            torch.manual_seed(0)
            tax, faults = taxes(*MODELS[name](), arguments.rounds, ways=ways)
            over = 100 * (tax["fastdrop"] - tax["floor"])
            print(
                f"{threads:7}  {name:8}{1e3 * tax['none']:8.1f}{tax['floor']:9.1%}"
                f"{tax['stock']:9.1%}{tax['fastdrop']:10.1%}{over:+9.1f} points"
                f"{faults['none']:8.0f}{faults['fastdrop']:7.0f}"
                + (f"{tax['fused']:9.1%}" if arguments.fuse else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()
