# SPDX-License-Identifier: BSD-3-Clause
"""The words of the functions and modules: where masks come from, decisions that are shared."""

import copy
import inspect
import io
import re
import warnings

import numpy as np
import pytest
import signatures
import torch
from torch import nn

import fastdrop as fd
import fastdrop.torch as ft

X = torch.arange(1.0, 121.0).reshape(2, 3, 4, 5)
Q = torch.ones(1, 2, 4, 8)
CALLS = {
    "dropout": lambda **words: ft.dropout(X, 0.5, **words),
    "dropout1d": lambda **words: ft.dropout1d(X[0], 0.5, **words),
    "dropout2d": lambda **words: ft.dropout2d(X, 0.5, **words),
    "dropout3d": lambda **words: ft.dropout3d(X, 0.5, **words),
    "alpha_dropout": lambda **words: ft.alpha_dropout(X, 0.5, True, **words),
    "feature_alpha_dropout": lambda **words: ft.feature_alpha_dropout(X, 0.5, True, **words),
    "dropout_add": lambda **words: ft.dropout_add(X, X, 0.5, **words),
    "relu_dropout": lambda **words: ft.relu_dropout(X, 0.5, **words),
    "scaled_dot_product_attention": lambda **words: ft.scaled_dot_product_attention(
        Q, Q, Q, dropout_p=0.5, **words
    ),
}
MODULES = [name for name in ft.__all__ if name[0].isupper()]
NAMED_SEED = list(CALLS)  # in which rng has an old name
CALLS |= {
    "drop_path": lambda **words: ft.drop_path(X.transpose(0, 3), 0.5, **words),
    "drop_block2d": lambda **words: ft.drop_block2d(X, 0.5, block_size=2, **words),
    "gaussian_dropout": lambda **words: ft.gaussian_dropout(X, 0.5, **words),
    "embedding_dropout": lambda **words: ft.embedding_dropout(X.view(-1, 2), 0.5, **words),
    "locked_dropout": lambda **words: ft.locked_dropout(X[0], 0.5, **words),
    "drop_connect": lambda **words: ft.drop_connect(X, X[0, 0], 0.5, **words),
    "zoneout": lambda **words: ft.zoneout(X, -X, 0.5, **words),
}
every_call = pytest.mark.parametrize("name", CALLS)
every_module = pytest.mark.parametrize("name", MODULES)

# What modules are made of and called with, where it is not p and X.
MADE_OF = {
    "DropConnect": ((5, 4, 0.5), {}),
    "DropoutAddLayerNorm": ((X.shape[-1], 0.5), {}),
    "DropoutAddRMSNorm": ((X.shape[-1], 0.5), {}),
    "WeightDropLSTM": ((5, 4), {"p": 0.5}),
}
CALLED_WITH = {
    "Dropout1d": (X[0],),
    "DropoutAdd": (X, X),
    "DropoutAddLayerNorm": (X, X),
    "DropoutAddRMSNorm": (X, X),
    "Zoneout": (X, -X),
    "EmbeddingDropout": (X.view(-1, 2),),
    "LockedDropout": (X[0],),
    "WeightDropLSTM": (X[0],),
}


def make(name, **words):
    arguments, settings = MADE_OF.get(name, ((0.5,), {}))
    torch.manual_seed(1)  # for parameters
    return getattr(ft, name)(*arguments, **settings, **words)


def call(module):
    y = module(*CALLED_WITH.get(type(module).__name__, (X,)))
    return y[0] if isinstance(y, tuple) else y


# ---- rng -----------------------------------------------------------------------------------------


@every_call
def test_what_rng_may_be(name):
    call = CALLS[name]
    expected = call(rng=7)
    for rng in (np.int64(7), [7], (7,), np.random.SeedSequence(7), np.array([7])):
        assert torch.equal(call(rng=rng), expected)
        assert torch.equal(call(rng=rng), expected)
    for wrap in (lambda source: source, np.random.Generator, np.random.RandomState):
        source = fd.Xoshiro256PlusPlus(7)
        rng = wrap(source)
        assert torch.equal(call(rng=rng), expected)
        assert source.position > 0
        assert not torch.equal(call(rng=rng), expected)
    seeded = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    assert torch.equal(call(rng=seeded[0]), call(rng=seeded[1]))


