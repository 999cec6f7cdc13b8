# SPDX-License-Identifier: BSD-3-Clause
"""The kernels in C, for small tensors, against the kernels in Python: the same bits."""

import contextlib
import subprocess
import sys
import threading

import pytest
import torch
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.utils import _python_dispatch, flop_counter
from torch.utils.checkpoint import checkpoint
from torch_tensors import kernels_in_python

from fastdrop.functional._scales import alpha_numbers
from fastdrop.torch import _dispatcher, installed
from fastdrop.torch._small_calls import register_small_calls
from fastdrop.torch._switch import switch

pytestmark = [
    pytest.mark.skipif(
        not _dispatcher.function_names(), reason="there are no kernels in C for this platform"
    ),
    # PyTorch's forward mode scripts its decompositions when it is first used.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]

SMALL = _dispatcher.SMALL
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OPERATORS = {
    "dropout": torch.dropout,
    "feature_dropout": torch.feature_dropout,
    "alpha_dropout": torch.alpha_dropout,
    "feature_alpha_dropout": torch.feature_alpha_dropout,
}
IN_PLACE = {
    "dropout_": torch.dropout_,
    "feature_dropout_": torch.feature_dropout_,
    "alpha_dropout_": torch.alpha_dropout_,
    "feature_alpha_dropout_": torch.feature_alpha_dropout_,
}
LAYOUTS = {
    "one number": lambda dtype: torch.randn(1, 1, dtype=dtype),
    "contiguous": lambda dtype: torch.randn(3, 5, 7, dtype=dtype),
    "no axes": lambda dtype: torch.randn((), dtype=dtype),
    "one axis": lambda dtype: torch.randn(130, dtype=dtype),
    "transposed": lambda dtype: torch.randn(5, 70, dtype=dtype).T,
    "channels last": lambda dtype: torch.randn(2, 3, 4, 5, dtype=dtype).to(
        memory_format=torch.channels_last
    ),
    "permuted": lambda dtype: torch.randn(4, 3, 2, dtype=dtype).permute(1, 2, 0),
    "a slice": lambda dtype: torch.randn(6, 10, 3, dtype=dtype)[::2, 1:9],
    "expanded": lambda dtype: torch.randn(6, 1, 2, dtype=dtype).expand(6, 5, 2),
    "an axis of 1": lambda dtype: torch.randn(1, 9, 1, 4, dtype=dtype)[:, :, :, ::4],
    "two axes": lambda dtype: torch.randn(9, 4, dtype=dtype),
    "at the limit": lambda dtype: torch.randn(4, SMALL // 4, dtype=dtype),
    "past the limit": lambda dtype: torch.randn(1, SMALL + 1, dtype=dtype),
    "large features": lambda dtype: torch.randn(3, 4, 65, 66, dtype=dtype),
    "empty": lambda dtype: torch.randn(0, 3, 2, dtype=dtype),
    "complex": lambda dtype: torch.randn(3, 4, dtype=torch.complex64),
    "conjugated": lambda dtype: torch.randn(3, 4, dtype=torch.complex64).conj(),
    "negated": lambda dtype: torch._neg_view(torch.randn(3, 4, dtype=dtype)),
}


@pytest.fixture(autouse=True)
def _installed():
    with installed():
        yield


def both(function, seed=7):
    """Return what a function gives by the kernels in C, and by those in Python."""
    torch.manual_seed(seed)
    by_c = function()
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    with kernels_in_python():
        by_python = function()
    assert torch.equal(state, torch.get_rng_state())
    return by_c, by_python


def assert_same(a, b):
    """Compare dtypes, shapes, strides and bits."""
    assert (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())
    if a.is_complex():
        a, b = (torch.view_as_real(x.resolve_conj()) for x in (a, b))
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    a, b = (x.resolve_neg().contiguous().view(kind) for x in (a, b))
    assert torch.equal(a, b)


@contextlib.contextmanager
def served_by_pytorch():
    """Have PyTorch's own code serve, as after `uninstall`."""
    _dispatcher.serve(False)
    try:
        yield
    finally:
        _dispatcher.serve(switch.on)


def test_the_numbers_of_alpha_dropout_are_those_of_python():
    for p in (0.0, 2.0**-60, 0.1, 1 / 3, 0.5, 0.9, 1 - 2.0**-53, 1.0):
        assert _dispatcher.alpha_numbers(p) == alpha_numbers(p)


def test_they_are_there():
    assert switch.on
    y = torch.dropout(torch.ones(4, requires_grad=True), 0.5, True)
    assert type(y.grad_fn).__name__ == "NativeDropoutBackward0"
    with kernels_in_python():
        y = torch.dropout(torch.ones(4, requires_grad=True), 0.5, True)
    assert type(y.grad_fn).__name__ != "NativeDropoutBackward0"


def test_the_dispatch_keys_of_a_tensor_are_found_at_one_place():
    x, y = torch.ones(2), torch.ones(2, dtype=torch.complex64).conj()
    keys = [torch._C._dispatch_keys(t).raw_repr() for t in (x, y)]
    assert _dispatcher.find_key_set(list(zip((x, y), keys, strict=True))) is not None
    assert _dispatcher.find_key_set([(x, keys[0]), (y, keys[0])]) is None


@pytest.mark.parametrize("p", (0.0, 0.1, 0.5, 1 / 3, 1.0))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OPERATORS)
def test_forward_and_backward(name, layout, p):
    for dtype in DTYPES:
        x = LAYOUTS[layout](dtype)
        if "feature" in name and x.dim() < 2:
            continue
        if "alpha" in name and x.is_complex():
            continue

        def run(x=x):
            leaf = x.detach().requires_grad_()
            y = OPERATORS[name](leaf, p, True)
            dy = (1 + torch.arange(y.numel()) % 100).to(y.dtype).reshape(y.shape)
            (dx,) = torch.autograd.grad(y, leaf, dy)
            return OPERATORS[name](x, p, True), y.detach(), dx

        by_c, by_python = both(run)
        assert_same(by_c[0], by_python[0])
        assert_same(by_c[1], by_python[1])
        if "alpha" in name and dtype is torch.float64:  # its scale may differ in its last bit
            torch.testing.assert_close(by_c[2], by_python[2], rtol=3e-16, atol=0)
        else:
            torch.testing.assert_close(by_c[2], by_python[2], rtol=0, atol=0)


@pytest.mark.parametrize("tracked", (False, True))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name, layout, tracked):
    for dtype in DTYPES:
        x = LAYOUTS[layout](dtype)
        if layout == "expanded" or ("feature" in name and x.dim() < 2):
            continue
        if "alpha" in name and x.is_complex():
            continue

        def run(x=x):
            leaf = x.detach().requires_grad_(tracked)
            changed = leaf.clone() if tracked else x.clone()
            if layout in ("a slice", "conjugated", "negated") and not tracked:
                changed = x.detach()
                changed = torch.empty_like(x).copy_(x)
            version = changed._version
            address = changed.data_ptr()
            y = IN_PLACE[name](changed, 0.5, True)
            assert y is changed
            assert y.data_ptr() == address
            assert y.numel() == 0 or changed._version > version
            if not tracked:
                return y, y
            (dx,) = torch.autograd.grad(y, leaf, torch.ones_like(y))
            return y.detach(), dx

        by_c, by_python = both(run)
        assert_same(by_c[0], by_python[0])
        torch.testing.assert_close(by_c[1], by_python[1], rtol=3e-16, atol=0)


