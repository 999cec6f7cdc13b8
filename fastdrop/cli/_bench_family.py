# SPDX-License-Identifier: BSD-3-Clause
"""What the relatives of dropout cost: beside a copy, beside PyTorch, and beside no dropout at all.

Functions that decide about whole channels, samples or rows have no goal beside PyTorch. There, its
own way is a single multiplication, and a copy, the limit of everything that writes y, is hardly
faster; the table says by how much.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from textwrap import dedent
from typing import Any

from fastdrop.cli._bench_timing import Goal, Row, power_of_two

P = 0.1
PLACES = ("LLC", "memory")

FLAT, TABLE, LINES = "(-1,)", "(-1, 256)", "(-1, 16, 1024)"
MAPS, VOLUMES = "(-1, 16, 32, 32)", "(-1, 16, 4, 16, 16)"

FUSED_GOAL = Goal(1.15)  # copies of as many bytes as are read and written
BARE_GOAL = Goal(1)  # steps without dropout, one after the other
PEER_GOAL = Goal(10, faster=True)
NO_GOAL = Goal(None, faster=True)

TORCH = """
import torch
from torch.nn import functional as F

torch.set_num_threads(threads)
t = torch.from_numpy(x)
"""


@dataclass(frozen=True, slots=True)
class Relative:
    """A function of the family, and what is done without it.

    Parameters
    ----------
    name : str
        Its name in the package.
    candidate : str
        The statement that calls it; it sees a source `src` and `x` and `y` of that shape.
    shape : str
        The shape of x, as source.
    peer : str
        What programs do in PyTorch instead; it sees `torch`, `F`, and x as the tensor `t`.
    peer_name : str
        What that is called.
    decides : str, default: "elements"
        What one decision is about.
    setup, peer_setup : str, optional
        What the statements need besides.
    arrays : int, default: 2
        How many arrays of x's size are read and written.
    fused : bool, default: False
        Whether it does more than dropout in one pass.
    bare : str, optional
        The same without dropout, one operation after the other, in NumPy.
    """

    name: str
    candidate: str
    shape: str
    peer: str
    peer_name: str
    decides: str = "elements"
    setup: str = ""
    peer_setup: str = ""
    arrays: int = 2
    fused: bool = False
    bare: str = ""

    @property
    def case(self) -> str:
        """Its name in the tables."""
        return self.name + (" with bias" if "bias=" in self.candidate else "")

    @property
    def own_setup(self) -> str:
        """What its statement needs."""
        shaped = f"x, y = x.reshape({self.shape}), y.reshape({self.shape})\n"
        return "src = fd.Xoshiro256PlusPlus(1)\n" + shaped + self.setup


def _relative(name: str, shape: str, peer: str, peer_name: str = "", **fields: Any) -> Relative:
    """Describe a function of the usual signature; by default its peer is PyTorch's own."""
    candidate = f"fd.{name}(x, p, rng=src, out=y)"
    return Relative(name, candidate, shape, dedent(peer).strip(), peer_name or peer, **fields)


OTHER = "other = np.roll(x, 1)\n"
OTHER_TENSOR = "other = torch.from_numpy(other)\n"

