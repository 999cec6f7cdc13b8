# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout is the formula, with the mask of the contract, in any block size.

What traced programs make of it is in test_torch_attention_traced.py.
"""

import contextlib
import itertools
import math
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.utils import checkpoint
from torch_attention import MASKS, WRONG, Q, assert_close, attention, made

import fastdrop as fd
import fastdrop.torch
from fastdrop.torch import _attention, _blas
from fastdrop.torch._attend import autograd, blocks

in_blocks = pytest.mark.skipif(not _blas.FOUND, reason="PyTorch's BLAS is not found")
HALVES = (torch.float16, torch.bfloat16)
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}


def repeated(x, heads):
    return x.repeat_interleave(heads // x.size(-3), -3) if x.dim() > 2 else x


def formula(query, key, value, mask=None, p=0.0, causal=False, *, scale=None, gqa=False, rng=0):
    """Return attention in plain operations, under the mask that NumPy arrays have."""
    if gqa:
        key, value = repeated(key, query.size(-3)), repeated(value, query.size(-3))
    scores = query @ key.transpose(-1, -2) * (query.size(-1) ** -0.5 if scale is None else scale)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    weights = torch._safe_softmax(scores, -1)
    kept = torch.from_numpy(np.asarray(fd.dropout_mask(tuple(weights.shape), p, rng=rng)))
    return torch.where(kept, weights / (1 - p) if p < 1 else weights, 0.0) @ value


def assert_is_the_formula(query, key, value, *arguments, **options):
    """Compare output and gradients with those of the formula in float64."""
    tolerance = TOLERANCES[query.dtype]
    gqa = options.pop("gqa", False)
    out = attention(query, key, value, *arguments, enable_gqa=gqa, **options)
    assert out.dtype == query.dtype
    exact = [x.detach().double().requires_grad_() for x in (query, key, value)]
    expected = formula(*exact, *arguments, gqa=gqa, **options)
    assert_close(out, expected, tolerance)
    gradient = torch.randn(expected.shape, dtype=query.dtype)
    found = torch.autograd.grad(out, (query, key, value), gradient)
    for x, y in zip(found, torch.autograd.grad(expected, exact, gradient.double()), strict=True):
        assert_close(x, y, 4 * tolerance)


@pytest.fixture
def small_blocks():
    """Run the test with blocks of a few rows and columns, so that there are many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", (5, 7))
        yield


@pytest.fixture(params=[False, True], ids=["exact", "rounded"])
def rounded(request, monkeypatch):
    """Run the test with products of float32, and with those of bfloat16 that round the weights."""
    if request.param and not _blas.FOUND_BFLOAT16:
        pytest.skip("PyTorch has no products of bfloat16")
    monkeypatch.setattr(blocks, "MULTIPLIED", {torch.bfloat16} if request.param else set())
    return request.param


# ---- the formula ---------------------------------------------------------------------------------


@st.composite
def cases(draw):
    """Return (query, key, value, arguments, options)."""
    small, heads = st.integers(1, 3), draw(st.sampled_from([1, 2, 4, 6]))
    gqa = draw(st.booleans())
    key_heads = draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0]))
    key_heads = key_heads if gqa else heads
    batch = draw(st.lists(small, max_size=2))
    queries, keys = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    width, value_width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    shapes = [
        [*batch, heads, queries, width],
        [*batch, key_heads, keys, width],
        [*batch, key_heads, keys, value_width],
    ]
    if batch and draw(st.booleans()):
        which = draw(st.integers(0, 2))
        shapes[which][0] = 1
    layout = draw(st.sampled_from(["rows", "tokens", "columns", "gaps"]))
    tensors = []
    for shape in shapes:
        x = torch.randn(*shape, 2, dtype=dtype)[..., 0] if layout == "gaps" else None
        if layout == "rows":
            x = torch.randn(*shape, dtype=dtype)
        elif layout == "tokens":
            x = torch.randn(*shape, dtype=dtype).transpose(-3, -2).contiguous().transpose(-3, -2)
        elif layout == "columns":
            x = torch.randn(*shape, dtype=dtype).mT.contiguous().mT
        tensors.append(x.requires_grad_())
    kind = draw(st.sampled_from(["none", "causal", "bools", "numbers"]))
    weights = list(np.broadcast_shapes(tuple(shapes[0][:-3]), tuple(shapes[1][:-3])))
    weights += [heads, queries, keys]
    kept_axes = draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights)))
    mask_shape = [n if keep else 1 for n, keep in zip(weights, kept_axes, strict=True)]
    mask_shape = mask_shape[draw(st.integers(0, len(weights))) :]
    mask = None
    if kind == "bools":
        mask = torch.rand(mask_shape) < 0.6
    elif kind == "numbers":
        mask = torch.randn(mask_shape, dtype=dtype)
    p = draw(st.sampled_from([0.1, 1 / 3, 0.5, 0.9, 1.0]))
    options = {"gqa": gqa, "rng": draw(st.integers(0, 99))}
    options["scale"] = draw(st.sampled_from([None, 0.3, -1.0, 0.0]))
    return (*tensors, mask, p, kind == "causal"), options


@settings(max_examples=400)
@given(cases())
def test_it_is_the_formula(case):
    arguments, options = case
    assert_is_the_formula(*arguments, **options)


