# SPDX-License-Identifier: BSD-3-Clause
"""With `install` every operator takes, returns and refuses what PyTorch's own does, by dtype."""

import pytest
import torch

import fastdrop.torch

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch warns of rare dtypes

DTYPES = sorted(
    {value for value in vars(torch).values() if isinstance(value, torch.dtype)}, key=str
)
FAMILY = tuple(
    name + suffix
    for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
    for suffix in ("", "_")
)
# PyTorch refuses to drop complex numbers.
MORE = {(dtype, name) for dtype in (torch.complex64, torch.complex128) for name in FAMILY}


def tensor_of(dtype):
    try:
        return torch.zeros(6, 4, dtype=torch.uint8).to(dtype)
    except (RuntimeError, NotImplementedError):
        return torch.empty(6, 4, dtype=dtype)


def calls():
    for name in FAMILY:
        operator = getattr(torch, name)
        for p in (0.0, 0.5, 1.0):
            for train in (True, False):
                yield name, p, lambda x, o=operator, p=p, t=train: o(x, p, t)
    for p in (0.0, 0.5, 1.0):
        for train in (True, False, None):
            yield "native_dropout", p, lambda x, p=p, t=train: torch.native_dropout(x, p, t)
        yield "bernoulli_", p, lambda x, p=p: x.bernoulli_(p)
        yield "bernoulli", p, lambda x, p=p: torch.bernoulli(x, p)


def outcome(call, x):
    """Return what a call makes: dtypes, shapes and strides, or the error."""
    try:
        y = call(x)
    except Exception as error:
        return type(error), str(error).splitlines()[0]
    return [(z.dtype, z.shape, z.stride()) for z in (y if isinstance(y, tuple) else (y,))]


@pytest.mark.parametrize(
    ("dtype", "lazy"),
    [(dtype, False) for dtype in DTYPES] + [(dtype, True) for dtype in DTYPES if dtype.is_complex],
    ids=str,
)
def test_operators_are_pytorchs(dtype, lazy):
    for name, p, call in calls():
        inputs = [tensor_of(dtype).conj() if lazy else tensor_of(dtype) for _ in range(2)]
        stock = outcome(call, inputs[0])
        with fastdrop.torch.installed():
            own = outcome(call, inputs[1])
        if own != stock:
            assert (dtype, name, p) in {(*more, 0.5) for more in MORE}
            assert stock[0] is NotImplementedError
            assert own == [(dtype, inputs[1].shape, inputs[1].stride())]


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_what_has_no_zero_or_no_kernel_keeps_its_numbers(installed, p):
    for dtype in (torch.float8_e8m0fnu, torch.uint16, torch.uint32, torch.uint64):
        x = torch.ones(3).to(dtype)
        with pytest.raises(NotImplementedError, match="bernoulli_scalar_cpu_"):
            x.bernoulli_(p)
        assert (x.float() == 1).all()


# ---- numbers that are conjugated or negated when they are read -----------------------------------

LAZY = {
    "conjugated": lambda z: z.conj(),
    "negated": lambda z: z.conj().imag,
    "both": lambda z: torch._neg_view(z.conj()),
}


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("seed", [None, 3])
def test_lazy_tensors_are_dropped(kind, inplace, seed, installed):
    base = torch.randn(20, 10, dtype=torch.complex64)
    functions = [fastdrop.torch.dropout]
    if seed is None:
        functions.append(torch.nn.functional.dropout)
    for function in functions:
        options = {} if seed is None else {"rng": seed}
        lazy = LAZY[kind](base.clone())
        value = lazy.clone()
        torch.manual_seed(1)
        y = function(lazy, 0.5, True, inplace, **options)
        torch.manual_seed(1)
        expected = function(value.clone(), 0.5, True, **options)
        assert torch.equal(y, expected) and 60 < int((y == 0).sum()) < 140
        assert (y is lazy) == inplace
        if inplace:
            assert torch.equal(lazy, expected)


def test_gradients_of_lazy_tensors(installed):
    z = torch.randn(50, dtype=torch.complex128, requires_grad=True)
    for function in (
        lambda a: torch.nn.functional.dropout(a, 0.5),
        lambda a: fastdrop.torch.dropout(a, 0.5, rng=1),
    ):

        def reseeded(a, function=function):
            torch.manual_seed(1)
            return function(a.conj())

        assert torch.autograd.gradcheck(reseeded, z)
