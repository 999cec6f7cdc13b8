# SPDX-License-Identifier: BSD-3-Clause
"""The trainings of the demo: classifiers and autoencoders, with and without dropout."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import fastdrop as fd
from fastdrop.cli._demo_network import (
    Array,
    HiddenDropout,
    Networks,
    NoDropout,
    cross_entropy,
    squared_error,
    train,
)
from fastdrop.cli._demo_results import HALF, WITHOUT, Autoencoder, Curve, Plan, Setting, Times


class TimedDropout(HiddenDropout):
    """Dropout that now and then does the same work by the NumPy idiom too, and times both.

    The idiom comes first and its result is thrown away, so the training is that of `HiddenDropout`.
    """

    EVERY = 7  # odd, so that all layers take their turn

    def __init__(self, keep: float, rng: Any) -> None:
        super().__init__(keep, rng)
        self.idiom_rng: np.random.Generator = np.random.default_rng(0)
        self.calls: int = 0
        self.dropout_seconds: dict[str, list[float]] = {"forward": [], "backward": []}
        self.idiom_seconds: dict[str, list[float]] = {"forward": [], "backward": []}

    def forward(self, h: Array) -> tuple[Any, Array | None]:
        """Return the mask, and that of the idiom or None."""
        timed = self.calls % self.EVERY == 0
        self.calls += 1
        if not timed:
            return super().forward(h), None
        p = 1 - self.keep
        start = perf_counter()
        kept = self.idiom_rng.random(h.shape) >= p
        h * kept / (1 - p)
        middle = perf_counter()
        mask = super().forward(h)
        end = perf_counter()
        self.idiom_seconds["forward"].append(middle - start)
        self.dropout_seconds["forward"].append(end - middle)
        return mask, kept

    def backward(self, dh: Array, mask: tuple[Any, Array | None]) -> None:
        """Turn `dh` into the gradient before dropout; `mask` is what `forward` returned."""
        drawn, kept = mask
        if kept is None:
            super().backward(dh, drawn)
            return
        p = 1 - self.keep
        start = perf_counter()
        dh * kept / (1 - p)
        middle = perf_counter()
        super().backward(dh, drawn)
        end = perf_counter()
        self.idiom_seconds["backward"].append(middle - start)
        self.dropout_seconds["backward"].append(end - middle)

    def times(self, seconds: float, steps: int) -> Times:
        """Return the `Times` of a training of so many steps that took so many seconds."""
        idiom_total = sum(map(sum, self.idiom_seconds.values()))
        calls = self.calls / steps
        dropout = calls * sum(map(median, self.dropout_seconds.values()))
        idiom = calls * sum(map(median, self.idiom_seconds.values()))
        return Times(1e3 * (seconds - idiom_total) / steps, 1e3 * dropout, 1e3 * idiom)


def classify(
    digits: Any, plan: Plan, seed: int, keep: float, tick: Callable[[str], None]
) -> Setting:
    """Train one classifier for each seed with one probability of being present.

    All settings share the seeds' training images and initial weights, the order of the batches,
    and the seed of the masks, so that their differences are paired. Masks from one seed are
    nested: a smaller probability of being present only drops more.
    """
    label = "without dropout" if keep == WITHOUT else f"probability of being present {keep:.1f}"
    weight_seeds, split_seeds = _seeds(seed, plan.seeds)
    x, y, x_test, y_test = split(digits, plan.training_images, split_seeds)
    networks = Networks((x.shape[2], *plan.hidden, 10), weight_seeds)
    timed = None if keep == WITHOUT else TimedDropout(keep, fd.Xoshiro256PlusPlus(seed))
    batch = min(100, plan.training_images)

    drawn = keep in (WITHOUT, HALF)
    checkpoints = np.geomspace(1, plan.epochs, plan.checkpoints) if drawn else [plan.epochs]
    epochs = np.unique(np.round(checkpoints)).astype(int)
    history = []
    seconds = 0.0
    start = perf_counter()
    for epoch in train(
        networks,
        x,
        y,
        loss=cross_entropy,
        dropout=timed or NoDropout(),
        epochs=plan.epochs,
        batch=batch,
        rate=0.1,
        momentum=0.9,
        seed=seed,
    ):
        seconds += perf_counter() - start
        if epoch in epochs:
            history.append((error_rate(networks, x, y), error_rate(networks, x_test, y_test)))
        tick(label)
        start = perf_counter()

    steps = plan.epochs * (plan.training_images // batch)
    return Setting(
        keep,
        *history[-1],
        Curve(epochs, *map(np.stack, zip(*history, strict=True))),
        timed.times(seconds, steps) if timed else None,
    )


def autoencode(
    digits: Any, plan: Plan, seed: int, keep: float, tick: Callable[[str], None]
) -> Autoencoder:
    """Train one autoencoder with a single hidden layer for each seed, as the paper's figure 7."""
    weight_seeds, split_seeds = _seeds(seed, plan.autoencoder_seeds)
    x, _, x_test, _ = split(digits, plan.autoencoder_images, split_seeds)
    networks = Networks((x.shape[2], plan.autoencoder_units, x.shape[2]), weight_seeds, scale=0.1)
    dropout = NoDropout() if keep == WITHOUT else HiddenDropout(keep, fd.Xoshiro256PlusPlus(seed))
    for _ in train(
        networks,
        x,
        x,
        loss=squared_error,
        dropout=dropout,
        epochs=plan.autoencoder_epochs,
        batch=50,
        rate=0.1,
        momentum=0.9,
        seed=seed,
    ):
        tick("autoencoders")
    (_, activations, outputs), _ = networks.forward(x_test, NoDropout())
    variance = x_test.var(axis=1).sum(axis=1)
    return Autoencoder(
        keep,
        features=networks.weights[0].swapaxes(1, 2),
        activations=activations,
        error=100 * squared_error(outputs, x_test)[0] / variance,
    )


def split(
    digits: Any, training_images: int, seeds: Sequence[int]
) -> tuple[Array, Array, Array, Array]:
    """Return x, y, x_test, y_test: for each seed its own random training images, the rest as test.

    Pixels lie in [0, 1] before the mean training image of the seed is subtracted.
    """
    orders = np.stack([np.random.default_rng(s).permutation(len(digits.target)) for s in seeds])
    x = (digits.data / 16).astype(np.float32)[orders]
    y = digits.target[orders]
    x -= x[:, :training_images].mean(axis=1, keepdims=True)
    return (
        x[:, :training_images],
        y[:, :training_images],
        x[:, training_images:],
        y[:, training_images:],
    )


def error_rate(networks: Networks, x: Array, labels: Array) -> Array:
    """Return the classification error of every network, in percent."""
    share: Array = np.mean(networks.predict(x).argmax(axis=2) != labels, axis=1)
    return 100 * share


def _seeds(seed: int, count: int) -> tuple[list[int], list[int]]:
    """Return the seeds of the initial weights and those of the splits."""
    weights, splits = np.random.SeedSequence(seed).generate_state(2 * count).reshape(2, count)
    return weights.tolist(), splits.tolist()
