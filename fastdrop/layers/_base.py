# SPDX-License-Identifier: BSD-3-Clause
"""What all layers have in common.

`Layer` is that; `ArrayLayer` is forward and backward of one array. A layer names its function, and
those of its own attributes that go to it by keyword.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Never,
    NoReturn,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

from fastdrop._checks import (
    check_axes_to_come,
    check_entries,
    check_probabilities,
    check_probability,
    check_state_mask,
    check_switch,
    is_array,
    takes_array,
)
from fastdrop._typing import ArrayLike, NDArray, ProbabilityLike, RNGLike, ScalarT
from fastdrop._words import explained, public, refuse
from fastdrop.functional import dropout_backward
from fastdrop.layers._setting import Setting
from fastdrop.mask import GaussianMask, Mask
from fastdrop.source import NumPySource, Source
from fastdrop.source.default import as_source

__all__ = ["ArrayLayer", "Forward", "Layer", "PlainLayer", "checked_axes", "checked_probability"]

# A function of the family: arrays and p, then keywords.
Forward: TypeAlias = Callable[..., tuple[NDArray[Any], Any]]

MaskT = TypeVar("MaskT", Mask, GaussianMask)


def checked_probability(layer: Any, name: str, value: Any) -> Any:
    """Return a probability, or an array of them where the function takes one."""
    if value is None and "keep_prob" in layer._options:
        return None  # the other of the two is given
    several = layer._arrays and takes_array(name, value)
    return (check_probabilities if several else check_probability)(name, value)


def checked_axes(layer: Any, name: str, value: Any) -> Any:
    """Return broadcast_axes; which of them x has, is seen in each call."""
    check_axes_to_come(name, value)
    return value


def _source(layer: Any, name: str, value: RNGLike) -> Any:
    # None stays None: after a fork the process-wide source is another one.
    return None if value is None else as_source(value)


class Layer(Generic[MaskT]):
    """What all layers have: p, a source, training or evaluation, and the mask of the last call.

    Attributes
    ----------
    training : bool
        Whether the layer drops. `train` and `eval` switch it.
    """

    mask: MaskT  # None before the first call
    _function: ClassVar[Forward]
    _options: ClassVar[tuple[str, ...]] = ()
    _arrays: ClassVar[bool] = False  # p may be an array
    _places: ClassVar[dict[str, str]] = {"training": "switch a layer by its methods train and eval"}
    forward: Callable[..., NDArray[Any]]

    p: Any = Setting(checked_probability)
    rng: Source | NumPySource | None = Setting(_source)  # type: ignore[assignment]
    training: bool = Setting(  # type: ignore[assignment]
        lambda layer, name, value: check_switch(name, value)
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__.startswith(__package__):
            if "__init__" in vars(cls):
                type.__setattr__(cls, "__init__", explained(cls.__init__, cls._places))
            for name, method in vars(cls).items():
                if inspect.isfunction(method) and not name.startswith("_"):
                    public()(method)

    def __init__(self, p: ProbabilityLike | None, rng: RNGLike) -> None:
        self.p = p
        self.rng = rng  # type: ignore[assignment]
        self.training = True
        self.mask = None  # type: ignore[assignment]

    def __call__(self, *arrays: Any, **options: Any) -> NDArray[Any]:
        return self.forward(*arrays, **options)

    @public()
    def train(self, mode: bool = True) -> Self:
        """Switch to training, or to evaluation.

        Parameters
        ----------
        mode : bool, default True
            False is evaluation.

        Returns
        -------
        layer : Layer
            The layer itself.

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

    @public()
    def eval(self) -> Self:
        """Switch to evaluation: nothing is drawn and nothing dropped.

        Returns
        -------
        layer : Layer
            The layer itself.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.Dropout().eval()([1.0, 2.0])
        array([1., 2.])
        """
        return self.train(False)

    def _run(self, *arrays: ArrayLike, **given: Any) -> NDArray[Any]:
        """Call the function, keep its mask and return y."""
        (y,) = self._call(*arrays, **given)
        return y

    def _call(self, *arrays: ArrayLike | None, **given: Any) -> tuple[NDArray[Any], ...]:
        """Call the function, keep its mask and return the rest."""
        settings = self.__dict__  # at once, without the detour over descriptors
        options = {name: settings[name] for name in self._options}
        if settings["p"] is not None or settings.get("keep_prob") is None:
            arrays = (*arrays, settings["p"])  # None is refused there
        result = self._function(
            *arrays, rng=settings["rng"], training=settings["training"], **options, **given
        )
        self.mask = result[-1]
        return result[:-1]

    def _refuse(self, late: tuple[object, ...], words: Mapping[str, object]) -> NoReturn:
        made = "give it when the layer is made"
        places = dict.fromkeys(inspect.signature(type(self)).parameters, made) | self._places
        refuse(type(self).forward, late, words, f"{type(self).__name__}.forward", places)

    def __setstate__(self, state: Any) -> None:
        """Take what was pickled, which may be anything: the constructor checks it again."""
        # Subclasses of users may have another constructor.
        own: type[Layer[Any]] = next(
            base for base in type(self).__mro__ if base.__module__ == "fastdrop"
        )
        settings = inspect.signature(own).parameters
        # Earlier versions had fewer settings: the others are as they were then, by default.
        required: list[str] = [
            name for name, each in settings.items() if each.default is each.empty
        ]
        check_entries("the pickled layer", state, ("p", *required, "rng", "training", "mask"))
        given = {name: state[name] for name in settings if name in state}
        if given["p"] is None and given.get("keep_prob") is not None:
            del given["p"]  # the layer was made with the other of the two
        own.__init__(self, **given)
        self.training = state["training"]
        check_state_mask(state["mask"], Mask, GaussianMask, NoneType)
        self.__dict__.update({name: state[name] for name in state if name not in settings})

    def _last_mask(self) -> Any:
        if self.mask is None:
            raise RuntimeError(f"{self!r} has no mask yet: call forward before backward")
        return self.mask

    def _shown(self) -> dict[str, Any]:
        """Return what repr shows: p, and options that are not as the function has them."""
        parameters = inspect.signature(self._function).parameters
        options = {name: getattr(self, name) for name in self._options}
        changed = {
            name: value
            for name, value in options.items()
            if is_array(value) or value != parameters[name].default
        }
        return changed if self.p is None else {"p": self.p} | changed

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown().items())
        return f"{type(self).__name__}({shown})"


