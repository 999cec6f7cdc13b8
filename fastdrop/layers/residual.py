# SPDX-License-Identifier: BSD-3-Clause
"""The layer of residual branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never, overload

import numpy as np

from fastdrop._typing import ArrayLike, AxesLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop.functional import dropout_add, dropout_backward
from fastdrop.layers._base import Forward, Layer, checked_axes
from fastdrop.layers._kept import sum_of_rows
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["DropoutAdd"]


class DropoutAdd(Layer[Mask]):
    """`dropout_add` as a layer: the end of a residual branch, in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    broadcast_axes : int or sequence of int, optional
        As in `dropout_add`.
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
    >>> layer = fd.DropoutAdd(0.5, rng=1)
    >>> layer(np.ones((2, 4)), np.full((2, 4), 10.0), bias=np.arange(4.0))
    array([[10., 14., 10., 18.],
           [10., 14., 10., 10.]])
    """

    _function: ClassVar[Forward] = staticmethod(dropout_add)
    _options = ("broadcast_axes",)
    broadcast_axes: Any = Setting(checked_axes)
    _places: ClassVar[dict[str, str]] = Layer._places | {
        "bias": "give it in each call, as in layer(x, residual, bias=bias)"
    }

    def __init__(
        self,
        p: ProbabilityLike = 0.5,
        *,
        broadcast_axes: AxesLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        super().__init__(p, rng)
        self.broadcast_axes = broadcast_axes
        self.dbias: NDArray[Any] | None = None
        self._had_bias: bool = False

    @overload
    def forward(
        self,
        x: NDArray[ScalarT],
        residual: NDArray[ScalarT],
        *,
        bias: ArrayLike | None = None,
        out: NDArray[ScalarT] | None = None,
    ) -> NDArray[ScalarT]: ...
    @overload
    def forward(
        self,
        x: ArrayLike,
        residual: ArrayLike,
        *,
        bias: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]: ...
    def forward(
        self,
        x: ArrayLike,
        residual: ArrayLike,
        *late: Never,
        bias: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        **words: Never,
    ) -> NDArray[Any]:
        """Return ``residual + dropout(x + bias)`` under a new mask.

        Parameters
        ----------
        x, residual : array_like of float
            Output of the branch, and the array that it is added to.
        bias : array_like of float, optional
            Added to x before anything is dropped. It has the length of x's last axis.
        out : ndarray, optional
            Where to write: an array of x's shape and dtype. It may be x or residual.

        Returns
        -------
        y : ndarray
            ``out`` if that is given, else a new array of x's shape and dtype.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As in `dropout_add`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> fd.DropoutAdd(0.5, rng=1).forward(np.ones(4), np.full(4, 10.0))
        array([10., 12., 10., 12.])
        """
        if late or words:
            self._refuse(late, words)
        y = self._run(x, residual, bias=bias, out=out)
        self._had_bias = bias is not None
        return y

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def backward(self, dy: NDArray[ScalarT]) -> tuple[NDArray[ScalarT], NDArray[ScalarT]]: ...
    @overload
    def backward(self, dy: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def backward(self, dy: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the gradients with respect to x and residual, and set `dbias`.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.

        Returns
        -------
        dx : ndarray
            Of dy's shape and dtype.
        dresidual : ndarray
            The array dy itself.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        TypeError, ValueError
            As in `dropout_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.DropoutAdd(0.5, rng=1)
        >>> y = layer(np.ones((2, 4)), np.ones((2, 4)), bias=np.zeros(4))
        >>> dx, dresidual = layer.backward(np.ones((2, 4)))
        >>> layer.dbias
        array([0., 4., 0., 2.])
        """
        dx = dropout_backward(dy, self._last_mask())
        self.dbias = None
        if self._had_bias:
            self.dbias = sum_of_rows(dx)
        return dx, np.asarray(dy)