@pytest.mark.parametrize("name", NAMED_SEED)
def test_seed_is_an_old_name_of_rng(name):
    expected = CALLS[name](rng=7)
    with pytest.warns(FutureWarning, match="seed is an old name of rng") as caught:
        assert torch.equal(CALLS[name](seed=7), expected)
    assert caught[0].filename == __file__
    with pytest.raises(TypeError, match="seed=7 and rng="):
        CALLS[name](seed=7, rng=torch.Generator())


@every_call
@pytest.mark.parametrize("rng", [1.5, "7", True, object(), np.random.default_rng(1), np.ma])
def test_what_rng_may_not_be(name, rng):
    state = torch.get_rng_state()
    with pytest.raises(TypeError, match=r"^rng must be .*, not "):
        CALLS[name](rng=rng)
    assert torch.equal(torch.get_rng_state(), state)


def test_zero_is_a_seed_as_any_other():
    expected, _ = fd.dropout(X.numpy(), 0.5, rng=0)
    assert np.array_equal(ft.dropout(X, 0.5, rng=0).numpy(), expected)
    assert np.array_equal(ft.Dropout(0.5, rng=0)(X).numpy(), expected)


# ---- words of others -----------------------------------------------------------------------------


@every_call
def test_words_of_peers(name):
    for word in ("generator", "random_state", "key_of"):
        with pytest.raises(TypeError, match=rf"^{name}\(\) .* {word}=1: it (is called rng|has)"):
            CALLS[name](**{word: 1})
    if name != "scaled_dot_product_attention":
        with pytest.raises(TypeError, match=r"'(input|new|weight)'|x=.*: it is called input here"):
            getattr(ft, name)(x=X)


@every_module
def test_words_of_modules(name):
    made = getattr(ft, name)
    for word, right in (("seed", "rng"), ("generator", "rng"), ("rate", "p")):
        with pytest.raises(
            TypeError, match=rf"^{name}\(\) .* {word}=1: it is called {right} here$"
        ):
            made(**{word: 1})
    with pytest.raises(
        TypeError, match=r"takes only .* by position: (give .* by name|.* is too much)"
    ):
        made(0.5, False, *[1] * 12)


def test_a_pair_is_no_tensor():
    for function in (ft.dropout, ft.relu_dropout):
        with pytest.raises(TypeError, match=r"^input must be .*: pass y, not \(y, mask\)$"):
            function(fd.dropout(np.ones(3)))


# ---- decisions that are shared -------------------------------------------------------------------

SHARED = [
    ({"broadcast_dims": 1}, (2, 1, 4, 5)),
    ({"broadcast_dims": (0, -1)}, (1, 3, 4, 1)),
    ({"broadcast_dims": [0, 1, 2, 3]}, (1, 1, 1, 1)),
    ({"broadcast_dims": ()}, (2, 3, 4, 5)),
    ({"noise_shape": (None, 1, None, 1)}, (2, 1, 4, 1)),
    ({"noise_shape": (4, 1)}, (1, 1, 4, 1)),
    ({"noise_shape": ()}, (1, 1, 1, 1)),
]
LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
    "with gaps": lambda x: torch.stack([x, x], -1)[..., 0],
}
shared = pytest.mark.parametrize(("words", "shape"), SHARED)


@shared
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.complex128])
def test_shared_decisions_are_those_of_arrays(words, shape, layout, dtype):
    x = LAYOUTS[layout](X.to(dtype))
    expected, mask = fd.dropout(X.to(dtype).numpy().copy(), 0.4, rng=3, noise_shape=shape)
    assert mask.shape == shape
    assert np.array_equal(ft.dropout(x, 0.4, rng=3, **words).numpy(), expected)
    y = x.clone()
    assert ft.dropout(y, 0.4, True, True, rng=3, **words) is y
    assert np.array_equal(y.numpy(), expected)
    source = fd.Xoshiro256PlusPlus(3)
    assert np.array_equal(ft.dropout(x, 0.4, rng=source, **words).numpy(), expected)
    assert source.position == mask.size


@shared
def test_shared_decisions_of_a_generator(words, shape):
    torch.manual_seed(1)
    y = ft.dropout(X, 0.4, **words)
    torch.manual_seed(1)
    assert torch.equal(ft.dropout(LAYOUTS["channels last"](X), 0.4, **words), y)
    kept = (y != 0).float()
    axes = [axis for axis, length in enumerate(shape) if length == 1]
    assert axes == [] or torch.equal(kept.amin(axes), kept.amax(axes))


