# SPDX-License-Identifier: BSD-3-Clause
"""The table of all signatures, which the documentation prints."""

import inspect
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "signatures.md"


def written(prefix):
    """Name -> parameters, of the lines of the table that begin with a prefix and a name."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(prefix)]
    split = (line.removeprefix(prefix).partition("(") for line in lines)
    return {name: f"({rest}" for name, _, rest in split if "." not in name}


def found(module, names):
    """Name -> parameters, as the module has them, without types."""
    result = {}
    for name in names:
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        bare = [each.replace(annotation=each.empty) for each in parameters]
        result[name] = str(inspect.Signature(bare))
    return result
