# SPDX-License-Identifier: BSD-3-Clause
"""dropout_add_layer_norm and its relatives for tensors: the parts, gradients, traced programs."""

import copy
import pickle

import pytest
import torch
from torch.nn import functional

import fastdrop as fd
import fastdrop.torch as ft

F64 = {"dtype": torch.float64, "requires_grad": True}
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
centers = pytest.mark.parametrize("centered", [True, False], ids=["layer", "rms"])


def tensors(shape=(6, 5, 40), dtype=torch.float32, grad=True):
    """x, residual, weight, bias, linear_bias."""
    generator = torch.Generator().manual_seed(1)
    shapes = [shape, shape, shape[-1:], shape[-1:], shape[-1:]]
    made = [torch.randn(one, generator=generator, dtype=torch.float64) for one in shapes]
    return [one.to(dtype).requires_grad_(grad) for one in made]


def fused(centered, x, residual, weight, bias, linear_bias, p=0.3, rng=7, **options):
    function = ft.dropout_add_layer_norm if centered else ft.dropout_add_rms_norm
    affine = (weight, bias) if centered else (weight,)
    return function(x, residual, *affine, p, linear_bias=linear_bias, rng=rng, **options)


def parts(centered, x, residual, weight, bias, linear_bias, p=0.3, rng=7):
    total = ft.dropout_add(x, residual, p, bias=linear_bias, rng=rng)
    shape = total.shape[-1:]
    if centered:
        return functional.layer_norm(total, shape, weight, bias, 1e-5), total
    return functional.rms_norm(total, shape, weight, 1e-5), total


@centers
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_parts(dtype, centered):
    """And their gradients, to the rounding of the dtype; those of the sum to the last bit."""
    own, theirs = tensors(dtype=dtype), tensors(dtype=dtype)
    y, total = fused(centered, *own, prenorm=True)
    expected, same = parts(centered, *theirs)
    assert torch.equal(total, same)
    assert torch.equal(fused(centered, *own), y)
    tolerance = {8: 1e-12, 4: 1e-5, 2: 0.05}[dtype.itemsize]
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    dy, dtotal = torch.randn_like(y), torch.randn_like(y)
    ((y * dy).sum() + (total * dtotal).sum()).backward()
    ((expected * dy).sum() + (same * dtotal).sum()).backward()
    for one, other in zip(own, theirs, strict=True):
        if other.grad is not None:
            scale = max(1.0, float(other.grad.abs().max()))
            torch.testing.assert_close(one.grad, other.grad, rtol=tolerance, atol=tolerance * scale)


@centers
@pytest.mark.parametrize("prenorm", [False, True])
def test_gradcheck(prenorm, centered):
    arguments = tensors((2, 4), torch.float64)

    def call(x, residual, weight, bias, linear_bias):
        return fused(centered, x, residual, weight, bias, linear_bias, prenorm=prenorm)

    used = arguments if centered else [*arguments[:3], None, arguments[4]]
    torch.autograd.gradcheck(call, used)
    torch.autograd.gradgradcheck(call, used)


@centers
def test_numpy_has_the_same_numbers(centered):
    x, residual, weight, bias, before = tensors(grad=False)
    arrays = [one.numpy() for one in (x, residual, weight, bias)][: 4 if centered else 3]
    function = fd.dropout_add_layer_norm if centered else fd.dropout_add_rms_norm
    y, _ = function(*arrays, 0.3, linear_bias=before.numpy(), rng=7)
    assert torch.equal(fused(centered, x, residual, weight, bias, before), torch.from_numpy(y))


@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_do_not_depend_on_threads(threads):
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, threads):
            torch.set_num_threads(count)
            arguments = tensors((1500, 128))
            fused(True, *arguments).square().sum().backward()
            results.append([one.grad for one in arguments])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_masks_are_those_of_the_generator():
    x, residual, weight, bias, before = tensors(grad=False)
    torch.manual_seed(3)
    y = ft.dropout_add_layer_norm(x, residual, weight, bias, 0.3, linear_bias=before)
    torch.manual_seed(3)
    total = ft.dropout_add(x, residual, 0.3, bias=before)
    expected = functional.layer_norm(total, (40,), weight, bias)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@centers
