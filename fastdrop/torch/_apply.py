# SPDX-License-Identifier: BSD-3-Clause
"""Applies masks to tensors, whatever their layout; knows nothing of autograd.

A mask is drawn for a dense layout, in whose memory order its decisions follow each other. A
tensor in that layout is read where it lies; any other is copied into it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import torch

from fastdrop.torch._tensor import TILE, TensorMask

__all__ = [
    "CODES",
    "PLAIN",
    "apply",
    "apply_add",
    "apply_in_place",
    "apply_relu",
    "check_tensor",
    "dense_strides",
    "feature_broadcast",
    "is_plain",
    "logical_strides",
]

Ints: TypeAlias = tuple[int, ...]

# dtype -> number of the kernel; 4 is added for the two components of complex numbers.
CODES = {
    torch.float16: 0,
    torch.bfloat16: 1,
    torch.float32: 2,
    torch.float64: 3,
    torch.complex64: 2 + 4,
    torch.complex128: 3 + 4,
}

_dispatch_keys = torch._C._dispatch_keys
_get_num_threads = torch.get_num_threads
_empty_like = torch.empty_like


def _plain_key_sets() -> frozenset[int]:
    """Return the dispatch keys of tensors that are an address and strides, and nothing else."""
    with torch.inference_mode():
        inference = torch.empty(0, device="cpu")
    with torch.inference_mode(False):
        usual = torch.empty(0, device="cpu")
    return frozenset(_dispatch_keys(x).raw_repr() for x in (usual, inference))


PLAIN = _plain_key_sets()


def is_plain(x: torch.Tensor) -> bool:
    """Return whether x is a strided CPU tensor with memory of its own, of a dtype of ours.

    Not sparse, fake, batched, functional, conjugated or negated lazily, and so on: all of these
    have a dispatch key more, or another one.
    """
    return _dispatch_keys(x).raw_repr() in PLAIN and x.dtype in CODES


def check_tensor(name: str, value: object) -> None:
    """Check that an argument is a tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; allowed are tensors of PyTorch")


def logical_strides(shape: Sequence[int]) -> Ints:
    """Return the strides of C order: mask element i is element i of ``x.flatten()``."""
    strides = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def dense_strides(x: torch.Tensor) -> Ints:
    """Return the strides that ``torch.empty_like`` gives: the memory order of x, without gaps."""
    dense = x if x.is_contiguous() else _empty_like(x, device="meta")
    strides: Ints = dense.stride()
    return strides


@lru_cache(maxsize=256)
def feature_broadcast(shape: Ints, strides: Ints) -> tuple[Ints, Ints, int] | None:
    """Return the broadcast of a decision for each of the first two axes, or None.

    None: the layout has an order of axes for which there is no kernel (innermost is the batch).
    """
    steps = (shape[1], 1) + (0,) * (len(shape) - 2)
    axes = [axis for axis in range(len(shape)) if shape[axis] != 1]
    axes.sort(key=lambda axis: -strides[axis])
    merged = [(1, 0)]
    for axis in axes:
        length, step = merged[-1]
        if step == steps[axis] * shape[axis]:  # the two axes are one run of decisions
            merged[-1] = (length * shape[axis], steps[axis])
        else:
            merged.append((shape[axis], steps[axis]))
    if merged[-1][1] > 1:
        return None
    lengths, steps = zip(*merged, strict=True)
    return lengths, steps, shape[0] * shape[1]


def _run(mask: TensorMask, x: torch.Tensor, y: torch.Tensor) -> None:
    mask.apply(x.data_ptr(), y.data_ptr(), x.numel(), CODES[x.dtype], _get_num_threads())


def _factors(mask: TensorMask, x: torch.Tensor) -> torch.Tensor:
    """Return the mask as a tensor of 0 and scale, for tensors that have no address."""
    shape = x.shape
    factors = torch.empty_strided(shape, mask.strides, dtype=x.dtype, device="cpu").fill_(1.0)
    _run(mask, factors, factors)
    return factors


def apply(mask: TensorMask, x: torch.Tensor) -> torch.Tensor:
    """Return x under the mask: a new tensor, in the mask's layout."""
    if not is_plain(x):
        return x * _factors(mask, x)
    if x.stride() == mask.strides:
        y = _empty_like(x)
        _run(mask, x, y)
        return y
    y = torch.empty_strided(x.shape, mask.strides, dtype=x.dtype, device="cpu")
    y.copy_(x)
    _run(mask, y, y)
    return y


def apply_in_place(mask: TensorMask, x: torch.Tensor) -> torch.Tensor:
    """Put x under the mask, and return it."""
    if not is_plain(x):
        return x.mul_(_factors(mask, x))
    if x.stride() == mask.strides:
        _run(mask, x, x)
        if not x.is_inference():
            torch.autograd.graph.increment_version(x)
        return x
    return x.copy_(apply(mask, x))


def apply_add(
    mask: TensorMask, x: torch.Tensor, residual: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Return residual + (x + bias under the mask); all are contiguous, as the mask is."""
    y = _empty_like(x)
    address, length = 0, 1
    if bias is not None and bias.numel():
        length = bias.numel()
        rows = bias.expand(TILE // length + 2, length).contiguous()
        address = rows.data_ptr()
    mask.add(
        *(x.data_ptr(), residual.data_ptr(), address, length, y.data_ptr()),
        *(x.numel(), CODES[x.dtype], _get_num_threads()),
    )
    return y


def apply_relu(mask: TensorMask, x: torch.Tensor) -> tuple[torch.Tensor, TensorMask]:
    """Return relu(x) under the mask, and the mask of both; x has the mask's layout."""
    y = _empty_like(x)
    both = mask.relu(x.data_ptr(), y.data_ptr(), x.numel(), CODES[x.dtype], _get_num_threads())
    return y, both
