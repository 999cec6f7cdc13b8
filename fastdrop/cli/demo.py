# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastdrop demo``: what dropout does to a network that overfits, on real digits."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

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
from fastdrop.cli._demo_plots import FIGURES, save_plots
from fastdrop.cli._terminal import cannot_write, console, plain

if TYPE_CHECKING:
    from rich.table import Table

REQUIRED = ("matplotlib", "rich", "sklearn")

WITHOUT = 1.0  # keep everything: no dropout
HALF = 0.5  # the setting to judge dropout by, named before looking at any error


@dataclass(frozen=True)
class Plan:
    """The sizes of the demo; the defaults are the full one."""

    keeps: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, HALF, 0.6, 0.7, 0.8, 0.9, WITHOUT)
    seeds: int = 12
    training_images: int = 200
    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 100
    checkpoints: int = 20
    autoencoder_seeds: int = 3
    autoencoder_units: int = 256
    autoencoder_images: int = 1500
    autoencoder_epochs: int = 150

    def total_epochs(self) -> int:
        """Return the number of epochs of all trainings together."""
        return len(self.keeps) * self.epochs + 2 * self.autoencoder_epochs


QUICK = Plan(
    keeps=(0.1, 0.3, HALF, 0.8, WITHOUT),
    seeds=6,
    epochs=50,
    checkpoints=12,
    autoencoder_seeds=1,
    autoencoder_epochs=60,
)


@dataclass(frozen=True)
class Times:
    """Milliseconds of one training step, all seeds together."""

    step: float
    dropout: float
    idiom: float


@dataclass(frozen=True)
class Curve:
    """Errors in percent, (checkpoints, seeds), after some of the epochs and after the last."""

    epochs: Array
    train_error: Array
    test_error: Array


@dataclass(frozen=True)
class Setting:
    """The classifiers of one probability of being present: final errors in percent, by seed."""

    keep: float
    train_error: Array
    test_error: Array
    curve: Curve
    times: Times | None  # None without dropout


@dataclass(frozen=True)
class Autoencoder:
    """The autoencoders of one probability of being present, one for each seed."""

    keep: float
    features: Array  # (seeds, units, pixels)
    activations: Array  # (seeds, test images, units)
    error: Array  # (seeds,): squared error in percent of the variance of the test images


@dataclass(frozen=True)
class Gain:
    """How many points of test error a setting saves, paired by seed."""

    mean: float
    standard_error: float

    def clear(self) -> bool:
        """Whether the gain is more than three standard errors from zero.

        Three, not two: the seeds are few and share most of their test images, so that the
        standard error is itself uncertain and rather too small.
        """
        return abs(self.mean) > 3 * self.standard_error

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ± {self.standard_error:.2f}"


@dataclass(frozen=True)
class Results:
    """Everything that the demo found."""

    plan: Plan
    settings: tuple[Setting, ...]
    autoencoders: tuple[Autoencoder, ...]

    def without(self) -> Setting:
        """Return the setting without dropout."""
        return self._setting(WITHOUT)

    def half(self) -> Setting:
        """Return the setting that drops half of the hidden units."""
        return self._setting(HALF)

    def best(self) -> Setting:
        """Return the setting with the lowest mean test error."""
        return min(self.settings, key=lambda setting: float(setting.test_error.mean()))

    def gain(self, setting: Setting) -> Gain:
        """Return the gain of `setting` against no dropout."""
        return Gain(*mean_and_error(self.without().test_error - setting.test_error))

    def _setting(self, keep: float) -> Setting:
        return next(setting for setting in self.settings if setting.keep == keep)


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--quick", action="store_true", help="fewer settings, seeds and epochs: some seconds"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("fastdrop-demo"),
        metavar="DIR",
        help="folder for the plots (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, help="of splits, weights and masks (default: %(default)s)"
    )


def main(args: argparse.Namespace) -> int:
    """Run the demo and return the exit code."""
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        names = ", ".join(missing).replace("sklearn", "scikit-learn")
        print(f'The demo needs {names}: pip install "fastdrop[demo]"', file=sys.stderr)
        return 2
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"The demo cannot write its plots: {error}", file=sys.stderr)
        return 2
    for name in FIGURES:
        if sentence := cannot_write(args.out / name):
            print(sentence, file=sys.stderr)
            return 2
    run(QUICK if args.quick else Plan(), args.out, args.seed)
    return 0


