# SPDX-License-Identifier: BSD-3-Clause
"""Attention with dropout is the formula, with the mask of the contract, in any block size."""

import contextlib
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

import fastdrop as fd
import fastdrop.torch
from fastdrop.torch import _attend, _attention, _blas

attention = fastdrop.torch.scaled_dot_product_attention
in_blocks = pytest.mark.skipif(not _blas.FOUND, reason="PyTorch's BLAS is not found")
HALVES = (torch.float16, torch.bfloat16)
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}


def repeated(x, heads):
    return x.repeat_interleave(heads // x.size(-3), -3) if x.dim() > 2 else x


def formula(query, key, value, mask=None, p=0.0, causal=False, *, scale=None, gqa=False, seed=0):
    """Return attention in plain operations, under the mask that NumPy arrays have."""
    if gqa:
        key, value = repeated(key, query.size(-3)), repeated(value, query.size(-3))
    scores = query @ key.transpose(-1, -2) * (query.size(-1) ** -0.5 if scale is None else scale)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    weights = torch._safe_softmax(scores, -1)
    kept = torch.from_numpy(np.asarray(fd.dropout_mask(tuple(weights.shape), p, rng=seed)))
    return torch.where(kept, weights / (1 - p) if p < 1 else weights, 0.0) @ value


def made(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype).requires_grad_()


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance)


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
    before = _attention.get_blocks()
    _attention.set_blocks(rows=5, columns=7)
    yield
    _attention.set_blocks(*before)


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
    options = {"gqa": gqa, "seed": draw(st.integers(0, 99))}
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
    before = _attention.get_blocks()
    _attention.set_blocks(rows=5, columns=7)
    try:
        arguments, options = case
        assert_is_the_formula(*arguments, **options)
    finally:
        _attention.set_blocks(*before)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_sizes_of_several_blocks(dtype, causal, threads):
    torch.set_num_threads(threads)
    query, key, value = (
        made(1, 3, *shape, dtype=dtype) for shape in ((301, 24), (523, 24), (523, 17))
    )
    assert_is_the_formula(query, key, value, None, 0.2, causal, seed=8)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("key_heads", [1, 2])
def test_more_threads_than_key_heads(causal, key_heads):
    """Backward is split then, with the same sums in the same order."""
    shapes = (4, 301, 8), (key_heads, 2500, 8), (key_heads, 2500, 5)
    tensors, gradient = [made(*shape) for shape in shapes], torch.randn(4, 301, 5).double()
    results = []
    for threads in (1, 2, 4, 7):
        torch.set_num_threads(threads)
        out = attention(*tensors, None, 0.2, causal, enable_gqa=True, seed=8)
        results.append((out, *torch.autograd.grad(out, tensors, gradient)))
    for result in results[1:]:
        for x, y in zip(result, results[0], strict=True):
            assert_close(x, y, 1e-13)


def test_two_axes():
    tensors = made(9, 4), made(7, 4), made(7, 5)
    assert_is_the_formula(*tensors, None, 0.3, seed=6)
    assert_is_the_formula(*tensors, None, 0.3, True, seed=6)
    assert_is_the_formula(*tensors, torch.rand(9, 7) < 0.6, 0.3, seed=6)


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
    out = attention(*tensors, dropout_p=2.0**-70, seed=1, **options)
    expected = F.scaled_dot_product_attention(*tensors, **options)
    assert_close(out, expected, 1e-12)
    found = torch.autograd.grad(out.square().sum(), tensors)
    for x, y in zip(found, torch.autograd.grad(expected.square().sum(), tensors), strict=True):
        assert_close(x, y, 1e-12)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_halves_with_masks(dtype):
    query, key, value = (made(2, 4, 50, 16, dtype=dtype) for _ in range(3))
    assert_is_the_formula(query, key, value, torch.rand(50, 50) < 0.5, 0.1, seed=1)
    assert_is_the_formula(query, key, value, torch.randn(2, 1, 1, 50), 0.1, seed=1)
    assert_is_the_formula(query, key, value, torch.randn(50, 50, dtype=dtype), 0.1, seed=1)


