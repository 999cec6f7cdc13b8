# SPDX-License-Identifier: BSD-3-Clause
"""Masks that the caller gives: the results of NumPy's face, bit for bit, and their derivatives."""

import copy
import inspect
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torch_tensors import COMPLEX, FLOATS, LAYOUTS, array_of, layouts

import fastdrop as fd
import fastdrop.torch as ft

pytestmark = pytest.mark.filterwarnings(r"ignore:.*torch.jit.(script|trace).*:DeprecationWarning")

SHAPE = (3, 8, 5, 7)
X = torch.randn(SHAPE)


def drawn(shape, p=0.3, rng=5, **options):
    return fd.dropout_mask(shape, p, rng=rng, **options)


def seeded_with_scales(shape):
    """A seeded mask whose factors are the elements' own: only a state says so."""
    state = drawn(shape).state
    return fd.Mask.from_state(state | {"scale": np.linspace(1.0, 2.0, shape[-1])})


def larger(shape):
    return tuple(2 * length + 3 for length in shape)


# Each makes a mask for tensors of a shape.
MASKS = {
    "seeded": drawn,
    "of another source": lambda shape: drawn(shape, rng=fd.Philox4x32(3)),
    "keep_prob": lambda shape: fd.dropout_mask(shape, keep_prob=0.3, rng=5),
    "all dropped": lambda shape: drawn(shape, 1.0),
    "all kept": lambda shape: drawn(shape, 0.0),
    "of a generator": lambda shape: drawn(shape, rng=np.random.default_rng(1)),
    "packed": lambda shape: drawn(shape, store="bits"),
    "pickled": lambda shape: pickle.loads(pickle.dumps(drawn(shape))),
    "unscaled": lambda shape: fd.dropout(np.ones(shape), 0.3, rng=5, scale="none")[1],
    "rows of a larger one": lambda shape: drawn((2 * shape[0], *shape[1:]))[shape[0] :],
    "window": lambda shape: drawn(larger(shape))[tuple(slice(2, 2 + n) for n in shape)],
    "steps": lambda shape: drawn(larger(shape))[tuple(slice(2 * n, None, -2) for n in shape)][
        tuple(slice(n) for n in shape)
    ],
    "packed window": lambda shape: drawn(larger(shape), store="bits")[
        tuple(slice(1, 1 + n) for n in shape)
    ],
    "transposed": lambda shape: drawn(shape[::-1]).T,
    "shared by channel": lambda shape: drawn((*shape[:2], 1, 1)),
    "shared by sample, packed": lambda shape: drawn((shape[0], 1, 1, 1), store="bits"),
    "shared inside": lambda shape: drawn((shape[0], 1, shape[2], 1)),
    "fewer axes": lambda shape: drawn(shape[2:]),
    "without axes": lambda shape: drawn(()),
    "p for each channel": lambda shape: drawn(shape, np.linspace(0, 1, shape[1])[:, None, None]),
    "p for each element": lambda shape: drawn(shape, np.random.default_rng(1).random(shape)),
    "p of channels that are shared": lambda shape: drawn(
        (*shape[:2], 1, 1), np.linspace(0, 1, shape[1])[:, None, None]
    ),
    "p in a window": lambda shape: drawn(larger(shape), np.linspace(0, 1, larger(shape)[-1]))[
        tuple(slice(1, 1 + n) for n in shape)
    ],
    "tiny keep_prob": lambda shape: fd.dropout_mask(
        shape, keep_prob=np.geomspace(1e-300, 1, shape[-1]), rng=5
    ),
    "seeded with scales": seeded_with_scales,
}
every_mask = pytest.mark.parametrize("kind", MASKS)


def expected_of(x, mask, **options):
    with np.errstate(over="ignore", invalid="ignore"):
        return fd.dropout(array_of(x), mask=mask, **options)[0]


def bytes_of(x):
    return np.ascontiguousarray(array_of(x)).tobytes()


# ---- results -------------------------------------------------------------------------------------


@every_mask
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("inplace", [False, True])
def test_results_are_those_of_arrays(kind, layout, inplace):
    x = layouts(X)[layout]
    mask = MASKS[kind](tuple(x.shape))
    if inplace:
        x = torch.empty_strided(x.shape, torch.empty_like(x).stride()).copy_(x)
    expected = expected_of(x.clone(), mask)
    y = ft.dropout(x, inplace=inplace, mask=mask)
    assert bytes_of(y) == expected.tobytes()
    assert y.stride() == torch.empty_like(x).stride()
    assert (y is x) == inplace


