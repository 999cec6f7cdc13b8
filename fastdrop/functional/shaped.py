# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of whole channels, samples, rows and blocks: masks of special shapes."""

from typing import Any, Never, overload

import numpy as np

from fastdrop._checks import check_channel_axis, check_positive, check_switch
from fastdrop._typing import (
    ArrayLike,
    NDArray,
    ProbabilityLike,
    RNGLike,
    ScalarT,
    Scale,
    Shape,
)
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays, settled
from fastdrop.functional._blocks import block_corners, keep_blocks
from fastdrop.functional.dropout import bernoulli, dropout
from fastdrop.mask._bits import padded_room
from fastdrop.mask._draw import apply_drawn
from fastdrop.mask._mask import Mask
from fastdrop.mask._probability import Probability
from fastdrop.source.default import as_source

__all__ = [
    "drop_block2d",
    "drop_path",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "embedding_dropout",
]


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
        Probability of dropping a channel, in [0, 1]; an array, for each its own, broadcasts to the
        mask.
    channel_axis : int, default 1
        The axis of channels in a batch. It means the same channels where the axis of samples is
        missing: 1 is axis 0 of (C, L). -1 is for channels last, (N, L, C) and (L, C).
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout`. A source of the package advances by one position a channel.
    training : bool, default True
        As of `dropout`.
    out : ndarray, optional
        As of `dropout`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; of shape (N, C, 1) or (C, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `dropout`; ValueError too if x has another number of axes, or channel_axis is none
        of them or that of the samples.

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
        three axes for (N, C, L), and warns; here `dropout1d` is for these.
    p : float or ndarray, default 0.5
        As of `dropout1d`.
    channel_axis : int, default 1
        As of `dropout1d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout1d`.
    training : bool, default True
        As of `dropout1d`.
    out : ndarray, optional
        As of `dropout1d`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; of shape (N, C, 1, 1) or (C, 1, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `dropout1d`.

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
        As of `dropout1d`.
    channel_axis : int, default 1
        As of `dropout1d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout1d`.
    training : bool, default True
        As of `dropout1d`.
    out : ndarray, optional
        As of `dropout1d`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; of shape (N, C, 1, 1, 1) or (C, 1, 1, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `dropout1d`.

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
        raise ValueError(
            f"x has shape {shape}; allowed are {axes} axes, or {axes - 1} without that of samples"
        )
    missing = axes - len(shape)
    decided = (check_channel_axis(channel_axis, axes) - missing, *(() if missing else (0,)))
    return x, tuple(length if index in decided else 1 for index, length in enumerate(shape))


@overload
def drop_path(
    x: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    rng: RNGLike = ...,
    training: bool = ...,
    scale: Scale = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def drop_path(
    x: ArrayLike,
    p: ProbabilityLike,
    *,
    rng: RNGLike = ...,
    training: bool = ...,
    scale: Scale = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def drop_path(
    x: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    rng: RNGLike = None,
    training: bool = True,
    scale: Scale = "train",
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop whole samples of a residual branch: stochastic depth.

    Parameters
    ----------
    x : array_like of float
        Output of the branch, of shape (N, ...): one decision for each of N samples.
    p : float or ndarray
        Probability of dropping the branch for a sample; `drop_path_rates` has a schedule. An array
        of shape (N, 1, ..., 1) gives each sample its own.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    scale : {"train", "test", "none"}, default "train"
        As of `dropout`. The paper's form is ``scale="test"``: the branch is scaled by its survival
        probability in evaluation, not by its inverse in training.
    out : ndarray, optional
        As of `dropout`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; of shape (N, 1, ..., 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `dropout`; ValueError too if x has no axes.

    Notes
    -----
    In the paper all samples of a mini-batch share a decision: that is
    ``dropout(x, p, noise_shape=())``. One decision a sample is what came into use.

    References
    ----------
    .. [1] G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Q. Weinberger, "Deep networks with stochastic
       depth", ECCV 2016, equations 2 (training) and 5 (evaluation).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, branch = np.zeros((4, 2)), np.ones((4, 2))
    >>> y, mask = fd.drop_path(branch, p=0.5, rng=1)
    >>> x + y
    array([[0., 0.],
           [2., 2.],
           [0., 0.],
           [2., 2.]])
    """
    if late or words:
        refuse(drop_path, late, words)
    x, shape = check_arrays(x, None, None)
    if not shape:
        raise ValueError("x has shape (); allowed are shapes (N, ...), of N samples")
    noise_shape = (shape[0], *(1,) * (len(shape) - 1))
    return dropout(
        x,
        p,
        rng=rng,
        training=training,
        scale=scale,
        noise_shape=noise_shape,
        out=out,
    )


@overload
def embedding_dropout(
    weight: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def embedding_dropout(
    weight: ArrayLike,
    p: ProbabilityLike,
    *,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def embedding_dropout(
    weight: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop whole rows of an embedding table: words, wherever they occur.

    Parameters
    ----------
    weight : array_like of float
        The table, of shape (V, D): one decision for each of V words.
    p : float or ndarray
        Probability of dropping a word, in [0, 1]; an array of shape (V, 1) gives each word its own.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout`. A source of the package advances by one position a word.
    training : bool, default True
        As of `dropout`.
    out : ndarray, optional
        As of `dropout`.

    Returns
    -------
    y : ndarray
        The table with dropped rows, to look words up in: ``y[indices]``.
    mask : Mask
        For `dropout_backward`, which gives the gradient of the table; of shape (V, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `dropout`; ValueError too if weight has other than two axes.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016, section 4.2: word embeddings dropout.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> table, mask = fd.embedding_dropout(np.ones((4, 2)), p=0.5, rng=1)
    >>> table[[0, 1, 1, 3]]
    array([[0., 0.],
           [2., 2.],
           [2., 2.],
           [2., 2.]])
    """
    if late or words:
        refuse(embedding_dropout, late, words)
    array, shape = check_arrays(weight, out, None, "weight")
    if len(shape) != 2:
        raise ValueError(f"weight has shape {shape}; allowed are two axes, (words, features)")
    return dropout(
        array,
        p,
        rng=rng,
        training=training,
        noise_shape=(shape[0], 1),
        out=out,
    )


@overload
def drop_block2d(
    x: NDArray[ScalarT],
    p: ProbabilityLike,
    *,
    block_size: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[ScalarT] | None = ...,
) -> tuple[NDArray[ScalarT], Mask]: ...


@overload
def drop_block2d(
    x: ArrayLike,
    p: ProbabilityLike,
    *,
    block_size: int = ...,
    rng: RNGLike = ...,
    training: bool = ...,
    out: NDArray[Any] | None = ...,
) -> tuple[NDArray[Any], Mask]: ...


@public()
def drop_block2d(
    x: ArrayLike,
    p: ProbabilityLike,
    *late: Never,
    block_size: int = 7,
    rng: RNGLike = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
    **words: Never,
) -> tuple[NDArray[Any], Mask]:
    """Drop square blocks of each map of ``(N, C, H, W)``: DropBlock.

    Every place where a whole block fits begins one with probability gamma; blocks may overlap,
    and each channel has its own. What is kept is scaled by the number of elements over that of
    kept elements.

    Parameters
    ----------
    x : array_like of float
        Of shape (N, C, H, W), or (C, H, W) for one image.
    p : float
        What gamma aims at: the fraction of dropped elements, in [0, 1]. Blocks overlap and are
        few, so that what is dropped is only near it, and for a large p rather less.
    block_size : int, default 7
        Height and width of a block; a block larger than the map is cut down to a square that
        fits. 1 is `dropout`, but for the scale.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `dropout`. A source of the package advances by one position for each place where a
        block fits, ``N * C * (H - block_size + 1) * (W - block_size + 1)`` of them.
    training : bool, default True
        As of `dropout`.
    out : ndarray, optional
        As of `dropout`.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; ``out`` where that is given.
    mask : Mask
        For `dropout_backward`; packed, of x's shape. Its p is the one given; its scale is
        ``mask.size`` over the number of kept elements, or 1 where there are none.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As of `dropout`; ValueError too if x has another number of axes, or block_size is less
        than 1.

    References
    ----------
    .. [1] G. Ghiasi, T.-Y. Lin, Q. V. Le, "DropBlock: a regularization method for convolutional
       networks", NeurIPS 2018; gamma is the paper's, for maps that need not be square:
       ``p / block_size**2 * (H * W) / ((H - block_size + 1) * (W - block_size + 1))``.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> y, mask = fd.drop_block2d(np.ones((1, 5, 8)), p=0.2, block_size=3, rng=5)
    >>> np.asarray(mask)[0].astype(int)
    array([[1, 1, 0, 0, 0, 1, 1, 1],
           [1, 1, 0, 0, 0, 1, 1, 1],
           [1, 1, 0, 0, 0, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1, 1]])
    >>> bool(np.isclose(y.mean(), 1.0))
    True
    """
    if late or words:
        refuse(drop_block2d, late, words)
    array, shape = check_arrays(x, out, None)
    if len(shape) not in (3, 4):
        raise ValueError(f"x has shape {shape}; allowed are (N, C, H, W) and (C, H, W)")
    block = check_positive("block_size", block_size)
    probability = Probability(p, None)
    source = as_source(rng)
    if not check_switch("training", training):
        return dropout(array, p, training=False, out=out)
    corners_shape, block, gamma = block_corners(shape, block, probability.p)
    # All memory is taken before anything is drawn.
    read, y = settled(array, out)
    bits, spare_bits = padded_room(array.size), padded_room(array.size)
    kept, spare = np.empty(shape, bool), np.empty(shape, bool)
    corners = np.empty(corners_shape, bool)
    bernoulli(corners.shape, gamma, rng=source, out=corners)
    scale = keep_blocks(corners, block, kept, spare)
    mask = apply_drawn(kept, bits, spare_bits, probability, scale, read, y)
    return y if out is None else out, mask
