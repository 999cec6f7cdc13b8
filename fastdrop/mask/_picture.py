# SPDX-License-Identifier: BSD-3-Clause
"""Shows a mask in a notebook: a line of text, and a corner of it as a small picture."""

import html
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastdrop.mask._mask import Mask

__all__ = ["html_of"]

ROWS, COLUMNS, CELL = 16, 48, 6


def html_of(mask: "Mask") -> str:
    """Return a mask as HTML: what is kept has the colour of the text, dark or light."""
    text = f"<code>{html.escape(repr(mask))}</code>"
    if mask.size == 0:
        return text
    last = (slice(ROWS), slice(COLUMNS))[max(0, 2 - mask.ndim) :]
    corner = mask[(0,) * (mask.ndim - len(last)) + last]
    kept = np.atleast_2d(np.asarray(corner))
    height, width = kept.shape
    runs = []
    for row, cells in enumerate(kept):
        edges = np.flatnonzero(np.diff(cells, prepend=False, append=False))
        runs += [f"M{a} {row}h{b - a}v1h{a - b}z" for a, b in edges.reshape(-1, 2).tolist()]
    part = "" if corner.size == mask.size else ", the first elements"
    return (
        f"<div>{text}<br>"
        f'<svg role="img" width="{CELL * width}" height="{CELL * height}" '
        f'viewBox="0 0 {width} {height}" style="color:inherit;background:none">'
        f"<title>kept{part}</title>"
        f'<rect width="{width}" height="{height}" fill="currentColor" opacity=".12"/>'
        f'<path d="{"".join(runs)}" fill="currentColor" opacity=".75"/></svg></div>'
    )
