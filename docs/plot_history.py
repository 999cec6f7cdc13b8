# SPDX-License-Identifier: BSD-3-Clause
"""Draw what `history.md` shows, from the results in `asv_benches/results`.

``python docs/plot_history.py`` writes ``docs/history-table.md`` (included by the page) and
``docs/_static/history-light.svg`` and ``-dark.svg``. Nothing is measured: asv did that at the
commits of ``asv_benches/milestones.txt``. Results of another version of a benchmark are left out,
as asv does. Needs matplotlib. ``--benchmarks`` prints which benchmarks it shows, for asv's
``--bench``.
"""

import json
import re
import sys
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

DOCS = Path(__file__).parent
BENCHES = DOCS.parent / "asv_benches"

MACHINE = "intel-xeon-amx"  # other machines have other ratios
# Milestone -> "benchmark(parameters)" -> value; what was skipped is not there.
Ratios = dict[str, dict[str, float]]
# Title, unit, and label -> benchmark of each line.
Panel = tuple[str, str, dict[str, str]]

SOURCES = ("Xoshiro256PlusPlus", "Xorshift128Plus", "Philox4x32")
MODELS = ("mlp", "conv", "encoder", "gpt", "lstm")
PANELS = {
    "L2": "of 2¹⁶ float32, in the L2 cache",
    "LLC": "of 2²⁰ float32, in the last-level cache",
    "memory": "of 2²⁵ float32: 128 MiB",
}
COLUMNS = {
    "L2": "bench_apply.Forward.track_ratio('Xoshiro256PlusPlus', 0.1, 'L2')",
    "last-level cache": "bench_apply.Forward.track_ratio('Xoshiro256PlusPlus', 0.1, 'LLC')",
    "2²⁵": "bench_apply.Forward.track_ratio('Xoshiro256PlusPlus', 0.1, 'memory')",
    "2²⁵, new y": "bench_apply.FreshMemory.track_ratio('memory')",
    "2²⁵, backward": "bench_apply.Backward.track_ratio('Xoshiro256PlusPlus', 'seed', 'memory')",
    "float16": "bench_apply.Dtypes.track_ratio('float16')",
    "128 elements": "bench_small.SmallAgainstNumPy.track_ratio(128)",
    "booleans": "bench_mask.BernoulliAgainstNumPy.track_ratio('Xoshiro256PlusPlus', 0.1)",
}
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 4, 6)
FINE_TICKS = (0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5)
COLOURS = ("#d9480f", "#1971c2", "#2b8a3e", "#862e9c", "#846358")
LIGHT_COLOURS = ("#ff922b", "#4dabf7", "#69db7c", "#da77f2", "#d2bab0")
# theme -> ink, faint ink, rules, and a colour for each line
THEMES = {
    "light": ("#212529", "#5c636a", "#dee2e6", COLOURS),
    "dark": ("#ced4da", "#adb5bd", "#495057", LIGHT_COLOURS),
}


def main() -> None:
    """Write the table and both pictures."""
    lines = (BENCHES / "milestones.txt").read_text(encoding="utf-8").splitlines()
    milestones = dict(line.split(" ", 1) for line in lines)
    results = BENCHES / "results" / MACHINE
    machine = json.loads((results / "machine.json").read_bytes())
    benchmarks = json.loads((results.parent / "benchmarks.json").read_bytes())
    ratios = read(results, list(milestones), benchmarks)
    table = write_table(milestones, machine, ratios)
    (DOCS / "history-table.md").write_text(table, encoding="utf-8")
    for theme in THEMES:
        draw(ratios, theme, DOCS / "_static" / f"history-{theme}.svg")


def read(folder: Path, milestones: list[str], benchmarks: dict[str, Any]) -> Ratios:
    """Return what asv measured at the milestones, at the best level."""
    ratios: Ratios = {milestone: {} for milestone in milestones}
    for path in sorted(folder.glob("*-*.json")):
        record = json.loads(path.read_bytes())
        milestone = next((m for m in milestones if record["commit_hash"].startswith(m)), None)
        if milestone is None or record["env_vars"]["FASTDROP_SIMD"] != "auto":
            continue
        for name, columns in record["results"].items():
            values = dict(zip(record["result_columns"], columns, strict=False))
            if name not in benchmarks or values["version"] != benchmarks[name]["version"]:
                continue
            for parameters, value in zip(
                product(*values["params"]), values["result"] or [], strict=False
            ):
                if value is not None and value == value:  # neither failed nor skipped
                    ratios[milestone][f"{name}({', '.join(parameters)})"] = value
    return ratios