@settings(max_examples=100)
@given(cases())
def test_it_is_the_formula_in_small_blocks(case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", (5, 7))
        arguments, options = case
        assert_is_the_formula(*arguments, **options)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_sizes_of_several_blocks(dtype, causal, threads):
    torch.set_num_threads(threads)
    query, key, value = (
        made(1, 3, *shape, dtype=dtype) for shape in ((301, 24), (523, 24), (523, 17))
    )
    assert_is_the_formula(query, key, value, None, 0.2, causal, rng=8)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("key_heads", [1, 2])
def test_more_threads_than_key_heads(causal, key_heads):
    """Backward is split then, with the same sums in the same order."""
    shapes = (4, 301, 8), (key_heads, 2500, 8), (key_heads, 2500, 5)
    tensors, gradient = [made(*shape) for shape in shapes], torch.randn(4, 301, 5).double()
    results = []
    for threads in (1, 2, 4, 7):
        torch.set_num_threads(threads)
        out = attention(*tensors, None, 0.2, causal, enable_gqa=True, rng=8)
        results.append((out, *torch.autograd.grad(out, tensors, gradient)))
    for result in results[1:]:
        for x, y in zip(result, results[0], strict=True):
            assert_close(x, y, 1e-13)


def test_two_axes():
    tensors = made(9, 4), made(7, 4), made(7, 5)
    assert_is_the_formula(*tensors, None, 0.3, rng=6)
    assert_is_the_formula(*tensors, None, 0.3, True, rng=6)
    assert_is_the_formula(*tensors, torch.rand(9, 7) < 0.6, 0.3, rng=6)


LIKE_PYTORCH = {
    "none": {},
    "causal": {"is_causal": True},
    "bools": {
        "attn_mask": torch.tensor([[True, False, True], [False] * 3, [True] * 3, [False] * 3])
    },
    "numbers": {"attn_mask": torch.tensor([[1.0], [-math.inf], [0.0], [2.0]], dtype=torch.float64)},
    "scale": {"scale": 3.0},
}


@pytest.mark.parametrize("name", LIKE_PYTORCH)
def test_where_nothing_happens_to_be_dropped_it_is_pytorchs(name):
    """Causal rows beyond the keys and rows that see nothing included; 2**-70 drops nothing."""
    tensors, options = (made(2, 3, 4, 5), made(2, 3, 3, 5), made(2, 3, 3, 6)), LIKE_PYTORCH[name]
    out = attention(*tensors, dropout_p=2.0**-70, rng=1, **options)
    expected = F.scaled_dot_product_attention(*tensors, **options)
    assert_close(out, expected, 1e-12)
    found = torch.autograd.grad(out.square().sum(), tensors)
    for x, y in zip(found, torch.autograd.grad(expected.square().sum(), tensors), strict=True):
        assert_close(x, y, 1e-12)


@in_blocks
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [64, 320])
def test_gradients_of_halves_are_as_exact(installed, monkeypatch, dtype, causal, length, rounded):
    """Against float64 with the same mask, where logits are far apart; PyTorch's is its formula.

    Rounded weights give up to 1.6 times its error; PyTorch's flash attention, 3.6 times.
    """
    most = 1.8 if rounded and dtype is torch.bfloat16 else 1.1

    def results(tensors, found):
        monkeypatch.setattr(_blas, "FOUND", found)
        *tensors, gradient = (x.detach().requires_grad_() for x in tensors)
        torch.manual_seed(3)
        out = F.scaled_dot_product_attention(*tensors, dropout_p=0.1, is_causal=causal)
        return torch.autograd.grad(out, tensors, gradient)

    for deviation in (1, 3, 10):
        tensors = [torch.randn(1, 4, length, 32).to(dtype) for _ in range(4)]
        tensors[0] *= deviation
        exact = results([x.double() for x in tensors], True)
        own, stock = results(tensors, True), results(tensors, False)
        for x, y, z in zip(own, stock, exact, strict=True):
            assert (x - z).square().sum() <= most**2 * (y - z).square().sum()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_halves_with_masks(dtype, rounded):
    query, key, value = (made(2, 4, 50, 16, dtype=dtype) for _ in range(3))
    assert_is_the_formula(query, key, value, torch.rand(50, 50) < 0.5, 0.1, rng=1)
    assert_is_the_formula(query, key, value, torch.randn(2, 1, 1, 50), 0.1, rng=1)
    assert_is_the_formula(query, key, value, torch.randn(50, 50, dtype=dtype), 0.1, rng=1)


def test_every_level_agrees():
    query, key, value = (made(2, 3, 70, 8, dtype=torch.float32) for _ in range(3))
    results = []
    for level in fd.simd_levels():
        with fd.use_simd(level):
            out = attention(query, key, value, dropout_p=0.3, rng=4)
            results.append((out, *torch.autograd.grad(out.sum(), (query, key, value))))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def test_wholly_masked_rows_are_zero_with_zero_gradients():
    query, key, value = (made(1, 2, 6, 4) for _ in range(3))
    seen = torch.rand(6, 6) < 0.7
    seen[2] = False
    out = attention(query, key, value, seen, 0.2, rng=3)
    assert not out[:, :, 2].any()
    (gradient,) = torch.autograd.grad(out.square().sum(), query)
    assert not gradient[:, :, 2].any()
    assert_is_the_formula(query, key, value, seen, 0.2, rng=3)


def test_nan_stays_in_its_rows():
    query, key, value = (torch.randn(1, 1, 20, 4) for _ in range(3))
    query[0, 0, 3, 0] = math.nan
    out = attention(query, key, value, dropout_p=0.2, rng=3)
    assert out[0, 0, 3].isnan().all()
    assert out[0, 0, :3].isfinite().all()
    assert out[0, 0, 4:].isfinite().all()


