# SPDX-License-Identifier: BSD-3-Clause
"""When and how the kernels of `install` put operators of the package into a graph.

``torch.compile`` calls the kernels twice. Dynamo calls them with fake tensors, to know shapes,
before the compiler looks for a graph in its caches. AOTAutograd calls them with functional
tensors, to write the graph. ``torch.export`` does the same, but its graphs are for programs without
fastdrop.

Two operators have no kernel of the package where graphs are written, and inductor would make random
numbers of its own for them. For these are the kernels here, which PyTorch calls only then.
"""

from typing import Any

import torch
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.fx.experimental.symbolic_shapes import guard_or_false

from fastdrop.torch._compile import kept  # noqa: F401  # graphs from the disk call its operator
from fastdrop.torch._compile.settings import is_tagged, settle
from fastdrop.torch._operator import drop_traced, has_operator, memory_order
from fastdrop.torch._seed import draw_words

__all__ = ["is_compiled", "register_for_graphs"]

AUTOGRAD = torch._C.DispatchKey.AutogradCPU
# PyTorch's kernels with derivatives are for all devices. Called by the key of the CPU, they are not
# found, and a kernel that has no derivative runs.
STOCK = torch._C.DispatchKey.Autograd

_is_compiling = torch.compiler.is_compiling
_is_exporting = torch.compiler.is_exporting


def is_compiled(x: torch.Tensor) -> bool:
    """Return whether x belongs to a graph that AOTAutograd writes for ``torch.compile``.

    Of a graph without the tag, which the kernels would have put on its key, nothing is known.
    """
    return (
        type(x) is FunctionalTensor
        and _is_compiling()
        and not _is_exporting()
        and has_operator(x)
        and is_tagged()
    )


def _native_dropout(
    x: torch.Tensor, p: float, train: bool | None
) -> tuple[torch.Tensor, torch.Tensor]:
    settle()
    operator = torch.ops.aten.native_dropout.default
    if train is False or not (is_compiled(x) and 0.0 <= p <= 1.0):
        y, kept = operator._op_dk(STOCK, x, p, train)
        return y, kept
    if guard_or_false(x.numel() == 0):  # nothing is drawn
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    words, order = draw_words(), memory_order(x)
    ones = torch.ones_like(x, dtype=torch.float32)
    kept = drop_traced(ones, words, p, False, order, 1.0) > 0.0
    return drop_traced(x, words, p, False, order, 1.0 / (1.0 - p) if p < 1.0 else 1.0), kept


def _bernoulli(p: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
    settle()
    if is_compiled(p):  # of what is in place, inductor leaves the numbers to PyTorch's operator
        return torch.empty_like(p).bernoulli_(p, generator=generator)
    y: torch.Tensor = torch.ops.aten.bernoulli.default._op_dk(STOCK, p, generator=generator)
    return y


def register_for_graphs() -> None:
    """Register the kernels of this file."""
    kernels: dict[Any, Any] = {
        torch.ops.aten.native_dropout.default: _native_dropout,
        torch.ops.aten.bernoulli.default: _bernoulli,
    }
    for operator, kernel in kernels.items():
        operator.py_impl(AUTOGRAD)(kernel)
