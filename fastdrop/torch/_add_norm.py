# SPDX-License-Identifier: BSD-3-Clause
"""Dropout, the sum with a residual and a norm as one step: by the engine, and its derivative.

In traced programs it is the operator ``fastdrop::add_norm``, a pure function of its inputs: the
mask is made from ``words``, a tensor of the program.
"""

from typing import Any, NamedTuple, TypeAlias

import torch
from torch.autograd import Function
from torch.nn.functional import layer_norm, rms_norm

from fastdrop.torch._apply import is_plain, logical_strides
from fastdrop.torch._autograd import drop
from fastdrop.torch._operator import check_operands, shown_tensor
from fastdrop.torch._passes import Norm
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = ["Settings", "add_norm", "add_norm_traced", "is_fusable"]

Optional: TypeAlias = torch.Tensor | None

_get_num_threads = torch.get_num_threads
_empty_like = torch.empty_like

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class Settings(NamedTuple):
    """What norm it is.

    ``turned``: x is (N, L, E) in the memory of (L, N, E), as PyTorch's attention returns it, and
    so is its gradient; the mask follows the memory.
    """

    centered: bool
    eps: float
    prenorm: bool
    turned: bool = False


def is_fusable(x: torch.Tensor, residual: torch.Tensor, *rows: Optional) -> bool:
    """Return whether dtypes and shapes are those of the kernels; the layout does not count."""
    return (
        x.dtype in DTYPES
        and residual.dtype == x.dtype
        and residual.device.type == x.device.type == "cpu"
        and x.layout is residual.layout is torch.strided
        and all(row is None or _is_row(row, x) for row in rows)
    )


def _is_row(row: torch.Tensor, x: torch.Tensor) -> bool:
    return (
        (row.dtype == x.dtype or (row.dtype == torch.float32 and x.dtype.itemsize == 2))
        and row.device.type == "cpu"
        and row.layout is torch.strided
        and row.shape == x.shape[-1:]
    )


