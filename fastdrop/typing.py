# SPDX-License-Identifier: BSD-3-Clause
"""Names for the types of arguments, for the annotations of programs that pass them on."""

from fastdrop._typing import (
    AxesLike,
    BitGeneratorLike,
    NoiseShapeLike,
    ProbabilityLike,
    RNGLike,
    Scale,
    SeedLike,
    Shape,
    ShapeLike,
    Store,
    WordsLike,
)

__all__ = [
    "AxesLike",
    "BitGeneratorLike",
    "NoiseShapeLike",
    "ProbabilityLike",
    "RNGLike",
    "Scale",
    "SeedLike",
    "Shape",
    "ShapeLike",
    "Store",
    "WordsLike",
]
