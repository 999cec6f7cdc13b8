# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

SMALL: int
WORDS: int

def function_names() -> list[str]: ...
def find_key_set(samples: list[tuple[Any, int]]) -> int | None: ...
def register(
    addresses: list[int],
    offset: int,
    plain: list[int],
    watching: list[int],
    in_python: list[int],
    ones: list[Any],
    words: list[tuple[Any, Any]],
) -> bool: ...
def turn(on: bool) -> None: ...
