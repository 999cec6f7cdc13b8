# SPDX-License-Identifier: BSD-3-Clause
"""
Features of an autoencoder
==========================

What do hidden units look for? Without dropout, units can make up for the mistakes of others, and
each alone means little. With dropout none can rely on the others. The paper's figure 7 shows what
comes of it: features that find strokes, edges and spots on their own.

Here are two autoencoders of handwritten digits of 8 x 8 pixels, with 256 hidden units. They differ
in nothing but dropout of those units.

The networks and their training are in :ref:`networks.py <sphx_glr_auto_examples_networks.py>`.
"""

# %%

import matplotlib.pyplot as plt
import numpy as np
from networks import NoDropout, autoencoders, digits, mean_and_error, squared_error

N_SEEDS = 2
x, _, x_test, _ = digits(1500, N_SEEDS)
without = autoencoders(x, keep_prob=1.0)
half = autoencoders(x, keep_prob=0.5)

# %%
# The first 64 units of the first seed, not chosen. A square shows the weights of one unit for the
# pixels, blue for negative and red for positive, each on a scale of its own.


def tiles(weights, side=8):
    """Return one picture of side x side features, with a blank line between them."""
    features = weights.T[: side**2]
    features = features / np.abs(features).max(axis=1, keepdims=True)
    picture = np.full((side, 9, side, 9), np.nan)
    picture[:, :8, :, :8] = features.reshape(side, side, 8, 8).swapaxes(1, 2)
    return picture.reshape(9 * side, 9 * side)[:-1, :-1]


figure, panels = plt.subplots(1, 2, figsize=(5.8, 3.3))
for axes, networks, name in zip(
    panels, (without, half), ("without dropout", "keep_prob=0.5"), strict=True
):
    axes.imshow(tiles(networks.weights[0][0]), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_title(name)
    axes.set_axis_off()
plt.show()

# %%
# How local is a feature? The participation ratio counts the pixels that matter: it is *n* for *n*
# equal weights and zeros elsewhere.


def pixels(networks):
    """Return the participation ratio of every unit of every seed."""
    squares = networks.weights[0] ** 2
    return squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)


figure, axes = plt.subplots()
bins = np.arange(0, 33, 2)
for networks, color, name, place in (
    (without, "C1", "without dropout", (22, 12)),
    (half, "C0", "keep_prob=0.5", (1, 14)),
):
    shares, _ = np.histogram(pixels(networks), bins)
    axes.stairs(100 * shares / shares.sum(), bins, baseline=None, color=color, lw=2)
    axes.annotate(name, place, color=color)
axes.set(
    title=f"Hidden units of {N_SEEDS} seeds",
    xlabel="pixels that a unit looks at (of 64)",
    ylabel="share of the units, %",
    xlim=(0, 32),
    ylim=(0, None),
)
plt.show()

# %%
# With dropout the features are more local: about one in six looks at fewer than 4 pixels; without
# dropout one in a hundred does. What digits of 64 pixels cannot show are the strokes that the paper
# found in images of 784.
#
# It has its price. The autoencoders with dropout reconstruct less exactly, even though nothing
# is dropped in this comparison.

for networks, name in ((without, "without dropout"), (half, "keep_prob=0.5")):
    outputs = networks.forward(x_test, NoDropout())[0][-1]
    error = squared_error(outputs, x_test)[0] / x_test.var(axis=1).sum(axis=1)
    print(
        f"{name:15}: median of {np.median(pixels(networks)):.1f} pixels per unit, "
        f"{np.mean(pixels(networks) < 4):.0%} below 4, "
        f"squared error {100 * mean_and_error(error)[0]:.2f} % of the variance of test images"
    )
