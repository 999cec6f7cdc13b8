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
from torch.utils.checkpoint import checkpoint

import fastdrop
import fastdrop.torch as ft

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::FutureWarning"
)
# Inductor needs a C++ compiler and half a minute; the others stop before it.
BACKENDS = ("eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow))
LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(0, 2),
    "gaps": lambda x: x[:, ::2],
}
EXPLICIT = nn.Sequential(
    nn.Linear(6, 6),
    ft.Dropout(0.5),
    ft.Dropout1d(0.2),
    ft.AlphaDropout(0.1),
    ft.FeatureAlphaDropout(0.1),
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
        return ft.dropout(x * 2, 0.5).square()

    x = torch.rand(100, 50, requires_grad=True)
    torch.manual_seed(1)
    first, second = function(x), function(x)
    torch.manual_seed(1)
    again = function(x)
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert 0.4 < (first == 0).float().mean() < 0.6
    first.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(first != 0, 32 * x, 0.0).detach())


def drop_in_many_ways(x):
    """Return what each function makes of x; all draw from PyTorch's generator, one by one."""
    y = ft.dropout(x, 0.5)
    return (
        y,
        ft.dropout(2 * x, 0.3, inplace=True),
        ft.dropout2d(x, 0.5),
        ft.alpha_dropout(x, 0.5, True),
        ft.feature_alpha_dropout(x, 0.5, True),
        ft.relu_dropout(x, 0.5),
        ft.dropout_add(x, y, 0.5, bias=x[0, 0, 0]),
        ft.dropout_add(x.bfloat16(), y.bfloat16(), 0.5),
        ft.dropout(x, 1.0),
        ft.dropout(y, 0.1),
        FUSED(x),
        EXPLICIT_2D(x),
    )


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu, self.add = ft.ReLUDropout(0.2), ft.DropoutAdd(0.2)

    def forward(self, x):
        return self.add(self.relu(x), x)


FUSED = Fused()
EXPLICIT_2D = nn.Sequential(ft.Dropout(0.5), ft.Dropout2d(0.2), ft.AlphaDropout(0.1))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_masks_are_those_of_eager_programs(backend, layout):
    x = LAYOUTS[layout](torch.rand(4, 6, 5, 3) + 1).requires_grad_()
    compiled = torch.compile(drop_in_many_ways, backend=backend, fullgraph=True)
    results = []
    for function in (drop_in_many_ways, compiled):
        torch.manual_seed(1)
        ys = function(x)
        state = torch.get_rng_state()
        gradients = [torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in ys]
        results.append((*ys, *gradients, state))
    for eager, same in zip(*results, strict=True):
        torch.testing.assert_close(same, eager)
        assert torch.equal(same == 0, eager == 0)


def test_compiled_masks_with_lengths_that_are_symbols():
    compiled = torch.compile(
        lambda x, p: ft.dropout(x, p), backend="aot_eager", fullgraph=True, dynamic=True
    )
    x = torch.rand(5, 4, 6, 3)
    for given in (x, x[:3, :, :2], x.mT, x.to(memory_format=torch.channels_last)):
        for p in (0.2, 0.4):
            torch.manual_seed(1)
            expected = ft.dropout(given, p)
            torch.manual_seed(1)
            assert torch.equal(compiled(given, p), expected)


@torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True)
def test_compiled_masks_with_lengths_that_the_data_decide():
    for program in (
        lambda x: ft.dropout(x[x > 0], 0.5),
        lambda x: ft.dropout(x[(x > 0).any(1)].mT, 0.5),
    ):
        compiled = torch.compile(program, backend="aot_eager", fullgraph=True)
        for length in (20, 30):
            x = torch.randn(length, 3)
            torch.manual_seed(1)
            expected = program(x)
            torch.manual_seed(1)
            assert torch.equal(compiled(x), expected)


def test_compiled_masks_of_a_generator():
    generator = torch.Generator()
    x = torch.ones(100)
    generator.manual_seed(1)
    expected = ft.dropout(x, rng=generator)
    generator.manual_seed(1)
    compiled = torch.compile(lambda x: ft.dropout(x, rng=generator), backend="aot_eager")
    assert torch.equal(compiled(x), expected)


