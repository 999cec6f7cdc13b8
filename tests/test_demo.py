# SPDX-License-Identifier: BSD-3-Clause
"""The demo, in miniature: its figures and numbers, and the gradients of its network."""

import argparse

import numpy as np
import pytest

from fastdrop.cli import demo
from fastdrop.cli._demo_network import (
    HiddenDropout,
    Networks,
    NoDropout,
    cross_entropy,
    squared_error,
    train,
)
from fastdrop.cli._demo_results import HALF, WITHOUT, Gain, Plan
from fastdrop.cli._demo_training import TimedDropout, autoencode, classify, split

pytest.importorskip("rich")
imread = pytest.importorskip("matplotlib.image").imread
load_digits = pytest.importorskip("sklearn.datasets").load_digits

PLAN = Plan(
    keeps=(0.1, HALF, WITHOUT),
    seeds=3,
    training_images=60,
    hidden=(16, 16),
    epochs=60,
    checkpoints=4,
    autoencoder_seeds=2,
    autoencoder_units=64,
    autoencoder_images=200,
    autoencoder_epochs=2,
)
FIGURES = {"test_error.png", "learning_curves.png", "features.png", "activations.png"}


def no_tick(description):
    pass


def parse(*arguments):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(list(arguments))


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_main_prints_a_table_and_writes_the_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "QUICK", PLAN)
    folder = tmp_path / "new" / "plots"
    assert demo.main(parse("--quick", "--out", str(folder), "--seed", "3")) == 0

    output = capsys.readouterr().out
    assert output.startswith("Loading the digits")
    lines = output.splitlines()
    place = lines.index(f"Plots in {folder.resolve()}:")
    assert {line.strip() for line in lines[place + 1 :]} == FIGURES
    assert "keep" in output
    assert "NumPy idiom" in output
    assert "nan" not in output
    assert "inf" not in output
    assert {path.name for path in folder.iterdir()} == FIGURES
    for path in folder.iterdir():
        image = imread(path)
        assert min(image.shape[:2]) > 500
        assert image[..., :3].std() > 0.03


def test_numbers_are_finite_and_plausible(digits):
    settings = [classify(digits, PLAN, 3, keep, no_tick) for keep in PLAN.keeps]
    for setting in settings:
        for errors in (setting.train_error, setting.test_error):
            assert errors.shape == (PLAN.seeds,)
            assert ((errors >= 0) & (errors <= 100)).all()
        if setting.keep == WITHOUT:
            assert setting.times is None
        else:
            times = setting.times
            assert np.isfinite([times.step, times.dropout, times.idiom]).all()
            assert min(times.step, times.dropout, times.idiom) > 0
    assert settings[-1].test_error.mean() < 60  # guessing gives 90
    assert settings[0].test_error.mean() > settings[-1].test_error.mean()  # 0.1 underfits

    autoencoder = autoencode(digits, PLAN, 3, HALF, no_tick)
    assert autoencoder.features.shape == (2, 64, 64)
    assert autoencoder.activations.shape == (2, len(digits.target) - 200, 64)
    assert np.isfinite(autoencoder.error).all()


def test_results_depend_on_the_seed_alone(digits):
    first, again, other = (classify(digits, PLAN, seed, 0.5, no_tick) for seed in (3, 3, 4))
    assert np.array_equal(first.test_error, again.test_error)
    assert np.array_equal(first.curve.train_error, again.curve.train_error)
    assert not np.array_equal(first.curve.test_error, other.curve.test_error)

    first, again, other = (autoencode(digits, PLAN, seed, 0.5, no_tick) for seed in (3, 3, 4))
    assert np.array_equal(first.activations, again.activations)
    assert not np.array_equal(first.features, other.features)


def test_splits_share_no_image(digits):
    x, y, x_test, y_test = split(digits, 100, (1, 2))
    assert x.shape == (2, 100, 64)
    assert x_test.shape == (2, len(digits.target) - 100, 64)
    for seed in range(2):
        labels = np.concatenate([y[seed], y_test[seed]])
        assert np.array_equal(np.bincount(labels), np.bincount(digits.target))
    assert not np.array_equal(y[0], y[1])
    assert np.abs(x.mean(axis=1)).max() < 1e-5


