# SPDX-License-Identifier: BSD-3-Clause
"""`install` reaches every dropout of unmodified programs, and touches nothing else."""

import contextlib
import typing

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad
from torch.utils import checkpoint
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import fastdrop.torch
from fastdrop.torch import _apply
from fastdrop.torch._attend import autograd


@pytest.fixture
def calls(monkeypatch):
    """Return the list of masks that were applied to memory, or to attention in blocks."""
    applied = []
    run, attend, derive = _apply._run, autograd.in_blocks, autograd.gradients_in_blocks
    monkeypatch.setattr(
        _apply, "_run", lambda mask, x, y: (applied.append(mask), run(mask, x, y))[1]
    )
    monkeypatch.setattr(
        autograd, "in_blocks", lambda inputs, mask: (applied.append(mask), attend(inputs, mask))[1]
    )
    monkeypatch.setattr(
        autograd,
        "gradients_in_blocks",
        lambda inputs, mask, *rest: (applied.append(mask), derive(inputs, mask, *rest))[1],
    )
    return applied


# ---- whom it reaches -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        F.dropout,
        lambda x: F.dropout(x, 0.5, inplace=True),
        lambda x: F.dropout1d(x, 0.5),
        lambda x: F.feature_alpha_dropout(x, 0.5, True),
        lambda x: F.alpha_dropout(x, 0.5, True),
        lambda x: torch.dropout_(x, 0.5, True),
        lambda x: torch.feature_dropout_(x, 0.5, True),
        lambda x: torch.alpha_dropout_(x, 0.5, True),
        lambda x: torch.feature_alpha_dropout_(x, 0.5, True),
        nn.Dropout(),
        lambda x: torch.native_dropout(x, 0.5, True)[0],
        lambda x: torch.empty_like(x).bernoulli_(0.5),
        lambda x: torch.bernoulli(x, 0.5),
    ],
)
@pytest.mark.parametrize("inference", (False, True))
def test_operators(in_python, monkeypatch, function, inference):
    drawn = []
    for module in (fastdrop.torch._overrides, fastdrop.torch._mask):
        original = module.draw_mask

        def draw_mask(*arguments, original=original, **options):
            drawn.append(1)
            return original(*arguments, **options)

        monkeypatch.setattr(module, "draw_mask", draw_mask)
    with torch.inference_mode(inference):
        y = function(torch.ones(50, 40))
    assert len(drawn) == 1
    assert len(y.unique()) == 2


@pytest.mark.parametrize(
    ("model", "shape", "count"),
    [
        (nn.MultiheadAttention(8, 2, dropout=0.5), (5, 3, 8), 1),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), (5, 3, 8), 4),
        (nn.TransformerDecoderLayer(8, 2, 16, dropout=0.5), (5, 3, 8), 6),
        (nn.LSTM(8, 8, num_layers=3, dropout=0.5), (5, 3, 8), 2),
        (nn.GRU(8, 8, num_layers=2, dropout=0.5), (5, 3, 8), 1),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d()), (2, 3, 6, 6), 1),
        (nn.Sequential(nn.Linear(4, 4), nn.AlphaDropout()), (2, 4), 1),
    ],
)
def test_modules(in_python, calls, model, shape, count):
    x = torch.randn(shape)
    inputs = {nn.MultiheadAttention: 3, nn.TransformerDecoderLayer: 2}.get(type(model), 1)
    y = model(*[x] * inputs)
    y = y[0] if isinstance(y, tuple) else y
    assert len(calls) == count
    y.sum().backward()
    assert len(calls) == 2 * count
    calls.clear()
    model.eval()(*[x] * inputs)
    assert not calls


def test_attention_function(installed, calls):
    q, k, v = torch.randn(3, 2, 4, 6, 8, requires_grad=True)
    F.scaled_dot_product_attention(q, k, v, dropout_p=0.5).sum().backward()
    assert len(calls) == 2