def test_every_level_agrees():
    query, key, value = (made(2, 3, 70, 8, dtype=torch.float32) for _ in range(3))
    results = []
    for level in fd.simd_levels():
        with fd.use_simd(level):
            out = attention(query, key, value, dropout_p=0.3, seed=4)
            results.append((out, *torch.autograd.grad(out.sum(), (query, key, value))))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def test_wholly_masked_rows_are_zero_with_zero_gradients():
    query, key, value = (made(1, 2, 6, 4) for _ in range(3))
    seen = torch.rand(6, 6) < 0.7
    seen[2] = False
    out = attention(query, key, value, seen, 0.2, seed=3)
    assert not out[:, :, 2].any()
    (gradient,) = torch.autograd.grad(out.square().sum(), query)
    assert not gradient[:, :, 2].any()
    assert_is_the_formula(query, key, value, seen, 0.2, seed=3)


def test_nan_stays_in_its_rows():
    query, key, value = (torch.randn(1, 1, 20, 4) for _ in range(3))
    query[0, 0, 3, 0] = math.nan
    out = attention(query, key, value, dropout_p=0.2, seed=3)
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
    found = attention(*tensors, dropout_p=0.5, seed=1)
    assert found.shape == out.shape
    assert found.isfinite().all()
    torch.autograd.grad(found.sum(), tensors)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 1, 3)], ids=str)
def test_the_output_has_the_layout_of_flash(order):
    shape = torch.empty(2, 3, 7, 4).permute(order).shape
    back = [order.index(axis) for axis in range(4)]
    tensors = [torch.randn(shape).permute(back) for _ in range(3)]
    assert attention(*tensors, dropout_p=0.5).stride() == attention(*tensors).stride()


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
    whole = attention(query, query, value, dropout_p=0.4, seed=9)
    causal = attention(query, query, value, dropout_p=0.4, is_causal=True, seed=9)
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

MASKS = {
    "none": {},
    "causal": {"is_causal": True},
    "bools": {"attn_mask": torch.arange(30).view(5, 6) % 4 != 1},
    "numbers": {"attn_mask": torch.linspace(-2, 2, 6, dtype=torch.float64)},
}


@pytest.mark.parametrize("name", MASKS)
def test_first_and_second_derivatives(name):
    tensors = made(2, 2, 5, 3), made(2, 2, 6, 3), made(2, 2, 6, 4)

    def function(query, key, value):
        return attention(query, key, value, dropout_p=0.3, seed=2, **MASKS[name])

    assert gradcheck(function, tensors)
    assert gradgradcheck(function, tensors)


def test_derivatives_of_some_inputs():
    for chosen in range(3):
        tensors = [made(2, 2, 5, 3).requires_grad_(i == chosen) for i in range(3)]

        def function(x, tensors=tensors, chosen=chosen):
            tensors = [x if i == chosen else y for i, y in enumerate(tensors)]
            return attention(*tensors, dropout_p=0.3, seed=2)

        assert gradcheck(function, tensors[chosen])
        assert gradgradcheck(function, tensors[chosen])


def test_derivatives_of_additive_masks():
    bias = made(5, 5)
    tensors = [torch.randn(2, 2, 5, 3, dtype=torch.float64) for _ in range(3)]
    assert gradcheck(lambda bias: attention(*tensors, bias, 0.3, seed=2), bias)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_forward_mode():
    query, key, value = (torch.randn(2, 2, 5, 3, dtype=torch.float64) for _ in range(3))
    tangent = torch.randn_like(query)

    def function(query):
        return attention(query, key, value, dropout_p=0.3, seed=2)

    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(function(forward_ad.make_dual(query, tangent))).tangent
    step = 1e-6 * tangent
    expected = (function(query + step) - function(query - step)) / 2e-6
    assert_close(found, expected, 1e-8)


def test_transforms():
    query = torch.randn(4, 2, 5, 3, dtype=torch.float64)

    def function(query):
        return attention(query, query, query, dropout_p=0.3, seed=2)

    expected = torch.stack([function(sample) for sample in query])
    assert_close(torch.func.vmap(function)(query), expected, 1e-12)
    loss = torch.func.grad(lambda query: function(query).square().sum())
    x = query[0].clone().requires_grad_()
    assert_close(loss(query[0]), torch.autograd.grad(function(x).square().sum(), x)[0], 1e-12)


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
        monkeypatch.setattr(_attend, "_get_num_threads", lambda: threads)
        out = attention(*tensors, bias, 0.4, enable_gqa=group > 1, seed=3)
        monkeypatch.setattr(_attend, "_get_num_threads", lambda: 3 - threads)
        return out, *torch.autograd.grad(out.float().square().sum(), tensors)

    whole = results()
    monkeypatch.setattr(_attend, "NUMBERS_OF_PART", numbers)
    for expected, found in zip(whole, results(), strict=True):
        assert torch.equal(expected, found)