@pytest.mark.parametrize(
    "shapes",
    [
        ((0, 4, 5, 8), (0, 4, 6, 8), (0, 4, 6, 3)),
        ((2, 4, 0, 8), (2, 4, 6, 8), (2, 4, 6, 3)),
        ((2, 4, 5, 8), (2, 4, 0, 8), (2, 4, 0, 3)),
        ((2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 0)),
        ((2, 4, 5, 0), (2, 4, 6, 0), (2, 4, 6, 3)),
    ],
    ids=str,
)
def test_empty(shapes):
    tensors = [made(*shape, dtype=torch.float32) for shape in shapes]
    out = attention(*tensors, dropout_p=0.0)
    found = attention(*tensors, dropout_p=0.5, rng=1)
    assert found.shape == out.shape
    assert found.isfinite().all()
    torch.autograd.grad(found.sum(), tensors)


# Shapes of query, key and value whose heads broadcast, as in products of matrices.
BROADCAST = [
    ((5, 4), (6, 4), (6, 3)),
    ((5, 4), (6, 4), (1, 6, 3)),
    ((5, 4), (6, 4), (2, 6, 3)),
    ((1, 5, 4), (3, 6, 4), (3, 6, 4)),
    ((3, 5, 4), (1, 6, 4), (6, 3)),
    ((2, 1, 5, 4), (2, 3, 6, 4), (1, 3, 6, 2)),
    ((2, 1, 5, 4), (2, 1, 6, 4), (2, 3, 6, 2)),
    ((1, 3, 5, 4), (2, 3, 6, 4), (2, 1, 6, 4)),
    ((3, 1, 1, 4), (6, 4), (3, 2, 6, 1)),
]


@pytest.mark.parametrize("shapes", BROADCAST, ids=str)
def test_heads_that_broadcast(shapes):
    tensors = [made(*shape) for shape in shapes]
    out = attention(*tensors, dropout_p=2.0**-70, rng=1)  # which drops nothing
    expected = F.scaled_dot_product_attention(*tensors)
    assert_close(out, expected, 1e-12)
    found = torch.autograd.grad(out.square().sum(), tensors)
    for x, y in zip(found, torch.autograd.grad(expected.square().sum(), tensors), strict=True):
        assert_close(x, y, 1e-12)


def laid(layout, *shape, dtype=torch.float32):
    """Return numbers of a shape (..., heads, length, width) in an order of axes."""
    if layout == "rows" or len(shape) < 4:
        return torch.randn(*shape, dtype=dtype)
    batch, heads, length, width = shape
    if layout == "tokens":
        return torch.randn(batch, length, heads, width, dtype=dtype).transpose(1, 2)
    if layout == "length first":
        return torch.randn(length, batch, heads, width, dtype=dtype).permute(1, 2, 0, 3)
    if layout == "columns":
        return torch.randn(batch, heads, width, length, dtype=dtype).mT
    if layout == "packed":
        packed = torch.randn(batch, length, 3 * heads * width, dtype=dtype)
        return packed[..., : heads * width].view(batch, length, heads, width).transpose(1, 2)
    assert layout == "gaps"
    return torch.randn(batch, heads, length, 2 * width, dtype=dtype)[..., ::2]