def test_rates_are_right(installed):
    n = 1_000_000
    for p in (0.1, 0.5, 0.9):
        limit = 5 * (p * (1 - p) / n) ** 0.5
        x = torch.ones(n)
        assert abs((F.dropout(x, p) == 0).double().mean() - p) < limit
        assert abs((torch.native_dropout(x, p, True)[1] == 0).double().mean() - p) < limit
        for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.int64, torch.uint8):
            b = torch.empty(n, dtype=dtype).bernoulli_(p)
            assert set(b.unique().tolist()) == {0, 1}
            assert abs(b.double().mean() - p) < limit


@pytest.mark.parametrize("p", (0.0, 1.0))
def test_bernoulli_at_the_ends(installed, p):
    assert (torch.empty(1000).bernoulli_(p) == p).all()
    assert (torch.empty(1000, dtype=torch.bool).bernoulli_(p) == bool(p)).all()
    generator = torch.Generator().manual_seed(1)
    first = torch.empty(100).bernoulli_(0.5, generator=generator)
    generator.manual_seed(1)
    window = torch.zeros(100, 2)[:, 0]
    assert torch.equal(window.bernoulli_(0.5, generator=generator), first)


@pytest.mark.parametrize("train", (None, True, False))
@pytest.mark.parametrize("p", (0.0, 0.4, 1.0))
@pytest.mark.parametrize("dtype", (torch.float32, torch.complex64))
def test_native_dropout_is_its_mask(installed, train, p, dtype):
    x = torch.randn(30, 20, dtype=dtype)
    y, kept = torch.native_dropout(x, p, train)
    factor = 1.0 if train is False else 0.0 if p == 1.0 else 1 / (1 - p)
    torch.testing.assert_close(y, x * kept * factor)


# ---- whom it leaves alone ------------------------------------------------------------------------


def test_evaluation_returns_x_itself(installed):
    x = torch.ones(5, 5)
    for function in (F.dropout, F.alpha_dropout, F.feature_alpha_dropout, F.dropout1d):
        assert function(x, 0.5, False).data_ptr() == x.data_ptr()
        assert function(x, 0.0, True).data_ptr() == x.data_ptr()
    assert torch.dropout(x, 0.5, False) is x


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.dropout(torch.ones(3), 1.5, True),
        lambda: torch.dropout(torch.ones(3), -0.5, False),
        lambda: torch.dropout(torch.ones(3), float("nan"), True),
        lambda: torch.dropout(torch.ones(3, dtype=torch.int64), 0.5, True),
        lambda: torch.feature_dropout(torch.ones(3), 0.5, True),
        lambda: torch.feature_alpha_dropout(torch.ones(3), 0.5, True),
        lambda: torch.dropout_(torch.ones(1).expand(3), 0.5, True),
        lambda: torch.native_dropout(torch.ones(3), -0.5, True),
        lambda: torch.native_dropout(torch.ones(3, dtype=torch.int64), 0.5, True),
        lambda: torch.ones(1).expand(3).bernoulli_(0.5),
        lambda: torch.native_dropout(torch.ones(3), float("nan"), True),
        lambda: F.dropout(torch.ones(3, requires_grad=True), 0.5, inplace=True),
        lambda: F.dropout(torch.ones(3, requires_grad=True)[:2], 0.5, inplace=True),
        lambda: F.alpha_dropout(torch.ones(3, requires_grad=True), 0.5, True, inplace=True),
        lambda: torch.empty(3).bernoulli_(1.5),
        lambda: torch.empty(3).bernoulli_(float("nan")),
        lambda: F.dropout(torch.ones(3), 1.5),
    ],
)
def test_errors_are_pytorchs(call):
    with pytest.raises(Exception) as stock:
        call()
    with fastdrop.torch.installed(), pytest.raises(type(stock.value)) as own:
        call()
    assert str(own.value).splitlines()[0] == str(stock.value).splitlines()[0]


@pytest.mark.parametrize("part", [lambda x: x, lambda x: x[:4], lambda x: (x * 1).chunk(2)[0]])
def test_what_cannot_be_changed_in_place_is_as_it_was(part, installed):
    x = part(torch.ones(8, requires_grad=True))
    for drop in (F.dropout, F.alpha_dropout):
        with pytest.raises(RuntimeError, match=r"leaf Variable|multiple views"):
            drop(x, 0.5, True, inplace=True)
    assert torch.equal(x, torch.ones_like(x))


