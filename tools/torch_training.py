# SPDX-License-Identifier: BSD-3-Clause
"""Trains a transformer on real data, stock and with `fastdrop.torch`, and compares the two.

The program is an ordinary one: scikit-learn's digits, each of the 8 rows a token, two encoder
layers with dropout 0.1. ``train`` is the same for both ways, but for the one line that installs
fastdrop. Each run is a process of its own, so that its peak of memory is its own; the ways take
turns, and the table gives the mean and the spread over the seeds.

    python tools/torch_training.py [--seeds 3] [--epochs 12] [--threads 2]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

WAYS = ("no dropout", "stock", "fastdrop")


def train(way, seed, epochs, threads):
    """Train one model; return seconds a step, test error in percent, and peak memory in MiB."""
    import torch
    from sklearn.datasets import load_digits
    from torch import nn

    if way == "fastdrop":
        import fastdrop.torch

        fastdrop.torch.install()  # the one line

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images))
    x = torch.tensor(images, dtype=torch.float32)[order].view(-1, 8, 8) / 16
    y = torch.tensor(labels)[order]
    x_train, y_train, x_test, y_test = x[:1400], y[:1400], x[1400:], y[1400:]

    p = 0.0 if way == "no dropout" else 0.1
    width = 256
    embed, place = nn.Linear(8, width), nn.Parameter(0.1 * torch.randn(8, width))
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, p, batch_first=True, norm_first=True)
    encoder, head = (
        nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        nn.Linear(width, 10),
    )
    parameters = [place, *embed.parameters(), *encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, 1e-3)

    def logits(batch):
        return head(encoder(embed(batch) + place).mean(1))

    steps = []
    for _ in range(epochs):
        encoder.train()
        for batch in torch.randperm(len(x_train)).split(100):
            start = time.perf_counter()
            loss = nn.functional.cross_entropy(logits(x_train[batch]), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(time.perf_counter() - start)
    encoder.eval()
    with torch.no_grad():
        wrong = logits(x_test).argmax(1) != y_test
    return {
        "step": statistics.median(steps),
        "error": 100 * wrong.float().mean().item(),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def spread(values):
    """Return mean and standard deviation as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):7.1f} ± {deviation:4.1f}"


def main():
    """Run every way with every seed, in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # "WAY:SEED", in a process of its own
    args = parser.parse_args()
    if args.one:
        way, seed = args.one.split(":")
        print(json.dumps(train(way, int(seed), args.epochs, args.threads)))
        return
    runs = {way: [] for way in WAYS}
    shared = ["--epochs", str(args.epochs), "--threads", str(args.threads)]
    for seed in range(args.seeds):
        for way in WAYS:
            command = [sys.executable, __file__, "--one", f"{way}:{seed}", *shared]
            runs[way].append(
                json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            )
    print(f"{'':12}{'ms a step':>16}{'test error, %':>16}{'peak MiB':>16}")
    for way in WAYS:
        columns = (
            [1000 * run["step"] for run in runs[way]],
            [run["error"] for run in runs[way]],
            [run["peak"] for run in runs[way]],
        )
        print(f"{way:12}" + "".join(f"{spread(values):>16}" for values in columns))


if __name__ == "__main__":
    main()
