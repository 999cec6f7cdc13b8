# SPDX-License-Identifier: BSD-3-Clause
"""Draws the mask of one call: a decision for each element, or for each feature."""

from typing import Any, TypeAlias

import torch

from fastdrop._checks import check_seed
from fastdrop.source import Source, Xoshiro256PlusPlus
from fastdrop.torch._apply import Ints, dense_strides, feature_broadcast, logical_strides
from fastdrop.torch._seed import draw_mask
from fastdrop.torch._tensor import TensorMask, mask_from_source

__all__ = [
    "RNG",
    "addressable_source",
    "check_rng",
    "draw_element_mask",
    "draw_feature_mask",
    "drops",
    "source_mask",
]

RNG: TypeAlias = torch.Generator | Source | None


def drops(p: float, training: bool, rng: RNG) -> bool:
    """Return whether a mask is drawn: at p = 0 only from a source, which has to advance."""
    return training and (p > 0.0 or isinstance(rng, Source))


def draw_element_mask(
    x: torch.Tensor, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of x's elements in x's memory order, from a generator of PyTorch."""
    return draw_mask(p, dense_strides(x), generator=generator)


def feature_layout(x: torch.Tensor) -> tuple[Ints, tuple[Ints, Ints, int] | None]:
    """Return (strides, broadcast) of a decision for each of x's first two axes."""
    shape, strides = tuple(x.shape), dense_strides(x)
    broadcast = feature_broadcast(shape, strides)
    if broadcast is None:
        strides = logical_strides(shape)
        broadcast = feature_broadcast(shape, strides)
    return strides, broadcast


def draw_feature_mask(
    x: torch.Tensor, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of x's features, (sample, channel) pairs, from a generator of PyTorch."""
    return draw_mask(p, *feature_layout(x), generator=generator)


def check_rng(rng: Any, seed: Any) -> None:
    """Check that one of the two is given at most, and the type of ``rng``."""
    if seed is not None and rng is not None:
        raise TypeError(f"seed is {seed!r} beside an rng; allowed is one of the two")
    if rng is not None and not isinstance(rng, (Source, torch.Generator)):
        raise TypeError(
            f"rng is a {type(rng).__name__}; allowed are torch.Generator and a source of fastdrop"
        )


def addressable_source(rng: RNG, seed: Any) -> Source | None:
    """Return the source of the package that the arguments name, or None."""
    check_rng(rng, seed)
    if seed is not None:
        return Xoshiro256PlusPlus(check_seed(seed))
    return rng if isinstance(rng, Source) else None


def source_mask(x: torch.Tensor, p: float, source: Source, features: bool) -> TensorMask:
    """Return the mask that NumPy arrays have: in the order of x's indices, whatever its layout."""
    if not features:
        return mask_from_source(source, x.numel(), p, logical_strides(x.shape))
    return mask_from_source(source, x.shape[0] * x.shape[1], p, *feature_layout(x))
