# SPDX-License-Identifier: BSD-3-Clause
"""A Mask that the caller gives."""

from fastdrop.functional._scales import alpha_numbers
from fastdrop.mask._mask import Mask, is_of_zoneout

__all__ = ["check_given_mask"]


def check_given_mask(mask: Mask, **beside: object) -> None:
    """Check that a Mask is one of dropout, and that nothing beside it says what it says itself."""
    for name, value in beside.items():
        if value is not None:
            raise TypeError(f"{name} is {value!r} beside a Mask, which brings its own")
    numbers = type(mask.p) is type(mask.scale) is float
    # Of a tiny p, the two scales are the same number.
    of_alpha = numbers and 0.0 < mask.p < 1.0 and mask.scale == alpha_numbers(mask.p)[0]
    if of_alpha and mask.scale != 1.0 / (1.0 - mask.p):
        raise ValueError(
            f"mask scales what it keeps by {mask.scale}, as those of alpha_dropout do; it must "
            "be a mask of dropout"
        )
    if is_of_zoneout(mask):
        raise ValueError(f"mask is {mask!r}; it must be a mask of dropout")
