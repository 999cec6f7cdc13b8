# SPDX-License-Identifier: BSD-3-Clause
"""Attention in compiled, exported and traced programs is that of eager ones, and so are its errors.

Its operators check what they read, for whoever calls them.
"""

import functools

import pytest
import torch
from torch import nn
from torch._dynamo import compiled_autograd
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch_attention import MASKS, WRONG, Q, assert_close, attention, made

import fastdrop as fd
import fastdrop.torch
from fastdrop.torch import _blas

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning", "ignore::FutureWarning"
    ),
    pytest.mark.skipif(not _blas.FOUND, reason="PyTorch's BLAS is not found"),
]
# Inductor needs a C++ compiler and half a minute; the others stop before it.
BACKENDS = ("eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow))


@pytest.fixture(autouse=True)
def compiler_reset():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# ---- programs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MASKS)
def test_compiled(backend, name):
    """The operator has the mask of the seed, and the derivatives of the function."""
    options = {"dropout_p": 0.3, "enable_gqa": True, **MASKS[name]}
    tensors = made(2, 4, 5, 3), made(2, 2, 6, 3), made(1, 2, 6, 4)

    @torch.compile(backend=backend, fullgraph=True)
    def function(query, key, value, seed):
        return attention(query * 1, key, value, rng=seed, **options)

    for seed in (1, 2):
        expected = attention(*tensors, rng=seed, **options)
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


def test_compiled_programs_draw_from_pytorchs_generator():
    function = torch.compile(attention, backend="aot_eager", fullgraph=True)
    tensors = [made(2, 3, 7, 4) for _ in range(3)]
    torch.manual_seed(1)
    first, second = function(*tensors, dropout_p=0.5), function(*tensors, dropout_p=0.5)
    torch.manual_seed(1)
    assert torch.equal(function(*tensors, dropout_p=0.5), first)
    assert not torch.equal(first, second)
    with pytest.raises(RuntimeError, match="rng must be a seed or a generator of PyTorch"):
        function(*tensors, dropout_p=0.5, rng=fd.Philox4x32(1))


def test_compiled_whole_matrices():
    """A mask that learns, and layouts that blocks cannot have."""
    bias = made(6, 7)
    tensors = made(1, 2, 6, 3), made(1, 2, 7, 3), made(3, 2, 7, 4)

    def function(*tensors):
        return attention(*tensors, dropout_p=0.3, rng=5)

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    for arguments in (tensors, (*tensors, bias)):
        found, expected = compiled(*arguments), function(*arguments)
        assert_close(found, expected, 1e-12)
        gradients = torch.autograd.grad(found.square().sum(), arguments)
        for x, y in zip(
            gradients, torch.autograd.grad(expected.square().sum(), arguments), strict=True
        ):
            assert_close(x, y, 1e-10)


def test_exported():
    class Model(nn.Module):
        def forward(self, x):
            return attention(x, x, x, dropout_p=0.5, rng=3)

    x = torch.randn(2, 3, 7, 4)
    program = torch.export.export(Model(), (x,))
    assert any("fastdrop.attend" in str(node.target) for node in program.graph.nodes)
    assert_close(program.module()(x), attention(x, x, x, dropout_p=0.5, rng=3), 1e-6)


def test_exported_with_lengths_that_vary():
    class Model(nn.Module):
        def forward(self, query, key):
            return attention(query, key, key, dropout_p=0.5, rng=3)

    length, keys = torch.export.Dim("length", min=2, max=64), torch.export.Dim("keys", max=900)
    tensors = torch.randn(2, 3, 7, 4), torch.randn(2, 3, 9, 4)
    program = torch.export.export(
        Model(), tensors, dynamic_shapes={"query": {2: length}, "key": {2: keys}}
    )
    for shapes in ((5, 6), (33, 300)):
        tensors = [torch.randn(2, 3, each, 4) for each in shapes]
        expected = attention(*tensors, tensors[1], dropout_p=0.5, rng=3)
        assert_close(program.module()(*tensors), expected, 1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_for_any_length(backend):
    function = torch.compile(attention, backend=backend, fullgraph=True, dynamic=True)
    for length in (4, 9, 300):
        tensors = [made(1, 2, length, 3) for _ in range(3)]
        out = function(*tensors, dropout_p=0.3, rng=4)
        expected = attention(*tensors, dropout_p=0.3, rng=4)
        assert_close(out, expected, 1e-12)
        found = torch.autograd.grad(out.square().sum(), tensors)
        for x, y in zip(found, torch.autograd.grad(expected.square().sum(), tensors), strict=True):
            assert_close(x, y, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_programs_may_edit_what_attention_has_read(backend):
    x, gate = made(1, 2, 6, 3), torch.randn(1, 2, 6, 3, dtype=torch.float64)

    def run(x):
        query, key, seen = x * 2, x * 3, torch.ones(6, 6, dtype=torch.bool).tril()
        out = attention(query, key, x, seen, 0.3, rng=2)
        out += x
        out.mul_(gate)
        query.mul_(2)
        key.mul_(2)
        seen[0] = True
        return out + query + key

    results = []
    for function in (run, torch.compile(run, backend=backend, fullgraph=True)):
        out = function(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), x)))
    for expected, found in zip(*results, strict=True):
        assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_transforms(backend):
    query = torch.randn(3, 2, 4, 2, dtype=torch.float64)

    def function(query):
        return attention(query, query * 2, query, dropout_p=0.3, rng=2)

    def loss(query):
        return function(query).square().sum()

    for transformed, x in (
        (torch.func.vmap(function), query),
        (torch.func.grad(loss), query[0]),
        (torch.func.vmap(torch.func.grad(loss)), query),
        (torch.func.jacrev(function), query[0]),
        (torch.func.hessian(loss), query[0]),
    ):
        compiled = torch.compile(transformed, backend=backend, fullgraph=True)
        assert_close(compiled(x), transformed(x), 1e-12)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_batches_of_gradients_of_compiled_programs(backend):
    @torch.compile(backend=backend)
    def function(x):
        return attention(x, x * 2, x, dropout_p=0.3, rng=2)

    x = made(1, 2, 4, 3)
    out = function(x)
    batch = torch.randn(3, *out.shape, dtype=torch.float64)
    found = torch.autograd.grad(out, x, batch, retain_graph=True, is_grads_batched=True)[0]
    expected = [torch.autograd.grad(out, x, each, retain_graph=True)[0] for each in batch]
    assert_close(found, torch.stack(expected), 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_autocast(backend):
    query, key, value = Q, Q.bfloat16() * 2, Q * 3

    def function(*tensors):
        with torch.autocast("cpu"):
            return attention(*tensors, dropout_p=0.3, rng=2)

    out = torch.compile(function, backend=backend, fullgraph=True)(query, key, value)
    assert torch.equal(out, function(query, key, value))
    assert out.dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("drawn", ["from a seed", "from PyTorch's generator"])
def test_compiled_autograd_of_an_eager_forward_pass(drawn):
    options = {"rng": 1} if drawn == "from a seed" else {}

    def backward(fullgraph):
        tensors = [made(1, 2, 4, 3) for _ in range(3)]
        out = attention(*tensors, dropout_p=0.5, **options)
        expected = torch.autograd.grad(out.sum(), tensors, retain_graph=True)
        with compiled_autograd._enable(torch.compile(backend="eager", fullgraph=fullgraph)):
            out.sum().backward()
        for x, y in zip(tensors, expected, strict=True):
            assert_close(x.grad, y, 1e-12)

    for _ in range(3):  # one compilation, and the mask of each call
        backward(False)
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="no part of a graph: compile"):
        backward(True)


