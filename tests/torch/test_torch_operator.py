# SPDX-License-Identifier: BSD-3-Clause
"""The operators of recorded programs: well formed, and as strict as the functions are."""

import functools

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import fastdrop.torch as ft
from fastdrop.torch._apply import dense_strides
from fastdrop.torch._operator import memory_order, strides_in_order

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore::FutureWarning",
    "ignore:dropout[23]d",
)

drop = torch.ops.fastdrop.drop
WORDS = torch.tensor([1, -2, 3, 5])


@pytest.fixture(autouse=True)
def compiler_reset():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# ---- well formed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("order", [None, [2, 0, 1]])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "gaps"])
def test_drop_is_well_formed(layout, order, features):
    for dtype, requires_grad in ((torch.float32, True), (torch.complex64, False)):
        x = torch.randn(4, 6, 4, dtype=dtype)
        x = {"contiguous": x, "transposed": x.mT, "gaps": x[:, ::2]}[layout]
        x = x.detach().requires_grad_(requires_grad)
        arguments = (x, WORDS, 0.5, 2.0, features, order)
        # Among its checks are fake tensors and compilation with lengths that are symbols.
        torch.library.opcheck(drop, arguments)
        assert torch.equal(drop(*arguments) != 0, drop(torch.ones_like(x), *arguments[1:]) != 0)


def test_drop_with_a_shift_is_well_formed():
    x = torch.randn(3, 5, requires_grad=True)
    arguments = (x, WORDS, 0.5, 2.0, False, None, 0.25, -3.0)
    torch.library.opcheck(drop, arguments)
    kept = drop(torch.ones_like(x), *arguments[1:4], False) != 0
    assert torch.equal(drop(*arguments), torch.where(kept, x * 2.0 + 0.25, -3.0))


def test_seed_words_is_well_formed():
    torch.library.opcheck(torch.ops.fastdrop.seed_words, (5,))


def test_decisions_follow_the_axes_in_the_given_order():
    x = torch.ones(3, 4, 5)
    y = drop(x, WORDS, 0.5, 2.0, False)
    assert torch.equal(drop(x, WORDS, 0.5, 2.0, False, [0, 1, 2]), y)
    x = torch.ones(5, 3, 4)
    assert torch.equal(drop(x, WORDS, 0.5, 2.0, False, [1, 2, 0]), y.permute(2, 0, 1))
    assert torch.equal(drop(x.permute(1, 2, 0), WORDS, 0.5, 2.0, False), y)


