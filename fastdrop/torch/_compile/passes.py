# SPDX-License-Identifier: BSD-3-Clause
"""What inductor does with the operators of the package, as passes over its graphs.

Only `settings` imports this, after inductor was imported, which takes long.
"""

import itertools
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch._inductor.fx_passes.control_dependencies import preserve_node_ordering
from torch.utils import _pytree as pytree
from torch.utils._ordered_set import OrderedSet

from fastdrop.torch._compile.kept import KEPT
from fastdrop.torch._compile.settings import TAG

__all__ = ["PASSES"]

Node: TypeAlias = torch.fx.Node

# What graphs are made of.
ROOM = Path(__file__).parents[1]
FILES = (
    *("_compile/passes.py", "_compile/graph.py", "_compile/kept.py"),
    *("_overrides.py", "_operator.py", "_drop.py", "_seed.py"),
    *("_attend/operator.py", "_attend/inputs.py"),
)
UUID = TAG.encode() + get_hash_for_files(tuple(str(ROOM / name) for name in FILES))

# What is said of a step whose bools are made of bytes, see `_write_derivative`.
BYTES = "fastdrop bytes"

CONVERT = torch.ops.prims.convert_element_type.default
SAVING = torch._prims.rng_prims.run_and_save_rng_state

_aten = torch.ops.aten
_DROP = torch.ops.fastdrop.drop.default


class _Pass(CustomGraphPass):
    """A pass whose name on disk changes with the package, the stream and the files."""

    def uuid(self) -> Any:
        return UUID


def _arguments(node: Node) -> dict[str, Any]:
    """Return the arguments of an operator by their names."""
    given = {}
    for argument, value in itertools.zip_longest(node.target._schema.arguments, node.args):
        given[argument.name] = argument.default_value if value is None else value
    return {**given, **node.kwargs}


# ---- order ---------------------------------------------------------------------------------------


def _draws(node: Node) -> bool:
    """Return whether a step draws from a generator of PyTorch, when the program runs.

    What inductor draws by itself, from a seed, does not.
    """
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target.namespace == "aten" and torch.Tag.nondeterministic_seeded in target.tags
    return target is SAVING  # it draws, and keeps where the generator was


def _keep_order(graph: torch.fx.Graph) -> None:
    """Let steps that draw keep the order that they have in the program.

    Inductor orders steps anew, by the memory that they need.
    """
    pairs = itertools.pairwise(node for node in graph.nodes if _draws(node))
    preserve_node_ordering(graph, {node: OrderedSet([before]) for before, node in pairs})


# ---- dropout as bytes and arithmetic -------------------------------------------------------------


class _Writer:
    """Writes steps before a step of a graph, each with what is known of its result."""

    def __init__(self, graph: torch.fx.Graph, before: Node) -> None:
        self.graph, self.before = graph, before

    def __call__(self, target: Any, *arguments: Any, **options: Any) -> Node:
        with self.graph.inserting_before(self.before):
            node = self.graph.call_function(target, arguments, options)
        values = pytree.tree_map_only(Node, lambda step: step.meta["val"], arguments)
        with self.before.meta["val"].fake_mode:
            node.meta["val"] = target(*values, **options)
        return node

    def length(self, x: Node, axis: int) -> int | Node:
        """Return a length of a tensor: a number, or a step where it is a symbol."""
        length = x.meta["val"].shape[axis]
        return length if isinstance(length, int) else self(_aten.sym_size.int, x, axis)


def _write_out(graph: torch.fx.Graph, node: Node) -> None:
    """Write dropout as decisions, and arithmetic that inductor fuses with its neighbours."""
    given = _arguments(node)
    x, write = given["x"], _Writer(graph, node)
    value = x.meta["val"]
    decided = 2 if given["features"] else value.dim()
    shape = [write.length(x, i) if i < decided else 1 for i in range(value.dim())]
    kept = write(KEPT, given["words"], given["p"], shape, given["order"])
    # Comparing floats gives inductor a mask in the registers that it needs; bytes do not.
    kept = write(_aten.gt.Scalar, write(CONVERT, kept, torch.float32), 0.0)
    # As the kernels: half-width numbers are rounded at the end alone.
    wide = torch.float32 if value.dtype.itemsize == 2 else value.dtype
    y = x if wide is value.dtype else write(CONVERT, x, wide)
    if given["scale"] != 1.0:
        y = write(_aten.mul.Tensor, y, given["scale"])
    if given["shift"]:
        y = write(_aten.add.Tensor, y, given["shift"])
    options = {"dtype": wide, "layout": torch.strided, "device": value.device}
    dropped = write(_aten.full.default, [], given["dropped"], **options, pin_memory=False)
    y = write(_aten.where.self, kept, y, dropped)
    if wide is not value.dtype:
        y = write(CONVERT, y, value.dtype)
    y.meta = {**node.meta, "val": y.meta["val"]}
    node.replace_all_uses_with(y)
    graph.erase_node(node)


