# SPDX-License-Identifier: BSD-3-Clause
"""gelu_dropout, silu_dropout, and the bias of relu_dropout: their parts, gradients, programs."""

import pytest
import torch
from torch.nn import functional

import fastdrop as fd
import fastdrop.torch as ft

CASES = {
    "relu": (ft.relu_dropout, functional.relu, {}),
    "gelu": (ft.gelu_dropout, functional.gelu, {}),
    "tanh": (
        ft.gelu_dropout,
        lambda x: functional.gelu(x, approximate="tanh"),
        {"approximate": "tanh"},
    ),
    "silu": (ft.silu_dropout, functional.silu, {}),
}
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
cases = pytest.mark.parametrize("name", CASES)


def inputs(dtype=torch.float32, shape=(30, 70)):
    generator = torch.Generator().manual_seed(1)
    x, bias = (
        torch.randn(one, generator=generator, dtype=torch.float64) * 3 for one in (shape, shape[-1])
    )
    return x.to(dtype).requires_grad_(), bias.to(dtype).requires_grad_()


@cases
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_parts(dtype, has_bias, name):
    """With their gradients, to the rounding of the dtype."""
    function, stock, options = CASES[name]
    results = []
    for fuses in (True, False):
        x, bias = inputs(dtype)
        given = bias if has_bias else None
        if fuses:
            y = function(x, 0.3, bias=given, rng=7, **options)
        else:
            wide = x.float() if dtype.itemsize == 2 else x
            z = wide if given is None else wide + given
            y = ft.dropout(stock(z), 0.3, rng=7).to(dtype)
        (y * torch.linspace(-1, 1, 70).to(dtype)).sum().backward()
        results.append([y, x.grad] + ([bias.grad] if has_bias else []))
    tolerance = {8: 1e-12, 4: 2e-5, 2: 0.03}[dtype.itemsize]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@cases
def test_gradcheck(name):
    function, _, options = CASES[name]
    x, bias = inputs(torch.float64, (4, 5))

    def call(x, bias):
        return function(x, 0.3, bias=bias, rng=7, **options)

    torch.autograd.gradcheck(call, (x, bias))
    torch.autograd.gradgradcheck(call, (x, bias))


@pytest.mark.parametrize("name", ["gelu", "tanh", "silu"])
def test_errors_are_at_most_those_of_pytorch(name):
    """Of float32, in units of the last place of the result, where that is not tiny."""
    function, stock, options = CASES[name]
    x = torch.linspace(-6, 12, 200_001)
    exact = stock(x.double())
    mine = function(x, 0.0, rng=fd.Philox4x32(1), **options)
    place = torch.exp2(torch.floor(torch.log2(exact.abs().clamp_min(1e-3)))) * 2.0**-23
    errors = [((y.double() - exact).abs() / place).max().item() for y in (mine, stock(x))]
    assert errors[0] <= max(errors[1], 4.0), errors


@cases
@pytest.mark.parametrize("training", [True, False])
def test_masks_and_evaluation(training, name):
    function, stock, options = CASES[name]
    x, bias = (one.detach() for one in inputs())
    torch.manual_seed(3)
    y = function(x, 0.3, training, bias=bias, **options)
    torch.manual_seed(3)
    expected = ft.dropout(stock(x + bias), 0.3, training)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@cases
def test_compiled(name):
    function, _, options = CASES[name]

    def step(x, bias):
        return function(x, 0.3, bias=bias, **options)

    results = []
    for run in (step, torch.compile(step, backend="aot_eager", fullgraph=True)):
        x, bias = inputs()
        torch.manual_seed(5)
        y = run(x, bias)
        y.square().sum().backward()
        results.append([y, x.grad, bias.grad])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-3)


def test_layouts_that_are_not_one_run():
    x = torch.randn(30, 70).t()
    y = ft.gelu_dropout(x, 0.3, rng=7)
    torch.testing.assert_close(y, ft.dropout(functional.gelu(x), 0.3, rng=7))


def test_modules():
    x = torch.randn(30, 70)
    layer = ft.GELUDropout(0.3, "tanh", rng=7)
    assert torch.equal(layer(x), ft.gelu_dropout(x, 0.3, approximate="tanh", rng=7))
    assert repr(layer) == "GELUDropout(p=0.3, approximate='tanh')"
    layer = ft.SiLUDropout(0.3, rng=7)
    assert torch.equal(layer(x), ft.silu_dropout(x, 0.3, rng=7))
    assert torch.equal(layer.eval()(x), functional.silu(x))
    with pytest.raises(ValueError, match=r"approximate must be .*, not 'erf'"):
        ft.GELUDropout(0.3, "erf")
