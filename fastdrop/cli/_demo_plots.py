# SPDX-License-Identifier: BSD-3-Clause
"""The figures of the demo. Their titles say what the numbers say."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastdrop.cli._demo_results import Results

Array = NDArray[Any]

WITHOUT_COLOR = "#c2602d"
DROPOUT_COLOR = "#1d6f8c"
TRAINING_COLOR = "#8c8c8c"

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 160,
}


def save_plots(results: "Results", folder: Path) -> list[Path]:
    """Draw all figures.

    Parameters
    ----------
    results : Results
        What to draw.
    folder : Path
        Where the PNG files go.

    Returns
    -------
    paths : list of Path
        The files.
    """
    from matplotlib import rc_context

    paths = []
    with rc_context(STYLE):
        for name, draw in FIGURES.items():
            paths.append(folder / name)
            draw(results).savefig(paths[-1])
    return paths


def draw_test_error(results: "Results") -> "Figure":
    """Draw the errors against the probability of being present, as the paper's figure 9."""
    keeps = np.array([setting.keep for setting in results.settings])
    test = np.array([setting.test_error for setting in results.settings])
    training = np.array([setting.train_error for setting in results.settings])
    n_seeds = test.shape[1]
    without, half = results.without(), results.half()
    gain = results.gain(half)
    if gain.clear():
        title = (
            f"Dropping half of the hidden units: {half.test_error.mean():.1f} % test error, "
            f"without dropout {without.test_error.mean():.1f} %\n"
            f"(gain {gain} points, paired by seed)"
        )
    else:
        title = f"No clear gain from dropout here: at 0.5 it is {gain} points"

    figure = _figure(7.2, 4.8)
    axes = figure.add_subplot()
    axes.plot(keeps, test, "-o", color=DROPOUT_COLOR, alpha=0.25, lw=0.8, ms=3, mew=0)
    bars = axes.errorbar(
        keeps,
        test.mean(axis=1),
        test.std(axis=1, ddof=1) / np.sqrt(n_seeds),
        color=DROPOUT_COLOR,
        marker="o",
        ms=6,
        label=f"test: mean ± standard error; thin: each of the {n_seeds} seeds",
    )
    (line,) = axes.plot(
        keeps,
        training.mean(axis=1),
        "--o",
        color=TRAINING_COLOR,
        lw=1.4,
        ms=4,
        label="training: mean",
    )
    top = 1.4 * without.test_error.max()
    above = test.mean(axis=1) > top
    notes = [
        f"off the scale at {keeps[i]:.1f}: test {test[i].mean():.0f} %, "
        f"training {training[i].mean():.0f} %"
        for i in np.flatnonzero(above)
    ]
    axes.annotate(
        "\n".join(notes),
        (keeps[~above][0], top),
        xytext=(6, -2),
        textcoords="offset points",
        va="top",
        color=DROPOUT_COLOR,
    )
    axes.set(
        title=title,
        xlabel="probability of being present, in all hidden layers (1.0: no dropout)",
        ylabel="classification error, %",
        xticks=keeps,
        ylim=(-0.02 * top, top),
    )
    axes.legend(handles=[bars, line], loc="lower right", bbox_to_anchor=(1, 0.05))
    return figure


def draw_learning_curves(results: "Results") -> "Figure":
    """Draw the errors against the epochs, with and without dropout."""
    without, half = results.without(), results.half()
    gain = results.gain(half)
    if gain.clear():
        title = "Dropout ends lower" if gain.mean > 0 else "Dropout ends higher"
    else:
        title = "No clear difference"
    title += (
        f": {half.test_error.mean():.1f} % test error after {results.plan.epochs} epochs, "
        f"without it {without.test_error.mean():.1f} %"
    )

    figure = _figure(7.2, 4.8)
    axes = figure.add_subplot()
    for setting, color, name in (
        (without, WITHOUT_COLOR, "without dropout"),
        (half, DROPOUT_COLOR, "with dropout, 0.5"),
    ):
        curve = setting.curve
        axes.plot(curve.epochs, curve.test_error, color=color, alpha=0.2, lw=0.8)
        axes.plot(curve.epochs, curve.test_error.mean(axis=1), color=color, label=f"{name}: test")
        axes.plot(
            curve.epochs,
            curve.train_error.mean(axis=1),
            "--",
            color=color,
            lw=1.4,
            label=f"{name}: training",
        )
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= curve.epochs[-1]]
    axes.set_xscale("log")
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set(
        title=title,
        xlabel="epochs (logarithmic)",
        ylabel="classification error, %",
        xlim=(1, curve.epochs[-1]),
        ylim=(-0.6, 30),
    )
    axes.legend(title="thick: mean, thin: each seed", alignment="left")
    return figure


