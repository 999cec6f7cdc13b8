# SPDX-License-Identifier: BSD-3-Clause
"""
The gain against the number of training images
==============================================

When does dropout help? The paper's figure 10 shows no gain on MNIST with 100 or 500 training
images, the largest one with some thousands, and less beyond. The digits of scikit-learn are fewer
and have 64 pixels rather than 784, so the numbers are other ones.

The networks and their training are in :ref:`networks.py <sphx_glr_auto_examples_networks.py>`.
"""

# %%
# Classifiers with and without dropout, for training sets of five sizes. All take the same number
# of steps; all images that are not trained on are for the test.

import matplotlib.pyplot as plt
from networks import HiddenDropout, NoDropout, classifiers, digits, error_rates, mean_and_error

import fastdrop as fd

N_SEEDS = 24
sizes = [50, 100, 200, 400, 800]
without, half = [], []
for size in sizes:
    x, y, x_test, y_test = digits(size, N_SEEDS)
    for errors, dropout in (
        (without, NoDropout()),
        (half, HiddenDropout(0.5, fd.Xoshiro256PlusPlus(0))),
    ):
        errors.append(error_rates(classifiers(x, y, dropout), x_test, y_test))
gains = [mean_and_error(a - b) for a, b in zip(without, half, strict=True)]

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(5.8, 5.8))
for errors, color, name, place in (
    (without, "C1", "without dropout", (110, 12.2)),
    (half, "C0", "keep_prob=0.5", (52, 6.5)),
):
    above.errorbar(sizes, *zip(*map(mean_and_error, errors), strict=True), color=color, marker="o")
    above.annotate(name, place, color=color)
above.set(ylabel="test error, %", title="Digits, mean and standard error of 24 seeds")
above.set_ylim(0, None)
below.axhline(0, color="C2", lw=1)
below.errorbar(sizes, *zip(*gains, strict=True), color="C0", marker="o")
below.set(ylabel="points saved, paired by seed", xlabel="training images (logarithmic)")
below.set_xscale("log")
below.set_xticks(sizes, sizes)
below.minorticks_off()
plt.show()

# %%
# The shape is the paper's, for smaller numbers. The gain is largest with 100 and 200 images, and
# clear with 400 too. With 50 and with 800 it is less than two of its standard errors.

print("images   without   with   points saved   share of the error saved")
for size, a, b, (gain, uncertainty) in zip(sizes, without, half, gains, strict=True):
    share = gain / a.mean()
    print(
        f"{size:6}   {a.mean():5.2f} %  {b.mean():5.2f} %"
        f"   {gain:.2f} ± {uncertainty:.2f}    {share:4.0%}"
    )