@in_blocks
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_what_is_kept_for_backward_grows_with_the_length_only(mask):
    """q, k, v, out, and 16 bytes a row; and the padding mask of one row a sample."""
    kept = []

    def keep(x):
        kept.append(x.untyped_storage().nbytes())
        return x

    length = 512
    tensors = [made(1, 2, length, 8, dtype=torch.float32) for _ in range(3)]
    seen = torch.ones(1, 1, 1, length, dtype=torch.bool) if mask == "padding" else None
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        attention(*tensors, seen, 0.1, mask == "causal")
    assert sum(kept) <= 2 * length * (4 * 8 * 4 + 16) + length


def test_no_grad_and_inference():
    tensors = [made(2, 2, 5, 3) for _ in range(3)]
    out = attention(*tensors, dropout_p=0.3, seed=2)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = attention(*tensors, dropout_p=0.3, seed=2)
        assert not found.requires_grad
        assert torch.equal(found, out)


def test_autocast():
    tensors = [made(2, 2, 5, 3, dtype=torch.float32) for _ in range(3)]
    with torch.autocast("cpu"):
        out = attention(*tensors, dropout_p=0.3, seed=2)
    assert out.dtype == torch.bfloat16
    narrow = attention(*(x.bfloat16() for x in tensors), dropout_p=0.3, seed=2)
    assert torch.equal(out, narrow)
    out.sum().backward()
    assert tensors[0].grad.dtype == torch.float32


# ---- what it refuses -----------------------------------------------------------------------------