@pytest.mark.parametrize("change", ["layout", "dtype", "mask", "evaluation", "p=0"])
def test_other_ways(change, centered):
    """Where it is not one pass with a mask, the result is the same."""
    x, residual, weight, bias, before = tensors(grad=False)
    p, options, kept = 0.3, {}, fd.dropout_mask(tuple(x.shape), 0.3, rng=7)
    if change == "layout":
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    elif change == "dtype":  # PyTorch does not mix floats in a norm, but of 16 bits and float32
        x, residual = x.bfloat16(), residual.bfloat16()
    elif change == "mask":
        options = {"mask": kept}
    elif change == "evaluation":
        options, kept = {"training": False}, None
    else:
        p, kept = 0.0, None
    branch = x.float() + before
    dropped = branch if kept is None else ft.dropout(branch, mask=kept)
    expected = parts(centered, dropped, residual.float(), weight, bias, None, 0.0)[0]
    function = ft.dropout_add_layer_norm if centered else ft.dropout_add_rms_norm
    affine = (weight, bias) if centered else (weight,)
    given = {} if change == "mask" else {"p": p, "rng": 7}
    y = function(x, residual, *affine, linear_bias=before, **given, **options)
    tolerance = 0.03 if change == "dtype" else 1e-5
    torch.testing.assert_close(y, expected.to(y.dtype), rtol=tolerance, atol=tolerance)