def test_compiled_checkpoints_draw_the_same_mask_again():
    def program(x):
        return checkpoint(lambda z: ft.dropout(ft.dropout(z, 0.5) * z, 0.1), x, use_reentrant=False)

    x = torch.rand(50, 40, requires_grad=True)
    results = []
    for function in (program, torch.compile(program, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(1)
        y = function(x)
        results.append((y, *torch.autograd.grad(y.sum(), x)))
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager)


def test_gradients_of_a_compiled_program_in_batches():
    for backend in ("eager", "aot_eager"):
        x = torch.randn(6, requires_grad=True)
        y = torch.compile(lambda x: ft.dropout(x, rng=1), backend=backend)(x)
        (rows,) = torch.autograd.grad(y, x, torch.eye(6), is_grads_batched=True)
        assert torch.equal(rows, ft.dropout(torch.ones(6), rng=1).diag())
        torch.compiler.reset()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_compiled_seed_is_the_same_mask(backend):
    function = torch.compile(
        lambda x, seed: ft.dropout(x, 0.3, rng=seed), backend=backend, fullgraph=True
    )
    channels = torch.compile(lambda x: ft.dropout2d(x, 0.3, inplace=True, rng=9), backend=backend)
    for x in (
        torch.randn(7, 8, 3, 3),
        torch.randn(2, 4, 5, 3).to(memory_format=torch.channels_last),
    ):
        for seed in (3, 4, 2**62):
            assert torch.equal(function(x, seed), ft.dropout(x, 0.3, rng=seed))
        assert torch.equal(channels(x.clone()), ft.dropout2d(x, 0.3, rng=9))


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
    "explicit": lambda x: ft.dropout(x, 0.5),
    "seeded": lambda x: ft.dropout(x, 0.5, rng=3),
}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("shape", ((20, 30), (200, 300)))
@pytest.mark.parametrize("name", DROPPING)
def test_compiled_autograd_of_an_eager_forward_pass(installed, name, shape):
    """Masks of small tensors, and of features, are bools that a graph can have."""
    drop = DROPPING[name]

    def backward(fullgraph):
        x = torch.randn(shape, requires_grad=True)
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
    if name == "channels" or (shape == (20, 30) and name in ("stock", "in place")):
        y, gradient = backward(True)
        assert torch.equal(gradient, torch.where(y == 0, 0.0, 8.0))
    else:
        with pytest.raises(torch._dynamo.exc.Unsupported, match="no part of a graph: compile"):
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
    graph = make_fx(lambda x: ft.dropout(x, 0.5, rng=3), tracing_mode="fake")
    x = torch.ones(50)
    traced = graph(x)
    assert "fastdrop.drop" in traced.code
    assert torch.equal(traced(x), ft.dropout(x, 0.5, rng=3))


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
        pytest.raises(TypeError, match=r"rng must be a seed .* in a traced program"),
    ):
        ft.dropout(torch.ones(3), rng=source)


def test_seeds_are_checked_in_traced_programs():
    x = torch.ones(4)
    for options, words in (
        ({"seed": 1, "rng": torch.Generator()}, "seed=1 and rng="),
        ({"rng": "3"}, "rng must be .*, not '"),
    ):
        for call in (
            lambda x: ft.dropout(x, 0.5, **options),  # noqa: B023
            lambda x: ft.scaled_dot_product_attention(
                *[x.reshape(1, 2, 2)] * 3,
                dropout_p=0.5,
                **options,  # noqa: B023
            ),
        ):
            with pytest.raises(TypeError, match=words):
                make_fx(call)(x)


@pytest.mark.slow
def test_compiled_caches_of_stock_and_fastdrop_do_not_mix(tmp_path):
    program = """
import sys, torch, torch.nn.functional as F
if "fastdrop" in sys.argv:
    import fastdrop.torch
    fastdrop.torch.install()
g = torch.compile(lambda x: F.dropout(x * 2, 0.5))
y = g(torch.ones(4000, requires_grad=True))
y.sum().backward()
assert set(y.tolist()) == {0.0, 4.0}
print("fastdrop" in sys.modules)
"""
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    for arguments in ((), ("fastdrop",), (), ("fastdrop",)):
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == str(bool(arguments))
