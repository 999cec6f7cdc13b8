# SPDX-License-Identifier: BSD-3-Clause
"""What PyTorch does not have: samples, rows, blocks, connections, normal factors, states.

With a seed each function gives what that of NumPy arrays gives, bit for bit, in every dtype and
layout; in programs and transforms it gives what it gives in eager mode.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo import compiled_autograd
from torch.autograd import gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from torch_tensors import COMPLEX, FLOATS, LAYOUTS, array_of, layouts

import fastdrop as fd
import fastdrop.torch as ft

pytestmark = [
    # PyTorch's forward mode scripts its decompositions when it is first used.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Please use .*torch.func.*:FutureWarning"),
]

# Name -> of a tensor with four axes and words: the function for tensors, that for arrays.
FUNCTIONS = {
    "drop_path": (ft.drop_path, fd.drop_path, {}),
    "drop_path, test": (ft.drop_path, fd.drop_path, {"scale": "test"}),
    "drop_path, none": (ft.drop_path, fd.drop_path, {"scale": "none"}),
    "drop_block2d": (ft.drop_block2d, fd.drop_block2d, {"block_size": 2}),
    "gaussian_dropout": (ft.gaussian_dropout, fd.gaussian_dropout, {}),
    "gaussian_dropout, shared": (ft.gaussian_dropout, fd.gaussian_dropout, {"dims": (0, 2)}),
    "zoneout": (lambda x, *a, **o: ft.zoneout(x, x.flip(0), *a, **o), None, {}),
    "zoneout, shared": (lambda x, *a, **o: ft.zoneout(x, x.flip(0), *a, **o), None, {"dims": 1}),
    "embedding_dropout": (
        lambda x, *a, **o: ft.embedding_dropout(x.flatten(1), *a, **o),
        lambda x, *a, **o: fd.embedding_dropout(x.reshape(len(x), -1), *a, **o),
        {},
    ),
    "locked_dropout": (
        lambda x, *a, **o: ft.locked_dropout(x.flatten(2), *a, **o),
        lambda x, *a, **o: fd.dropout(x.reshape(*x.shape[:2], -1), *a, **o, broadcast_axes=0),
        {},
    ),
    "locked_dropout, batch first": (
        lambda x, *a, **o: ft.locked_dropout(x.flatten(2), *a, batch_first=True, **o),
        lambda x, *a, **o: fd.dropout(x.reshape(*x.shape[:2], -1), *a, **o, broadcast_axes=1),
        {},
    ),
    "drop_connect": (
        lambda x, *a, **o: ft.drop_connect(x, x[0, 0], *a, **o),
        None,
        {},
    ),
}
IN_PLACE = [name for name in FUNCTIONS if name.startswith(("drop_path", "drop_b", "gauss", "lock"))]
every_function = pytest.mark.parametrize("name", FUNCTIONS)


def of_tensors(name, **options):
    """Return the function of one tensor that a name stands for."""
    function, _, words = FUNCTIONS[name]
    words = {{"dims": "broadcast_dims"}.get(word, word): words[word] for word in words}
    return lambda x, p=0.4, *arguments, **more: function(
        x, p, *arguments, **words, **options, **more
    )


def of_arrays(name, x, p, **options):
    """Return what the function of arrays gives."""
    _, function, words = FUNCTIONS[name]
    words = {{"dims": "broadcast_axes"}.get(word, word): words[word] for word in words}
    if name.startswith("zoneout"):
        return fd.zoneout(x, np.flip(x, 0), p, **words, **options)[0]
    return function(x, p, **words, **options)[0]


def random(*shape, dtype=torch.float32):
    return torch.randn(shape, dtype=dtype if dtype.is_complex else torch.float64).to(dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "drop_connect"])
def test_results_are_those_of_arrays(name, layout):
    for dtype, training in itertools.product((*FLOATS, *COMPLEX), (True, False)):
        x = layouts(random(4, 3, 6, 5, dtype=dtype))[layout]
        expected = of_arrays(name, array_of(x), 0.4, rng=3, training=training)
        y = of_tensors(name)(x, 0.4, training, rng=3)
        assert np.array_equal(array_of(y), expected), dtype
        if y.shape == x.shape:
            assert y.dtype == dtype
            assert y is x or y.stride() == torch.empty_like(x).stride()


@every_function
@pytest.mark.parametrize("algorithm", [fd.Xoshiro256PlusPlus, fd.Philox4x32, fd.Xorshift128Plus])
def test_a_source_advances_as_for_arrays(name, algorithm):
    x = random(4, 3, 6, 5)
    own, theirs = algorithm(5), algorithm(5)
    y = of_tensors(name)(x, 0.4, rng=own)
    if name == "drop_connect":
        fd.dropout(x[0, 0].numpy(), 0.4, rng=theirs)
    else:
        assert np.array_equal(y.numpy(), of_arrays(name, x.numpy(), 0.4, rng=theirs))
    assert own.position == theirs.position > 0
    before = own.position
    of_tensors(name)(x, 0.0, rng=own)
    assert own.position == 2 * before
    of_tensors(name)(x, 0.4, False, rng=own)
    assert own.position == 2 * before


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("rng", [3, None])
def test_in_place(name, rng):
    x = random(4, 3, 6, 5)
    torch.manual_seed(1)
    expected = of_tensors(name)(x, rng=rng)
    torch.manual_seed(1)
    y = x.clone()
    given = y if name.startswith(("drop", "gauss")) else y.flatten(2)
    if name.startswith("lock"):
        first = "batch" in name
        result = ft.locked_dropout(given, 0.4, True, True, rng=rng, batch_first=first)
    else:
        result = of_tensors(name)(given, 0.4, True, True, rng=rng)
    assert result is given
    assert torch.equal(result, expected)
    leaf = torch.ones(4, 3, 6, 5, requires_grad=True)
    source = fd.Philox4x32(1)
    with pytest.raises(RuntimeError, match="leaf"):
        of_tensors(name)(leaf, 0.4, True, True, rng=source)
    assert source.position == 0


@every_function
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "gaps"])
def test_derivatives(name, layout):
    x = layouts(random(2, 3, 4, 3, dtype=torch.float64))[layout].requires_grad_()
    function = of_tensors(name, rng=3)
    assert gradcheck(function, x, check_forward_ad=True)
    assert gradgradcheck(function, x, check_fwd_over_rev=True)
    assert gradcheck(lambda x: function(x, 0.4, False), x)


def test_derivatives_of_both_states_and_of_weights():
    new, old = random(3, 4, dtype=torch.float64), random(3, 4, dtype=torch.float64)
    for which in ((True, True), (True, False), (False, True)):
        states = [
            state.clone().requires_grad_(needed)
            for state, needed in zip((new, old), which, strict=True)
        ]
        for training in (True, False):
            function = lambda new, old: ft.zoneout(new, old, 0.4, training, rng=3)  # noqa: B023, E731
            assert gradcheck(function, states, check_forward_ad=True)
            assert gradgradcheck(function, states)
    _, mask = fd.zoneout(new.numpy(), old.numpy(), 0.4, rng=3)
    expected = fd.zoneout_backward(np.ones((3, 4)), mask)
    states = [new.requires_grad_(), old.requires_grad_()]
    found = torch.autograd.grad(ft.zoneout(*states, 0.4, rng=3).sum(), states)
    for gradient, array in zip(found, expected, strict=True):
        assert np.array_equal(gradient.numpy(), array)
    arrays = [random(5, 4, dtype=torch.float64), random(3, 4, dtype=torch.float64)]
    bias = random(3, dtype=torch.float64).requires_grad_()
    leaves = [array.requires_grad_() for array in arrays]
    y = ft.drop_connect(*leaves, 0.4, bias=bias, rng=3)
    z, mask = fd.drop_connect(
        *(leaf.detach().numpy() for leaf in leaves), 0.4, bias=bias.detach().numpy(), rng=3
    )
    np.testing.assert_allclose(y.detach().numpy(), z, rtol=1e-13)
    dy = random(5, 3, dtype=torch.float64)
    gradients = torch.autograd.grad(y, [*leaves, bias], dy)
    expected = fd.drop_connect_backward(
        dy.numpy(), *(leaf.detach().numpy() for leaf in leaves), mask
    )
    for gradient, array in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient.numpy(), array, rtol=1e-13)


@pytest.mark.parametrize("name", ["gaussian_dropout", "zoneout", "drop_path", "embedding_dropout"])
def test_backward_keeps_no_tensor(name):
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        of_tensors(name)(torch.ones(4, 3, 6, 5, requires_grad=True))
    assert not saved


# ---- what is random ------------------------------------------------------------------------------


@every_function
def test_a_generator_of_pytorch_rules(name):
    x = random(4, 3, 6, 5)
    function = of_tensors(name)
    torch.manual_seed(1)
    first, second = function(x), function(x)
    torch.manual_seed(1)
    assert torch.equal(function(x), first) and not torch.equal(first, second)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(function(x, rng=generator), first)
    state = torch.get_rng_state()
    function(x, 0.4, False)
    function(x, 0.0)
    assert torch.equal(torch.get_rng_state(), state)


def test_moments_and_whole_parts():
    x = torch.ones(400, 6, 8, 8)
    y = ft.drop_path(x, 0.3)
    whole = y.flatten(1)
    assert torch.equal(whole.amin(1), whole.amax(1))
    assert abs((whole[:, 0] == 0).float().mean() - 0.3) < 0.1
    y = ft.embedding_dropout(torch.ones(2000, 5), 0.3)
    assert torch.equal(y.amin(1), y.amax(1)) and abs(y.mean() - 1) < 0.1
    y = ft.locked_dropout(torch.ones(7, 300, 20), 0.3)
    assert torch.equal(y.amin(0), y.amax(0)) and abs((y == 0).float().mean() - 0.3) < 0.03
    y = ft.gaussian_dropout(x, 0.3)
    assert abs(y.mean() - 1) < 0.02 and abs(y.var() - 0.3 / 0.7) < 0.02
    assert abs(torch.corrcoef(torch.stack([y[:, 0].flatten(), y[:, 1].flatten()]))[0, 1]) < 0.03
    y = ft.drop_block2d(x, 0.1, block_size=3)
    assert abs(y.mean() - 1) < 1e-4 and 0.05 < (y == 0).float().mean() < 0.12
    y = ft.zoneout(x, torch.zeros_like(x), 0.3)
    assert abs((y == 0).float().mean() - 0.3) < 0.02 and set(y.unique().tolist()) == {0.0, 1.0}


def test_extremes():
    x, old = random(4, 3, 6, 5), random(4, 3, 6, 5)
    hole = x.clone()
    hole[0] = torch.nan
    for p in (0.0, 1.0):
        assert torch.equal(ft.zoneout(x, old, p, rng=1), old if p else x)
        assert torch.equal(ft.zoneout(x, old, p, False), old if p else x)
    for name in ("drop_path", "drop_path, none", "drop_block2d"):
        if name != "drop_block2d":  # whose blocks overlap and leave something
            y = of_tensors(name)(hole, 1.0, rng=1)
            assert not y.any() and not torch.signbit(y).any()
        assert of_tensors(name)(x, 0.0) is x
        for empty in ((0, 3, 4, 4), (3, 0, 4, 4), (2, 3, 0, 4)):
            assert of_tensors(name)(torch.ones(empty), 0.5, rng=1).shape == empty
    with pytest.raises(ValueError, match=r"p must be .*, not 1.0"):
        ft.gaussian_dropout(x, 1.0)
    assert ft.gaussian_dropout(torch.ones(()), 0.5, rng=1).shape == ()


@every_function
def test_modes_and_lazy_tensors(name):
    x = random(4, 3, 6, 5)

    def drop(x):
        torch.manual_seed(1)
        return of_tensors(name)(x)

    expected = drop(x)
    with FlopCounterMode(display=False):
        assert torch.equal(drop(x), expected)
    with torch.inference_mode():
        assert torch.equal(drop(x.clone()), expected)
    assert torch.equal(drop(torch._neg_view(-x)), expected)
    if name != "drop_connect":  # whose product is PyTorch's
        z = random(4, 3, 6, 5, dtype=torch.complex64)
        assert torch.equal(drop(z.conj()).resolve_conj(), drop(z.conj().resolve_conj()))
        torch.set_num_threads(1)
        many = drop(torch.ones(64, 3, 64, 64))
        torch.set_num_threads(2)
        assert torch.equal(drop(torch.ones(64, 3, 64, 64)), many)


@pytest.mark.parametrize("name", ["drop_path", "gaussian_dropout", "zoneout", "embedding_dropout"])
def test_sparse_tensors(name):
    function = getattr(ft, name)
    x = torch.ones(3, 4).to_sparse()
    for rng in (None, 1):
        with pytest.raises(TypeError, match=r"strided.* layout torch.sparse_coo"):
            function(x, *[x] * (name == "zoneout"), 0.5, rng=rng)


# ---- transforms and programs ---------------------------------------------------------------------


@every_function
def test_transforms_with_a_seed(name):
    function = of_tensors(name, rng=3)
    x = random(2, 4, 3, 6, 5)
    expected = torch.stack([function(part) for part in x])
    assert torch.equal(torch.func.vmap(function)(x), expected)
    assert torch.equal(torch.func.vmap(function, in_dims=1)(x.transpose(0, 1)), expected)
    many = torch.stack([x, 2 * x, 3 * x])
    twice = torch.func.vmap(torch.func.vmap(function))(many)
    assert torch.equal(twice[2, 1], function(many[2, 1]))
    gradient = torch.func.grad(lambda x: function(x).square().sum())
    leaf = x[0].clone().requires_grad_()
    (dx,) = torch.autograd.grad(function(leaf).square().sum(), leaf)
    torch.testing.assert_close(gradient(x[0]), dx)
    y, tangent = torch.func.jvp(function, (x[0],), (x[1],))
    assert torch.equal(y, expected[0])
    if name != "drop_connect":  # the others are linear
        torch.testing.assert_close(tangent, function(x[1]))
    torch.testing.assert_close(torch.func.vmap(gradient)(x)[0], dx)


@every_function
def test_transforms_without_a_seed(name):
    function = of_tensors(name)
    x = torch.ones(3, 4, 3, 6, 5) + torch.arange(4.0).reshape(4, 1, 1, 1)
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(function)(x)
    y = torch.func.vmap(function, randomness="same")(x)
    assert torch.equal(y[0], y[1]) and torch.equal(y[1], y[2])
    y = torch.func.vmap(function, randomness="different")(x)
    assert not torch.equal(y[0], y[1]) or not torch.equal(y[1], y[2])
    assert y.shape[1:] == function(x[0]).shape


def test_moments_of_transforms():
    """What PyTorch's own operations draw has the same distribution."""
    many = torch.ones(200, 20, 8, 8)
    for name in ("drop_path", "drop_block2d", "gaussian_dropout"):
        y = torch.func.vmap(of_tensors(name), randomness="different")(
            many[:, None].expand(-1, 2, -1, -1, -1)
        )
        z = of_tensors(name)(many)
        assert abs(y.mean() - 1) < 0.1
        assert abs(y.var() - z.var()) < 0.1
        assert abs((y == 0).float().mean() - (z == 0).float().mean()) < 0.05


