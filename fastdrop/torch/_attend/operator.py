# SPDX-License-Identifier: BSD-3-Clause
"""The operators that stand for attention in traced programs.

As `fastdrop::drop`, `fastdrop::attend` is one step of a recorded program and a pure function of
its inputs: the mask is made from ``words``, a tensor of the program. Its derivative is an operator
of its own, which has none.
"""

from typing import Any, TypeAlias

import torch
from torch._subclasses.functional_tensor import FunctionalTensor

from fastdrop.torch._apply import logical_strides
from fastdrop.torch._attend.autograd import is_derived, owned, rounded
from fastdrop.torch._attend.blocks import exact_dtype, gradients_in_blocks, in_blocks
from fastdrop.torch._attend.inputs import Inputs, expand, fitting, plain
from fastdrop.torch._attend.whole import attend_whole
from fastdrop.torch._operator import drop_traced, shown_tensor
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = ["attend_traced"]

Optional: TypeAlias = torch.Tensor | None
Three: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

_transforming = torch._C._are_functorch_transforms_active


# ---- checks --------------------------------------------------------------------------------------
# The same for kernels, which read memory, and for fake kernels, which know of shapes alone.

MEMORY = ("cpu",)
SHAPES_ALONE = ("cpu", "meta")


def _check(
    devices: tuple[str, ...],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: Optional,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float,
) -> Inputs:
    """Return the inputs, if blocks serve them as they are."""
    tensors = {"query": query, "key": key, "value": value, "bias": bias, "words": words}
    _check_places(devices, tensors)
    inputs = fitting(query, key, value, bias, causal, scale, query.dim() > 2)
    blocks = None if inputs is None else expand(inputs)
    if blocks is None or any(
        x.shape != y.shape for x, y in zip(blocks[:3], (query, key, value), strict=True)
    ):
        given = ", ".join(
            f"{name} {shown_tensor(x)}" for name, x in list(tensors.items())[:4] if x is not None
        )
        raise RuntimeError(
            f"{given}, causal is {causal}; they must be of shapes (..., heads, L, E), (..., key "
            "heads, S, E), (..., key heads, S, Ev) and one that broadcasts to (..., heads, L, S), "
            "of one dtype of floats, without a bias if causal, with elements, and with a PyTorch "
            "whose BLAS can be found"
        )
    _check_is("words", words, (4,), torch.int64)
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"p must be in [0, 1], not {p}")
    return blocks


def _check_kept(
    devices: tuple[str, ...],
    inputs: Inputs,
    out_gradient: torch.Tensor,
    exact: torch.Tensor,
    statistics: torch.Tensor,
) -> None:
    """Check what else gradients are computed of."""
    kept = {"out_gradient": out_gradient, "exact": exact, "statistics": statistics}
    _check_places(devices, {"query": inputs.query, **kept})
    rows, dtype = inputs.shape[:-1], inputs.query.dtype
    of_out = (*rows, inputs.value.shape[-1])
    _check_is("out_gradient", out_gradient, of_out, dtype)
    _check_is("exact", exact, of_out, exact_dtype(dtype))
    _check_is("statistics", statistics, (2, *rows), torch.float64)


def _check_places(devices: tuple[str, ...], tensors: dict[str, Optional]) -> None:
    given = {name: x for name, x in tensors.items() if x is not None}
    on_one = len({x.device for x in given.values()}) == 1
    for name, x in given.items():
        if x.layout is not torch.strided or x.device.type not in devices or not on_one:
            raise RuntimeError(
                f"{name} has the layout {x.layout} and is on {x.device}; all tensors must be "
                "strided and on the CPU"
            )


