# SPDX-License-Identifier: BSD-3-Clause
"""Layers of activations with dropout, which take the bias of a linear map in the same pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Never, overload

from fastdrop._checks import as_array, check_choice
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop.functional import (
    dropout_backward,
    gelu_dropout,
    gelu_dropout_backward,
    relu_dropout,
    silu_dropout,
    silu_dropout_backward,
)
from fastdrop.functional.activations import APPROXIMATIONS
from fastdrop.layers._base import Forward, Layer
from fastdrop.layers._kept import sum_of_rows, unwritten
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["GELUDropout", "ReLUDropout", "SiLUDropout"]


class ActivationLayer(Layer[Mask]):
    """A layer that adds a bias first, if a call gives one."""

    _places: ClassVar[dict[str, str]] = Layer._places | {
        "bias": "give it in each call, as in layer(x, bias=bias)"
    }

    def __init__(self, p: ProbabilityLike, rng: RNGLike) -> None:
        super().__init__(p, rng)
        self.dbias: NDArray[Any] | None = None
        self._had_bias: bool = False

    @overload
    def forward(
        self,
        x: NDArray[ScalarT],
        *,
        bias: ArrayLike | None = None,
        out: NDArray[ScalarT] | None = None,
    ) -> NDArray[ScalarT]: ...
    @overload
    def forward(
        self,
        x: ArrayLike,
        *,
        bias: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]: ...
    def forward(
        self,
        x: ArrayLike,
        *late: Never,
        bias: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        **words: Never,
    ) -> NDArray[Any]:
        """Return y under a new mask, which the layer keeps. In evaluation nothing is dropped.

        Parameters
        ----------
        x : array_like of float
            As in the function of this layer.
        bias : array_like of float, optional
            Added to x first. It has the length of x's last axis, and x's dtype.
        out : ndarray, optional
            Where to write: an array of x's shape and dtype. It may be x.

        Returns
        -------
        y : ndarray
            ``out`` if that is given, else a new array of x's shape and dtype.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As in the function of this layer.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.ReLUDropout(0.5, rng=1)
        >>> layer.forward(np.zeros(4), bias=np.arange(4.0))
        array([0., 2., 0., 6.])
        """
        if late or words:
            self._refuse(late, words)
        y = self._run(x, bias=bias, out=out)
        self._had_bias = bias is not None
        return y

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def backward(
        self, dy: NDArray[ScalarT], *, out: NDArray[ScalarT] | None = None
    ) -> NDArray[ScalarT]: ...
    @overload
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the gradient with respect to x of the last call of `forward`, and set `dbias`.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.
        out : ndarray, optional
            Where to write: an array of dy's shape and dtype. It may be dy.

        Returns
        -------
        dx : ndarray
            ``out`` if that is given, else a new array of dy's shape and dtype.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        TypeError, ValueError
            As in the backward function of this layer.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.ReLUDropout(0.5, rng=1)
        >>> y = layer(np.ones((2, 4)), bias=np.zeros(4))
        >>> layer.backward(np.ones((2, 4)))
        array([[0., 2., 0., 2.],
               [0., 2., 0., 0.]])
        >>> layer.dbias
        array([0., 4., 0., 2.])
        """
        dx = self._gradient_of(dy, out)
        self.dbias = sum_of_rows(dx) if self._had_bias else None
        return dx

    def _gradient_of(self, dy: ArrayLike, out: NDArray[Any] | None) -> NDArray[Any]:
        return dropout_backward(dy, self._last_mask(), out=out)


class SmoothLayer(ActivationLayer):
    """A layer that keeps x, because its gradient needs x."""

    _gradient: ClassVar[Callable[..., NDArray[Any]]]

    def __init__(self, p: ProbabilityLike, rng: RNGLike) -> None:
        super().__init__(p, rng)
        self.x: NDArray[Any] | None = None
        self.bias: NDArray[Any] | None = None

    def _run(self, *arrays: ArrayLike, **given: Any) -> NDArray[Any]:
        x, bias = as_array("x", arrays[0]), given["bias"]
        given["bias"] = bias = None if bias is None else as_array("bias", bias)
        kept = [None if each is None else unwritten(each, given["out"]) for each in (x, bias)]
        y = super()._run(x, **given)
        self.x, self.bias = kept
        return y

    def _gradient_of(self, dy: ArrayLike, out: NDArray[Any] | None) -> NDArray[Any]:
        mask = self._last_mask()
        options = {name: getattr(self, name) for name in self._options}
        return self._gradient(dy, self.x, mask, bias=self.bias, out=out, **options)


class GELUDropout(SmoothLayer):
    """`gelu_dropout` as a layer: ``dropout(gelu(x))`` in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    approximate : {"none", "tanh"}, default "none"
        As in `gelu_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Attributes
    ----------
    x, bias : ndarray or None
        The arguments of the last call of `forward`, which `backward` reads.
    dbias : ndarray or None
        Gradient with respect to the bias of the last call, set by `backward`.

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


class ReLUDropout(ActivationLayer):
    """`relu_dropout` as a layer: ``dropout(relu(x))`` in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Attributes
    ----------
    dbias : ndarray or None
        Gradient with respect to the bias of the last call, set by `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.ReLUDropout(0.5, rng=1)
    >>> layer(np.array([1.0, 2.0, -3.0, -4.0, 5.0, 6.0]))
    array([ 0.,  4.,  0.,  0.,  0., 12.])
    >>> layer.backward(np.ones(6))
    array([0., 2., 0., 0., 0., 2.])
    """

    _function: ClassVar[Forward] = staticmethod(relu_dropout)

    def __init__(self, p: ProbabilityLike = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)


class SiLUDropout(SmoothLayer):
    """`silu_dropout` as a layer: ``dropout(silu(x))`` in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Attributes
    ----------
    x, bias : ndarray or None
        The arguments of the last call of `forward`, which `backward` reads.
    dbias : ndarray or None
        Gradient with respect to the bias of the last call, set by `backward`.

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