@shared
def test_gradients_of_shared_decisions(words, shape):
    x = X.double().requires_grad_()
    y = ft.dropout(x, 0.4, rng=3, **words)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(dx * x, y)
    drop = torch.func.vmap(lambda x: ft.dropout(x, 0.4, rng=3, **words))
    assert torch.equal(drop(torch.stack([X, X]))[1], ft.dropout(X, 0.4, rng=3, **words))


@pytest.mark.parametrize(("words", "shape"), SHARED[1:5:3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64])
def test_shared_decisions_in_programs(words, shape, dtype):
    torch._dynamo.reset()
    x = X.to(dtype)
    x[0, 0, 0, 0] = torch.inf
    program = torch.compile(
        lambda x: ft.dropout(x, 0.4, rng=3, **words), backend="aot_eager", fullgraph=True
    )
    expected = ft.dropout(x, 0.4, rng=3, **words)
    assert torch.equal(
        torch.view_as_real(program(x)) if dtype.is_complex else program(x),
        torch.view_as_real(expected) if dtype.is_complex else expected,
    )
    torch.manual_seed(1)
    drawn = ft.dropout(x.real, 0.4, **words)
    torch.manual_seed(1)
    program = torch.compile(lambda x: ft.dropout(x, 0.4, **words), backend="aot_eager")
    assert torch.equal(program(x.real), drawn)


def test_shared_decisions_of_alpha_dropout():
    y = ft.alpha_dropout(X, 0.4, True, rng=3, broadcast_dims=(0, 2))
    kept, _ = fd.alpha_dropout(X.numpy(), 0.4, rng=3, broadcast_axes=(0, 2))
    np.testing.assert_allclose(y.numpy(), kept, rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        ({"broadcast_dims": 4}, ValueError, "broadcast_dims must .*, not 4"),
        ({"broadcast_dims": (1, 1)}, ValueError, "name an axis once"),
        ({"broadcast_dims": "a"}, TypeError, "broadcast_dims must .*, not 'a'"),
        ({"noise_shape": (3, 1)}, ValueError, "noise_shape"),
        ({"noise_shape": 1}, TypeError, "noise_shape must .*, not 1"),
        ({"noise_shape": (), "broadcast_dims": 1}, TypeError, "broadcast_dims=1 and "),
    ],
)
def test_wrong_shapes_of_decisions(words, error, match, training):
    source = fd.Philox4x32(1)
    with pytest.raises(error, match=match):
        ft.dropout(X, 0.5, training, rng=source, **words)
    assert source.position == 0


def test_shared_decisions_elsewhere():
    with pytest.raises(TypeError, match="broadcast_dims or noise_shape, input must be a strided"):
        ft.dropout(torch.ones(3).to_sparse(), 0.5, rng=1, broadcast_dims=0)
    y = ft.dropout(torch.ones(3, device="meta"), 0.5, broadcast_dims=0)
    assert y.shape == (3,) and y.device.type == "meta"


@shared
def test_shared_decisions_of_transforms(words, shape):
    """Without a seed PyTorch draws them, by the rules of the transform."""

    def drop(x):
        return ft.dropout(x, 0.4, **words)

    x = torch.stack([X, X, X])
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(drop)(x)
    same = torch.func.vmap(drop, randomness="same")(x)
    assert torch.equal(same[0], same[1])
    different = torch.func.vmap(drop, randomness="different")(torch.stack([X] * 8))
    assert any(not torch.equal(different[0], y) for y in different)
    for y in (*same, *different):
        kept = (y != 0).float()
        axes = [axis for axis, length in enumerate(shape) if length == 1]
        assert axes == [] or torch.equal(kept.amin(axes), kept.amax(axes))
        assert torch.equal(y, torch.where(kept > 0, X * (1 / 0.6), 0.0))


# ---- modules -------------------------------------------------------------------------------------


@every_module
@pytest.mark.parametrize("algorithm", [None, fd.Philox4x32])
def test_a_module_with_a_source_goes_on_from_its_state(name, algorithm):
    def made():
        return make(name, rng=7 if algorithm is None else algorithm(7))

    module = made()
    first = [call(module) for _ in range(3)]
    assert not torch.equal(first[0], first[1])
    again = made()
    assert all(torch.equal(call(again), y) for y in first)
    state = copy.deepcopy(module.state_dict())
    assert list(state) == [*dict(module.named_parameters()), "rng"]
    file = io.BytesIO()
    torch.save(nn.Sequential(nn.Linear(2, 2), module).state_dict(), file)
    file.seek(0)
    resumed = nn.Sequential(nn.Linear(2, 2), made())
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed[1].rng.position == module.rng.position > 0
    y = call(module)
    assert torch.equal(call(resumed[1]), y)
    module.load_state_dict(state)
    assert torch.equal(call(copy.deepcopy(module)), y)


