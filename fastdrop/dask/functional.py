# SPDX-License-Identifier: BSD-3-Clause
"""The functions: each makes one mask of the whole array, and a task for each chunk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Never, TypeAlias

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.layers import ArraySliceDep

import fastdrop as fd
from fastdrop._checks import (
    check_broadcast,
    check_given,
    check_p,
    check_shape,
    check_switch,
    kind_of,
    refuse_zoneout,
    shown,
    takes_array,
)
from fastdrop._typing import AxesLike, RNGLike, Shape, ShapeLike
from fastdrop._words import HALF, public, refuse
from fastdrop.dask._chunked_mask import ChunkedMask, made_mask
from fastdrop.functional._given import check_given_mask
from fastdrop.functional._sharing import shared_shape
from fastdrop.mask._mask import is_of_zoneout
from fastdrop.mask._probability import probability_of
from fastdrop.source import Source
from fastdrop.source.default import as_source

__all__ = ["bernoulli", "dropout", "dropout_backward"]

ChunkedProbability: TypeAlias = Any  # a number, or an array of NumPy or Dask


@public("fastdrop.dask")
def dropout(
    x: da.Array,
    p: ChunkedProbability = HALF,
    *late: Never,
    rng: RNGLike = None,
    training: bool = True,
    broadcast_axes: AxesLike | None = None,
    mask: fd.Mask | ChunkedMask | None = None,
    **words: Never,
) -> tuple[da.Array, fd.Mask | ChunkedMask]:
    """Set elements of a Dask array to zero with probability ``p``, and scale the others.

    The source advances when the graph is made. The result does not depend on the chunks, on the
    scheduler or on how often a task is run: it is what `fastdrop.dropout` makes of the same array.

    Parameters
    ----------
    x : dask.array.Array of float
        Any shape and chunks, and a dtype that `fastdrop.dropout` takes.
    p : float, ndarray or dask.array.Array, default 0.5
        Probability of dropping an element, in [0, 1]. The shape of an array broadcasts to the
        mask's. The numbers of a Dask array are checked when they are computed.
    rng : None, int, sequence, SeedSequence or source, optional
        As in `fastdrop.dropout`. But sources of NumPy have no places, and are refused.
    training : bool, default True
        False: return x itself, and a mask that keeps all of it.
    broadcast_axes : int or sequence of int, optional
        Axes along which there is one decision for all elements, as in `fastdrop.dropout`.
    mask : Mask or ChunkedMask, optional
        A mask to apply instead of a new one. It brings its own p.

    Returns
    -------
    y : dask.array.Array
        Lazy, of x's shape, dtype and chunks.
    mask : Mask or ChunkedMask
        For `dropout_backward`; where p is a number, an ordinary mask of the whole array, which has
        no bits, otherwise a `ChunkedMask`.

    Raises
    ------
    TypeError
        If x is no Dask array of floats, or rng is a sequential source.
    ValueError
        If p is out of range or does not broadcast, or the size of a chunk is unknown.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastdrop as fd
    >>> import fastdrop.dask
    >>> x = da.ones((1000, 1000), chunks=(300, 1000))
    >>> y, mask = fastdrop.dask.dropout(x, 0.1, rng=1)
    >>> expected, _ = fd.dropout(x.compute(), 0.1, rng=1)
    >>> bool((y.compute() == expected).all())
    True
    """
    if late or words:
        refuse(dropout, late, words)
    _check_array("x", x)
    training = check_switch("training", training)
    if mask is None:
        shape = x.shape if broadcast_axes is None else shared_shape(x.shape, broadcast_axes)
        p = 0.5 if p is HALF else p
        (number, each), source = _probability(p, shape), _addressable(rng)
        if not training:
            return x, fd.dropout_mask(shape, 0.0, rng=0)
        mask = fd.dropout_mask(shape, number, rng=source)
        if each is not None:
            mask = ChunkedMask(mask, each.rechunk(_shared_chunks(x.chunks, shape)))
    else:
        _check_mask(mask)
        place = mask.place if isinstance(mask, ChunkedMask) else mask
        check_given_mask(place, p, rng=rng, broadcast_axes=broadcast_axes)
    return (_apply("dropout", "apply", x, mask) if training else x), mask


@public("fastdrop.dask")
def dropout_backward(dy: da.Array, mask: fd.Mask | ChunkedMask) -> da.Array:
    """Return the gradient with respect to x of `dropout`.

    Parameters
    ----------
    dy : dask.array.Array of float
        Gradient with respect to y, in any chunks.
    mask : Mask or ChunkedMask
        The mask that `dropout` returned.

    Returns
    -------
    dx : dask.array.Array
        Lazy, of dy's shape, dtype and chunks: ``dy * mask.scale`` where kept, else 0.

    Raises
    ------
    TypeError
        If dy is no Dask array of floats, or mask is no Mask.
    ValueError
        If the mask's shape does not broadcast to dy's, or the size of a chunk is unknown.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastdrop.dask
    >>> y, mask = fastdrop.dask.dropout(da.ones(4, chunks=2), 0.5, rng=1)
    >>> fastdrop.dask.dropout_backward(da.full(4, 10.0, chunks=1), mask).compute()
    array([ 0., 20.,  0., 20.])
    """
    _check_array("dy", dy, "dropout_backward")
    _check_mask(mask)
    if isinstance(mask, fd.Mask) and is_of_zoneout(mask):
        refuse_zoneout(mask)
    if isinstance(mask, fd.Mask):
        mask[(slice(0, 0),) * mask.ndim].backward(dy._meta)  # of nothing: a check of its kind
    return _apply("dropout-backward", "backward", dy, mask)


@public("fastdrop.dask")
def bernoulli(
    shape: ShapeLike,
    p: ChunkedProbability,
    *late: Never,
    rng: RNGLike = None,
    chunks: Any = "auto",
    **words: Never,
) -> da.Array:
    """Return random booleans: each is True with probability ``p``.

    Parameters
    ----------
    shape : int or sequence of int
        Shape of the array.
    p : float, ndarray or dask.array.Array
        Probability of True, in [0, 1]. The shape of an array broadcasts to the result's.
    rng : None, int, sequence, SeedSequence or source, optional
        As in `dropout`.
    chunks : int, tuple or str, default "auto"
        As in ``dask.array.ones``. The booleans do not depend on it.

    Returns
    -------
    booleans : dask.array.Array of bool
        What ``fastdrop.bernoulli(shape, p, rng=rng)`` returns, but lazy.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or is out of range, or rng is a sequential source.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import fastdrop.dask
    >>> spikes = fastdrop.dask.bernoulli((100, 1000), 0.02, rng=7, chunks=(10, 1000))
    >>> bool((spikes.compute() == fd.bernoulli((100, 1000), 0.02, rng=7)).all())
    True
    """
    if late or words:
        refuse(bernoulli, late, words)
    shape = check_shape(shape)
    (number, each), source = _probability(p, shape), _addressable(rng)
    chunks = _chunks(chunks, shape)
    mask = fd.dropout_mask(shape, number, rng=source)
    of_p = [] if each is None else [each.rechunk(chunks)]
    return _chunk_by_chunk(
        f"bernoulli-{tokenize(mask, chunks, *of_p)}",
        _dropped_in_window,
        chunks,
        of_p,
        np.empty((0,) * len(shape), bool),
        mask=mask,
    )


# ---- arguments -----------------------------------------------------------------------------------


def _check_array(name: str, x: object, function: str = "dropout") -> None:
    check_given(name, x)
    if not isinstance(x, da.Array):
        raise TypeError(
            f"{name} must be a Dask array, not {kind_of(x)}: fastdrop.{function} takes NumPy's"
        )
    place = fd.dropout_mask(x._meta.shape, 0.0, rng=0)
    # An empty array of the dtype of chunks, which is checked under its name.
    (place.backward if name == "dy" else place.apply)(x._meta)
    _check_sizes(name, x)


def _check_sizes(name: str, x: da.Array) -> None:
    if np.isnan(x.shape).any():
        raise ValueError(
            f"{name} has shape {x.shape}, of chunks of unknown size: call "
            f"{name}.compute_chunk_sizes() first"
        )


def _chunks(chunks: Any, shape: Shape) -> Any:
    """Return the lengths of the chunks along each axis."""
    try:
        lengths = da.core.normalize_chunks(chunks, shape, dtype=np.dtype(bool))
        if all(length >= 0 for of_axis in lengths for length in of_axis):
            return lengths
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise ValueError(
        f"chunks must be chunks as of dask.array.ones for shape {shape}, not {shown(chunks)}"
    )


def _check_mask(mask: object) -> None:
    if not isinstance(mask, (fd.Mask, ChunkedMask)):
        raise TypeError(f"mask must be a Mask, not {kind_of(mask)}")


def _probability(p: ChunkedProbability, shape: Shape) -> tuple[float, da.Array | None]:
    """Return p as a number; or as 0 and an array of that shape."""
    if isinstance(p, da.Array):
        probability_of(p._meta)  # of no numbers: those are checked when they are there
    elif takes_array("p", p):
        probability_of(p)
        p = da.asarray(p)
    else:
        return check_p(p), None
    _check_sizes("p", p)
    check_broadcast("p shape", p.shape, shape, "the mask")
    return 0.0, da.broadcast_to(p, shape)


def _addressable(rng: RNGLike) -> Source:
    source = as_source(rng)
    if isinstance(source, fd.NumPySource):
        raise TypeError(
            "rng must be None, a seed or a source of fastdrop, as chunks are drawn in any order, "
            f"not {rng!r}, which can only go forward"
        )
    return source


# ---- chunks --------------------------------------------------------------------------------------


def _shared_chunks(chunks: Any, shape: Shape) -> Any:
    """Return chunks of a mask of that shape, under an array that has those chunks."""
    of_axes = chunks[len(chunks) - len(shape) :]
    return tuple(of if n > 1 else (n,) for of, n in zip(of_axes, shape, strict=True))


def _apply(what: str, method: str, x: da.Array, mask: fd.Mask | ChunkedMask) -> da.Array:
    """Return what a method of the mask makes of x, chunk by chunk."""
    check_broadcast("mask shape", mask.shape, x.shape, "x" if method == "apply" else "dy")
    place, of_p = mask, []
    if isinstance(mask, ChunkedMask):
        place = mask.place
        of_p = [mask.p.rechunk(_shared_chunks(x.chunks, mask.shape))]
    name = f"{what}-{tokenize(x, mask)}"
    return _chunk_by_chunk(
        name, _apply_window, x.chunks, [x, *of_p], x._meta, method=method, mask=place
    )


def _chunk_by_chunk(
    name: str,
    function: Callable[..., Any],
    chunks: Any,
    arrays: list[da.Array],
    meta: Any,
    **words: Any,
) -> da.Array:
    """Return an array whose chunks a function makes of their places and of those of arrays.

    `dask.array.map_blocks` would give each task a dict of its place, which takes Dask 0.1 ms.
    """
    axes = tuple(range(len(chunks)))
    given = [(ArraySliceDep(chunks), axes)]
    given += [(array, axes[len(axes) - array.ndim :]) for array in arrays]
    return da.blockwise(
        function,
        axes,
        *itertools.chain.from_iterable(given),
        name=name,
        dtype=meta.dtype,
        meta=meta,
        align_arrays=False,
        **words,
    )


def _window(mask: fd.Mask, place: tuple[slice, ...]) -> fd.Mask:
    """Return the part of the mask that a chunk has; the mask may lack its first axes."""
    ends = place[len(place) - mask.ndim :]
    part: fd.Mask = mask[
        tuple(
            of_axis if length > 1 else slice(None)
            for of_axis, length in zip(ends, mask.shape, strict=True)
        )
    ]
    return part


def _apply_window(place: tuple[slice, ...], block: Any, *p: Any, method: str, mask: fd.Mask) -> Any:
    window = _window(mask, place)
    if p:
        window = made_mask(window, *p)
    return getattr(window, method)(block)


def _dropped_in_window(place: tuple[slice, ...], *p: Any, mask: fd.Mask) -> Any:
    window = _window(mask, place)
    if p:
        window = made_mask(window, *p)
    return ~np.asarray(window)
