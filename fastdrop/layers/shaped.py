# SPDX-License-Identifier: BSD-3-Clause
"""Layers that drop samples, rows and blocks."""

from __future__ import annotations

from typing import ClassVar

from fastdrop._checks import check_choice, check_positive
from fastdrop._typing import ProbabilityLike, RNGLike, Scale
from fastdrop.functional import drop_block2d, drop_path, embedding_dropout
from fastdrop.functional.dropout import SCALES
from fastdrop.layers._base import ArrayLayer, Forward, PlainLayer
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["DropBlock2d", "DropPath", "EmbeddingDropout"]


class DropPath(ArrayLayer[Mask]):
    """`drop_path` as a layer: whole samples of a residual branch.

    Parameters
    ----------
    p : float or ndarray
        As in `Dropout`.
    scale : {"train", "test", "none"}, default "train"
        As in `drop_path`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> source = fd.Xoshiro256PlusPlus(1)
    >>> layers = [fd.DropPath(p, rng=source) for p in fd.drop_path_rates(3, 0.5)]
    >>> layers
    [DropPath(p=0.0), DropPath(p=0.25), DropPath(p=0.5)]
    >>> layers[2](np.ones((4, 2)))
    array([[0., 0.],
           [2., 2.],
           [0., 0.],
           [2., 2.]])
    """

    _function: ClassVar[Forward] = staticmethod(drop_path)
    _arrays = True
    _options = ("scale",)

    scale: Scale = Setting(  # type: ignore[assignment]
        lambda layer, name, value: check_choice(name, value, SCALES)
    )

    def __init__(self, p: ProbabilityLike, *, scale: Scale = "train", rng: RNGLike = None) -> None:
        super().__init__(p, rng)
        self.scale = scale


class EmbeddingDropout(PlainLayer[Mask]):
    """`embedding_dropout` as a layer: whole rows of a table ``(V, D)``.

    Its input is the table. Look up words in the table that it returns.

    Parameters
    ----------
    p : float or ndarray
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.EmbeddingDropout(0.5, rng=1)
    >>> layer(np.ones((4, 2)))[[0, 1]]
    array([[0., 0.],
           [2., 2.]])
    """

    _function: ClassVar[Forward] = staticmethod(embedding_dropout)
    _arrays = True


class DropBlock2d(ArrayLayer[Mask]):
    """`drop_block2d` as a layer: square blocks of the maps of ``(N, C, H, W)``.

    Parameters
    ----------
    p : float
        As in `Dropout`. The fraction of dropped elements is near p.
    block_size : int, default 7
        As in `drop_block2d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.DropBlock2d(0.1, block_size=3, rng=1)
    >>> layer
    DropBlock2d(p=0.1, block_size=3)
    >>> y = layer(np.ones((8, 3, 16, 16)))
    >>> bool(np.isclose(y.mean(), 1.0))
    True
    """

    _function: ClassVar[Forward] = staticmethod(drop_block2d)
    _options = ("block_size",)

    block_size: int = Setting(  # type: ignore[assignment]
        lambda layer, name, value: check_positive(name, value)
    )

    def __init__(self, p: ProbabilityLike, *, block_size: int = 7, rng: RNGLike = None) -> None:
        super().__init__(p, rng)
        self.block_size = block_size
