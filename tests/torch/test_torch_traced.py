# SPDX-License-Identifier: BSD-3-Clause
"""Compiled, exported, traced and scripted programs run, and draw masks that can be drawn again."""

import io
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._dynamo import compiled_autograd
from torch.fx.experimental.proxy_tensor import make_fx

import fastdrop.torch

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::FutureWarning"
)
# Inductor needs a C++ compiler and half a minute; the others stop before it.
BACKENDS = ("eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow))
EXPLICIT = nn.Sequential(
    nn.Linear(6, 6),
    fastdrop.torch.Dropout(0.5),
    fastdrop.torch.Dropout1d(0.2),
    fastdrop.torch.AlphaDropout(0.1),
    fastdrop.torch.FeatureAlphaDropout(0.1),
)
STOCK = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Dropout1d(0.2), nn.AlphaDropout(0.1))


@pytest.fixture(autouse=True)
def compiler_reset():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_explicit_functions(backend):
    @torch.compile(backend=backend, fullgraph=True)
    def function(x):
        return fastdrop.torch.dropout(x * 2, 0.5).square()

    x = torch.rand(100, 50, requires_grad=True)
    torch.manual_seed(1)
    first, second = function(x), function(x)
    torch.manual_seed(1)
    again = function(x)
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert 0.4 < (first == 0).float().mean() < 0.6
    first.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(first != 0, 32 * x, 0.0).detach())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_compiled_seed_is_the_same_mask(backend):
    function = torch.compile(
        lambda x, seed: fastdrop.torch.dropout(x, 0.3, seed=seed), backend=backend, fullgraph=True
    )
    channels = torch.compile(
        lambda x: fastdrop.torch.dropout2d(x, 0.3, inplace=True, seed=9), backend=backend
    )
    for x in (
        torch.randn(7, 8, 3, 3),
        torch.randn(2, 4, 5, 3).to(memory_format=torch.channels_last),
    ):
        for seed in (3, 4, 2**62):
            assert torch.equal(function(x, seed), fastdrop.torch.dropout(x, 0.3, seed=seed))
        assert torch.equal(channels(x.clone()), fastdrop.torch.dropout2d(x, 0.3, seed=9))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", (EXPLICIT, STOCK), ids=("explicit", "stock"))
def test_compiled_models_train(installed, backend, model):
    compiled = torch.compile(model, backend=backend)
    x = torch.randn(4, 3, 6, requires_grad=True)
    torch.manual_seed(1)
    y = compiled(x)
    y.square().sum().backward()
    torch.manual_seed(1)
    assert torch.equal(compiled(x), y)
    assert x.grad.isfinite().all() and x.grad.any()


DROPPING = {
    "stock": lambda x: F.dropout(x, 0.5),
    "in place": lambda x: F.dropout(x, 0.5, inplace=True),
    "channels": lambda x: F.dropout1d(x, 0.5),
    "explicit": lambda x: fastdrop.torch.dropout(x, 0.5),
    "seeded": lambda x: fastdrop.torch.dropout(x, 0.5, seed=3),
}


@pytest.mark.parametrize("name", DROPPING)
def test_compiled_autograd_of_an_eager_forward_pass(installed, name):
    drop = DROPPING[name]

    def backward(fullgraph):
        x = torch.randn(20, 30, requires_grad=True)
        y = drop(4 * x)
        with compiled_autograd._enable(
            lambda g: torch.compile(g, fullgraph=fullgraph, backend="eager")
        ):
            y.sum().backward()
        return y, x.grad

    masks = []
    for _ in range(3):  # one compilation, and the mask of each call
        y, gradient = backward(False)
        assert torch.equal(gradient, torch.where(y == 0, 0.0, 8.0))
        masks.append(gradient)
    assert torch.equal(masks[0], masks[1]) == (name == "seeded")
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="no part of a graph; allowed are"):
        backward(True)


@pytest.mark.parametrize("name", DROPPING)
def test_compiled_autograd_of_a_compiled_forward_pass(installed, name):
    forward = torch.compile(lambda x: DROPPING[name](4 * x), backend="aot_eager", fullgraph=True)
    for _ in range(2):
        x = torch.randn(20, 30, requires_grad=True)
        y = forward(x)
        with compiled_autograd._enable(torch.compile(backend="eager", fullgraph=True)):
            y.sum().backward()
        assert torch.equal(x.grad, torch.where(y == 0, 0.0, 8.0))