def _number_type(x: torch.Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _numbers(row: Optional, x: torch.Tensor) -> Optional:
    """Return a row as the engine reads it."""
    if row is None:
        return None
    row = row.detach()
    if not is_plain(row):
        row = row.resolve_neg()
    return row.to(_number_type(x)).contiguous()


# ---- by the engine -------------------------------------------------------------------------------


def _norm(
    mask: TensorMask | None,
    x: Optional,
    residual: torch.Tensor,
    weight: Optional,
    linear_bias: Optional,
    settings: Settings,
) -> Norm:
    turned = settings.turned
    return Norm(
        mask, x.transpose(0, 1) if turned and x is not None else x, residual,
        _numbers(weight, residual), _numbers(linear_bias, residual), settings.centered,
        settings.eps, _get_num_threads(), residual.shape[0] if turned else 0,
    )  # fmt: skip


def _forward(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: Optional,
    bias: Optional,
    linear_bias: Optional,
    mask: TensorMask | None,
    settings: Settings,
) -> tuple[torch.Tensor, Optional]:
    y = _empty_like(residual)
    total = _empty_like(residual) if settings.prenorm else None
    if x.numel():
        norm = _norm(mask, x, residual, weight, linear_bias, settings)
        norm.forward(_numbers(bias, x), y, total)
    return y, total


def _gradients(
    dy: torch.Tensor,
    dtotal: Optional,
    x: Optional,
    residual: torch.Tensor,
    weight: Optional,
    linear_bias: Optional,
    mask: TensorMask | None,
    settings: Settings,
    needs: tuple[bool, ...],
) -> tuple[Optional, ...]:
    """Return those that are needed of (dx, dresidual, dweight, dbias, dlinear_bias).

    Without x, the residual is the sum.
    """
    needs_x, needs_residual, *needs_rows = needs
    dx = _empty_of_x(residual, settings.turned) if needs_x else None
    dresidual = _empty_like(residual) if needs_residual else None
    width = residual.shape[-1]
    rows = [
        torch.zeros(width, dtype=_number_type(residual), device="cpu") if need else None
        for need in needs_rows
    ]
    if residual.numel():
        norm = _norm(mask, x, residual, weight, linear_bias, settings)
        in_memory = dx.transpose(0, 1) if settings.turned and dx is not None else dx
        norm.backward(dy, dtotal, in_memory, dresidual, *rows)
    return dx, dresidual, *rows


def _empty_of_x(residual: torch.Tensor, turned: bool) -> torch.Tensor:
    """Return room for what lies as x does."""
    shape = residual.shape
    if not turned:
        return residual.new_empty(shape)
    return residual.new_empty((shape[1], shape[0], shape[2])).transpose(0, 1)


def _as_elements(gradient: torch.Tensor) -> torch.Tensor:
    """Return a gradient as the engine reads it."""
    if not is_plain(gradient):
        gradient = gradient.resolve_conj().resolve_neg()
    return gradient.contiguous()


class _AddNorm(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        residual: torch.Tensor,
        weight: Optional,
        bias: Optional,
        linear_bias: Optional,
        mask: TensorMask | None,
        settings: Settings,
    ) -> Any:
        y, total = _forward(x, residual, weight, bias, linear_bias, mask, settings)
        ctx.set_materialize_grads(False)
        ctx.mask, ctx.settings = mask, settings
        ctx.dtypes = [None if row is None else row.dtype for row in (weight, bias, linear_bias)]
        if total is None:
            ctx.save_for_backward(x, residual, weight, bias, linear_bias)
            return y
        ctx.save_for_backward(None, total, weight, bias, linear_bias)
        return y, total

    @staticmethod
    def backward(ctx: Any, dy: Optional, dtotal: Optional = None) -> tuple[Optional, ...]:
        x, residual, weight, _bias, linear_bias = ctx.saved_tensors
        if dy is None and dtotal is None:
            return (None,) * 7
        if dy is None:
            dy = torch.zeros_like(residual)
        if torch.is_grad_enabled():  # to be derived again
            return *_derived(ctx, dy, dtotal), None, None
        gradients = _gradients(
            _as_elements(dy), None if dtotal is None else _as_elements(dtotal), x, residual,
            weight, linear_bias, ctx.mask, ctx.settings, ctx.needs_input_grad[:5],
        )  # fmt: skip
        dx, dresidual, *rows = gradients
        narrow = (
            row if row is None else row.to(dtype)
            for row, dtype in zip(rows, ctx.dtypes, strict=True)
        )
        return dx, dresidual, *narrow, None, None


def _derived(ctx: Any, dy: torch.Tensor, dtotal: Optional) -> tuple[Optional, ...]:
    """Return the same gradients by operations that have derivatives."""
    x, residual, weight, bias, linear_bias = ctx.saved_tensors
    centered, eps, *_ = ctx.settings
    total, scale = residual, ctx.mask
    if x is not None:
        branch = x if linear_bias is None else x + linear_bias
        total = residual + (branch if scale is None else drop(branch, scale))
    # By views: the derivative is that of the norm alone, whatever the sum was made of.
    total = total.view_as(total) if total.requires_grad else total.detach().requires_grad_()
    weight, bias = (None if row is None else row.view_as(row) for row in (weight, bias))
    if centered:
        y = layer_norm(total, total.shape[-1:], weight, bias, eps)
    else:
        y = rms_norm(total, total.shape[-1:], weight, eps)
    needed = [total, *(row for row in (weight, bias) if row is not None and row.requires_grad)]
    of_total, *of_rows = torch.autograd.grad(y, needed, dy, create_graph=True)
    if dtotal is not None:
        of_total = of_total + dtotal
    rows = [
        of_rows.pop(0) if row is not None and row.requires_grad else None for row in (weight, bias)
    ]
    dx = of_total if ctx.mask is None else drop(of_total, ctx.mask)
    before = None
    if linear_bias is not None:
        before = dx.sum(tuple(range(dx.dim() - 1))) if dx.dim() > 1 else dx
    return dx, of_total, *rows, before


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _AddNorm).apply


def add_norm(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: Optional,
    bias: Optional,
    linear_bias: Optional,
    mask: TensorMask | None,
    settings: Settings,
) -> Any:
    """Return the norm, and with ``prenorm`` the sum, with derivatives; all but x is in C order."""
    return _record(x, residual, weight, bias, linear_bias, mask, settings)


# ---- the operator --------------------------------------------------------------------------------


def _check(
    x: torch.Tensor, residual: torch.Tensor, rows: tuple[Optional, ...], words: torch.Tensor,
    p: float, eps: float, turned: bool,
) -> None:  # fmt: skip
    check_operands(x, words, p)
    if turned and x.dim() != 3:
        raise RuntimeError(f"x must have three axes to be turned, not shape {tuple(x.shape)}")
    if x.shape != residual.shape or x.dim() == 0 or not is_fusable(x, residual, *rows):
        raise RuntimeError(
            "x and residual must be of one shape with a last axis and of one dtype of real "
            "floats, and weights of the last axis and of that dtype or float32, not "
            f"{shown_tensor(x)}, {shown_tensor(residual)} and {', '.join(map(shown_tensor, rows))}"
        )
    if not 0.0 <= eps < float("inf"):
        raise RuntimeError(f"eps must be finite and not negative, not {eps}")


