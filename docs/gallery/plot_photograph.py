# SPDX-License-Identifier: BSD-3-Clause
"""
A photograph, one decision for many pixels
==========================================

Dropout is not only for networks: it masks any array of floats. ``noise_shape`` says which elements
share a decision. A photograph shows what that means.
"""

# %%

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import fastdrop as fd

photograph = load_sample_image("china.jpg")[::2, ::2] / 255  # (rows, columns, colours)
rows, columns, colours = photograph.shape

cases = {
    "every value": None,
    "whole pixels": (None, None, 1),
    "rows": (None, 1, 1),
    "colours of a row": (None, 1, None),
}
figure, panels = plt.subplots(2, 2, figsize=(5.8, 5.0), layout="compressed")
for axes, (name, noise_shape) in zip(panels.flat, cases.items(), strict=True):
    y, mask = fd.dropout(photograph, p=0.5, noise_shape=noise_shape, scale="none", rng=0)
    axes.imshow(y)
    axes.set_title(f"{name}:\n{mask.size:,} decisions", fontsize=11)
    axes.set_axis_off()
plt.show()

# %%
# ``None`` stands for the length that the array has there, and 1 for one decision for all. For
# squares of pixels, split the rows and columns, and put them together again:

side = 10
whole = photograph[: rows // side * side, : columns // side * side]
blocks = whole.reshape(rows // side, side, columns // side, side, colours)
y, mask = fd.dropout(blocks, p=0.5, noise_shape=(None, 1, None, 1, 1), scale="none", rng=1)

# %%
# Masks of one seed are nested: with a larger probability more is dropped, and nothing comes back.
# So a photograph can vanish bit by bit, and every stage can be had without the ones before it.

figure, panels = plt.subplots(2, 2, figsize=(5.8, 5.0), layout="compressed")
for axes, p in zip(panels.flat, (0.2, 0.5, 0.8, 0.95), strict=True):
    noise_shape = (None, 1, None, 1, 1)
    y, mask = fd.dropout(blocks, p=p, noise_shape=noise_shape, scale="none", rng=1)
    axes.imshow(y.reshape(whole.shape))
    axes.set_title(f"p = {p}", fontsize=11)
    axes.set_axis_off()
plt.show()
