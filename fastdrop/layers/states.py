# SPDX-License-Identifier: BSD-3-Clause
"""The layer of recurrent states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never, overload

from fastdrop._typing import ArrayLike, AxesLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop.functional import zoneout, zoneout_backward
from fastdrop.layers._base import Forward, Layer, checked_axes
from fastdrop.layers._setting import Setting
from fastdrop.mask import Mask

__all__ = ["Zoneout"]


class Zoneout(Layer[Mask]):
    """`zoneout` as a layer: some elements of a state keep their old value.

    Parameters
    ----------
    p : float
        Probability of keeping the old state, in [0, 1].
    broadcast_axes : int or sequence of int, optional
        As in `zoneout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As in `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Zoneout(0.5, rng=1)
    >>> layer(np.full(4, 2.0), np.full(4, 1.0))
    array([1., 2., 1., 2.])
    """

    mask: Mask
    _function: ClassVar[Forward] = staticmethod(zoneout)
    _options = ("broadcast_axes",)
    broadcast_axes: Any = Setting(checked_axes)

    def __init__(
        self, p: ProbabilityLike, *, broadcast_axes: AxesLike | None = None, rng: RNGLike = None
    ) -> None:
        super().__init__(p, rng)
        self.broadcast_axes = broadcast_axes

    @overload
    def forward(
        self, new: NDArray[ScalarT], old: NDArray[ScalarT], *, out: NDArray[ScalarT] | None = None
    ) -> NDArray[ScalarT]: ...
    @overload
    def forward(
        self, new: ArrayLike, old: ArrayLike, *, out: NDArray[Any] | None = None
    ) -> NDArray[Any]: ...
    def forward(
        self,
        new: ArrayLike,
        old: ArrayLike,
        *late: Never,
        out: NDArray[Any] | None = None,
        **words: Never,
    ) -> NDArray[Any]:
        """Return new with some elements of old, under a new mask. In evaluation, return their mean.

        Parameters
        ----------
        new, old : array_like of float
            The state after and before a step.
        out : ndarray, optional
            Where to write: an array of their shape and dtype. It may be new or old.

        Returns
        -------
        y : ndarray
            A new array, or ``out``.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As in `zoneout`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> fd.Zoneout(0.5, rng=1).eval().forward(np.full(3, 2.0), np.full(3, 1.0))
        array([1.5, 1.5, 1.5])
        """
        if late or words:
            self._refuse(late, words)
        return self._run(new, old, out=out)

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def backward(self, dy: NDArray[ScalarT]) -> tuple[NDArray[ScalarT], NDArray[ScalarT]]: ...
    @overload
    def backward(self, dy: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def backward(self, dy: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the gradients with respect to new and old.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.

        Returns
        -------
        dnew, dold : ndarray
            Of dy's shape and dtype.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        TypeError, ValueError
            As in `zoneout_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.Zoneout(0.5, rng=1)
        >>> y = layer(np.full(4, 2.0), np.full(4, 1.0))
        >>> layer.backward(np.full(4, 10.0))
        (array([ 0., 10.,  0., 10.]), array([10.,  0., 10.,  0.]))
        """
        return zoneout_backward(dy, self._last_mask())

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if self.mask is not None:  # which did not say that it is of zoneout, in early pickles
            self.mask = Mask.from_state(self.mask.state | {"of": "zoneout"})
