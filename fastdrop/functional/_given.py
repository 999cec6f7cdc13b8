# SPDX-License-Identifier: BSD-3-Clause
"""A Mask that the caller gives."""

from fastdrop._checks import check_made_by, refuse_alpha, refuse_other_maker, refuse_with_mask
from fastdrop._words import HALF
from fastdrop.functional._scales import alpha_numbers
from fastdrop.mask._mask import Mask, is_of_zoneout

__all__ = ["check_given_mask", "check_mask_of"]


def check_given_mask(mask: Mask, p: object = HALF, **given: object) -> None:
    """Check that a Mask is one of dropout, and that no argument says what it says itself."""
    if p is not HALF:
        refuse_with_mask("p", p)
    for name, value in given.items():
        if value is not None:
            refuse_with_mask(name, value)
    numbers = type(mask.p) is type(mask.scale) is float
    # Of a tiny p, the two scales are the same number.
    of_alpha = numbers and 0.0 < mask.p < 1.0 and mask.scale == alpha_numbers(mask.p)[0]
    if of_alpha and mask.scale != 1.0 / (1.0 - mask.p):
        refuse_alpha(mask.scale)
    if is_of_zoneout(mask):
        refuse_other_maker("a mask of dropout", mask)


def check_mask_of(maker: str, mask: object) -> None:
    """Check that a mask, of which a gradient is computed, is one of dropout."""
    check_given_mask(check_made_by(maker, mask, Mask))
