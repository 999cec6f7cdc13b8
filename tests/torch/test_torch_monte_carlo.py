# SPDX-License-Identifier: BSD-3-Clause
"""Predictions with dropout left on: which modules drop, from what, and what is left as it was."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import fastdrop as fd
import fastdrop.torch as ft

X = torch.randn(4, 6)


def network(**words):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), ft.Dropout(0.5, **words), nn.Linear(8, 3)
    )


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_on_and_the_rest_in_evaluation(training):
    model = network().train(training)
    model[1].train(not training)
    before, statistics = modes(model), model[1].running_mean.clone()
    seen = []
    model.register_forward_hook(lambda *_: seen.append(modes(model)))
    mean, std, samples = ft.mc_predict(model, X, 5)
    assert seen == [[False, False, False, True, False]] * 5
    assert modes(model) == before
    assert torch.equal(model[1].running_mean, statistics)
    assert samples.shape == (5, 4, 3) and not samples.requires_grad
    torch.testing.assert_close(mean, samples.mean(0))
    torch.testing.assert_close(std, samples.std(0, correction=0))
    assert (std > 0).any()


def test_it_is_the_function_of_arrays():
    model = network(rng=3).eval()
    found = ft.mc_predict(model, X, 6)
    layer = fd.Dropout(0.5, rng=3)
    with torch.no_grad():
        expected = fd.mc_predict(
            lambda x: model[3](torch.from_numpy(layer(model[:2](x).numpy()))).numpy(), X, 6
        )
    for tensor, array in zip(found, expected, strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Dropout(0.5)),
        lambda: nn.Sequential(nn.AlphaDropout(0.5)),
        lambda: nn.Sequential(ft.GaussianDropout(0.5)),
        lambda: nn.Sequential(ft.DropConnect(6, 6, 0.5)),
        lambda: nn.TransformerEncoderLayer(6, 2, 8, 0.5, batch_first=True),
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(6, 2, 8, 0.5, batch_first=True), 2
        ),
        lambda: ft.accelerate(nn.TransformerEncoderLayer(6, 2, 8, 0.5, batch_first=True)),
        lambda: First(nn.LSTM(6, 6, 2, dropout=0.5)),
        lambda: First(ft.WeightDropLSTM(6, 6, p=0.5)),
        lambda: Itself(nn.MultiheadAttention(6, 2, 0.5)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*nested tensor.*")
def test_what_drops(make):
    model, x = make().eval(), torch.randn(2, 5, 6)
    assert (ft.mc_predict(model, x, 4).std > 0).any()
    assert not any(modes(model))


class First(nn.Sequential):
    def forward(self, x):
        return self[0](x)[0]


class Itself(nn.Sequential):
    def forward(self, x):
        return self[0](x, x, x, need_weights=False)[0]


class Own(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, self.training)


def test_classes_of_other_libraries():
    with pytest.warns(UserWarning, match="all 3 samples are alike: model must have modules"):
        ft.mc_predict(Own(), X, 3)
    assert (ft.mc_predict(Own(), X, 3, classes=(Own,)).std > 0).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ft.mc_predict(Own(), X, 1)
    for classes in (Own, ("Own",), None):
        with pytest.raises(TypeError, match="classes must be a tuple of classes"):
            ft.mc_predict(Own(), X, 3, classes=classes)


SEEDS = [5, [1, 2], np.random.SeedSequence(5)]


@pytest.mark.parametrize("rng", SEEDS)
@pytest.mark.parametrize("own", [None, 3, "source", "generator"])
def test_a_seed_repeats_and_moves_nothing_else(rng, own):
    source = fd.Philox4x32(3)
    words = {"source": source, "generator": torch.Generator().manual_seed(3)}
    given = words.get(own, own)
    model = nn.Sequential(ft.Dropout(0.5, rng=given), nn.Linear(6, 3), nn.Dropout(0.5))
    before, kept = torch.get_rng_state(), model[0].rng
    first = ft.mc_predict(model, X, 4, rng=rng)
    torch.rand(3)
    model(X)
    moved = torch.get_rng_state()
    again = ft.mc_predict(model, X, 4, rng=rng)
    assert torch.equal(first.samples, again.samples)
    assert not torch.equal(first.samples, ft.mc_predict(model, X, 4, rng=6).samples)
    assert torch.equal(torch.get_rng_state(), moved) and not torch.equal(before, moved)
    assert model[0].rng is kept
    if own == "source":
        assert source.position == X.numel()  # of the call in training


def test_sources_and_generators_go_on():
    model = network().eval()
    source, generator = fd.Philox4x32(3), torch.Generator().manual_seed(1)
    for rng in (source, np.random.Generator(source), generator):
        first = ft.mc_predict(model, X, 3, rng=rng)
        assert not torch.equal(first.samples, ft.mc_predict(model, X, 3, rng=rng).samples)
    assert source.position > 0


def test_modules_that_share_a_source_share_one():
    source = fd.Philox4x32(3)
    model = nn.Sequential(ft.Dropout(0.5, rng=source), ft.Dropout(0.5, rng=source))
    one = torch.full((50,), 1.0)
    samples = ft.mc_predict(model, one, 200, rng=1).samples
    assert abs((samples != 0).float().mean() - 0.25) < 0.03
    assert source.position == 0


def test_all_is_restored_after_errors():
    model = network(rng=3).append(nn.Linear(99, 1))
    model[0].eval()
    source, state, before = model[2].rng, torch.get_rng_state(), modes(model)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        ft.mc_predict(model, X, 4, rng=1)
    assert modes(model) == before and model[2].rng is source
    assert torch.equal(torch.get_rng_state(), state)
    assert source.position == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_dtypes(dtype):
    x = torch.ones(500, dtype=dtype)
    mean, std, samples = ft.mc_predict(ft.Dropout(0.5), x, 300)
    assert mean.dtype == samples.dtype == dtype
    assert std.dtype == (torch.float32 if dtype.is_complex else dtype)
    assert abs(mean.mean() - 1) < 0.05 and abs(std.mean() - 1) < 0.05


def test_integers():
    model = nn.Sequential(ft.Dropout(0.5), nn.Flatten(0))
    model.register_forward_hook(lambda module, args, y: (y > 0).long())
    mean, std, samples = ft.mc_predict(model, torch.ones(500), 50)
    assert samples.dtype == torch.int64 and mean.dtype == std.dtype == torch.float32
    assert abs(mean.mean() - 0.5) < 0.05


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((lambda x: x, X, 3), TypeError, "model must be a torch.nn.Module, not a function"),
        ((nn.Dropout(), X, 0), ValueError, "n must be .*, not 0"),
        ((nn.Dropout(), X, 2.0), TypeError, "n must .*, not 2.0"),
        ((nn.LSTM(6, 6), X, 2), TypeError, "model must return one tensor, not a tuple"),
    ],
)
def test_mistakes(arguments, error, words):
    with pytest.raises(error, match=words):
        ft.mc_predict(*arguments)
    with pytest.raises(TypeError, match=r"rng must be .*, not '"):
        ft.mc_predict(nn.Dropout(), X, 2, rng="1")


def test_results_of_one_shape():
    class Growing(nn.Module):
        count = 0

        def forward(self, x):
            self.count += 1
            return torch.ones(self.count)

    with pytest.raises(ValueError, match=r"not shape \(2,\) and dtype torch\.float32"):
        ft.mc_predict(Growing(), X, 3)
