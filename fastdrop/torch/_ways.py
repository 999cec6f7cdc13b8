# SPDX-License-Identifier: BSD-3-Clause
"""The three ways in which a function that PyTorch does not have drops a tensor.

By the engine, where a tensor is memory; by an operator, in programs that are recorded or watched;
by PyTorch's own operations, where only PyTorch knows what a tensor is: on other devices, and in the
transforms of ``torch.func``, which rule what is random in them.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from fastdrop._checks import check_switch
from fastdrop.source import Source
from fastdrop.torch._apply import Ints, as_tensor, check_floats, is_readable
from fastdrop.torch._autograd import check_in_place
from fastdrop.torch._given import drop_under
from fastdrop.torch._mask import RNG, Settled, addressable_source, drops, settled
from fastdrop.torch._operator import (
    check_traced_rng,
    dropping_by_pytorch,
    has_operator,
    is_for_onnx,
    is_traced,
    kept_by_pytorch,
)
from fastdrop.torch._tensor import TensorMask
from fastdrop.torch.functional import dropout

__all__ = ["check_rng", "drop_by", "drop_weight", "kept_decisions", "times", "way_of"]

_transforming = torch._C._are_functorch_transforms_active


def check_rng(x: torch.Tensor, rng: Settled) -> None:
    """Check an rng that is not drawn from: a source is right even where it could not be."""
    if not isinstance(rng, Source):
        (check_traced_rng if is_traced(x) else addressable_source)(rng)


def way_of(x: torch.Tensor, rng: Settled) -> Literal["engine", "operator", "pytorch"]:
    """Return the way for a tensor; with a seed or a source it is never PyTorch's."""
    if is_traced(x) and has_operator(x):
        return "pytorch" if is_for_onnx(rng) else "operator"
    generated = rng is None or isinstance(rng, torch.Generator)
    if is_readable(x) and not (generated and _transforming()):
        return "engine"
    if x.layout is torch.strided and (generated or _transforming()):
        return "pytorch" if generated else "engine"
    raise TypeError(
        "input must be strided, and with a seed or a source of floats on the CPU, not a "
        f"{x.dtype} tensor of layout {x.layout} on {x.device}"
    )


def drop_by(
    function: Callable[..., torch.Tensor],
    draw: Callable[[torch.Tensor, Settled], TensorMask | torch.Tensor],
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    rng: RNG,
    check: Callable[[torch.Tensor], object] | None = None,
    **options: Any,
) -> torch.Tensor:
    """Drop something of x: the work of ``function``, whose p and options are checked.

    ``draw`` gets x and a settled rng, and returns a mask of x or what becomes of x; ``check`` is
    called before, with x in truth.
    """
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_unary(x):  # a subclass or a mode
        y: torch.Tensor = handle_torch_function(
            function, (x,), x, p, training, inplace, rng=rng, **options
        )
        return y
    check_floats("input", x)
    given, x = x, as_tensor(x)
    if check is not None:
        check(x)
    training, inplace = check_switch("training", training), check_switch("inplace", inplace)
    if not drops(p, training, rng):
        check_rng(x, rng)
        return given
    if inplace and not torch.compiler.is_compiling() and not _transforming():
        check_in_place(given)
    drawn = draw(x, rng)
    if isinstance(drawn, TensorMask):
        y = drop_under(x, drawn, inplace)
        return given if inplace else y
    return given.copy_(drawn) if inplace else drawn


def kept_decisions(x: torch.Tensor, p: float, rng: Settled, shape: Ints) -> torch.Tensor:
    """Return decisions for x of a shape: bools, True where kept."""
    if is_traced(x) and is_for_onnx(rng):
        return kept_by_pytorch(x, p, shape, None)
    ones = torch.ones(shape, dtype=torch.float32, device=x.device)
    return dropout(ones, p, rng=rng) > 0.0


def drop_weight(weight: torch.Tensor, p: float, training: bool, rng: Settled) -> torch.Tensor:
    """Return weights with some of them dropped.

    The exporter for ONNX makes a constant of its Dropout of a constant.
    """
    if training and p and is_traced(weight) and is_for_onnx(rng):
        drop = dropping_by_pytorch(weight, p, tuple(weight.shape), None)
        return drop(weight, False, 1.0 / (1.0 - p) if p < 1.0 else 1.0)
    return dropout(weight, p, training, rng=rng)


def times(x: torch.Tensor, factors: torch.Tensor | float) -> torch.Tensor:
    """Return x times real factors, rounded once to x's dtype."""
    if x.is_complex():  # a product of complex numbers would make NaN of infinity
        return torch.complex(x.real * factors, x.imag * factors)
    if x.dtype.itemsize == 2:
        return (x.float() * factors).to(x.dtype)
    return x * factors
