# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout of the weights: in blocks, or whole where blocks cannot serve.

In blocks nothing of the size queries x keys is kept: `_attention` has the kernels. The whole
matrix is for what they do not do: transforms, forward mode, derivatives of derivatives, gradients
of the additive mask. Both have the same mask.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch.autograd import Function, forward_ad

from fastdrop.torch import _blas
from fastdrop.torch._apply import PLAIN, Ints, logical_strides
from fastdrop.torch._attention import attend as attend_addresses
from fastdrop.torch._autograd import drop
from fastdrop.torch._seed import draw_words
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = [
    "Inputs",
    "attend",
    "attend_blocks",
    "attend_whole",
    "blocks_of",
    "draw_weights_mask",
    "expand",
    "gradients_in_blocks",
    "gradients_of_whole",
    "in_blocks",
    "inputs_of",
    "scale_of",
    "weights_shape",
]

Optional: TypeAlias = torch.Tensor | None
Slices: TypeAlias = tuple[slice, ...]

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LARGEST_STRIDE = 2**31 - 1  # of a BLAS

# What is added to the score of a key that is seen, and of one that is not.
_SEEN_OR_NOT = {
    dtype: (
        torch.tensor(0.0, dtype=dtype, device="cpu"),
        torch.tensor(-math.inf, dtype=dtype, device="cpu"),
    )
    for dtype in (torch.float32, torch.float64)
}

_dispatch_keys = torch._C._dispatch_keys
_transforming = torch._C._are_functorch_transforms_active
_empty_like = torch.empty_like
_get_num_threads = torch.get_num_threads
_is_grad_enabled = torch.is_grad_enabled
_safe_softmax = torch.ops.aten._safe_softmax.default


class Inputs(NamedTuple):
    """What attention is computed of, checked.

    Attributes
    ----------
    query, key, value : torch.Tensor
        (..., heads, queries or keys, width); key and value may have fewer heads.
    bias : torch.Tensor or None
        The mask: of bools, True where a key is seen, or of numbers, which are added to the scores.
    causal : bool
        Whether query i sees keys 0 ... i alone.
    scale : float
        Of the scores.
    shape : tuple of int
        Of the weights: (..., heads, queries, keys).
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    bias: Optional
    causal: bool
    scale: float
    shape: Ints


# ---- what is computed ----------------------------------------------------------------------------


def _is_strided(x: torch.Tensor) -> bool:
    return _dispatch_keys(x).raw_repr() in PLAIN


def _broadcast(a: Sequence[int], b: Sequence[int]) -> Ints:
    """Return the shape that both broadcast to; RuntimeError if there is none.

    As ``torch.broadcast_shapes``, which takes a third of the time of a small attention.
    """
    if a == b:
        return tuple(a)
    if len(a) < len(b):
        a, b = b, a
    shape = list(a)
    for axis in range(-len(b), 0):
        if shape[axis] == 1:
            shape[axis] = b[axis]
        elif b[axis] != 1 and b[axis] != shape[axis]:
            raise RuntimeError(f"shapes {tuple(a)} and {tuple(b)}; allowed are such as broadcast")
    return tuple(shape)


def _broadcasts_to(shape: Sequence[int], target: Ints) -> bool:
    try:
        return _broadcast(shape, target) == target
    except RuntimeError:
        return False


def _heads_served(shape: Sequence[int], query: Sequence[int], grouped: bool) -> Sequence[int]:
    """Return the shape of the query heads that keys or values of a shape serve."""
    return (*shape[:-3], query[-3] // shape[-3] * shape[-3]) if grouped else shape[:-2]


def weights_shape(query: Sequence[int], key: Sequence[int], grouped: bool) -> Ints:
    """Return the shape of the weights of two shapes; RuntimeError if there is none."""
    heads = _broadcast(query[:-2], _heads_served(key, query, grouped))
    return (*heads, query[-2], key[-2])


def inputs_of(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: Optional,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> Inputs | None:
    """Return the inputs if PyTorch's attention takes them, on a CPU, else None."""
    transforming = _transforming()
    if not (transforming or (_is_strided(query) and _is_strided(key) and _is_strided(value))):
        return None
    dtype = query.dtype
    of_query, of_key, of_value = query.shape, key.shape, value.shape
    if not (
        dtype in DTYPES
        and dtype is key.dtype
        and dtype is value.dtype
        and min(len(of_query), len(of_key), len(of_value)) >= (3 if grouped else 2)
        and of_query[-1] == of_key[-1]
        and of_key[-2] == of_value[-2]
    ):
        return None
    if grouped:
        counts = of_key[-3], of_value[-3]
        if not all(counts) or any(of_query[-3] % count for count in counts):
            return None
    try:
        shape = weights_shape(of_query, of_key, grouped)
        _broadcast(shape[:-2], _heads_served(of_value, of_query, grouped))
    except RuntimeError:
        return None
    if bias is not None and not (
        not causal
        and (transforming or _is_strided(bias))
        and bias.dtype in (torch.bool, torch.float32, dtype)
        and _broadcasts_to(bias.shape, shape)
    ):
        return None
    return Inputs(query, key, value, bias, causal, scale_of(of_query[-1], scale), shape)