@every_module
def test_states_with_and_without_a_source(name):
    own, plain = make(name, rng=7), make(name)
    assert plain.rng is None
    assert plain.state_dict().keys() == dict(plain.named_parameters()).keys()
    with pytest.raises(RuntimeError, match=r'Missing key.*"rng"'):
        own.load_state_dict(plain.state_dict())
    own.load_state_dict(plain.state_dict(), strict=False)
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"rng"'):
        plain.load_state_dict(own.state_dict())
    with pytest.raises(RuntimeError, match=r"rng must .* torch.float32 and \(2,\)"):
        own.load_state_dict(plain.state_dict() | {"rng": torch.ones(2)})
    with pytest.raises(
        TypeError, match=r"rng must be .*, not a Generator, which only goes forward"
    ):
        make(name, rng=np.random.default_rng(1))


def test_modules_may_share_a_source_or_have_a_generator():
    source, generator = fd.Xoshiro256PlusPlus(7), torch.Generator().manual_seed(1)
    one, other = ft.Dropout(0.5, rng=source), ft.Dropout(0.5, rng=np.random.Generator(source))
    assert one.rng is other.rng is source
    y = ft.Dropout(0.5, rng=generator)(X)
    assert torch.equal(y, ft.dropout(X, 0.5, rng=generator.manual_seed(1)))


def test_modules_of_shared_decisions():
    module = ft.Dropout(0.5, rng=3, broadcast_dims=(0, 2))
    assert repr(module) == "Dropout(p=0.5, inplace=False, broadcast_dims=(0, 2))"
    assert torch.equal(module(X), ft.dropout(X, 0.5, rng=3, broadcast_dims=(0, 2)))
    module = ft.Dropout(0.5, rng=3, noise_shape=(None, 1, 1, 1))
    assert torch.equal(module(X), ft.dropout(X, 0.5, rng=3, noise_shape=(2, 1, 1, 1)))
    module = ft.AlphaDropout(0.5, rng=3, broadcast_dims=0)
    assert torch.equal(module(X), ft.alpha_dropout(X, 0.5, True, rng=3, broadcast_dims=0))
    assert "broadcast_dims=0" in repr(copy.deepcopy(module))
    with pytest.raises(TypeError, match="broadcast_dims=1 and "):
        ft.Dropout(0.5, broadcast_dims=1, noise_shape=())


def test_a_bias_is_given_in_the_call():
    bias = torch.arange(5.0)
    y = ft.DropoutAdd(0.5, rng=3)(X, X, bias=bias)
    assert torch.equal(y, ft.dropout_add(X, X, 0.5, bias=bias, rng=3))


# ---- the switch ----------------------------------------------------------------------------------


def test_installed_is_true_exactly_while_it_is():
    assert not ft.installed() and not ft.is_installed()
    with ft.installed() as on:
        assert on and ft.installed() and ft.is_installed()
        assert repr(on) == "<fastdrop.torch: installed>"
    assert not on and not ft.is_installed()
    ft.install()
    try:
        assert on and ft.installed() and ft.is_installed()
    finally:
        ft.uninstall()
    assert not on


def test_installed_decorates():
    @ft.installed()
    def inside():
        return ft.is_installed()

    assert inside() and inside() and not ft.is_installed()


def test_nothing_warns_without_the_old_name():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in CALLS.values():
            call(rng=1)


@pytest.mark.skipif(not signatures.PAGE.exists(), reason="the documentation is not here")
def test_signatures_are_those_of_the_table():
    assert signatures.found(ft, ft.__all__) == signatures.written("fd.torch.")


def test_help_shows_types_by_their_names_and_dir_public_names_only():
    assert dir(ft) == sorted(ft.__all__)
    for name in ft.__all__:
        text = re.sub(r" = [^,)]+|Literal\[.*?\]", "", str(inspect.signature(getattr(ft, name))))
        assert "'" not in text
        assert "numpy." not in text
        assert "Union[" not in text
