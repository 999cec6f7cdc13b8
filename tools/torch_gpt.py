# SPDX-License-Identifier: BSD-3-Clause
"""Trains a small character-level GPT on the standard library's sources, stock and with fastdrop.

The program is an ordinary one: bytes as tokens, three blocks of causal attention with dropout 0.1
of the weights, of the residual branches and of the embedding. ``train`` is the same for all ways,
but for the one line that installs fastdrop. Each run is a process of its own, so that its peak of
memory is its own; the ways take turns, and the table gives mean and standard deviation over the
seeds. The validation loss is in nats a byte, of modules that were not trained on.

    python tools/torch_gpt.py [--seeds 3] [--steps 200] [--length 512] [--threads 2]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

WAYS = ("no dropout", "stock", "fastdrop")
WIDTH, HEADS, BLOCKS, BATCH, P = 128, 4, 3, 4, 0.1


def texts():
    """Return (training, validation) bytes: every tenth module validates."""
    paths = sorted(Path(argparse.__file__).parent.glob("*.py"))
    parts = [path.read_bytes() for path in paths]
    validation = b"".join(parts[::10])
    return b"".join(part for i, part in enumerate(parts) if i % 10), validation


def train(way, seed, steps, length, threads):
    """Train one model; return seconds a step, validation loss, and peak memory in MiB."""
    import torch
    from torch import nn
    from torch.nn import functional

    if way == "fastdrop":
        import fastdrop.torch

        fastdrop.torch.install()  # the one line

    p = 0.0 if way == "no dropout" else P

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(WIDTH, 3 * WIDTH)
            self.outer = nn.Linear(WIDTH, WIDTH)

        def forward(self, x):
            qkv = self.inner(x).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(
                *qkv, dropout_p=p if self.training else 0.0, is_causal=True
            )
            return self.outer(y.transpose(1, 2).reshape(x.shape))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.Sequential(nn.LayerNorm(WIDTH), Attention(), nn.Dropout(p))
            self.perceptron = nn.Sequential(
                nn.LayerNorm(WIDTH),
                nn.Linear(WIDTH, 4 * WIDTH),
                nn.GELU(),
                nn.Linear(4 * WIDTH, WIDTH),
                nn.Dropout(p),
            )

        def forward(self, x):
            x = x + self.attention(x)
            return x + self.perceptron(x)

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(256, WIDTH)
            self.places = nn.Parameter(0.02 * torch.randn(length, WIDTH))
            self.rest = nn.Sequential(
                nn.Dropout(p),
                *(Block() for _ in range(BLOCKS)),
                nn.LayerNorm(WIDTH),
                nn.Linear(WIDTH, 256),
            )

        def forward(self, tokens):
            return self.rest(self.tokens(tokens) + self.places)

    torch.set_num_threads(threads)
    training, validation = (
        torch.frombuffer(bytearray(text), dtype=torch.uint8).long() for text in texts()
    )
    torch.manual_seed(seed)
    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def loss_of(data, starts):
        rows = torch.stack([data[start : start + length + 1] for start in starts])
        logits = model(rows[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    # The batches have a generator of their own: they are the same for all ways.
    batches = torch.Generator().manual_seed(seed)
    times = []
    for _ in range(steps):
        starts = torch.randint(len(training) - length, (BATCH,), generator=batches)
        start = time.perf_counter()
        optimizer.zero_grad()
        loss_of(training, starts).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    model.eval()
    with torch.no_grad():
        starts = range(0, len(validation) - length, len(validation) // 64)
        losses = [loss_of(validation, [start]).item() for start in starts]
    return {
        "step": statistics.median(times),
        "loss": statistics.mean(losses),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def spread(values, digits):
    """Return mean and standard deviation as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def main():
    """Run every way with every seed, in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # "WAY:SEED", in a process of its own
    arguments = parser.parse_args()
    shared = {name: getattr(arguments, name) for name in ("steps", "length", "threads")}
    if arguments.one:
        way, seed = arguments.one.split(":")
        print(json.dumps(train(way, int(seed), **shared)))
        return
    runs = {way: [] for way in WAYS}
    options = [f"--{name}={number}" for name, number in shared.items()]
    for seed in range(arguments.seeds):
        for way in WAYS:
            command = [sys.executable, __file__, "--one", f"{way}:{seed}", *options]
            output = subprocess.run(command, check=True, capture_output=True).stdout
            runs[way].append(json.loads(output))
    print(f"{'':12}{'ms a step':>18}{'validation loss':>20}{'peak MiB':>18}")
    for way in WAYS:
        columns = (
            spread([1000 * run["step"] for run in runs[way]], 1),
            spread([run["loss"] for run in runs[way]], 4),
            spread([run["peak"] for run in runs[way]], 1),
        )
        print(f"{way:12}{columns[0]:>18}{columns[1]:>20}{columns[2]:>18}")


if __name__ == "__main__":
    main()