# ---- errors --------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Attention as a module; what is no tensor is its own."""

    def __init__(self, options):
        super().__init__()
        self.options = options

    def forward(self, *tensors):
        return attention(*tensors, **self.options)


def export(strict, model, tensors):
    torch.export.export(model, tensors, strict=strict)


def make_graph(mode, model, tensors):
    make_fx(model, tracing_mode=mode)(*tensors)


def run_compiled(backend, model, tensors):
    torch.compile(model, backend=backend)(*tensors)


WAYS = {
    "eager": functools.partial(run_compiled, "eager"),
    "aot_eager": functools.partial(run_compiled, "aot_eager"),
    "inductor": functools.partial(run_compiled, "inductor"),
    "export": functools.partial(export, False),
    "strict export": functools.partial(export, True),
    "jit.trace": lambda model, tensors: torch.jit.trace(model, tensors),
    "make_fx": functools.partial(make_graph, "real"),
    "make_fx of fake tensors": functools.partial(make_graph, "fake"),
    "make_fx of symbolic shapes": functools.partial(make_graph, "symbolic"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WRONG)
def test_what_eager_programs_refuse_others_refuse_too(way, name):
    """As PyTorch's function; nothing is drawn."""
    *tensors, mask, p, causal = (*WRONG[name], False)[:6]
    tensors = tuple(tensors) if mask is None else (*tensors, mask)
    state = torch.get_rng_state()
    for options in ({"rng": 1}, {}):
        model = Attention({"dropout_p": p, "is_causal": causal, **options})
        with pytest.raises((RuntimeError, NotImplementedError)):
            WAYS[way](model, tensors)
    if way != "strict export":  # the first that fails in a process draws, whatever it exports
        assert torch.equal(torch.get_rng_state(), state)


def test_other_devices_are_pytorchs_in_traced_programs_too():
    meta = Q.to("meta")
    function = torch.compile(attention, backend="eager")
    assert function(meta, meta, meta, dropout_p=0.1).device.type == "meta"
    with pytest.raises(TypeError, match="query must be a tensor on the CPU"):
        function(meta, meta, meta, dropout_p=0.1, rng=1)


# ---- operators -----------------------------------------------------------------------------------

WORDS = torch.tensor([1, 2, 3, 0])
GROUPED = ((2, 4, 5, 3), (2, 2, 6, 3), (2, 2, 6, 4))
attend, attend_backward = torch.ops.fastdrop.attend, torch.ops.fastdrop.attend_backward


def given(dtype=torch.float32, bias=None, shapes=GROUPED):
    """Return what `attend` is given."""
    return [*(torch.randn(*shape, dtype=dtype) for shape in shapes), bias, WORDS, 0.3, False, 0.5]


def given_backward(**options):
    """Return what `attend_backward` is given."""
    arguments = given(**options)
    out, exact, statistics = attend(*arguments)
    return [torch.randn_like(out), exact, statistics, *arguments]


BIASES = {"none": None, "bools": torch.rand(5, 6) < 0.7, "numbers": torch.randn(2, 1, 1, 6)}


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_operators_pass_pytorchs_checks(dtype, bias):
    arguments = given(dtype, BIASES[bias])
    torch.library.opcheck(attend_backward.default, given_backward(dtype=dtype, bias=BIASES[bias]))
    arguments[:3] = [x.requires_grad_() for x in arguments[:3]]
    torch.library.opcheck(attend.default, arguments)


def test_the_operators_are_attention():
    query, key, value, *rest = given(torch.float64)
    query, key, value = (x.requires_grad_() for x in (query, key, value))
    out, exact, statistics = attend(query, key, value, *rest)
    words = torch.ops.fastdrop.seed_words(7)
    expected = attention(query, key, value, None, 0.3, scale=0.5, enable_gqa=True, rng=7)
    out, exact, statistics = attend(query, key, value, None, words, 0.3, False, 0.5)
    assert torch.equal(out, expected)
    assert torch.equal(exact, out)
    assert not exact.requires_grad
    assert not statistics.requires_grad
    gradient = torch.randn_like(out)
    found = torch.autograd.grad(out, (query, key, value), gradient)
    again = torch.autograd.grad(expected, (query, key, value), gradient)
    for x, y in zip(found, again, strict=True):
        assert_close(x, y, 1e-12)


def changed(arguments, place, change):
    """Return arguments with one of them changed."""
    return [change(x) if i == place else x for i, x in enumerate(arguments)]


# Place among the arguments of `attend`, and what to make of it.
WRONG_GIVEN = {
    "query is one row": (0, lambda x: x[0, 0, 0]),
    "query is wider": (0, lambda x: torch.cat([x, x], -1)),
    "query has other heads": (0, lambda x: x[:, :3]),
    "query is one batch": (0, lambda x: x[:1]),
    "query is of integers": (0, lambda x: x.long()),
    "query is of complex numbers": (0, lambda x: x.cfloat()),
    "query is of float64": (0, lambda x: x.double()),
    "query is empty": (0, lambda x: x[:, :, :0]),
    "query is sparse": (0, lambda x: x.to_sparse()),
    "key is narrow": (1, lambda x: x[..., :1]),
    "key is long": (1, lambda x: torch.cat([x] * 5000, -2)),
    "key is short": (1, lambda x: x[:, :, :2]),
    "key has other batches": (1, lambda x: torch.cat([x, x])),
    "value is short": (2, lambda x: x[:, :, :2]),
    "value has other heads": (2, lambda x: x[:, :1]),
    "value has no columns": (2, lambda x: x[..., :0]),
    "value is of float16": (2, lambda x: x.half()),
    "bias does not broadcast": (3, lambda _: torch.zeros(5, 5)),
    "bias has too many axes": (3, lambda _: torch.zeros(3, 2, 4, 5, 6)),
    "bias is of integers": (3, lambda _: torch.zeros(5, 6, dtype=torch.int64)),
    "no words": (4, lambda x: x[:0]),
    "three words": (4, lambda x: x[:3]),
    "five words": (4, lambda x: torch.cat([x, x[:1]])),
    "words by rows": (4, lambda x: x.view(2, 2)),
    "words of 32 bits": (4, lambda x: x.int()),
    "words of floats": (4, lambda x: x.double()),
    "p is 7": (5, lambda _: 7.0),
    "p is negative": (5, lambda _: -0.1),
    "p is nan": (5, lambda _: float("nan")),
}
# Place among the first arguments of `attend_backward`.
WRONG_KEPT = {
    "gradient is short": (0, lambda x: x[:, :, :2]),
    "gradient is empty": (0, lambda x: x.new_empty(0)),
    "gradient is of float64": (0, lambda x: x.double()),
    "output is short": (1, lambda x: x[..., :1]),
    "output is of bfloat16": (1, lambda x: x.bfloat16()),
    "no statistics": (2, lambda x: x.new_empty(0)),
    "statistics of one kind": (2, lambda x: x[:1]),
    "statistics of few rows": (2, lambda x: x[..., :2]),
    "statistics of float32": (2, lambda x: x.float()),
}
MUST_BE = "must be"


def assert_refused(operator, arguments):
    """Check that an operator refuses arguments, and its fake kernel with the same words."""
    with pytest.raises(RuntimeError, match=MUST_BE) as found:
        operator(*arguments)
    with FakeTensorMode() as mode:
        fakes = [
            mode.from_tensor(x) if isinstance(x, torch.Tensor) and not x.is_sparse else x
            for x in arguments
        ]
    if any(isinstance(x, torch.Tensor) and x.is_sparse for x in arguments):
        return
    with mode, pytest.raises(RuntimeError, match=MUST_BE) as of_fakes:
        operator(*fakes)
    assert str(of_fakes.value).split("; ")[0] == str(found.value).split("; ")[0]


@pytest.mark.parametrize("name", WRONG_GIVEN)
def test_operators_check_what_they_are_given(name):
    place, change = WRONG_GIVEN[name]
    assert_refused(attend, changed(given(), place, change))
    assert_refused(attend_backward, changed(given_backward(), 3 + place, change))


@pytest.mark.parametrize("name", WRONG_KEPT)
def test_operators_check_what_was_kept(name):
    assert_refused(attend_backward, changed(given_backward(), *WRONG_KEPT[name]))


def test_operators_check_where_tensors_are():
    for operator, arguments in ((attend, given()), (attend_backward, given_backward())):
        for place, argument in enumerate(arguments):
            if isinstance(argument, torch.Tensor):
                with pytest.raises(RuntimeError, match="all tensors must be strided and on the"):
                    operator(*changed(arguments, place, lambda x: x.to("meta")))
    arguments = [x.to("meta") if isinstance(x, torch.Tensor) else x for x in given()]
    assert attend(*arguments)[0].shape == (2, 4, 5, 4)


def test_operators_have_no_derivative_for_a_bias():
    query, *rest = given(bias=torch.zeros(5, 6, requires_grad=True))
    with pytest.raises(RuntimeError, match="bias requires grad; it must not"):
        attend(query.requires_grad_(), *rest)


def test_operators_take_tensors_of_any_strides():
    arguments = given_backward(bias=torch.randn(5, 6))
    expected = attend_backward(*arguments)
    strided = [
        torch.stack([x, x], -1)[..., 0] if isinstance(x, torch.Tensor) else x for x in arguments
    ]
    assert not any(isinstance(x, torch.Tensor) and x.is_contiguous() for x in strided)
    for x, y in zip(attend_backward(*strided), expected, strict=True):
        assert_close(x, y, 1e-6)
    for x, y in zip(attend(*strided[3:]), attend(*arguments[3:]), strict=True):
        assert_close(x, y, 1e-6)