@pytest.fixture
def compiler_reset():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


BACKENDS = ("aot_eager", pytest.param("inductor", marks=pytest.mark.slow))


@every_function
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled(name, backend, compiler_reset):
    function = of_tensors(name)
    x = random(4, 3, 6, 5).to(memory_format=torch.channels_last).requires_grad_()

    def both(rng, call):
        torch.manual_seed(1)
        y = call(x, rng=rng)
        return y, *torch.autograd.grad(y.square().sum(), x)

    for rng in (3, None):
        program = torch.compile(function, backend=backend, fullgraph=True)
        for found, expected in zip(both(rng, program), both(rng, function), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        torch.compiler.reset()


# Each has steps of its own in programs; the others are those of `dropout`.
OWN = ["drop_path, none", "drop_block2d", "gaussian_dropout", "gaussian_dropout, shared", "zoneout"]
every_own_program = pytest.mark.parametrize("name", OWN)


@every_own_program
def test_dynamic_shapes(name, compiler_reset):
    program = torch.compile(of_tensors(name, rng=3), backend="aot_eager", dynamic=True)
    for n in (4, 6, 5):
        x = random(n, 3, 6, 5)
        assert torch.equal(program(x), of_tensors(name, rng=3)(x))


@every_own_program
def test_exported_and_recorded(name):
    function = of_tensors(name, rng=3)
    x = random(4, 3, 6, 5)
    assert torch.equal(make_fx(function)(x)(x), function(x))

    class Model(nn.Module):
        def forward(self, x):
            return function(x)

    assert torch.equal(torch.export.export(Model(), (x,)).module()(x), function(x))


@every_function
def test_checkpoints(name):
    function = of_tensors(name)
    for reentrant in (False, True):
        leaves = [torch.ones(4, 3, 6, 5, requires_grad=True) for _ in range(2)]
        torch.manual_seed(1)
        function(leaves[0].exp()).square().sum().backward()
        torch.manual_seed(1)
        y = checkpoint(lambda x: function(x.exp()), leaves[1], use_reentrant=reentrant)
        y.square().sum().backward()
        assert torch.equal(leaves[0].grad, leaves[1].grad)


@pytest.mark.parametrize("operator", ["multiply_normal", "drop_blocks", "select"])
def test_operators(operator):
    x = random(2, 3, 4, 5).requires_grad_()
    words = torch.tensor([1, 2, 3, 0])
    arguments = {
        "multiply_normal": (x, words, 0.4),
        "drop_blocks": (x, words, 0.4, 2),
        "select": (x, x.detach().flip(0).requires_grad_(), words, 0.4),
    }[operator]
    function = getattr(torch.ops.fastdrop, operator)
    torch.library.opcheck(function, arguments)
    with pytest.raises(ValueError, match=r"words must .* \(3,\)"):
        function(*(words[:3] if argument is words else argument for argument in arguments))
    with pytest.raises(TypeError, match=r"x must .* not a torch\.int64 tensor"):
        function(*(x.long() if argument is x else argument for argument in arguments))


def test_autocast():
    x = torch.ones(4, 5)
    layer = ft.DropConnect(5, 3, 0.5, rng=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        assert ft.zoneout(x.bfloat16(), x, 0.5, rng=1).dtype == torch.float32
    with pytest.raises(TypeError, match=r"weight must .* torch.float32"):
        layer(x.double())


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x, rng: ft.drop_path(x[0, 0, 0, 0], 0.5, rng=rng), ValueError, r"input must .*"),
        (
            lambda x, rng: ft.drop_path(x, 0.5, scale="keep", rng=rng),
            ValueError,
            "scale must .*, not 'keep'",
        ),
        (lambda x, rng: ft.drop_path(x, 2, rng=rng), ValueError, "p must be .*, not 2"),
        (
            lambda x, rng: ft.drop_path(x.int(), 0.5, rng=rng),
            TypeError,
            "input must be of floats .*, not of torch.int",
        ),
        (lambda x, rng: ft.drop_path(x, 0.5, 1, rng=rng), TypeError, "training must .*, not 1"),
        (lambda x, rng: ft.drop_path(x, drop_prob=0.5, rng=rng), TypeError, "p"),
        (lambda x, rng: ft.drop_block2d(x[0, 0], 0.5, rng=rng), ValueError, "input must .*"),
        (lambda x, rng: ft.drop_block2d(x, 0.5, block_size=0, rng=rng), ValueError, "block_size"),
        (lambda x, rng: ft.gaussian_dropout(x, 0.5, broadcast_dims=4, rng=rng), ValueError, "dims"),
        (lambda x, rng: ft.embedding_dropout(x, 0.5, rng=rng), ValueError, "weight must .*"),
        (lambda x, rng: ft.locked_dropout(x, 0.5, rng=rng), ValueError, "input must .*"),
        (lambda x, rng: ft.zoneout(x, x[0], 0.5, rng=rng), ValueError, "old must .*"),
        (lambda x, rng: ft.zoneout(x, 1.0, 0.5, rng=rng), TypeError, "old must .*, not 1.0"),
        (lambda x, rng: ft.drop_connect(x, x, 0.5, rng=rng), ValueError, "weight must .*"),
        (
            lambda x, rng: ft.drop_connect(x, x[0, 0], 0.5, bias=x, rng=rng),
            ValueError,
            "bias must have shape",
        ),
        (
            lambda x, rng: ft.drop_connect(x, x[0, 0].double(), 0.5, rng=rng),
            TypeError,
            "weight must .* torch.float64",
        ),
    ],
)
def test_mistakes(call, error, words):
    source = fd.Xoshiro256PlusPlus(1)
    with pytest.raises(error, match=words):
        call(torch.ones(2, 3, 4, 4), source)
    assert source.position == 0