@pytest.mark.parametrize("mode", (torch.inference_mode, torch.no_grad))
@pytest.mark.parametrize("name", (*OPERATORS, *IN_PLACE))
def test_without_gradients(name, mode):
    operator = {**OPERATORS, **IN_PLACE}[name]

    def run():
        with mode():
            return operator(torch.ones(20, 30), 0.5, True).clone()

    assert_same(*both(run))


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_may_not_be_changed_is_not(name):
    leaf = torch.ones(4, 4, requires_grad=True)
    with torch.inference_mode():
        inferred = torch.ones(4, 4)
    expanded = torch.ones(4, 1).expand(4, 4)
    for x in (leaf, leaf[1:], inferred, expanded):
        state = torch.get_rng_state()
        with pytest.raises(RuntimeError):
            IN_PLACE[name](x, 0.5, True)
        assert torch.equal(state, torch.get_rng_state())
        assert bool((x == 1).all())


@pytest.mark.parametrize("p", (-0.1, 1.1, float("nan"), float("inf")))
@pytest.mark.parametrize("train", (False, True))
@pytest.mark.parametrize("name", (*OPERATORS, *IN_PLACE))
def test_p_outside_of_its_range(name, p, train):
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        {**OPERATORS, **IN_PLACE}[name](torch.ones(4, 4), p, train)


