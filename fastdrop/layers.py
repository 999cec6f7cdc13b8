# SPDX-License-Identifier: BSD-3-Clause
"""The functions as layers, which keep their settings, their source and their last mask.

`Layer` is what all have in common; `ArrayLayer` is forward and backward of one array. A layer names
its function, and those of its own attributes that go to it by keyword.
"""

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from fastdrop._checks import (
    as_array,
    check_channel_axis,
    check_choice,
    check_entries,
    check_noise_lengths,
    check_one_way_to_share,
    check_p,
    check_positive,
    check_probabilities,
    check_switch,
    shown,
    takes_array,
)
from fastdrop._typing import (
    ArrayLike,
    AxesLike,
    NDArray,
    NoiseShapeLike,
    ProbabilityLike,
    RNGLike,
    Scale,
)
from fastdrop.functional import (
    alpha_dropout,
    drop_block2d,
    drop_connect,
    drop_connect_backward,
    drop_path,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    dropout_add,
    dropout_backward,
    embedding_dropout,
    feature_alpha_dropout,
    gaussian_dropout,
    relu_dropout,
    zoneout,
    zoneout_backward,
)
from fastdrop.functional.connect import widened
from fastdrop.functional.dropout import SCALES
from fastdrop.mask import GaussianMask, Mask
from fastdrop.source import NumPySource, Source
from fastdrop.source.default import as_source

__all__ = [
    "AlphaDropout",
    "DropBlock2d",
    "DropConnect",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutAdd",
    "EmbeddingDropout",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "ReLUDropout",
    "Zoneout",
]

# A function of the family: arrays and p, then keywords.
Forward: TypeAlias = Callable[..., tuple[NDArray[Any], Any]]


class Layer:
    """What all layers have: p, a source, training or evaluation, and the mask of the last call."""

    _function: ClassVar[Forward]
    _options: ClassVar[tuple[str, ...]] = ()
    _arrays: ClassVar[bool] = False  # p may be an array
    forward: Callable[..., NDArray[Any]]

    def __init__(self, p: ProbabilityLike, rng: RNGLike) -> None:
        several = self._arrays and takes_array("p", p)
        self.p: Any = check_probabilities("p", p) if several else check_p(p)
        # None stays None: after a fork the process-wide source is another one.
        self.rng: Source | NumPySource | None = None if rng is None else as_source(rng)
        self.training: bool = True
        self.mask: Mask | GaussianMask | None = None

    def __call__(self, *arrays: ArrayLike, **options: Any) -> NDArray[Any]:
        return self.forward(*arrays, **options)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, or to evaluation.

        Parameters
        ----------
        mode : bool, default True
            False is evaluation.

        Returns
        -------
        layer : Layer
            Itself.

        Raises
        ------
        TypeError
            If mode is neither True nor False.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.Dropout().eval().train().training
        True
        """
        self.training = check_switch("mode", mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation: nothing is drawn and nothing dropped.

        Returns
        -------
        layer : Layer
            Itself.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.Dropout().eval()([1.0, 2.0])
        array([1., 2.])
        """
        return self.train(False)

    def _run(self, *arrays: ArrayLike, **given: Any) -> NDArray[Any]:
        """Call the function and keep its mask."""
        options = {name: getattr(self, name) for name in self._options}
        y, self.mask = self._function(
            *arrays, self.p, rng=self.rng, training=self.training, **options, **given
        )
        return y

    def __setstate__(self, state: Any) -> None:
        """Take what was pickled, which may be anything: the constructor checks it again."""
        # Subclasses of users may have another constructor.
        ours = next(base for base in type(self).__mro__ if base.__module__ == __name__)
        settings = list(inspect.signature(ours).parameters)
        check_entries("the pickled layer", state, (*settings, "training", "mask"))
        ours.__init__(self, **{name: state[name] for name in settings})  # type: ignore[misc]
        self.training = check_switch("training", state["training"])
        if not isinstance(state["mask"], (Mask, GaussianMask, NoneType)):
            raise TypeError(f"mask is {shown(state['mask'])}; it must be a mask or None")
        self.__dict__.update({name: state[name] for name in state if name not in settings})

    def _last_mask(self) -> Any:
        if self.mask is None:
            raise RuntimeError(f"{self!r} has no mask; allowed is backward after forward")
        return self.mask

    def _shown(self) -> dict[str, Any]:
        """Return what repr shows: p, and options that are not as the function has them."""
        parameters = inspect.signature(self._function).parameters
        options = {name: getattr(self, name) for name in self._options}
        return {"p": self.p} | {
            name: value for name, value in options.items() if value != parameters[name].default
        }

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown().items())
        return f"{type(self).__name__}({shown})"


