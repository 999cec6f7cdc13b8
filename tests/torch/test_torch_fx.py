# SPDX-License-Identifier: BSD-3-Clause
"""torch.fx takes a module of the package for one node, as it takes PyTorch's."""

import copy

import pytest
import torch
from torch import fx, nn

import fastdrop as fd
import fastdrop.torch as ft

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.randn(2, 4, 6, 6)


class Model(nn.Module):
    """Every module, called as it is called in programs."""

    def __init__(self):
        super().__init__()
        self.plain = nn.ModuleList(
            [
                *(ft.Dropout(0.5, rng=1), ft.Dropout2d(), ft.AlphaDropout(), ft.DropPath(0.5)),
                *(ft.FeatureAlphaDropout(), ft.ReLUDropout(), ft.GaussianDropout(0.5)),
                *(ft.DropBlock2d(0.5, block_size=2), ft.DropConnect(6, 6, 0.5)),
            ]
        )
        self.add, self.zoneout = ft.DropoutAdd(), ft.Zoneout(0.5)
        self.words, self.lstm = ft.EmbeddingDropout(0.5), ft.WeightDropLSTM(6, 6, p=0.5)

    def forward(self, x):
        y = x
        for module in self.plain:
            y = module(y)
        y = self.add(y, x, bias=x[0, 0, 0])
        y = self.zoneout(self.zoneout(y, x), old=x)
        steps, _ = self.lstm(self.words(y[0, 0]))
        return y, steps


def test_modules_are_nodes():
    model = Model()
    graph = fx.symbolic_trace(model)
    called = [node.target for node in graph.graph.nodes if node.op == "call_module"]
    assert called == [
        *(f"plain.{index}" for index in range(len(model.plain))),
        *("add", "zoneout", "zoneout", "words", "lstm"),
    ]
    outputs = []
    for program in (copy.deepcopy(model), copy.deepcopy(graph)):
        torch.manual_seed(1)
        outputs.append(program(X))
    for found, expected in zip(*outputs, strict=True):
        assert torch.equal(found, expected)
    graph.eval(), model.eval()
    for found, expected in zip(graph(X), model(X), strict=True):
        assert torch.equal(found, expected)
    assert ft.accelerated(graph) == ft.accelerated(model)


def test_accelerated_models_are_traced_as_they_were():
    def made():
        return nn.Sequential(nn.Linear(6, 6), nn.Dropout(), nn.Dropout2d())

    stock = fx.symbolic_trace(made())
    graph = fx.symbolic_trace(ft.accelerate(made()))
    assert str(graph.graph) == str(stock.graph)
    assert ft.accelerated(graph) == {"1": "Dropout", "2": "Dropout2d"}


def test_a_module_that_is_traced_by_itself_is_its_function():
    for module, function in ((ft.Dropout(0.5), ft.dropout), (ft.DropPath(0.5), ft.drop_path)):
        graph = fx.symbolic_trace(module)
        assert [node.target for node in graph.graph.nodes][1] is function
        torch.manual_seed(1)
        y = graph(X)
        torch.manual_seed(1)
        assert torch.equal(module(X), y)
    source = fd.Xoshiro256PlusPlus(1)
    assert torch.equal(ft.Dropout(0.5, rng=1)(X), ft.dropout(X, 0.5, rng=source))


@pytest.mark.parametrize("training", [False, True])
def test_accelerated_models_are_quantised(training):
    quantize_fx = pytest.importorskip("torch.ao.quantization.quantize_fx")
    from torch.ao import quantization

    def made():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.ReLU(), nn.Linear(6, 3))

    x, results = torch.randn(64, 6), []
    for model in (made(), ft.accelerate(made())):
        torch.manual_seed(2)
        if training:
            settings = quantization.get_default_qat_qconfig_mapping()
            prepared = quantize_fx.prepare_qat_fx(model.train(), settings, (x,))
            y = prepared(x)
            assert (torch.linalg.vector_norm(prepared(x) - y) > 0).all()  # it drops
            y.square().sum().backward()
        else:
            settings = quantization.get_default_qconfig_mapping()
            prepared = quantize_fx.prepare_fx(model.eval(), settings, (x,))
            prepared(x)
        quantised = quantize_fx.convert_fx(prepared.eval())
        assert "QuantizedLinear" in repr(quantised)
        results.append((quantised(x), model.eval()(x)))
    for quantised, plain in results:
        if not training:
            torch.testing.assert_close(quantised, plain, rtol=0, atol=0.1)


def test_parameters_are_dropped_in_compiled_programs():
    """What is no plain tensor is asked whether it is a symbol of FX."""
    torch.compiler.reset()
    layer = ft.Dropout(0.5)
    weight = nn.Parameter(torch.ones(50))
    program = torch.compile(lambda: layer(weight), backend="eager", fullgraph=True)
    torch.manual_seed(1)
    expected = layer(weight)
    torch.manual_seed(1)
    assert torch.equal(program(), expected)
    torch.compiler.reset()


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "DropPath", "Zoneout", "DropConnect"])
def test_a_source_is_refused_where_it_would_be_drawn_from(name):
    """In evaluation compiled programs may have modules with a source of their own."""
    torch.compiler.reset()
    arguments = (6, 6, 0.5) if name == "DropConnect" else (0.5,)
    module = getattr(ft, name)(*arguments, rng=1)
    given = (X, -X) if name == "Zoneout" else (X,)
    program = torch.compile(module, backend="eager", fullgraph=True)
    with pytest.raises(Exception, match=r"rng must be .* in a traced program, not a source"):
        program(*given)
    torch.compiler.reset()
    module.eval()
    assert torch.equal(program(*given), module(*given))
    torch.compiler.reset()
