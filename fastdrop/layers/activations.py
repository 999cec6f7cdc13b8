# SPDX-License-Identifier: BSD-3-Clause
"""Layers of gelu and silu with dropout, whose gradients need x; relu's is in `elements`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Never, overload

from fastdrop._checks import as_array, check_choice
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop.functional import (
    gelu_dropout,
    gelu_dropout_backward,
    silu_dropout,
    silu_dropout_backward,
)
from fastdrop.functional.activations import APPROXIMATIONS
from fastdrop.layers._base import ArrayLayer, Forward
from fastdrop.layers._kept import unwritten
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["GELUDropout", "SiLUDropout"]


class _Activation(ArrayLayer[Mask]):
    """A layer whose gradient is one of x, which it keeps."""

    _gradient: ClassVar[Callable[..., NDArray[Any]]]

    def __init__(self, p: ProbabilityLike, rng: RNGLike) -> None:
        super().__init__(p, rng)
        self.x: NDArray[Any] | None = None

    def _run(self, *arrays: ArrayLike, **given: Any) -> NDArray[Any]:
        x = as_array("x", arrays[0])
        kept = unwritten(x, given["out"])
        y = super()._run(x, **given)
        self.x = kept
        return y

    @overload
    def backward(
        self, dy: NDArray[ScalarT], *, out: NDArray[ScalarT] | None = None
    ) -> NDArray[ScalarT]: ...
    @overload
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def backward(
        self, dy: ArrayLike, *late: Never, out: NDArray[Any] | None = None, **words: Never
    ) -> NDArray[Any]:
        """Return the gradient with respect to x of the last call of `forward`.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.
        out : ndarray, optional
            Where to write, of dy's shape and dtype; may be dy.

        Returns
        -------
        dx : ndarray
            As of `gelu_dropout_backward`.

        Raises
        ------
        RuntimeError
            If there was no forward.
        TypeError, ValueError
            As of `gelu_dropout_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.SiLUDropout(0.5, rng=1)
        >>> y = layer(np.zeros(4))
        >>> layer.backward(np.full(4, 10.0))
        array([ 0., 10.,  0., 10.])
        """
        mask = self._last_mask()
        options = {name: getattr(self, name) for name in self._options}
        return self._gradient(dy, self.x, mask, out=out, **options)


class GELUDropout(_Activation):
    """`gelu_dropout` as a layer: ``dropout(gelu(x))`` in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    approximate : {"none", "tanh"}, default "none"
        As of `gelu_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

    Attributes
    ----------
    x : ndarray or None
        Of the last call of `forward`: `backward` reads it.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.GELUDropout(0.5, rng=1)
    >>> layer(np.array([1.0, 2.0, -3.0, -1.0])).round(3)
    array([ 0.   ,  3.909,  0.   , -0.317])
    >>> layer.backward(np.ones(4)).round(3)
    array([ 0.   ,  2.17 ,  0.   , -0.167])
    """

    _function: ClassVar[Forward] = staticmethod(gelu_dropout)
    _gradient = staticmethod(gelu_dropout_backward)
    _options = ("approximate",)

    approximate: Literal["none", "tanh"] = Setting(  # type: ignore[assignment]
        lambda layer, name, value: check_choice(name, value, APPROXIMATIONS)
    )

    def __init__(
        self,
        p: ProbabilityLike = 0.5,
        *,
        approximate: Literal["none", "tanh"] = "none",
        rng: RNGLike = None,
    ) -> None:
        super().__init__(p, rng)
        self.approximate = approximate


class SiLUDropout(_Activation):
    """`silu_dropout` as a layer: ``dropout(silu(x))`` in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

    Attributes
    ----------
    x : ndarray or None
        Of the last call of `forward`: `backward` reads it.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.SiLUDropout(0.5, rng=1)
    >>> layer(np.array([1.0, 2.0, -3.0, -1.0])).round(3)
    array([ 0.   ,  3.523,  0.   , -0.538])
    >>> layer.backward(np.ones(4)).round(3)
    array([0.   , 2.182, 0.   , 0.145])
    """

    _function: ClassVar[Forward] = staticmethod(silu_dropout)
    _gradient = staticmethod(silu_dropout_backward)

    def __init__(self, p: ProbabilityLike = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)
