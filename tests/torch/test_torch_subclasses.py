# SPDX-License-Identifier: BSD-3-Clause
"""Subclasses and modes that lie about a tensor: results are PyTorch's, and memory is safe."""

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import fastdrop as fd
import fastdrop.torch as ft

MANY = 10**6


class Liar(torch.Tensor):
    """A tensor with other attributes and methods than its memory has."""

    shape = property(lambda self: torch.Size((MANY,)))
    dtype = torch.float64
    layout = torch.strided
    device = torch.device("cpu")
    requires_grad = False
    is_leaf = True
    _base = None

    def numel(self):
        return MANY

    def data_ptr(self):
        return 64

    def stride(self, *_):
        return (1,)

    def size(self, *_):
        return torch.Size((MANY,))

    def __len__(self):
        return MANY

    def is_contiguous(self, *_, **__):
        return True

    def is_inference(self):
        return False

    def is_conj(self):
        return False

    is_neg = _is_view = is_conj


class SilentLiar(Liar):
    """The same without PyTorch's protocol for functions of subclasses."""

    __torch_function__ = torch._C._disabled_torch_function_impl


def plain(y):
    """Return what a tensor is in truth."""
    with torch._C.DisableTorchFunction():
        return torch.Tensor.as_subclass(y, torch.Tensor)


EXPLICIT = {
    "dropout": lambda x: ft.dropout(x, 0.5),
    "seeded": lambda x: ft.dropout(x, 0.5, rng=1),
    "in place": lambda x: ft.dropout(x, 0.5, True, True),
    "alpha": lambda x: ft.alpha_dropout(x, 0.5, True),
    "features": lambda x: ft.feature_alpha_dropout(x, 0.5, True),
    "relu": lambda x: ft.relu_dropout(x, 0.5),
    "add": lambda x: ft.dropout_add(x, x, 0.5),
    "residual": lambda x: ft.dropout_add(torch.ones(2, 3, 4), x, 0.5),
    "bias": lambda x: ft.dropout_add(torch.ones(5, 2, 3, 4), torch.ones(5, 2, 3, 4), bias=x),
    "module": lambda x: ft.Dropout(0.5)(x),
    "shared": lambda x: ft.dropout(x, 0.5, broadcast_dims=1),
    "noise shape": lambda x: ft.dropout(x, 0.5, rng=1, noise_shape=(None, 1, 1)),
    "given": lambda x: ft.dropout(x, mask=fd.dropout_mask((2, 3, 4), 0.5, rng=1)),
    "bools": lambda x: ft.dropout(x, 0.5, mask=torch.tensor([True, False, True, False])),
    "path": lambda x: ft.drop_path(x, 0.5),
    "unscaled path": lambda x: ft.drop_path(x, 0.5, scale="none"),
    "path in place": lambda x: ft.drop_path(x, 0.5, True, True),
    "blocks": lambda x: ft.drop_block2d(x, 0.5, block_size=2),
    "gaussian": lambda x: ft.gaussian_dropout(x, 0.5),
    "gaussian in place": lambda x: ft.gaussian_dropout(x, 0.5, True, True, rng=1),
    "shared gaussian": lambda x: ft.gaussian_dropout(x, 0.5, broadcast_dims=1),
    "rows": lambda x: ft.embedding_dropout(x[0], 0.5),
    "steps": lambda x: ft.locked_dropout(x, 0.5),
    "connections": lambda x: ft.drop_connect(torch.ones(2, 4), x[0], 0.5),
    "zoneout": lambda x: ft.zoneout(x, torch.ones(2, 3, 4), 0.5),
    "old": lambda x: ft.zoneout(torch.ones(2, 3, 4), x, 0.5, rng=1),
    "shared zoneout": lambda x: ft.zoneout(x, x, 0.5, broadcast_dims=0),
}
OVERRIDDEN = {
    "F.dropout": lambda x: F.dropout(x, 0.5),
    "F.dropout in place": lambda x: F.dropout(x, 0.5, inplace=True),
    "F.dropout2d": lambda x: torch.feature_dropout(x, 0.5, True),
    "F.alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "F.feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, True),
    "native_dropout": lambda x: torch.native_dropout(x, 0.5, True)[0],
    "bernoulli_": lambda x: x.bernoulli_(0.5),
}
FUNCTIONS = EXPLICIT | OVERRIDDEN


@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
@pytest.mark.parametrize("kind", [Liar, SilentLiar])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_subclass_is_taken_for_what_it_is(name, kind, layout, installed):
    x = torch.arange(1.0, 25.0).reshape(2, 3, 4)
    if layout == "transposed":
        x = x.reshape(4, 3, 2).transpose(0, 2)
    function = FUNCTIONS[name]
    torch.manual_seed(1)
    expected = function(x.clone(memory_format=torch.preserve_format))
    torch.manual_seed(1)
    liar = x.clone(memory_format=torch.preserve_format).as_subclass(kind)
    y = function(liar)
    assert torch.equal(plain(y), expected)
    assert plain(y).stride() == expected.stride()
    if "in place" in name or name == "bernoulli_":
        assert y is liar
        assert torch.equal(plain(liar), expected)
    elif kind is Liar:  # PyTorch's protocol gives results their class
        assert type(y) is Liar


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("function", [ft.dropout, F.dropout])
def test_gradients_pass_through_a_subclass(function, inplace, installed):
    x = torch.ones(100, requires_grad=True)
    y = function((x * 1).as_subclass(SilentLiar), 0.5, True, inplace)
    (dx,) = torch.autograd.grad(plain(y).sum(), x)
    assert torch.equal(dx, plain(y))


