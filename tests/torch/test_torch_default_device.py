# SPDX-License-Identifier: BSD-3-Clause
"""Every tensor made on the way says its device: a default device of the program changes nothing.

"meta" stands for any device that has other memory than the CPU's.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fastdrop as fd
import fastdrop.torch

X = torch.randn(2, 4, 6, 8)
SEEN, BIAS = torch.rand(6, 6) < 0.7, torch.randn(6, 6)
GENERATOR = torch.Generator()
SOURCES = {"none": {}, "seed": {"rng": 1}, "generator": {"rng": GENERATOR}}


def attend(function, **options):
    return lambda x: function(x, 2 * x, 3 * x, dropout_p=0.5, **options)


def explicit(name, *arguments):
    """Return a function of the package, of one tensor and options."""
    function = getattr(fastdrop.torch, name)
    return lambda x, **options: function(x, *arguments, **options)


EXPLICIT = {
    "dropout": explicit("dropout"),
    "dropout in place": lambda x, **options: fastdrop.torch.dropout(
        x * 1, 0.5, True, True, **options
    ),
    "dropout1d": lambda x, **options: fastdrop.torch.dropout1d(x[0], **options),
    "dropout2d": explicit("dropout2d"),
    "dropout3d": explicit("dropout3d"),
    "alpha_dropout": explicit("alpha_dropout", 0.5, True),
    "feature_alpha_dropout": explicit("feature_alpha_dropout", 0.5, True),
    "dropout_add": lambda x, **options: fastdrop.torch.dropout_add(x, x, **options),
    "relu_dropout": explicit("relu_dropout"),
    "gelu_dropout": explicit("gelu_dropout"),
    "silu_dropout": explicit("silu_dropout"),
    "dropout_add_layer_norm": lambda x, **options: fastdrop.torch.dropout_add_layer_norm(
        x, x, x[0, 0, 0], x[0, 0, 1], 0.5, **options
    ),
    "dropout_add_rms_norm": lambda x, **options: fastdrop.torch.dropout_add_rms_norm(
        x, x, x[0, 0, 0], 0.5, **options
    ),
    "drop_path": explicit("drop_path", 0.5),
    "drop_path, unscaled": lambda x, **options: fastdrop.torch.drop_path(
        x, 0.5, scale="none", **options
    ),
    "drop_block2d": explicit("drop_block2d", 0.5),
    "gaussian_dropout": explicit("gaussian_dropout", 0.5),
    "gaussian_dropout, shared": lambda x, **options: fastdrop.torch.gaussian_dropout(
        x, 0.5, broadcast_dims=0, **options
    ),
    "embedding_dropout": lambda x, **options: fastdrop.torch.embedding_dropout(
        x.flatten(1), 0.5, **options
    ),
    "locked_dropout": lambda x, **options: fastdrop.torch.locked_dropout(x[0], 0.5, **options),
    "drop_connect": lambda x, **options: fastdrop.torch.drop_connect(x, x[0, 0], 0.5, **options),
    "zoneout": lambda x, **options: fastdrop.torch.zoneout(x, 2 * x, 0.5, **options),
    "zoneout, shared": lambda x, **options: fastdrop.torch.zoneout(
        x, 2 * x, 0.5, broadcast_dims=1, **options
    ),
    **{
        f"attention, {name}": lambda x, mask=mask, **options: attend(
            fastdrop.torch.scaled_dot_product_attention, **mask, **options
        )(x)
        for name, mask in {
            "no mask": {},
            "causal": {"is_causal": True},
            "bools": {"attn_mask": SEEN},
            "numbers": {"attn_mask": BIAS},
            "a mask that learns": {"attn_mask": BIAS.clone().requires_grad_()},
        }.items()
    },
    "attention of halves": lambda x, **options: attend(
        fastdrop.torch.scaled_dot_product_attention, **options
    )(x.bfloat16()),
}
STOCK = {
    "dropout": F.dropout,
    "dropout in place": lambda x: F.dropout(x * 1, 0.5, True, True),
    "dropout1d": lambda x: F.dropout1d(x[0]),
    "dropout2d": F.dropout2d,
    "dropout3d": F.dropout3d,
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, True),
    "native_dropout": lambda x: torch.native_dropout(x, 0.5, True)[0],
    "attention": attend(F.scaled_dot_product_attention),
    "attention, causal": attend(F.scaled_dot_product_attention, is_causal=True),
    "attention, bools": attend(F.scaled_dot_product_attention, attn_mask=SEEN),
    "attention of halves": lambda x: attend(F.scaled_dot_product_attention)(x.bfloat16()),
}
MADE_OF = {
    "DropConnect": ((8, 4, 0.5), {}),
    "DropoutAddLayerNorm": ((8, 0.5), {}),
    "DropoutAddRMSNorm": ((8, 0.5), {}),
    "WeightDropLSTM": ((8, 4), {"p": 0.5}),
}
MODULES = {
    name: getattr(fastdrop.torch, name)(*arguments, **settings)
    for name in fastdrop.torch.__all__
    if isinstance(getattr(fastdrop.torch, name), type)
    for arguments, settings in [MADE_OF.get(name, ((0.5,), {}))]
}
LAYERS = {
    "encoder": nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    "attention": nn.MultiheadAttention(8, 2, 0.5, batch_first=True),
}


@pytest.fixture(params=[False, True], ids=["explicit", "installed"])
def install(request):
    """Run the test with PyTorch's own dropout, and with it replaced."""
    if request.param:
        request.getfixturevalue("installed")


