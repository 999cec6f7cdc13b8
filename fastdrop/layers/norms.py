# SPDX-License-Identifier: BSD-3-Clause
"""The layers that end the blocks of transformers, with the weights of their norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Never

import numpy as np

from fastdrop._checks import as_array, check_eps, check_one_axis, check_switch, refuse_shape
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike
from fastdrop.functional import (
    dropout_add_layer_norm,
    dropout_add_layer_norm_backward,
    dropout_add_rms_norm,
    dropout_add_rms_norm_backward,
)
from fastdrop.layers._base import Forward, Layer
from fastdrop.layers._kept import unwritten
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["DropoutAddLayerNorm", "DropoutAddRMSNorm"]


def _row(layer: Any, name: str, value: Any) -> NDArray[Any] | None:
    """Return weight or bias: an array is kept, not copied."""
    return check_one_axis(name, value)


class _DropoutAddNorm(Layer[Mask]):
    """What both layers have: weights of the norm, and the arrays of the last call."""

    _options = ("eps", "prenorm")
    _rows: ClassVar[tuple[str, ...]]  # the weights, in the order in which the function takes them
    _gradients: ClassVar[Callable[..., tuple[Any, ...]]]
    _places: ClassVar[dict[str, str]] = Layer._places | {
        "linear_bias": "give it in each call, as in layer(x, residual, linear_bias=bias)"
    }

    weight: NDArray[Any] | None = Setting(_row)  # type: ignore[assignment]
    eps: float = Setting(lambda layer, name, value: check_eps(value))  # type: ignore[assignment]
    prenorm: bool = Setting(  # type: ignore[assignment]
        lambda layer, name, value: check_switch(name, value)
    )

    def __init__(
        self,
        weight: ArrayLike | None,
        p: ProbabilityLike,
        eps: float,
        prenorm: bool,
        rng: RNGLike,
    ) -> None:
        super().__init__(p, rng)
        self.weight = weight  # type: ignore[assignment]
        self.eps, self.prenorm = eps, prenorm
        self.x: NDArray[Any] | None = None
        self.residual: NDArray[Any] | None = None
        self.linear_bias: NDArray[Any] | None = None
        self.dweight: NDArray[Any] | None = None
        self.dlinear_bias: NDArray[Any] | None = None

    def forward(
        self,
        x: ArrayLike,
        residual: ArrayLike,
        *late: Never,
        linear_bias: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        **words: Never,
    ) -> Any:
        """Return the norm of ``residual + dropout(x + linear_bias)`` under a new mask.

        Parameters
        ----------
        x, residual : array_like of float
            Output of the branch, and the array that it is added to. They are kept for `backward`.
        linear_bias : array_like of float, optional
            Added to x before anything is dropped. It has the length of x's last axis.
        out : ndarray, optional
            Where to write y: an array of x's shape and dtype. It may be x or residual.

        Returns
        -------
        y : ndarray
            ``out`` if that is given, else a new array of x's shape and dtype.
        total : ndarray
            The sum. It is returned only with ``prenorm=True``.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As in `dropout_add_layer_norm`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.DropoutAddRMSNorm(np.ones(4), 0.5, rng=1)
        >>> layer.forward(np.ones((1, 4)), np.arange(4.0).reshape(1, 4)).round(3)
        array([[0.   , 0.973, 0.649, 1.622]])
        """
        if late or words:
            self._refuse(late, words)
        x, residual = as_array("x", x), as_array("residual", residual)
        row = None if linear_bias is None else as_array("linear_bias", linear_bias)
        kept = [None if one is None else unwritten(one, out) for one in (x, residual, row)]
        rows = (getattr(self, name) for name in self._rows)
        result = self._call(x, residual, *rows, linear_bias=row, out=out)
        self.x, self.residual, self.linear_bias = kept
        return result if self.prenorm else result[0]

    if TYPE_CHECKING:
        __call__ = forward

    def backward(
        self, dy: ArrayLike, dtotal: ArrayLike | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the gradients with respect to x and residual, and set those of the weights.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.
        dtotal : array_like of float, optional
            Gradient with respect to the sum, with ``prenorm``.

        Returns
        -------
        dx, dresidual : ndarray
            Of x's shape and dtype.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        TypeError, ValueError
            As in `dropout_add_layer_norm_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.DropoutAddRMSNorm(np.ones(4), 0.5, rng=1)
        >>> y = layer(np.ones((1, 4)), np.ones((1, 4)))
        >>> dx, dresidual = layer.backward(np.ones((1, 4)))
        >>> dresidual.round(3)
        array([[ 0.268, -0.089,  0.268, -0.089]])
        """
        mask = self._last_mask()
        dx, dresidual, *of_rows = self._gradients(
            dy, self.x, self.residual, self.weight, mask, eps=self.eps,
            linear_bias=self.linear_bias, dtotal=dtotal,
        )  # fmt: skip
        for name, gradient in zip((*self._rows, "linear_bias"), of_rows, strict=True):
            setattr(self, f"d{name}", gradient)
        return dx, dresidual

    def _shown(self) -> dict[str, Any]:
        rows = {name: getattr(self, name) for name in self._rows}
        missing = {name: None for name in rows if rows[name] is None}
        width = {} if len(missing) == len(rows) else {"width": max(map(np.size, rows.values()))}
        return width | super()._shown() | missing


