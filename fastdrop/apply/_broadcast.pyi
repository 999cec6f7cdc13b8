# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from typing import Any, Never

from typing_extensions import disjoint_base

__pyx_capi__: dict[str, Any]
__test__: dict[str, str]

def __reduce_cython__(self: Any) -> Never: ...
def __setstate_cython__(self: Any, __pyx_state: Any) -> Never: ...

@disjoint_base
class Broadcast:
    def __init__(self, lengths: Sequence[int], steps: Sequence[int]) -> None: ...
    @property
    def elements(self) -> int: ...
    @property
    def shared(self) -> int: ...
    @property
    def gathers(self) -> bool: ...