def draw_features(results: "Results", side: int = 8) -> "Figure":
    """Draw the strongest first-layer features of one seed, as the paper's figure 7."""
    pixels = [_effective_pixels(each.features) for each in results.autoencoders]
    strongest = [_strongest(each.features[0], side**2) for each in results.autoencoders]
    limit = np.quantile(np.abs(strongest), 0.995)

    figure = _figure(9, 4.45, wspace=0.06, w_pad=0.1)
    panels = figure.subplots(1, 2)
    for axes, features, count, name in zip(
        panels, strongest, pixels, ("Without dropout", "With dropout, 0.5"), strict=True
    ):
        image = axes.imshow(
            _tiled(features, side), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        axes.set_title(f"{name}: {count:.0f} pixels a feature", fontsize=STYLE["font.size"])
        axes.set_axis_off()
    bar = figure.colorbar(image, ax=panels, aspect=35, shrink=0.9, extend="both")
    bar.set_label("weight of a pixel")
    bar.outline.set_visible(False)
    figure.supxlabel(
        f"The {side**2} features of largest norm of one autoencoder, largest first. "
        "Number of pixels: participation ratio, mean of all features.",
        x=0.015,
        ha="left",
        fontsize=9,
        color=STYLE["xtick.color"],
    )
    return figure


def _strongest(features: Array, count: int) -> Array:
    """Return the features of largest norm, largest first."""
    return features[np.argsort(-np.linalg.norm(features, axis=1))[:count]]


def _tiled(features: Array, side: int) -> Array:
    """Return one image of side x side square features, with a blank line between them."""
    pixels = int(np.sqrt(features.shape[1]))
    tiles = np.full((side, pixels + 1, side, pixels + 1), np.nan, features.dtype)
    tiles[:, :pixels, :, :pixels] = features.reshape(side, side, pixels, pixels).swapaxes(1, 2)
    return tiles.reshape(side * (pixels + 1), -1)[:-1, :-1]


def _effective_pixels(features: Array) -> float:
    """Return the participation ratio of the features, on average: n for n equal weights."""
    squares = features**2
    return float((squares.sum(axis=-1) ** 2 / (squares**2).sum(axis=-1)).mean())


def draw_activations(results: "Results") -> "Figure":
    """Draw the activations of the hidden layer, as the paper's figure 8."""
    activations = [each.activations for each in results.autoencoders]
    means = [each.mean(axis=1) for each in activations]
    end = np.quantile(activations[0], 0.9995)
    mean_end = max(each.max() for each in means)

    figure = _figure(9, 4.5, wspace=0.06)
    left, right = figure.subplots(1, 2)
    for each, unit_means, color, name in zip(
        activations,
        means,
        (WITHOUT_COLOR, DROPOUT_COLOR),
        ("without dropout", "with dropout, 0.5"),
        strict=True,
    ):
        left.stairs(*_shares(each, end), baseline=None, color=color, lw=2, label=name)
        right.stairs(*_shares(unit_means, mean_end), baseline=None, color=color, lw=2, label=name)
    silent = [100 * (each == 0).mean() for each in activations]
    left.set(
        title=f"Exactly zero: {silent[0]:.0f} % of the activations\n"
        f"without dropout, {silent[1]:.0f} % with it",
        xlabel="activation of a hidden unit for a test image",
        ylabel="share of activations, % (logarithmic)",
        yscale="log",
        xlim=(0, end),
        ylim=(0.01, 110),
    )
    left.set_yticks((0.01, 0.1, 1, 10, 100), ("0.01", "0.1", "1", "10", "100"))
    left.minorticks_off()
    right.set(
        title=f"Mean activation: {activations[0].mean():.2f} without dropout,\n"
        f"{activations[1].mean():.2f} with it",
        xlabel="mean activation of a hidden unit",
        ylabel="share of hidden units, %",
        xlim=(0, mean_end),
        ylim=(0, None),
    )
    right.legend()
    return figure


def _shares(values: Array, end: float, bins: int = 40) -> tuple[Array, Array]:
    """Return the percentages of `values` in equal bins from 0 to `end`, and their edges."""
    counts, edges = np.histogram(values, bins=bins, range=(0, end))
    return 100 * counts / values.size, edges


def _figure(width: float, height: float, **pads: Any) -> "Figure":
    """Return an empty figure; matplotlib is imported where it is used, so the module needs none."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(**pads))


FIGURES = {
    "test_error.png": draw_test_error,
    "learning_curves.png": draw_learning_curves,
    "features.png": draw_features,
    "activations.png": draw_activations,
}
