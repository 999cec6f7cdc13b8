# SPDX-License-Identifier: BSD-3-Clause
"""Attention in blocks: nothing of the size queries x keys is kept. `_attention` has the kernels."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch

from fastdrop.torch import _blas
from fastdrop.torch._apply import Ints
from fastdrop.torch._attend.inputs import Inputs
from fastdrop.torch._attention import attend, by_rows, new_by_rows
from fastdrop.torch._attention import keeps_out as keeps_out_of
from fastdrop.torch._tensor import TensorMask

__all__ = [
    "are_few",
    "as_dtype",
    "exact_dtype",
    "gradients_in_blocks",
    "in_blocks",
    "keeps_out",
    "multiplied_dtype",
    "rows_of_bias",
    "without_repetition",
]

Optional: TypeAlias = torch.Tensor | None
Slices: TypeAlias = tuple[slice, ...]

_get_num_threads = torch.get_num_threads


# ---- the additive mask ---------------------------------------------------------------------------

# What is added to the score of a key that is seen, and of one that is not.
_SEEN_OR_NOT = {
    dtype: (
        torch.tensor(0.0, dtype=dtype, device="cpu"),
        torch.tensor(-math.inf, dtype=dtype, device="cpu"),
    )
    for dtype in (torch.float32, torch.float64)
}


def _additive(bias: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a mask as numbers to add."""
    if bias.dtype is not torch.bool:
        return as_dtype(bias, dtype)
    return torch.where(bias, *_SEEN_OR_NOT[dtype])


def without_repetition(bias: torch.Tensor) -> torch.Tensor:
    """Return the mask with one element of each axis along which it is the same."""
    for axis, stride in enumerate(bias.stride()):
        if stride == 0:
            bias = bias.narrow(axis, 0, 1)
    return bias


def rows_of_bias(bias: Optional, shape: Ints, dtype: torch.dtype) -> Optional:
    """Return the mask as numbers of the weights' shape, a whole row of them for each query."""
    if bias is None or (bias.dtype is dtype and bias.shape == shape and bias.stride(-1) == 1):
        return bias
    bias = _additive(without_repetition(bias), dtype)
    rows = (*bias.shape[:-1], shape[-1])
    if bias.shape != rows or bias.stride(-1) != 1:
        bias = bias.expand(rows).contiguous()
    return bias.expand(shape)


# ---- dtypes --------------------------------------------------------------------------------------


def as_dtype(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return ``x.to(dtype)``, sooner where it is x."""
    return x if x.dtype is dtype else x.to(dtype)


# What is computed in a wider dtype than it is given in.
_WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


def exact_dtype(given: torch.dtype) -> torch.dtype:
    """Return the dtype that inputs of a dtype are computed in."""
    return _WIDE.get(given, given)


# What matrix products read as it is, and add up in a wider dtype.
MULTIPLIED = {torch.bfloat16} if _blas.MULTIPLIES_BFLOAT16 else set()


def multiplied_dtype(given: torch.dtype) -> torch.dtype:
    """Return the dtype in which matrix products read inputs of a dtype."""
    return given if given in MULTIPLIED else exact_dtype(given)


# ---- parts ---------------------------------------------------------------------------------------

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


def are_few(inputs: Inputs) -> bool:
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


# ---- attention -----------------------------------------------------------------------------------

# Rows and columns of a block of scores; 0: such that its scores stay in the L2 cache.
BLOCK = (0, 0)


def keeps_out(keys: int) -> bool:
    """Return whether backward reads the output: where a block does not have all of the keys."""
    return keeps_out_of(keys, BLOCK)


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
    """Compute ``out``, or the gradients of inputs, in a dtype that matrix products read.

    Bias and results have the dtype that is computed in.
    """
    *tensors, _, causal, scale, shape = inputs
    query, key, value = (by_rows(x, dtype) for x in tensors)
    rest = bias, statistics, first, _get_num_threads(), BLOCK, out, gradients
    attend(mask, causal, scale, shape, query, key, value, *rest)


def in_blocks(inputs: Inputs, mask: TensorMask) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (output in the dtype that it is computed in, statistics of the rows)."""
    dtype, multiplied = exact_dtype(inputs.query.dtype), multiplied_dtype(inputs.query.dtype)
    bias = rows_of_bias(inputs.bias, inputs.shape, dtype)
    rows = inputs.shape[:-1]
    exact = torch.empty(*rows, inputs.value.shape[-1], dtype=dtype, device="cpu")
    statistics = torch.empty(2, *rows, dtype=torch.float64, device="cpu")
    if inputs.query.dtype is multiplied or are_few(inputs):
        _run(inputs, mask, multiplied, bias, statistics, 0, exact)
        return exact, statistics
    for part in _parts(inputs, mask, bias):
        out = exact[part.queries]
        _run(part.inputs, part.mask, multiplied, part.bias, statistics, part.first, out)
    return exact, statistics


def gradients_in_blocks(
    inputs: Inputs,
    mask: TensorMask,
    exact: Optional,
    statistics: torch.Tensor,
    out_gradient: torch.Tensor,
) -> list[torch.Tensor]:
    """Return the gradients of query, key and value; ``exact`` may be None if not `keeps_out`."""
    given = inputs.query.dtype
    dtype, multiplied = exact_dtype(given), multiplied_dtype(given)
    bias = rows_of_bias(inputs.bias, inputs.shape, dtype)
    if given is dtype or are_few(inputs):
        gradients = [new_by_rows(x, dtype) for x in inputs[:3]]
        results = exact, (by_rows(out_gradient, multiplied), *gradients)
        _run(inputs, mask, multiplied, bias, statistics, 0, *results)
        return [as_dtype(gradient, given) for gradient in gradients]
    gradients = [new_by_rows(x, given) for x in inputs[:3]]
    for part in _parts(inputs, mask, bias):
        wide = [new_by_rows(x, dtype) for x in part.inputs[:3]]
        out = None if exact is None else exact[part.queries]
        results = out, (by_rows(out_gradient[part.queries], multiplied), *wide)
        _run(part.inputs, part.mask, multiplied, part.bias, statistics, part.first, *results)
        places = part.queries, part.keys, part.keys
        for gradient, place, computed in zip(gradients, places, wide, strict=True):
            gradient[place] = computed
    return gradients
