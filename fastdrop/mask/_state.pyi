# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

__test__: dict[str, str]
__pyx_capi__: dict[str, Any]

STREAM_VERSION: int
SOURCE_NAMES: dict[int, str]
