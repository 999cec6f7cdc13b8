# SPDX-License-Identifier: BSD-3-Clause
"""Draw fastdrop and its peers for the site, from the tables of `performance-tables.md`.

``python docs/draw_speed.py`` writes ``docs/_static/speed-light.svg`` and ``speed-dark.svg``, for
the README and for the site. They have no background. They are narrow, so that they can be read on
a telephone. Nothing is measured. `measure_performance.py` calls this. Needs matplotlib.
"""

import re
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastdrop.cli._bench_plot import SUPERSCRIPTS

DOCS = Path(__file__).parent
THEMES = {
    "light": ("#d9480f", "#9aa3ad", "#212529", "#5c636a", "#dee2e6"),
    "dark": ("#ff8a4c", "#7d8791", "#dee2e6", "#adb5bd", "#495057"),
}
TITLES = {"20": "in a cache", "24": "in memory"}
TICKS = (1, 3, 10, 30)


def read(text: str) -> dict[str, dict[str, float]]:
    """Return title -> system -> times a copy, of each source at the best level alone."""
    panels: dict[str, dict[str, float]] = {}
    for section in re.split(r"^### Dropout of ", text, flags=re.M)[1:]:
        exponent = section.partition("^")[2][:2]
        title = f"2{exponent.translate(SUPERSCRIPTS)} numbers, {TITLES[exponent]}"
        for row in re.findall(r"^\| (.+) \|$", section, flags=re.M)[1:]:
            system, _, _, ratio, _ = (cell.strip() for cell in row.split("|"))
            if "copyto" not in system and not system.startswith(":"):
                panels.setdefault(title, {}).setdefault(system, float(ratio))
    return panels


def draw(panels: dict[str, dict[str, float]], theme: str, file: Path) -> None:
    """Draw a panel of bars for each table."""
    _, _, _, faint, _ = THEMES[theme]
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": file.stem, "font.size": 12}
    ):
        figure = Figure(figsize=(5, 6.4), layout="constrained")
        every_axes = figure.subplots(len(panels), sharex=True)
        for axes, (title, ratios) in zip(every_axes, panels.items(), strict=True):
            bars(axes, title, ratios, theme)
        every_axes[-1].set_xlabel("times a memory copy (shorter is better)", color=faint)
        figure.savefig(file, transparent=True, metadata={"Date": None})


def bars(axes: Axes, title: str, ratios: dict[str, float], theme: str) -> None:
    """Draw one panel. On a log scale bars have no zero to start from: they start at the copy."""
    fastdrop, peer, ink, faint, rule = THEMES[theme]
    rows = sorted(ratios.items(), key=lambda row: row[1], reverse=True)
    axes.set_xscale("log")
    axes.set_xlim(0.6, 190)
    axes.axvline(1, color=ink, linewidth=1)
    for place, (system, ratio) in enumerate(rows):
        own = system.startswith("fastdrop")
        axes.barh(place, ratio - 1, left=1, height=0.7, color=fastdrop if own else peer)
        axes.annotate(
            f"{ratio:.3g}×",
            (max(ratio, 1), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center_baseline",
            color=fastdrop if own else ink,
            fontweight="bold" if own else "normal",
        )
    axes.set_title(title, loc="left", color=ink, fontsize=12, fontweight="bold")
    labels = [system.removeprefix("fastdrop ") for system, _ in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.tick_params("y", length=0, labelcolor=ink)
    axes.tick_params("x", length=0, labelcolor=faint)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.grid(axis="x", color=rule)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def main() -> None:
    """Draw both pictures."""
    text = (DOCS / "performance-tables.md").read_text(encoding="utf-8")
    for theme in THEMES:
        draw(read(text), theme, DOCS / "_static" / f"speed-{theme}.svg")


if __name__ == "__main__":
    main()
