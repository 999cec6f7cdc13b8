# SPDX-License-Identifier: BSD-3-Clause
"""First stage: sources of random bytes, fastdrop's (addressable) and NumPy's (sequential)."""

from fastdrop.source._generators import Philox4x32, Xorshift128Plus, Xoshiro256PlusPlus
from fastdrop.source._numpy_source import NumPySource
from fastdrop.source._source import Source

__all__ = ["NumPySource", "Philox4x32", "Source", "Xorshift128Plus", "Xoshiro256PlusPlus"]
