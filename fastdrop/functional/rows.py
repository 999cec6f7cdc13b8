# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of whole samples, and of whole rows of a table."""

from __future__ import annotations

from typing import Any, Never, overload

from fastdrop._checks import refuse_axes, refuse_shape
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT, Scale
from fastdrop._words import public, refuse
from fastdrop.apply._apply import check_arrays
from fastdrop.functional.dropout import dropout
from fastdrop.mask._mask import Mask

__all__ = ["drop_path", "embedding_dropout"]


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
        Output of the branch, of shape (N, ...). Each of the N samples has one decision.
    p : float or ndarray
        Probability of dropping the branch for a sample. `drop_path_rates` returns a schedule. An
        array of shape (N, 1, ..., 1) gives each sample its own p.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    scale : {"train", "test", "none"}, default "train"
        As in `dropout`. The paper's form is ``scale="test"``: the branch is scaled by its survival
        probability in evaluation, not by the inverse of it in training.
    out : ndarray, optional
        As in `dropout`.

    Returns
    -------
    y : ndarray
        ``out`` if that is given, else a new array of x's shape and dtype.
    mask : Mask
        For `dropout_backward`. Its shape is (N, 1, ..., 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout`. Also a ValueError if x has no axes.

    Notes
    -----
    In the paper, all samples of a mini-batch share a decision. ``dropout(x, p, noise_shape=())``
    does this. One decision per sample is the form that came into use.

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
        refuse_axes("drop_path", shape, "(N, ...), of N samples")
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
        The table, of shape (V, D). Each of the V words has one decision.
    p : float or ndarray
        Probability of dropping a word, in [0, 1]. An array of shape (V, 1) gives each word its own
        p.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `dropout`. A source of fastdrop advances by one position per word.
    training : bool, default True
        As in `dropout`.
    out : ndarray, optional
        As in `dropout`.

    Returns
    -------
    y : ndarray
        The table with dropped rows, to look words up in: ``y[indices]``.
    mask : Mask
        For `dropout_backward`, which gives the gradient of the table. Its shape is (V, 1).

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `dropout`. Also a ValueError if weight does not have two axes.

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
        refuse_shape("weight", shape, "(words, features)")
    return dropout(
        array,
        p,
        rng=rng,
        training=training,
        noise_shape=(shape[0], 1),
        out=out,
    )