def test_seeds_on_other_devices():
    x = torch.ones(3, 4, 5, 5, device="meta")
    for name in FUNCTIONS:
        if name != "drop_connect":
            assert of_tensors(name)(x).device.type == "meta"
            with pytest.raises(
                TypeError, match=r"^(input must be strided|rng must be a Philox4x32).* on meta"
            ):
                of_tensors(name)(x, rng=1)


# ---- modules -------------------------------------------------------------------------------------

MODULES = {
    "DropPath": (lambda **o: ft.DropPath(0.4, **o), lambda x, **o: ft.drop_path(x, 0.4, **o)),
    "DropBlock2d": (
        lambda **o: ft.DropBlock2d(0.4, block_size=2, **o),
        lambda x, **o: ft.drop_block2d(x, 0.4, block_size=2, **o),
    ),
    "GaussianDropout": (
        lambda **o: ft.GaussianDropout(0.4, broadcast_dims=1, **o),
        lambda x, **o: ft.gaussian_dropout(x, 0.4, broadcast_dims=1, **o),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_call_their_functions(name):
    make, function = MODULES[name]
    x = random(4, 3, 6, 5)
    module = make(rng=3)
    source = fd.Xoshiro256PlusPlus(3)
    for _ in range(2):
        assert torch.equal(module(x), function(x, rng=source))
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is type(module) and repr(twin) == repr(module)
        assert torch.equal(twin(x), function(x, rng=copy.deepcopy(source)))
    assert module.eval()(x) is x
    assert make(rng=None, inplace=True).inplace


def test_a_linear_map_that_loses_connections():
    stock, layer = nn.Linear(5, 4), ft.DropConnect(5, 4, 0.4, rng=3)
    layer.load_state_dict(stock.state_dict(), strict=False)
    assert isinstance(layer, nn.Linear)
    assert list(layer.state_dict()) == ["weight", "bias", "rng"]
    x = random(7, 5)
    expected = nn.functional.linear(x, ft.dropout(stock.weight, 0.4, rng=3), stock.bias)
    assert torch.equal(layer(x), expected)
    assert torch.equal(layer.eval()(x), stock(x))
    assert ft.DropConnect(5, 4, 0.4, False, dtype=torch.float64).bias is None
    assert ft.accelerated(layer) == {"": "DropConnect"}


def test_weights_of_any_module_are_dropped_by_a_parametrization():
    module = nn.Conv1d(2, 3, 2)
    weight = module.weight.detach().clone()
    parametrize.register_parametrization(module, "weight", ft.Dropout(0.4, rng=3))
    source = fd.Xoshiro256PlusPlus(3)
    ft.dropout(weight, 0.4, rng=source)  # PyTorch tries it once
    assert torch.equal(module.weight, ft.dropout(weight, 0.4, rng=source))
    assert torch.equal(module.eval().weight, weight)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("name", ["drop_block2d", "gaussian_dropout", "zoneout"])
def test_compiled_autograd(name, compiler_reset):
    """Backward passes of eager and of compiled forward passes may be compiled."""
    function = of_tensors(name)
    expected = torch.ones(4, 3, 6, 5, requires_grad=True)
    torch.manual_seed(1)
    function(expected.exp()).square().sum().backward()
    for forward in (function, torch.compile(function, backend="aot_eager")):
        x = torch.ones(4, 3, 6, 5, requires_grad=True)
        torch.manual_seed(1)
        loss = forward(x.exp()).square().sum()
        with compiled_autograd._enable(lambda graph: torch.compile(graph, backend="eager")):
            loss.backward()
        torch.testing.assert_close(x.grad, expected.grad)
