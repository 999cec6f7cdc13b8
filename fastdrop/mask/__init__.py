# SPDX-License-Identifier: BSD-3-Clause
"""Second stage: masks, which say what elements are kept, as a seed or as bits."""

from fastdrop.mask._mask import Mask

__all__ = ["Mask"]
