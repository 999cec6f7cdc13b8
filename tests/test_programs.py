# SPDX-License-Identifier: BSD-3-Clause
"""Small programs of people in different jobs: each uses the package as its own task wants it."""

import itertools
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import fastdrop as fd

rng = np.random.default_rng(2026)
X = rng.standard_normal((32, 20)).astype(np.float32)


def test_a_teacher_shows_that_the_expectation_stays():
    x = np.full(200_000, 3.0)
    trained, _ = fd.dropout(x, p=0.4, rng=1)
    assert abs(trained.mean() - 3.0) < 0.05
    paper, _ = fd.dropout(x, keep_prob=0.6, scale="test", rng=1)
    evaluated, _ = fd.dropout(x, keep_prob=0.6, scale="test", training=False)
    assert abs(paper.mean() - evaluated.mean()) < 0.05


def test_a_statistician_thins_a_sample():
    population = np.arange(1_000_000)
    taken = population[fd.bernoulli(population.size, 0.01, rng=7)]
    assert abs(len(taken) - 10_000) < 5 * (10_000 * 0.99) ** 0.5
    assert np.array_equal(taken, population[fd.bernoulli(population.size, 0.01, rng=7)])


def test_someone_who_comes_from_pytorch():
    y, mask = fd.dropout(X, 0.5, training=True, rng=1)
    assert np.array_equal(mask.backward(np.ones_like(X)), (y != 0) * np.float32(2))
    with pytest.raises(TypeError, match="by position: give True by name"):
        fd.dropout(X, 0.5, True)
    with pytest.raises(TypeError, match="inplace=True: it is called out here, and takes the array"):
        fd.dropout(X, 0.5, inplace=True)


def test_someone_who_comes_from_keras():
    with pytest.raises(TypeError, match="it is called p here"):
        fd.Dropout(rate=0.5, seed=1)
    layer = fd.Dropout(0.5, noise_shape=(None, 1), rng=1)
    rows = layer(X)
    assert set((rows == 0).sum(1)) == {0, 20}


def test_someone_who_comes_from_timm():
    """There drop_prob is 0 by default; here p must be said, so that nothing dies silently."""
    with pytest.raises(TypeError, match="p must be given"):
        fd.drop_path(X)
    y, mask = fd.drop_path(X, 0.25, rng=3)
    assert mask.shape == (32, 1)
    assert np.array_equal((y != 0).all(1), np.asarray(mask)[:, 0])
    rates = fd.drop_path_rates(3, 0.2)
    assert np.allclose(rates, [0.0, 0.1, 0.2])


class Linear:
    """A layer of one's own, with dropout inside."""

    def __init__(self, source):
        self.weights = rng.standard_normal((20, 5))
        self.source = source

    def forward(self, x):
        self.x, self.mask = fd.dropout(x.astype(float), 0.3, rng=self.source)
        return self.x @ self.weights

    def backward(self, dy):
        return self.mask.backward(dy @ self.weights.T)


def test_a_layer_of_ones_own():
    layer, step = Linear(fd.Xoshiro256PlusPlus(5)), 1e-6
    layer.forward(X)
    gradient = layer.backward(np.ones((32, 5)))
    moved = X.astype(float)
    moved[3, 4] += step
    change = (layer.mask.apply(moved) - layer.x) @ layer.weights
    assert abs(change.sum() / step - gradient[3, 4]) < 1e-4


def test_a_recurrent_network_has_one_mask_for_all_steps():
    sequence = rng.standard_normal((4, 9, 6))  # batch, time, width
    y, mask = fd.dropout(sequence, 0.5, broadcast_axes=1, rng=2)
    assert mask.shape == (4, 1, 6)
    assert all(np.array_equal(y[:, t] == 0, y[:, 0] == 0) for t in range(9))
    state = np.zeros((4, 6))
    for t in range(9):
        state, _ = fd.zoneout(np.tanh(y[:, t] + state), state, 0.2, rng=[2, t])
    assert np.isfinite(state).all()


def test_uncertainty_by_monte_carlo():
    layer = fd.Dropout(0.3, rng=1)
    predictions = fd.mc_predict(lambda x: layer(x).sum(1), X, n=50)
    assert predictions.mean.shape == predictions.std.shape == (32,)
    assert (predictions.std > 0).all()


def test_masks_on_disk(tmp_path):
    mask = fd.dropout_mask((30, 40), 0.2, rng=9)
    (tmp_path / "mask.json").write_text(json.dumps(mask.state))
    assert fd.Mask.from_state(json.loads((tmp_path / "mask.json").read_text())) == mask
    np.save(tmp_path / "bits.npy", mask.packed().bits)
    again = fd.Mask.from_bits(np.load(tmp_path / "bits.npy"), (30, 40), 0.2)
    assert again == mask


