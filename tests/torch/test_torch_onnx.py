# SPDX-License-Identifier: BSD-3-Clause
"""Models in training are exported with ONNX's own operators, by both of PyTorch's exporters."""

import importlib.util
import io

import pytest
import torch
from torch import nn

import fastdrop.torch as ft

onnx = pytest.importorskip("onnx")
scripts = importlib.util.find_spec("onnxscript") is not None
pytestmark = pytest.mark.filterwarnings("ignore")
EXPORTERS = ("torchscript", "dynamo") if scripts else ("torchscript",)

X = torch.randn(4, 6, 8, 8)
# Module -> an operator that makes it random.
MODULES = {
    "Dropout": (ft.Dropout(0.4), "Dropout"),
    "shared Dropout": (ft.Dropout(0.4, broadcast_dims=0), "RandomUniform"),
    "Dropout2d": (ft.Dropout2d(0.4), "RandomUniform"),
    "AlphaDropout": (ft.AlphaDropout(0.4, broadcast_dims=1), "RandomUniform"),
    "FeatureAlphaDropout": (ft.FeatureAlphaDropout(0.4), "RandomUniform"),
    "ReLUDropout": (ft.ReLUDropout(0.4), "Dropout"),
    "DropPath": (ft.DropPath(0.4), "RandomUniform"),
    "unscaled DropPath": (ft.DropPath(0.4, scale="none"), "RandomUniform"),
    "GaussianDropout": (ft.GaussianDropout(0.4), "RandomNormal"),
    "DropBlock2d": (ft.DropBlock2d(0.4, block_size=3), "RandomUniform"),
    "DropConnect": (ft.DropConnect(8, 5, 0.4), "RandomUniform"),
    "EmbeddingDropout": (nn.Sequential(nn.Flatten(), ft.EmbeddingDropout(0.4)), "RandomUniform"),
    "LockedDropout": (nn.Sequential(nn.Flatten(2), ft.LockedDropout(0.4)), "RandomUniform"),
    "accelerated": (ft.accelerate(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.4))), "Dropout"),
}


class Zoneout(nn.Module):
    def __init__(self, **words):
        super().__init__()
        self.zoneout = ft.Zoneout(0.4, **words)

    def forward(self, x):
        return self.zoneout(x, -x)


MODULES["Zoneout"] = (Zoneout(), "RandomUniform")
MODULES["shared Zoneout"] = (Zoneout(broadcast_dims=1), "RandomUniform")


QUICK = ("accelerated", "DropPath", "GaussianDropout", "DropConnect")


def exported(model, x, exporter, training=True):
    """Return a model of ONNX."""
    model.train(training)
    if exporter == "dynamo":
        return torch.onnx.export(model, (x,), dynamo=True, verbose=False).model_proto
    file = io.BytesIO()
    mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
    options = {"training": mode, "do_constant_folding": not training}
    torch.onnx.export(model, (x,), file, dynamo=False, **options)
    return onnx.load_from_string(file.getvalue())


CASES = [
    # The exporter takes a second or two.
    pytest.param(name, exporter, marks=pytest.mark.slow if name not in QUICK else ())
    for name in MODULES
    for exporter in EXPORTERS
]


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_exported_models_drop(name, exporter):
    model, random = MODULES[name]
    program = exported(model, X, exporter)
    onnx.checker.check_model(program)
    operators = [node.op_type for node in program.graph.node]
    assert any(operator.startswith(random) for operator in operators), operators
    assert all(node.domain == "" for node in program.graph.node)
    first, second = outputs(program)
    assert (first != second).any()


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_exported_models_in_evaluation(name, exporter):
    model, _ = MODULES[name]
    y, _ = outputs(exported(model, X, exporter, training=False))
    torch.testing.assert_close(torch.from_numpy(y), model(X), rtol=1e-4, atol=1e-5)


def outputs(program):
    """Return what the model gives for X, twice."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(program.SerializeToString())
    (given,) = session.get_inputs()
    return [session.run(None, {given.name: X.numpy()})[0] for _ in range(2)]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_seed_cannot_be_exported(exporter):
    with pytest.raises(Exception, match="in a program for ONNX, which draws its masks itself"):
        exported(ft.Dropout(0.5, rng=1), X, exporter)
    exported(ft.Dropout(0.5, rng=1), X, exporter, training=False)