LAYOUTS = ("rows", "tokens", "length first", "columns", "packed", "gaps")
QKV = ((2, 3, 7, 4), (2, 3, 5, 4), (2, 3, 5, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("grad", [False, True])
def test_the_output_has_the_strides_of_pytorchs_call(layout, dtype, grad):
    for shapes in (QKV, ((2, 4, 7, 4), (2, 2, 5, 4), (2, 2, 5, 3)), *BROADCAST):
        tensors = [laid(layout, *shape, dtype=dtype).requires_grad_(grad) for shape in shapes]
        options = {"dropout_p": 0.5, "enable_gqa": shapes[0][-3:-2] == (4,)}
        expected = F.scaled_dot_product_attention(*tensors, **options)
        with fastdrop.torch.installed():
            installed = F.scaled_dot_product_attention(*tensors, **options)
        for out in (attention(*tensors, **options), installed):
            assert out.shape == expected.shape
            assert out.stride() == expected.stride()


# ---- the mask ------------------------------------------------------------------------------------


def test_a_source_advances_by_the_weights_whatever_is_hidden():
    tensors = [torch.randn(2, 3, 7, 4) for _ in range(3)]
    for p in (0.0, 0.3, 1.0):
        for causal in (False, True):
            source = fd.Philox4x32(5)
            source.position = 11
            attention(*tensors, dropout_p=p, is_causal=causal, rng=source)
            assert source.position == 11 + 2 * 3 * 7 * 7


@pytest.mark.parametrize("cls", [fd.Xoshiro256PlusPlus, fd.Xorshift128Plus, fd.Philox4x32])
def test_the_mask_of_a_source(cls, small_blocks):
    """Read off the output: one value for each key, weights equal."""
    queries, keys = 13, 37
    query = torch.zeros(2, 3, queries, 4)
    value = torch.eye(keys).expand(2, 3, keys, keys)
    source, twin = cls(5), cls(5)
    source.position = twin.position = 3
    out = attention(query, torch.zeros(2, 3, keys, 4), value, dropout_p=0.4, rng=source)
    mask = fd.dropout_mask((2, 3, queries, keys), 0.4, rng=twin)
    assert torch.equal(out != 0, torch.from_numpy(np.asarray(mask)))


def test_causal_has_the_same_mask():
    query, value = torch.zeros(1, 2, 200, 4), torch.eye(200).expand(1, 2, 200, 200)
    whole = attention(query, query, value, dropout_p=0.4, rng=9)
    causal = attention(query, query, value, dropout_p=0.4, is_causal=True, rng=9)
    assert torch.equal(causal != 0, (whole != 0).tril())


def test_generators_of_pytorch_rule_the_mask():
    tensors = [torch.randn(2, 3, 7, 4) for _ in range(3)]

    def draw(**options):
        return attention(*tensors, dropout_p=0.5, **options)

    torch.manual_seed(1)
    first, second = draw(), draw()
    torch.manual_seed(1)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(draw(rng=generator), first)


def test_checkpoints_draw_the_same_mask():
    query, key, value = (made(2, 3, 7, 4) for _ in range(3))

    def run(query):
        return attention(query, key, value, dropout_p=0.5)

    torch.manual_seed(1)
    (expected,) = torch.autograd.grad(run(query).sum(), query)
    for reentrant in (False, True):
        torch.manual_seed(1)
        out = checkpoint.checkpoint(run, query, use_reentrant=reentrant)
        query.grad = None
        out.sum().backward()
        torch.testing.assert_close(query.grad, expected)


# ---- derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASKS)
def test_first_and_second_derivatives(name):
    tensors = made(2, 2, 5, 3), made(2, 2, 6, 3), made(2, 2, 6, 4)

    def function(query, key, value):
        return attention(query, key, value, dropout_p=0.3, rng=2, **MASKS[name])

    assert gradcheck(function, tensors)
    assert gradgradcheck(function, tensors, fast_mode=True)


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)], ids=str)
def test_gradients_that_will_be_derived_are_the_same_where_inputs_share_a_tensor(factors):
    x = made(2, 2, 5, 3)
    inputs = [x if factor == 1 else x * factor for factor in factors]
    loss = attention(*inputs, dropout_p=0.3, rng=2).square().sum()
    (expected,) = torch.autograd.grad(loss, x, retain_graph=True)
    (found,) = torch.autograd.grad(loss, x, create_graph=True)
    assert_close(found, expected, 1e-12)


def test_derivatives_of_some_inputs():
    for chosen in range(3):
        tensors = [made(2, 2, 5, 3).requires_grad_(i == chosen) for i in range(3)]

        def function(x, tensors=tensors, chosen=chosen):
            tensors = [x if i == chosen else y for i, y in enumerate(tensors)]
            return attention(*tensors, dropout_p=0.3, rng=2)

        assert gradcheck(function, tensors[chosen])
        assert gradgradcheck(function, tensors[chosen], fast_mode=True)


def test_derivatives_of_additive_masks():
    bias = made(5, 5)
    tensors = [torch.randn(2, 2, 5, 3, dtype=torch.float64) for _ in range(3)]
    assert gradcheck(lambda bias: attention(*tensors, bias, 0.3, rng=2), bias)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_forward_mode():
    query, key, value = (torch.randn(2, 2, 5, 3, dtype=torch.float64) for _ in range(3))
    tangent = torch.randn_like(query)

    def function(query):
        return attention(query, key, value, dropout_p=0.3, rng=2)

    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(function(forward_ad.make_dual(query, tangent))).tangent
    step = 1e-6 * tangent
    expected = (function(query + step) - function(query - step)) / 2e-6
    assert_close(found, expected, 1e-8)


def of_explicit(query, key, value, **options):
    return attention(query, key, value, dropout_p=0.3, rng=2, **options)


def of_pytorch(query, key, value, **options):
    """PyTorch's function; its mask is drawn anew, the same for each call."""
    torch.manual_seed(3)
    return F.scaled_dot_product_attention(query, key, value, dropout_p=0.3, **options)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("function", [of_explicit, of_pytorch])
def test_batches_of_gradients(installed, function, name):
    tensors = made(2, 4, 5, 3), made(2, 4, 6, 3), made(2, 4, 6, 4)
    out = function(*tensors, **MASKS[name])
    batch = torch.randn(3, *out.shape, dtype=torch.float64)

    def derive(gradient):
        return torch.autograd.grad(out, tensors, gradient, retain_graph=True)

    expected = [torch.stack(each) for each in zip(*map(derive, batch), strict=True)]
    found = (
        torch.autograd.grad(out, tensors, batch, retain_graph=True, is_grads_batched=True),
        torch.func.vmap(derive)(batch),
    )
    for gradients in found:
        for x, y in zip(gradients, expected, strict=True):
            assert_close(x, y, 1e-12)


@pytest.mark.parametrize("function", [of_explicit, of_pytorch])
def test_vectorized_jacobians_and_hessians(installed, function):
    tensors = [torch.randn(1, 2, 3, 2, dtype=torch.float64) for _ in range(3)]

    def loss(*tensors):
        return function(*tensors).square().sum()

    for derive, of in (
        (torch.autograd.functional.jacobian, function),
        (torch.autograd.functional.hessian, loss),
    ):
        expected, found = (
            derive(of, tuple(tensors), vectorize=vectorize) for vectorize in (False, True)
        )
        for x, y in zip(_leaves(found), _leaves(expected), strict=True):
            assert_close(x, y, 1e-12)


