# SPDX-License-Identifier: BSD-3-Clause
"""The derivative of dropout: the same mask, applied to gradients and to tangents.

The map is linear, but for the shift of alpha dropout, so every derivative of any order is the map
itself without the shift, and nothing but the mask, which has no bits, is kept for it.
"""

from typing import Any

import torch
from torch.autograd import Function, forward_ad

from fastdrop.torch._apply import apply, apply_add, apply_in_place, apply_relu, is_strided
from fastdrop.torch._tensor import TensorMask

__all__ = [
    "check_in_place",
    "check_writable",
    "drop",
    "drop_add",
    "drop_in_place",
    "drop_relu",
    "relu_unsaved",
    "sum_for_bias",
]

BETWEEN_GRAPHS = (
    "the mask of an eager forward pass by fastdrop is no part of a graph: compile the forward pass "
    "too, or the backward pass without fullgraph=True"
)

_transforming = torch._C._are_functorch_transforms_active
_is_grad_enabled = torch.is_grad_enabled
_is_compiling = torch.compiler.is_compiling
_internal_overlap = torch._debug_has_internal_overlap


class _Drop(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, mask: TensorMask) -> torch.Tensor:
        ctx.mask = mask
        return apply(mask, x)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        if _is_compiling():  # compiled autograd, after a forward pass that was not compiled
            torch._dynamo.graph_break(msg=BETWEEN_GRAPHS)
        return drop(dy, ctx.mask.derivative), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return apply(ctx.mask.derivative, tangent)


class _DropInPlace(_Drop):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, mask: TensorMask) -> torch.Tensor:
        ctx.mask = mask
        ctx.mark_dirty(x)
        return apply_in_place(mask, x)

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return apply_in_place(ctx.mask.derivative, tangent)


class _DropTransformed(Function):
    """`_Drop` in the form that torch.func needs, which takes three times as long to call."""

    @staticmethod
    def forward(x: torch.Tensor, mask: TensorMask) -> torch.Tensor:
        return apply(mask, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.mask = inputs[1]

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _DropTransformed.apply(dy, ctx.mask.derivative), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return _DropTransformed.apply(tangent, ctx.mask.derivative)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, None], x: torch.Tensor, mask: TensorMask
    ) -> tuple[torch.Tensor, int]:
        x = x.movedim(in_dims[0], 0)
        return _DropTransformed.apply(x, mask.repeated(len(x))), 0


class _DropAdd(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        residual: torch.Tensor,
        bias: torch.Tensor | None,
        mask: TensorMask,
    ) -> torch.Tensor:
        ctx.mask = mask
        return apply_add(mask, x, residual, bias)

    @staticmethod
    def backward(
        ctx: Any, dy: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None, None]:
        needs_x, _, needs_bias, _ = ctx.needs_input_grad
        dx = drop(dy, ctx.mask) if needs_x or needs_bias else None
        return dx, dy, sum_for_bias(dx) if needs_bias and dx is not None else None, None


class _DropRelu(Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, bias: torch.Tensor | None, mask: TensorMask
    ) -> torch.Tensor:
        y, ctx.mask = apply_relu(mask, x, bias)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        dx = drop(dy, ctx.mask)
        return dx, sum_for_bias(dx) if ctx.needs_input_grad[1] else None, None


def sum_for_bias(dx: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a bias that was added to each row of x."""
    axes = tuple(range(dx.dim() - 1))
    return dx.sum(axes) if axes else dx


class _Relu(Function):
    """relu whose backward pass has its mask, where PyTorch's saves its result.

    Checkpoints compare the numbers of saved tensors, and `_DropRelu` saves none.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.negative = x <= 0
        return torch.relu(x)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return dy.masked_fill(ctx.negative, 0.0)


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _Drop).apply
_record_in_place = super(Function, _DropInPlace).apply
_record_add = super(Function, _DropAdd).apply
_record_relu = super(Function, _DropRelu).apply


def _is_tracked(x: torch.Tensor) -> bool:
    return bool(x.requires_grad and _is_grad_enabled()) or bool(forward_ad._current_level >= 0)


def drop(x: torch.Tensor, mask: TensorMask) -> torch.Tensor:
    """Return x under the mask, with its derivatives where they are asked for."""
    if _transforming():
        return _DropTransformed.apply(x, mask)
    if _is_tracked(x):
        return _record(x, mask)
    return apply(mask, x)


def check_in_place(x: torch.Tensor) -> None:
    """Raise PyTorch's error where x cannot be changed in place, before anything is drawn."""
    if x.requires_grad and _is_grad_enabled():
        base = x._base
        if x.is_leaf or (base is not None and base.is_leaf and base.requires_grad):
            raise RuntimeError(
                f"a {'' if base is None else 'view of a '}leaf Variable that requires grad is "
                "being used in an in-place operation."
            )
    check_writable(x, is_strided(x))


def check_writable(x: torch.Tensor, strided: bool) -> None:
    """Raise PyTorch's error where the memory of x cannot be written, whatever is recorded."""
    if x.is_inference() and not torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed."
            "You can make a clone to get a normal tensor before doing inplace update."
            "See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if strided and _internal_overlap(x) == 1:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def drop_in_place(x: torch.Tensor, mask: TensorMask) -> torch.Tensor:
    """Put x under the mask, with its derivatives where they are asked for."""
    if _transforming():
        return x.copy_(_DropTransformed.apply(x, mask))
    if _is_tracked(x):
        if x._is_view():  # which may be refused, but only by a write of PyTorch's own
            return x.copy_(_record(x, mask))
        return _record_in_place(x, mask)
    return apply_in_place(mask, x)


def drop_add(
    x: torch.Tensor, residual: torch.Tensor, bias: torch.Tensor | None, mask: TensorMask
) -> torch.Tensor:
    """Return residual + (x + bias under the mask), with derivatives for backward."""
    return _record_add(x, residual, bias, mask)


def drop_relu(x: torch.Tensor, bias: torch.Tensor | None, mask: TensorMask) -> torch.Tensor:
    """Return relu(x + bias) under the mask, with derivatives for backward."""
    return _record_relu(x, bias, mask)


def relu_unsaved(x: torch.Tensor) -> torch.Tensor:
    """Return relu(x), with its derivative for backward, and no tensor saved."""
    y: torch.Tensor = _Relu.apply(x)
    return y