def _plain(x: Optional) -> Optional:
    if x is None:
        return None
    return x.detach().resolve_conj().resolve_neg().contiguous()


def _laid(x: torch.Tensor, turned: bool) -> torch.Tensor:
    """Return x in the memory that the engine reads."""
    plain = _plain(x.transpose(0, 1) if turned else x)
    assert plain is not None
    return plain.transpose(0, 1) if turned else plain


def _mask(x: torch.Tensor, words: torch.Tensor, p: float) -> TensorMask:
    return mask_from_words(words.contiguous(), p, logical_strides(x.shape))


def _empty(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(0)


@torch.library.custom_op("fastdrop::add_norm", mutates_args=())
def _operator(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    linear_bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    centered: bool,
    eps: float,
    prenorm: bool,
    turned: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the norm and the sum, which is empty without ``prenorm``."""
    _check(x, residual, (weight, bias, linear_bias), words, p, eps, turned)
    residual, weight, bias, linear_bias = map(_plain, (residual, weight, bias, linear_bias))
    assert residual is not None
    x = _laid(x, turned)
    settings = Settings(centered, eps, prenorm, turned)
    y, total = _forward(x, residual, weight, bias, linear_bias, _mask(x, words, p), settings)
    return y, _empty(x) if total is None else total


@_operator.register_fake
def _(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    linear_bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    centered: bool,
    eps: float,
    prenorm: bool,
    turned: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    _check(x, residual, (weight, bias, linear_bias), words, p, eps, turned)
    return x.new_empty(x.shape), x.new_empty(x.shape) if prenorm else _empty(x)


@torch.library.custom_op("fastdrop::add_norm_backward", mutates_args=())
def _operator_backward(
    dy: torch.Tensor,
    dtotal: torch.Tensor | None,
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None,
    linear_bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    centered: bool,
    eps: float,
    turned: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (dx, dresidual, dweight, dbias, dlinear_bias); rows are float32 or float64."""
    _check(x, residual, (weight, linear_bias), words, p, eps, turned)
    for gradient in (dy,) if dtotal is None else (dy, dtotal):
        if gradient.shape != x.shape or gradient.dtype != x.dtype:
            raise RuntimeError(
                f"a gradient must be like x, {shown_tensor(x)}, not {shown_tensor(gradient)}"
            )
    dy, dtotal, residual, weight, linear_bias = map(
        _plain, (dy, dtotal, residual, weight, linear_bias)
    )
    x = _laid(x, turned)
    settings = Settings(centered, eps, False, turned)
    gradients = _gradients(
        dy, dtotal, x, residual, weight, linear_bias, _mask(x, words, p), settings, (True,) * 5
    )
    return gradients  # type: ignore[return-value]


@_operator_backward.register_fake
def _(
    dy: torch.Tensor,
    dtotal: torch.Tensor | None,
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None,
    linear_bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    centered: bool,
    eps: float,
    turned: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    _check(x, residual, (weight, linear_bias), words, p, eps, turned)
    row = x.new_empty(x.shape[-1:], dtype=_number_type(x))
    rows = row, torch.empty_like(row), torch.empty_like(row)
    return _empty_of_x(x, turned), x.new_empty(x.shape), *rows


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, residual, weight, bias, linear_bias, words, p, centered, eps, prenorm, turned = inputs
    ctx.save_for_backward(x, residual, weight, linear_bias, words)
    ctx.dtypes = [None if row is None else row.dtype for row in (weight, bias, linear_bias)]
    ctx.settings, ctx.prenorm = (p, centered, eps, turned), prenorm


def _backward(ctx: Any, dy: torch.Tensor, dtotal: torch.Tensor) -> tuple[Any, ...]:
    x, residual, weight, linear_bias, words = ctx.saved_tensors
    of_sum = dtotal if ctx.prenorm else None
    dx, dresidual, *rows = torch.ops.fastdrop.add_norm_backward(
        dy, of_sum, x, residual, weight, linear_bias, words, *ctx.settings
    )
    narrow = (
        None if dtype is None else row.to(dtype)
        for row, dtype in zip(rows, ctx.dtypes, strict=True)
    )
    return dx, dresidual, *narrow, *[None] * 6


_operator.register_autograd(_backward, setup_context=_keep)


def add_norm_traced(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: Optional,
    bias: Optional,
    linear_bias: Optional,
    words: torch.Tensor,
    p: float,
    settings: Settings,
) -> Any:
    """Return the norm, and with ``prenorm`` the sum, as a step of the traced program."""
    y, total = torch.ops.fastdrop.add_norm(
        x, residual, weight, bias, linear_bias, words, p, *settings
    )
    return (y, total) if settings.prenorm else y