def _leaves(nested):
    return [nested] if isinstance(nested, torch.Tensor) else [y for x in nested for y in _leaves(x)]


@pytest.mark.parametrize("install", [False, True])
def test_batches_of_gradients_of_a_layer(install):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    x = torch.randn(2, 5, 8, requires_grad=True)
    with fastdrop.torch.installed() if install else contextlib.nullcontext():
        out = layer(x)
        batch = torch.randn(3, *out.shape)
        found = torch.autograd.grad(out, x, batch, retain_graph=True, is_grads_batched=True)[0]
        expected = [torch.autograd.grad(out, x, each, retain_graph=True)[0] for each in batch]
    assert_close(found, torch.stack(expected), 1e-5)


def test_gradients_of_any_kind_of_memory():
    """Negated lazily, the same everywhere, of inference mode."""
    tensors = [made(1, 2, 4, 3) for _ in range(3)]
    out = attention(*tensors, dropout_p=0.3, rng=2)
    negated = torch.randn(1, 2, 4, 3, dtype=torch.complex128).conj().imag
    assert negated.is_neg()
    with torch.inference_mode():
        inference = torch.randn(1, 2, 4, 3, dtype=torch.float64)
    same = torch.ones(1, 1, 4, 1, dtype=torch.float64).expand(1, 2, 4, 3)
    for gradient in (negated, inference, same):
        found = torch.autograd.grad(out, tensors, gradient, retain_graph=True)
        usual = gradient.resolve_neg().clone(memory_format=torch.contiguous_format)
        expected = torch.autograd.grad(out, tensors, usual, retain_graph=True)
        for x, y in zip(found, expected, strict=True):
            assert_close(x, y, 1e-12)


def test_transforms():
    query = torch.randn(4, 2, 5, 3, dtype=torch.float64)

    def function(query):
        return attention(query, query, query, dropout_p=0.3, rng=2)

    expected = torch.stack([function(sample) for sample in query])
    assert_close(torch.func.vmap(function)(query), expected, 1e-12)
    loss = torch.func.grad(lambda query: function(query).square().sum())
    x = query.clone().requires_grad_()
    (expected,) = torch.autograd.grad(sum(function(y).square().sum() for y in x), x)
    assert_close(loss(query[0]), expected[0], 1e-12)
    assert_close(torch.func.vmap(loss)(query), expected, 1e-12)