@every_mask
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_results_of_all_dtypes_are_those_of_arrays(kind, dtype, form):
    x = X.to(dtype, copy=True)
    x[0, 0] = torch.inf
    x[0, 1] = torch.nan
    mask = MASKS[kind](SHAPE)
    y = ft.dropout(x.contiguous(memory_format=form), mask=mask)
    assert bytes_of(y) == expected_of(x, mask).tobytes()
    assert y.dtype == dtype


@pytest.mark.parametrize("kind", ["seeded", "packed", "shared inside", "p for each channel"])
def test_many_elements_on_many_threads(kind):
    shape = (4, 8, 130, 129)
    x, mask = torch.randn(shape), MASKS[kind](shape)
    for threads in (1, 3):
        torch.set_num_threads(threads)
        assert bytes_of(ft.dropout(x, mask=mask)) == expected_of(x, mask).tobytes()


@every_mask
@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (1, 1, 1, 1), (2, 1, 3, 1)])
def test_small_and_empty_tensors(kind, shape):
    x, mask = torch.randn(shape), MASKS[kind](shape)
    assert bytes_of(ft.dropout(x, mask=mask)) == expected_of(x, mask).tobytes()


def test_a_tensor_without_axes():
    mask = drawn(())
    assert ft.dropout(torch.tensor(2.0), mask=mask) == expected_of(torch.tensor(2.0), mask)


@pytest.mark.parametrize("shape", [SHAPE, SHAPE[1:], (8, 1, 1), (3, 1, 5, 1)])
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_bools_with_p(shape, dtype, p):
    kept, x = torch.rand(shape) < 0.7, X.to(dtype, copy=True)
    expected = expected_of(x, kept.numpy(), p=p).tobytes()
    assert bytes_of(ft.dropout(x, p, mask=kept)) == expected
    assert bytes_of(ft.dropout(x, p, mask=kept.numpy())) == expected
    strided = kept.repeat_interleave(2, -1)[..., ::2]
    assert bytes_of(ft.dropout(x, p, mask=strided)) == expected
    y = x.clone()
    assert bytes_of(ft.dropout(y, p, inplace=True, mask=kept)) == bytes_of(y) == expected


def test_nothing_is_drawn_and_evaluation_returns_the_input():
    state = torch.get_rng_state()
    mask = drawn(SHAPE)
    ft.dropout(X, mask=mask)
    ft.dropout(X, 0.3, mask=torch.as_tensor(mask))
    assert torch.equal(torch.get_rng_state(), state)
    assert ft.dropout(X, training=False, mask=mask) is X
    assert ft.dropout(X, 0.3, False, mask=torch.as_tensor(mask)) is X


def test_a_seeded_mask_needs_no_bits():
    x = torch.ones(1 << 20)
    whole = drawn(1 << 22)
    tracemalloc.start()
    try:
        y = ft.dropout(x.requires_grad_(), mask=whole[1 << 20 : 1 << 21])
        y.backward(y.detach())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 15  # bits would take 128 KiB


def test_shards_make_the_whole():
    whole = drawn((6, 10))
    x = torch.randn(6, 10)
    rows = [ft.dropout(x[first : first + 2], mask=whole[first : first + 2]) for first in (0, 2, 4)]
    columns = [ft.dropout(x[:, :4], mask=whole[:, :4]), ft.dropout(x[:, 4:], mask=whole[:, 4:])]
    expected = ft.dropout(x, 0.3, rng=5)
    assert torch.equal(torch.cat(rows), expected)
    assert torch.equal(torch.cat(columns, 1), expected)


# ---- derivatives ---------------------------------------------------------------------------------


@every_mask
def test_the_gradient_is_the_same_map(kind):
    mask = MASKS[kind](SHAPE)
    for form in (torch.contiguous_format, torch.channels_last):
        x = X.clone(memory_format=form).requires_grad_()
        dy = torch.randn(SHAPE)
        ft.dropout(x, mask=mask).backward(dy)
        assert bytes_of(x.grad) == fd.dropout_backward(dy.numpy(), mask).tobytes()
    x = X.clone().requires_grad_()
    ft.dropout(x + 0, inplace=True, mask=mask).backward(dy)
    assert bytes_of(x.grad) == fd.dropout_backward(dy.numpy(), mask).tobytes()