@centers
@pytest.mark.parametrize("prenorm", [False, True])
def test_compiled(prenorm, centered):
    """One operator, with the masks of an eager call, forward and backward."""

    def step(*arguments):
        y = fused(centered, *arguments, rng=None, prenorm=prenorm)
        return y[0] + y[1] if prenorm else y

    results = []
    for run in (step, torch.compile(step, backend="aot_eager", fullgraph=True)):
        arguments = tensors()
        torch.manual_seed(5)
        y = run(*arguments)
        y.square().sum().backward()
        results.append([y, *(one.grad for one in arguments if one.grad is not None)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_the_operator_is_right():
    x, residual, weight, bias, before = tensors((3, 4, 8), grad=True)
    words = torch.tensor([1, 2, 3, 0])
    for prenorm in (False, True):
        torch.library.opcheck(
            torch.ops.fastdrop.add_norm,
            (x, residual, weight, bias, before, words, 0.3, True, 1e-5, prenorm),
        )
    with pytest.raises(RuntimeError, match="residual"):
        torch.ops.fastdrop.add_norm(
            x, residual[0], weight, bias, before, words, 0.3, True, 1e-5, False
        )


def test_modules():
    x, residual, *_ = tensors(grad=False)
    layer = ft.DropoutAddLayerNorm(40, 0.3, rng=7)
    layer = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    expected = ft.dropout_add_layer_norm(x, residual, layer.weight, layer.bias, 0.3, rng=7)
    assert torch.equal(layer(x, residual), expected)
    assert set(layer.state_dict()) == {"weight", "bias", "rng"}
    rms = ft.DropoutAddRMSNorm(40, 0.3, rng=7, prenorm=True)
    y, total = rms(x, residual)
    assert torch.equal(y, ft.dropout_add_rms_norm(x, residual, rms.weight, 0.3, rng=7))
    assert torch.equal(total, ft.dropout_add(x, residual, 0.3, rng=7))
    assert torch.equal(
        layer.eval()(x, residual), ft.dropout_add_layer_norm(x, residual, None, None, 0.0)
    )


def turned(*shape, dtype=torch.float32):
    """As PyTorch's attention returns it where the batch is first."""
    torch.manual_seed(3)
    return torch.randn(shape[1], shape[0], shape[2], dtype=dtype).transpose(0, 1)


@pytest.mark.parametrize("prenorm", [False, True])
@pytest.mark.parametrize("rms", [False, True])
@pytest.mark.parametrize("shape", [(3, 50, 40), (4, 3, 5000), (2, 1, 40), (1, 2, 40)])
def test_masks_follow_the_memory_of_the_input(shape, rms, prenorm):
    """As those of dropout do, in one pass too; and the gradient lies as the input does."""
    torch.manual_seed(1)
    residual, weight, before = torch.randn(shape), torch.randn(shape[-1:]), torch.randn(shape[-1:])
    results = []
    for one_pass in (True, False):
        inputs = [turned(*shape), residual, weight, before]
        x, other, row, shift = leaves = [one.detach().requires_grad_() for one in inputs]
        assert x.stride() == inputs[0].stride()
        torch.manual_seed(7)
        if one_pass:
            function = ft.dropout_add_rms_norm if rms else ft.dropout_add_layer_norm
            rows = (row,) if rms else (row, None)
            y = function(x, other, *rows, 0.3, eps=1e-5, linear_bias=shift, prenorm=prenorm)
            y, total = y if prenorm else (y, None)
            if 1 not in shape:
                assert type(y.grad_fn).__name__ == "_AddNormBackward"
        else:
            total = other + ft.dropout(x + shift, 0.3)
            norm = functional.rms_norm if rms else functional.layer_norm
            y = norm(total, shape[-1:], row, eps=1e-5)
        loss = y.square().sum() + (total.sin().sum() if prenorm else 0)
        gradients = torch.autograd.grad(loss, leaves)
        if one_pass and 1 not in shape:
            assert gradients[0].stride() == x.stride()
        results.append([y, *gradients])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-4)


def test_masks_of_sources_follow_the_indices_of_the_input():
    x, residual = turned(3, 5, 8), torch.randn(3, 5, 8)
    results = [
        ft.dropout_add_layer_norm(one, residual, None, None, 0.3, rng=7)
        for one in (x, x.contiguous())
    ]
    assert torch.equal(*results)


def test_derivatives_of_turned_inputs():
    residual, weight = torch.randn(3, 4, 5, dtype=torch.float64), torch.randn(5).double()
    inputs = [turned(3, 4, 5, dtype=torch.float64), residual, weight]

    def run(x, residual, weight):
        torch.manual_seed(1)
        return ft.dropout_add_layer_norm(x, residual, weight, None, 0.3, prenorm=True)

    inputs = [one.requires_grad_() for one in inputs]
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_inputs_with_gaps_are_one_pass():
    x = turned(3, 5, 16)[..., :8].requires_grad_()
    wide = torch.randn(3, 5, 16)[..., :8].requires_grad_()
    for one in (x, wide):
        residual = torch.randn(3, 5, 8)
        torch.manual_seed(1)
        y = ft.dropout_add_layer_norm(one, residual, None, None, 0.3)
        assert type(y.grad_fn).__name__ == "_AddNormBackward"
        torch.manual_seed(1)
        expected = functional.layer_norm(residual + ft.dropout(one, 0.3), (8,))
        torch.testing.assert_close(y, expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compiled_masks_follow_the_memory_too():
    x, residual = turned(3, 5, 8).requires_grad_(), torch.randn(3, 5, 8)

    def run(x, residual):
        return ft.dropout_add_layer_norm(x, residual, None, None, 0.3)

    results = []
    for function in (run, torch.compile(run, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(1)
        y = function(x, residual)
        results.append([y, *torch.autograd.grad(y.square().sum() + y.sin().sum(), [x])])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


BAD = [
    ({"residual": torch.ones(3, 5)}, ValueError, r"^residual must have .* \(3, 4\), not \(3, 5\)$"),
    ({"weight": torch.ones(5)}, ValueError, r"^weight must have .*, \(4,\), not \(5,\)$"),
    ({"eps": -1.0}, ValueError, "eps"),
    ({"input": torch.ones(())}, ValueError, r"^input must have at least one axis, not shape \(\)$"),
    (
        {"input": torch.ones(3, 4, dtype=torch.int64)},
        TypeError,
        r"real floats, not of torch.int64: input.float\(\)",
    ),
    ({"linear_bias": [1.0]}, TypeError, "linear_bias"),
    ({"prenorm": 1}, TypeError, "prenorm"),
]


@pytest.mark.parametrize(("changed", "error", "word"), BAD)
def test_errors_come_before_anything_is_drawn(changed, error, word):
    good = {"input": torch.ones(3, 4), "residual": torch.ones(3, 4), "weight": None, "bias": None}
    source = fd.Philox4x32(1)
    with pytest.raises(error, match=word):
        ft.dropout_add_layer_norm(**good | {"p": 0.5, "rng": source} | changed)
    assert source.position == 0
