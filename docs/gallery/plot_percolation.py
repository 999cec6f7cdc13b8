# SPDX-License-Identifier: BSD-3-Clause
"""
Percolation
===========

Open each site of a square lattice with some probability. Is there a way from the top to the bottom
through open neighbours? On a large lattice the answer jumps from no to yes at a probability of
0.5927, which is known from simulations alone. :func:`fastdrop.bernoulli` opens the sites; no
network is involved.
"""

# %%
# Three lattices of 200 x 200 sites from one seed: open sites, and in dark the largest cluster of
# them.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from scipy import ndimage

import fastdrop as fd

THRESHOLD = 0.592746  # to six digits, from the literature

figure, panels = plt.subplots(1, 3, figsize=(5.8, 2.5))
for axes, prob in zip(panels, (0.54, 0.5927, 0.64), strict=True):
    clusters, _ = ndimage.label(fd.bernoulli((200, 200), prob, rng=1))
    sizes = np.bincount(clusters.ravel())
    sizes[0] = 0  # closed sites
    picture = (clusters > 0) + 1 * (clusters == sizes.argmax())
    axes.imshow(picture, cmap=ListedColormap(["white", "#d5dde2", "C0"]), interpolation="nearest")
    axes.set_title(f"prob = {prob}", fontsize=11)
    axes.set(xticks=(), yticks=())
    axes.spines[:].set_visible(True)
plt.show()

# %%
# Draws of one seed are nested: with a larger probability, sites only open. So every lattice has
# one probability from which on there is a way, and bisection finds it. No lattice is stored; each
# is drawn again from its seed.


def has_way(clusters):
    """Whether a cluster touches both the top and the bottom."""
    return np.intersect1d(clusters[0], clusters[-1]).any()


def threshold(side, seed):
    """Return where a lattice of side x side sites begins to have a way."""
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        prob = (low + high) / 2
        clusters, _ = ndimage.label(fd.bernoulli((side, side), prob, rng=seed))
        low, high = (low, prob) if has_way(clusters) else (prob, high)
    return high


n_lattices = {16: 400, 64: 400, 256: 200}
thresholds = {
    side: np.sort([threshold(side, seed) for seed in range(number)])
    for side, number in n_lattices.items()
}

# %%
# The share of lattices that have a way. The larger the lattices, the steeper the curve, and the
# curves meet where the jump of the infinite lattice is.

figure, axes = plt.subplots()
axes.axvline(THRESHOLD, color="C1", lw=1)
axes.annotate("0.5927", (THRESHOLD, 1.03), ha="center", color="C1", annotation_clip=False)
for (side, values), color, place in zip(
    thresholds.items(),
    ("#9cc3d1", "#5299b0", "C0"),
    ((0.475, 0.2), (0.538, 0.13), (0.63, 0.3)),
    strict=True,
):
    axes.ecdf(values, color=color)
    axes.annotate(f"{side} x {side}", place, color=color, fontsize=11, ha="center")
axes.set(
    title="Lattices with a way",
    xlabel="probability that a site is open",
    ylabel="share of lattices with a way",
    xlim=(0.42, 0.72),
    ylim=(0, 1),
)
plt.show()

for side, values in thresholds.items():
    error = values.std(ddof=1) / np.sqrt(values.size)
    print(f"{side:3} x {side:3}: mean threshold {values.mean():.4f} ± {error:.4f}")