@pytest.mark.parametrize("kind", ["seeded", "steps", "shared inside", "p for each channel"])
def test_first_and_second_derivatives(kind):
    mask = MASKS[kind]((2, 3, 2, 2))
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    for inplace in (False, True):

        def call(x, inplace=inplace):
            return ft.dropout(x * x, inplace=inplace, mask=mask)

        assert torch.autograd.gradcheck(call, x, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(call, x)


def test_derivatives_of_bools():
    kept = torch.rand(3, 4) < 0.5
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ft.dropout(x * x, 0.5, mask=kept), x)
    assert torch.autograd.gradgradcheck(lambda x: ft.dropout(x * x, 0.5, mask=kept), x)


@pytest.mark.parametrize("kind", ["seeded", "packed", "shared inside", "p for each channel"])
def test_transforms(kind):
    mask = MASKS[kind](SHAPE)
    batch = torch.stack([X, 2 * X])
    expected = ft.dropout(X, mask=mask)
    y = torch.func.vmap(lambda x: ft.dropout(x, mask=mask))(batch)
    assert torch.equal(y, torch.stack([expected, ft.dropout(2 * X, mask=mask)]))
    dx = torch.func.grad(lambda x: ft.dropout(x, mask=mask).sum())(X)
    assert torch.equal(dx, ft.dropout(torch.ones(SHAPE), mask=mask))


def test_transforms_over_bools():
    kept = torch.rand(4, 9) < 0.5
    x = torch.randn(4, 9)
    y = torch.func.vmap(lambda x, kept: ft.dropout(x, 0.5, mask=kept))(x, kept)
    assert torch.equal(y, ft.dropout(x, 0.5, mask=kept))


# ---- programs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("shape", [SHAPE, (8, 1, 1)])
def test_programs_take_bools(dtype, shape):
    torch._dynamo.reset()
    kept, x = torch.rand(shape) < 0.7, X.to(dtype, copy=True)
    x[0, 0] = torch.inf
    program = torch.compile(
        lambda x, kept: ft.dropout(x, 0.3, mask=kept), backend="aot_eager", fullgraph=True
    )
    assert bytes_of(program(x, kept)) == bytes_of(ft.dropout(x, 0.3, mask=kept))


def test_programs_take_no_masks():
    torch._dynamo.reset()
    mask = drawn(SHAPE)
    for record in (
        lambda function: torch.compile(function, backend="eager")(X),
        lambda function: torch.jit.trace(function, X),
        lambda function: torch.fx.experimental.proxy_tensor.make_fx(function)(X),
    ):
        with pytest.raises(TypeError, match=r"mask must be .* in a traced program, not a Mask"):
            record(lambda x: ft.dropout(x, mask=mask))


def test_a_mode_that_looks_on():
    mask = drawn(SHAPE)
    expected = ft.dropout(X, mask=mask)
    with FlopCounterMode(display=False):
        assert torch.equal(ft.dropout(X, mask=mask), expected)
        assert torch.equal(ft.dropout(X, 0.3, mask=torch.as_tensor(mask)), expected)


class Subclass(torch.Tensor):
    """A subclass without a dispatch of its own."""


def test_subclasses():
    mask = drawn(SHAPE)
    expected = ft.dropout(X, mask=mask)
    kept = torch.as_tensor(mask)
    for x in (X.as_subclass(Subclass), torch.nn.Parameter(X.clone())):
        assert torch.equal(torch.Tensor(ft.dropout(x, mask=mask)), expected)
    y = ft.dropout(X, 0.3, mask=kept.as_subclass(Subclass))
    assert torch.equal(torch.Tensor(y), expected)


# ---- shards of modules ---------------------------------------------------------------------------