def test_masks_on_workers():
    mask = fd.dropout_mask(X.shape, 0.5, rng=11)
    jobs = [(mask[first : first + 8], X[first : first + 8]) for first in range(0, 32, 8)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        parts = [*pool.map(fd.Mask.apply, *zip(*jobs, strict=True))]
    assert np.array_equal(np.concatenate(parts), mask.apply(X))


def test_a_place_for_every_layer_and_step():
    masks = {
        (layer, step): fd.dropout_mask(64, rng=[7, layer, step])
        for layer in (1, 2)
        for step in (1, 2)
    }
    assert len({bytes(mask.packed().bits) for mask in masks.values()}) == 4
    assert masks[1, 2] == fd.dropout_mask(64, rng=[7, 1, 2])


def test_the_masks_of_an_older_program():
    """One that wrote ``rng.random(shape) >= p``: the same bits, from the same generator."""
    source = fd.NumPySource(np.random.default_rng(3), draws="double")
    mask = fd.dropout_mask((5, 7), 0.3, rng=source)
    assert np.array_equal(mask, np.random.default_rng(3).random((5, 7)) >= 0.3)


def test_missing_values_for_a_study_of_imputation():
    mask = fd.dropout_mask(X.shape, 0.1, rng=4)
    table = np.ma.array(X, mask=~mask)
    assert table.count() == mask.sum()
    assert np.isnan(np.where(mask, X, np.nan)).sum() == X.size - mask.sum()


def test_maps_are_dropped_whole():
    images = np.ones((2, 3, 8, 8))
    y, mask = fd.dropout2d(images, 0.5, rng=1)
    assert mask.shape == (2, 3, 1, 1)
    one, _ = fd.dropout2d(images[0], 0.5, rng=1)  # (C, H, W)
    assert {len(np.unique(channel)) for channel in one} == {1}
    assert {len(np.unique(channel)) for image in y for channel in image} == {1}


def test_spike_trains_as_bits():
    bits = fd.bernoulli((100, 1000), 0.02, rng=5, packed=True)
    spikes = fd.bernoulli((100, 1000), 0.02, rng=5)
    assert np.bitwise_count(bits).sum() == spikes.sum()


def test_a_network_of_layers_is_trained_and_evaluated():
    layers = [fd.Dropout(0.2, rng=1), fd.AlphaDropout(0.1, rng=2), fd.GaussianDropout(0.3, rng=3)]
    y = X
    for layer in layers:
        y = layer(y)
    dx = np.ones_like(y)
    for layer in reversed(layers):
        dx = layer.backward(dx)
    assert dx.shape == X.shape
    assert not np.array_equal(y, X)
    for layer in layers:
        assert layer.eval()(X) is X


def test_training_goes_on_after_a_restart():
    source = fd.Philox4x32(8)
    first = [fd.dropout_mask(100, rng=source) for _ in range(3)]
    kept = pickle.dumps(source)
    rest = [fd.dropout_mask(100, rng=source) for _ in range(3)]
    restarted = pickle.loads(kept)
    assert [fd.dropout_mask(100, rng=restarted) for _ in range(3)] == rest
    restarted.position = 0
    assert [fd.dropout_mask(100, rng=restarted) for _ in range(3)] == first


def test_weights_are_dropped_instead_of_nodes():
    weights = rng.standard_normal((5, 20)).astype(np.float32)
    y, mask = fd.drop_connect(X, weights, 0.3, rng=6)
    dx, dweights = fd.drop_connect_backward(np.ones_like(y), X, weights, mask)[:2]
    assert y.shape == (32, 5) and dx.shape == X.shape and dweights.shape == weights.shape


def test_blocks_of_images_are_dropped():
    images = np.ones((8, 4, 28, 28))
    y, _ = fd.drop_block2d(images, 0.1, block_size=5, rng=1)
    assert abs((y == 0).mean() - 0.1) < 0.05


def test_a_residual_block_in_one_pass():
    residual = rng.standard_normal(X.shape).astype(np.float32)
    y, mask = fd.dropout_add(X, residual, 0.2, rng=1)
    assert np.array_equal(y, residual + mask.apply(X))
    y, mask = fd.relu_dropout(X, 0.5, rng=1)
    assert np.array_equal(y, mask.apply(np.maximum(X, 0)))


def test_many_runs_of_one_experiment_share_nothing():
    children = fd.Xoshiro256PlusPlus(1).spawn(3)
    masks = [fd.dropout_mask(1000, rng=child) for child in children]
    agreement = [np.mean(np.asarray(a) == np.asarray(b)) for a, b in itertools.pairwise(masks)]
    assert all(abs(share - 0.5) < 0.1 for share in agreement)
