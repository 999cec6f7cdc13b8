# SPDX-License-Identifier: BSD-3-Clause
"""Mistakes of beginners: the error names the parameter, and nothing was drawn before it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fastdrop as fd
import fastdrop.torch

x = torch.ones(2, 3, 4)
q = torch.zeros(1, 2, 4, 8)

FUNCTIONS = [
    fastdrop.torch.dropout,
    fastdrop.torch.dropout1d,
    fastdrop.torch.dropout2d,
    fastdrop.torch.dropout3d,
    fastdrop.torch.alpha_dropout,
    fastdrop.torch.feature_alpha_dropout,
    fastdrop.torch.relu_dropout,
]


@pytest.fixture
def source():
    """A source and the generator of PyTorch, which must not move."""
    state, source = torch.get_rng_state(), fd.Xoshiro256PlusPlus(1)
    yield source
    assert source.position == 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("wrong", [np.ones((2, 3, 4)), [1.0], None, 1.5, "x"])
def test_what_is_no_tensor(function, wrong, source):
    for options in ({"rng": source}, {}):
        with pytest.raises(
            TypeError,
            match=rf"^input must be a tensor of PyTorch, not .*({type(wrong).__name__}|None)",
        ):
            function(wrong, 0.5, True, **options)


@pytest.mark.filterwarnings("ignore:dropout[23]d")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers(function, dtype, source):
    """Dropped they would be other numbers; where nothing is dropped, PyTorch takes them too."""
    given = torch.ones(2, 3, 4, dtype=dtype)
    for rng in (None, 1, source, torch.Generator()):
        with pytest.raises(TypeError, match=f"input must .* {dtype}"):
            function(given, 0.5, True, rng=rng)
        with pytest.raises(TypeError, match=f"input must .* {dtype}"):
            torch.func.vmap(lambda x: function(x, 0.5, True, rng=rng), randomness="same")(  # noqa: B023
                torch.ones(5, 2, 3, 4, dtype=dtype)
            )
    if function is not fastdrop.torch.relu_dropout:
        assert function(given, 0.5, False) is given
        assert function(given, 0.0, True) is given


@pytest.mark.filterwarnings("ignore:dropout[23]d")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("training", ["no", None, 0, []])
def test_training_is_true_or_false(function, training, source):
    with pytest.raises(TypeError, match=r"training must be .*, not .*"):
        function(x, 0.5, training, rng=source)


def test_inplace_is_true_or_false(source):
    with pytest.raises(TypeError, match=r"inplace must be .*, not 'no'"):
        fastdrop.torch.dropout(x, 0.5, True, "no", rng=source)


def test_a_leaf_in_place(source):
    leaf = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used"):
        fastdrop.torch.dropout(leaf, 0.5, True, True, rng=source)
    assert fastdrop.torch.dropout(leaf, 0.5, False, True) is leaf


@pytest.mark.parametrize(
    "drop_in_place",
    [
        lambda leaf, rng: fastdrop.torch.dropout(leaf[:2], 0.5, inplace=True, rng=rng),
        lambda leaf, rng: fastdrop.torch.dropout1d(leaf, 0.5, inplace=True, rng=rng),
        lambda leaf, rng: fastdrop.torch.dropout(
            leaf.detach()[:1].expand(2, 4), 0.5, inplace=True, rng=rng
        ),
    ],
)
def test_views_of_a_leaf_and_of_one_place_in_place(drop_in_place, source):
    leaf = torch.ones(3, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"a leaf|a view of a leaf|single memory location"):
        drop_in_place(leaf, source)
    assert torch.equal(leaf, torch.ones(3, 4))


def test_a_leaf_in_place_where_nothing_is_recorded():
    leaf = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        assert fastdrop.torch.dropout(leaf, 1.0, True, True) is leaf
    assert not leaf.any()


def test_seeds_are_checked_where_nothing_is_drawn(source):
    for options in ({"training": False}, {"p": 0.0}):
        with pytest.raises(TypeError, match="seed=1 and rng="):
            fastdrop.torch.dropout(x, seed=1, rng=torch.Generator(), **options)
        with pytest.raises(ValueError, match=r"rng must be .*, not -1"):
            fastdrop.torch.dropout(x, rng=-1, **options)


# ---- inference tensors ---------------------------------------------------------------------------

IN_PLACE = {
    "F.dropout": lambda x: F.dropout(x, 0.5, True, inplace=True),
    "F.dropout, p = 1": lambda x: F.dropout(x, 1.0, True, inplace=True),
    "F.dropout1d": lambda x: F.dropout1d(x, 0.5, True, inplace=True),
    "F.alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True, inplace=True),
    "F.feature_alpha_dropout": lambda x: torch.feature_alpha_dropout_(x, 0.5, True),
    "bernoulli_": lambda x: x.bernoulli_(0.5),
    "dropout": lambda x: fastdrop.torch.dropout(x, 0.5, True, True),
    "dropout1d": lambda x: fastdrop.torch.dropout1d(x, 0.5, True, True),
    "alpha_dropout": lambda x: fastdrop.torch.alpha_dropout(x, 0.5, True, True),
}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("recording", [True, False])
def test_an_inference_tensor_in_place(name, recording, source, installed):
    with torch.inference_mode():
        made_there = torch.ones(2, 3, 4)
    with (
        torch.set_grad_enabled(recording),
        pytest.raises(RuntimeError) as stock,
    ):
        made_there.mul_(2)
    with torch.inference_mode():
        made_there.fill_(1)
    with torch.set_grad_enabled(recording), pytest.raises(RuntimeError) as own:
        IN_PLACE[name](made_there)
    assert str(own.value) == str(stock.value)
    assert torch.equal(made_there, torch.ones(2, 3, 4))  # and nothing was drawn: see `source`


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_inference_tensor_in_place_in_its_mode(name, installed):
    with torch.inference_mode():
        x = torch.ones(2, 3, 4)
        assert IN_PLACE[name](x) is x


# ---- more than one tensor ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((x, np.ones((2, 3, 4))), {}, TypeError, "residual must be .*, not an ndarray"),
        ((x, 0.5), {}, TypeError, r"residual must be .*, not 0.5 \(a float\)"),
        ((None, x), {}, TypeError, "input must be .*, not None"),
        ((x, x), {"bias": np.ones(4)}, TypeError, "bias must be .*, not an ndarray"),
        ((x, x), {"training": "no"}, TypeError, "training must be .*, not 'no'"),
        ((x, torch.ones(5, 4)), {}, ValueError, r"residual must .* \(5, 4\)"),
    ],
)
def test_dropout_add(arguments, options, error, words, source):
    with pytest.raises(error, match=words):
        fastdrop.torch.dropout_add(*arguments, rng=source, **options)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"query": q.numpy()}, "query must be .*, not an ndarray"),
        ({"key": None}, "key must be .*, not None"),
        ({"value": 1.0}, r"value must be .*, not 1.0 \(a float\)"),
        ({"attn_mask": np.ones((4, 4), bool)}, "attn_mask must be .*, not an ndarray"),
        ({"dropout_p": "0.5"}, "dropout_p must be .*, not '0.5'"),
        ({"dropout_p": None}, "dropout_p must be .*, not None"),
        ({"scale": "0.5"}, "scale must be .*, not '0.5'"),
        ({"is_causal": "no"}, "is_causal must be .*, not 'no'"),
        ({"enable_gqa": "no"}, "enable_gqa must be .*, not 'no'"),
    ],
)
def test_attention(changes, words, source):
    arguments = {"query": q, "key": q, "value": q, "dropout_p": 0.5} | changes
    with pytest.raises(TypeError, match=words):
        fastdrop.torch.scaled_dot_product_attention(**arguments, rng=source)


def test_a_mask_of_attention_and_causal(source):
    """Where PyTorch takes both, it applies both in some of its kernels alone."""
    mask = torch.zeros(4, 4)
    with pytest.raises(RuntimeError, match=r"attn_mask .*is_causal"):
        fastdrop.torch.scaled_dot_product_attention(q, q, q, mask, 0.0, True)
    with pytest.raises(TypeError, match=r"p=0\.5: it is called dropout_p here"):
        fastdrop.torch.scaled_dot_product_attention(q, q, q, p=0.5, rng=source)


def test_a_class_in_the_place_of_a_source():
    with pytest.raises(TypeError, match=r"^rng must be .*: call it, as in Philox4x32\(7\)$"):
        fastdrop.torch.dropout(x, rng=fd.Philox4x32)


@pytest.mark.parametrize("wrong", ["a", (3, 4), -4, 0, 2.0])
@pytest.mark.parametrize("name", ["DropoutAddLayerNorm", "DropoutAddRMSNorm"])
def test_the_length_of_a_norm(name, wrong):
    error = ValueError if type(wrong) is int else TypeError
    with pytest.raises(error, match="normalized_shape must be an integer of at least 1, not"):
        getattr(fastdrop.torch, name)(wrong)


def test_calls_of_modules_say_no_names_of_the_package():
    with pytest.raises(TypeError, match=r"^forward\(\) "):
        fastdrop.torch.Dropout(0.5)(x, training=True)
