# SPDX-License-Identifier: BSD-3-Clause
def capsules() -> dict[str, object]: ...

__test__: dict[str, str]
