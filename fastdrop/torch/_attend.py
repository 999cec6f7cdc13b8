# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout of the weights: in blocks, or whole where blocks cannot serve.

In blocks nothing of the size queries x keys is kept: `_attention` has the kernels. The whole
matrix is for what they do not do: transforms, forward mode, derivatives of derivatives, gradients
of the additive mask. Both have the same mask.

As in PyTorch's formula, the output, query, key and the additive mask may be edited before backward:
what backward reads is not theirs, see `owned`.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch.autograd import Function, forward_ad

from fastdrop.torch import _blas
from fastdrop.torch._apply import PLAIN, Ints, logical_strides
from fastdrop.torch._attention import attend as attend_tensors
from fastdrop.torch._attention import by_rows, keeps_out, new_by_rows
from fastdrop.torch._autograd import BETWEEN_GRAPHS, drop
from fastdrop.torch._seed import draw_mask
from fastdrop.torch._tensor import TensorMask

__all__ = [
    "Inputs",
    "attend",
    "attend_blocks",
    "attend_whole",
    "blocks_of",
    "draw_weights_mask",
    "exact_dtype",
    "expand",
    "fitting",
    "gradients_in_blocks",
    "in_blocks",
    "inputs_of",
    "is_derived",
    "owned",
    "plain",
    "rounded",
]

Optional: TypeAlias = torch.Tensor | None
Slices: TypeAlias = tuple[slice, ...]

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# What is added to the score of a key that is seen, and of one that is not.
_SEEN_OR_NOT = {
    dtype: (
        torch.tensor(0.0, dtype=dtype, device="cpu"),
        torch.tensor(-math.inf, dtype=dtype, device="cpu"),
    )
    for dtype in (torch.float32, torch.float64)
}

_OWN_CLASSES = (torch.Tensor, torch.nn.Parameter, type(None))

_logical_strides = lru_cache(maxsize=256)(logical_strides)

_dispatch_keys = torch._C._dispatch_keys
_transforming = torch._C._are_functorch_transforms_active
_foreach_clone = torch._foreach_clone  # one node of the graph for all of them
_get_num_threads = torch.get_num_threads
_is_compiling = torch.compiler.is_compiling
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
    """Return whether x is on a CPU, an address and strides and nothing else."""
    return _dispatch_keys(x).raw_repr() in PLAIN


def plain(x: Any) -> Any:
    """Return x as PyTorch's own class has it: a subclass may say anything of itself."""
    if type(x) in _OWN_CLASSES:
        return x
    with torch._C.DisableTorchFunctionSubclass():
        return torch.Tensor.as_subclass(x, torch.Tensor)


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


def fitting(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: Optional,
    causal: bool,
    scale: float | None,
    grouped: bool,
) -> Inputs | None:
    """Return the inputs if PyTorch's attention takes their dtypes and shapes, else None."""
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
    heads = of_query[:-2]
    if not heads == of_key[:-2] == of_value[:-2]:  # which is seen soonest
        try:
            heads = _broadcast(heads, _heads_served(of_key, of_query, grouped))
            _broadcast(heads, _heads_served(of_value, of_query, grouped))
        except RuntimeError:
            return None
    shape = (*heads, of_query[-2], of_key[-2])
    if bias is not None and not (
        not causal
        and bias.dtype in (torch.bool, torch.float32, dtype)
        and _broadcasts_to(bias.shape, shape)
    ):
        return None
    if scale is None:
        scale = of_query[-1] ** -0.5 if of_query[-1] else 1.0
    return Inputs(query, key, value, bias, causal, scale, shape)


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
    if not (_is_strided(query) and _is_strided(key) and _is_strided(value)) and not _transforming():
        return None
    if bias is not None and not _is_strided(bias) and not _transforming():
        return None
    tensors = plain(query), plain(key), plain(value), plain(bias)
    return fitting(*tensors, causal, scale, grouped)


