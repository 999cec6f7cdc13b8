# SPDX-License-Identifier: BSD-3-Clause
"""Lay out what was measured in tables, for a terminal or as markdown."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fastdrop.cli._bench_rows import Footprint
from fastdrop.cli._bench_timing import Result, shown_p
from fastdrop.cli._terminal import console

if TYPE_CHECKING:
    from rich.console import Group

# Columns that hold words, not numbers.
WORDS = frozenset(
    ("machine", "", "case", "function", "system", "SIMD", "goal", "met?", "note", "compared with")
)


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns, below a title and the statements that it is about."""

    title: str
    header: tuple[str, ...]
    cells: list[tuple[str, ...]]
    code: str = ""

    @property
    def sides(self) -> list[Literal["left", "right"]]:
        """The side that each column is aligned to: numbers to the right, words to the left."""
        return ["left" if name in WORDS else "right" for name in self.header]

    def markdown(self) -> str:
        """Render as GitHub's markdown."""
        code = f"`{self.code}`\n\n" if self.code else ""
        rule = [":--" if side == "left" else "--:" for side in self.sides]
        lines = (f"| {' | '.join(line)} |" for line in (self.header, rule, *self.cells))
        return f"### {self.title}\n\n{code}" + "\n".join(lines) + "\n"

    def __rich__(self) -> "Group":
        """Render for a terminal."""
        from rich import box
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        colours = {"yes": "green", "no": "bold red"}
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, (name, side) in enumerate(zip(self.header, self.sides, strict=True)):
            # Where the terminal is narrow, others wrap between words: names and numbers stay whole.
            table.add_column(name, justify=side, no_wrap=place == 0, overflow="fold")
        for line in self.cells:
            table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in line))
        above = [Text(self.title, "bold")]
        if self.code:
            above.append(Text(self.code, "dim"))
        return Group(*above, table)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def three_digits(ratio: float) -> str:
    """Write a ratio with three digits, zeros at its end too."""
    return f"{ratio:#.3g}" if ratio < 99.95 else f"{ratio:.0f}"


def _ratio(result: Result) -> str:
    goal, ratio = result.row.goal, result.times.ratio
    return three_digits(goal.score(ratio)) + goal.unit if goal else three_digits(ratio)


def _verdict(met: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[met]


CORE_COLUMNS = {
    "case": lambda result: result.row.case,
    "p": lambda result: shown_p(result.row.p),
    "SIMD": lambda result: result.row.simd,
    "{unit}": lambda result: _number(result.row.shown(result.times.candidate_seconds)),
    "baseline": lambda result: _number(result.row.shown(result.times.baseline_seconds)),
    "ratio": _ratio,
    "goal": lambda result: str(result.row.goal or ""),
    "met?": lambda result: _verdict(result.met),
}
FAMILY_COLUMNS = {
    "function": CORE_COLUMNS["case"],
    **{
        name: CORE_COLUMNS[name] for name in ("SIMD", "{unit}", "baseline", "ratio", "goal", "met?")
    },
    "compared with": lambda result: result.row.note,
}
PEER_COLUMNS = {
    "system": lambda result: result.row.case,
    "SIMD": lambda result: result.row.simd,
    "{unit}": lambda result: _number(result.row.shown(result.times.candidate_seconds)),
    "times a copy": lambda result: three_digits(result.times.ratio),
    "note": lambda result: result.row.note,
}
FOOTPRINT_COLUMNS = {
    "case": lambda footprint: footprint.case,
    "bytes per element": lambda footprint: _number(footprint.kept),
    "PyTorch": lambda footprint: _number(footprint.kept_by_torch),
    "goal": lambda footprint: str(footprint.goal),
    "met?": lambda footprint: _verdict(footprint.met),
}


def cells_of(
    columns: dict[str, Callable[[Any], str]], items: Iterable[Any]
) -> list[tuple[str, ...]]:
    return [tuple(show(item) for show in columns.values()) for item in items]


def tabulate(results: list[Result], columns: dict[str, Callable[[Result], str]]) -> list[Table]:
    """Lay results out, one table for each `Row.table`.

    Parameters
    ----------
    results : list of Result
        What was measured, at one SIMD level or several.
    columns : dict
        The header of each column, and what it shows of a result.

    Returns
    -------
    list of Table
        The tables, in order.
    """
    groups: dict[str, list[Result]] = {result.row.table: [] for result in results}
    for result in results:
        groups[result.row.table].append(result)
    tables = []
    for title, group in groups.items():
        row = group[0].row
        header = tuple(name.format(unit=row.unit) for name in columns)
        code = f"{row.candidate}  against  {row.baseline}" if columns is CORE_COLUMNS else ""
        tables.append(Table(title, header, cells_of(columns, group), code))
    return tables


def summary(judged: Iterable[Result | Footprint]) -> str:
    """Count the goals that are met."""
    verdicts = [item.met for item in judged if item.met is not None]
    return f"{sum(verdicts)} of {len(verdicts)} goals met." if verdicts else "No goal was judged."


def show(tables: list[Table], notes: list[str], markdown: bool) -> None:
    """Print tables and notes."""
    if markdown:
        print(*(table.markdown() for table in tables), *notes, sep="\n")
        return
    terminal = console(width=None if sys.stdout.isatty() else 120)
    for item in (*tables, *notes):
        terminal.print(item)
