# SPDX-License-Identifier: BSD-3-Clause
"""
Monte Carlo dropout
===================

A network with dropout is many networks. In evaluation one usually takes the mean network, in which
nothing is dropped and weights are scaled instead. Or one can keep dropping, predict many times,
and average: Monte Carlo dropout. The spread of the predictions is then a measure of uncertainty.
How good are the average, and the measure?

The networks and their training are in :ref:`networks.py <sphx_glr_auto_examples_networks.py>`.
"""

# %%
# The average
# -----------
#
# The paper's figure 11: how many samples does one need until their average is as good as the mean
# network? Classifiers of handwritten digits, trained on 100 images each with ``keep_prob=0.5``.
# What is averaged are the probabilities of the ten classes.

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np
from networks import (
    HiddenDropout,
    Networks,
    classifiers,
    digits,
    error_rates,
    fit,
    mean_and_error,
    squared_error,
)
from sklearn.datasets import load_diabetes

import fastdrop as fd

N_SEEDS, N_SAMPLES = 12, 100
x, y, x_test, y_test = digits(100, N_SEEDS)
dropout = HiddenDropout(0.5, fd.Xoshiro256PlusPlus(0))
networks = classifiers(x, y, dropout)


def softmax(outputs):
    """Return probabilities."""
    powers = np.exp(outputs - outputs.max(axis=2, keepdims=True))
    return powers / powers.sum(axis=2, keepdims=True)


def probabilities(images):
    """Return what networks with fresh masks think of the images."""
    return softmax(networks.forward(images, dropout)[0][-1])


prediction = fd.mc_predict(probabilities, x_test, N_SAMPLES)  # (samples, seeds, images, classes)
averages = np.cumsum(prediction.samples, axis=0)  # but for a factor
sampled = 100 * np.mean(averages.argmax(axis=3) != y_test, axis=2)
mean_network = error_rates(networks, x_test, y_test)

# %%
# Paired by seed: how much worse the average of so many samples is than the mean network.

samples = np.arange(1, N_SAMPLES + 1)
excess, uncertainty = np.transpose([mean_and_error(errors - mean_network) for errors in sampled])

figure, axes = plt.subplots()
axes.axhline(0, color="C1", lw=1.5)
axes.annotate("the mean network", (1, 0), (4, -16), textcoords="offset points", color="C1")
axes.fill_between(samples, excess - uncertainty, excess + uncertainty, color="C0", alpha=0.25, lw=0)
axes.plot(samples, excess, color="C0")
axes.annotate("average of samples", (5, excess[4]), (8, 8), textcoords="offset points", color="C0")
axes.set(
    title="Excess test error over the mean network",
    xlabel="samples (logarithmic)",
    ylabel="points, mean ± standard error",
    xscale="log",
    xlim=(1, N_SAMPLES),
    ylim=(-1, None),
)
axes.set_xticks((1, 2, 5, 10, 20, 50, 100), (1, 2, 5, 10, 20, 50, 100))
axes.minorticks_off()
plt.show()

print(f"mean network: {mean_network.mean():.2f} % test error")
for n in (1, 10, 50, 100):
    print(f"{n:3} samples: {excess[n - 1]:+.2f} ± {uncertainty[n - 1]:.2f} points")

# %%
# Single samples are much worse, and some tens of them suffice: with 50 the average is as good as
# the mean network, as in the paper. The mean network costs one evaluation rather than 50.

# %%
# The uncertainty
# ---------------
#
# Networks with dropout at ``keep_prob=0.9`` predict how far diabetes progresses in a year, as a
# score, from the body mass index alone. Some patients are held out: those in the middle, or those
# with the largest index.

diabetes = load_diabetes(scaled=False)
bmi, progression = diabetes.data[:, 2], diabetes.target


def standardise(values, by):
    """Return `values` in standard deviations of `by` from its mean."""
    return ((values - by.mean()) / by.std()).astype(np.float32)[None, :, None]


def trained_on(training):
    """Train on some of the patients; return a function for Monte Carlo mean and deviation."""
    networks = Networks((1, 128, 128, 1), [0])
    dropout = HiddenDropout(0.9, fd.Xoshiro256PlusPlus(0))
    inputs = standardise(bmi[training], bmi)
    targets = standardise(progression[training], progression)
    options = {"loss": squared_error, "epochs": 200, "batch": 50, "rate": 0.02}
    fit(networks, inputs, targets, dropout, **options)

    def predict(at):
        inputs = standardise(at, bmi)
        mean, std, _ = fd.mc_predict(lambda x: networks.forward(x, dropout)[0][-1], inputs, 200)
        return (
            progression.mean() + progression.std() * mean.ravel(),
            progression.std() * std.ravel(),
        )

    return predict


holes = {
    "the middle held out": (bmi > 25) & (bmi < 29),
    "the largest held out": bmi > 28,
}
predictions = {name: trained_on(~held_out) for name, held_out in holes.items()}
grid = np.linspace(17, 43, 131)

figure, panels = plt.subplots(2, sharex=True, sharey=True, figsize=(5.8, 6.6))
for axes, (name, held_out) in zip(panels, holes.items(), strict=True):
    mean, deviation = predictions[name](grid)
    low, high = mean - 2 * deviation, mean + 2 * deviation
    axes.fill_between(grid, low, high, color="C0", alpha=0.25, lw=0)
    axes.plot(grid, mean, color="C0")
    for chosen, color, label, place in (
        (~held_out, "C2", "trained on", (17.4, 300)),
        (held_out, "C1", "held out", (17.4, 335)),
    ):
        axes.plot(bmi[chosen], progression[chosen], ".", color=color, ms=5, mew=0)
        axes.annotate(label, place, color=color)
    axes.set(title=name.capitalize(), ylabel="progression, score", ylim=(0, 420))
    axes.set_xlim(grid[0], grid[-1])
panels[0].annotate("mean ± 2 standard deviations", (17.4, 370), color="C0")
panels[1].set_xlabel("body mass index, kg/m²")
plt.show()

# %%
# Look where the band is narrow and where it is wide. It is narrowest in the middle, hole or not: a
# ReLU network runs straight through, whatever is dropped. To the right of the data it widens, but
# far less than it would have to.
#
# The band is about the curve, not about patients. With the spread of the residuals added, do 95 %
# of the patients lie within?

for name, held_out in holes.items():
    mean, deviation = predictions[name](bmi)
    residuals = progression - mean
    spread = np.hypot(deviation, residuals[~held_out].std())
    inside = np.abs(residuals) < 1.96 * spread
    print(
        f"{name:20}: {inside[~held_out].mean():.0%} of those trained on, "
        f"{inside[held_out].mean():.0%} of the held out"
    )

# %%
# Of those trained on, they do. In the hole it is somewhat fewer, and beyond the data far fewer:
# there Monte Carlo dropout says that it is less certain, and is still much too certain. This is one
# data set and one small network; but do check such intervals on held-out data before you rely on
# them.
