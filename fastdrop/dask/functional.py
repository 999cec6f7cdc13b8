# SPDX-License-Identifier: BSD-3-Clause
"""The functions: each makes one mask of the whole array, and a task for each chunk."""

from __future__ import annotations

from typing import Any, Never

import dask.array as da
import numpy as np
from dask.tokenize import tokenize

import fastdrop as fd
from fastdrop._checks import check_broadcast, check_p, check_shape, check_switch, kind_of, shown
from fastdrop._typing import AxesLike, RNGLike, ShapeLike
from fastdrop._words import public, refuse
from fastdrop.functional._given import check_given_mask
from fastdrop.functional._sharing import shared_shape
from fastdrop.source import Source
from fastdrop.source.default import as_source

__all__ = ["bernoulli", "dropout", "dropout_backward"]


@public("fastdrop.dask")
def dropout(
    x: da.Array,
    p: float = 0.5,
    *late: Never,
    rng: RNGLike = None,
    training: bool = True,
    broadcast_axes: AxesLike | None = None,
    mask: fd.Mask | None = None,
    **words: Never,
) -> tuple[da.Array, fd.Mask]:
    """Set elements of a Dask array to zero with probability ``p``, and scale the others.

    The source advances when the graph is made. The result does not depend on the chunks, on the
    scheduler or on how often a task is run: it is what `fastdrop.dropout` makes of the same array.

    Parameters
    ----------
    x : dask.array.Array of float
        Any shape and chunks; of a dtype that `fastdrop.dropout` takes.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    rng : None, int, sequence, SeedSequence or source, optional
        As of `fastdrop.dropout`; but sources of NumPy have no places, and are refused.
    training : bool, default True
        False: return x itself, and a mask that keeps all of it.
    broadcast_axes : int or sequence of int, optional
        Axes along which there is one decision for all elements, as of `fastdrop.dropout`.
    mask : Mask, optional
        A mask to apply instead of a new one. It brings its own p.

    Returns
    -------
    y : dask.array.Array
        Lazy, of x's shape, dtype and chunks.
    mask : Mask
        For `dropout_backward`; an ordinary mask of the whole array, which has no bits.

    Raises
    ------
    TypeError
        If x is no Dask array of floats, or rng is a sequential source.
    ValueError
        If p is out of range, or the size of a chunk of x is unknown.

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
        p, source = _number(p), _addressable(rng)
        if not training:
            return x, fd.dropout_mask(shape, 0.0, rng=0)
        mask = fd.dropout_mask(shape, p, rng=source)
    else:
        _check_mask(mask)
        check_given_mask(mask, rng=rng, broadcast_axes=broadcast_axes)
    return (_apply("dropout", fd.Mask.apply, x, mask) if training else x), mask


@public("fastdrop.dask")
def dropout_backward(dy: da.Array, mask: fd.Mask) -> da.Array:
    """Return the gradient with respect to x of `dropout`.

    Parameters
    ----------
    dy : dask.array.Array of float
        Gradient with respect to y, in any chunks.
    mask : Mask
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
    _check_array("dy", dy)
    _check_mask(mask)
    mask[(slice(0, 0),) * mask.ndim].backward(dy._meta)  # of nothing: a check of the mask's kind
    return _apply("dropout-backward", fd.Mask.backward, dy, mask)


@public("fastdrop.dask")
def bernoulli(
    shape: ShapeLike,
    p: float,
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
    p : float
        Probability of True, in [0, 1].
    rng : None, int, sequence, SeedSequence or source, optional
        As of `dropout`.
    chunks : int, tuple or str, default "auto"
        As of ``dask.array.ones``. The booleans do not depend on it.

    Returns
    -------
    booleans : dask.array.Array of bool
        Lazy; what ``fastdrop.bernoulli(shape, p, rng=rng)`` returns.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type or out of range, or rng is a sequential source.

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
    mask = fd.dropout_mask(shape, _number(p), rng=_addressable(rng))
    chunks = da.core.normalize_chunks(chunks, shape, dtype=np.dtype(bool))
    return da.map_blocks(
        _dropped_in_window,
        mask=mask,
        chunks=chunks,
        dtype=bool,
        meta=np.empty((0,) * len(shape), bool),
        name=f"bernoulli-{tokenize(mask, chunks)}",
    )


# ---- arguments -----------------------------------------------------------------------------------


def _check_array(name: str, x: object) -> None:
    if not isinstance(x, da.Array):
        raise TypeError(
            f"{name} must be a Dask array, not {kind_of(x)}: fastdrop.dropout takes NumPy's"
        )
    fd.dropout(x._meta, 0.0, rng=0)  # an empty array of the dtype of chunks, which is checked
    if np.isnan(x.shape).any():
        raise ValueError(
            f"{name} has shape {x.shape}, of chunks of unknown size: call "
            f"{name}.compute_chunk_sizes() first"
        )


def _check_mask(mask: object) -> None:
    if not isinstance(mask, fd.Mask):
        raise TypeError(f"mask must be a Mask, not {kind_of(mask)}")


def _number(p: object) -> float:
    if isinstance(p, (da.Array, np.ndarray)) and p.ndim:
        raise TypeError(f"p must be a number in [0, 1], not {shown(p)}")
    return check_p(p)


def _addressable(rng: RNGLike) -> Source:
    source = as_source(rng)
    if isinstance(source, fd.NumPySource):
        raise TypeError(
            "rng must be None, a seed or a source of fastdrop, as chunks are drawn in any order, "
            f"not {rng!r}, which can only go forward"
        )
    return source


# ---- chunks --------------------------------------------------------------------------------------


def _apply(what: str, method: Any, x: da.Array, mask: fd.Mask) -> da.Array:
    """Return what a method of the mask makes of x, chunk by chunk."""
    check_broadcast("mask shape", mask.shape, x.shape)
    return x.map_blocks(
        _apply_window,
        method=method,
        mask=mask,
        dtype=x.dtype,
        meta=x._meta,
        name=f"{what}-{tokenize(x, mask)}",
    )


def _window(mask: fd.Mask, block_info: Any, key: int | None) -> fd.Mask:
    """Return the part of the mask that a chunk has."""
    place = block_info[key]["array-location"]
    ends = place[len(place) - mask.ndim :]  # the mask may lack the first axes
    part: fd.Mask = mask[
        tuple(
            slice(*of_axis) if length > 1 else slice(None)
            for of_axis, length in zip(ends, mask.shape, strict=True)
        )
    ]
    return part


def _apply_window(block: Any, method: Any, mask: fd.Mask, block_info: Any = None) -> Any:
    return method(_window(mask, block_info, 0), block)


def _dropped_in_window(mask: fd.Mask, block_info: Any = None) -> Any:
    return ~np.asarray(_window(mask, block_info, None))
