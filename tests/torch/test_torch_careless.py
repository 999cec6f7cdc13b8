# SPDX-License-Identifier: BSD-3-Clause
"""Careless arguments of the PyTorch face: they are refused when they are given."""

import inspect
from decimal import Decimal

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fastdrop as fd  # noqa: E402
import fastdrop.torch as ft  # noqa: E402

x = torch.ones(3, 4)
kept = torch.ones(3, 4, dtype=torch.bool)

# What modules are made of before p, which DropoutAddLayerNorm has second.
PARTS = {
    "DropConnect": {"in_features": 4, "out_features": 3},
    "DropoutAddLayerNorm": {"normalized_shape": 4},
    "DropoutAddRMSNorm": {"normalized_shape": 4},
    "WeightDropLSTM": {"input_size": 4, "hidden_size": 3},
}
MODULES = [
    name
    for name in ft.__all__
    if isinstance(getattr(ft, name), type) and issubclass(getattr(ft, name), torch.nn.Module)
]
# Every argument of a module that is a bool.
SWITCHES = [
    (name, own.name)
    for name in MODULES
    for own in inspect.signature(getattr(ft, name)).parameters.values()
    if own.annotation == "bool"
]


def made(name, **options):
    return getattr(ft, name)(**(PARTS.get(name, {}) | {"p": 0.5} | options))


def test_the_switches_of_modules_are_found():
    assert ("Dropout", "inplace") in SWITCHES
    assert ("DropoutAddLayerNorm", "elementwise_affine") in SWITCHES
    assert ("WeightDropLSTM", "bidirectional") in SWITCHES
    assert len(SWITCHES) >= 20


@pytest.mark.parametrize(("name", "switch"), SWITCHES)
def test_switches_are_checked_when_a_module_is_made(name, switch):
    for wrong in ("x", 1, None, torch.tensor(True)):
        with pytest.raises(TypeError, match=rf"^{switch} must be True or False, not "):
            made(name, **{switch: wrong})
    module = made(name, **{switch: np.True_})
    assert getattr(module, switch, True) is not np.True_


@pytest.mark.parametrize("name", MODULES)
def test_p_is_checked_when_a_module_is_made(name):
    for wrong in ("a", None, True, np.ones(3), torch.tensor(True), torch.tensor(1j)):
        with pytest.raises(TypeError, match=r"^p must be a number in \[0, 1[\])], not "):
            made(name, p=wrong)
    for wrong in (2, -0.5, float("nan"), Decimal("sNaN"), torch.tensor(2.0)):
        with pytest.raises(ValueError, match=r"^p must be a number in \[0, 1[\])], not "):
            made(name, p=wrong)
    with pytest.raises(TypeError, match=r"^p must be .*, not tensor\(.*meta"):
        made(name, p=torch.tensor(0.5, device="meta"))


def test_modules_show_p_as_pytorch_does():
    for p in (0, 1, 0.25):
        assert repr(ft.Dropout(p)) == repr(torch.nn.Dropout(p))
    assert repr(ft.Dropout(np.float32(0.5), np.False_)) == repr(torch.nn.Dropout(0.5))


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "GaussianDropout", "DropoutAdd"])
def test_dims_are_checked_when_a_module_is_made(name):
    for wrong in ("a", 1.5, True, {0: 1}):
        with pytest.raises(TypeError, match=r"^broadcast_dims must be an integer .*, not "):
            made(name, broadcast_dims=wrong)
    with pytest.raises(ValueError, match=r"^broadcast_dims must name an axis once, not \(0, 0\)$"):
        made(name, broadcast_dims=(0, 0))


