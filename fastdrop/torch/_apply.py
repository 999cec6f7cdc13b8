# SPDX-License-Identifier: BSD-3-Clause
"""Applies masks to tensors, whatever their layout; knows nothing of autograd.

Tensors are read where they lie. A result has the layout that PyTorch's own functions give.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from fastdrop._checks import check_no_pair, described
from fastdrop.apply._dtypes import NAMES
from fastdrop.torch._tensor import TILE, TensorMask

__all__ = [
    "CLASSES",
    "DTYPES",
    "PLAIN",
    "apply",
    "apply_add",
    "apply_in_place",
    "apply_relu",
    "as_tensor",
    "bias_rows",
    "check_floats",
    "check_real",
    "check_tensor",
    "dense_strides",
    "is_plain",
    "is_readable",
    "is_strided",
    "logical_strides",
]

Ints: TypeAlias = tuple[int, ...]

DTYPES = frozenset(getattr(torch, name) for name in NAMES)

_dispatch_keys = torch._C._dispatch_keys
_get_num_threads = torch.get_num_threads
_empty_like = torch.empty_like

# Classes that say the truth about their tensors.
CLASSES = (torch.Tensor, torch.nn.Parameter)


def _key_sets(*views: Callable[[torch.Tensor], torch.Tensor]) -> frozenset[int]:
    """Return the dispatch keys of views of a tensor, made in inference mode or not."""
    sets = []
    for inference in (False, True):
        with torch.inference_mode(inference):
            x = torch.empty(0, dtype=torch.complex64, device="cpu")
            sets += [_dispatch_keys(view(x)).raw_repr() for view in views]
    return frozenset(sets)


# Tensors that are an address and strides, and nothing else; and those to be conjugated or negated
# when they are read. All others are sparse, fake, batched, functional and so on.
PLAIN = _key_sets(lambda x: x)
LAZY = _key_sets(torch.conj, torch._neg_view, lambda x: torch._neg_view(x.conj()))
READABLE = PLAIN | LAZY


def is_strided(x: torch.Tensor) -> bool:
    """Return whether x is a strided CPU tensor with memory of its own."""
    return _dispatch_keys(x).raw_repr() in PLAIN


def is_plain(x: torch.Tensor) -> bool:
    """Return whether x is a strided CPU tensor with memory of its own, of one of DTYPES."""
    return _dispatch_keys(x).raw_repr() in PLAIN and x.dtype in DTYPES


def is_readable(x: torch.Tensor) -> bool:
    """Return whether x is plain, but that it may be lazily conjugated or negated."""
    return _dispatch_keys(x).raw_repr() in READABLE and x.dtype in DTYPES


def as_tensor(x: torch.Tensor) -> torch.Tensor:
    """Return x; of a subclass without a dispatch of its own, the same memory without the class.

    PyTorch's operators do not ask the methods and attributes of such a class either.
    """
    if type(x) in CLASSES or _dispatch_keys(x).raw_repr() not in READABLE:
        return x
    with torch._C.DisableTorchFunction():
        return torch.Tensor.as_subclass(x, torch.Tensor)


def check_tensor(name: str, value: object) -> None:
    """Check that an argument is a tensor."""
    if not isinstance(value, torch.Tensor):
        check_no_pair(name, value)
        raise TypeError(f"{name} must be a tensor of PyTorch, not {described(value)}")


def check_floats(name: str, x: torch.Tensor) -> None:
    """Check that an argument is a tensor of floats or complex numbers."""
    check_tensor(name, x)
    if not (x.is_floating_point() or x.is_complex()):
        raise TypeError(f"{name} must be of floats or complex numbers, not of {x.dtype}")


def check_real(name: str, x: torch.Tensor) -> None:
    """Check that a tensor is of real floats."""
    if not x.is_floating_point():
        cure = "" if x.is_complex() else f": {name}.float() converts it"
        raise TypeError(f"{name} must be of real floats, not of {x.dtype}{cure}")


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


def _run(mask: TensorMask, x: torch.Tensor, y: torch.Tensor) -> None:
    mask.apply(x, y, _get_num_threads())


def _of_number(mask: TensorMask, x: torch.Tensor, number: float) -> torch.Tensor:
    """Return a tensor of one number under the mask, of x's dtype: x has no address."""
    numbers = torch.full(x.shape, number, dtype=x.dtype, device="cpu")
    _run(mask, numbers, numbers)
    return numbers


def apply(mask: TensorMask, x: torch.Tensor) -> torch.Tensor:
    """Return x under the mask: a new tensor, in the layout of ``torch.empty_like(x)``."""
    if type(x) not in CLASSES:
        x = as_tensor(x)
    if not is_plain(x):
        if not is_readable(x):
            y = x * _of_number(mask.derivative, x, 1.0)
            return y if mask.derivative is mask else y + _of_number(mask, x, 0.0)
        x = x.resolve_conj().resolve_neg()
    y = _empty_like(x)
    _run(mask, x, y)
    return y


def apply_in_place(mask: TensorMask, x: torch.Tensor) -> torch.Tensor:
    """Put x under the mask, and return it."""
    if type(x) not in CLASSES:
        x = as_tensor(x)
    if is_plain(x) and x.stride() == dense_strides(x):
        _run(mask, x, x)
        if not x.is_inference():
            torch.autograd.graph.increment_version(x)
        return x
    if is_readable(x):
        return x.copy_(apply(mask, x))
    x.mul_(_of_number(mask.derivative, x, 1.0))
    return x if mask.derivative is mask else x.add_(_of_number(mask, x, 0.0))


def apply_add(
    mask: TensorMask, x: torch.Tensor, residual: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Return residual + (x + bias under the mask)."""
    y = _empty_like(x)
    mask.add(x, residual, bias_rows(bias), y, _get_num_threads())
    return y


def apply_relu(
    mask: TensorMask, x: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, TensorMask]:
    """Return relu(x + bias) under the mask, and the mask of both."""
    y = _empty_like(x)
    return y, mask.relu(x, bias_rows(bias), y, _get_num_threads())


def bias_rows(bias: torch.Tensor | None) -> torch.Tensor | None:
    """Return a bias repeated as the engine reads it; None, if there is nothing to add."""
    if bias is None or not bias.numel():
        return None
    return bias.expand(TILE // bias.numel() + 2, bias.numel()).contiguous()