def test_timing_does_not_change_the_training():
    h = np.random.default_rng(0).random((2, 5, 8), dtype=np.float32)
    timed, plain = TimedDropout(0.5, 7), HiddenDropout(0.5, 7)
    timed_h, plain_h = h.copy(), h.copy()
    mask = timed.forward(timed_h)
    assert mask[1] is not None
    plain_mask = plain.forward(plain_h)
    assert np.array_equal(timed_h, plain_h)
    timed.backward(timed_h, mask)
    plain.backward(plain_h, plain_mask)
    assert np.array_equal(timed_h, plain_h)


@pytest.mark.parametrize(
    "dropout", [NoDropout(), HiddenDropout(0.6, rng=7)], ids=["without", "with"]
)
@pytest.mark.parametrize(("loss", "factor"), [(cross_entropy, 1), (squared_error, 0.5)])
def test_gradients_match_finite_differences(loss, factor, dropout):
    rng = np.random.default_rng(5)
    networks = Networks((5, 7, 6, 3), seeds=(1, 2), dtype=np.float64)
    for bias in networks.biases:
        bias += rng.normal(size=bias.shape)
    x = rng.normal(size=(2, 4, 5))
    targets = rng.integers(0, 3, (2, 4)) if loss is cross_entropy else rng.normal(size=(2, 4, 3))

    def total():
        return factor * networks.loss_and_gradients(x, targets, loss, dropout)[0].sum()

    _, gradients = networks.loss_and_gradients(x, targets, loss, dropout)
    step = 1e-6
    for parameter, gradient in zip(networks.parameters(), gradients, strict=True):
        numeric = np.empty_like(parameter)
        for index in np.ndindex(parameter.shape):
            value = parameter[index]
            parameter[index] = value + step
            above = total()
            parameter[index] = value - step
            below = total()
            parameter[index] = value
            numeric[index] = (above - below) / (2 * step)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


def test_stacked_networks_are_independent():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 20, 5)).astype(np.float32)
    labels = rng.integers(0, 3, (2, 20))
    options = {
        "loss": cross_entropy,
        "dropout": NoDropout(),
        "epochs": 3,
        "batch": 10,
        "rate": 0.1,
        "momentum": 0.9,
        "seed": 0,
    }
    both, second = Networks((5, 8, 3), (1, 2)), Networks((5, 8, 3), (2,))
    assert list(train(both, x, labels, **options)) == [1, 2, 3]
    assert list(train(second, x[1:], labels[1:], **options)) == [1, 2, 3]
    np.testing.assert_allclose(both.predict(x)[1:], second.predict(x[1:]), rtol=1e-5, atol=1e-6)


def test_gain_claims_only_what_is_clear():
    assert Gain(1.0, 0.2).clear()
    assert Gain(-1.0, 0.2).clear()
    assert not Gain(0.5, 0.2).clear()
    assert str(Gain(0.5, 0.2)) == "+0.50 ± 0.20"


def test_missing_dependency_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "sklearn" else object())
    assert demo.main(parse("--out", str(tmp_path / "plots"))) == 2
    message = capsys.readouterr().err
    assert message.startswith('The demo needs scikit-learn: pip install ".[demo]" in the clone')
    assert not (tmp_path / "plots").exists()


def test_each_plan_has_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run", lambda plan, folder, seed: None)
    assert demo.main(parse()) == demo.main(parse("--quick")) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"fastdrop-demo", "fastdrop-demo-quick"}


def test_the_digits_are_loaded_after_the_first_line(monkeypatch, tmp_path, capsys):
    def load():
        assert capsys.readouterr().out.startswith("Loading the digits")
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn.datasets.load_digits", load)
    with pytest.raises(KeyboardInterrupt):
        demo.run(PLAN, tmp_path, 0)


def test_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert demo.main(parse("--out", str(tmp_path / "file"))) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_bad_seed(seed, capsys):
    with pytest.raises(SystemExit):
        parse("--seed", seed)
    assert f"{seed!r} is not a non-negative integer" in capsys.readouterr().err