def results(function, x):
    """Return the output of a function and its gradient."""
    torch.manual_seed(1)
    GENERATOR.manual_seed(1)
    x = x.clone().requires_grad_()
    y = function(x)
    return y, torch.autograd.grad(y.sum(), x)[0]


def assert_is_the_same(function, x=X):
    """Check that with another default device results are those without it."""
    expected = results(function, x)
    with torch.device("meta"):
        found = results(function, x)
    for y, z in zip(found, expected, strict=True):
        assert y.device.type == "cpu"
        assert torch.equal(y, z)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", EXPLICIT)
def test_functions(install, name, source):
    assert_is_the_same(lambda x: EXPLICIT[name](x, **SOURCES[source]))


@pytest.mark.parametrize("name", MODULES)
def test_modules(install, name):
    module = MODULES[name]
    call = {
        "Dropout1d": lambda x: module(x[0]),
        "DropoutAdd": lambda x: module(x, x),
        "DropoutAddLayerNorm": lambda x: module(x, x),
        "DropoutAddRMSNorm": lambda x: module(x, x),
        "EmbeddingDropout": lambda x: module(x.flatten(1)),
        "LockedDropout": lambda x: module(x[0]),
        "WeightDropLSTM": lambda x: module(x[0])[0],
        "Zoneout": lambda x: module(x, 2 * x),
    }
    assert_is_the_same(call.get(name, module))


@pytest.mark.parametrize("name", STOCK)
def test_functions_of_pytorch(installed, name):
    assert_is_the_same(STOCK[name])


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_pytorch(installed, name):
    layer = LAYERS[name]
    call = {"attention": lambda x: layer(x, x, x, need_weights=False)[0]}
    assert_is_the_same(call.get(name, layer), X[0])


def test_bernoulli(installed):
    for dtype in (torch.float32, torch.bool, torch.int64):
        with torch.device("meta"):
            assert torch.ones(3, dtype=dtype, device="cpu").bernoulli_(0.5).device.type == "cpu"


def test_sources(install):
    for name in ("dropout", "dropout2d", "attention, no mask"):
        expected, found = fd.Philox4x32(1), fd.Philox4x32(1)
        y = EXPLICIT[name](X, rng=expected)
        with torch.device("meta"):
            assert torch.equal(EXPLICIT[name](X, rng=found), y)
        assert found.position == expected.position


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "attention, no mask"])
def test_compiled(name):
    torch.compiler.reset()

    @torch.compile(backend="eager")
    def function(x):
        return EXPLICIT[name](x, rng=1)

    with torch.device("meta"):
        y, gradient = results(function, X)
    assert y.device.type == gradient.device.type == "cpu"
    torch.compiler.reset()


def test_transforms():
    function = torch.func.vmap(lambda x: EXPLICIT["attention, causal"](x, rng=1))
    assert_is_the_same(function)


def test_errors():
    with torch.device("meta"), pytest.raises(RuntimeError, match="same dtype"):
        fastdrop.torch.scaled_dot_product_attention(X, X.double(), X, dropout_p=0.5)