# The windows that make a whole, and the axis along which they lie.
PARTS = {
    "rows": ([np.s_[:2], np.s_[2:5], np.s_[5:]], 0),
    "columns": ([np.s_[:, :3], np.s_[:, 3:]], 1),
    "inner": ([np.s_[..., :4], np.s_[..., 4:]], 2),
    "every second": ([np.s_[::2], np.s_[1::2]], 0),
}


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p": 0.0},
        {"p": 1.0},
        {"broadcast_dims": 1},
        {"broadcast_dims": (0, 2)},
        {"noise_shape": (None, 1)},
    ],
)
@pytest.mark.parametrize("inplace", [False, True])
def test_shards_of_a_module_reproduce_the_whole(parts, options, inplace):
    windows, axis = PARTS[parts]
    shape = (8, 6, 10)
    options = {"p": 0.3, "inplace": inplace, "rng": 7} | options
    whole = ft.Dropout(**options)
    shards = [ft.Dropout(shard=(window, shape), **options) for window in windows]
    for _ in range(3):
        x = torch.randn(shape)
        expected = whole(x.clone())
        pieces = [layer(x[window].clone()) for layer, window in zip(shards, windows, strict=True)]
        if parts == "every second":
            found = torch.stack(pieces, 1).flatten(0, 1)
        else:
            found = torch.cat(pieces, axis)
        assert torch.equal(found, expected)
        assert {layer.rng.position for layer in shards} == {whole.rng.position}


def test_gradients_of_a_shard():
    whole = ft.Dropout(0.3, rng=7)
    layer = ft.Dropout(0.3, rng=7, shard=(np.s_[1:3, 2], (4, 5, 6)))
    x = torch.randn(4, 5, 6, requires_grad=True)
    (expected,) = torch.autograd.grad(whole(x)[1:3, 2].sum(), x)
    (found,) = torch.autograd.grad(layer(x[1:3, 2]).sum(), x)
    assert torch.equal(found, expected)


def test_a_shard_of_shared_decisions_by_an_integer():
    whole = ft.Dropout(0.3, rng=7, broadcast_dims=1)
    layer = ft.Dropout(0.3, rng=7, broadcast_dims=1, shard=(np.s_[1:3, 4], (4, 5, 6)))
    x = torch.randn(4, 5, 6)
    assert torch.equal(layer(x[1:3, 4]), whole(x)[1:3, 4])


def test_evaluation_of_a_shard_draws_nothing():
    layer = ft.Dropout(0.3, rng=7, shard=(np.s_[:2], (4, 5))).eval()
    x = torch.ones(2, 5)
    assert layer(x) is x
    assert layer.rng.position == 0


def test_a_shard_is_shown_copied_and_goes_on_from_its_state():
    layer = ft.Dropout(0.3, rng=7, shard=(np.s_[:2], (4, 5)))
    assert repr(layer) == ("Dropout(p=0.3, inplace=False, shard=(slice(None, 2, None), (4, 5)))")
    x = torch.ones(2, 5)
    layer(x)
    twin = ft.Dropout(0.3, rng=8, shard=(np.s_[:2], (4, 5)))
    twin.load_state_dict(layer.state_dict())
    copied, pickled = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    expected = layer(x)
    for other in (twin, copied, pickled):
        assert torch.equal(other(x), expected)


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        ({"shard": 3}, TypeError, r"shard must be .*, not 3"),
        ({"shard": (1, 2, 3)}, TypeError, r"shard must be .*, not \(1, 2, 3\)"),
        ({"shard": (np.s_[:2], "a")}, TypeError, "global_shape must .*, not 'a'"),
        (
            {"shard": (np.s_[:2, 1, 1], (4, 5))},
            IndexError,
            "must have at most 2 entries, .*, not 3",
        ),
        ({"shard": (7, (4, 5))}, IndexError, "index 7 is out of bounds"),
        ({"rng": None}, TypeError, "rng must be .* with a shard, .*, not None"),
        ({"rng": torch.Generator()}, TypeError, "rng must be a seed or a source with a shard"),
        ({"broadcast_dims": 2}, ValueError, "broadcast_dims must .*, not 2"),
        ({"noise_shape": (3, 1)}, ValueError, "noise_shape"),
    ],
)
def test_mistakes_of_shards(words, error, match):
    with pytest.raises(error, match=match):
        ft.Dropout(**{"rng": 1, "shard": (np.s_[:2], (4, 5))} | words)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_wrong_input_of_a_shard(mode):
    layer = getattr(ft.Dropout(rng=1, shard=(np.s_[:2], (4, 5))), mode)()
    with pytest.raises(ValueError, match=r"input must .* \(4, 5\)"):
        layer(torch.ones(4, 5))
    with pytest.raises(TypeError, match=r"input must be a strided tensor .* with a Mask"):
        layer(torch.ones(2, 5, device="meta"))
    torch._dynamo.reset()
    with pytest.raises(TypeError, match=r"rng must be .* in a traced program, not a source"):
        torch.compile(layer, backend="eager")(torch.ones(2, 5))
    assert layer.rng.position == 0