def _check_is(name: str, x: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if x.shape != shape or x.dtype is not dtype:
        raise RuntimeError(f"{name} must be a {shape} tensor of {dtype}, not {shown_tensor(x)}")


def _mask(inputs: Inputs, words: torch.Tensor, p: float) -> TensorMask:
    return mask_from_words(words.contiguous(), p, logical_strides(inputs.shape))


# ---- operators -----------------------------------------------------------------------------------


@torch.library.custom_op("fastdrop::attend", mutates_args=())
def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (output, the same before it is rounded, statistics of the rows)."""
    query, key, value, bias, words = map(plain, (query, key, value, bias, words))
    inputs = _check(MEMORY, query, key, value, bias, words, p, causal, scale)
    exact, statistics = in_blocks(inputs, _mask(inputs, words, p))
    return rounded(exact, query.dtype), exact, statistics


@_attend.register_fake
def _(query: torch.Tensor, *rest: Any) -> Three:
    inputs = _check(SHAPES_ALONE, query, *rest)
    rows = inputs.shape[:-1]
    out = query.new_empty(*rows, inputs.value.size(-1))
    exact = out.new_empty(out.shape, dtype=exact_dtype(out.dtype))
    return out, exact, query.new_empty(2, *rows, dtype=torch.float64)


@torch.library.custom_op("fastdrop::attend_backward", mutates_args=())
def _attend_backward(
    out_gradient: torch.Tensor,
    exact: torch.Tensor,
    statistics: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    words: torch.Tensor,
    p: float,
    causal: bool,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of query, key and value."""
    kept = tuple(map(plain, (out_gradient, exact, statistics)))
    query, key, value, bias, words = map(plain, (query, key, value, bias, words))
    inputs = _check(MEMORY, query, key, value, bias, words, p, causal, scale)
    _check_kept(MEMORY, inputs, *kept)
    out_gradient, exact, statistics = (x.contiguous() for x in kept)
    mask = _mask(inputs, words, p)
    gradients = gradients_in_blocks(inputs, mask, exact, statistics, out_gradient)
    of_query, of_key, of_value = (gradient.contiguous() for gradient in gradients)
    return of_query, of_key, of_value


@_attend_backward.register_fake
def _(
    out_gradient: torch.Tensor, exact: torch.Tensor, statistics: torch.Tensor, *rest: Any
) -> Three:
    inputs = _check(SHAPES_ALONE, *rest)
    _check_kept(SHAPES_ALONE, inputs, out_gradient, exact, statistics)
    query, key, value = (x.new_empty(x.shape) for x in inputs[:3])
    return query, key, value


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Three) -> None:
    if ctx.needs_input_grad[3]:
        raise RuntimeError("bias requires grad; it must not, for fastdrop::attend has none for it")
    _, exact, statistics = output
    ctx.mark_non_differentiable(exact, statistics)
    ctx.save_for_backward(exact, statistics, *inputs[:5])
    ctx.settings = inputs[5:]


def _backward(ctx: Any, out_gradient: torch.Tensor, *_: Any) -> tuple[Any, ...]:
    gradients = torch.ops.fastdrop.attend_backward(out_gradient, *ctx.saved_tensors, *ctx.settings)
    return (*gradients, *[None] * 5)


_attend.register_autograd(_backward, setup_context=_keep)


# ---- traced programs -----------------------------------------------------------------------------


def attend_traced(inputs: Inputs, words: torch.Tensor, p: float) -> torch.Tensor:
    """Return attention under the mask of the words, as steps of the traced program."""
    blocks = None if _transforming() else expand(inputs)
    if blocks is None:
        return attend_whole(*inputs[:6], lambda weights: _drop_weights(weights, words, p))
    # Where AOTAutograd writes a graph, nothing is edited.
    if is_derived(blocks) and type(blocks.query) is not FunctionalTensor:
        blocks = owned(blocks)
    *tensors, causal, scale, _ = blocks
    out, _, _ = torch.ops.fastdrop.attend(*tensors, words, p, causal, scale)
    return out


def _drop_weights(weights: torch.Tensor, words: torch.Tensor, p: float) -> torch.Tensor:
    factor = 1.0 / (1.0 - p) if p < 1.0 else 1.0
    if not _transforming():
        return drop_traced(weights, words, p, False, None, factor)
    # PyTorch has no derivative of an operator in its transforms, but of a product.
    ones = torch.ones(weights.shape, dtype=weights.dtype, device="cpu")
    return weights * drop_traced(ones, words, p, False, None, factor)
