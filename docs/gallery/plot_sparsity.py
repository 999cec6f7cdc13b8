# SPDX-License-Identifier: BSD-3-Clause
"""
Sparsity of the hidden units
============================

Dropout makes activations sparse, although nothing asks for it: for every image fewer units are
active, and these less. The paper's figure 8 shows it by histograms of the mean activation of each
unit, and of all activations, for images that were not trained on. Here they are for autoencoders
of handwritten digits.

The networks and their training are in :ref:`networks.py <sphx_glr_auto_examples_networks.py>`.
"""

# %%
# Nothing is dropped while the activations are looked at.

import matplotlib.pyplot as plt
import numpy as np
from networks import NoDropout, autoencoders, digits, mean_and_error

N_SEEDS = 4
x, _, x_test, _ = digits(1500, N_SEEDS)


def activations(keep_prob):
    """Return the activations of trained autoencoders, (seeds, test images, units)."""
    networks = autoencoders(x, keep_prob, epochs=200)
    return networks.forward(x_test, NoDropout())[0][1]


without = activations(1.0)
half = activations(0.5)
settings = ((without, "C1", "without dropout"), (half, "C0", "keep_prob=0.5"))


def draw(axes, values, end, color):
    """Draw a histogram from 0 to `end`, in percent."""
    counts, edges = np.histogram(values, 40, (0, end))
    axes.stairs(100 * counts / values.size, edges, baseline=None, color=color, lw=2)


# %%
# The mean activation of each unit.

figure, axes = plt.subplots()
for values, color, name in settings:
    unit_means = values.mean(axis=1)
    draw(axes, unit_means, 0.32, color)
    left, top = (0.085, 30) if color == "C0" else (0.22, 14)
    axes.annotate(f"{name}:\nmean {values.mean():.2f}", (left, top), color=color)
axes.set(
    title="Hidden units",
    xlabel="mean activation of a unit over the test images",
    ylabel="share of the units, %",
    xlim=(0, 0.32),
    ylim=(0, None),
)
plt.show()

# %%
# All activations. The leftmost step contains the units that are silent.

figure, axes = plt.subplots()
for values, color, name in settings:
    draw(axes, values, 0.8, color)
    left, top = (0.02, 0.014) if color == "C0" else (0.4, 7)
    silent = 100 * (values == 0).mean()
    axes.annotate(f"{name}:\n{silent:.0f} % exactly zero", (left, top), color=color)
axes.set(
    title="Activations of all units for all test images",
    xlabel="activation",
    ylabel="share, % (logarithmic)",
    yscale="log",
    xlim=(0, 0.8),
    ylim=(0.01, 110),
)
axes.set_yticks((0.01, 0.1, 1, 10, 100), ("0.01", "0.1", "1", "10", "100"))
axes.minorticks_off()
plt.show()

# %%
# The seeds hardly differ:

for values, _, name in settings:
    mean, uncertainty = mean_and_error(values.mean(axis=(1, 2)))
    print(f"{name:15}: mean activation {mean:.4f} ± {uncertainty:.4f}, {N_SEEDS} seeds")

# %%
# There is a plain cause. The outputs are linear, and the mean squared error over all masks is
# that without dropout plus a penalty: for ``keep_prob=0.5`` the sum over the units of *h*\ ²
# times \|\ *w*\ \|², with the activation *h* and the outgoing weights *w*. It punishes strong
# activations that few units share.
