# SPDX-License-Identifier: BSD-3-Clause
"""The modules are PyTorch's, with another forward; `accelerate` makes them so in place."""

import copy
import pickle

import pytest
import torch
from torch import nn

import fastdrop.torch

NAMES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
SHAPES = {"Dropout1d": (50, 20, 3), "Dropout3d": (50, 20, 3, 1, 2)}


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_like_pytorchs(name):
    stock, own = (getattr(package, name)(0.3, True) for package in (nn, fastdrop.torch))
    assert isinstance(own, type(stock))
    assert repr(own) == repr(stock)
    assert own.state_dict() == stock.state_dict()
    own.load_state_dict(stock.state_dict())
    for twin in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert type(twin) is type(own)
        assert (twin.p, twin.inplace) == (0.3, True)
    with pytest.raises(ValueError, match=r"^p must be a number in \[0, 1\], not 1\.1$"):
        type(own)(1.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_module_drops_in_training_alone(name):
    module = getattr(fastdrop.torch, name)(0.5)
    x = torch.randn(SHAPES.get(name, (50, 20, 3, 2))) + 10
    y = module(x)
    dropped = y == y.flatten()[y.abs().argmin()] if "Alpha" in name else y == 0
    assert 0.4 < dropped.float().mean() < 0.6
    assert module.eval()(x) is x


@pytest.mark.parametrize("name", ("Dropout1d", "Dropout3d"))
@pytest.mark.parametrize("inplace", (False, True))
def test_the_batch_axis_may_be_missing(name, inplace):
    module = getattr(fastdrop.torch, name)(0.5, inplace)
    x = torch.randn(SHAPES[name][1:])
    torch.manual_seed(1)
    batched = module(x.clone().unsqueeze(0)).squeeze(0)
    torch.manual_seed(1)
    y = module(x)
    assert torch.equal(y, batched)
    assert (y is x) == inplace


def test_accelerate_swaps_and_reports():
    class Own(nn.Dropout):
        pass

    shared = nn.Dropout(0.2)
    model = nn.Sequential(
        nn.Linear(4, 4), shared, nn.Sequential(nn.Dropout2d(0.1, True), nn.AlphaDropout()), Own()
    )
    called = []
    shared.register_forward_hook(lambda *_: called.append(1))
    before = repr(model)
    assert fastdrop.torch.accelerate(model) is model
    report = {
        "1": "Dropout",
        "2.0": "Dropout2d",
        "2.1": "AlphaDropout",
    }
    assert fastdrop.torch.accelerated(model) == report
    assert repr(model) == before
    assert model[1] is shared and type(shared) is fastdrop.torch.Dropout
    assert type(model[3]) is Own
    model[:2](torch.ones(2, 4))
    assert called
    assert fastdrop.torch.accelerated(fastdrop.torch.accelerate(model)) == report
    alone = nn.Dropout()
    assert fastdrop.torch.accelerated(alone) == {}
    assert fastdrop.torch.accelerated(fastdrop.torch.accelerate(alone)) == {"": "Dropout"}
    with pytest.raises(TypeError, match=r"model must be .*, not a list"):
        fastdrop.torch.accelerate([alone])
    with pytest.raises(TypeError, match=r"model must be .*, not a list"):
        fastdrop.torch.accelerated([alone])


def test_accelerated_models_train():
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
    assert len(fastdrop.torch.accelerated(fastdrop.torch.accelerate(model))) == 3
    y = model(torch.randn(5, 3, 8))
    names, stack = set(), [y.grad_fn]
    while stack:
        node = stack.pop()
        names.add(type(node).__name__)
        stack += [parent for parent, _ in node.next_functions if parent is not None]
    assert "_DropBackward" in names
    y.sum().backward()
