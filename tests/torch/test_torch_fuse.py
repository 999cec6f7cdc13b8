# SPDX-License-Identifier: BSD-3-Clause
"""accelerate(model, fuse=True): the same model, with dropout fused where that is sure."""

import copy
import pickle
from typing import ClassVar

import pytest
import torch
import torch.utils.checkpoint
from torch import nn

import fastdrop.torch as ft


def encoder(**options):
    return nn.TransformerEncoderLayer(32, 4, 64, 0.2, **options)


def decoder(**options):
    return nn.TransformerDecoderLayer(32, 4, 64, 0.2, **options)


def perceptron(activation):
    return nn.Sequential(
        nn.Linear(32, 64), activation, nn.Dropout(0.2), nn.Linear(64, 8), nn.Dropout(0.1)
    )


def x_of(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


MODELS = {
    "encoder": (encoder, (x_of(7, 3, 32),)),
    "encoder, norm first": (lambda: encoder(norm_first=True), (x_of(7, 3, 32),)),
    "encoder, gelu": (lambda: encoder(activation="gelu"), (x_of(7, 3, 32),)),
    "encoder, without biases": (lambda: encoder(bias=False), (x_of(7, 3, 32),)),
    "decoder": (decoder, (x_of(7, 3, 32), x_of(5, 3, 32))),
    "decoder, norm first": (lambda: decoder(norm_first=True), (x_of(7, 3, 32), x_of(5, 3, 32))),
    "relu": (lambda: perceptron(nn.ReLU()), (x_of(5, 32),)),
    "relu in place": (lambda: perceptron(nn.ReLU(inplace=True)), (x_of(5, 32),)),
    "gelu": (lambda: perceptron(nn.GELU()), (x_of(5, 32),)),
    "gelu by tanh": (lambda: perceptron(nn.GELU(approximate="tanh")), (x_of(5, 32),)),
    "silu": (lambda: perceptron(nn.SiLU()), (x_of(5, 32),)),
    "encoder, batch first": (lambda: encoder(batch_first=True), (x_of(3, 7, 32),)),
    "encoder, batch and norm first": (
        lambda: encoder(batch_first=True, norm_first=True),
        (x_of(3, 7, 32),),
    ),
    "decoder, batch first": (
        lambda: decoder(batch_first=True),
        (x_of(3, 7, 32), x_of(3, 5, 32)),
    ),
    "stack": (
        lambda: nn.TransformerEncoder(encoder(), 2, enable_nested_tensor=False),
        (x_of(7, 3, 32),),
    ),
}
models = pytest.mark.parametrize("name", MODELS)


def pair_of(name):
    """The model with dropout of fastdrop, and the same fused."""
    make, inputs = MODELS[name]
    torch.manual_seed(0)
    stock = make()
    return ft.accelerate(copy.deepcopy(stock)), ft.accelerate(stock, fuse=True), inputs


def run(model, inputs, seed=3, **options):
    """The output and all gradients, after the same seed."""
    torch.manual_seed(seed)
    with ft.installed():  # attention has the same masks
        y = model(*inputs, **options)
    y.square().sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    return [y, *gradients]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@models
def test_the_same_masks_and_results(name):
    plain, fused, inputs = pair_of(name)
    assert ft.accelerated(fused) != ft.accelerated(plain)
    assert_same(run(plain, inputs), run(fused, inputs))


@models
def test_evaluation_and_state(name):
    plain, fused, inputs = pair_of(name)
    assert list(fused.state_dict()) == list(plain.state_dict())
    fused.load_state_dict(plain.state_dict())
    assert [*dict(plain.named_modules())] == [*dict(fused.named_modules())]
    plain.eval(), fused.eval()
    assert torch.equal(plain(*inputs), fused(*inputs))


@models
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies(copied, name):
    _, fused, inputs = pair_of(name)
    other = copied(fused)
    assert ft.accelerated(other) == ft.accelerated(fused)
    assert_same(run(fused, inputs), run(other, inputs))


@models
def test_compiled(name):
    _, fused, inputs = pair_of(name)
    torch.manual_seed(3)
    expected = fused(*inputs)
    torch.manual_seed(3)
    assert_same([torch.compile(fused, backend="aot_eager")(*inputs)], [expected])


@models
def test_hooks_see_every_module(name):
    plain, fused, inputs = pair_of(name)
    seen = []
    for model in (plain, fused):
        calls = []
        for module_name, module in model.named_modules():
            module.register_forward_hook(
                lambda *_, name=module_name, calls=calls: calls.append(name)
            )
        run(model, inputs)
        seen.append(calls)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_masks_of_attention(name):
    plain, fused, inputs = pair_of(name)
    first = "src" if name == "encoder" else "tgt"
    length = inputs[0].shape[0]
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
    padding = torch.zeros(3, length, dtype=torch.bool)
    padding[1, 4:] = True
    causal = nn.Transformer.generate_square_subsequent_mask(length)
    added = torch.zeros(3, length).masked_fill(padding, float("-inf"))
    for mask in (None, hidden, causal):
        for padded in (None, added if mask is causal else padding):
            options = {f"{first}_mask": mask, f"{first}_key_padding_mask": padded}
            assert_same(run(plain, inputs, **options), run(fused, inputs, **options))


def test_a_mask_that_is_causal_by_a_hint():
    """PyTorch does not read such a mask, but with padding."""
    plain, fused, inputs = pair_of("encoder")
    length = inputs[0].shape[0]
    causal = torch.ones(length, length, dtype=torch.bool).triu(1)
    padding = torch.zeros(3, length, dtype=torch.bool)
    padding[1, 4:] = True
    for options in (
        {"src_mask": causal},
        {"src_mask": torch.zeros_like(causal)},
        {"src_mask": causal, "src_key_padding_mask": padding},
    ):
        options["is_causal"] = True
        assert_same(run(plain, inputs, **options), run(fused, inputs, **options))
    for model in (plain, fused):
        with pytest.raises(RuntimeError, match="is_causal"):
            model(*inputs, is_causal=True)


def left_alone():
    """Models of which something cannot be proved."""
    of_subclass = type("Mine", (nn.TransformerEncoderLayer,), {})(32, 4, 64)
    own_norm = encoder()
    own_norm.norm1 = type("Norm", (nn.LayerNorm,), {})(32)
    own_activation = encoder(activation=lambda x: x.relu().square())
    hidden = nn.Sequential(nn.Linear(32, 8), nn.ReLU(), nn.LayerNorm(8), nn.Dropout(0.1))
    subclass = type("MySequential", (nn.Sequential,), {})(nn.ReLU(), nn.Dropout(0.1))
    own_forward = encoder()
    own_forward.forward = lambda x: x
    return [of_subclass, own_norm, own_activation, hidden, subclass, own_forward]


@pytest.mark.parametrize("which", range(6))
def test_what_is_left_alone(which):
    model = left_alone()[which]
    kinds = [type(module) for module in model.modules() if not isinstance(module, nn.Dropout)]
    ft.accelerate(model, fuse=True)
    assert kinds == [
        type(module) for module in model.modules() if not isinstance(module, nn.Dropout)
    ]


def test_what_changes_later_is_seen():
    """A part that is exchanged after the call is used as it is."""
    _, fused, inputs = pair_of("encoder")
    fused.norm2 = nn.Identity()
    fused.dropout2 = nn.Identity()
    assert_same(run(fused, inputs), run(copy.deepcopy(fused), inputs))
    _, fused, inputs = pair_of("relu")
    fused[1] = nn.Tanh()
    assert fused(*inputs).shape == (5, 8)
    assert ft.accelerated(fused)[""] == "Sequential"


def test_relu_in_place_changes_what_the_caller_has():
    model = ft.accelerate(nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5)), fuse=True)
    x = torch.randn(100)
    model(x)
    assert (x >= 0).all()