@pytest.mark.parametrize("name", OPERATORS)
def test_evaluation_returns_x(name):
    x = torch.ones(4, 4)
    assert OPERATORS[name](x, 0.5, False) is x
    assert OPERATORS[name](x, 0.0, True) is x


def test_what_is_dropped_is_zero_whatever_it_was():
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -1.0] * 8, requires_grad=True)
    y = torch.dropout(x, 1.0, True)
    assert torch.equal(y, torch.zeros(32))
    assert not bool(y.signbit().any())
    dy = torch.full((32,), float("nan"))
    assert torch.equal(torch.autograd.grad(y, x, dy)[0], torch.zeros(32))


# ---- derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATORS)
def test_derivatives_of_every_kind(name):
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)

    def function(x):
        torch.manual_seed(3)
        return OPERATORS[name](x, 0.5, True)

    assert torch.autograd.gradcheck(function, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize("name", OPERATORS)
def test_tangents(name):
    x, tangent = torch.randn(4, 5), torch.randn(4, 5)

    def run():
        with forward_ad.dual_level():
            y = OPERATORS[name](forward_ad.make_dual(x, tangent), 0.5, True)
            return forward_ad.unpack_dual(y)

    by_c, by_python = both(run)
    assert_same(by_c.primal, by_python.primal)
    assert_same(by_c.tangent, by_python.tangent)


def test_transforms():
    x = torch.randn(5, 6)
    torch.manual_seed(1)
    y = torch.func.vmap(lambda x: F.dropout(x, 0.5), randomness="different")(x)
    assert y.shape == x.shape
    gradient = torch.func.grad(lambda x: F.dropout(x, 0.5).sum())(x)
    assert set(gradient.unique().tolist()) <= {0.0, 2.0}


def test_the_derivative_of_a_mask_of_any_layout():
    x = torch.randn(6, 8, requires_grad=True)
    y, kept = torch.native_dropout(x, 0.5, True)
    for dy in (torch.ones(6, 8), torch.ones(8, 6).T, torch.ones(()).expand(6, 8)):
        (dx,) = torch.autograd.grad(y, x, dy, retain_graph=True)
        assert torch.equal(dx, kept * 2.0)
    assert torch.equal(
        torch.ops.aten.native_dropout_backward(torch.ones(6, 8), kept[:, :1], 2.0),
        kept[:, :1] * 2.0 * torch.ones(6, 8),
    )


def test_dropped_gradients_are_zero_in_any_layout():
    x = torch.randn(6, 8, requires_grad=True)
    inf = torch.full((), float("inf"))
    for drop in (lambda x: torch.dropout(x, 0.5, True), lambda x: F.dropout1d(x, 0.5)):
        y = drop(x)
        wide = torch.full((6, 16), float("nan"))
        for dy in (inf.expand(6, 8), wide[:, ::2], wide.T[:8].T, wide[:, :8]):
            (dx,) = torch.autograd.grad(y, x, dy, retain_graph=True)
            assert bool((dx[y == 0] == 0).all())
            assert not bool(dx[y != 0].isfinite().any())


def test_gradients_of_alpha_dropout_near_one():
    for p in (0.9, 0.95, 0.999, 1 - 2.0**-30):
        x = torch.zeros(2000, dtype=torch.float64, requires_grad=True)
        torch.manual_seed(1)
        y = torch.alpha_dropout(x, p, True)
        (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
        scale = alpha_numbers(p)[0]
        torch.testing.assert_close(
            dx[dx != 0], torch.full_like(dx[dx != 0], scale), rtol=5e-16, atol=0
        )


# ---- who looks on --------------------------------------------------------------------------------


@pytest.mark.parametrize("counted", ("forward", "backward", "both", "neither"))
@pytest.mark.parametrize("name", (*OPERATORS, *IN_PLACE))
def test_checkpoints_under_a_mode(name, counted):
    operator = {**OPERATORS, **IN_PLACE}[name]
    weight = torch.randn(5, 5, requires_grad=True)

    def layer(x):
        return torch.sin(operator(x @ weight, 0.5, True))

    def run(segment):
        torch.manual_seed(5)
        x = torch.linspace(-1, 1, 20).reshape(4, 5).requires_grad_()
        count = flop_counter.FlopCounterMode(display=False)
        with count if counted in ("forward", "both") else contextlib.nullcontext():
            y = segment(x)
        with count if counted in ("backward", "both") else contextlib.nullcontext():
            return torch.autograd.grad(y.sum(), (x, weight))

    plain = run(layer)
    recomputed = run(lambda x: checkpoint(layer, x, use_reentrant=False))
    for a, b in zip(plain, recomputed, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_mode_does_not_change_masks():
    class Looking(_python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    for operator in OPERATORS.values():
        x = torch.randn(6, 7, 2, requires_grad=True)
        torch.manual_seed(2)
        y = operator(x, 0.5, True)
        torch.manual_seed(2)
        with Looking():
            watched = operator(x, 0.5, True)
        assert_same(y.detach(), watched.detach())


class Twice(_python_dispatch.TorchDispatchMode):
    """Runs every operator once more, and drops by its own hand."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.busy is None:
            self.busy = True
            self.inner.append(torch.native_dropout(torch.ones(1 << 15), 0.9, True)[1])
            self.busy = None
        return func(*args, **(kwargs or {}))

    busy, inner = None, []


@pytest.mark.parametrize("name", (*OPERATORS, *IN_PLACE))
def test_what_runs_inside_of_a_call_drops_as_it_says(name):
    """Hooks of saved tensors and modes run programs before a call returns."""
    operator = {**OPERATORS, **IN_PLACE}[name]
    masks = []

    def pack(x):
        with torch.no_grad():
            masks.append(torch.native_dropout(torch.ones(1 << 15), 0.9, True)[1])
            y, kept = torch.native_dropout(torch.ones(8, 8), 0.9, False)
        assert float(y.sum()) == 64
        assert bool(kept.all())
        return x

    x = torch.ones(8, 8, 2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        operator(x * 1, 0.5, True)
    Twice.inner.clear()
    with Twice():
        operator(x * 1, 0.5, True)
    for kept in (*masks, *Twice.inner):
        assert 0.08 < float(kept.float().mean()) < 0.12


# ---- bernoulli -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", (*DTYPES, torch.bool, torch.uint8, torch.int64))
@pytest.mark.parametrize("layout", ("contiguous", "transposed", "a slice", "empty", "one number"))
@pytest.mark.parametrize("p", (0.0, 0.3, 1.0))
def test_bernoulli_of_a_number(dtype, layout, p):
    shaped = LAYOUTS[layout](torch.float32)
    for generator in (None, torch.Generator()):

        def run(generator=generator):
            if generator is not None:
                generator.manual_seed(9)
            y = torch.empty_like(shaped, dtype=dtype)
            assert y.bernoulli_(p, generator=generator) is y
            return y

        by_c, by_python = both(run)
        assert torch.equal(by_c, by_python)
        assert by_c.stride() == by_python.stride()


@pytest.mark.parametrize("dtype", (*DTYPES, torch.bool, torch.uint8, torch.int64))
@pytest.mark.parametrize("of_p", DTYPES)
@pytest.mark.parametrize("layout", ("contiguous", "transposed", "a slice", "empty", "one number"))
def test_bernoulli_of_probabilities(dtype, of_p, layout):
    shaped = LAYOUTS[layout](torch.float32)
    p = torch.rand_like(shaped).to(of_p)
    for generator in (None, torch.Generator()):

        def run(generator=generator):
            if generator is not None:
                generator.manual_seed(9)
            y = torch.empty_like(shaped, dtype=dtype)
            assert y.bernoulli_(p, generator=generator) is y
            return y

        assert torch.equal(*both(run))
    assert torch.bernoulli(p).dtype == of_p


@pytest.mark.parametrize("dtype", (*DTYPES, torch.bool, torch.uint8, torch.int64))
@pytest.mark.parametrize("n", (1, 7, 4096, 4097, 50_000))
def test_bernoulli_writes_ones_and_zeros(dtype, n):
    p = torch.rand(n)
    p[::3], p[1::3] = 0.0, 1.0
    y = torch.full((n,), 7).to(dtype).bernoulli_(p)
    assert set(y.double().unique().tolist()) <= {0.0, 1.0}
    assert not y[::3].any()
    assert y[1::3].all()
    if dtype in DTYPES:
        assert torch.equal(torch.bernoulli(torch.ones(n, dtype=dtype)), torch.ones(n, dtype=dtype))


def test_bernoulli_of_probabilities_that_lie_under_the_result():
    for n in (100, 20_000):
        base = torch.rand(n + 1)
        p = base[:-1].clone()
        torch.manual_seed(3)
        expected = torch.bernoulli(p)
        torch.manual_seed(3)
        assert torch.equal(base[1:].bernoulli_(base[:-1]), expected)
        whole = p.clone()
        torch.manual_seed(3)
        assert torch.equal(whole.bernoulli_(whole), expected)
        room = torch.zeros(n, dtype=torch.float64)
        half = room.view(torch.float32)[:n].copy_(p)
        torch.manual_seed(3)
        assert torch.equal(room.bernoulli_(half).float(), expected)


def test_bernoulli_is_exact():
    n = 100_000
    for p in (0.0, 2.0**-9, 0.25, 1 / 3, 0.999, 1.0):
        for dtype in (torch.float32, torch.float64):
            torch.manual_seed(11)
            ones = torch.bernoulli(torch.full((n,), p, dtype=dtype))
            deviation = (n * p * (1 - p)) ** 0.5
            assert abs(float(ones.sum()) - n * p) <= 4.5 * deviation  # false in 7e-6 of runs
            torch.manual_seed(11)
            assert torch.equal(ones, torch.empty(n, dtype=dtype).bernoulli_(ones * 0 + p))


def test_bernoulli_of_probabilities_is_that_of_one_number():
    p = float(torch.tensor(0.3))
    torch.manual_seed(4)
    a = torch.empty(5000).bernoulli_(p)
    torch.manual_seed(4)
    b = torch.bernoulli(torch.full((5000,), p))
    torch.manual_seed(4)
    c = torch.distributions.Bernoulli(torch.full((5000,), p)).sample()
    assert torch.equal(a, b)
    assert torch.equal(a, c)


@pytest.mark.parametrize("wrong", (-0.1, 1.5, float("nan")))
def test_wrong_probabilities(wrong):
    p = torch.full((40,), 0.5)
    p[17] = wrong
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError):
        torch.bernoulli(p)
    with kernels_in_python(), pytest.raises(RuntimeError):
        torch.bernoulli(p)
    with pytest.raises(RuntimeError):
        torch.empty(4, 40).bernoulli_(p)
    with pytest.raises(RuntimeError):
        torch.empty(40).bernoulli_(wrong)
    assert torch.equal(state, torch.get_rng_state())


def test_probabilities_are_laid_over_the_tensor():
    p = torch.tensor([0.0, 1.0, 0.0])
    y = torch.empty(4, 3).bernoulli_(p)
    assert torch.equal(y, p.expand(4, 3))
    with pytest.raises(RuntimeError):
        torch.empty(3).bernoulli_(torch.rand(4, 3))


# ---- attention -----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", (0.0, 0.5))
@pytest.mark.parametrize("scale", (None, 0.3))
@pytest.mark.parametrize("masked", (False, True))
@pytest.mark.parametrize("gradients", (False, True))
def test_attention(p, scale, masked, gradients):
    """Without gradients one of the two is PyTorch's formula, which rounds in other places."""
    query = torch.randn(2, 4, 5, 8)
    key = torch.randn(2, 2, 6, 8)
    mask = torch.rand(5, 6) < 0.8 if masked else None

    def run():
        x = query.clone().requires_grad_(gradients)
        y = F.scaled_dot_product_attention(
            x, key, key, attn_mask=mask, dropout_p=p, scale=scale, enable_gqa=True
        )
        return y.detach(), torch.autograd.grad(y.sum(), x)[0] if gradients else y

    for a, b in zip(*both(run), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_attention_raises_what_pytorch_raises():
    query = torch.randn(2, 5, 8)
    with pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(query, torch.randn(2, 5, 7), torch.randn(2, 5, 7))


# ---- threads, processes and memory ---------------------------------------------------------------


def test_many_threads():
    """Each thread has masks of its own, and the generator's words are given to one of them."""
    rows = [[] for _ in range(8)]

    def work(row):
        for _ in range(200):
            x = torch.ones(64, requires_grad=True)
            y = torch.dropout(x, 0.5, True)
            (dx,) = torch.autograd.grad(y.sum(), x)
            assert torch.equal(dx, y.detach())
            row.append(tuple(y.tolist()))

    threads = [threading.Thread(target=work, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = [mask for row in rows for mask in row]
    assert len(drawn) == 1600
    assert len(set(drawn)) == 1600


@pytest.mark.parametrize("name", (*OPERATORS, *IN_PLACE))
def test_references_are_given_back(name):
    """Results, inputs and errors leave no tensor behind."""
    operator = {**OPERATORS, **IN_PLACE}[name]
    given = torch.ones(16, 16)
    for x in (given, given.T, given.requires_grad_()):
        count = sys.getrefcount(x)
        uses = x._use_count()
        for p in (0.5, 1.0, 0.0, 2.0):
            with contextlib.suppress(RuntimeError):
                operator(x, p, True)
        assert x._use_count() == uses
        assert sys.getrefcount(x) == count


def test_errors_leave_no_reference_behind():
    x = torch.ones(4, 4)
    generator = torch.Generator()
    uses = x._use_count()
    for _ in range(10):
        for served in (contextlib.nullcontext(), kernels_in_python(), served_by_pytorch()):
            with served, pytest.raises(RuntimeError):
                x.bernoulli_(2.0, generator=generator)
        with pytest.raises(RuntimeError):
            x.bernoulli_(x + 1.0, generator=generator)
        with pytest.raises(RuntimeError):
            F.scaled_dot_product_attention(x, torch.ones(4, 3), x)
    assert x._use_count() == uses
    assert sys.getrefcount(generator) == 2
    generator.manual_seed(1)
    assert torch.equal(
        x.bernoulli_(0.5, generator=generator),
        x.clone().bernoulli_(0.5, generator=generator.manual_seed(1)),
    )


def test_a_process_prints_nothing():
    """PyTorch warns where kernels are replaced, which is what `install` is for."""
    code = (
        "import torch, fastdrop.torch\n"
        "fastdrop.torch.install()\n"
        "x = torch.ones(8, requires_grad=True)\n"
        "torch.dropout(x, 0.5, True).sum().backward()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""


def test_calls_at_exit():
    """PyTorch takes the kernels in Python back before the last functions of a program run."""
    code = (
        "import atexit\n"
        "def late():\n"
        "    torch.dropout(torch.ones(100_000, requires_grad=True), 0.5, True)\n"
        "    torch.ones(4, dtype=torch.int64).bernoulli_(0.5)\n"
        "    torch.native_dropout(torch.ones(4), 0.0, True)\n"
        "    print('done')\n"
        "atexit.register(late)\n"
        "import torch, fastdrop.torch\n"
        "fastdrop.torch.install()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_without_a_function_the_kernels_in_python_serve(monkeypatch):
    from fastdrop.torch import _small_calls

    monkeypatch.setattr(_small_calls, "function_names", lambda: ["no_such_function"])
    assert not register_small_calls()
    monkeypatch.setattr(_small_calls, "function_names", list)
    assert not register_small_calls()
