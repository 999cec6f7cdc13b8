# SPDX-License-Identifier: BSD-3-Clause
"""Draws the mask of one call: a decision for each element, or for each feature."""

import math
import warnings
from collections.abc import Sequence
from typing import NoReturn, TypeAlias

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence

from fastdrop._checks import (
    check_noise_shape,
    check_one_way_to_share,
    check_seed,
    cure_of_class,
    described,
    kind_of,
    refuse_both,
)
from fastdrop._typing import AxesLike, NoiseShapeLike, SeedLike
from fastdrop.functional._sharing import feature_shape, shared_shape
from fastdrop.mask import Mask
from fastdrop.source import Source, Xoshiro256PlusPlus
from fastdrop.torch._apply import Ints, dense_strides, logical_strides
from fastdrop.torch._seed import draw_mask
from fastdrop.torch._tensor import TensorMask, mask_from_source, mask_of_arrays

__all__ = [
    "RNG",
    "SEEDS",
    "Settled",
    "SharedShape",
    "addressable_source",
    "decided_shape",
    "draw_element_mask",
    "draw_feature_mask",
    "draw_shared_mask",
    "drops",
    "given_mask",
    "settled",
    "shared_strides",
    "source_mask",
]

# What a caller may give, and what it comes to.
RNG: TypeAlias = torch.Generator | Source | np.random.Generator | SeedLike | None
Settled: TypeAlias = torch.Generator | Source | SeedLike | None

# The shape of the decisions, of as many axes as the tensor; None: each element has its own.
SharedShape: TypeAlias = Ints | None

# Seeds, by their type: the same mask for every call.
SEEDS = (int, np.integer, torch.SymInt, Sequence, np.ndarray, ISeedSequence)


def settled(rng: RNG, seed: SeedLike | None = None, depth: int = 3) -> Settled:
    """Return what ``rng``, or its old name ``seed``, stands for: of a Generator, its source.

    ``depth`` is that of the program's call, for the warning.
    """
    if seed is not None:
        if rng is not None:
            refuse_both(seed=seed, rng=rng)
        if not torch.compiler.is_compiling():
            warnings.warn(
                "seed is an old name of rng and will be removed: give rng instead",
                FutureWarning,
                stacklevel=depth,
            )
        rng = seed
    if rng is None or isinstance(rng, (Source, torch.Generator)):
        return rng
    if isinstance(rng, SEEDS) and not isinstance(rng, (bool, str, bytes)):
        return rng
    if isinstance(rng, type):
        _refuse_rng(rng)
    wrapped = getattr(rng, "bit_generator", getattr(rng, "_bit_generator", None))
    if isinstance(wrapped, Source):
        return wrapped
    if wrapped is not None or hasattr(rng, "capsule"):
        raise TypeError(
            "rng must be a source of fastdrop or a Generator over one, a torch.Generator, a seed "
            f"or None, not {kind_of(rng)}, which only goes forward"
        )
    _refuse_rng(rng)


def _refuse_rng(rng: object) -> NoReturn:
    """Raise the error of an ``rng`` of another type."""
    raise TypeError(
        "rng must be None, a seed (an integer, a sequence of integers or a SeedSequence), a source "
        "of fastdrop, a NumPy Generator over one, or a torch.Generator, not "
        f"{described(rng)}{cure_of_class(rng)}"
    )


def drops(p: float, training: bool, rng: Settled) -> bool:
    """Return whether a mask is drawn: at p = 0 only from a source, which has to advance."""
    return training and (p > 0.0 or isinstance(rng, Source))


def draw_element_mask(
    x: torch.Tensor, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of x's elements in x's memory order, from a generator of PyTorch."""
    return draw_mask(p, dense_strides(x), generator=generator)


def decided_shape(
    shape: Ints,
    broadcast_dims: AxesLike | None = None,
    noise_shape: NoiseShapeLike | None = None,
) -> Ints:
    """Return the shape of decisions that are shared as the arguments say."""
    check_one_way_to_share(noise_shape, broadcast_dims, "broadcast_dims")
    if broadcast_dims is not None:
        return shared_shape(shape, broadcast_dims, "broadcast_dims", "input")
    lengths = shape if noise_shape is None else check_noise_shape(noise_shape, shape, "input")
    return (1,) * (len(shape) - len(lengths)) + lengths


def shared_strides(shared: Ints) -> Ints:
    """Return the strides of decisions of that shape over a tensor: 0 where they are shared."""
    places = zip(shared, logical_strides(shared), strict=True)
    return tuple(0 if length == 1 else step for length, step in places)


def draw_shared_mask(
    x: torch.Tensor, p: float, shared: Ints, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of decisions that are shared, from a generator of PyTorch."""
    return draw_mask(p, shared_strides(shared), generator=generator)


def draw_feature_mask(
    x: torch.Tensor, p: float, generator: torch.Generator | None = None
) -> TensorMask:
    """Return a mask of x's features, (sample, channel) pairs, from a generator of PyTorch."""
    return draw_shared_mask(x, p, feature_shape(x.shape), generator)


def addressable_source(rng: Settled) -> Source | None:
    """Return the source of the package that a settled rng names, or None."""
    if rng is None or isinstance(rng, torch.Generator):
        return None
    return (
        rng if isinstance(rng, Source) else Xoshiro256PlusPlus(check_seed(rng, "rng", _refuse_rng))
    )


def source_mask(x: torch.Tensor, p: float, source: Source, shared: SharedShape) -> TensorMask:
    """Return the mask that NumPy arrays have: in the order of x's indices, whatever its layout."""
    if shared is None:
        return mask_from_source(source, x.numel(), p, logical_strides(x.shape))
    return mask_from_source(source, math.prod(shared), p, shared_strides(shared))


def given_mask(x: torch.Tensor, mask: Mask) -> TensorMask:
    """Return a mask of arrays, whose shape broadcasts to x's: in the order of x's indices."""
    shape = tuple(x.shape)
    shared = (1,) * (len(shape) - mask.ndim) + mask.shape
    if shared == shape:
        return mask_of_arrays(mask, shape, logical_strides(shape))
    return mask_of_arrays(mask, shape, shared_strides(shared))
