# SPDX-License-Identifier: BSD-3-Clause
"""Layers that drop whole channels."""

from __future__ import annotations

from typing import Any, ClassVar

from fastdrop._checks import check_channel_axis
from fastdrop._typing import ProbabilityLike, RNGLike
from fastdrop.functional import dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from fastdrop.layers._base import ArrayLayer, Forward, PlainLayer
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


def _channel_axis(layer: Any, name: str, value: Any) -> Any:
    check_channel_axis(value, layer._axes)
    return value  # negative ones stay, for samples without a batch


class _ChannelLayer(ArrayLayer[Mask]):
    """Dropout of channels."""

    _arrays = True
    _axes: ClassVar[int]  # of a batch
    _options = ("channel_axis",)

    channel_axis: int = Setting(_channel_axis)  # type: ignore[assignment]

    def __init__(
        self, p: ProbabilityLike = 0.5, *, channel_axis: int = 1, rng: RNGLike = None
    ) -> None:
        super().__init__(p, rng)
        self.channel_axis = channel_axis


class Dropout1d(_ChannelLayer):
    """`dropout1d` as a layer: whole channels of ``(N, C, L)``.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        As in `Dropout`.
    channel_axis : int, default 1
        As in `dropout1d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Dropout1d(0.5, rng=1)
    >>> layer(np.ones((1, 3, 2))).tolist()
    [[[0.0, 0.0], [2.0, 2.0], [0.0, 0.0]]]
    """

    _axes = 3
    _function: ClassVar[Forward] = staticmethod(dropout1d)


class Dropout2d(_ChannelLayer):
    """`dropout2d` as a layer: whole channels of ``(N, C, H, W)``.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        As in `Dropout`.
    channel_axis : int, default 1
        As in `dropout2d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Dropout2d(0.2, channel_axis=-1, rng=1)
    >>> layer
    Dropout2d(p=0.2, channel_axis=-1)
    >>> y = layer(np.ones((8, 5, 5, 3)))
    >>> layer.mask.shape
    (8, 1, 1, 3)
    """

    _axes = 4
    _function: ClassVar[Forward] = staticmethod(dropout2d)


class Dropout3d(_ChannelLayer):
    """`dropout3d` as a layer: whole channels of ``(N, C, D, H, W)``.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        As in `Dropout`.
    channel_axis : int, default 1
        As in `dropout3d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Dropout3d(0.5, rng=1)
    >>> y = layer(np.ones((2, 3, 4, 4, 4)))
    >>> layer.mask.shape
    (2, 3, 1, 1, 1)
    """

    _axes = 5
    _function: ClassVar[Forward] = staticmethod(dropout3d)


class FeatureAlphaDropout(PlainLayer[Mask]):
    """`feature_alpha_dropout` as a layer: whole channels of ``(N, C, ...)``.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.FeatureAlphaDropout(0.5, rng=1)
    >>> y = layer(np.ones((8, 3, 5, 5)))
    >>> layer.mask.shape
    (8, 3, 1, 1)
    """

    _function: ClassVar[Forward] = staticmethod(feature_alpha_dropout)

    def __init__(self, p: ProbabilityLike = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng=rng)
