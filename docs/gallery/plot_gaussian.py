# SPDX-License-Identifier: BSD-3-Clause
"""
Bernoulli against Gaussian noise
================================

Dropout multiplies activations by noise: by 0 or 1 / (1 − *p*), with mean 1 and variance *p* / (1 −
*p*). What if the noise is Gaussian with the same mean and variance? The paper's
table 10 finds it about as good: on MNIST an error of 0.95 % against 1.08 %, on CIFAR-10 12.5 %
against 12.6 %.

The networks and their training are in :ref:`networks.py <sphx_glr_auto_examples_networks.py>`.
"""

# %%
# The two kinds of noise for *p* = 0.5, on ones. Gaussian noise drops nothing, and turns the
# sign of some values instead.

import matplotlib.pyplot as plt
import numpy as np
from networks import NoDropout, classifiers, digits, error_rates, mean_and_error

import fastdrop as fd

ones = np.ones(200_000)
dropped, _ = fd.dropout(ones, p=0.5, rng=0)
noisy, _ = fd.gaussian_dropout(ones, p=0.5, rng=0)

figure, axes = plt.subplots()
bins = np.linspace(-3, 5, 81)
for values, color, name, place in (
    (noisy, "C1", "gaussian_dropout", (2.2, 14)),
    (dropped, "C0", "dropout", (2.2, 42)),
):
    shares = 100 * np.histogram(values, bins)[0] / values.size
    axes.stairs(shares, bins, fill=True, color=color, alpha=0.8)
    axes.annotate(
        f"{name}:\nmean {values.mean():.2f}, variance {values.var():.2f}", place, color=color
    )
axes.set(
    title="What becomes of a one, p = 0.5",
    xlabel="value",
    ylabel="share, % in bins of 0.1",
    xlim=(-3, 5),
)
plt.show()

# %%
# Classifiers of handwritten digits, trained on 100 images each, with either noise in the hidden
# layers. The backward pass is the same function for both.


class Noise:
    """Dropout or Gaussian noise, in place."""

    def __init__(self, function, p):
        self.function, self.p = function, p
        self.source = fd.Xoshiro256PlusPlus(0)

    def forward(self, h):
        """Multiply `h` by noise, and return the mask."""
        _, mask = self.function(h, self.p, rng=self.source, out=h)
        return mask

    def backward(self, dh, mask):
        """Multiply the gradient by the same noise."""
        fd.dropout_backward(dh, mask, out=dh)


N_SEEDS = 24
x, y, x_test, y_test = digits(100, N_SEEDS)


def test_errors(noise):
    """Return the test error of every seed, in percent."""
    return error_rates(classifiers(x, y, noise), x_test, y_test)


ps = np.array([0.1, 0.3, 0.5, 0.7])
without = test_errors(NoDropout())
bernoulli = np.array([test_errors(Noise(fd.dropout, p)) for p in ps])
gaussian = np.array([test_errors(Noise(fd.gaussian_dropout, p)) for p in ps])

# %%
# How many points of test error each saves, against no noise, paired by seed.

figure, axes = plt.subplots()
axes.axhline(0, color="C2", lw=1)
for errors, color, marker, shift in ((bernoulli, "C0", "o", -0.006), (gaussian, "C1", "s", 0.006)):
    gains = zip(*map(mean_and_error, without - errors), strict=True)
    axes.errorbar(ps + shift, *gains, color=color, marker=marker)
axes.annotate("Bernoulli", (0.08, 0.85), color="C0")
axes.annotate("Gaussian", (0.08, 0.7), color="C1")
axes.set(
    title="Gain against no noise, same seeds",
    xlabel="p: variance of the noise is p / (1 − p)",
    ylabel="points of test error saved",
    xticks=ps,
)
plt.show()

for p, a, b in zip(ps, bernoulli, gaussian, strict=True):
    difference, uncertainty = mean_and_error(a - b)
    print(
        f"p = {p}: Bernoulli {a.mean():.2f} %, Gaussian {b.mean():.2f} %, "
        f"difference {difference:+.2f} ± {uncertainty:.2f} points"
    )

# %%
# At 0.7 Gaussian noise is clearly worse here. Up to 0.5 it is worse by one to two standard errors:
# each difference alone could be chance, but all have the same sign. The advantage of 0.13 points
# that the paper found, with other networks and far more images, is not seen in these: at 0.5 the
# difference lies more than three standard errors from it.
