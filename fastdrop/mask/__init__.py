# SPDX-License-Identifier: BSD-3-Clause
"""Second stage: masks. They say which elements are kept, or (Gaussian) hold the factor of each."""

from fastdrop.mask._gaussian_mask import GaussianMask
from fastdrop.mask._mask import Mask

__all__ = ["GaussianMask", "Mask"]