class DropoutAddLayerNorm(_DropoutAddNorm):
    """`dropout_add_layer_norm` as a layer: the end of a block, in one pass.

    Parameters
    ----------
    weight, bias : array_like of float or None
        Weight and bias of the norm, of the length of x's last axis. An array is not copied, so you
        can change it in place. None leaves one out.
    p : float, default 0.5
        As in `Dropout`.
    eps : float, default 1e-5
        As in `dropout_add_layer_norm`.
    prenorm : bool, default False
        Return the sum, too. It is the residual of the next block.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Attributes
    ----------
    x, residual, linear_bias : ndarray or None
        The arguments of the last call of `forward`, which `backward` reads.
    dweight, dbias, dlinear_bias : ndarray or None
        Gradients with respect to the weights, set by `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.DropoutAddLayerNorm(np.ones(4), np.zeros(4), 0.5, rng=1)
    >>> layer
    DropoutAddLayerNorm(width=4, p=0.5)
    >>> layer(np.ones((2, 4)), np.arange(8.0).reshape(2, 4)).round(3)
    array([[-1.387,  0.277, -0.277,  1.387],
           [-1.633,  0.816,  0.   ,  0.816]])
    >>> dx, dresidual = layer.backward(np.ones((2, 4)))
    >>> layer.dbias
    array([2., 2., 2., 2.])
    """

    _function: ClassVar[Forward] = staticmethod(dropout_add_layer_norm)
    _gradients = staticmethod(dropout_add_layer_norm_backward)
    _rows = ("weight", "bias")

    bias: NDArray[Any] | None = Setting(_row)  # type: ignore[assignment]

    def __init__(
        self,
        weight: ArrayLike | None,
        bias: ArrayLike | None,
        p: ProbabilityLike = 0.5,
        *,
        eps: float = 1e-5,
        prenorm: bool = False,
        rng: RNGLike = None,
    ) -> None:
        super().__init__(weight, p, eps, prenorm, rng)
        self.bias = bias  # type: ignore[assignment]
        if (
            self.weight is not None
            and self.bias is not None
            and self.bias.shape != self.weight.shape
        ):
            refuse_shape("bias", self.bias.shape, f"{self.weight.shape}, that of weight")
        self.dbias: NDArray[Any] | None = None


class DropoutAddRMSNorm(_DropoutAddNorm):
    """`dropout_add_rms_norm` as a layer: the end of a block, in one pass.

    Parameters
    ----------
    weight : array_like of float or None
        Weight of the norm, as in `DropoutAddLayerNorm`.
    p : float, default 0.5
        As in `Dropout`.
    eps : float, default 1e-5
        As in `dropout_add_rms_norm`.
    prenorm : bool, default False
        As in `DropoutAddLayerNorm`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Attributes
    ----------
    x, residual, linear_bias : ndarray or None
        The arguments of the last call of `forward`, which `backward` reads.
    dweight, dlinear_bias : ndarray or None
        Gradients with respect to the weights, set by `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.DropoutAddRMSNorm(np.ones(4), 0.5, rng=1)
    >>> layer(np.ones((2, 4)), np.arange(8.0).reshape(2, 4)).round(3)
    array([[0.   , 0.973, 0.649, 1.622],
           [0.653, 1.143, 0.98 , 1.143]])
    """

    _function: ClassVar[Forward] = staticmethod(dropout_add_rms_norm)
    _gradients = staticmethod(dropout_add_rms_norm_backward)
    _rows = ("weight",)

    def __init__(
        self,
        weight: ArrayLike | None,
        p: ProbabilityLike = 0.5,
        *,
        eps: float = 1e-5,
        prenorm: bool = False,
        rng: RNGLike = None,
    ) -> None:
        super().__init__(weight, p, eps, prenorm, rng)