def _undo_bytes(graph: torch.fx.Graph) -> None:
    """Take away bytes that relu's derivative needs not, for the partitioner did not keep them."""
    for negative in graph.find_nodes(op="call_function", target=_aten.lt.Tensor):
        if BYTES not in negative.meta:
            continue
        step, _ = negative.args
        while step.target is CONVERT:
            step = step.args[0]
        if step.target is _aten.where.self:
            negative.replace_all_uses_with(step.args[0])
            graph.erase_node(negative)


class _AfterPartition(_Pass):
    """Of a forward graph, or of a backward graph, which makes its masks again."""

    def __call__(self, graph: torch.fx.Graph) -> None:
        _keep_order(graph)
        _undo_bytes(graph)
        for node in graph.find_nodes(op="call_function", target=_DROP):
            if not node.meta["val"].is_complex():
                _write_out(graph, node)


# ---- relu ----------------------------------------------------------------------------------------


def _source(node: Node) -> Node:
    """Return what a step is another name of."""
    while node.target is _aten.alias.default:
        node = node.args[0]
    return node


def _derived_relu(chosen: Node) -> Node | None:
    """Return the relu of which a step is the derivative: where it is not positive, there is 0."""
    negative, zero, _ = chosen.args
    if (
        negative.target is not _aten.le.Scalar
        or negative.args[1] != 0
        or zero.target not in (_aten.scalar_tensor.default, _aten.full.default)
    ):
        return None
    relu = _source(negative.args[0])
    return relu if relu.target is _aten.relu.default else None


def _is_same_mask(node: Node, other: Node) -> bool:
    """Return whether two steps are dropout to 0 under one mask."""
    if not node.target is other.target is _DROP:
        return False
    mine, others = _arguments(node), _arguments(other)
    del mine["x"], others["x"]
    return mine == others and not mine["shift"] and not mine["dropped"]


def _write_derivative(chosen: Node, relu: Node) -> None:
    """Write the derivative of relu, and of the dropout after it, so that bytes serve for it.

    If nothing else keeps the result, the partitioner keeps the smallest that says where it is 0.
    Those are bools, and inductor takes longer to store them than for all else in such a loop. So
    there are bytes, of which bools are made only by a comparison with a number that depends on the
    gradient. What depends on that cannot be kept.

    The result of dropout is 0 where relu's is, and where elements were dropped. A layer that
    multiplies it by weights keeps it for its own derivative. So backward does not need the mask.
    """
    negative, zero, gradient = chosen.args
    write = _Writer(chosen.graph, chosen)
    dropped = (y for y in relu.users if y.args[0] is relu and _is_same_mask(y, gradient))
    y, dy = next(dropped, relu), gradient
    if y is not relu:
        given = _arguments(gradient)
        dy = write(_aten.mul.Tensor, given["x"], given["scale"])
    options = {"dtype": torch.float32, "layout": torch.strided, "device": torch.device("cpu")}

    def either(condition: Node, *numbers: float) -> Node:
        full = (write(_aten.full.default, [], x, **options, pin_memory=False) for x in numbers)
        return write(_aten.where.self, condition, *full)

    positive = either(write(_aten.le.Scalar, y, 0), 0.0, 1.0)
    positive = write(CONVERT, write(CONVERT, positive, torch.uint8), torch.float32)
    between = either(write(_aten.gt.Scalar, dy, 0), 0.25, 0.75)
    chosen.args = (write(_aten.lt.Tensor, positive, between), zero, dy)
    chosen.args[0].meta[BYTES] = True
    for step in (negative, gradient):
        if not step.users:
            chosen.graph.erase_node(step)


class _BeforePartition(_Pass):
    """Of a graph that is still forward and backward, if something is dropped in it."""

    def __call__(self, graph: torch.fx.Graph) -> None:
        if not graph.find_nodes(op="call_function", target=_DROP):
            return
        for chosen in graph.find_nodes(op="call_function", target=_aten.where.self):
            relu = _derived_relu(chosen)
            if relu is not None:
                _write_derivative(chosen, relu)


# The setting of inductor -> the pass that is added to it.
PASSES = {
    "joint_custom_pre_pass": _BeforePartition(),
    "post_grad_custom_pre_pass": _AfterPartition(),
}
