# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

__pyx_capi__: dict[str, Any]
__test__: dict[str, str]
