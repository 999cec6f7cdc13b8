# SPDX-License-Identifier: BSD-3-Clause
"""Applies the caller's mask: a Mask of NumPy's face, or bools."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.overrides import handle_torch_function, has_torch_function_variadic

from fastdrop._checks import (
    as_array,
    check_broadcast,
    check_p,
    check_switch,
    described,
    refuse_with_mask,
)
from fastdrop._typing import BoolArray, SeedLike
from fastdrop._words import HALF
from fastdrop.functional._given import check_given_mask
from fastdrop.mask import Mask
from fastdrop.torch._apply import (
    CLASSES,
    as_tensor,
    check_tensor,
    is_readable,
    is_strided,
)
from fastdrop.torch._autograd import check_in_place, drop, drop_in_place
from fastdrop.torch._mask import RNG, addressable_source, decided_shape, given_mask, settled
from fastdrop.torch._operator import check_traced_rng, drop_kept, is_traced, is_watched
from fastdrop.torch._shard import Shard
from fastdrop.torch._tensor import TensorMask

__all__ = ["Given", "drop_given", "drop_under"]

Given: TypeAlias = Mask | torch.Tensor | BoolArray

BOOL = np.dtype(bool)

_transforming = torch._C._are_functorch_transforms_active


def drop_under(x: torch.Tensor, mask: TensorMask, inplace: bool) -> torch.Tensor:
    """Put x under a mask, in x's layout."""
    return drop_in_place(x, mask) if inplace else drop(x, mask)


def drop_given(
    function: Callable[..., torch.Tensor],
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    rng: RNG,
    seed: SeedLike | None,
    mask: Given | Shard,
    sharing: Mapping[str, Any],
) -> torch.Tensor:
    """Drop elements of x by the caller's mask: the work of ``function``.

    Of a module's shard, the mask is drawn now.
    """
    if rng is not None or seed is not None:
        rng = settled(rng, seed, 4)
    if has_torch_function_variadic(x, mask):  # a subclass or a mode
        options = {"rng": rng, "mask": mask, **sharing}
        given = (x,) if p is HALF else (x, p)
        y: torch.Tensor = handle_torch_function(
            function, (x, mask), *given, training=training, inplace=inplace, **options
        )
        return y
    check_tensor("input", x)
    if not (x.is_floating_point() or x.is_complex()):
        raise TypeError(f"input must be of floats or complex numbers, not of {x.dtype}")
    traced = is_traced(x) and not is_watched()
    shape = tuple(as_tensor(x).shape)
    if isinstance(mask, Mask):
        check_given_mask(mask, p, rng=rng, **sharing)
        _check_takes_mask(x, traced)
        check_broadcast("mask shape", mask.shape, shape, "input")
    elif isinstance(mask, Shard):
        p, decided = check_p(p), decided_shape(mask.whole, **sharing)
        if traced:
            check_traced_rng(rng)
        _check_takes_mask(x, traced)
        mask.check(shape)
    else:
        mask = _checked_bools(x, mask, p, sharing)
        p = check_p(p)
        (check_traced_rng if traced else addressable_source)(rng)  # not drawn from
        check_broadcast("mask shape", tuple(mask.shape), shape, "input")
    training, inplace = check_switch("training", training), check_switch("inplace", inplace)
    if not training:
        return x
    if inplace and not torch.compiler.is_compiling() and not _transforming():
        check_in_place(x)
    y = x if type(x) in CLASSES else as_tensor(x)
    if isinstance(mask, Shard):
        source = addressable_source(rng)
        assert source is not None  # the module has one
        mask = mask.draw(p, source, decided)
    elif not isinstance(mask, Mask):
        if traced or _transforming() or not is_readable(y) or not _is_memory(mask):
            kept = torch.as_tensor(mask, device=x.device)
            y = drop_kept(y, kept, 1.0 / (1.0 - p) if p < 1.0 else 1.0)
            return x.copy_(y) if inplace else y
        mask = Mask.from_array(_array_of(mask), p)
    y = drop_under(y, given_mask(y, mask), inplace)
    return x if inplace else y


def _check_takes_mask(x: torch.Tensor, traced: bool) -> None:
    """Check that a Mask can be applied to x."""
    if traced:
        raise TypeError(
            "mask must be a tensor of bool with p in a traced program, not a Mask: call "
            "torch.as_tensor(mask) before"
        )
    if not (_transforming() or is_readable(x)):
        raise TypeError(
            "input must be a strided tensor of floats on the CPU with a Mask, not a "
            f"{'nested ' * x.is_nested}{x.dtype} tensor of layout {x.layout} on {x.device}"
        )


def _checked_bools(
    x: torch.Tensor, mask: Any, p: float, sharing: Mapping[str, Any]
) -> torch.Tensor | BoolArray:
    """Return a mask that is not a Mask: a tensor or an array of bool, with p alone."""
    for name, value in sharing.items():
        if value is not None:
            refuse_with_mask(name, value)
    if isinstance(mask, torch.Tensor):
        mask, bools = as_tensor(mask), torch.bool
        if mask.layout is not torch.strided or (mask.is_meta and not x.is_meta):
            raise TypeError(
                "mask must be a Mask or a strided tensor of bool that has elements, not a tensor "
                f"of layout {mask.layout} on {mask.device}"
            )
    else:
        given, mask, bools = mask, as_array("mask", mask), BOOL
        if not mask.ndim and not isinstance(given, (np.ndarray, np.generic)):  # None, True, 'a'
            raise TypeError(f"mask must be a Mask or of bool, not {described(given)}")
    if mask.dtype != bools:
        raise TypeError(f"mask must be a Mask or of bool, not of {mask.dtype}")
    if p is HALF:
        raise TypeError(
            f"mask is of bools, of shape {tuple(mask.shape)}, which do not say how to scale: give p"
        )
    return mask


def _is_memory(mask: torch.Tensor | BoolArray) -> bool:
    """Return whether bools can be read as an array."""
    return not isinstance(mask, torch.Tensor) or is_strided(mask)


def _array_of(mask: torch.Tensor | BoolArray) -> BoolArray:
    """Return bools in memory as an array."""
    if not isinstance(mask, torch.Tensor):
        return mask
    if mask.numel() and not mask.data_ptr():
        raise RuntimeError(f"mask, of shape {tuple(mask.shape)}, has no memory: it was freed")
    array: BoolArray = mask.numpy()
    return array