class ArrayLayer(Layer):
    """A layer of one array."""

    def forward(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return y under a new mask, which is kept; in evaluation nothing is dropped.

        Parameters
        ----------
        x : array_like of float
            As of the function of this layer.
        out : ndarray, optional
            Where to write, of x's shape and dtype; may be x.

        Returns
        -------
        y : ndarray
            Of x's shape and dtype; ``out`` where that is given.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As of the function of this layer.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.Dropout(0.5, rng=1)
        >>> layer.forward(np.ones(4)), layer(np.ones(4))
        (array([0., 2., 0., 2.]), array([0., 2., 0., 0.]))
        """
        return self._run(x, out=out)

    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
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
            As of `dropout_backward`.

        Raises
        ------
        RuntimeError
            If there was no forward.
        TypeError, ValueError
            As of `dropout_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.Dropout(0.5, rng=1)
        >>> y = layer(np.ones(4))
        >>> layer.backward(np.full(4, 10.0))
        array([ 0., 20.,  0., 20.])
        """
        return dropout_backward(dy, self._last_mask(), out=out)


class _PlainLayer(ArrayLayer):
    """A layer with no settings but p."""

    def __init__(self, p: ProbabilityLike = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)


class Dropout(ArrayLayer):
    """`dropout` as a layer: each element on its own, or some together.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        Probability of dropping, in [0, 1]; an attribute, to be changed at any time. An array
        broadcasts to the mask, as of `dropout`.
    scale : {"train", "test", "none"}, default "train"
        As of `dropout`.
    noise_shape : sequence of int or None, optional
        As of `dropout`.
    broadcast_axes : int or sequence of int, optional
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        Where masks come from. A seed makes one source when the layer is made: masks differ from
        call to call, and a run can be repeated. None: the process-wide source.

    Attributes
    ----------
    training : bool
        Set by `train` and `eval`.
    mask : Mask or None
        Of the last call of `forward`.

    Raises
    ------
    TypeError, ValueError
        If p, scale or rng is of another type or out of range.

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
    _options = ("scale", "noise_shape", "broadcast_axes")

    def __init__(
        self,
        p: ProbabilityLike = 0.5,
        *,
        scale: Scale = "train",
        noise_shape: NoiseShapeLike | None = None,
        broadcast_axes: AxesLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        check_choice("scale", scale, SCALES)
        check_one_way_to_share(noise_shape, broadcast_axes)
        super().__init__(p, rng)
        self.scale = scale
        self.noise_shape: tuple[int | None, ...] | None = (
            None if noise_shape is None else check_noise_lengths(noise_shape)
        )
        self.broadcast_axes = broadcast_axes


class _ChannelLayer(ArrayLayer):
    """Dropout of channels."""

    _arrays = True
    _axes: ClassVar[int]  # of a batch
    _options = ("channel_axis",)

    def __init__(
        self, p: ProbabilityLike = 0.5, *, channel_axis: int = 1, rng: RNGLike = None
    ) -> None:
        super().__init__(p, rng)
        check_channel_axis(channel_axis, self._axes)
        self.channel_axis = channel_axis


class Dropout1d(_ChannelLayer):
    """`dropout1d` as a layer: whole channels of ``(N, C, L)``.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        As of `Dropout`.
    channel_axis : int, default 1
        As of `dropout1d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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
        As of `Dropout`.
    channel_axis : int, default 1
        As of `dropout2d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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
        As of `Dropout`.
    channel_axis : int, default 1
        As of `dropout3d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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


class DropPath(ArrayLayer):
    """`drop_path` as a layer: whole samples of a residual branch.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        As of `Dropout`.
    scale : {"train", "test", "none"}, default "train"
        As of `drop_path`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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

    def __init__(
        self, p: ProbabilityLike = 0.5, *, scale: Scale = "train", rng: RNGLike = None
    ) -> None:
        check_choice("scale", scale, SCALES)
        super().__init__(p, rng)
        self.scale = scale


class EmbeddingDropout(_PlainLayer):
    """`embedding_dropout` as a layer: whole rows of a table ``(V, D)``.

    Its array is the table; words are looked up in what it returns.

    Parameters
    ----------
    p : float or ndarray, default 0.5
        As of `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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


class DropBlock2d(ArrayLayer):
    """`drop_block2d` as a layer: square blocks of the maps of ``(N, C, H, W)``.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`; p is what the fraction of dropped elements is near to.
    block_size : int, default 7
        As of `drop_block2d`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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

    def __init__(
        self, p: ProbabilityLike = 0.5, *, block_size: int = 7, rng: RNGLike = None
    ) -> None:
        super().__init__(p, rng)
        self.block_size: int = check_positive("block_size", block_size)


class AlphaDropout(ArrayLayer):
    """`alpha_dropout` as a layer: mean 0 and variance 1 stay.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    noise_shape : sequence of int or None, optional
        As of `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.AlphaDropout(0.5, rng=1)
    >>> layer(np.ones(4)).round(2)
    array([-0.78,  1.67, -0.78,  1.67])
    """

    _function: ClassVar[Forward] = staticmethod(alpha_dropout)
    _options = ("noise_shape",)

    def __init__(
        self,
        p: ProbabilityLike = 0.5,
        *,
        noise_shape: NoiseShapeLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        super().__init__(p, rng)
        self.noise_shape: tuple[int | None, ...] | None = (
            None if noise_shape is None else check_noise_lengths(noise_shape)
        )


class FeatureAlphaDropout(_PlainLayer):
    """`feature_alpha_dropout` as a layer: whole channels of ``(N, C, ...)``.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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


class GaussianDropout(_PlainLayer):
    """`gaussian_dropout` as a layer: noise of mean 1.

    Parameters
    ----------
    p : float, default 0.5
        In [0, 1): the variance of the noise is p / (1 - p). At 1 a call is an error.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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


class ReLUDropout(_PlainLayer):
    """`relu_dropout` as a layer: ``dropout(relu(x))`` in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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


class Zoneout(Layer):
    """`zoneout` as a layer: elements of a state stay as they were.

    Parameters
    ----------
    p : float, default 0.5
        Probability of keeping the old state, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.Zoneout(0.5, rng=1)
    >>> layer(np.full(4, 2.0), np.full(4, 1.0))
    array([1., 2., 1., 2.])
    """

    _function: ClassVar[Forward] = staticmethod(zoneout)

    def __init__(self, p: ProbabilityLike = 0.5, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)

    def forward(
        self, new: ArrayLike, old: ArrayLike, *, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return new with some elements of old, under a new mask; in evaluation their mean.

        Parameters
        ----------
        new, old : array_like of float
            The state after and before a step.
        out : ndarray, optional
            Where to write, of their shape and dtype; may be new or old.

        Returns
        -------
        y : ndarray
            A new array, or ``out``.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As of `zoneout`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> fd.Zoneout(0.5, rng=1).eval().forward(np.full(3, 2.0), np.full(3, 1.0))
        array([1.5, 1.5, 1.5])
        """
        return self._run(new, old, out=out)

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
            If there was no forward.
        TypeError, ValueError
            As of `zoneout_backward`.

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


class DropoutAdd(Layer):
    """`dropout_add` as a layer: the end of a residual branch, in one pass.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    bias : array_like of float, optional
        Of the length of x's last axis. An array is kept, not copied: so it can be changed in
        place.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

    Attributes
    ----------
    dbias : ndarray or None
        Gradient with respect to bias, set by `backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> layer = fd.DropoutAdd(0.5, bias=np.arange(4.0), rng=1)
    >>> layer(np.ones((2, 4)), np.full((2, 4), 10.0))
    array([[10., 14., 10., 18.],
           [10., 14., 10., 10.]])
    """

    _function: ClassVar[Forward] = staticmethod(dropout_add)
    _options = ("bias",)

    def __init__(
        self, p: ProbabilityLike = 0.5, *, bias: ArrayLike | None = None, rng: RNGLike = None
    ) -> None:
        super().__init__(p, rng)
        self.bias: NDArray[Any] | None = None if bias is None else as_array("bias", bias)
        self.dbias: NDArray[Any] | None = None

    def forward(
        self, x: ArrayLike, residual: ArrayLike, *, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return ``residual + dropout(x + bias)`` under a new mask.

        Parameters
        ----------
        x, residual : array_like of float
            Output of the branch, and what it is added to.
        out : ndarray, optional
            Where to write, of x's shape and dtype; may be x or residual.

        Returns
        -------
        y : ndarray
            Of x's shape and dtype; ``out`` where that is given.

        Raises
        ------
        TypeError, ValueError, OverflowError
            As of `dropout_add`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> fd.DropoutAdd(0.5, rng=1).forward(np.ones(4), np.full(4, 10.0))
        array([10., 12., 10., 12.])
        """
        return self._run(x, residual, out=out)

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
            If there was no forward.
        TypeError, ValueError
            As of `dropout_backward`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> layer = fd.DropoutAdd(0.5, bias=np.zeros(4), rng=1)
        >>> y = layer(np.ones((2, 4)), np.ones((2, 4)))
        >>> dx, dresidual = layer.backward(np.ones((2, 4)))
        >>> layer.dbias
        array([0., 4., 0., 2.])
        """
        dx = dropout_backward(dy, self._last_mask())
        if self.bias is not None:
            self.dbias = widened(dx).sum(axis=tuple(range(dx.ndim - 1))).astype(dx.dtype)
        return dx, np.asarray(dy)

    def _shown(self) -> dict[str, Any]:
        if self.bias is None:
            return {"p": self.p}
        return {"features": self.bias.size, "p": self.p}


class DropConnect(Layer):
    """`drop_connect` as a layer: a linear map that loses connections.

    Parameters
    ----------
    weight : array_like of float
        Of shape (features_out, features_in). An array is kept, not copied: so it can be changed
        in place.
    p : float or ndarray, default 0.5
        As of `Dropout`.
    bias : array_like of float, optional
        Of shape (features_out,); kept likewise.
    rng : None, int, sequence, SeedSequence, source, Generator, BitGenerator or RandomState
        As of `Dropout`.

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
        p: ProbabilityLike = 0.5,
        *,
        bias: ArrayLike | None = None,
        rng: RNGLike = None,
    ) -> None:
        super().__init__(p, rng)
        self.weight: NDArray[Any] = as_array("weight", weight)
        if self.weight.ndim != 2:
            raise ValueError(
                f"weight has shape {self.weight.shape}; allowed are two axes, "
                "(features_out, features_in)"
            )
        self.bias: NDArray[Any] | None = None if bias is None else as_array("bias", bias)
        self.x: NDArray[Any] | None = None
        self.dweight: NDArray[Any] | None = None
        self.dbias: NDArray[Any] | None = None

    def forward(self, x: ArrayLike) -> NDArray[Any]:
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
            As of `drop_connect`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastdrop as fd
        >>> fd.DropConnect(np.ones((3, 4)), p=0.5, rng=1).forward(np.ones(4))
        array([4., 2., 6.])
        """
        x = as_array("x", x)
        y = self._run(x, self.weight)
        self.x = x
        return y

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
            If there was no forward.
        TypeError, ValueError
            As of `drop_connect_backward`.

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
        assert self.x is not None  # kept beside the mask
        dx, self.dweight, self.dbias = drop_connect_backward(dy, self.x, self.weight, mask)
        return dx

    def _shown(self) -> dict[str, Any]:
        features_out, features_in = self.weight.shape
        shown = {"features_in": features_in, "features_out": features_out, "p": self.p}
        return shown if self.bias is not None else shown | {"bias": None}