def scale_of(width: int, scale: float | None) -> float:
    """Return the scale of the scores of keys of a width."""
    if scale is not None:
        return scale
    return width**-0.5 if width else 1.0


def draw_weights_mask(
    inputs: Inputs, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of the weights, from a generator of PyTorch."""
    return mask_from_words(draw_words(generator), p, logical_strides(inputs.shape))


def _additive(bias: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a mask as numbers to add."""
    if bias.dtype is not torch.bool:
        return _as(bias, dtype)
    return torch.where(bias, *_SEEN_OR_NOT[dtype])


# ---- whole ---------------------------------------------------------------------------------------


def _repeated(x: torch.Tensor, heads: int) -> torch.Tensor:
    return (
        x
        if x.dim() < 3 or x.size(-3) in (1, heads)
        else x.repeat_interleave(heads // x.size(-3), -3)
    )


def attend_whole(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: Optional,
    causal: bool,
    scale: float,
    dropping: Any,
) -> torch.Tensor:
    """Return attention by the formula, in operations of PyTorch; ``dropping`` drops weights."""
    dtype = query.dtype
    if dtype in (torch.float16, torch.bfloat16):
        query, key, value = query.float(), key.float(), value.float()
    if query.dim() > 2:
        key, value = _repeated(key, query.size(-3)), _repeated(value, query.size(-3))
    scores = query @ key.transpose(-1, -2) * scale
    if bias is not None:
        if bias.dtype is torch.bool:
            scores = scores.masked_fill(bias.logical_not(), float("-inf"))
        else:
            scores = scores + bias
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return (dropping(_safe_softmax(scores, -1)) @ value).to(dtype)


# ---- in blocks -----------------------------------------------------------------------------------


def _place(x: torch.Tensor) -> tuple[int, Ints]:
    return x.data_ptr(), x.stride()


def _rows_of_bias(bias: Optional, inputs: Inputs, dtype: torch.dtype) -> Optional:
    """Return the mask as numbers, a whole row of them for each query."""
    if bias is None:
        return None
    for axis, stride in enumerate(bias.stride()):
        if stride == 0:  # it is the same all along
            bias = bias.narrow(axis, 0, 1)
    bias = _additive(bias, dtype)
    rows = (*bias.shape[:-1], inputs.shape[-1])
    if bias.shape != rows or bias.stride(-1) != 1:
        bias = bias.expand(rows).contiguous()
    return bias.expand(inputs.shape)


def _sizes(inputs: Inputs, dtype: torch.dtype) -> tuple[Any, ...]:
    _, key, value, _, causal, scale, shape = inputs
    *key_heads, _, width = key.shape
    return (
        dtype is torch.float64,
        causal,
        scale,
        shape[:-2],
        tuple(key_heads),
        *shape[-2:],
        width,
        value.shape[-1],
    )


def _is_by_rows(x: torch.Tensor) -> bool:
    """Return whether a BLAS can read x."""
    *_, row, column = x.stride()
    return bool(column == 1 and x.shape[-1] <= row <= LARGEST_STRIDE)


def _as(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return ``x.to(dtype)``, sooner where it is x."""
    return x if x.dtype is dtype else x.to(dtype)


def _by_rows(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return x, or a copy of it, as numbers of a dtype in rows."""
    x = _as(x, dtype)
    return x if _is_by_rows(x) else x.clone(memory_format=torch.contiguous_format)


def _new_by_rows(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return an empty tensor of x's shape in rows, with x's order of axes if they are rows."""
    new = _empty_like(x, dtype=dtype)
    return new if _is_by_rows(new) else torch.empty(x.shape, dtype=dtype)


def _new_out(inputs: Inputs, dtype: torch.dtype) -> torch.Tensor:
    """Return an empty output; in query's order of axes, as PyTorch's flash attention has it."""
    width = inputs.value.shape[-1]
    if inputs.query.shape[-1] == width:
        return _new_by_rows(inputs.query, dtype)
    return torch.empty(*inputs.shape[:-1], width, dtype=dtype)


# What is computed in a wider dtype than it is given in.
_WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}

# Numbers of query, key or value that are wider at a time.
NUMBERS_OF_PART = 1 << 16


class Part(NamedTuple):
    """Some heads of the inputs: ``queries`` of query, ``keys`` of key and value."""

    inputs: Inputs
    mask: TensorMask
    bias: Optional
    statistics: torch.Tensor
    queries: Slices
    keys: Slices


def _is_part(inputs: Inputs) -> bool:
    """Return whether the inputs are so small that they are one part."""
    return bool(max(x.numel() for x in inputs[:3]) <= NUMBERS_OF_PART)


def _slices(lengths: Ints, most: int) -> Iterator[Slices]:
    """Cut the first of some axes into slices of ``most`` elements or less, if they can be cut."""
    if not lengths:
        yield ()
        return
    inner = math.prod(lengths[1:])
    step = max(most // inner, 1)
    for start in range(0, lengths[0], step):
        here = slice(start, min(start + step, lengths[0]))
        for rest in _slices(lengths[1:], most) if inner > most else [()]:
            yield here, *rest


def _parts(
    inputs: Inputs, mask: TensorMask, bias: Optional, statistics: torch.Tensor
) -> Iterator[Part]:
    """Yield the inputs in parts of which copies are small; each has a head for every thread."""
    query, key, value, *_, shape = inputs
    heads, key_heads = shape[:-2], tuple(key.shape[:-2])
    numbers = max(x.numel() for x in inputs[:3]) // math.prod(key_heads)
    for keys in _slices(key_heads, max(NUMBERS_OF_PART // numbers, _get_num_threads())):
        queries = keys
        if heads and len(keys) == len(heads):
            group = heads[-1] // key_heads[-1]
            queries = *keys[:-1], slice(group * keys[-1].start, group * keys[-1].stop)
        first = sum(here.start * math.prod(heads[axis + 1 :]) for axis, here in enumerate(queries))
        of_queries = query[queries]
        yield Part(
            inputs._replace(
                query=of_queries,
                key=key[keys],
                value=value[keys],
                shape=(*of_queries.shape[:-1], shape[-1]),
            ),
            mask.from_decision(first * shape[-2] * shape[-1]),
            None if bias is None else bias[queries],
            statistics.view(2, -1)[:, first * shape[-2] :],
            queries,
            keys,
        )


def _addresses(statistics: torch.Tensor) -> tuple[int, int]:
    """Return where the largest scores are and where the inverse sums."""
    first = statistics.data_ptr()
    return first, first + statistics.stride(0) * statistics.element_size()


def _run(
    inputs: Inputs,
    mask: TensorMask,
    dtype: torch.dtype,
    bias: Optional,
    out: torch.Tensor,
    statistics: torch.Tensor,
    out_gradient: Optional = None,
    gradients: Sequence[torch.Tensor] = (),
) -> None:
    """Compute ``out``, or the gradients, in a dtype of the kernels, which bias and results have."""
    query, key, value = (_by_rows(x, dtype) for x in inputs[:3])
    attend_addresses(
        mask,
        _sizes(inputs, dtype),
        _place(query),
        _place(key),
        _place(value),
        _place(out),
        None if bias is None else _place(bias),
        _addresses(statistics),
        _get_num_threads(),
        None if out_gradient is None else (_place(out_gradient), *map(_place, gradients)),
    )


def in_blocks(inputs: Inputs, mask: TensorMask) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (output, statistics of the rows)."""
    given = inputs.query.dtype
    dtype = _WIDE.get(given, given)
    bias = _rows_of_bias(inputs.bias, inputs, dtype)
    statistics = torch.empty(2, *inputs.shape[:-1], dtype=torch.float64)
    if given is dtype or _is_part(inputs):
        out = _new_out(inputs, dtype)
        _run(inputs, mask, dtype, bias, out, statistics)
        return _as(out, given), statistics
    out = _new_out(inputs, given)
    for part in _parts(inputs, mask, bias, statistics):
        wide = _new_out(part.inputs, dtype)
        _run(part.inputs, part.mask, dtype, part.bias, wide, part.statistics)
        out[part.queries] = wide
    return out, statistics


def gradients_in_blocks(
    inputs: Inputs,
    mask: TensorMask,
    out: torch.Tensor,
    statistics: torch.Tensor,
    out_gradient: torch.Tensor,
) -> list[torch.Tensor]:
    """Return the gradients of query, key and value."""
    given = inputs.query.dtype
    dtype = _WIDE.get(given, given)
    bias = _rows_of_bias(inputs.bias, inputs, dtype)
    if given is dtype or _is_part(inputs):
        gradients = [_new_by_rows(x, dtype) for x in inputs[:3]]
        results = _by_rows(out, dtype), statistics, _by_rows(out_gradient, dtype)
        _run(inputs, mask, dtype, bias, *results, gradients)
        return [_as(gradient, given) for gradient in gradients]
    gradients = [_new_by_rows(x, given) for x in inputs[:3]]
    for part in _parts(inputs, mask, bias, statistics):
        wide = [_new_by_rows(x, dtype) for x in part.inputs[:3]]
        here, gradient_here = (_by_rows(x[part.queries], dtype) for x in (out, out_gradient))
        results = here, part.statistics, gradient_here
        _run(part.inputs, part.mask, dtype, part.bias, *results, wide)
        places = part.queries, part.keys, part.keys
        for gradient, place, computed in zip(gradients, places, wide, strict=True):
            gradient[place] = computed
    return gradients


class _Attend(Function):
    @staticmethod
    def forward(ctx: Any, mask: TensorMask, *given: Any) -> torch.Tensor:
        inputs = Inputs(*given)
        out, statistics = in_blocks(inputs, mask)
        *tensors, ctx.causal, ctx.scale, ctx.shape = given
        ctx.save_for_backward(*tensors, out, statistics)
        ctx.mask = mask
        return out

    @staticmethod
    def backward(ctx: Any, out_gradient: torch.Tensor) -> tuple[Optional, ...]:
        query, key, value, bias, out, statistics = ctx.saved_tensors
        inputs = Inputs(query, key, value, bias, ctx.causal, ctx.scale, ctx.shape)
        if _is_grad_enabled():  # this derivative will be derived again
            gradients = gradients_of_whole(inputs, ctx.mask, out_gradient)
        else:
            gradients = gradients_in_blocks(inputs, ctx.mask, out, statistics, out_gradient)
        return None, *gradients, None, None, None, None


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _Attend).apply


def gradients_of_whole(
    inputs: Inputs, mask: TensorMask, out_gradient: torch.Tensor
) -> list[Optional]:
    out = attend_whole(*inputs[:6], lambda weights: drop(weights, mask))
    tensors = [x for x in inputs[:3] if x.requires_grad]
    gradients = iter(torch.autograd.grad(out, tensors, out_gradient, create_graph=True))
    return [next(gradients) if x.requires_grad else None for x in inputs[:3]]


def _with_heads(x: torch.Tensor, heads: Ints) -> torch.Tensor:
    return x if x.shape[:-2] == heads else x.expand(*heads, *x.shape[-2:])


def expand(inputs: Inputs) -> Inputs | None:
    """Return the inputs with heads that are all there, or None where blocks cannot serve."""
    query, key, value, bias, _, _, shape = inputs
    of_query, of_key, of_value = query.shape, key.shape, value.shape
    if (
        not _blas.FOUND
        or 0 in shape
        or of_query[-1] == 0
        or of_value[-1] == 0
        or (bias is not None and bias.requires_grad and _is_grad_enabled())
    ):
        return None
    heads = shape[:-2]
    if of_query[:-2] == heads == of_key[:-2] == of_value[:-2]:
        return inputs
    counts = {x.size(-3) if x.dim() > 2 else 1 for x in (key, value)}
    if (
        len(counts - {1}) > 1
        or max(counts) > (heads or (1,))[-1]
        or not _broadcasts_to(of_value[:-3], heads[:-1])
    ):
        return None
    # One head that serves all of them is a group as well.
    of_keys = (*heads[:-1], max(counts))
    return inputs._replace(
        query=_with_heads(query, heads),
        key=_with_heads(key, of_keys),
        value=_with_heads(value, of_keys),
    )


def blocks_of(inputs: Inputs) -> Inputs | None:
    """Return the inputs of `attend_blocks`, or None where blocks cannot serve."""
    if _transforming() or forward_ad._current_level >= 0:
        return None
    return expand(inputs)


def attend_blocks(inputs: Inputs, mask: TensorMask) -> torch.Tensor:
    """Return attention with its weights under the mask, and its derivatives where asked for."""
    query, key, value = inputs[:3]
    if _is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
        return _record(mask, *inputs)
    return in_blocks(inputs, mask)[0]


def attend(inputs: Inputs, mask: TensorMask) -> torch.Tensor:
    """Return the same in blocks, or by the whole matrix of weights."""
    blocks = blocks_of(inputs)
    if blocks is None:
        return attend_whole(*inputs[:6], lambda weights: drop(weights, mask))
    return attend_blocks(blocks, mask)
