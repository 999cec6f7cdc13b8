# SPDX-License-Identifier: BSD-3-Clause
"""Dropout with the steps before and after it in a network, in one pass over memory.

Where one pass is not possible (other layouts and devices, mixed dtypes, transforms, traced
programs), the functions do the operations one by one. If they have a seed, the mask is the same.
"""

from __future__ import annotations

from typing import Any, Never

import torch
from torch.autograd import forward_ad
from torch.overrides import (
    handle_torch_function,
    has_torch_function_variadic,
)

from fastdrop._checks import check_p, check_switch
from fastdrop._typing import AxesLike
from fastdrop._words import public, refuse
from fastdrop.torch._apply import as_tensor, check_real, check_tensor, is_plain
from fastdrop.torch._autograd import drop_add, drop_relu, relu_unsaved
from fastdrop.torch._mask import (
    RNG,
    Settled,
    addressable_source,
    draw_element_mask,
    drops,
    settled,
    source_mask,
)
from fastdrop.torch._operator import is_traced, is_watched
from fastdrop.torch._tensor import TensorMask
from fastdrop.torch.functional import Seed, dropout

__all__ = [
    "check_broadcasts",
    "draw_elements",
    "dropout_add",
    "is_bias_of",
    "is_one_run",
    "relu_dropout",
]

_transforming = torch._C._are_functorch_transforms_active


@public("fastdrop.torch")
def dropout_add(
    input: torch.Tensor,
    residual: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *late: Never,
    bias: torch.Tensor | None = None,
    rng: RNG = None,
    seed: Seed = None,
    broadcast_dims: AxesLike | None = None,
    **words: Never,
) -> torch.Tensor:
    """Return ``residual + dropout(input + bias)``: the end of a residual branch, in one pass.

    Parameters
    ----------
    input : torch.Tensor
        Output of the branch.
    residual : torch.Tensor
        The tensor that the branch is added to. Its shape broadcasts to input's.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`. False is ``residual + input + bias``.
    bias : torch.Tensor, optional
        Added to input before anything is dropped. Its shape broadcasts to input's. Usually it has
        the length of the last axis.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.
    seed : int, sequence of int or SeedSequence, optional
        As in `dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `dropout`. If it is given, dropout is a separate pass.

    Returns
    -------
    y : torch.Tensor
        Of input's shape. float16 and bfloat16 are computed in float32 and rounded once.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`, or if a shape does not broadcast to input's.

    Notes
    -----
    For backward, the seed of the mask is kept, and no tensor. The gradient of ``residual`` is that
    of y.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x, residual = torch.ones(2, 4), torch.full((2, 4), 10.0)
    >>> fastdrop.torch.dropout_add(x, residual, p=0.5, rng=1)
    tensor([[10., 12., 10., 12.],
            [10., 12., 10., 10.]])
    """
    if late or words:
        refuse(dropout_add, late, words)
    if rng is not None or seed is not None:
        rng = settled(rng, seed)
    x = input
    sharing: dict[str, Any] = {} if broadcast_dims is None else {"broadcast_dims": broadcast_dims}
    if has_torch_function_variadic(x, residual, bias):  # a subclass or a mode
        tensors, options = (x, residual, bias), {"bias": bias, "rng": rng, **sharing}
        y: torch.Tensor = handle_torch_function(
            dropout_add, tensors, x, residual, p, training, **options
        )
        return y
    p = check_p(p)
    check_tensor("input", x)
    check_tensor("residual", residual)
    if bias is not None:
        check_tensor("bias", bias)
        bias = as_tensor(bias)
    x, residual = as_tensor(x), as_tensor(residual)
    training = check_switch("training", training)
    fuses = not sharing and drops(p, training, rng) and not is_traced(x) and is_one_run(x)
    if fuses and _is_alike(x, residual) and is_bias_of(x, bias):
        return drop_add(x, residual, bias, draw_elements(x, p, rng))
    check_broadcasts("residual", residual, x)
    if bias is not None:
        check_broadcasts("bias", bias, x)
    # As in one pass: half-width numbers are rounded at the end alone.
    dtypes = {residual.dtype, x.dtype, x.dtype if bias is None else bias.dtype}
    if halves := dtypes <= {torch.float16, torch.bfloat16}:
        x = x.float()
    branch = x if bias is None else x + bias
    y = residual + dropout(branch, p, training, rng=rng, **sharing)
    return y.to(dtypes.pop() if len(dtypes) == 1 else torch.float32) if halves else y