def test_the_report():
    model = nn.Sequential(encoder(), perceptron(nn.GELU()))
    assert ft.accelerate(model, fuse=True) is model
    names = ft.accelerated(model)
    assert names["0"] == "TransformerEncoderLayer"
    assert names["1"] == "Sequential"
    assert names["1.2"] == "Dropout"
    with pytest.raises(TypeError, match="fuse"):
        ft.accelerate(model, fuse=1)


# ---- linear maps ---------------------------------------------------------------------------------

steps = pytest.mark.parametrize("activation", [nn.ReLU, None], ids=["relu", "dropout alone"])


def map_and_drop(activation, bias=True, dtype=torch.float32):
    torch.manual_seed(0)
    between = [] if activation is None else [activation()]
    model = nn.Sequential(nn.Linear(6, 8, bias=bias), *between, nn.Dropout(0.4)).to(dtype)
    return ft.accelerate(model, fuse=True)


def by_parts(model, x):
    """The same by the functions of its parts."""
    linear, dropout = model[0], model[-1]
    if len(model) == 2:
        return ft.dropout(linear(x), dropout.p)
    return ft.relu_dropout(
        torch.nn.functional.linear(x, linear.weight), dropout.p, bias=linear.bias
    )


@steps
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 6), (6,), (0, 6)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_map_and_what_is_dropped_of_it(activation, shape, bias):
    model = map_and_drop(activation, bias)
    results = []
    for function in (model, lambda x: by_parts(model, x)):
        x = x_of(*shape).requires_grad_()
        torch.manual_seed(1)
        y = function(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(parameter.grad for parameter in model.parameters())])
        model.zero_grad()
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@steps
def test_derivatives_of_a_linear_map(activation):
    model = map_and_drop(activation, dtype=torch.float64)

    def run(x, weight, bias):
        torch.manual_seed(1)
        return torch.func.functional_call(model, {"0.weight": weight, "0.bias": bias}, x)

    inputs = (x_of(3, 6).double().requires_grad_(), *model.parameters())
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@steps
def test_only_what_is_asked_for_is_derived(activation):
    model = map_and_drop(activation)
    model[0].weight.requires_grad_(False)
    model(x_of(5, 6)).sum().backward()
    assert model[0].weight.grad is None
    assert model[0].bias.grad is not None


