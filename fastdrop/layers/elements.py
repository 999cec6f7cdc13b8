# SPDX-License-Identifier: BSD-3-Clause
"""Layers that drop elements, each on its own or some together."""

from __future__ import annotations

from typing import Any, ClassVar

from fastdrop._checks import (
    check_choice,
    check_gaussian_p,
    check_noise_lengths,
    check_one_way_to_share,
    check_p,
    refuse_both,
)
from fastdrop._typing import AxesLike, NoiseShapeLike, ProbabilityLike, RNGLike, Scale
from fastdrop._words import HALF
from fastdrop.functional import alpha_dropout, dropout, gaussian_dropout
from fastdrop.functional._probability import as_probability
from fastdrop.functional.dropout import SCALES
from fastdrop.layers._base import ArrayLayer, Forward, checked_axes, checked_probability
from fastdrop.layers._setting import Setting
from fastdrop.mask import GaussianMask, Mask

__all__ = ["AlphaDropout", "Dropout", "GaussianDropout"]


def _one_of_two(layer: Any, name: str, value: Any, other: str) -> Any:
    """Return p or keep_prob, of which one is None."""
    if value is not None and layer.__dict__.get(other) is not None:
        refuse_both(**{name: value, other: layer.__dict__[other]})
    return checked_probability(layer, name, value)


def _given(p: Any) -> Any:
    """Return a p that was given; None is what the attribute is with keep_prob, and no p."""
    return check_p(p) if p is None else p


class Dropout(ArrayLayer[Mask]):
    """`dropout` as a layer: it drops each element on its own, or some together.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        Probability of dropping, in [0, 1]. The attribute can be changed at any time. An array
        broadcasts to the mask, as in `dropout`.
    keep_prob : float or ndarray, optional
        Instead of p, which is None then: the probability of being present.
    scale : {"train", "test", "none"}, default "train"
        As in `dropout`.
    noise_shape : sequence of int or None, optional
        As in `dropout`.
    broadcast_axes : int or sequence of int, optional
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        Where masks come from. A seed makes one source when the layer is made. So masks differ from
        call to call, and you can repeat a run. None is the source of the process.

    Attributes
    ----------
    training : bool
        Set by `train` and `eval`.
    mask : Mask or None
        The mask of the last call of `forward`.

    Raises
    ------
    TypeError, ValueError
        If p, scale or rng has a wrong type or is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Dropout(p=0.5, rng=1)
    >>> layer
    Dropout(p=0.5)
    >>> y = layer(np.ones((2, 4)))
    >>> y
    array([[0., 2., 0., 2.],
           [0., 2., 0., 0.]])
    >>> np.array_equal(layer.backward(np.ones((2, 4))), y)
    True
    """

    _function: ClassVar[Forward] = staticmethod(dropout)
    _arrays = True
    _options = ("keep_prob", "scale", "noise_shape", "broadcast_axes")

    p: Any = Setting(lambda layer, name, value: _one_of_two(layer, name, value, "keep_prob"))
    keep_prob: Any = Setting(lambda layer, name, value: _one_of_two(layer, name, value, "p"))
    scale: Scale = Setting(  # type: ignore[assignment]
        lambda layer, name, value: check_choice(name, value, SCALES)
    )
    noise_shape: tuple[int | None, ...] | None = Setting(  # type: ignore[assignment]
        lambda layer, name, value: None if value is None else check_noise_lengths(value)
    )

    broadcast_axes: Any = Setting(checked_axes)

    def __init__(
        self,
        p: ProbabilityLike = HALF,
        *,
        keep_prob: ProbabilityLike | None = None,
        scale: Scale = "train",
        noise_shape: NoiseShapeLike | None = None,
        broadcast_axes: AxesLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        check_one_way_to_share(noise_shape, broadcast_axes)
        if keep_prob is None:
            super().__init__(0.5 if p is HALF else _given(p), rng)
        else:
            as_probability(p, keep_prob)  # one of the two
            super().__init__(None, rng)
        self.keep_prob = keep_prob
        self.scale = scale
        self.noise_shape = noise_shape  # type: ignore[assignment]
        self.broadcast_axes = broadcast_axes


class AlphaDropout(ArrayLayer[Mask]):
    """`alpha_dropout` as a layer: it keeps mean 0 and variance 1.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    broadcast_axes : int or sequence of int, optional
        As in `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.AlphaDropout(0.5, rng=1)
    >>> layer(np.ones(4)).round(2)
    array([-0.78,  1.67, -0.78,  1.67])
    """

    _function: ClassVar[Forward] = staticmethod(alpha_dropout)
    _options = ("broadcast_axes",)

    broadcast_axes: Any = Setting(checked_axes)

    def __init__(
        self,
        p: ProbabilityLike = 0.5,
        *,
        broadcast_axes: AxesLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        super().__init__(p, rng)
        self.broadcast_axes = broadcast_axes


class GaussianDropout(ArrayLayer[GaussianMask]):
    """`gaussian_dropout` as a layer: it multiplies by noise of mean 1.

    Parameters
    ----------
    p : float
        In [0, 1): the variance of the noise is p / (1 - p).
    broadcast_axes : int or sequence of int, optional
        As in `gaussian_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.GaussianDropout(0.2, rng=1)
    >>> y = layer(np.ones(100_000))
    >>> print(f"mean {y.mean():.2f}, variance {y.var():.2f}")
    mean 1.00, variance 0.25
    >>> layer.mask
    <GaussianMask of shape (100000,), p=0.2, seeded>
    """

    _function: ClassVar[Forward] = staticmethod(gaussian_dropout)
    _options = ("broadcast_axes",)

    p: Any = Setting(lambda layer, name, value: check_gaussian_p(value))
    broadcast_axes: Any = Setting(checked_axes)

    def __init__(
        self, p: ProbabilityLike, *, broadcast_axes: AxesLike | None = None, rng: RNGLike = None
    ) -> None:
        super().__init__(p, rng)
        self.broadcast_axes = broadcast_axes
