# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from typing import Any, NotRequired, Self, SupportsIndex, TypedDict, TypeVar, type_check_only

import numpy as np
from numpy.random import BitGenerator
from numpy.random.bit_generator import ISeedSequence
from typing_extensions import disjoint_base

from fastdrop._typing import NDArray, SeedLike, WordsLike

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

_SourceT = TypeVar("_SourceT", bound=Source)

@type_check_only
class SourceState(TypedDict):
    bit_generator: str
    key: tuple[int, int]
    counter: tuple[int, int, int, int]
    position: int
    state: dict[str, Any]
    s: NotRequired[NDArray[np.uint64]]

@disjoint_base
class Source(BitGenerator):
    def __new__(
        cls,
        seed: SeedLike | None = None,
        *,
        key: WordsLike | None = None,
        counter: WordsLike | None = None,
    ) -> Self: ...
    @property
    def key(self) -> tuple[int, int]: ...
    @property
    def counter(self) -> tuple[int, int, int, int]: ...
    @property
    def position(self) -> int: ...
    @position.setter
    def position(self, value: SupportsIndex) -> None: ...
    @property
    def state(self) -> SourceState: ...
    @state.setter
    def state(self, value: Mapping[str, Any]) -> None: ...
    def spawn(self, n_children: int) -> list[Self]: ...
    def jumped(self, jumps: int | np.integer[Any] = 1) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def new_in_children(source: _SourceT) -> _SourceT: ...
def rebuild(
    cls: type[_SourceT],
    seed_seq: ISeedSequence,
    key: tuple[int, int],
    counter: tuple[int, int, int, int],
    position: int,
) -> _SourceT: ...
