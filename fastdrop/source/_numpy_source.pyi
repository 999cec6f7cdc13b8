# SPDX-License-Identifier: BSD-3-Clause
from typing import Any, Literal, Self

from numpy.random import Generator, RandomState
from typing_extensions import disjoint_base

from fastdrop._typing import BitGeneratorLike

__test__: dict[str, str]

@disjoint_base
class NumPySource:
    def __init__(
        self,
        bit_generator: BitGeneratorLike | Generator | RandomState,
        draws: Literal["bytes", "double", "float"] = "bytes",
    ) -> None: ...
    @property
    def bit_generator(self) -> BitGeneratorLike: ...
    @property
    def draws(self) -> Literal["bytes", "double", "float"]: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...
