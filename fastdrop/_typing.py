# SPDX-License-Identifier: BSD-3-Clause
"""Names for the types of arguments."""

from collections.abc import Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    Union,
)

import numpy as np
from numpy.random import Generator, RandomState
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from fastdrop.source import NumPySource

__all__ = [
    "ArrayLike",
    "AxesLike",
    "BitGeneratorLike",
    "BoolArray",
    "NDArray",
    "NoiseShapeLike",
    "ProbabilityLike",
    "RNGLike",
    "ScalarT",
    "Scale",
    "SeedLike",
    "Shape",
    "ShapeLike",
    "Store",
    "WordsLike",
]

# Element type of an array that goes in and comes out. Not only NumPy's: bfloat16 is another's.
ScalarT = TypeVar("ScalarT", bound=np.generic)

BoolArray: TypeAlias = NDArray[np.bool_]

# A number; where the documentation says so, also an array of them, which broadcasts to the mask.
ProbabilityLike: TypeAlias = SupportsFloat | NDArray[np.floating[Any] | np.integer[Any]]
Scale: TypeAlias = Literal["train", "test", "none"]
Store: TypeAlias = Literal["auto", "seed", "bits"]

Shape: TypeAlias = tuple[int, ...]
ShapeLike: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
NoiseShapeLike: TypeAlias = Sequence[SupportsIndex | None]
AxesLike: TypeAlias = SupportsIndex | Sequence[SupportsIndex]


class BitGeneratorLike(Protocol):
    """NumPy's bit generators, all sources but `NumPySource`, and what else has this interface."""

    @property
    def capsule(self) -> Any: ...

    @property
    def lock(self) -> Any: ...


WordsLike: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
SeedLike: TypeAlias = (
    int | np.integer[Any] | Sequence[int] | NDArray[np.integer[Any]] | ISeedSequence
)
# NumPySource by its name: the sources import the checks, which use this module.
RNGLike: TypeAlias = Union[SeedLike, BitGeneratorLike, Generator, RandomState, "NumPySource", None]