def draw_weights_mask(
    inputs: Inputs, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of the weights, from a generator of PyTorch."""
    return draw_mask(p, _logical_strides(inputs.shape), generator=generator)


def _additive(bias: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a mask as numbers to add."""
    if bias.dtype is not torch.bool:
        return _as(bias, dtype)
    return torch.where(bias, *_SEEN_OR_NOT[dtype])


# ---- whole ---------------------------------------------------------------------------------------


def _repeated(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Return keys or values for each of the query's heads, where several share some of them."""
    if x.dim() < 3 or x.size(-3) == 1 or x.size(-3) >= heads:
        return x  # it broadcasts
    return x.repeat_interleave(heads // x.size(-3), -3)


def attend_whole(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: Optional,
    causal: bool,
    scale: float,
    dropping: Any,
) -> torch.Tensor:
    """Return attention by the formula, in operations of PyTorch; ``dropping`` drops weights.

    As in PyTorch's, a part of the scale goes to query and a part to key: backward keeps these
    products.
    """
    dtype = query.dtype
    if dtype in (torch.float16, torch.bfloat16):
        query, key, value = query.float(), key.float(), value.float()
    if query.dim() > 2:
        key, value = _repeated(key, query.size(-3)), _repeated(value, query.size(-3))
    root = abs(scale) ** 0.5
    scores = (query * (root if scale >= 0 else -root)) @ (key * root).transpose(-1, -2)
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


def _without_repetition(bias: torch.Tensor) -> torch.Tensor:
    """Return the mask with one element of each axis along which it is the same."""
    for axis, stride in enumerate(bias.stride()):
        if stride == 0:
            bias = bias.narrow(axis, 0, 1)
    return bias


def _rows_of_bias(bias: Optional, shape: Ints, dtype: torch.dtype) -> Optional:
    """Return the mask as numbers of the weights' shape, a whole row of them for each query."""
    if bias is None or (bias.dtype is dtype and bias.shape == shape and bias.stride(-1) == 1):
        return bias
    bias = _additive(_without_repetition(bias), dtype)
    rows = (*bias.shape[:-1], shape[-1])
    if bias.shape != rows or bias.stride(-1) != 1:
        bias = bias.expand(rows).contiguous()
    return bias.expand(shape)


def _as(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return ``x.to(dtype)``, sooner where it is x."""
    return x if x.dtype is dtype else x.to(dtype)


# What is computed in a wider dtype than it is given in.
_WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


def exact_dtype(given: torch.dtype) -> torch.dtype:
    """Return the dtype that inputs of a dtype are computed in."""
    return _WIDE.get(given, given)


# Numbers of query, key or value that are wider at a time.
NUMBERS_OF_PART = 1 << 16


class Part(NamedTuple):
    """Some heads of the inputs: ``queries`` of query, ``keys`` of key and value."""

    inputs: Inputs
    mask: TensorMask
    bias: Optional
    first: int  # row
    queries: Slices
    keys: Slices


def _are_few(inputs: Inputs) -> bool:
    """Return whether the inputs are so small that they are one part."""
    query, key, value, bias = inputs[:4]
    return (
        query.numel() <= NUMBERS_OF_PART
        and key.numel() <= NUMBERS_OF_PART
        and value.numel() <= NUMBERS_OF_PART
        and (bias is None or bias.numel() <= NUMBERS_OF_PART)
    )


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


def _parts(inputs: Inputs, mask: TensorMask, bias: Optional) -> Iterator[Part]:
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
            first * shape[-2],
            queries,
            keys,
        )


def _run(
    inputs: Inputs,
    mask: TensorMask,
    dtype: torch.dtype,
    bias: Optional,
    statistics: torch.Tensor,
    first: int,
    out: Optional,
    gradients: Sequence[torch.Tensor] = (),
) -> None:
    """Compute ``out``, or the gradients, in a dtype of the kernels, which bias and results have."""
    query, key, value, _, causal, scale, shape = inputs
    query, key, value = (by_rows(x, dtype) for x in (query, key, value))
    threads = _get_num_threads()
    attend_tensors(
        mask,
        causal,
        scale,
        shape,
        query,
        key,
        value,
        bias,
        statistics,
        first,
        threads,
        out,
        gradients,
    )


def in_blocks(inputs: Inputs, mask: TensorMask) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (output in the dtype that it is computed in, statistics of the rows)."""
    dtype = exact_dtype(inputs.query.dtype)
    bias = _rows_of_bias(inputs.bias, inputs.shape, dtype)
    rows = inputs.shape[:-1]
    exact = torch.empty(*rows, inputs.value.shape[-1], dtype=dtype, device="cpu")
    statistics = torch.empty(2, *rows, dtype=torch.float64, device="cpu")
    if inputs.query.dtype is dtype or _are_few(inputs):
        _run(inputs, mask, dtype, bias, statistics, 0, exact)
        return exact, statistics
    for part in _parts(inputs, mask, bias):
        out = exact[part.queries]
        _run(part.inputs, part.mask, dtype, part.bias, statistics, part.first, out)
    return exact, statistics


def rounded(exact: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the output of a dtype, as memory of its own."""
    return exact.clone() if exact.dtype is dtype else exact.to(dtype)


def gradients_in_blocks(
    inputs: Inputs,
    mask: TensorMask,
    exact: Optional,
    statistics: torch.Tensor,
    out_gradient: torch.Tensor,
) -> list[torch.Tensor]:
    """Return the gradients of query, key and value; ``exact`` may be None if not `keeps_out`."""
    given = inputs.query.dtype
    dtype = exact_dtype(given)
    bias = _rows_of_bias(inputs.bias, inputs.shape, dtype)
    if given is dtype or _are_few(inputs):
        gradients = [new_by_rows(x, dtype) for x in inputs[:3]]
        results = exact, (by_rows(out_gradient, dtype), *gradients)
        _run(inputs, mask, dtype, bias, statistics, 0, *results)
        return [_as(gradient, given) for gradient in gradients]
    gradients = [new_by_rows(x, given) for x in inputs[:3]]
    for part in _parts(inputs, mask, bias):
        wide = [new_by_rows(x, dtype) for x in part.inputs[:3]]
        out = None if exact is None else exact[part.queries]
        results = out, (by_rows(out_gradient[part.queries], dtype), *wide)
        _run(part.inputs, part.mask, dtype, part.bias, statistics, part.first, *results)
        places = part.queries, part.keys, part.keys
        for gradient, place, computed in zip(gradients, places, wide, strict=True):
            gradient[place] = computed
    return gradients


def is_derived(inputs: Inputs) -> bool:
    """Return whether derivatives of the output are asked for."""
    return bool(_is_grad_enabled()) and any(x.requires_grad for x in inputs[:3])


def owned(inputs: Inputs, wide: bool = False) -> Inputs:
    """Return the inputs for a backward pass, as copies of what may be edited until then.

    PyTorch's formula keeps no value that it has copied, and of the others those that derivatives
    of query or key need: these are kept here too, and an edit of one is PyTorch's error. ``wide``
    copies have the dtype that is computed in, which spares conversions.
    """
    query, key, value, bias, causal, scale, shape = inputs
    dtype = exact_dtype(query.dtype)
    if wide and query.dtype is not dtype:
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    elif (
        value.is_contiguous()
        and value.shape[:-2] == shape[:-2]
        and query.dtype is dtype
        and (query.requires_grad or key.requires_grad)
    ):
        query, key = _foreach_clone((query, key))
    else:
        query, key, value = _foreach_clone((query, key, value))
    if bias is not None:
        bias = _without_repetition(bias)
        if not wide or bias.dtype is dtype:
            bias = bias.clone()
        if wide:
            bias = _rows_of_bias(bias, shape, dtype)
    return Inputs(query, key, value, bias, causal, scale, shape)


class _Attend(Function):
    @staticmethod
    def forward(ctx: Any, mask: TensorMask, dtype: torch.dtype, *given: Any) -> torch.Tensor:
        inputs = Inputs(*given)
        exact, statistics = in_blocks(inputs, mask)
        *tensors, ctx.causal, ctx.scale, ctx.shape = given
        ctx.mask = mask
        if keeps_out(ctx.shape[-1]):
            ctx.save_for_backward(*tensors, exact, statistics)
            return rounded(exact, dtype)
        ctx.save_for_backward(*tensors, None, statistics)
        return _as(exact, dtype)

    @staticmethod
    def backward(ctx: Any, out_gradient: torch.Tensor) -> tuple[Optional, ...]:
        if _is_compiling():  # compiled autograd, after a forward pass that was not compiled
            torch._dynamo.graph_break(msg=BETWEEN_GRAPHS)
        query, key, value, bias, exact, statistics = ctx.saved_tensors
        inputs = Inputs(query, key, value, bias, ctx.causal, ctx.scale, ctx.shape)
        gradients: Sequence[Optional]
        # The whole matrix serves a derivative that will be derived again, and batches of gradients.
        if _is_grad_enabled() or not _is_strided(out_gradient):
            gradients = _gradients_of_whole(inputs, ctx.mask, out_gradient)
        else:
            gradients = gradients_in_blocks(inputs, ctx.mask, exact, statistics, out_gradient)
        return None, None, *gradients, None, None, None, None


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _Attend).apply


def _gradients_of_whole(
    inputs: Inputs, mask: TensorMask, out_gradient: torch.Tensor
) -> list[Optional]:
    derived_again = _is_grad_enabled()
    query = inputs.query
    given = fitting(*inputs[:6], query.dim() > 2)
    if given is None or given.shape != inputs.shape:
        raise RuntimeError(
            f"query is kept as a {tuple(query.shape)} tensor of {query.dtype}; hooks on what is "
            "kept must give back its shape and dtype"
        )
    with torch.enable_grad():
        # Tensors of their own: query may be what key and value were computed of, or be one of them.
        query, key, value = (x.view_as(x) for x in inputs[:3])
        out = attend_whole(query, key, value, *inputs[3:6], lambda weights: drop(weights, mask))
        out = _as(out, out_gradient.dtype)
    tensors = [x for x in (query, key, value) if x.requires_grad]
    found = torch.autograd.grad(out, tensors, out_gradient, create_graph=derived_again)
    gradients = iter(found)
    return [next(gradients) if x.requires_grad else None for x in (query, key, value)]


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
    of_keys, of_values = (x.size(-3) if x.dim() > 2 else 1 for x in (key, value))
    count = max(of_keys, of_values)
    if (
        len(of_value) > len(shape)
        or min(of_keys, of_values) not in (1, count)
        or count > heads[-1]
        or not _broadcasts_to(of_value[:-3], heads[:-1])
    ):
        return None
    # One head that serves all of them is a group as well.
    key_heads = (*heads[:-1], count)
    return inputs._replace(
        query=_with_heads(query, heads),
        key=_with_heads(key, key_heads),
        value=_with_heads(value, key_heads),
    )


def blocks_of(inputs: Inputs) -> Inputs | None:
    """Return the inputs of `attend_blocks`, or None where blocks cannot serve."""
    if _transforming() or forward_ad._current_level >= 0:
        return None
    return expand(inputs)


def attend_blocks(inputs: Inputs, mask: TensorMask) -> torch.Tensor:
    """Return attention with its weights under the mask, and its derivatives where asked for."""
    dtype = inputs.query.dtype
    if is_derived(inputs):
        inputs = owned(inputs, _are_few(inputs))
        if inputs.value.is_inference():  # which cannot be kept
            inputs = inputs._replace(value=inputs.value.clone())
        return _record(mask, dtype, *inputs)
    exact, _ = in_blocks(inputs, mask)
    return _as(exact, dtype)


def attend(inputs: Inputs, mask: TensorMask) -> torch.Tensor:
    """Return the same in blocks, or by the whole matrix of weights."""
    blocks = blocks_of(inputs)
    if blocks is None:
        return attend_whole(*inputs[:6], lambda weights: drop(weights, mask))
    return attend_blocks(blocks, mask)
