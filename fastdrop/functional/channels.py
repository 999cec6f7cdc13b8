# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of whole channels."""

from __future__ import annotations

from typing import Any, Never, overload

from fastdrop._checks import check_channel_axis, refuse_axes
from fastdrop._typing import (
    ArrayLike,
    NDArray,
    ProbabilityLike,
    RNGLike,
    ScalarT,
    Shape,
)
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays
from fastdrop.functional.dropout import dropout
from fastdrop.mask._mask import Mask

__all__ = ["dropout1d", "dropout2d", "dropout3d"]


@overload
def dropout1d(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    channel_axis: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def dropout1d(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    channel_axis: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def dropout1d(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    channel_axis: int = 1,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop whole channels of ``(N, C, L)``: one decision for each channel of each sample.

    Parameters
    ----------
    x : array_like of float
        Of shape (N, C, L), or (C, L) for one sample.
    p : float or ndarray, default 0.5
        Probability of dropping a channel, in [0, 1]. An array broadcasts to the mask and gives each
        channel its own p.
    channel_axis : int, default 1
        The axis of the channels in a batch. It means the same axis if the axis of samples is
        missing, so 1 is axis 0 of (C, L). -1 is for channels last, (N, L, C) and (L, C).
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`. A source of fastdrop advances by one position per channel.
    training : bool, default True
        As in `dropout`.
    out : ndarray, optional
        As in `dropout`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. Its shape is (N, C, 1) or (C, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout`. Also a ValueError if x has another number of axes, or channel_axis is none
        of them or the axis of the samples.

    See Also
    --------
    dropout2d, dropout3d : The same for images and volumes.

    References
    ----------
    .. [1] J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler, "Efficient object localization
       using convolutional networks", CVPR 2015: SpatialDropout.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.dropout1d(np.ones((1, 3, 4)), p=0.5, rng=1)
    >>> y
    array([[[0., 0., 0., 0.],
            [2., 2., 2., 2.],
            [0., 0., 0., 0.]]])
    >>> mask.shape
    (1, 3, 1)
    """
    if late or words:
        refuse(dropout1d, late, words)
    x, noise_shape = _channels(x, 1, channel_axis)
    return dropout(x, p, rng=rng, training=training, noise_shape=noise_shape, out=out)


@overload
def dropout2d(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    channel_axis: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def dropout2d(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    channel_axis: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def dropout2d(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    channel_axis: int = 1,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop whole channels of ``(N, C, H, W)``: one decision for each channel of each sample.

    Parameters
    ----------
    x : array_like of float
        Of shape (N, C, H, W), or (C, H, W) for one image. PyTorch's function of this name takes
        three axes for (N, C, L), and warns. For (N, C, L) use `dropout1d`.
    p : float or ndarray, default 0.5
        As in `dropout1d`.
    channel_axis : int, default 1
        As in `dropout1d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout1d`.
    training : bool, default True
        As in `dropout1d`.
    out : ndarray, optional
        As in `dropout1d`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. Its shape is (N, C, 1, 1) or (C, 1, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout1d`.

    References
    ----------
    .. [1] J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler, "Efficient object localization
       using convolutional networks", CVPR 2015: SpatialDropout.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> images = np.ones((8, 5, 5, 3), np.float32)  # channels last
    >>> y, mask = fd.dropout2d(images, p=0.5, channel_axis=-1, rng=1)
    >>> mask.shape
    (8, 1, 1, 3)
    >>> y[0, :2, :2].tolist()
    [[[0.0, 2.0, 0.0], [0.0, 2.0, 0.0]], [[0.0, 2.0, 0.0], [0.0, 2.0, 0.0]]]
    """
    if late or words:
        refuse(dropout2d, late, words)
    x, noise_shape = _channels(x, 2, channel_axis)
    return dropout(x, p, rng=rng, training=training, noise_shape=noise_shape, out=out)


@overload
def dropout3d(
    x: NDArray[ScalarT],
    p: ProbabilityLike = ...,
    *,
    channel_axis: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def dropout3d(
    x: ArrayLike,
    p: ProbabilityLike = ...,
    *,
    channel_axis: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def dropout3d(
    x: ArrayLike,
    p: ProbabilityLike = 0.5,
    *late: Never,
    channel_axis: int = 1,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop whole channels of ``(N, C, D, H, W)``: one decision for each channel of each sample.

    Parameters
    ----------
    x : array_like of float
        Of shape (N, C, D, H, W), or (C, D, H, W) for one volume.
    p : float or ndarray, default 0.5
        As in `dropout1d`.
    channel_axis : int, default 1
        As in `dropout1d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout1d`.
    training : bool, default True
        As in `dropout1d`.
    out : ndarray, optional
        As in `dropout1d`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. Its shape is (N, C, 1, 1, 1) or (C, 1, 1, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout1d`.

    References
    ----------
    .. [1] J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler, "Efficient object localization
       using convolutional networks", CVPR 2015: SpatialDropout.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.dropout3d(np.ones((2, 3, 4, 4, 4)), p=0.5, rng=1)
    >>> y.sum(axis=(2, 3, 4))
    array([[  0., 128.,   0.],
           [128.,   0., 128.]])
    """
    if late or words:
        refuse(dropout3d, late, words)
    x, noise_shape = _channels(x, 3, channel_axis)
    return dropout(x, p, rng=rng, training=training, noise_shape=noise_shape, out=out)


def _channels(x: ArrayLike, inner: int, channel_axis: int) -> tuple[NDArray[Any], Shape]:
    """Return x as an array, and its noise shape: one decision a channel of ``inner`` axes."""
    x, shape = check_arrays(x, None, None)
    axes = inner + 2
    if len(shape) not in (axes - 1, axes):
        places = ("L", "H, W", "D, H, W")[inner - 1]
        refuse_axes(f"dropout{inner}d", shape, f"(N, C, {places}) or (C, {places})")
    missing = axes - len(shape)
    decided = (check_channel_axis(channel_axis, axes) - missing, *(() if missing else (0,)))
    return x, tuple(length if index in decided else 1 for index, length in enumerate(shape))