Q = torch.randn(2, 4, 5, 8)
WRONG = {
    "one axis": (torch.randn(5), torch.randn(5), torch.randn(5)),
    "widths": (Q, torch.randn(2, 4, 5, 9), Q),
    "lengths": (Q, torch.randn(2, 4, 6, 8), Q),
    "batches": (Q, Q[:1].expand(3, 4, 5, 8), Q),
    "dtypes": (Q, Q.double(), Q),
    "integers": (Q.long(), Q.long(), Q.long()),
    "complex": (Q.cfloat(), Q.cfloat(), Q.cfloat()),
    "shape of the mask": (Q, Q, Q, torch.ones(5, 6, dtype=torch.bool)),
    "axes of the mask": (Q, Q, Q, torch.ones(3, 2, 4, 5, 5, dtype=torch.bool)),
    "dtype of the mask": (Q, Q, Q, torch.ones(5, 5, dtype=torch.float64)),
    "mask and causal": (Q, Q, Q, torch.ones(5, 5, dtype=torch.bool), 0.1, True),
    "p above 1": (Q, Q, Q, None, 2.0),
    "p below 0": (Q, Q, Q, None, -0.1),
    "p is nan": (Q, Q, Q, None, math.nan),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("install", [False, True])
def test_errors_are_those_of_pytorch_and_draw_nothing(name, install):
    arguments = list(WRONG[name])
    if len(arguments) < 5:
        arguments += [None] * (4 - len(arguments)) + [0.1]
    with pytest.raises((RuntimeError, NotImplementedError)) as expected:
        F.scaled_dot_product_attention(*arguments)
    source = fd.Xoshiro256PlusPlus(1)
    state = torch.get_rng_state()
    ours = fastdrop.torch.installed if install else contextlib.nullcontext
    for options in ({"rng": source}, {}):
        with ours(), pytest.raises(expected.type) as found:
            attention(*arguments, **options)
        assert str(found.value) == str(expected.value)
    assert source.position == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_heads_that_do_not_divide():
    key = torch.randn(2, 3, 5, 8)
    with pytest.raises(RuntimeError, match="must divide"):
        attention(Q, key, key, dropout_p=0.1, enable_gqa=True)


def test_seeds_and_sources():
    with pytest.raises(TypeError, match="seed is 1 beside an rng"):
        attention(Q, Q, Q, dropout_p=0.1, seed=1, rng=torch.Generator())
    with pytest.raises(TypeError, match="rng is a int"):
        attention(Q, Q, Q, dropout_p=0.1, rng=1)
    meta = Q.to("meta")
    with pytest.raises(TypeError, match="allowed are tensors on the CPU"):
        attention(meta, meta, meta, dropout_p=0.1, seed=1)
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
    compute = _attend.in_blocks
    monkeypatch.setattr(
        _attend, "in_blocks", lambda *args: (found.append(args[0].shape), compute(*args))[1]
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
    with torch.inference_mode():
        F.scaled_dot_product_attention(*tensors, dropout_p=0.5)
    with torch.autocast("cpu"):
        F.scaled_dot_product_attention(*(x.float() for x in tensors), dropout_p=0.5)
    assert len(calls) == 4
    F.scaled_dot_product_attention(*tensors)
    nn.MultiheadAttention(16, 4, 0.1).eval()(*[torch.randn(7, 2, 16)] * 3)
    assert len(calls) == 4


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
    assert len(calls) == 1


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
    assert_is_the_formula(*tensors, None, 0.3, gqa=True, seed=5)
    assert not calls


# ---- traced --------------------------------------------------------------------------------------


@pytest.fixture
def compiler_reset():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("compiler_reset")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", MASKS)
def test_compiled(backend, name):
    """The operator has the mask of the seed, and the derivatives of the function."""
    options = {"dropout_p": 0.3, "enable_gqa": True, **MASKS[name]}
    tensors = made(2, 4, 5, 3), made(2, 2, 6, 3), made(1, 2, 6, 4)

    @torch.compile(backend=backend, fullgraph=True)
    def function(query, key, value, seed):
        return attention(query * 1, key, value, seed=seed, **options)

    for seed in (1, 2):
        expected = attention(*tensors, seed=seed, **options)
        found = function(*tensors, seed)
        assert_close(found, expected, 1e-12)
        gradients = torch.autograd.grad(found.square().sum(), tensors)
        assert all(
            map(
                torch.allclose,
                gradients,
                torch.autograd.grad(expected.square().sum(), tensors),
            )
        )


@pytest.mark.usefixtures("compiler_reset")
def test_compiled_programs_draw_from_pytorchs_generator(calls):
    function = torch.compile(attention, backend="aot_eager", fullgraph=True)
    tensors = [made(2, 3, 7, 4) for _ in range(3)]
    torch.manual_seed(1)
    first, second = function(*tensors, dropout_p=0.5), function(*tensors, dropout_p=0.5)
    torch.manual_seed(1)
    assert torch.equal(function(*tensors, dropout_p=0.5), first)
    assert not torch.equal(first, second)
    with pytest.raises(RuntimeError, match="allowed are a seed and generators of PyTorch"):
        function(*tensors, dropout_p=0.5, rng=fd.Philox4x32(1))


@pytest.mark.usefixtures("compiler_reset")
def test_compiled_whole_matrices():
    """A mask that learns, and layouts that blocks cannot have."""
    bias = made(6, 7)
    tensors = made(1, 2, 6, 3), made(1, 2, 7, 3), made(3, 2, 7, 4)

    def function(*tensors):
        return attention(*tensors, dropout_p=0.3, seed=5)

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    for arguments in (tensors, (*tensors, bias)):
        found, expected = compiled(*arguments), function(*arguments)
        assert_close(found, expected, 1e-12)
        gradients = torch.autograd.grad(found.square().sum(), arguments)
        for x, y in zip(
            gradients, torch.autograd.grad(expected.square().sum(), arguments), strict=True
        ):
            assert_close(x, y, 1e-10)


def test_the_operators_pass_pytorchs_checks():
    words = torch.tensor([1, 2, 3, 0])
    tensors = made(2, 4, 5, 3), made(2, 2, 6, 3), made(2, 2, 6, 4)
    for bias in (None, torch.rand(5, 6) < 0.7):
        arguments = (*tensors, bias, words, 0.3, False, 0.5)
        torch.library.opcheck(torch.ops.fastdrop.attend.default, arguments)


@pytest.mark.usefixtures("compiler_reset")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_functions_of_pytorch_stay_pytorchs(installed, backend):
    function = torch.compile(F.scaled_dot_product_attention, backend=backend, fullgraph=True)
    tensors = [made(2, 3, 7, 4) for _ in range(3)]
    out = function(*tensors, dropout_p=0.5)
    out.sum().backward()
    assert out.shape == (2, 3, 7, 4)


def test_exported():
    class Model(nn.Module):
        def forward(self, x):
            return attention(x, x, x, dropout_p=0.5, seed=3)

    x = torch.randn(2, 3, 7, 4)
    program = torch.export.export(Model(), (x,))
    assert any("fastdrop.attend" in str(node.target) for node in program.graph.nodes)
    assert_close(program.module()(x), attention(x, x, x, dropout_p=0.5, seed=3), 1e-6)


def test_a_big_endian_machine_does_not_try_the_blas(monkeypatch):
    """Its integers may be of 32 bits; these addresses show that none is called."""
    monkeypatch.setattr(sys, "byteorder", "big")
    assert not _attention.use_gemm(1, 1)
