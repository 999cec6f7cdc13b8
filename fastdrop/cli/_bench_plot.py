# SPDX-License-Identifier: BSD-3-Clause
"""Draw fastdrop and its peers, in copies of the same bytes."""

from pathlib import Path
from typing import TYPE_CHECKING

from fastdrop.cli._bench_tables import three_digits
from fastdrop.cli._bench_timing import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FASTDROP, PEER, INK, FAINT, RULE = "#d9480f", "#b8c0c8", "#212529", "#6c757d", "#e9ecef"
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw(results: list[Result], facts: dict[str, str], file: Path) -> None:
    """Draw a panel of bars for each table of peers.

    Parameters
    ----------
    results : list of Result
        What was measured.
    facts : dict
        The machine, as `machine` describes it.
    file : pathlib.Path
        Where to write the picture; its suffix chooses the format.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels: dict[str, list[Result]] = {result.row.table: [] for result in results}
    for result in results:
        if result.row.candidate != result.row.baseline:  # a copy is the line at 1, not a bar
            panels[result.row.table].append(result)
    bars = [len(panel) for panel in panels.values()]
    ratios = [result.times.ratio for result in results]

    height = 0.36 * sum(bars) + 1.0 * len(bars) + 0.9
    below = 0.5 / height
    layout = ConstrainedLayoutEngine(rect=(0.01, below, 0.98, 0.99 - below), h_pad=0.1)
    figure = Figure(figsize=(9, height), layout=layout)
    axes = figure.subplots(
        len(bars), sharex=True, squeeze=False, gridspec_kw={"height_ratios": bars}
    )[:, 0]
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        _draw_panel(axis, title, panel)
    axes[0].set_xlim(min(0.9, *ratios) / 1.1, max(ratios) * 1.7)
    axes[-1].set_xlabel(
        "time in copies of the same bytes, log scale (shorter is better)", color=FAINT, fontsize=11
    )
    how = f"{facts['CPU']}, SIMD {facts['SIMD']}, threads {facts['threads']}"
    footer = f"fastdrop {facts['fastdrop']}, {facts['others']}\n{how}"
    figure.text(0.02, 0.02, footer, fontsize=8, color=FAINT)
    figure.savefig(file, dpi=200, facecolor="white")


def _draw_panel(axis: "Axes", title: str, results: list[Result]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    results = sorted(results, key=lambda result: result.times.ratio, reverse=True)
    several_levels = len({result.row.simd for result in results if result.row.simd}) > 1

    # A log scale has no zero for bars to start from: they start at the copy, which is the limit.
    axis.set_xscale("log")
    axis.axvline(1, color=INK, linewidth=1)
    axis.annotate(
        "a memory copy",
        (1, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=FAINT,
    )
    labels = []
    for place, result in enumerate(results):
        ratio, level = result.times.ratio, result.row.simd  # only fastdrop's rows force a level
        colour, weight = (FASTDROP, "bold") if level else (INK, "normal")
        axis.barh(place, ratio - 1, left=1, height=0.68, color=FASTDROP if level else PEER)
        axis.annotate(
            f"{three_digits(ratio)}×",
            (max(ratio, 1), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center_baseline",
            color=colour,
            fontweight=weight,
            fontsize=11,
        )
        labels.append(
            f"{result.row.case}, {level}" if level and several_levels else result.row.case
        )

    axis.set_title(_prettify(title), loc="left", pad=24, color=INK, fontsize=13, weight="bold")
    axis.set_yticks(range(len(results)), labels)
    axis.set_ylim(-0.6, len(results) - 0.4)
    axis.tick_params("y", length=0, labelsize=11, labelcolor=INK)
    axis.tick_params("x", length=0, labelsize=11, labelcolor=FAINT)
    axis.xaxis.set_major_locator(FixedLocator(TICKS))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axis.grid(axis="x", color=RULE)
    axis.set_axisbelow(True)
    axis.spines[:].set_visible(False)


def _prettify(title: str) -> str:
    """Write powers of two, 2^20, with a raised exponent."""
    words = title.split(" ")
    return " ".join(
        "2" + word[2:].translate(SUPERSCRIPTS) if word.startswith("2^") else word for word in words
    )