@public("fastdrop.torch")
def relu_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *late: Never,
    bias: torch.Tensor | None = None,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Return ``dropout(relu(input + bias))`` in one pass.

    Parameters
    ----------
    input : torch.Tensor
        As in `dropout`, without complex numbers.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`. False applies relu alone.
    bias : torch.Tensor, optional
        As in `dropout_add`: the bias that the linear map before leaves out.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.
    seed : int, sequence of int or SeedSequence, optional
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`.

    Notes
    -----
    For backward, one bit per element is kept. PyTorch's relu and dropout keep a tensor each.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.tensor([1.0, 2.0, -3.0, -4.0, 5.0, 6.0])
    >>> fastdrop.torch.relu_dropout(x, p=0.5, rng=1)
    tensor([ 0.,  4.,  0.,  0.,  0., 12.])
    """
    if late or words:
        refuse(relu_dropout, late, words)
    if rng is not None or seed is not None:
        rng = settled(rng, seed)
    x = input
    if has_torch_function_variadic(x, bias):  # a subclass or a mode
        options: dict[str, Any] = {"rng": rng} if bias is None else {"bias": bias, "rng": rng}
        y: torch.Tensor = handle_torch_function(relu_dropout, (x, bias), x, p, training, **options)
        return y
    p = check_p(p)
    check_tensor("input", x)
    if bias is not None:
        check_tensor("bias", bias)
        bias = as_tensor(bias)
    x = as_tensor(x)
    training = check_switch("training", training)
    fuses = drops(p, training, rng) and not x.is_complex()
    if fuses and not is_traced(x) and is_one_run(x) and is_bias_of(x, bias):
        return drop_relu(x, bias, draw_elements(x, p, rng))
    if fuses or x.is_complex():
        check_real("input", x)
    dtype = x.dtype
    if bias is not None:
        check_broadcasts("bias", bias, x)
        # As in one pass: half-width numbers are rounded at the end alone.
        x = x.float() + bias if dtype.itemsize == 2 and bias.dtype == dtype else x + bias
    relu = relu_unsaved if fuses and is_watched() and is_one_run(x) else torch.relu
    y = dropout(relu(x), p, training, rng=rng)
    return y.to(dtype) if bias is not None and bias.dtype == dtype else y


def is_one_run(x: torch.Tensor) -> bool:
    """Return whether one pass of a kernel is all that there is to do."""
    return is_plain(x) and not _transforming() and bool(forward_ad._current_level < 0)


def _is_alike(x: torch.Tensor, other: torch.Tensor) -> bool:
    return is_plain(other) and other.dtype == x.dtype and other.shape == x.shape


def is_bias_of(x: torch.Tensor, bias: torch.Tensor | None) -> bool:
    """Return whether the kernels can add a bias to x."""
    return bias is None or (
        is_plain(bias) and x.dim() > 0 and bias.dtype == x.dtype and bias.shape == x.shape[-1:]
    )


def check_broadcasts(name: str, other: torch.Tensor, x: torch.Tensor) -> None:
    """Check that another tensor broadcasts to x without enlarging it."""
    lengths = zip(reversed(other.shape), reversed(x.shape), strict=False)
    if other.dim() > x.dim() or any(own not in (1, length) for own, length in lengths):
        shape, target = (tuple(map(int, tensor.shape)) for tensor in (other, x))
        raise ValueError(
            f"{name} must have a shape that broadcasts to input's, {target}, not {shape}"
        )


def draw_elements(x: torch.Tensor, p: float, rng: Settled) -> TensorMask:
    """Return the mask of a tensor's elements."""
    source = addressable_source(rng)
    if source is not None:
        return source_mask(x, p, source, None)
    assert rng is None or isinstance(rng, torch.Generator)
    return draw_element_mask(x, p, rng)
