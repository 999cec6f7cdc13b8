# SPDX-License-Identifier: BSD-3-Clause
"""What the relatives of dropout cost, compared with a copy, PyTorch, and no dropout at all.

Functions that decide about whole channels, samples or rows have no goal for PyTorch. Its own
way is a single multiplication. A copy, the limit of everything that writes y, is hardly faster.
The table says by how much.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from fastdrop.cli._bench_relatives import FAMILY, LIMIT, Baseline, P, Relative
from fastdrop.cli._bench_timing import Goal, Row, power_of_two

PLACES = ("LLC", "memory")

FUSED_GOAL = Goal(1.15)  # copies of as many bytes as are read and written
BARE_GOAL = Goal(1)  # steps without dropout, one after the other
PEER_GOAL = Goal(10, faster=True)
NO_GOAL = Goal(None, faster=True)


def _row(
    relative: Relative, baseline: Baseline, title: str, place: str, size: int, goal: Goal | None
) -> Row:
    return Row(
        table=f"{title}, {place}: {power_of_two(size)} float32, p = {P}",
        case=relative.case,
        candidate=relative.candidate,
        baseline=baseline.statement,
        size=size,
        goal=goal,
        p=P,
        setup=baseline.setup,
        note=baseline.note,
    )


def against_copy(relative: Relative, place: str, size: int) -> Row:
    """Make the row of a function and a copy of as many bytes as it reads and writes."""
    goal = FUSED_GOAL if relative.fused else None
    title = "The family compared with a copy"
    return _row(relative, relative.against_copy(), title, place, size, goal)


def against_bare(relative: Relative, place: str, size: int) -> Row:
    """Make the row of a fused function and its steps without dropout, one by one."""
    title = "Fused passes compared with the same without dropout"
    return _row(relative, relative.against_bare(), title, place, size, BARE_GOAL)


def against_torch(relative: Relative, place: str, size: int) -> Row:
    """Make the row of a function and what programs do in PyTorch."""
    goal = PEER_GOAL if relative.decides in ("elements", "blocks") else NO_GOAL
    title = "The family compared with PyTorch"
    return _row(relative, relative.against_torch(), title, place, size, goal)


def family_rows(levels: Iterable[str], sizes: dict[str, int], threads: int = 1) -> list[Row]:
    """List the rows of the family's tables.

    Parameters
    ----------
    levels : iterable of str
        SIMD levels to measure at.
    sizes : dict
        Elements by place, as `places` gives them.
    threads : int, default: 1
        Threads that fastdrop and PyTorch may use. The goals are those of one.

    Returns
    -------
    list of Row
        The rows.
    """
    with_steps = [relative for relative in FAMILY if relative.bare]
    rows = [
        *(
            against_copy(relative, place, sizes[place])
            for place, relative in product(PLACES, FAMILY)
        ),
        *(
            against_bare(relative, place, sizes[place])
            for place, relative in product(PLACES, with_steps)
        ),
        *(against_torch(relative, "LLC", sizes["LLC"]) for relative in (*FAMILY, LIMIT)),
    ]
    if threads != 1:
        rows = [
            replace(row, threads=threads, goal=row.goal and replace(row.goal, limit=None))
            for row in rows
        ]
    return [replace(row, simd=level) for level, row in product(levels, rows)]