class ArrayLayer(Layer[MaskT]):
    """A layer of one array."""

    _places: ClassVar[dict[str, str]] = Layer._places | {
        "inplace": "give out=x in each call, which writes into x"
    }

    @overload
    def forward(
        self, x: NDArray[ScalarT], *, out: NDArray[ScalarT] | None = None
    ) -> NDArray[ScalarT]: ...
    @overload
    def forward(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def forward(
        self,
        x: ArrayLike,
        *late: Never,
        out: NDArray[Any] | None = None,
        **words: Never,
    ) -> NDArray[Any]:
        """Return y under a new mask, which the layer keeps. In evaluation nothing is dropped.

        Parameters
        ----------
        x : array_like of float
            As in the function of this layer.
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
        >>> layer = fd.Dropout(0.5, rng=1)
        >>> layer.forward(np.ones(4)), layer(np.ones(4))
        (array([0., 2., 0., 2.]), array([0., 2., 0., 0.]))
        """
        if late or words:
            self._refuse(late, words)
        return self._run(x, out=out)

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def backward(
        self, dy: NDArray[ScalarT], *, out: NDArray[ScalarT] | None = None
    ) -> NDArray[ScalarT]: ...
    @overload
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the gradient with respect to x of the last call of `forward`.

        Parameters
        ----------
        dy : array_like of float
            Gradient with respect to y.
        out : ndarray, optional
            Where to write: an array of dy's shape and dtype. It may be dy.

        Returns
        -------
        dx : ndarray
            As in `dropout_backward`.

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
        >>> layer = fd.Dropout(0.5, rng=1)
        >>> y = layer(np.ones(4))
        >>> layer.backward(np.full(4, 10.0))
        array([ 0., 20.,  0., 20.])
        """
        return dropout_backward(dy, self._last_mask(), out=out)


class PlainLayer(ArrayLayer[MaskT]):
    """A layer with no settings but p."""

    def __init__(self, p: ProbabilityLike, *, rng: RNGLike = None) -> None:
        super().__init__(p, rng)
