# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

from typing_extensions import disjoint_base

from fastdrop._typing import ProbabilityLike

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

@disjoint_base
class Probability:
    def __init__(
        self, p: ProbabilityLike, keep_prob: ProbabilityLike | None, name: str = "p"
    ) -> None: ...
    @property
    def is_array(self) -> bool: ...
    @property
    def p(self) -> Any: ...
    @property
    def keep_prob(self) -> Any: ...
    @property
    def scale(self) -> Any: ...

@disjoint_base
class Numbers: ...

def probability_of(
    p: ProbabilityLike, keep_prob: ProbabilityLike | None = None, name: str = "p"
) -> Probability: ...