@pytest.mark.parametrize("function", [ft.dropout, F.dropout])
def test_a_leaf_of_a_subclass_in_place(function, installed):
    leaf = torch.ones(100, requires_grad=True).as_subclass(SilentLiar).detach()
    torch.Tensor.requires_grad_(leaf)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        function(leaf, 0.5, True, True)
    assert torch.equal(plain(leaf), torch.ones(100))


@pytest.mark.parametrize("kind", [Liar, SilentLiar])
def test_a_gradient_of_a_subclass(kind, installed):
    for function in (lambda x: ft.relu_dropout(x, 0.5), lambda x: F.dropout(x, 0.5)):
        x = torch.ones(100, requires_grad=True)
        y = function(x)
        y.grad_fn.register_prehook(lambda _: (torch.ones(100).as_subclass(kind),))
        y.sum().backward()
        assert torch.equal(plain(x.grad), y.detach())


def test_functions_are_offered_to_subclasses_and_modes_as_pytorchs_are():
    class Sees(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, arguments=(), options=None):
            return function, arguments[1:], options

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), options=None):
            return function, arguments[1:], options

    x, plain_x = torch.ones(2, 3, 4).as_subclass(Sees), torch.ones(2, 3, 4)
    functions = (ft.dropout, ft.dropout1d, ft.dropout2d, ft.dropout3d)
    functions += (ft.alpha_dropout, ft.feature_alpha_dropout)
    for given in (x, plain_x):
        with Mode() if given is plain_x else torch.no_grad():
            for function in functions:
                seen = function(given, 0.3, True, rng=3)
                assert seen == (function, (0.3, True, False), {"rng": 3})
            seen = ft.relu_dropout(given, 0.3, rng=3)
            assert seen == (ft.relu_dropout, (0.3, True), {"rng": 3})
            for function in (ft.drop_path, ft.gaussian_dropout, ft.drop_block2d, ft.locked_dropout):
                seen, rest, options = function(given, 0.3, rng=3)
                assert (seen, rest) == (function, (0.3, True, False))
                assert options["rng"] == 3
            seen, rest, options = ft.embedding_dropout(given, 0.3, rng=3)
            assert (seen, rest, options) == (ft.embedding_dropout, (0.3, True), {"rng": 3})
            for function in (ft.zoneout, ft.drop_connect):
                for tensors in ((given, plain_x), (plain_x, given)):
                    seen, rest, options = function(*tensors, 0.3, rng=3)
                    assert (seen, rest[1:], options["rng"]) == (function, (0.3, True), 3)
            for tensors in ((given, plain_x), (plain_x, given)):
                function, rest, options = ft.dropout_add(*tensors, 0.3, rng=3)
                assert function is ft.dropout_add
                assert rest[1:] == (0.3, True)
                assert options == {"bias": None, "rng": 3}


def test_a_mode_of_functions_does_not_see_the_inside():
    class Lies(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), options=None):
            if function in (torch.Tensor.numel, torch.Tensor.stride, torch.Tensor.data_ptr):
                return MANY
            return function(*arguments, **(options or {}))

    x = torch.ones(3, 4)
    expected = ft.dropout(x, 0.5, rng=1)
    with Lies():
        y = ft.dropout(x, 0.5, rng=1)
    assert torch.equal(y, expected)


# ---- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("dropout", "seeded", "in place", "relu", "F.dropout", "native_dropout"),
        *("path", "blocks", "gaussian", "gaussian in place", "zoneout", "old"),
    ],
)
def test_kernels_do_not_touch_freed_memory(name, installed):
    """PyTorch's own kernels crash there."""
    x = torch.ones(2, 3, 4)
    x.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="storage was freed"):
        FUNCTIONS[name](x)


def test_kernels_take_tensors_of_the_masks_size_alone():
    x = torch.ones(2, 3, 4, 4, requires_grad=True)
    wrong = torch.ones(5000)
    masks = [ft.dropout2d(x, 0.5).grad_fn.mask, ft.relu_dropout(x, 0.5).grad_fn.mask]
    for mask in masks:
        with pytest.raises(RuntimeError, match=r"elements|a tensor of 1 axes is under a mask of 4"):
            mask.apply(wrong, torch.empty(5000), 1)
    mask = ft.dropout(x, 0.5).grad_fn.mask
    for pair in (
        (wrong, torch.empty(4999)),
        (wrong, torch.empty(5000, dtype=torch.float64)),
        (wrong, torch.empty(1).expand(5000)),
        (torch.ones(5000, dtype=torch.int32), torch.empty(5000, dtype=torch.int32)),
        (wrong, torch.empty(5000, device="meta")),
        (wrong, wrong.numpy()),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            mask.apply(*pair, 1)
    with pytest.raises(TypeError, match=r"torch\.bool"):
        mask.write_kept(torch.empty(5), 1)
    with pytest.raises(RuntimeError, match="bias has"):
        mask.add(wrong, wrong, torch.ones(1, 3), torch.empty(5000), 1)