def write_table(milestones: dict[str, str], machine: dict[str, Any], ratios: Ratios) -> str:
    """Return two tables in Markdown: the ratios, and what the commits are."""
    lines = [
        f"Measured on one core of an {machine['cpu']}; {machine['os']}.",
        "",
        f"| commit | {' | '.join(COLUMNS)} |",
        f"| :-- |{' --: |' * len(COLUMNS)}",
    ]
    for commit in milestones:
        values = [ratios[commit].get(name) for name in COLUMNS.values()]
        cells = ["" if value is None else f"{value:#.3g}" for value in values]
        lines.append(f"| `{commit}` | {' | '.join(cells)} |")
    lines += ["", "| commit | what it brought |", "| :-- | :-- |"]
    lines += [f"| `{commit}` | {meaning} |" for commit, meaning in milestones.items()]
    return "\n".join(lines) + "\n"


def every_panel() -> list[Panel]:
    """Return a panel for each size of arrays and one for PyTorch."""
    panels = [
        (
            f"Dropout {title}",
            "copies",
            {name: f"bench_apply.Forward.track_ratio('{name}', 0.1, '{size}')" for name in SOURCES},
        )
        for size, title in PANELS.items()
    ]
    models = {name: f"bench_torch.Training.track_ratio('installed', '{name}')" for name in MODELS}
    panels.append(("PyTorch training steps", "steps with clones", models))
    return panels


def shown() -> str:
    """Return a regular expression of the benchmarks that are shown."""
    names = {name for panel in every_panel() for name in panel[2].values()}
    return "|".join(map(re.escape, sorted(names.union(COLUMNS.values()))))


def panels_of(ratios: Ratios) -> list[Panel]:
    """Return the panels of which there are results."""
    measured = {name for row in ratios.values() for name in row}
    return [panel for panel in every_panel() if measured.intersection(panel[2].values())]


def draw(ratios: Ratios, theme: str, file: Path) -> None:
    """Draw the panels."""
    ink, faint, rules, colours = THEMES[theme]
    style = {
        "font.size": 11,
        "text.color": ink,
        "axes.labelcolor": faint,
        "axes.edgecolor": rules,
        "xtick.color": faint,
        "ytick.color": faint,
        "legend.columnspacing": 0.8,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "legend.handlelength": 1,
        "legend.handletextpad": 0.3,
        "svg.fonttype": "none",
        "svg.hashsalt": file.stem,
    }
    panels = panels_of(ratios)
    with matplotlib.rc_context(style):
        # Narrow, so that a phone shows the words at almost their size.
        figure = Figure(figsize=(4.6, 2.6 * len(panels)), layout="constrained")
        every_axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        explained: list[str] = []
        for axes, (title, unit, lines) in zip(every_axes, panels, strict=True):
            for (label, name), colour in zip(lines.items(), colours, strict=False):
                line(axes, ratios, name, color=colour, label=label)
            if list(lines) != explained:
                explained = list(lines)
                axes.legend(ncols=len(lines), loc="upper center")
            frame(axes, title, unit, ink, rules)
        axes.set_xticks(range(len(ratios)), list(ratios), rotation=75, size=8, family="monospace")
        figure.savefig(file, transparent=True, metadata={"Date": None})


def line(axes: Axes, ratios: Ratios, name: str, **style: Any) -> None:
    """Draw a line through the milestones that have the benchmark."""
    values = [(x, row[name]) for x, row in enumerate(ratios.values()) if name in row]
    if values:
        axes.plot(*zip(*values, strict=True), marker="o", markersize=4, **style)


def frame(axes: Axes, title: str, unit: str, ink: str, rules: str) -> None:
    """Give a panel its title, its scale, and the line of the baseline."""
    low, high = axes.dataLim.intervaly
    axes.set_yscale("log")
    low, high = min(low, 1), max(high, 1)
    axes.set_ylim(low / 1.05, high * (high / low) ** (0.4 if axes.get_legend() else 0.05))
    axes.yaxis.set_major_locator(FixedLocator(TICKS if high > 1.5 else FINE_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.axhline(1, color=ink, linewidth=1, zorder=0)
    axes.grid(axis="y", color=rules, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_ylabel(unit)


if __name__ == "__main__":
    if "--benchmarks" in sys.argv[1:]:
        print(shown())
    else:
        main()
