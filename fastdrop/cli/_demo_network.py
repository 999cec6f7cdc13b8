# SPDX-License-Identifier: BSD-3-Clause
"""Fully connected ReLU networks in NumPy, one independent network for each seed, stacked.

Every array has a leading axis of seeds, so that one batched matrix product and one call of
dropout serve all the networks at once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import fastdrop as fd

Array = NDArray[Any]
Loss = Callable[[Array, Array], tuple[Array, Array]]


class NoDropout:
    """Leaves every activation alone."""

    def forward(self, h: Array) -> None:
        """Leave the activations `h` as they are; the mask is None."""

    def backward(self, dh: Array, mask: None) -> None:
        """Leave the gradient `dh` as it is."""


class HiddenDropout:
    """Dropout of hidden activations, in place.

    Parameters
    ----------
    keep : float
        Probability of being present.
    rng : source or seed
        Where the masks come from, as in `fastdrop.dropout`.
    """

    def __init__(self, keep: float, rng: Any) -> None:
        self.keep = keep
        self.rng = rng

    def forward(self, h: Array) -> Any:
        """Drop some of the activations `h`, scale the others, and return the mask."""
        _, mask = fd.dropout(h, keep_prob=self.keep, rng=self.rng, out=h)
        return mask

    def backward(self, dh: Array, mask: Any) -> None:
        """Turn `dh` from the gradient after dropout into the gradient before it."""
        fd.dropout_backward(dh, mask, out=dh)


class Networks:
    """A stack of networks with ReLU hidden layers and linear outputs.

    Parameters
    ----------
    sizes : sequence of int
        Units of every layer, from the inputs to the outputs.
    seeds : sequence of int
        One network for each; the seed fixes its initial weights.
    scale : float, optional
        Standard deviation of the initial weights, in units of sqrt(2 / inputs).
    dtype : dtype, optional
        Of all arrays.

    Attributes
    ----------
    weights : list of ndarray
        One (seeds, inputs, outputs) array for each layer.
    biases : list of ndarray
        One (seeds, 1, outputs) array for each layer.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        seeds: Sequence[int],
        scale: float = 1.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        generators = [np.random.default_rng(seed) for seed in seeds]
        self.weights: list[Array] = []
        self.biases: list[Array] = []
        for n_in, n_out in pairwise(sizes):
            normal = np.stack([g.standard_normal((n_in, n_out)) for g in generators])
            self.weights.append((scale * np.sqrt(2 / n_in) * normal).astype(dtype))
            self.biases.append(np.zeros((len(seeds), 1, n_out), dtype))

    def parameters(self) -> list[Array]:
        """Return all weights, then all biases, in one list."""
        return [*self.weights, *self.biases]

    def forward(
        self, x: Array, dropout: HiddenDropout | NoDropout
    ) -> tuple[list[Array], list[Any]]:
        """Return the activations of every layer, inputs and outputs included, and the masks."""
        activations = [x]
        masks = []
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = activations[-1] @ weights
            h += bias
            np.maximum(h, 0, out=h)
            masks.append(dropout.forward(h))
            activations.append(h)
        activations.append(activations[-1] @ self.weights[-1] + self.biases[-1])
        return activations, masks

    def predict(self, x: Array) -> Array:
        """Return the outputs for `x` (seeds, samples, inputs), without dropout."""
        return self.forward(x, NoDropout())[0][-1]

    def loss_and_gradients(
        self, x: Array, targets: Array, loss: Loss, dropout: HiddenDropout | NoDropout
    ) -> tuple[Array, list[Array]]:
        """Return the mean loss of every network and its gradients, in the order of `parameters`."""
        activations, masks = self.forward(x, dropout)
        value, delta = loss(activations.pop(), targets)
        weight_gradients = []
        bias_gradients = []
        for layer in reversed(range(len(self.weights))):
            h = activations[layer]
            weight_gradients.append(h.swapaxes(1, 2) @ delta)
            bias_gradients.append(delta.sum(axis=1, keepdims=True))
            if layer > 0:
                delta = delta @ self.weights[layer].swapaxes(1, 2)
                dropout.backward(delta, masks[layer - 1])
                delta *= h > 0
        return value, [*reversed(weight_gradients), *reversed(bias_gradients)]


def cross_entropy(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Return the mean softmax cross-entropy of every network, and its gradient at the outputs."""
    log_probs = outputs - outputs.max(axis=2, keepdims=True)
    log_probs -= np.log(np.exp(log_probs).sum(axis=2, keepdims=True))
    one_hot = labels[:, :, None] == np.arange(outputs.shape[2])
    value = -log_probs[one_hot].reshape(labels.shape).mean(axis=1)
    return value, (np.exp(log_probs) - one_hot) / outputs.dtype.type(labels.shape[1])


def squared_error(outputs: Array, targets: Array) -> tuple[Array, Array]:
    """Return the squared error of every network, summed over outputs, and half its gradient."""
    difference = outputs - targets
    value = (difference**2).sum(axis=2).mean(axis=1)
    return value, difference / outputs.dtype.type(outputs.shape[1])


def train(
    networks: Networks,
    x: Array,
    targets: Array,
    *,
    loss: Loss,
    dropout: HiddenDropout | NoDropout,
    epochs: int,
    batch: int,
    rate: float,
    momentum: float,
    seed: int,
) -> Iterator[int]:
    """Train by gradient descent with momentum and a rate that falls linearly to zero.

    Parameters
    ----------
    networks : Networks
        Trained in place.
    x, targets : ndarray
        Inputs (seeds, samples, inputs) and what `loss` compares the outputs with.
    loss : callable
        `cross_entropy` or `squared_error`.
    dropout : HiddenDropout or NoDropout
        For all hidden layers.
    epochs, batch : int
        Passes over the samples, and samples in one step; a remainder sits out its epoch.
    rate, momentum : float
        Of the descent.
    seed : int
        For the order of the samples.

    Yields
    ------
    epoch : int
        The number of finished epochs.
    """
    order = np.random.default_rng(seed)
    parameters = networks.parameters()
    velocities = [np.zeros_like(parameter) for parameter in parameters]
    n_samples = x.shape[1]
    n_batches = n_samples // batch
    for epoch in range(epochs):
        batches = order.permutation(n_samples)[: n_batches * batch].reshape(n_batches, batch)
        for step, chosen in enumerate(batches):
            progress = (epoch * n_batches + step) / (epochs * n_batches)
            _, gradients = networks.loss_and_gradients(
                x[:, chosen], targets[:, chosen], loss, dropout
            )
            for parameter, velocity, gradient in zip(
                parameters, velocities, gradients, strict=True
            ):
                velocity *= momentum
                gradient *= rate * (1 - progress)
                velocity -= gradient
                parameter += velocity
        yield epoch + 1