def test_nothing_of_ours_enters_a_stock_graph(installed):
    graph = make_fx(lambda x: F.dropout(x, 0.5))(torch.ones(5))
    exported = torch.export.export(STOCK, (torch.ones(2, 3, 6),))
    for code in (graph.code, exported.graph_module.code):
        assert "fastdrop" not in code


def test_fake_tensors_and_make_fx():
    graph = make_fx(lambda x: fastdrop.torch.dropout(x, 0.5, seed=3), tracing_mode="fake")
    x = torch.ones(50)
    traced = graph(x)
    assert "fastdrop.drop" in traced.code
    assert torch.equal(traced(x), fastdrop.torch.dropout(x, 0.5, seed=3))


def test_the_operator_is_well_formed():
    for features in (False, True):
        for requires_grad in (False, True):
            x = torch.randn(3, 4, 2, requires_grad=requires_grad)
            words = torch.tensor([1, -2, 3, 5])
            torch.library.opcheck(torch.ops.fastdrop.drop, (x, words, 0.5, 2.0, features))
    torch.library.opcheck(torch.ops.fastdrop.seed_words, (5,))


def test_export_saves_and_loads():
    x = torch.randn(4, 3, 6)
    exported = torch.export.export(EXPLICIT, (x,))
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    y = torch.export.load(file).module()(x)
    assert y.shape == x.shape


def test_trace_draws_a_new_mask_at_every_call(installed):
    x = torch.ones(4, 3, 6)
    for model in (EXPLICIT, STOCK):
        traced = torch.jit.trace(model, x, check_trace=False)
        assert not torch.equal(traced(x), traced(x))
        torch.manual_seed(1)
        y = traced(x)
        torch.manual_seed(1)
        assert torch.equal(traced(x), y)


def test_script_compiles_pytorchs_branch(installed):
    for model in (EXPLICIT, STOCK):
        scripted = torch.jit.script(model)
        assert scripted(torch.ones(4, 3, 6)).shape == (4, 3, 6)
        scripted.eval()
        x = torch.ones(4, 3, 6)
        assert torch.equal(scripted(x), model[0](x))


def test_sources_are_refused_in_traced_programs():
    source = fastdrop.Philox4x32(1)
    with (
        torch._subclasses.FakeTensorMode(),
        pytest.raises(TypeError, match="in a traced program; allowed are a seed"),
    ):
        fastdrop.torch.dropout(torch.ones(3), rng=source)


def test_seeds_are_checked_in_traced_programs():
    x = torch.ones(4)
    for options, words in (
        ({"seed": 1, "rng": torch.Generator()}, "seed is 1 beside an rng"),
        ({"rng": 3}, "rng is a int; allowed are torch.Generator and a source"),
    ):
        for call in (
            lambda x: fastdrop.torch.dropout(x, 0.5, **options),  # noqa: B023
            lambda x: fastdrop.torch.scaled_dot_product_attention(
                *[x.reshape(1, 2, 2)] * 3,
                dropout_p=0.5,
                **options,  # noqa: B023
            ),
        ):
            with pytest.raises(TypeError, match=words):
                make_fx(call)(x)


def test_integers_are_stocks_in_traced_programs():
    x = torch.ones(4, dtype=torch.int64)
    with pytest.raises(TypeError, match=r"x is a torch.int64 tensor"):
        make_fx(lambda x: fastdrop.torch.dropout(x, 0.5, seed=1))(x)


@pytest.mark.slow
def test_compiled_caches_of_stock_and_ours_do_not_mix(tmp_path):
    program = """
import sys, torch, torch.nn.functional as F
if "ours" in sys.argv:
    import fastdrop.torch
    fastdrop.torch.install()
g = torch.compile(lambda x: F.dropout(x * 2, 0.5))
y = g(torch.ones(4000, requires_grad=True))
y.sum().backward()
assert set(y.tolist()) == {0.0, 4.0}
print("fastdrop" in sys.modules)
"""
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    for arguments in ((), ("ours",), (), ("ours",)):
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == str(bool(arguments))
