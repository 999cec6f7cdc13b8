# SPDX-License-Identifier: BSD-3-Clause
"""
The networks of these examples
==============================

What the examples share: the data, the training, and how errors are counted.

The networks are those of ``python -m fastdrop demo``: fully connected, ReLU, in NumPy. Every array
has a leading axis of seeds, so that many independent networks are trained at once, each with its
own training images, initial weights and masks. All settings see the same seeds, so that their
differences are *paired*.

A kind of dropout is an object with two methods that work in place: ``forward(h)`` returns a mask,
and ``backward(dh, mask)`` applies it to the gradient.
"""

# %%
import numpy as np
from sklearn.datasets import load_digits

import fastdrop as fd
from fastdrop.cli._demo_network import (
    HiddenDropout,
    Networks,
    NoDropout,
    cross_entropy,
    squared_error,
    train,
)
from fastdrop.cli._demo_results import mean_and_error
from fastdrop.cli._demo_training import split

__all__ = [
    "HiddenDropout",
    "Networks",
    "NoDropout",
    "autoencoders",
    "classifiers",
    "digits",
    "error_rates",
    "fit",
    "mean_and_error",
    "squared_error",
]


# %%
# Data: 8 x 8 images of handwritten digits. Each seed has its own training images; all others
# are its test images.


def digits(n_training, n_seeds):
    """Return x, y, x_test and y_test, each with a leading axis of seeds."""
    return split(load_digits(), n_training, range(n_seeds))


# %%
# Training: gradient descent with momentum 0.9, and a rate that falls linearly to zero. The
# classifiers have two hidden layers of 128 units: 26,000 weights, far more than 100 images can
# determine.


def fit(networks, x, targets, dropout, **options):
    """Train `networks` in place and return them."""
    for _ in train(networks, x, targets, dropout=dropout, momentum=0.9, seed=0, **options):
        pass
    return networks


def classifiers(x, y, dropout, kind=Networks, steps=400):
    """Return trained classifiers, one for each seed of `x`, with 50 images in each step."""
    n_seeds, n_images, n_pixels = x.shape
    networks = kind((n_pixels, 128, 128, 10), range(n_seeds))
    epochs = 50 * steps // n_images
    return fit(networks, x, y, dropout, loss=cross_entropy, epochs=epochs, batch=50, rate=0.05)


def autoencoders(x, keep_prob, epochs=300):
    """Return trained autoencoders with 256 hidden units; 1.0 keeps all: no dropout."""
    n_seeds, _, n_pixels = x.shape
    networks = Networks((n_pixels, 256, n_pixels), range(n_seeds), scale=0.03)
    dropout = NoDropout() if keep_prob == 1 else HiddenDropout(keep_prob, fd.Xoshiro256PlusPlus(0))
    return fit(networks, x, x, dropout, loss=squared_error, epochs=epochs, batch=50, rate=0.1)


# %%
# Evaluation: without dropout, unless a kind of dropout has something to do there too.


def error_rates(networks, x, labels, dropout=None):
    """Return the classification error of every network, in percent."""
    outputs = networks.forward(x, dropout or NoDropout())[0][-1]
    return 100 * np.mean(outputs.argmax(axis=2) != labels, axis=1)


# %%
# The first training images of two seeds.

if __name__ == "__main__":
    import matplotlib.pyplot as plt

    x, y, _, _ = digits(100, 2)
    figure, panels = plt.subplots(2, 6, figsize=(5.8, 2.9))
    figure.suptitle("Training images and their labels")
    for axes, image, label in zip(
        panels.flat, x[:, :6].reshape(12, 8, 8), y[:, :6].flat, strict=True
    ):
        axes.imshow(image, cmap="gray_r")
        axes.set_title(label, loc="center", pad=4)
        axes.set_axis_off()
    plt.show()
