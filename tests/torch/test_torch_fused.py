# SPDX-License-Identifier: BSD-3-Clause
"""Fused passes give what the operations give one by one, with the same mask."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fastdrop as fd
import fastdrop.torch as ft

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHAPES = ((5,), (7, 5), (3, 4, 33), (300, 700), (0, 4))


def made(shape, dtype, seed=0, grad=False):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)
    return x.requires_grad_(grad)


def close(y, expected):
    """Of the same dtype, and as near as roundings one by one are to one at the end."""
    assert y.dtype == expected.dtype
    if y.dtype in (torch.float32, torch.float64):
        assert torch.equal(y, expected)
    else:
        torch.testing.assert_close(y, expected, rtol=2e-2, atol=5e-2)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dropout_add(shape, dtype, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, residual = made(shape, dtype), made(shape, dtype, 1)
        y = ft.dropout_add(x, residual, 0.3, rng=3)
        close(y, residual + ft.dropout(x, 0.3, rng=3))
        bias = made(shape[-1:], dtype, 2)
        y = ft.dropout_add(x, residual, 0.3, bias=bias, rng=3)
        close(y, residual + ft.dropout(x + bias, 0.3, rng=3))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu_dropout(shape, dtype):
    x = made(shape, dtype)
    assert torch.equal(ft.relu_dropout(x, 0.3, rng=3), ft.dropout(F.relu(x), 0.3, rng=3))


def test_as_on_arrays():
    x, residual = made((50, 40), torch.float32), made((50, 40), torch.float32, 1)
    y, _ = fd.dropout_add(x.numpy(), residual.numpy(), 0.2, rng=9)
    assert np.array_equal(ft.dropout_add(x, residual, 0.2, rng=9).numpy(), y)
    y, _ = fd.relu_dropout(x.numpy(), 0.2, rng=9)
    assert np.array_equal(ft.relu_dropout(x, 0.2, rng=9).numpy(), y)


@pytest.mark.parametrize("with_bias", [False, True])
def test_gradients_of_dropout_add(with_bias):
    arrays = [made((6, 5), torch.float64, 1, True), made((6, 5), torch.float64, 2, True)]
    arrays += [made((5,), torch.float64, 3, True)] if with_bias else []

    def function(x, residual, bias=None):
        return ft.dropout_add(x, residual, 0.4, bias=bias, rng=1)

    assert torch.autograd.gradcheck(function, arrays)
    assert torch.autograd.gradgradcheck(lambda *given: function(*given) ** 3, arrays)


def test_gradients_of_relu_dropout():
    x = made((6, 5), torch.float64, 1, True)
    assert torch.autograd.gradcheck(lambda x: ft.relu_dropout(x, 0.4, rng=1), x)
    assert torch.autograd.gradgradcheck(lambda x: ft.relu_dropout(x**3, 0.4, rng=1), x)


def test_large_gradients():
    """Over many tiles, on threads: what relu leaves is one bit an element."""
    x = made((700, 1000), torch.float32, 1, True)
    dy = made((700, 1000), torch.float32, 2)
    (dx,) = torch.autograd.grad(ft.relu_dropout(x, 0.3, rng=4), x, dy)
    (expected,) = torch.autograd.grad(ft.dropout(F.relu(x), 0.3, rng=4), x, dy)
    assert torch.equal(dx, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.t(),
        lambda x: x[:, ::2],
        lambda x: x.to(torch.complex64),
        lambda x: x.to("meta"),
        lambda x: x[0, 0],
    ],
    ids=["transposed", "strided", "complex", "meta", "no axes"],
)
def test_what_takes_more_passes(change):
    x, residual = change(made((8, 6), torch.float32)), change(made((8, 6), torch.float32, 1))
    if x.is_meta:
        assert ft.dropout_add(x, residual, 0.3).is_meta
        assert ft.relu_dropout(x, 0.3).is_meta
        return
    y = ft.dropout_add(x, residual, 0.3, rng=3)
    assert torch.equal(y, residual + ft.dropout(x, 0.3, rng=3))
    if not x.is_complex():
        assert torch.equal(ft.relu_dropout(x, 0.3, rng=3), ft.dropout(F.relu(x), 0.3, rng=3))


def test_other_dtypes_and_shapes_broadcast_as_sums_do():
    x, residual = made((4, 6), torch.float32), made((6,), torch.float64)
    y = ft.dropout_add(x, residual, 0.3, rng=3)
    assert torch.equal(y, residual + ft.dropout(x, 0.3, rng=3))


@pytest.mark.parametrize("training", [True, False])
def test_only_shapes_that_broadcast_to_that_of_x(training):
    x, source = made((4, 6), torch.float32), fd.Xoshiro256PlusPlus(1)
    for shape in [(2, 4, 6), (4, 3), (5, 6)]:
        other = made(shape, torch.float32)
        with pytest.raises(ValueError, match=r"residual must have .* \(4, 6\), not \("):
            ft.dropout_add(x, other, 0.5, training, rng=source)
        with pytest.raises(ValueError, match=r"bias must have .* \(4, 6\), not \("):
            ft.dropout_add(x, x, 0.5, training, bias=other, rng=source)
    assert source.position == 0


def test_seeds_are_checked_in_evaluation_too():
    x = made((4, 6), torch.float32)
    for call in (lambda **o: ft.dropout_add(x, x, 0.5, **o), lambda **o: ft.relu_dropout(x, **o)):
        with pytest.raises(TypeError, match="seed=1 and rng="):
            call(training=False, seed=1, rng=torch.Generator())
        with pytest.raises(TypeError, match=r"rng must be .*, not '"):
            call(training=False, rng="3")


def test_gradients_of_a_bias():
    for shape in ((4,), (3, 4), (2, 3, 4)):
        x, residual = made(shape, torch.float64, grad=True), made(shape, torch.float64, 1)
        bias = made(shape[-1:], torch.float64, 2, grad=True)

        def run(x, bias, residual=residual):
            return ft.dropout_add(x, residual, 0.5, bias=bias, rng=1)

        assert torch.autograd.gradcheck(run, (x, bias), check_batched_grad=True)


def test_gradients_have_memory_of_their_own():
    x, residual, bias = (torch.ones(4, requires_grad=True) for _ in range(3))
    ft.dropout_add(x, residual, 0.5, bias=bias, rng=1).sum().backward()
    places = {tensor.grad.data_ptr() for tensor in (x, residual, bias)}
    assert len(places) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_width_sums_do_not_depend_on_the_layout(dtype):
    x, residual = made((64, 48), dtype), made((64, 48), dtype, 1)
    bias = made((48,), dtype, 2)
    y = ft.dropout_add(x, residual, 0.3, bias=bias, rng=1)
    apart = [torch.empty(48, 64, dtype=dtype).t().copy_(tensor) for tensor in (x, residual)]
    assert torch.equal(ft.dropout_add(*apart, 0.3, bias=bias, rng=1), y)
    in_evaluation = ft.dropout_add(x, residual, 0.3, False, bias=bias)
    assert torch.equal(in_evaluation, (residual.float() + (x.float() + bias.float())).to(dtype))


def test_without_dropout_nothing_is_drawn_but_from_a_source():
    x, source = made((4, 6), torch.float32), fd.Xoshiro256PlusPlus(1)
    for call in (
        lambda **o: ft.dropout_add(x, x, 0.0, **o),
        lambda **o: ft.relu_dropout(x, 0.0, **o),
    ):
        before = torch.get_rng_state()
        call()
        assert torch.equal(torch.get_rng_state(), before)
        start = source.position
        call(rng=source)
        assert source.position == start + x.numel()
    assert torch.equal(ft.dropout_add(x, x, 0.0), x + x)
    assert torch.equal(ft.relu_dropout(x, 0.0), torch.relu(x))


def test_transforms_and_compilers():
    x, residual = made((4, 6), torch.float32), made((4, 6), torch.float32, 1)

    def total(x):
        return ft.dropout_add(ft.relu_dropout(x, 0.3, rng=1), residual, 0.3, rng=2).sum()

    (expected,) = torch.autograd.grad(total(x.requires_grad_()), x)
    assert torch.equal(torch.func.grad(total)(x.detach()), expected)
    compiled = torch.compile(total, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), total(x))


def test_generators():
    x = made((100, 100), torch.float32)
    torch.manual_seed(5)
    one = ft.relu_dropout(x, 0.5), ft.relu_dropout(x, 0.5)
    torch.manual_seed(5)
    two = ft.relu_dropout(x, 0.5), ft.relu_dropout(x, 0.5)
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(*one)
    source = fd.Xoshiro256PlusPlus(1)
    ft.dropout_add(x, x, 0.5, rng=source)
    assert source.position == x.numel()


def test_evaluation_and_nothing_dropped():
    x, residual = made((4, 6), torch.float32), made((4, 6), torch.float32, 1)
    bias = made((6,), torch.float32, 2)
    assert torch.equal(ft.dropout_add(x, residual, 0.5, False, bias=bias), residual + (x + bias))
    assert torch.equal(ft.relu_dropout(x, 0.5, False), F.relu(x))
    assert torch.equal(ft.dropout_add(x, residual, 0.0), residual + x)
    assert torch.equal(ft.dropout_add(x, residual, 1.0), residual)
    assert not ft.relu_dropout(x, 1.0).any()


def test_bad_arguments():
    x = made((4, 6), torch.float32)
    with pytest.raises(ValueError, match=r"p must be .*, not 1.5"):
        ft.dropout_add(x, x, 1.5)
    with pytest.raises(TypeError, match="seed=1 and rng="):
        ft.relu_dropout(x, 0.5, seed=1, rng=torch.Generator())


@pytest.mark.parametrize("name", ["DropoutAdd", "ReLUDropout"])
def test_modules(name):
    module = getattr(ft, name)(p=0.25)
    assert repr(module) == f"{name}(p=0.25)"
    assert not module.state_dict()
    arrays = [made((30, 20), torch.float32)] * (2 if name == "DropoutAdd" else 1)
    torch.manual_seed(1)
    y = module(*arrays)
    torch.manual_seed(1)
    assert torch.equal(copy.deepcopy(module)(*arrays), y)
    torch.manual_seed(1)
    assert torch.equal(pickle.loads(pickle.dumps(module))(*arrays), y)
    assert not torch.equal(module.eval()(*arrays), y)
    with pytest.raises(ValueError, match=r"p must .*, not 2"):
        getattr(ft, name)(2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_dropout_add_with_one_decision_for_many(dtype):
    x, residual, bias = (torch.randn(shape, dtype=dtype) for shape in ((4, 5, 6), (4, 5, 6), 6))
    x.requires_grad_()
    for dims in (1, (0, 2), ()):
        y = ft.dropout_add(x, residual, 0.4, bias=bias, rng=3, broadcast_dims=dims)
        arrays = (tensor.detach().numpy() for tensor in (x, residual))
        expected, mask = fd.dropout_add(*arrays, 0.4, bias=bias.numpy(), rng=3, broadcast_axes=dims)
        assert np.array_equal(y.detach().numpy(), expected)
        (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
        assert np.array_equal(dx.numpy(), mask.backward(np.ones_like(expected)))
        layer = ft.DropoutAdd(0.4, rng=3, broadcast_dims=dims)
        assert f"broadcast_dims={dims}" in repr(layer)
        assert torch.equal(layer(x, residual, bias=bias), y)


@pytest.mark.parametrize("function", [ft.relu_dropout, ft.gelu_dropout, ft.silu_dropout])
def test_what_is_not_real_is_told_what_is(function):
    """Integers are not sent to complex numbers, which are refused as well."""
    source = fd.Philox4x32(1)
    for dtype in (torch.complex64, torch.int64):
        words = rf"^input must be of real floats, not of {dtype}(: input\.float\(\) .*)?$"
        with pytest.raises(TypeError, match=words):
            function(torch.ones(3, dtype=dtype), 0.5, rng=source)
    assert source.position == 0
