# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of a DTensor: each process drops its part, by its window of the mask of the whole."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from fastdrop._checks import check_broadcast, check_p, check_switch
from fastdrop._typing import SeedLike
from fastdrop.functional._given import check_given_mask
from fastdrop.functional.dropout import dropout_mask
from fastdrop.mask import Mask
from fastdrop.torch._autograd import check_in_place
from fastdrop.torch._mask import RNG, addressable_source, decided_shape, settled
from fastdrop.torch._shard import Shard, window_of_mask

__all__ = ["drop_dtensor", "takes_dtensor"]

MODULE = "torch.distributed.tensor"  # imported by the programs alone that have one


def takes_dtensor(x: Any, rng: RNG, seed: SeedLike | None, mask: Any) -> bool:
    """Return whether x is a DTensor whose mask all processes can draw, or have.

    With a generator of PyTorch, each of them would draw another one.
    """
    if MODULE not in sys.modules or not isinstance(x, sys.modules[MODULE].DTensor):
        return False
    if mask is not None:
        return isinstance(mask, (Mask, Shard))
    return seed is not None or not (rng is None or isinstance(rng, torch.Generator))


def drop_dtensor(
    function: Callable[..., torch.Tensor],
    x: Any,
    p: float,
    training: bool,
    inplace: bool,
    rng: RNG,
    seed: SeedLike | None,
    mask: Any,
    sharing: Mapping[str, Any],
) -> torch.Tensor:
    """Drop elements of a DTensor by a Mask, or by what a seed or a source draws."""
    given = settled(rng, seed, 4)
    shape = tuple(x.shape)
    if isinstance(mask, Shard):
        raise TypeError(
            f"shard={mask!r} and a DTensor exclude each other: the DTensor says what part a "
            "process has; leave shard out"
        )
    if mask is None:
        p, decided = check_p(p), decided_shape(shape, **sharing)
    else:
        check_given_mask(mask, p, rng=rng, **sharing)
        check_broadcast("mask shape", mask.shape, shape, "input")
    training, inplace = check_switch("training", training), check_switch("inplace", inplace)
    window, source = _window(x), addressable_source(given)
    if not training:
        return x
    if inplace:
        check_in_place(x)
    if mask is None:
        mask = dropout_mask(decided, p, rng=source)
    part = function(x.to_local(), mask=window_of_mask(mask, window, shape))
    y: torch.Tensor = sys.modules[MODULE].DTensor.from_local(
        part, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride()
    )
    return x.copy_(y) if inplace else y


def _window(x: Any) -> tuple[slice, ...]:
    """Return which elements of a DTensor this process has.

    An axis is cut as by ``torch.chunk``, once for each axis of the mesh that it is placed on.
    """
    coordinates = x.device_mesh.get_coordinate()
    kinds = {type(placement).__name__ for placement in x.placements}
    if coordinates is None or not kinds <= {"Shard", "Replicate"}:
        raise TypeError(
            f"input is a DTensor with placements {x.placements}, of a mesh in which this process "
            f"is at {coordinates}; it must be sharded or replicated, and have a part here"
        )
    starts, lengths = [0] * x.dim(), list(x.shape)
    for axis, placement in enumerate(x.placements):
        if type(placement).__name__ == "Shard":
            dim, length = placement.dim, lengths[placement.dim]
            chunk = -(-length // x.device_mesh.size(axis))
            start = min(coordinates[axis] * chunk, length)
            starts[dim] += start
            lengths[dim] = min(chunk, length - start)
    return tuple(
        slice(start, start + length) for start, length in zip(starts, lengths, strict=True)
    )
