# SPDX-License-Identifier: BSD-3-Clause
"""A mask whose elements have a p each, of which every chunk is made where it is needed."""

import math
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize

import fastdrop as fd
from fastdrop._typing import NDArray, Shape

__all__ = ["ChunkedMask", "made_mask"]


class ChunkedMask:
    """What elements are kept, where each has a ``p`` of its own: a place in a stream, and p.

    `dropout` returns it where p is an array. It has no bits: a task draws those of its chunk, from
    the chunk of p. `dropout_backward` takes it, and so does ``mask=`` of `dropout`.

    Parameters
    ----------
    place : Mask
        A seeded mask, whose own p says nothing. Functions make these masks, programs need not.
    p : dask.array.Array of float
        Probability of dropping, of the shape of that mask.

    Attributes
    ----------
    shape : tuple of int
        Shape of the mask. It broadcasts to the arrays that it is applied to.
    p : dask.array.Array of float
        Probability of dropping, of that shape.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastdrop.dask
    >>> x = da.ones((4, 2), chunks=2)
    >>> y, mask = fastdrop.dask.dropout(x, da.linspace(0, 1, 2), rng=1)
    >>> mask
    <ChunkedMask of shape (4, 2)>
    >>> y.compute()[:, 1]
    array([0., 0., 0., 0.])
    """

    __module__ = "fastdrop.dask"

    def __init__(self, place: fd.Mask, p: da.Array) -> None:
        self.shape: Shape = place.shape
        self.p = p
        self.place = place

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __dask_tokenize__(self) -> object:
        """Return what tells it from others."""
        return "fastdrop.dask.ChunkedMask", tokenize(self.place), self.p.name

    def __repr__(self) -> str:
        return f"<ChunkedMask of shape {self.shape}>"


def _outer_axes(shape: Shape, strides: Shape | None) -> int:
    """Return how many axes lie around those that are one range of decisions."""
    outer = len(shape)
    while outer and (
        strides is None or shape[outer - 1] == 1 or strides[outer - 1] == math.prod(shape[outer:])
    ):
        outer -= 1
    return outer


def made_mask(window: fd.Mask, p: NDArray[Any]) -> fd.Mask:
    """Return the mask that has the place of a seeded one, and this p, which broadcasts to it."""
    state = window.state
    source = getattr(fd, state["source"])(key=state["key"], counter=state["counter"])
    outer = _outer_axes(window.shape, state["strides"])
    if outer == 0 or window.size == 0:
        source.position = state["position"]
        return fd.dropout_mask(window.shape, p, rng=source)
    p = np.broadcast_to(p, window.shape)
    kept = np.empty(window.shape, bool)
    for index in np.ndindex(window.shape[:outer]):
        steps = zip(index, state["strides"], strict=False)
        source.position = state["position"] + sum(i * stride for i, stride in steps)
        run = kept[(*index, ...)]
        run[...] = fd.dropout_mask(run.shape, p[(*index, ...)], rng=source)
    return fd.Mask.from_array(kept, p)
