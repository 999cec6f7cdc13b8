# SPDX-License-Identifier: BSD-3-Clause
"""The LSTM of AWD-LSTM: PyTorch's, with its recurrent weights dropped once for each call."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import fastdrop as fd
import fastdrop.torch as ft

SETTINGS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"batch_first": True, "bias": False},
    {"proj_size": 2},
]


def made(**settings):
    """Return PyTorch's LSTM, and one of the same weights that drops them."""
    torch.manual_seed(1)
    stock = nn.LSTM(3, 4, **settings)
    lstm = ft.WeightDropLSTM(3, 4, p=0.4, rng=7, **settings)
    lstm.load_state_dict(stock.state_dict(), strict=False)
    return stock, lstm


def drop_weights(stock, source):
    """Drop the recurrent weights of PyTorch's LSTM for good, in the order of its parameters."""
    with torch.no_grad():
        for name, weight in stock.named_parameters():
            if name.startswith("weight_hh"):
                weight.copy_(ft.dropout(weight, 0.4, rng=source))
    return stock


def assert_equal(found, expected):
    y, (h, c) = found
    z, (i, d) = expected
    if isinstance(y, PackedSequence):
        y, z = y.data, z.data
    assert torch.equal(y, z) and torch.equal(h, i) and torch.equal(c, d)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("settings", SETTINGS)
def test_results_are_those_of_dropped_weights(settings):
    stock, lstm = made(**settings)
    source, x = fd.Xoshiro256PlusPlus(7), torch.randn(5, 2, 3)
    assert_equal(lstm.eval()(x), stock(x))
    lstm.train()
    before = copy.deepcopy(stock.state_dict())
    dropped = drop_weights(copy.deepcopy(stock), source)
    assert_equal(lstm(x), dropped(x))
    again = drop_weights(copy.deepcopy(stock), source)
    packed = pack_padded_sequence(
        x, [2, 2, 1, 1, 1] if "batch_first" in settings else [5, 3], "batch_first" in settings
    )
    assert_equal(lstm(packed), again(packed))
    hx = again(x)[1]
    assert lstm.rng.position == source.position
    assert_equal(lstm(x, hx), drop_weights(copy.deepcopy(stock), source)(x, hx))
    assert_equal(lstm(x[0]), drop_weights(copy.deepcopy(stock), source)(x[0]))
    after = lstm.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_gradients_are_those_of_the_weights_that_were_kept():
    stock, lstm = made(num_layers=2)
    dropped = drop_weights(copy.deepcopy(stock), fd.Xoshiro256PlusPlus(7))
    x = torch.randn(5, 2, 3)
    lstm(x)[0].square().sum().backward()
    dropped(x)[0].square().sum().backward()
    source = fd.Xoshiro256PlusPlus(7)
    for name, weight in dropped.named_parameters():
        expected = weight.grad
        if name.startswith("weight_hh"):
            expected = ft.dropout(expected, 0.4, rng=source)
        torch.testing.assert_close(lstm.get_parameter(name).grad, expected)


def test_it_is_pytorchs():
    stock, lstm = made()
    assert isinstance(lstm, nn.LSTM)
    assert list(lstm.state_dict()) == [*stock.state_dict(), "rng"]
    assert repr(lstm) == "WeightDropLSTM(3, 4, p=0.4)"
    assert ft.accelerated(nn.Sequential(lstm)) == {"0": "WeightDropLSTM"}
    x = torch.randn(5, 2, 3)
    twins = copy.deepcopy(lstm), pickle.loads(pickle.dumps(lstm))
    expected = lstm(x)
    for twin in twins:
        assert_equal(twin(x), expected)
    weights = dict(stock.named_parameters())
    lstm, other = made()[1], made()[1]
    for name, parameter in other.named_parameters():
        parameter.data.mul_(2)
        weights[name] = parameter.detach().clone()
    assert_equal(torch.func.functional_call(lstm, weights, (x,)), other(x))
    assert made()[1].double()(x.double())[0].dtype == torch.float64
    with pytest.raises(ValueError, match=r"p must be .*, not 1\.5"):
        ft.WeightDropLSTM(3, 4, p=1.5)
    with pytest.raises(TypeError, match=r"^p must be given; it is missing$"):
        ft.WeightDropLSTM(3, 4)


def test_mistakes_are_told_before_anything_is_drawn():
    lstm = made()[1]
    for wrong in (torch.ones(5, 2, 9), torch.ones(5, 9), torch.ones(3), torch.ones(1, 5, 2, 3)):
        with pytest.raises((RuntimeError, ValueError), match=r"must be equal to|to be 2D or 3D"):
            lstm(wrong)
    with pytest.raises(RuntimeError, match="must be equal to"):
        lstm(pack_padded_sequence(torch.ones(5, 2, 9), [5, 3]))
    assert lstm.rng.position == 0


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # of the context manager
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(reentrant):
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(1)
        lstm = ft.WeightDropLSTM(3, 4, p=0.4)
        x = torch.ones(5, 2, 3, requires_grad=True)
        torch.manual_seed(2)
        # With oneDNN, PyTorch's own LSTM rounds by the way that it is called.
        with torch.backends.mkldnn.flags(enabled=False):
            if recompute:
                y = checkpoint(lambda x: lstm(x)[0], x, use_reentrant=reentrant)  # noqa: B023
            else:
                y = lstm(x)[0]
            y.square().sum().backward()
        gradients.append((x.grad, *(weight.grad for weight in lstm.parameters())))
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_it_runs_in_compiled_programs():
    torch.compiler.reset()
    torch.manual_seed(1)
    model = nn.Sequential(ft.LockedDropout(0.3), ft.WeightDropLSTM(3, 4, p=0.4))
    program = torch.compile(model, backend="eager")  # PyTorch breaks the graph at any LSTM
    x = torch.randn(5, 2, 3)
    torch.manual_seed(2)
    expected = model(x)
    torch.manual_seed(2)
    assert_equal(program(x), expected)
    torch.compiler.reset()


def test_a_language_model_trains():
    """The regularisers of AWD-LSTM together: they learn to copy, and repeat from a seed."""
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        table = nn.Embedding(8, 16)
        words = ft.EmbeddingDropout(0.1, rng=2)
        locked = ft.LockedDropout(0.1, rng=3)
        lstm, out = ft.WeightDropLSTM(16, 16, p=0.2, rng=4), nn.Linear(16, 8)
        parameters = [*table.parameters(), *lstm.parameters(), *out.parameters()]
        optimizer = torch.optim.Adam(parameters, 0.1)
        history = []
        for _ in range(12):
            tokens = torch.randint(8, (6, 16))
            embedded = nn.functional.embedding(tokens, words(table.weight))
            logits = out(locked(lstm(locked(embedded))[0]))
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        losses.append(history)
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.9 * losses[0][0]
