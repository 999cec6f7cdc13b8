# SPDX-License-Identifier: BSD-3-Clause
"""Tensors in any order of axes, with gaps or not: the same results, and no copy of the tensor."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch

import fastdrop as fd
import fastdrop.torch as ft

SEED = 5
P = 0.3


def uneven(shape):
    return np.random.default_rng(1).random(shape)


# Functions of a tensor and another one.
FUNCTIONS = {
    "dropout": lambda x, other: ft.dropout(x, P, rng=SEED),
    "dropout, shared": lambda x, other: ft.dropout(x, P, rng=SEED, broadcast_dims=0),
    "dropout, shared last": lambda x, other: ft.dropout(x, P, rng=SEED, broadcast_dims=-1),
    "alpha_dropout": lambda x, other: ft.alpha_dropout(x, P, True, rng=SEED),
    "relu_dropout": lambda x, other: ft.relu_dropout(x, P, rng=SEED),
    "zoneout": lambda x, other: ft.zoneout(x, other, P, rng=SEED),
    "dropout_add": lambda x, other: ft.dropout_add(x, other, P, rng=SEED),
    "dropout_add, bias": lambda x, other: ft.dropout_add(
        x, other, P, rng=SEED, bias=torch.arange(x.shape[-1]).to(x.dtype)
    ),
    "gaussian_dropout": lambda x, other: ft.gaussian_dropout(x, P, rng=SEED),
    "a mask": lambda x, other: ft.dropout(
        x, mask=fd.dropout_mask(tuple(x.shape), P, rng=SEED, store="bits")
    ),
    "p of the elements": lambda x, other: ft.dropout(
        x, mask=fd.dropout_mask(tuple(x.shape), uneven(tuple(x.shape)), rng=SEED)
    ),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)
COMPLEX = ("dropout", "gaussian_dropout", "p of the elements", "dropout_add, bias")

SHAPES = [(65, 129), (3, 50, 67), (2, 8200)]


def in_order(x, axes):
    """The same tensor, whose axes lie in that order in memory."""
    return (
        x.permute(axes)
        .clone(memory_format=torch.contiguous_format)
        .permute(tuple(np.argsort(axes)))
    )


def with_gaps(x, axes, step):
    """The same tensor, in that order: rows of a larger one, or every second element of it."""
    lengths = [step * x.shape[axis] + 1 for axis in axes]
    room = torch.zeros(lengths, dtype=x.dtype).permute(tuple(np.argsort(axes)))
    part = room[tuple(slice(1, step * length + 1, step) for length in x.shape)]
    return part.copy_(x)


def layouts(x):
    """Yield the same tensor in every order of its axes, with gaps and without."""
    for axes in itertools.permutations(range(x.dim())):
        yield in_order(x, axes)
        for step in (1, 2):
            yield with_gaps(x, axes, step)


def bits(x):
    x = x.detach().contiguous().resolve_conj()
    return x.view(torch.uint8) if x.dim() else x.view(1).view(torch.uint8)


def assert_same(y, expected, like):
    assert y.stride() == torch.empty_like(like).stride()
    assert torch.equal(bits(y), bits(expected))


@every_function
def test_every_order(name):
    """Forward, and backward by gradients whose memory has another order."""
    function = FUNCTIONS[name]
    for shape in SHAPES:
        x, other, dy = torch.randn(3, *shape)
        whole = x.clone().requires_grad_()
        expected = function(whole, other)
        (of_expected,) = torch.autograd.grad(expected, whole, dy)
        for there, back in zip(
            layouts(x), itertools.cycle(reversed(list(layouts(dy)))), strict=False
        ):
            there = there.detach().requires_grad_()
            y = function(there, other)
            assert_same(y, expected, there)
            (dx,) = torch.autograd.grad(y, there, back)
            assert torch.equal(bits(dx), bits(of_expected))


@every_function
def test_others_in_another_order(name):
    x, other = torch.randn(2, 3, 50, 67)
    expected = FUNCTIONS[name](x, other)
    for there, axes in itertools.product(layouts(x), [(1, 0, 2), (2, 1, 0)]):
        for beside in (in_order(other, axes), with_gaps(other, axes, 2)):
            assert_same(FUNCTIONS[name](there, beside), expected, there)


@every_function
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.complex128]
)
def test_every_dtype(name, dtype):
    if dtype.is_complex and name not in COMPLEX:
        pytest.skip("for real numbers, or covered by dropout")
    x, other = torch.randn(2, 3, 50, 67, dtype=dtype)
    expected = FUNCTIONS[name](x, other)
    for there in layouts(x):
        assert_same(FUNCTIONS[name](there, other), expected, there)


@pytest.mark.parametrize("form", [torch.channels_last, torch.channels_last_3d])
@pytest.mark.parametrize("rng", [SEED, None])
def test_channels_last(form, rng):
    shape = (2, 33, 5, 9) if form is torch.channels_last else (2, 33, 3, 5, 9)
    x = torch.randn(shape)
    for function in (ft.dropout, ft.dropout2d if len(shape) == 4 else ft.dropout3d):
        torch.manual_seed(1)
        y = function(x.contiguous(memory_format=form), P, rng=rng)
        assert y.is_contiguous(memory_format=form)
        if rng is not None:
            assert torch.equal(y, function(x, P, rng=rng))


def test_in_place():
    x = torch.randn(3, 50, 67)
    expected = ft.dropout(x, P, rng=SEED)
    for there in layouts(x):
        strides, place = there.stride(), there.data_ptr()
        y = ft.dropout(there, P, inplace=True, rng=SEED)
        assert y is there and (y.stride(), y.data_ptr()) == (strides, place)
        assert torch.equal(y, expected)


@every_function
def test_gradients(name):
    x, other = torch.rand(2, 3, 4, 5, dtype=torch.float64) + 0.5
    for axes in [(2, 0, 1), (1, 0, 2)]:
        there = in_order(x, axes).detach().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: FUNCTIONS[name](x, other), there)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads(threads):
    """Several boxes for each thread."""
    x, other = torch.randn(2, 300, 1700)
    torch.set_num_threads(threads)
    for name in ("gaussian_dropout", "p of the elements", "zoneout", "relu_dropout"):
        expected = FUNCTIONS[name](x, other)
        assert torch.equal(FUNCTIONS[name](in_order(x, (1, 0)), other), expected)


@pytest.mark.parametrize("function", [ft.dropout, ft.gaussian_dropout])
def test_samples_of_vmap(function):
    """All samples have one mask, wherever their axis is."""
    x = torch.randn(5, 30, 70)
    expected = torch.stack([function(sample, P, rng=SEED) for sample in x])
    for axis in range(3):
        y = torch.func.vmap(lambda x: function(x, P, rng=SEED), in_dims=axis)(x.movedim(0, axis))
        assert torch.equal(y, expected)


@every_function
def test_no_copy(name):
    """What NumPy and PyTorch allocate, but for the results, is at most one bit an element."""
    shape = (64, 128, 512)
    size = math.prod(shape)
    x = in_order(torch.ones(shape), (2, 0, 1))
    other = in_order(torch.ones(shape), (2, 0, 1))
    mask = fd.dropout_mask(shape, uneven(shape), rng=SEED)
    if name == "p of the elements":
        run = lambda: ft.dropout(x, mask=mask)  # noqa: E731
    elif name == "a mask":
        run = lambda: ft.dropout(x, mask=mask.packed())  # noqa: E731
    else:
        run = lambda: FUNCTIONS[name](x, other)  # noqa: E731
    run()
    tracemalloc.start()
    try:
        y = run()
        assert tracemalloc.get_traced_memory()[1] < 4 * size // 8 + 2**20
    finally:
        tracemalloc.stop()
    with torch.profiler.profile(profile_memory=True) as profile:
        run()
    allocated = sum(max(event.self_cpu_memory_usage, 0) for event in profile.events())
    assert y.nbytes <= allocated < y.nbytes + 2**20
