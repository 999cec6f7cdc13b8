# SPDX-License-Identifier: BSD-3-Clause
"""The layer of linear maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never, overload

from fastdrop._checks import (
    as_array,
    as_array_no_scalar,
    check_matrix,
    refuse_other_dtype,
    refuse_shape,
)
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop.functional import drop_connect, drop_connect_backward
from fastdrop.layers._base import Forward, Layer
from fastdrop.mask import Mask

__all__ = ["DropConnect"]


class DropConnect(Layer[Mask]):
    """`drop_connect` as a layer: a linear map that drops weights.

    Parameters
    ----------
    weight : array_like of float
        Of shape (features_out, features_in). An array is not copied, so you can change it in place.
    p : float or ndarray
        As in `Dropout`.
    bias : array_like of float, optional
        Of shape (features_out,). It is not copied either.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Attributes
    ----------
    dweight, dbias : ndarray or None
        Gradients with respect to weight and bias, set by `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.DropConnect(np.ones((3, 4)), p=0.5, bias=np.zeros(3), rng=1)
    >>> layer
    DropConnect(features_in=4, features_out=3, p=0.5)
    >>> layer(np.ones((1, 4)))
    array([[4., 2., 6.]])
    >>> layer.eval()(np.ones((1, 4)))
    array([[4., 4., 4.]])
    """

    _function: ClassVar[Forward] = staticmethod(drop_connect)
    _arrays = True
    _options = ("bias",)

    def __init__(
        self,
        weight: ArrayLike,
        p: ProbabilityLike,
        *,
        bias: ArrayLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        self.weight: NDArray[Any] = check_matrix("DropConnect", weight)
        super().__init__(p, rng)
        self.bias: NDArray[Any] | None = None
        if bias is not None:
            self.bias = as_array_no_scalar("bias", bias)
            if self.bias.dtype != self.weight.dtype:
                refuse_other_dtype("bias", self.bias, "weight", self.weight)
            if self.bias.shape != self.weight.shape[:1]:
                refuse_shape("bias", self.bias.shape, self.weight.shape[:1])
        self.x: NDArray[Any] | None = None
        self.dweight: NDArray[Any] | None = None
        self.dbias: NDArray[Any] | None = None

    @overload
    def forward(self, x: NDArray[ScalarT]) -> NDArray[ScalarT]: ...
    @overload
    def forward(self, x: ArrayLike) -> NDArray[Any]: ...
    def forward(self, x: ArrayLike, *late: Never, **words: Never) -> NDArray[Any]:
        """Return ``x @ dropout(weight).T + bias`` under a new mask.

        Parameters
        ----------
        x : array_like of float
            Of shape (..., features_in) and of the weight's dtype. It is kept for `backward`.

        Returns
        -------
        y : ndarray
            Of shape (..., features_out).

        Raises
        ------
        TypeError, ValueError, OverflowError
            As in `drop_connect`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> fd.DropConnect(np.ones((3, 4)), p=0.5, rng=1).forward(np.ones(4))
        array([4., 2., 6.])
        """
        if late or words:
            self._refuse(late, words)
        x = as_array("x", x)
        y = self._run(x, self.weight)
        self.x = x
        return y

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def backward(self, dy: NDArray[ScalarT]) -> NDArray[ScalarT]: ...
    @overload
    def backward(self, dy: ArrayLike) -> NDArray[Any]: ...
    def backward(self, dy: ArrayLike) -> NDArray[Any]:
        """Return the gradient with respect to x, and set `dweight` and `dbias`.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.

        Returns
        -------
        dx : ndarray
            Of x's shape and dtype.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        TypeError, ValueError
            As in `drop_connect_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.DropConnect(np.ones((3, 4)), p=0.5, rng=1)
        >>> y = layer(np.ones(4))
        >>> layer.backward(np.ones(3))
        array([2., 4., 2., 4.])
        >>> layer.dweight
        array([[0., 2., 0., 2.],
               [0., 2., 0., 0.],
               [2., 0., 2., 2.]])
        """
        mask = self._last_mask()
        assert self.x is not None  # kept with the mask
        dx, self.dweight, self.dbias = drop_connect_backward(dy, self.x, self.weight, mask)
        return dx

    def _shown(self) -> dict[str, Any]:
        features_out, features_in = self.weight.shape
        shown = {"features_in": features_in, "features_out": features_out, "p": self.p}
        return shown if self.bias is not None else shown | {"bias": None}
