# SPDX-License-Identifier: BSD-3-Clause
"""Attributes of layers that are checked whenever they are set."""

from collections.abc import Callable
from typing import Any

__all__ = ["Setting"]


class Setting:
    """An attribute that holds what ``check`` returns of the layer, its name and the value.

    The value itself is in the layer's ``__dict__``, under the same name.
    """

    def __init__(self, check: Callable[[Any, str, Any], Any]) -> None:
        self.check = check
        self.name = ""
        self.__doc__ = None  # what it holds is said where the layer is

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        try:
            return layer.__dict__[self.name]
        except KeyError:
            raise AttributeError(
                f"{type(layer).__name__!r} object has no attribute {self.name!r}"
            ) from None

    def __set__(self, layer: Any, value: Any) -> None:
        layer.__dict__[self.name] = self.check(layer, self.name, value)