def test_other_tensors_go_on_to_pytorch(installed, calls):
    assert F.dropout(torch.ones(3, device="meta"), 0.5).device.type == "meta"
    with torch._subclasses.FakeTensorMode():
        assert F.dropout(torch.ones(3), 0.5).shape == (3,)
        assert F.dropout2d(torch.ones(3, 2, 2, 2), 0.5).shape == (3, 2, 2, 2)
    del calls[:]
    sparse = torch.eye(3).to_sparse()
    with pytest.raises((RuntimeError, NotImplementedError)):
        F.dropout(sparse, 0.5)
    assert not calls


@pytest.mark.parametrize(
    "drop",
    [
        lambda x: F.dropout(x, 0.5),
        lambda x: F.dropout(x * 1, 0.5, inplace=True),
        lambda x: F.dropout1d(x, 0.5),
        lambda x: F.alpha_dropout(x, 0.5, True),
        lambda x: F.feature_alpha_dropout(x, 0.5, True),
        lambda x: fastdrop.torch.dropout(x, 0.5),
        lambda x: fastdrop.torch.relu_dropout(x, 0.5),
        lambda x: fastdrop.torch.dropout_add(x, x, 0.5),
    ],
)
def test_dispatch_modes_see_an_operator_and_change_no_mask(drop, installed):
    class Seen(TorchDispatchMode):
        names: typing.ClassVar = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.names.append(str(function))
            return function(*args, **(kwargs or {}))

    for x in (torch.ones(4, 5, 6), torch.ones(6, 5, 4).transpose(0, 2)):
        x.requires_grad_()
        torch.manual_seed(1)
        expected, state = drop(x), torch.get_rng_state()
        (expected_gradient,) = torch.autograd.grad(expected.sum(), x)
        torch.manual_seed(1)
        with Seen() as seen:
            y = drop(x)
        assert "fastdrop.drop.default" in seen.names
        assert torch.equal(y, expected) and torch.equal(torch.get_rng_state(), state)
        assert torch.equal(torch.autograd.grad(y.sum(), x)[0], expected_gradient)


# PyTorch's forward mode scripts its decompositions when it is first used.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_forward_mode_is_not_lost_in_a_dispatch_mode(installed):
    x, tangent = torch.randn(50), torch.randn(50)
    for drop in (F.dropout, fastdrop.torch.dropout):
        with forward_ad.dual_level(), FlopCounterMode(display=False):
            y = drop(forward_ad.make_dual(x, tangent), 0.5)
            value, moved = forward_ad.unpack_dual(y)
        assert torch.equal(moved, torch.where(value != 0, 2 * tangent, 0.0))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype:UserWarning")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_the_values_of_nested_tensors_are_dropped(layout, installed):
    parts = [torch.ones(3, 4), torch.ones(50, 4), torch.ones(2, 4)]
    nested = torch.nested.nested_tensor(parts, layout=layout, requires_grad=True)

    def values(x):
        return torch.cat([part.flatten() for part in x.unbind()])

    for drop in (F.dropout, fastdrop.torch.dropout):
        torch.manual_seed(1)
        y = drop(nested, 0.25)
        torch.manual_seed(1)
        assert torch.equal(values(y), F.dropout(torch.ones(55 * 4), 0.25))
        (gradient,) = torch.autograd.grad(values(y).sum(), nested)
        assert torch.equal(values(gradient), values(y))


def test_subclasses_keep_their_class(installed):
    class Marked(torch.Tensor):
        pass

    y = F.dropout(torch.ones(100).as_subclass(Marked), 0.5)
    assert type(y) is Marked
    assert set(y.tolist()) == {0.0, 2.0}
    assert F.dropout(nn.Parameter(torch.ones(3)), 0.5).grad_fn is not None


def test_a_default_device_does_not_matter(installed):
    with torch.device("meta"):
        y = F.dropout(torch.ones(100, device="cpu"), 0.5)
        z = fastdrop.torch.dropout(torch.ones(100, device="cpu"), 0.5)
    assert set(y.tolist()) == set(z.tolist()) == {0.0, 2.0}


