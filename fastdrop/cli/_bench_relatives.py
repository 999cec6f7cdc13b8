# SPDX-License-Identifier: BSD-3-Clause
"""The relatives of dropout, and what is done without them, as statements to time.

This file needs the standard library alone. The benchmarks of asv take it from the tree that they
are in, so that all commits are measured by the same statements.
"""

from dataclasses import dataclass
from textwrap import dedent
from typing import Any

P = 0.1

FLAT, TABLE, LINES = "(-1,)", "(-1, 256)", "(-1, 16, 1024)"
MAPS, VOLUMES = "(-1, 16, 32, 32)", "(-1, 16, 4, 16, 16)"

TORCH = """
import torch
from torch.nn import functional as F

torch.set_num_threads(threads)
t = torch.from_numpy(x)
"""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a function is measured against.

    Parameters
    ----------
    statement : str
        What is timed.
    setup : str
        What both statements need, the function's and this one.
    note : str
        What it is called in tables.
    """

    statement: str
    setup: str
    note: str


@dataclass(frozen=True, slots=True)
class Relative:
    """A function of the family, and what is done without it.

    Parameters
    ----------
    name : str
        Its name in the package.
    candidate : str
        The statement that calls it; it sees a source `src`, `x` and `y` of that shape, and what
        the statements of a `Row` see.
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

    def against_copy(self) -> Baseline:
        """Return a copy of as many bytes as the function reads and writes."""
        copied = f"before = buffer.to_read(np.ones({self.arrays} * n // 2, np.float32))\n"
        copied += "after = buffer.to_write(before)\n"
        note = f"{self.arrays} arrays"
        return Baseline("np.copyto(after, before)", self.own_setup + copied, note)

    def against_bare(self) -> Baseline:
        """Return its steps without dropout, one by one."""
        return Baseline(self.bare, self.own_setup, self.bare.replace("\n", "; "))

    def against_torch(self) -> Baseline:
        """Return what programs do in PyTorch."""
        return Baseline(self.peer, self.own_setup + TORCH + self.peer_setup, self.peer_name)


def _relative(name: str, shape: str, peer: str, peer_name: str = "", **fields: Any) -> Relative:
    """Describe a function of the usual signature; by default its peer is PyTorch's own."""
    candidate = f"fd.{name}(x, p, rng=src, out=y)"
    return Relative(name, candidate, shape, dedent(peer).strip(), peer_name or peer, **fields)


OTHER = "other = buffer.to_read(np.roll(x, 1))\n"
OTHER_TENSOR = "t_other = torch.from_numpy(other)\n"
WEIGHTS = "weight = buffer.to_read(np.ones(256, np.float32))\nshift = buffer.to_read(weight)\n"
WEIGHT_TENSORS = "t_weight, t_shift = torch.from_numpy(weight), torch.from_numpy(shift)\n"

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
        setup="row = buffer.to_read(np.ones((1, 1024), np.float32))\n",
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
        "torch.where(torch.rand_like(t) < p, t_other, t)",
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
        "t_other + F.dropout(t, p)",
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
        "t_other + F.dropout(t + t_bias, p)",
        "residual + F.dropout(t + bias, p)",
        setup=OTHER
        + "bias = buffer.to_read(np.ones(256, np.float32))\n"
        + "part = buffer.to_write(x)\n",
        peer_setup=OTHER_TENSOR + "t_bias = torch.from_numpy(bias)\n",
        arrays=3,
        fused=True,
        bare="np.add(x, bias, out=part)\nnp.add(part, other, out=y)",
    ),
    _relative("gelu_dropout", FLAT, "F.dropout(F.gelu(t), p)", fused=True),
    _relative("silu_dropout", FLAT, "F.dropout(F.silu(t), p)", fused=True),
    Relative(
        "dropout_add_layer_norm",
        "fd.dropout_add_layer_norm(x, other, weight, shift, p, rng=src, out=y)",
        TABLE,
        "F.layer_norm(t_other + F.dropout(t, p), (256,), t_weight, t_shift)",
        "layer_norm(residual + F.dropout(t, p))",
        setup=OTHER + WEIGHTS,
        peer_setup=OTHER_TENSOR + WEIGHT_TENSORS,
        arrays=3,
        fused=True,
    ),
    Relative(
        "dropout_add_rms_norm",
        "fd.dropout_add_rms_norm(x, other, weight, p, rng=src, out=y)",
        TABLE,
        "F.rms_norm(t_other + F.dropout(t, p), (256,), t_weight, 1e-5)",
        "rms_norm(residual + F.dropout(t, p))",
        setup=OTHER + WEIGHTS,
        peer_setup=OTHER_TENSOR + WEIGHT_TENSORS,
        arrays=3,
        fused=True,
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