def test_other_arguments_of_modules():
    for make, error, words in (
        (lambda: ft.Dropout(noise_shape="a"), TypeError, "noise_shape must be .*, not 'a'"),
        (lambda: ft.DropConnect("4", 3, 0.5), TypeError, r"in_features must be .*, not '4' \(a"),
        (lambda: ft.DropConnect(4, -3, 0.5), ValueError, r"out_features must be .*, not -3$"),
        (lambda: ft.DropConnect(4, 3), TypeError, "p must be given; it is missing$"),
        (lambda: ft.WeightDropLSTM(4, 3), TypeError, "p must be given; it is missing$"),
        (
            lambda: ft.WeightDropLSTM(4, 3, dropout="a", p=0.5),
            TypeError,
            r"dropout must be a number in \[0, 1\], not 'a' \(a str\)",
        ),
    ):
        with pytest.raises(error, match=f"^{words}"):
            make()


def test_a_state_that_is_no_tensor():
    layer = ft.Dropout(rng=1)
    with pytest.raises(RuntimeError, match=r"rng must be a tensor, not 'a' \(a str\)"):
        layer.load_state_dict({"rng": "a"})
    assert layer.rng.position == 0


# ---- functions -----------------------------------------------------------------------------------


def test_p_that_is_no_number():
    source = fd.Philox4x32(1)
    for wrong in (
        torch.tensor(True),
        torch.tensor(1j),
        torch.tensor(0.5, device="meta"),
        torch.full((4,), 0.5, device="meta"),
        torch.full((4,), 0.5).to_sparse(),
    ):
        with pytest.raises(TypeError, match=r"^p must be .*, not "):
            ft.dropout(x, wrong, rng=source)
    for training in (True, False):
        with pytest.raises(ValueError, match=r"^p\[3\] must be a number in \[0, 1\], not 2\.0$"):
            ft.dropout(x, torch.tensor([0.5, 0.5, 0.5, 2.0]), training, rng=source)
    assert source.position == 0


def test_masks_that_are_no_bools_in_memory():
    for wrong in (True, "a", kept.to("meta"), kept.to_sparse(), [1, 0, 1, 0]):
        with pytest.raises(TypeError, match=r"^mask must be a Mask or .*bool.*, not ") as caught:
            ft.dropout(x, 0.5, mask=wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match=r"^p=None and a mask exclude each other"):
        ft.dropout(x, None, mask=fd.dropout_mask((3, 4), rng=1))


def test_errors_of_axes_name_the_input():
    source = fd.Philox4x32(1)
    with pytest.raises(ValueError, match=r"^broadcast_dims must .* of input's shape \(3, 4\)"):
        ft.dropout(x, 0.5, broadcast_dims=2, rng=source)
    with pytest.raises(ValueError, match=r"^noise_shape \(3,\) .* input's shape \(3, 4\)"):
        ft.dropout(x, 0.5, noise_shape=(3,), rng=source)
    assert source.position == 0


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested")
def test_a_nested_input_is_told_to_be_nested():
    nested = torch.nested.nested_tensor([x[0], x[1, :2]])
    with pytest.raises(TypeError, match=r"input is a nested torch\.float32 tensor"):
        ft.dropout(nested, 0.5, rng=1)


def test_rng_is_told_all_that_it_may_be():
    for wrong in ("a", [1.5], [True], torch.Generator):
        with pytest.raises(TypeError, match=r"^rng must be None, .* or a torch\.Generator, not "):
            ft.dropout(x, 0.5, rng=wrong)


def test_numbers_of_attention():
    q = torch.ones(1, 2, 3, 4)
    source = fd.Philox4x32(1)
    for options, error, words in (
        ({"dropout_p": True}, TypeError, r"dropout_p must be a number, not True \(a bool\)"),
        ({"dropout_p": torch.tensor(True)}, TypeError, r"dropout_p must be a number, not tensor"),
        ({"scale": True}, TypeError, r"scale must be a number, not True \(a bool\)"),
    ):
        with pytest.raises(error, match=f"^{words}"):
            ft.scaled_dot_product_attention(q, q, q, **options, rng=source)
    assert source.position == 0
