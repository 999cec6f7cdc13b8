# SPDX-License-Identifier: BSD-3-Clause
"""Tensors of other devices, by a Philox4x32 source: the bits of the kernels.

No other device is here. Meta tensors show the way of a call, and tensors of the CPU what comes out:
`elsewhere` has them dropped as those of another device.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import random123_vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_tensors import COMPLEX, FLOATS, LAYOUTS, layouts

import fastdrop as fd
import fastdrop.torch as ft
from fastdrop.functional._scales import alpha_numbers
from fastdrop.torch._elsewhere import dropping_elsewhere
from fastdrop.torch._philox import Place, decide, philox, threshold_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CPU = torch.device("cpu")
PROBABILITIES = (0.0, 5e-324, 1e-300, 1e-30, 2.0**-64, 1e-4, 0.1, 1 / 3, 0.5, 0.9, 1 - 2**-53, 1.0)
META = torch.ones(2, 3, 4, 5, device="meta")
CHANNELS = {"dropout1d": (4, 6, 5), "dropout2d": (4, 6, 5, 3), "dropout3d": (2, 6, 5, 3, 2)}


def elsewhere(x, p, rng, shared=None, alpha=False):
    """Return x as it would be dropped on another device."""
    if isinstance(p, torch.Tensor):
        numbers = ()
    elif alpha and p < 1.0:
        numbers = alpha_numbers(p)
    else:
        numbers = (1.0 / (1.0 - p) if p < 1.0 else 1.0,)
    return dropping_elsewhere(x, p, rng, shared)(x, False, *numbers)


def same_bits(a, b):
    a, b = a.detach(), b.detach()
    if a.dtype != b.dtype or a.shape != b.shape or a.stride() != b.stride():
        return False
    return np.array_equal(*(x.contiguous().flatten().view(torch.uint8).numpy() for x in (a, b)))


# ---- the stream ----------------------------------------------------------------------------------


def test_published_vectors():
    for counter, key, expected in random123_vectors():
        words = philox(tuple(map(int, key)), tuple(torch.tensor([int(w)]) for w in counter))
        assert [int(word) for word in words] == list(map(int, expected))


words = st.integers(0, 2**32 - 1)


@settings(max_examples=50)
@given(
    key=st.tuples(words, words),
    counter=st.tuples(words, words, words, words),
    position=st.one_of(
        st.integers(0, 2**64 - 1000),
        st.sampled_from([0, 15, 2**32 - 7, 2**36 - 3, 2**63 - 9, 2**64 - 600]),
    ),
    p=st.one_of(st.sampled_from(PROBABILITIES), st.floats(0, 1)),
    shape=st.lists(st.integers(0, 8), max_size=3).map(tuple),
)
def test_decisions_at_any_place(key, counter, position, p, shape):
    source = fd.Philox4x32(key=key, counter=counter)
    source.position = position
    expected = torch.from_numpy(np.array(fd.dropout_mask(shape, p, rng=source)))
    place = Place(key, counter, position)
    assert torch.equal(decide(place, threshold_of(p), shape, CPU), expected)
    of_tensor = threshold_of(torch.tensor(p, dtype=torch.float64))
    assert torch.equal(decide(place, of_tensor, shape, CPU), expected)


def test_carries_of_the_counter():
    """Into all four words, and around."""
    key, counter = (2**32 - 1, 5), (2**32 - 1,) * 4
    source = fd.Philox4x32(key=key, counter=counter)
    expected = torch.from_numpy(np.array(fd.dropout_mask(999, 0.1, rng=source)))
    assert torch.equal(decide(Place(key, counter, 0), threshold_of(0.1), (999,), CPU), expected)


# ---- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
def test_elements_are_those_of_the_kernels(dtype, layout):
    x = torch.randn(3, 8, 5, 7, dtype=dtype)
    if not dtype.is_complex:
        x[0, 0, 0] = torch.tensor([torch.inf, torch.nan, -torch.inf, -0.0, 1e-7, 6e4, 3.0])
    x = layouts(x)[layout]
    for p in (0.1, 1 / 3, 0.5, 1.0):
        expected = ft.dropout(x, p, rng=fd.Philox4x32(5))
        assert same_bits(elsewhere(x, p, fd.Philox4x32(5)), expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_alpha_dropout_is_that_of_the_kernels(dtype):
    x = torch.randn(37, 51, dtype=dtype)
    for p in (0.1, 0.5, 1.0):
        expected = ft.alpha_dropout(x, p, True, rng=fd.Philox4x32(5))
        assert same_bits(elsewhere(x, p, fd.Philox4x32(5), alpha=True), expected)


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_are_those_of_the_kernels(name):
    x = torch.randn(CHANNELS[name])
    shared = (*x.shape[:2], *(1,) * (x.dim() - 2))
    here, there = fd.Philox4x32(5), fd.Philox4x32(5)
    for _ in range(2):
        expected = getattr(ft, name)(x, 0.3, rng=here)
        assert same_bits(elsewhere(x, 0.3, there, shared), expected)
    assert here.position == there.position == 2 * x.shape[0] * x.shape[1]


@pytest.mark.parametrize("shared", [(1, 4, 1), (3, 1, 5), (1, 1, 1), (3, 4, 5)])
def test_shared_decisions_are_those_of_the_kernels(shared):
    x = torch.randn(3, 4, 5)
    expected = ft.dropout(x, 0.3, rng=fd.Philox4x32(5), noise_shape=shared)
    assert same_bits(elsewhere(x, 0.3, fd.Philox4x32(5), shared), expected)


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("of_p", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_a_tensor_of_probabilities(dtype, of_p):
    x = torch.randn(9, 3, 4, dtype=dtype)
    p = torch.tensor([[0.1], [1 / 3], [1.0]]).to(of_p)
    expected = ft.dropout(x, p, rng=fd.Philox4x32(5))
    assert same_bits(elsewhere(x, p, fd.Philox4x32(5)), expected)
    if dtype is not torch.bfloat16:
        of_arrays, _ = fd.dropout(x.numpy(), p.double().numpy(), rng=fd.Philox4x32(5))
        assert np.array_equal(of_arrays, expected.numpy())


# ---- derivatives and transforms ------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.3, torch.tensor([0.1, 0.5, 0.9, 1.0])], ids=["number", "tensor"])
def test_derivatives(p):
    def here(x):
        return ft.dropout(x, p, rng=fd.Philox4x32(3))

    def there(x):
        return elsewhere(x, p, fd.Philox4x32(3))

    x = torch.randn(5, 3, 4, dtype=torch.float64)
    several = torch.stack([x, 2 * x])
    for call in (
        lambda f: torch.func.vmap(f)(several),
        lambda f: torch.func.grad(lambda x: (f(x) * x).sum())(x),
        lambda f: torch.func.jvp(f, (x,), (x.cos(),))[1],
        lambda f: torch.func.vmap(torch.func.grad(lambda x: (f(x) * x).sum()))(several),
    ):
        assert torch.equal(call(here), call(there))
    x.requires_grad_()
    assert torch.autograd.gradcheck(there, x)
    assert torch.autograd.gradgradcheck(lambda x: there(x) * x, x)


def test_backward_keeps_nothing():
    kept = []
    x = torch.randn(50, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda packed: packed):
        y = elsewhere(x, 0.3, fd.Philox4x32(3))
    y.backward(torch.full((50,), 3.0))
    expected = ft.dropout(torch.full((50,), 3.0), 0.3, rng=fd.Philox4x32(3))
    assert not kept and torch.equal(x.grad, expected)


@pytest.mark.parametrize("backend", ["eager", pytest.param("aot_eager", marks=pytest.mark.slow)])
@pytest.mark.parametrize("p", [0.1, 0.5, torch.tensor([0.1, 0.5, 1.0])], ids=["ties", "no", "each"])
def test_compiled_programs(backend, p):
    """The source advances as in eager programs; its position is a symbol after two calls."""
    torch.compiler.reset()
    program = torch.compile(elsewhere, backend=backend, fullgraph=True)
    here, there = fd.Philox4x32(7), fd.Philox4x32(7)
    for _ in range(3):
        x = torch.randn(7, 3, dtype=torch.bfloat16, requires_grad=True)
        y = program(x, p, there)
        twin = fd.Philox4x32(7)
        twin.position = here.position
        assert same_bits(y, ft.dropout(x.detach(), p, rng=here))
        assert here.position == there.position
        dy = torch.randn_like(x)
        y.backward(dy)
        assert same_bits(x.grad, ft.dropout(dy, p, rng=twin))
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:dynamo_pgo")  # is one of the caches
@pytest.mark.parametrize(
    ("p", "dtype"),
    [(0.1, torch.float32), (torch.tensor([0.1, 0.5, 1.0]), torch.bfloat16)],
    ids=["number", "tensor"],
)
def test_inductor_makes_one_loop_of_it(p, dtype):
    from torch._inductor import config, metrics

    torch.compiler.reset()
    metrics.reset()
    x, dy = torch.randn(64, 3, dtype=dtype, requires_grad=True), torch.randn(64, 3, dtype=dtype)
    of_p = isinstance(p, torch.Tensor)  # which has loops of its own, and is kept
    with config.patch(force_disable_caches=True):
        y = torch.compile(elsewhere, fullgraph=True)(x, p, fd.Philox4x32(7))
        assert all(each.numel() == 3 for each in y.grad_fn.saved_tensors)
        assert of_p or not y.grad_fn.saved_tensors
        y.backward(dy)
    # One for each pass.
    assert 2 <= metrics.generated_kernel_count <= (8 if of_p else 2)
    for there, here in ((y, x.detach()), (x.grad, dy)):
        assert same_bits(there, ft.dropout(here, p, rng=fd.Philox4x32(7)))
    torch.compiler.reset()


# ---- calls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words", "advance"),
    [
        ("dropout", {}, 120),
        ("dropout", {"broadcast_dims": 1}, 40),
        ("dropout", {"noise_shape": (4, 1)}, 4),
        ("dropout1d", {}, 12),
        ("dropout2d", {}, 6),
        ("dropout3d", {}, 2),
        ("alpha_dropout", {"training": True}, 120),
        ("feature_alpha_dropout", {"training": True}, 6),
    ],
)
def test_meta_tensors(name, words, advance):
    x = META[0] if name == "dropout1d" else META[None] if name == "dropout3d" else META
    x = x.clone().requires_grad_()
    source = fd.Philox4x32(1)
    y = getattr(ft, name)(x, 0.3, rng=source, **words)
    assert y.is_meta and y.shape == x.shape and y.dtype == x.dtype
    assert source.position == advance
    y.sum().backward()
    assert x.grad.is_meta
    frozen = x.detach()
    assert getattr(ft, name)(frozen, 0.3, inplace=True, rng=source, **words) is frozen


def test_meta_tensors_in_compiled_programs():
    torch.compiler.reset()
    source = fd.Philox4x32(1)
    for rng in (None, source):
        program = torch.compile(
            lambda x: ft.dropout(x, 0.3, rng=rng),  # noqa: B023
            backend="eager",
            fullgraph=True,
        )
        assert program(META).is_meta
    assert source.position == 120
    torch.compiler.reset()


def test_modules():
    module = ft.Dropout(0.3, rng=fd.Philox4x32(1))
    assert module(META).is_meta and module.rng.position == 120
    assert module.eval()(META) is META


def test_evaluation_and_p_of_0():
    source = fd.Philox4x32(1)
    assert ft.dropout(META, 0.3, False, rng=source) is META and source.position == 0
    assert torch.equal(elsewhere(torch.ones(7), 0.0, source), torch.ones(7))
    assert source.position == 7


@pytest.mark.parametrize("rng", [1, (1, 2), np.random.SeedSequence(1), fd.Xoshiro256PlusPlus(1)])
@pytest.mark.parametrize("name", ["dropout", "dropout2d", "alpha_dropout"])
def test_other_sources(name, rng):
    match = r"rng must be a Philox4x32, as in rng=fastdrop\.Philox4x32\(seed\), .* on meta, not "
    with pytest.raises(TypeError, match=match):
        getattr(ft, name)(META, 0.3, True, rng=rng)
    assert not isinstance(rng, fd.Source) or rng.position == 0


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("p", "error", "match"),
    [
        (torch.tensor([0.1, 2.0, 0.3]), ValueError, r"p\[1\] must be a number in \[0, 1\], not 2"),
        (torch.tensor([0.1, torch.nan, 0.3]), ValueError, r"p\[1\] must be a number in \[0, 1\]"),
        (torch.ones(2), ValueError, r"p shape \(2,\) does not broadcast to the mask's shape"),
        (torch.ones(3, dtype=torch.bool), TypeError, "p must be of floats or integers in"),
        (torch.ones(3, dtype=torch.complex64), TypeError, "p must be of floats or integers in"),
    ],
)
def test_wrong_tensors_of_probabilities(device, p, error, match):
    source = fd.Philox4x32(1)
    with pytest.raises(error, match=match):
        ft.dropout(torch.ones(4, 3, device=device), p, rng=source)
    assert source.position == 0


@pytest.mark.parametrize("rng", [None, torch.Generator()], ids=["none", "generator"])
def test_tensors_of_probabilities_need_a_source(rng):
    with pytest.raises(TypeError, match="rng must be a seed or a source where p is a tensor"):
        ft.dropout(torch.ones(4, 3), torch.ones(3), rng=rng)


def test_tensors_of_probabilities_in_training_alone():
    x = torch.ones(4, 3)
    assert ft.dropout(x, torch.ones(3) / 2, False, rng=1) is x
    with pytest.raises(TypeError, match="p must be a number in"):
        ft.alpha_dropout(x, torch.ones(3) / 2, True, rng=1)


@pytest.mark.usefixtures("installed")
def test_install_leaves_other_devices_alone():
    before = torch.get_rng_state()
    for drop in (F.dropout, F.alpha_dropout, F.dropout2d):
        assert drop(META, 0.5, True).is_meta
    assert torch.nn.MultiheadAttention(8, 2, 0.5, device="meta")(
        *[torch.ones(4, 3, 8, device="meta")] * 3
    )[0].is_meta
    assert torch.equal(torch.get_rng_state(), before)