@steps
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_linear_map_that_is_not_plain(activation):
    """Weights of another class, tangents and transforms go by the functions of the parts."""
    model = map_and_drop(activation)
    x, parameters = x_of(4, 5, 6), dict(model.named_parameters())

    def run(x):
        return torch.func.functional_call(model, parameters, x)

    assert torch.vmap(run, randomness="different")(x).shape == (4, 5, 8)
    with torch.autograd.forward_ad.dual_level():
        y = run(torch.autograd.forward_ad.make_dual(x, x))
        assert torch.autograd.forward_ad.unpack_dual(y).tangent is not None

    class Weight(nn.Parameter):
        seen: ClassVar = []

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            cls.seen.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    model[0].weight = Weight(torch.ones(8, 6))
    model(x)
    assert torch.nn.functional.linear in Weight.seen


@steps
def test_a_checkpointed_linear_map(activation):
    model, x = map_and_drop(activation), x_of(5, 6).requires_grad_()
    gradients = []
    for run in (model, lambda x: torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False)):
        torch.manual_seed(1)
        gradients.append(torch.autograd.grad(run(x).square().sum(), [x, *model.parameters()]))
    assert all(map(torch.equal, *gradients))


# ---- outputs of other libraries' blocks ----------------------------------------------------------


def output_class():
    """As BertSelfOutput and BertOutput of transformers are."""

    class Output(nn.Module):
        def __init__(self, inner=64, width=32):
            super().__init__()
            self.dense = nn.Linear(inner, width)
            self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
            self.dropout = nn.Dropout(0.1)

        def forward(self, hidden_states, input_tensor):
            hidden_states = self.dense(hidden_states)
            hidden_states = self.dropout(hidden_states)
            return self.LayerNorm(hidden_states + input_tensor)

    return Output


def test_outputs_of_bert():
    cls = output_class()
    stock = cls.forward
    torch.manual_seed(0)
    model, inputs = ft.accelerate(cls()), (x_of(3, 7, 64), x_of(3, 7, 32))
    expected = run(model, inputs)
    assert ft.fuse_output(cls) is cls
    assert ft.fuse_output(cls).forward.__wrapped__ is stock  # once
    assert_same(run(model, inputs), expected)
    fused = []
    model.LayerNorm.register_forward_hook(lambda *_: fused.append(False))
    assert_same(run(model, inputs), expected)
    assert fused == [False]
    model.eval()
    assert torch.equal(model(*inputs), stock(model, *inputs))
    with pytest.raises(TypeError, match="module_class must be a class of modules, not"):
        ft.fuse_output(model)