FAMILY = (
    _relative("dropout", FLAT, "F.dropout(t, p)"),
    _relative("dropout1d", LINES, "F.dropout1d(t, p)", decides="channels"),
    _relative("dropout2d", MAPS, "F.dropout2d(t, p)", decides="channels"),
    _relative("dropout3d", VOLUMES, "F.dropout3d(t, p)", decides="channels"),
    _relative(
        "drop_path",
        MAPS,
        """
        kept = t.new_empty((len(t), 1, 1, 1)).bernoulli_(1 - p).div_(1 - p)
        t * kept
        """,
        "timm's recipe",
        decides="samples",
    ),
    _relative(
        "embedding_dropout",
        TABLE,
        "t * t.new_empty((len(t), 1)).bernoulli_(1 - p).div_(1 - p)",
        "AWD-LSTM's recipe",
        decides="rows",
    ),
    _relative(
        "drop_block2d",
        MAPS,
        """
        begins = torch.empty(*t.shape[:2], height - block + 1, width - block + 1)
        begins = F.pad(begins.bernoulli_(gamma), [block // 2] * 4)
        kept = 1 - F.max_pool2d(begins, block, 1, block // 2)
        t * kept * (kept.numel() / (kept.sum() + 1e-6))
        """,
        "torchvision's recipe",
        decides="blocks",
        peer_setup="block, (height, width) = 7, t.shape[2:]\n"
        "places = (height - block + 1) * (width - block + 1)\n"
        "gamma = p / block**2 * height * width / places\n",
    ),
    Relative(
        "drop_connect",
        "fd.drop_connect(row, x, p, rng=src)",
        "(-1, 1024)",
        "F.linear(t_row, F.dropout(t, p))",
        "F.linear(row, F.dropout(weight, p))",
        setup="row = np.ones((1, 1024), np.float32)\n",
        peer_setup="t_row = torch.from_numpy(row)\n",
    ),
    _relative("alpha_dropout", FLAT, "F.alpha_dropout(t, p, True)"),
    _relative(
        "feature_alpha_dropout",
        MAPS,
        "F.feature_alpha_dropout(t, p, True)",
        decides="channels",
    ),
    _relative(
        "gaussian_dropout",
        FLAT,
        "t * (1 + (p / (1 - p)) ** 0.5 * torch.randn_like(t))",
        "t * (1 + s * torch.randn_like(t))",
    ),
    Relative(
        "zoneout",
        "fd.zoneout(x, other, p, rng=src, out=y)",
        FLAT,
        "torch.where(torch.rand_like(t) < p, other, t)",
        "where(rand_like(new) < p, old, new)",
        setup=OTHER,
        peer_setup=OTHER_TENSOR,
        arrays=3,
    ),
    _relative(
        "relu_dropout",
        FLAT,
        "F.dropout(F.relu(t), p)",
        fused=True,
        bare="np.maximum(x, 0, out=y)",
    ),
    Relative(
        "dropout_add",
        "fd.dropout_add(x, other, p, rng=src, out=y)",
        TABLE,
        "other + F.dropout(t, p)",
        "residual + F.dropout(t, p)",
        setup=OTHER,
        peer_setup=OTHER_TENSOR,
        arrays=3,
        fused=True,
    ),
    Relative(
        "dropout_add",
        "fd.dropout_add(x, other, p, bias=bias, rng=src, out=y)",
        TABLE,
        "other + F.dropout(t + t_bias, p)",
        "residual + F.dropout(t + bias, p)",
        setup=OTHER + "bias, part = np.ones(256, np.float32), np.ones_like(x)\n",
        peer_setup=OTHER_TENSOR + "t_bias = torch.from_numpy(bias)\n",
        arrays=3,
        fused=True,
        bare="np.add(x, bias, out=part)\nnp.add(part, other, out=y)",
    ),
)

LIMIT = Relative(
    "np.copyto, the limit",
    "np.copyto(y, x)",
    MAPS,
    "F.dropout2d(t, p)",
    "F.dropout2d(t, p)",
    decides="channels",
)


def _row(relative: Relative, title: str, place: str, size: int, **fields: Any) -> Row:
    title = f"{title}, {place}: {power_of_two(size)} float32, p = {P}"
    return Row(title, relative.case, relative.candidate, size=size, p=P, **fields)


def beside_copy(relative: Relative, place: str, size: int) -> Row:
    """Make the row of a function beside a copy of as many bytes as it reads and writes."""
    copied = f"before = np.ones({relative.arrays} * n // 2, np.float32)\n"
    return _row(
        *(relative, "The family beside a copy", place, size),
        baseline="np.copyto(after, before)",
        goal=FUSED_GOAL if relative.fused else None,
        setup=relative.own_setup + copied + "after = np.ones_like(before)\n",
        note=f"{relative.arrays} arrays",
    )


def beside_bare(relative: Relative, place: str, size: int) -> Row:
    """Make the row of a fused function beside its steps without dropout, one by one."""
    return _row(
        *(relative, "Fused passes beside the same without dropout", place, size),
        baseline=relative.bare,
        goal=BARE_GOAL,
        setup=relative.own_setup,
        note=relative.bare.replace("\n", "; "),
    )


def beside_torch(relative: Relative, place: str, size: int) -> Row:
    """Make the row of a function beside what programs do in PyTorch."""
    return _row(
        *(relative, "The family beside PyTorch", place, size),
        baseline=relative.peer,
        goal=PEER_GOAL if relative.decides in ("elements", "blocks") else NO_GOAL,
        setup=relative.own_setup + TORCH + relative.peer_setup,
        note=relative.peer_name,
    )


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
            beside_copy(relative, place, sizes[place])
            for place, relative in product(PLACES, FAMILY)
        ),
        *(
            beside_bare(relative, place, sizes[place])
            for place, relative in product(PLACES, with_steps)
        ),
        *(beside_torch(relative, "LLC", sizes["LLC"]) for relative in (*FAMILY, LIMIT)),
    ]
    if threads != 1:
        rows = [
            replace(row, threads=threads, goal=row.goal and replace(row.goal, limit=None))
            for row in rows
        ]
    return [replace(row, simd=level) for level, row in product(levels, rows)]
