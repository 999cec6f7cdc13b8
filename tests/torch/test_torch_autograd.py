# SPDX-License-Identifier: BSD-3-Clause
"""Derivatives of every order and mode, and what autograd keeps for them."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad, gradcheck, gradgradcheck

import fastdrop.torch

pytestmark = [
    # PyTorch's forward mode scripts its decompositions when it is first used.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Please use .*torch.func.*:FutureWarning"),
]


def reseeded(function, *arguments):
    """Return a function that draws the same mask at every call."""

    def call(x):
        torch.manual_seed(3)
        return function(x, *arguments)

    return call


OVERRIDDEN = {
    "dropout": reseeded(F.dropout, 0.4),
    "dropout_": reseeded(lambda x: F.dropout(x * 1, 0.4, inplace=True)),
    "dropout2d": reseeded(F.dropout2d, 0.4),
    "dropout2d_": reseeded(lambda x: F.dropout2d(x * 1, 0.4, inplace=True)),
    "alpha_dropout": reseeded(F.alpha_dropout, 0.4, True),
    "alpha_dropout_": reseeded(lambda x: F.alpha_dropout(x * 1, 0.4, True, True)),
    "feature_alpha_dropout": reseeded(F.feature_alpha_dropout, 0.4, True),
    "native_dropout": reseeded(lambda x: torch.native_dropout(x, 0.4, True)[0]),
}
EXPLICIT = {
    "dropout": lambda x: fastdrop.torch.dropout(x, 0.4, rng=1),
    "dropout_": lambda x: fastdrop.torch.dropout(x * 1, 0.4, inplace=True, rng=1),
    "dropout2d": lambda x: fastdrop.torch.dropout2d(x, 0.4, rng=1),
    "alpha_dropout": lambda x: fastdrop.torch.alpha_dropout(x, 0.4, True, rng=1),
    "feature_alpha_dropout": lambda x: fastdrop.torch.feature_alpha_dropout(x, 0.4, True, rng=1),
}


@pytest.fixture(params=("contiguous", "channels last", "gaps"))
def point(request):
    x = torch.randn(2, 3, 2, 4, dtype=torch.float64)
    if request.param == "channels last":
        x = x.to(memory_format=torch.channels_last)
    if request.param == "gaps":
        x = x[..., ::2]
    return x.requires_grad_()


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_first_and_second_derivatives_of_pytorchs_functions(installed, name, point):
    forward = name != "native_dropout"  # PyTorch has no forward mode for it
    function = OVERRIDDEN[name]
    gradcheck(function, point, check_forward_ad=forward, check_batched_grad=True)
    gradgradcheck(function, point, check_fwd_over_rev=forward, check_batched_grad=True)


@pytest.mark.parametrize("name", EXPLICIT)
def test_first_and_second_derivatives_of_fastdrop(name, point):
    function = EXPLICIT[name]
    gradcheck(function, point, check_forward_ad=True, check_batched_grad=True)
    gradgradcheck(function, point, check_fwd_over_rev=True, check_batched_grad=True)


def test_the_gradient_is_the_same_mask(installed):
    x = torch.randn(1000, requires_grad=True)
    y = F.dropout(x, 0.3)
    y.backward(torch.ones(()).expand(1000))
    assert torch.equal(x.grad, (y != 0) * torch.tensor(1 / 0.7))


def test_nothing_but_the_mask_is_kept(installed):
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda x: x):
        F.dropout(torch.randn(100_000, requires_grad=True), 0.5)
    assert not saved


def test_of_small_tensors_bools_are_kept(installed):
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda x: x):
        F.dropout(torch.randn(1000, requires_grad=True), 0.5)
        F.dropout2d(torch.randn(3, 4, 50, 50, requires_grad=True), 0.5)
    assert [(x.dtype, x.shape) for x in saved] == [
        (torch.bool, (1000,)),
        (torch.bool, (3, 4, 1, 1)),
    ]


def test_no_grad_and_inference_mode_record_nothing(installed):
    x = torch.randn(100, requires_grad=True)
    with torch.no_grad():
        assert not F.dropout(x, 0.5).requires_grad
        assert not fastdrop.torch.dropout(x, 0.5).requires_grad
    with torch.inference_mode():
        for y in (F.dropout(x, 0.5), F.dropout(torch.ones(100), 0.5)):
            assert (y == 0).any()
            F.dropout(y, 0.5, inplace=True)
    assert F.dropout(torch.ones(100), 0.5).grad_fn is None


def test_in_place_on_a_leaf_is_an_error_as_in_pytorch(installed):
    x = torch.ones(10, requires_grad=True)
    for function in (F.dropout, fastdrop.torch.dropout):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            function(x, 0.5, True, True)


def test_in_place_on_a_needed_tensor_is_noticed(installed):
    x = torch.ones(10, requires_grad=True)
    z = x * 1
    y = z.exp()
    F.dropout(y, 0.5, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_in_place_on_a_view_reaches_its_base(installed):
    x = torch.ones(10, 10, requires_grad=True)
    base = x * 1
    F.dropout(base[2:5, ::2], 1.0, inplace=True)
    base.sum().backward()
    assert not base[2:5, ::2].any() and not x.grad[2:5, ::2].any()
    assert int(base.sum()) == int(x.grad.sum()) == 100 - 15


def test_hooks_are_called(installed):
    seen = []
    x = torch.ones(10, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.register_hook(lambda dy: seen.append(dy))
    x.register_hook(lambda dx: seen.append(dx))
    y.sum().backward()
    assert len(seen) == 2


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16))
def test_autocast_keeps_the_narrow_dtype(installed, dtype):
    layer = torch.nn.Linear(8, 8)
    with torch.autocast("cpu", dtype=dtype):
        y = F.dropout(layer(torch.ones(4, 8)), 0.5)
        z = fastdrop.torch.dropout(layer(torch.ones(4, 8)), 0.5)
    assert y.dtype == z.dtype == dtype
    (y.sum() + z.sum()).backward()
    assert layer.weight.grad.dtype == torch.float32


def test_dual_numbers(installed):
    x, tangent = torch.randn(50), torch.randn(50)
    with forward_ad.dual_level():
        y = F.dropout(forward_ad.make_dual(x, tangent), 0.5)
        value, moved = forward_ad.unpack_dual(y)
        assert torch.equal(moved, torch.where(value != 0, 2 * tangent, 0.0))


def test_lazy_negation_and_conjugation_are_resolved(installed):
    z = torch.randn(100, dtype=torch.complex64)
    imaginary = z.conj().imag
    assert imaginary.is_neg()
    y = F.dropout(imaginary, 0.5)
    assert torch.equal(y[y != 0], 2 * imaginary[y != 0])
    y = fastdrop.torch.dropout(z.conj().resolve_conj(), 0.5, rng=1)
    assert torch.equal(y[y != 0], 2 * z.conj()[y != 0])


# ---- torch.func ----------------------------------------------------------------------------------


def test_transforms_of_a_seeded_function():
    x = torch.randn(3, 6)

    def drop(a):
        return fastdrop.torch.dropout(a, 0.5, rng=1)

    factors = drop(torch.ones(6))
    assert torch.equal(torch.vmap(drop)(x), x * factors)
    assert torch.equal(torch.vmap(drop, in_dims=1, out_dims=1)(x.T).T, x * factors)
    assert torch.equal(
        torch.vmap(torch.vmap(drop))(x.expand(2, 3, 6)), (x * factors).expand(2, 3, 6)
    )
    assert torch.equal(torch.func.grad(lambda a: drop(a).sum())(x[0]), factors)
    assert torch.equal(
        torch.vmap(torch.func.grad(lambda a: drop(a).sum()))(x), factors.expand(3, 6)
    )
    assert torch.equal(torch.func.jvp(drop, (x[0],), (x[1],))[1], x[1] * factors)
    assert torch.equal(torch.func.jacrev(drop)(x[0]), factors.diag())
    assert torch.equal(torch.func.jacfwd(drop)(x[0]), factors.diag())
    hessian = torch.func.hessian(lambda a: drop(a).square().sum())(x[0])
    assert torch.equal(hessian, (2 * factors**2).diag())


def test_transforms_of_seeded_channels():
    x = torch.randn(2, 3, 4, 5)
    factors = fastdrop.torch.dropout1d(torch.ones(3, 4, 5), 0.5, rng=1)
    drop = torch.vmap(lambda a: fastdrop.torch.dropout1d(a, 0.5, rng=1))
    assert torch.equal(drop(x), x * factors)


@pytest.mark.parametrize("function", (F.dropout, fastdrop.torch.dropout))
def test_vmap_asks_for_the_kind_of_randomness(installed, function):
    x = torch.ones(4, 500)
    with pytest.raises(RuntimeError, match="randomness"):
        torch.vmap(lambda a: function(a, 0.5))(x)
    same = torch.vmap(lambda a: function(a, 0.5), randomness="same")(x)
    assert torch.equal(same, same[:1].expand(4, 500))
    different = torch.vmap(lambda a: function(a, 0.5), randomness="different")(x)
    assert not torch.equal(different[0], different[1])
    assert set(different.flatten().tolist()) == {0.0, 2.0}


def test_a_gradient_that_is_unlike_the_output(installed):
    x = torch.randn(4, 6, requires_grad=True)
    y = F.dropout(x, 0.5)
    (dx,) = torch.autograd.grad(y, x, torch.arange(24.0).view(6, 4).T)
    assert torch.equal(dx, torch.where(y != 0, 2 * torch.arange(24.0).view(6, 4).T, 0.0))
