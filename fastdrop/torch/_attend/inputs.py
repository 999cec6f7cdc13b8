# SPDX-License-Identifier: BSD-3-Clause
"""What attention is computed of: which tensors PyTorch's takes, and which blocks can serve."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch.autograd import forward_ad

from fastdrop.torch import _blas
from fastdrop.torch._apply import Ints, is_strided, logical_strides
from fastdrop.torch._seed import draw_mask
from fastdrop.torch._tensor import TensorMask

__all__ = ["Inputs", "blocks_of", "draw_weights_mask", "expand", "fitting", "inputs_of", "plain"]

Optional: TypeAlias = torch.Tensor | None

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_OWN_CLASSES = (torch.Tensor, torch.nn.Parameter, type(None))

_logical_strides = lru_cache(maxsize=256)(logical_strides)
_transforming = torch._C._are_functorch_transforms_active
_is_grad_enabled = torch.is_grad_enabled


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


# ---- what PyTorch takes --------------------------------------------------------------------------


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
            raise RuntimeError(f"shapes {tuple(a)} and {tuple(b)} must broadcast")
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
    if not (is_strided(query) and is_strided(key) and is_strided(value)) and not _transforming():
        return None
    if bias is not None and not is_strided(bias) and not _transforming():
        return None
    tensors = plain(query), plain(key), plain(value), plain(bias)
    return fitting(*tensors, causal, scale, grouped)


def draw_weights_mask(
    inputs: Inputs, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of the weights, from a generator of PyTorch."""
    return draw_mask(p, _logical_strides(inputs.shape), generator=generator)


# ---- what blocks take ----------------------------------------------------------------------------


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