# ---- the generator's state -----------------------------------------------------------------------


def test_generator_state(installed):
    x = torch.ones(1000)
    torch.manual_seed(5)
    first = F.dropout(x)
    torch.manual_seed(5)
    assert torch.equal(F.dropout(x), first)
    state = torch.get_rng_state()
    second = F.dropout(x)
    assert not torch.equal(second, first)
    torch.set_rng_state(state)
    assert torch.equal(F.dropout(x), second)
    with torch.random.fork_rng(devices=[]):
        third = F.dropout(x)
    assert torch.equal(F.dropout(x), third)


@pytest.mark.parametrize("reentrant", (False, True))
def test_checkpoints_draw_the_same_mask_again(installed, reentrant):
    layer = nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.5), nn.Linear(32, 32), nn.Dropout(0.1))
    x = torch.randn(8, 32, requires_grad=True)
    gradients = []
    for run in (layer, lambda z: checkpoint.checkpoint(layer, z, use_reentrant=reentrant)):
        torch.manual_seed(4)
        run(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in layer.parameters()] + [x.grad.clone()])
        layer.zero_grad()
        x.grad = None
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


CHECKPOINTED = {
    "dropout": lambda x, p: F.dropout(x, p),
    "in place": lambda x, p: F.dropout(x * 1, p, inplace=True),
    "channels": lambda x, p: F.dropout1d(x, p),
    "transposed": lambda x, p: F.dropout(x.transpose(0, 2), p).transpose(0, 2),
    "alpha": lambda x, p: F.alpha_dropout(x, p, True),
    "feature alpha": lambda x, p: F.feature_alpha_dropout(x, p, True),
    "native": lambda x, p: torch.native_dropout(x, p, True)[0],
    "bernoulli_": lambda x, p: x * torch.empty_like(x).bernoulli_(1 - p),
    "explicit": lambda x, p: fastdrop.torch.dropout(x, p),
    "explicit, in place": lambda x, p: fastdrop.torch.dropout(x * 1, p, inplace=True),
    "explicit, seeded": lambda x, p: fastdrop.torch.dropout(x, p, rng=1),
    "explicit, alpha": lambda x, p: fastdrop.torch.alpha_dropout(x, p, True),
    "explicit, channels": lambda x, p: fastdrop.torch.dropout1d(x, p),
    "relu": lambda x, p: fastdrop.torch.relu_dropout(x, p),
    "relu, transposed": lambda x, p: fastdrop.torch.relu_dropout(x.mT, p).mT,
    "add": lambda x, p: fastdrop.torch.dropout_add(x, x, p),
    "add, bias": lambda x, p: fastdrop.torch.dropout_add(x, x, p, bias=x[0, 0]),
    "add, halves": lambda x, p: fastdrop.torch.dropout_add(x.half(), x.half(), p).float(),
}


@pytest.mark.parametrize("p", (0.5, 1.0))
@pytest.mark.parametrize("name", CHECKPOINTED)
def test_checkpoints_of_a_pass_that_was_counted(name, p, installed):
    """A counter of flops is a dispatch mode; here one pass runs in it, and the other does not."""

    def layer(x):
        return CHECKPOINTED[name](2 * x, p) * F.dropout(x, 0.25)

    x = torch.randn(8, 6, 4, requires_grad=True)
    results = []
    for forward, backward in ((False, False), (True, False), (False, True), (True, True)):
        torch.manual_seed(3)
        with FlopCounterMode(display=False) if forward else contextlib.nullcontext():
            y = checkpoint.checkpoint(layer, x, use_reentrant=False)
        state = torch.get_rng_state()
        with FlopCounterMode(display=False) if backward else contextlib.nullcontext():
            (dx,) = torch.autograd.grad(y.sum(), x)
        results.append((y.detach(), dx, state))
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_masks_do_not_depend_on_threads(installed):
    x = torch.ones(1 << 18)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        results.append((F.dropout(x, 0.1), torch.empty(1 << 18).bernoulli_(0.1)))
    for result in results[1:]:
        assert torch.equal(result[0], results[0][0])
        assert torch.equal(result[1], results[0][1])