@in_blocks
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("numbers", [1, 40])
@pytest.mark.parametrize("heads", [(), (3,), (4, 2), (2, 3, 4)])
@pytest.mark.parametrize("group", [1, 2])
def test_parts_of_narrow_inputs_make_no_difference(monkeypatch, heads, group, numbers, threads):
    """Halves are made wider some heads at a time, as many as threads at least: then, and now."""
    if group > 1 and (len(heads) < 1 or heads[-1] % group):
        heads = (*heads[:-1], 6)
    key_heads = (*heads[:-1], heads[-1] // group) if heads else ()
    shapes = ((*heads, 5, 4), (*key_heads, 7, 4), (*key_heads, 7, 3))
    tensors = [made(*shape, dtype=torch.bfloat16) for shape in shapes]
    bias = made(*heads[:1], *[1] * len(heads[1:]), 5, 7, dtype=torch.bfloat16).detach()

    def results():
        monkeypatch.setattr(blocks, "_get_num_threads", lambda: threads)
        out = attention(*tensors, bias, 0.4, enable_gqa=group > 1, rng=3)
        monkeypatch.setattr(blocks, "_get_num_threads", lambda: 3 - threads)
        return out, *torch.autograd.grad(out.float().square().sum(), tensors)

    whole = results()
    monkeypatch.setattr(blocks, "NUMBERS_OF_PART", numbers)
    for expected, found in zip(whole, results(), strict=True):
        assert torch.equal(expected, found)


@in_blocks
@pytest.mark.parametrize("length", [256, 512])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_what_is_kept_for_backward_grows_with_the_length_only(mask, length):
    """q, k, v, 16 bytes a row, and the padding mask of one row a sample; of long rows, out too."""
    kept = []

    def keep(x):
        kept.append(x.untyped_storage().nbytes())
        return x

    tensors = [made(1, 2, length, 8, dtype=torch.float32) for _ in range(3)]
    seen = torch.ones(1, 1, 1, length, dtype=torch.bool) if mask == "padding" else None
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        attention(*tensors, seen, 0.1, mask == "causal")
    count = 4 if length > 256 else 3
    assert sum(kept) <= 2 * length * (count * 8 * 4 + 16) + 4 * length


# ---- edits before backward -----------------------------------------------------------------------


EDITED = ("q", "k", "v", "mask", "out")


def gradients_after(function, edited, layout, dtype, shapes, needed, mask):
    """Return (the gradients, None), or (None, the error) where the edit is refused."""
    torch.manual_seed(5)
    leaves = [
        laid(layout, *shape, dtype=dtype).requires_grad_(name in needed)
        for name, shape in zip("qkv", shapes, strict=True)
    ]
    # Products, whose layout is the same, may be edited; so may what needs no derivative.
    query, key, value = (x * 1 if x.requires_grad else x for x in leaves)
    seen = torch.rand(query.size(-2), key.size(-2))
    seen = seen < 0.8 if mask == "bools" else seen.to(dtype)
    out = function(query, key, value, attn_mask=seen, enable_gqa=query.size(1) != key.size(1))
    tensor = {"q": query, "k": key, "v": value, "mask": seen, "out": out, "none": None}[edited]
    with torch.no_grad():
        if edited == "mask":
            seen.copy_(seen == 0)
        elif tensor is not None:
            tensor.mul_(3)
    try:
        out.sum().backward()
    except RuntimeError as error:
        return None, error
    return [x.grad for x in leaves], None


@pytest.mark.parametrize("needed", ["qkv", "q", "v"])
@pytest.mark.parametrize("key_heads", [3, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", ["rows", "tokens", "packed", "columns"])
def test_what_pytorch_lets_be_edited_before_backward_may_be(layout, dtype, key_heads, needed):
    shapes = QKV[0], (2, key_heads, 5, 4), (2, key_heads, 5, 4)
    for mask in ("bools", "numbers"):
        arguments = layout, dtype, shapes, needed, mask
        refused = {x for x in EDITED if gradients_after(of_pytorch, x, *arguments)[0] is None}
        with fastdrop.torch.installed():
            for function in (of_explicit, of_pytorch):
                expected, _ = gradients_after(function, "none", *arguments)
                for edited in EDITED:
                    found, error = gradients_after(function, edited, *arguments)
                    if error is None:
                        for x, y in zip(found, expected, strict=True):
                            assert (x is None and y is None) or torch.equal(x, y)
                    else:
                        assert edited in refused
                        assert "modified by an inplace operation" in str(error)


@pytest.mark.parametrize("length", [6, 300])
@pytest.mark.parametrize("function", [of_explicit, of_pytorch])
def test_residuals_gates_and_dropout_in_place(installed, function, length):
    x, gate = made(1, 2, length, 3), torch.randn(1, 2, length, 3, dtype=torch.float64)

    def run(in_place):
        query, seen = x * 2, torch.ones(length, length, dtype=torch.bool).tril()
        out = function(query, x, x * 3, attn_mask=seen)
        torch.manual_seed(4)
        if not in_place:
            return F.dropout((out + x) * gate, 0.5) + query * 2
        out += x
        out.mul_(gate)
        seen[0] = True
        query.mul_(2)
        return F.dropout(out, 0.5, inplace=True) + query

    results = []
    for in_place in (False, True):
        out = run(in_place)
        results.append((out, *torch.autograd.grad(out.square().sum(), x)))
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 1e-12)


def test_edits_before_a_second_derivative():
    x = made(1, 2, 4, 3)

    def second(edits):
        query, key = x * 2, x * 3
        out = of_explicit(query, key, x)
        (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        if edits:
            with torch.no_grad():
                query.mul_(2)
                key.mul_(2)
        return torch.autograd.grad(first.square().sum(), x)[0]

    assert torch.equal(second(True), second(False))


# ---- inference mode ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "bools", "numbers"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("key_heads", [2, 4])
def test_tensors_of_inference_mode_beside_others(dtype, key_heads, name):
    """What PyTorch takes is taken, whichever of them cannot be kept for backward."""

    def tensor(kind, *shape):
        with torch.inference_mode(kind == "inference"):
            return torch.randn(*shape, dtype=dtype).requires_grad_(kind == "derived")

    def works(function, kinds):
        shapes = (1, 4, 5, 3), (1, key_heads, 5, 3), (1, key_heads, 5, 3)
        tensors = [tensor(kind, *shape) for kind, shape in zip(kinds[:3], shapes, strict=True)]
        mask = None if name == "none" else tensor(kinds[3], 5, 5)
        if name == "bools":
            with torch.inference_mode(kinds[3] == "inference"):
                mask = mask.detach() > -1
        try:
            out = function(*tensors, attn_mask=mask, enable_gqa=key_heads < 4)
            if out.requires_grad:
                out.sum().backward()
        except RuntimeError:
            return False
        return True

    kinds = ("usual", "derived", "inference")
    of_inputs = kinds if name == "none" else kinds[1:]
    of_masks = {"none": kinds[:1], "bools": kinds[::2], "numbers": kinds}[name]
    cases = itertools.product(of_inputs, of_inputs, of_inputs, of_masks)
    cases = [case for case in cases if works(of_pytorch, case)]
    with fastdrop.torch.installed():
        for case in cases:
            assert works(of_pytorch, case)
            assert works(of_explicit, case)


# ---- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("install", [False, True])
def test_errors_are_those_of_pytorch_and_draw_nothing(name, install):
    arguments = WRONG[name]
    with pytest.raises((RuntimeError, NotImplementedError)) as expected:
        F.scaled_dot_product_attention(*arguments)
    source = fd.Xoshiro256PlusPlus(1)
    state = torch.get_rng_state()
    own = fastdrop.torch.installed if install else contextlib.nullcontext
    for options in ({"rng": source}, {}):
        with own(), pytest.raises(expected.type) as found:
            attention(*arguments, **options)
        assert str(found.value) == str(expected.value)
    assert source.position == 0
    assert torch.equal(torch.get_rng_state(), state)


NOT_NUMBERS = {
    "two numbers": torch.ones(2),
    "no numbers": torch.ones(0),
    "an array": np.ones(2),
    "a derivative is asked": torch.tensor(0.5, requires_grad=True),
    "text": "0.5",
    "complex": 0.5j,
}


@pytest.mark.parametrize("kind", NOT_NUMBERS)
@pytest.mark.parametrize("name", ["scale", "dropout_p"])
def test_what_is_no_number_draws_nothing(name, kind):
    source, state = fd.Xoshiro256PlusPlus(1), torch.get_rng_state()
    for options in ({"rng": source}, {}):
        options = {"dropout_p": 0.5, name: NOT_NUMBERS[kind], **options}
        with pytest.raises(TypeError, match=f"{name} must be a number, not "):
            attention(Q, Q, Q, **options)
    assert source.position == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_numbers_of_any_kind():
    expected = attention(Q, Q, Q, dropout_p=0.5, scale=0.25, rng=1)
    for number in (np.float32, np.float64, torch.tensor):
        out = attention(Q, Q, Q, dropout_p=number(0.5), scale=number(0.25), rng=1)
        assert torch.equal(out, expected)


class Liar(torch.Tensor):
    """A tensor that says of itself what is not so."""

    shape = property(lambda self: torch.Size([2, 4, 5000, 8]))
    is_cpu = property(lambda self: True)
    device = property(lambda self: torch.device("cpu"))
    size = stride = lambda self, *axis: 10**6 if axis else (10**6,) * 4
    numel = data_ptr = lambda self: 10**9


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("grad", [False, True])
def test_what_subclasses_say_of_themselves_is_not_believed(which, grad):
    tensors = [Q.clone(), Q + 1, Q + 2, torch.randn(5, 5)]
    expected = attention(*tensors, 0.5, rng=1)
    tensors[which] = tensors[which].as_subclass(Liar)
    tensors = [x.detach().requires_grad_(grad) for x in tensors[:3]] + tensors[3:]
    assert torch.equal(attention(*tensors, 0.5, rng=1).as_subclass(torch.Tensor), expected)


@pytest.mark.parametrize("derived_again", [False, True])
@pytest.mark.parametrize("length", [5, 300])
def test_hooks_that_exchange_what_was_kept(length, derived_again):
    tensors = [made(1, 2, length, 3) for _ in range(3)]

    def gradients(unpack):
        with torch.autograd.graph.saved_tensors_hooks(lambda x: x, unpack):
            out = attention(*tensors, dropout_p=0.5, rng=1)
        gradient = torch.ones_like(out)
        return torch.autograd.grad(out, tensors, gradient, create_graph=derived_again)

    expected = gradients(lambda x: x)
    for x, y in zip(gradients(lambda x: x.detach().clone()), expected, strict=True):
        assert torch.equal(x, y)
    exchanges = [
        lambda x: x[..., :1, :],
        lambda x: x[..., :0],
        lambda x: x.new_empty(0),
        lambda x: x.to("meta"),
    ]
    if not derived_again:
        exchanges.append(lambda x: x.to(torch.float32))
    for exchange in exchanges:
        with pytest.raises((RuntimeError, IndexError)):
            gradients(exchange)


def test_heads_that_do_not_divide():
    key = torch.randn(2, 3, 5, 8)
    with pytest.raises(RuntimeError, match="must divide"):
        attention(Q, key, key, dropout_p=0.1, enable_gqa=True)


def test_seeds_and_sources():
    with pytest.raises(TypeError, match="seed=1 and rng="):
        attention(Q, Q, Q, dropout_p=0.1, seed=1, rng=torch.Generator())
    with pytest.raises(TypeError, match=r"rng must be .*, not '"):
        attention(Q, Q, Q, dropout_p=0.1, rng="1")
    meta = Q.to("meta")
    with pytest.raises(TypeError, match="query must be a tensor on the CPU"):
        attention(meta, meta, meta, dropout_p=0.1, rng=1)
    assert attention(meta, meta, meta, dropout_p=0.1).device.type == "meta"
    with pytest.raises(OverflowError):
        source = fd.Xoshiro256PlusPlus(1)
        source.position = 2**64 - 10
        attention(Q, Q, Q, dropout_p=0.1, rng=source)


# ---- installed -----------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch):
    """Return the list of shapes of the weights that were computed in blocks."""
    found = []
    compute = autograd.in_blocks
    monkeypatch.setattr(
        autograd, "in_blocks", lambda *args: (found.append(args[0].shape), compute(*args))[1]
    )
    return found


LAYERS = {
    "attention": (lambda: nn.MultiheadAttention(16, 4, 0.1, batch_first=True), 3, {}),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 4, 8, batch_first=True), 1, {}),
    "decoder": (lambda: nn.TransformerDecoderLayer(16, 4, 8, batch_first=True), 2, {}),
}
LAYERS["attention"][2]["need_weights"] = False


@in_blocks
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_pytorch(installed, calls, name):
    make, count, options = LAYERS[name]
    layer = make()
    out = layer(*[torch.randn(2, 7, 16)] * count, **options)
    (out[0] if isinstance(out, tuple) else out).sum().backward()
    assert calls == [(2, 4, 7, 7)] * (2 if name == "decoder" else 1)
    assert all(parameter.grad is not None for parameter in layer.parameters())


@in_blocks
def test_functions_of_pytorch(installed, calls):
    tensors = [made(2, 3, 7, 4) for _ in range(3)]
    torch.manual_seed(3)
    out = F.scaled_dot_product_attention(*tensors, dropout_p=0.5)
    torch.manual_seed(3)
    assert torch.equal(out, attention(*tensors, dropout_p=0.5))
    with torch.autocast("cpu"):
        F.scaled_dot_product_attention(*(x.float() for x in tensors), dropout_p=0.5)
    assert len(calls) == 3
    F.scaled_dot_product_attention(*tensors)
    nn.MultiheadAttention(16, 4, 0.1).eval()(*[torch.randn(7, 2, 16)] * 3)
    assert len(calls) == 3


FUNCTIONS = {
    "3-d": (((4, 7, 3), (4, 6, 3), (4, 6, 5)), {}),
    "causal": (((2, 3, 7, 4),) * 3, {"is_causal": True}),
    "mask": (((2, 3, 7, 4),) * 3, {"attn_mask": torch.arange(49).view(7, 7) % 5 != 1}),
    "one key head": (((2, 4, 5, 3), (2, 1, 6, 3), (2, 1, 6, 3)), {}),
    "one sample": (((1, 4, 5, 3), (2, 4, 6, 3), (2, 4, 6, 3)), {}),
    "grouped": (((2, 4, 5, 3), (2, 2, 6, 3), (2, 2, 6, 3)), {"enable_gqa": True}),
}


@in_blocks
@pytest.mark.parametrize("name", FUNCTIONS)
def test_blocks_and_pytorchs_formula_have_the_same_mask(installed, calls, monkeypatch, name):
    """Which of the two computes cannot be told from the result, nor from later draws."""
    shapes, options = FUNCTIONS[name]
    tensors = [made(*shape) for shape in shapes]
    results = []
    for found in (True, False):
        monkeypatch.setattr(_blas, "FOUND", found)
        torch.manual_seed(3)
        out = F.scaled_dot_product_attention(*tensors, dropout_p=0.4, **options)
        results.append((out, *torch.autograd.grad(out.square().sum(), tensors), torch.rand(3)))
        assert len(calls) == 1
    for x, y in zip(*results, strict=True):
        assert_close(x, y, 1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_derivatives_the_mask_is_the_same(installed, name):
    """Few weights without derivatives go by PyTorch's formula, whose dropout is a kernel in C."""
    shapes, options = FUNCTIONS[name]
    tensors = [made(*shape) for shape in shapes]
    results = []
    for derived in (True, False):
        torch.manual_seed(3)
        with torch.set_grad_enabled(derived):
            out = F.scaled_dot_product_attention(*tensors, dropout_p=0.4, **options)
        results.append((out, torch.rand(3)))
    for x, y in zip(*results, strict=True):
        assert_close(x, y, 1e-12)


@in_blocks
def test_masks_that_learn_have_the_same_mask(installed, calls):
    tensors, bias = [made(2, 3, 7, 4) for _ in range(3)], made(3, 1, 7)
    torch.manual_seed(3)
    out = F.scaled_dot_product_attention(*tensors, bias, dropout_p=0.4)
    assert not calls
    torch.manual_seed(3)
    expected = attention(*tensors, bias, 0.4)
    assert_close(out, expected, 1e-12)
    inputs = (*tensors, bias)
    found = torch.autograd.grad(out.square().sum(), inputs)
    for x, y in zip(found, torch.autograd.grad(expected.square().sum(), inputs), strict=True):
        assert_close(x, y, 1e-10)
    torch.manual_seed(3)
    with torch.no_grad():
        assert_close(F.scaled_dot_product_attention(*tensors, bias, dropout_p=0.4), out, 1e-12)
    assert not calls  # few weights


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_functions_of_pytorch_in_forward_mode(installed):
    query, key, value, tangent = torch.randn(4, 2, 2, 5, 3, dtype=torch.float64)
    torch.manual_seed(3)
    with forward_ad.dual_level():
        out = F.scaled_dot_product_attention(
            forward_ad.make_dual(query, tangent), key, value, dropout_p=0.3
        )
        found = forward_ad.unpack_dual(out).tangent

    def function(query):
        torch.manual_seed(3)
        return F.scaled_dot_product_attention(query, key, value, dropout_p=0.3)

    step = 1e-6 * tangent
    assert_close(found, (function(query + step) - function(query - step)) / 2e-6, 1e-8)


def test_without_dropout_installing_changes_nothing():
    tensors = [made(2, 3, 7, 4) for _ in range(3)]
    out = F.scaled_dot_product_attention(*tensors, is_causal=True)
    with fastdrop.torch.installed():
        found = F.scaled_dot_product_attention(*tensors, is_causal=True)
    assert torch.equal(found, out)
    assert type(found.grad_fn) is type(out.grad_fn)


def test_uninstalled_attention_is_pytorchs(calls):
    tensors = [made(2, 3, 7, 4) for _ in range(3)]
    torch.manual_seed(3)
    out = F.scaled_dot_product_attention(*tensors, dropout_p=0.5)
    with fastdrop.torch.installed():
        F.scaled_dot_product_attention(*tensors, dropout_p=0.5)
    count = len(calls)
    torch.manual_seed(3)
    found = F.scaled_dot_product_attention(*tensors, dropout_p=0.5)
    assert torch.equal(found, out)
    assert len(calls) == count


def test_without_a_blas_it_is_the_formula_too(monkeypatch, calls):
    monkeypatch.setattr(_blas, "FOUND", False)
    tensors = made(2, 4, 9, 3), made(2, 2, 9, 3), made(2, 2, 9, 3)
    assert_is_the_formula(*tensors, None, 0.3, gqa=True, rng=5)
    assert not calls


def test_a_big_endian_machine_does_not_try_the_blas(monkeypatch):
    """Its integers may be of 32 bits; these addresses show that none is called."""
    monkeypatch.setattr(sys, "byteorder", "big")
    assert not _attention.use_gemm(1, 1)