# ---- errors --------------------------------------------------------------------------------------

KEPT = torch.ones(SHAPE, dtype=torch.bool)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        ({"mask": drawn(SHAPE), "p": 0.5}, TypeError, "p=0.5 and "),
        ({"mask": drawn(SHAPE), "rng": 1}, TypeError, "rng=1 and "),
        ({"mask": drawn(SHAPE), "broadcast_dims": 1}, TypeError, "broadcast_dims=1 and "),
        ({"mask": drawn(SHAPE), "noise_shape": ()}, TypeError, r"noise_shape=\(\) and "),
        ({"mask": KEPT}, TypeError, r"mask is of bools, of shape \(3, 8, 5, 7\), .*: give p"),
        ({"mask": KEPT, "p": 0.5, "broadcast_dims": 1}, TypeError, "broadcast_dims=1 and "),
        ({"mask": KEPT, "p": 0.5, "noise_shape": ()}, TypeError, r"noise_shape=\(\) and "),
        ({"mask": KEPT, "p": 1.5}, ValueError, "p must .*, not 1.5"),
        ({"mask": KEPT, "p": 0.5, "rng": "a"}, TypeError, "rng must be .*, not '"),
        ({"mask": KEPT.float(), "p": 0.5}, TypeError, "mask must .* torch.float32"),
        ({"mask": np.ones(7), "p": 0.5}, TypeError, "mask must .* float64"),
        ({"mask": drawn((5, 6))}, ValueError, r"mask shape \(5, 6\) does not broadcast to input"),
        ({"mask": drawn((1, *SHAPE))}, ValueError, "does not broadcast to input"),
        ({"mask": KEPT[:2], "p": 0.5}, ValueError, "does not broadcast to input"),
        (
            {"mask": fd.alpha_dropout(np.ones(7), 0.5, rng=1)[1]},
            ValueError,
            "mask must be a mask of dropout",
        ),
    ],
)
def test_mistakes(words, error, match, training):
    with pytest.raises(error, match=match):
        ft.dropout(X, training=training, **words)
    x = X.clone()
    with pytest.raises(error, match=match):
        ft.dropout(x, training=training, inplace=True, **words)
    assert torch.equal(x, X)


def test_the_default_of_p_is_not_the_number_that_is_shown():
    shown = inspect.signature(ft.dropout).parameters["p"].default
    with pytest.raises(TypeError, match=r"p=0\.5 and "):
        ft.dropout(X, shown, mask=drawn(SHAPE))
    assert torch.equal(ft.dropout(X, shown, mask=KEPT), 2 * X)


class Looking(torch.overrides.TorchFunctionMode):
    """Calls each function as it was called, and keeps what it was called with."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is ft.dropout:
            self.seen = args[1:], kwargs
        return function(*args, **kwargs or {})


def test_what_modes_see_of_the_default_of_p():
    with Looking() as looking:
        y = ft.dropout(X, mask=drawn(SHAPE))
    positional, named = looking.seen
    assert positional == () and "p" not in named
    assert torch.equal(y, ft.dropout(X, mask=drawn(SHAPE)))
    with Looking() as looking:
        ft.dropout(X, rng=1)
    assert looking.seen[0][0] == 0.5
    with Looking() as looking:
        ft.dropout(X, 0.5, mask=KEPT)
    assert looking.seen[0] == (0.5,)


def test_mistakes_of_tensors():
    mask = drawn(SHAPE)
    integers = torch.ones(SHAPE, dtype=torch.int32)
    for words in ({"mask": mask}, {"mask": KEPT, "p": 0.5}):
        with pytest.raises(TypeError, match=r"input must .* .*"):
            ft.dropout(integers, **words)
    for x in (X.to("meta"), X.to_sparse()):
        with pytest.raises(
            TypeError, match=r"input must be a strided tensor of floats .* with a Mask"
        ):
            ft.dropout(x, mask=mask)
    with pytest.raises(RuntimeError, match="a leaf Variable"):
        ft.dropout(X.clone().requires_grad_(), inplace=True, mask=mask)
    kept = KEPT.clone()
    kept.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="has no memory: it was freed"):
        ft.dropout(X, 0.5, mask=kept)
