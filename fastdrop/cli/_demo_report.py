# SPDX-License-Identifier: BSD-3-Clause
"""What the demo prints: a table, and sentences about it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdrop.cli._demo_results import HALF, Gain, Plan, Results, mean_and_error
from fastdrop.cli._terminal import plain

if TYPE_CHECKING:
    from rich.table import Table


def introduction(plan: Plan, images: int) -> str:
    """Say what is trained on how many images."""
    layers = "-".join(map(str, (64, *plan.hidden, 10)))
    return (
        f"Digits of scikit-learn: {plan.training_images} training images, "
        f"{images - plan.training_images} test images. A {layers} ReLU network trained for "
        f"{plan.epochs} epochs, with dropout of all hidden layers. {plan.seeds} seeds: each has "
        "its own training images, initial weights and masks."
    )


def table_of(results: Results) -> "Table":
    """Return the table of settings."""
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


def findings(results: Results) -> Iterator[str]:
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
