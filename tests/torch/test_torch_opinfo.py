# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's own descriptions of its dropout operators (OpInfo) hold with `install` active.

For each of them: every dtype that it claims, forward and backward; gradients of the first and
second order and in forward mode where it claims them; shapes, dtypes and strides of its results
with fake tensors and without `install`.
"""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

pytest.importorskip("expecttest")
methods = pytest.importorskip("torch.testing._internal.common_methods_invocations")

ATTENTION = (
    "nn.functional.scaled_dot_product_attention",
    "nn.functional.multi_head_attention_forward",
)
NAMES = (
    *ATTENTION,
    "bernoulli",
    "nn.functional.dropout",
    "nn.functional.dropout2d",
    "nn.functional.dropout3d",
    "nn.functional.alpha_dropout",
    "nn.functional.feature_alpha_dropout",
)
OPERATORS = [operator for operator in methods.op_db if operator.name in NAMES]


def marks(operator):
    return pytest.mark.slow if operator.name in ATTENTION else ()


CASES = [
    pytest.param(
        operator,
        dtype,
        marks=marks(operator),
        id=f"{operator.formatted_name}-{dtype}".replace("torch.", ""),
    )
    for operator in OPERATORS
    for dtype in sorted(operator.supported_dtypes("cpu"), key=str)
]
GRADIENTS = [
    pytest.param(operator, marks=marks(operator), id=operator.formatted_name)
    for operator in OPERATORS
    if operator.supports_autograd
]
pytestmark = pytest.mark.filterwarnings("ignore")


def results(operator, sample):
    y = operator(sample.input, *sample.args, **sample.kwargs)
    return [z for z in (y if isinstance(y, tuple) else (y,)) if isinstance(z, torch.Tensor)]


def layout(tensors):
    return [(z.shape, z.dtype, z.stride(), z.requires_grad) for z in tensors]


@pytest.mark.parametrize(("operator", "dtype"), CASES)
def test_samples_of_every_dtype(operator, dtype, request):
    backward = operator.supports_autograd and dtype in operator.supported_backward_dtypes("cpu")
    samples = list(operator.sample_inputs("cpu", dtype, requires_grad=backward))
    assert samples
    expected = [layout(results(operator, sample)) for sample in samples]
    request.getfixturevalue("installed")
    for sample, stock in zip(samples, expected, strict=True):
        own = results(operator, sample)
        assert layout(own) == stock
        if own[0].requires_grad:
            own[0].backward(torch.ones_like(own[0]))
            if isinstance(sample.input, torch.Tensor) and sample.input.requires_grad:
                assert sample.input.grad.shape == sample.input.shape


@pytest.mark.parametrize("operator", GRADIENTS)
def test_gradients(installed, operator):
    for sample in list(operator.sample_inputs("cpu", torch.float64, requires_grad=True))[:6]:
        if not sample.input.requires_grad or sample.input.numel() > 64:
            continue

        def function(x, sample=sample):
            torch.manual_seed(11)
            y = operator(x, *sample.args, **sample.kwargs)
            return y[0] if isinstance(y, tuple) else y

        forward = operator.supports_forward_ad
        gradcheck(function, sample.input, check_forward_ad=forward)
        if operator.supports_gradgrad:
            forward = operator.supports_fwgrad_bwgrad
            gradgradcheck(function, sample.input, check_fwd_over_rev=forward)


@pytest.mark.parametrize("operator", [pytest.param(o, id=o.formatted_name) for o in OPERATORS])
def test_fake_tensors(installed, operator):
    for sample in operator.sample_inputs("cpu", torch.float32):
        real = results(operator, sample)
        with torch._subclasses.FakeTensorMode() as mode:

            def fake(value, mode=mode):
                return mode.from_tensor(value) if isinstance(value, torch.Tensor) else value

            fakes = results(operator, sample.transform(fake))
        assert [(z.shape, z.dtype) for z in fakes] == [(z.shape, z.dtype) for z in real]