def test_words_may_lie_apart():
    apart = torch.stack([WORDS, WORDS + 1], 1)[:, 0]
    x = torch.ones(50)
    assert torch.equal(
        drop(x, apart, 0.5, 2.0, False), drop(x, WORDS.requires_grad_(False), 0.5, 2.0, False)
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_memory_is_that_of_a_dense_copy(seed):
    generator = torch.Generator().manual_seed(seed)

    def number(end):
        return int(torch.randint(end, (), generator=generator))

    for _ in range(300):
        axes = number(6)
        x = torch.empty([1 + number(4) for _ in range(axes)])
        x = x.permute(*torch.randperm(axes, generator=generator).tolist()) if axes else x
        for axis in range(axes):
            kind = number(6)
            if kind == 0:
                x = x.narrow(axis, 0, 1).expand(*[3 if i == axis else -1 for i in range(axes)])
            if kind == 1:
                x = x[(slice(None),) * axis + (slice(None, None, 2),)]
        if number(8) == 0:
            x = torch.empty_strided(x.shape, [number(9) for _ in range(axes)])
        strides = zip(
            dense_strides(x), strides_in_order(x.shape, memory_order(x)), x.shape, strict=True
        )
        assert all(a == b for a, b, length in strides if length > 1)


# ---- strict --------------------------------------------------------------------------------------

X = torch.ones(2, 3, 4)
REFUSED = {
    "integers": ({"x": X.long()}, TypeError, "x must .* not a torch.int64 tensor"),
    "narrow floats": (
        {"x": X.to(torch.float8_e5m2)},
        TypeError,
        "x must .* not a torch.float8_e5m2",
    ),
    "sparse": ({"x": X.to_sparse()}, TypeError, "of layout torch.sparse_coo"),
    "elsewhere": ({"x": X.to("meta")}, TypeError, "not a .* on meta"),
    "no words": ({"words": WORDS[:0].clone()}, ValueError, r"words must .* \(0,\)"),
    "few words": ({"words": WORDS[:3].clone()}, ValueError, r"words must .* \(3,\)"),
    "many words": ({"words": torch.cat([WORDS, WORDS])}, ValueError, r"words must .* \(8,\)"),
    "rows of words": ({"words": WORDS.view(2, 2)}, ValueError, r"words must .* \(2, 2\)"),
    "short words": ({"words": WORDS.int()}, TypeError, "words must .* not a torch.int32 tensor"),
    "words as floats": (
        {"words": WORDS.double()},
        TypeError,
        "words must .* not a torch.float64 tensor",
    ),
    "words elsewhere": ({"words": WORDS.to("meta")}, TypeError, "not a .* on meta"),
    "p above 1": ({"p": 7.0}, ValueError, "p must be .*, not 7.0"),
    "p below 0": ({"p": -0.1}, ValueError, "p must be .*, not -0.1"),
    "p is NaN": ({"p": float("nan")}, ValueError, "p must be .*, not nan"),
    "scale is NaN": ({"scale": float("nan")}, ValueError, "scale must be .*, not nan"),
    "scale is infinite": ({"scale": float("inf")}, ValueError, "scale must be .*, not inf"),
    "shift is NaN": ({"shift": float("nan")}, ValueError, "shift must be .*, not nan"),
    "dropped is infinite": ({"dropped": float("inf")}, ValueError, "dropped must be .*, not inf"),
    "complex with shift": (
        {"x": X.to(torch.complex64), "shift": 1.0},
        TypeError,
        "x must be real where .*, not a torch.complex64 tensor",
    ),
    "no channels": ({"x": X[0, 0], "features": True}, ValueError, "x must have at least two axes"),
    "few axes": ({"order": [0, 1]}, ValueError, r"order must .*, not be \[0, 1\]"),
    "an axis twice": ({"order": [0, 1, 1]}, ValueError, "must name each of the 3 axes once"),
    "another axis": ({"order": [0, 1, 3]}, ValueError, "must name each of the 3 axes once"),
    "an axis below": ({"order": [0, 1, -1]}, ValueError, "must name each of the 3 axes once"),
}
RIGHT = {
    **{"x": X, "words": WORDS, "p": 0.5, "scale": 2.0, "features": False, "order": None},
    **{"shift": 0.0, "dropped": 0.0},
}


@pytest.mark.parametrize("name", REFUSED)
def test_drop_checks_what_it_reads_and_so_does_its_fake(name):
    changes, error, words = REFUSED[name]
    arguments = RIGHT | changes
    with pytest.raises(error, match=words) as real:
        drop(*arguments.values())
    with torch._subclasses.FakeTensorMode() as mode:
        fakes = [
            mode.from_tensor(value) if isinstance(value, torch.Tensor) else value
            for value in arguments.values()
        ]
        with pytest.raises(error) as fake:
            drop(*fakes)
    assert str(fake.value) == str(real.value)
    with pytest.raises(error) as recorded:
        make_fx(lambda x, words: drop(x, words, *list(arguments.values())[2:]))(
            arguments["x"], arguments["words"]
        )
    assert str(recorded.value) == str(real.value)


def test_seed_words_checks_its_seed_and_so_does_its_fake():
    for context in (torch.no_grad(), torch._subclasses.FakeTensorMode()):
        with context, pytest.raises(ValueError, match=r"seed must be .*, not -1"):
            torch.ops.fastdrop.seed_words(-1)


# ---- wrong arguments of functions, in recorded programs ------------------------------------------

ELEMENTS = (ft.dropout, ft.alpha_dropout, ft.relu_dropout)
CHANNELS = (ft.dropout1d, ft.dropout2d, ft.dropout3d, ft.feature_alpha_dropout)
FUNCTIONS = ELEMENTS + CHANNELS


def record_and_run(program, x):
    return make_fx(program)(x)(x)


def trace_and_run(program, x):
    return torch.jit.trace(program, (x,), check_trace=False)(x)


def export_and_run(program, x):
    module = torch.nn.Module()
    module.forward = program
    return torch.export.export(module, (x,)).module()(x)


def compile_and_run(program, x, backend):
    return torch.compile(program, backend=backend)(x)


# The last of them start the compiler, which takes its time.
FACES = {"make_fx": record_and_run, "jit.trace": trace_and_run}
COMPILERS = {
    "export": export_and_run,
    "eager": functools.partial(compile_and_run, backend="eager"),
    "aot_eager": functools.partial(compile_and_run, backend="aot_eager"),
}

WRONG = {
    "p above 1": (X, {"p": 1.5}),
    "p below 0 in evaluation": (X, {"p": -0.5, "training": False}),
    "p is NaN": (X, {"p": float("nan")}),
    "p is text": (X, {"p": "0.5"}),
    "training is text": (X, {"training": "no"}),
    "two sources": (X, {"seed": 1, "rng": torch.Generator()}),
    "rng is a number": (X, {"rng": 3}),
    "rng is a number in evaluation": (X, {"rng": 3, "training": False}),
    "seed below 0": (X, {"rng": -1}),
    "seed below 0 in evaluation": (X, {"rng": -1, "training": False}),
    "seed is text": (X, {"rng": "one"}),
    "seed is a bool": (X, {"rng": True}),
    "integers": (X.long(), {}),
    "integers with a seed": (X.long(), {"rng": 1}),
    "bools with a generator": (X.bool(), {"rng": torch.Generator()}),
    "another device with a seed": (X.to("meta"), {"rng": 1}),
    "one axis": (X[0, 0], {}),
    "one axis with a seed": (X[0, 0], {"rng": 1}),
}


def outcome(call):
    try:
        y = call()
    except Exception as error:
        return error
    return y.dtype, y.shape, y.device.type


def assert_alike(recorded, eager):
    """The same result, or an error of the same kind that says the same."""
    if not isinstance(eager, Exception):
        assert recorded == eager
        return
    assert isinstance(recorded, type(eager))
    if "allowed" in str(eager) or "must be" in str(eager):
        assert str(eager) in str(recorded)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_refuse_the_same_when_they_are_recorded(function, name):
    x, options = WRONG[name]
    options = {"training": True} | options

    def program(x):
        return function(x, **options)

    eager = outcome(lambda: program(x))
    for face in FACES.values():
        assert_alike(outcome(lambda face=face: face(program, x)), eager)


@pytest.mark.parametrize("face", COMPILERS)
@pytest.mark.parametrize("name", WRONG)
def test_functions_refuse_the_same_when_they_are_compiled(name, face):
    x, options = WRONG[name]
    for function in (ft.dropout, ft.feature_alpha_dropout):

        def program(x, function=function):
            return function(x, **{"training": True} | options)

        eager = outcome(lambda program=program: program(x))
        assert_alike(outcome(lambda program=program: COMPILERS[face](program, x)), eager)


@pytest.mark.parametrize("face", FACES | COMPILERS)
@pytest.mark.parametrize(
    ("residual", "options"),
    [
        (torch.ones(5, 4), {}),
        (torch.ones(7, 2, 3, 4), {}),
        (X, {"bias": torch.ones(5)}),
        (X, {"p": 2.0}),
        (X.long(), {"bias": "none"}),
        (None, {}),
    ],
)
def test_dropout_add_refuses_the_same(face, residual, options):
    def program(x):
        return ft.dropout_add(x, residual, **options)

    eager = outcome(lambda: program(X))
    assert isinstance(eager, (ValueError, TypeError))
    assert_alike(outcome(lambda: (FACES | COMPILERS)[face](program, X)), eager)


@pytest.mark.parametrize("face", FACES)
def test_what_cannot_be_changed_in_place_is_refused_the_same(face):
    leaf = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        FACES[face](lambda x: ft.dropout(x, 0.5, True, True), leaf)
    assert torch.equal(leaf, torch.ones(3))


def test_seeds_that_a_program_cannot_hold_are_refused():
    for seed, error in ((2**63, ValueError), ([1, 2], TypeError)):
        program = functools.partial(ft.dropout, p=0.5, rng=seed)
        program(X)
        with pytest.raises(error, match=r"rng must be .* in a traced program, not "):
            record_and_run(lambda x: program(x), X)  # noqa: B023


def test_tensors_elsewhere_are_pytorchs_in_a_program_too():
    for function in FUNCTIONS:
        graph = make_fx(lambda x: function(x, 0.5, True))(X.to("meta"))  # noqa: B023
        assert "fastdrop" not in graph.code
        assert graph(X.to("meta")).is_meta