def run(plan: Plan, folder: Path, seed: int) -> Results:
    """Train, print the table and write the plots.

    Parameters
    ----------
    plan : Plan
        How much to do.
    folder : Path
        Where the plots go; it exists.
    seed : int
        Fixes everything but the times.

    Returns
    -------
    results : Results
        All that was found.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from sklearn.datasets import load_digits

    terminal = console()
    digits = load_digits()
    terminal.print(_introduction(plan, len(digits.target)))
    columns = (TextColumn("{task.description:<34}"), BarColumn(None), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True) as progress:
        task = progress.add_task("", total=plan.total_epochs())

        def tick(description: str) -> None:
            progress.update(task, description=description, advance=1)

        with _one_thread():
            results = Results(
                plan,
                tuple(classify(digits, plan, seed, keep, tick) for keep in plan.keeps),
                tuple(autoencode(digits, plan, seed, keep, tick) for keep in (WITHOUT, HALF)),
            )
    terminal.print(_table(results))
    for sentence in _findings(results):
        terminal.print(plain(f"• {sentence}"))
    paths = save_plots(results, folder)
    terminal.print(f"Plots in {folder.resolve()}:", *(path.name for path in paths), soft_wrap=True)
    return results


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


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean of `values` and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep matrix products and dropout on one thread.

    The products are small: where other programs want the cores too, threads that wait for each
    other make them many times slower. And the idiom, too, is timed on one thread.
    """
    from threadpoolctl import threadpool_limits

    threads = fd.get_num_threads()
    fd.set_num_threads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        fd.set_num_threads(threads)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a non-negative integer")
    return int(text)


def _seeds(seed: int, count: int) -> tuple[list[int], list[int]]:
    """Return the seeds of the initial weights and those of the splits."""
    weights, splits = np.random.SeedSequence(seed).generate_state(2 * count).reshape(2, count)
    return weights.tolist(), splits.tolist()


def _introduction(plan: Plan, images: int) -> str:
    layers = "-".join(map(str, (64, *plan.hidden, 10)))
    return (
        f"Digits of scikit-learn: {plan.training_images} training images, "
        f"{images - plan.training_images} test images. A {layers} ReLU network trained for "
        f"{plan.epochs} epochs, with dropout of all hidden layers. {plan.seeds} seeds: each has "
        "its own training images, initial weights and masks."
    )


def _table(results: Results) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=plain(
            "keep prob.: the probability of being present. ±: standard error over seeds. "
            "Times: all dropout of one training step, forward and backward, on one thread."
        ),
        caption_justify="left",
    )
    for header in (
        "keep\nprob.",
        "training\nerror, %",
        "test\nerror, %",
        "gain, points\n(paired)",
        "fastdrop,\nms",
        "NumPy idiom,\nms",
    ):
        table.add_column(header, justify="right")
    for setting in results.settings:
        training, training_se = mean_and_error(setting.train_error)
        test, test_se = mean_and_error(setting.test_error)
        gain, dropout_ms, idiom_ms = "no dropout", "–", "–"
        if setting.times:
            gain = str(results.gain(setting))
            dropout_ms = f"{setting.times.dropout:.3f}"
            idiom_ms = f"{setting.times.idiom:.3f}"
        cells = (
            f"{setting.keep:.1f}",
            f"{training:.1f} ± {training_se:.1f}",
            f"{test:.2f} ± {test_se:.2f}",
            gain,
            dropout_ms,
            idiom_ms,
        )
        table.add_row(*map(plain, cells))
    return table


def _findings(results: Results) -> Iterator[str]:
    """Yield what the numbers say, and no more."""
    half, best = results.half(), results.best()
    gain = results.gain(half)
    if gain.clear():
        verb = "lowers" if gain.mean > 0 else "raises"
        yield (
            f"Dropping half of the hidden units {verb} the test error by "
            f"{abs(gain.mean):.2f} ± {gain.standard_error:.2f} points."
        )
    else:
        yield (
            f"Dropping half of the hidden units: a gain of {gain} points, less than three "
            "standard errors. That is not clear."
        )
    if best.keep != HALF:
        rest = Gain(*mean_and_error(half.test_error - best.test_error))
        verdict = "more than three standard errors" if rest.clear() else "not clear"
        yield (
            f"The lowest mean is at {best.keep:.1f}, {rest.mean:.2f} ± {rest.standard_error:.2f} "
            f"points under that of 0.5: {verdict}."
        )
    without_dropout, with_dropout = results.autoencoders
    yield (
        "Autoencoders, as the paper's figures 7 and 8: mean activation "
        f"{without_dropout.activations.mean():.3f} without dropout and "
        f"{with_dropout.activations.mean():.3f} with it; error of reconstruction "
        f"{without_dropout.error.mean():.2g} and {with_dropout.error.mean():.2g} % of the variance."
    )
    if half.times:
        share, ratio = half.times.dropout / half.times.step, half.times.idiom / half.times.dropout
        yield (
            f"At 0.5 fastdrop took {100 * share:.1f} % of a training step of {half.times.step:.1f} "
            "ms; the idiom x * (rng.random(x.shape) >= p) / (1 - p) and its backward took "
            f"{ratio:.1f} times as long as fastdrop on the same arrays."
        )
