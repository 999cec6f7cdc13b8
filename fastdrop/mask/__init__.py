# SPDX-License-Identifier: BSD-3-Clause
"""Second stage: masks, which say what elements are kept, or (Gaussian) what each is times."""

from fastdrop.mask._gaussian_mask import GaussianMask
from fastdrop.mask._mask import Mask

__all__ = ["GaussianMask", "Mask"]
