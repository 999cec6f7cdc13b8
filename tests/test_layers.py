# SPDX-License-Identifier: BSD-3-Clause
"""Layers do what their functions do, remember the last mask, and can be stored in any state."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import layers

rng = np.random.default_rng(1)
WEIGHT, BIAS = rng.standard_normal((4, 5)), rng.standard_normal(4)

# (layer, its options, the function, shape of x, what repr shows of the options)
LAYERS = [
    (fd.Dropout, {}, fd.dropout, (6, 7), ""),
    (fd.Dropout, {"noise_shape": (None, 1)}, fd.dropout, (6, 7), ", noise_shape=(None, 1)"),
    (fd.Dropout, {"broadcast_axes": (0, 2)}, fd.dropout, (2, 6, 7), ", broadcast_axes=(0, 2)"),
    (fd.Dropout, {"scale": "test"}, fd.dropout, (6, 7), ", scale='test'"),
    (fd.Dropout1d, {}, fd.dropout1d, (3, 5, 2), ""),
    (fd.Dropout1d, {"channel_axis": -1}, fd.dropout1d, (3, 2, 5), ", channel_axis=-1"),
    (fd.Dropout2d, {}, fd.dropout2d, (3, 5, 2, 2), ""),
    (fd.Dropout2d, {"channel_axis": 3}, fd.dropout2d, (3, 2, 2, 5), ", channel_axis=3"),
    (fd.Dropout3d, {}, fd.dropout3d, (3, 5, 2, 2, 1), ""),
    (fd.Dropout3d, {"channel_axis": 2}, fd.dropout3d, (3, 2, 5, 2, 1), ", channel_axis=2"),
    (fd.DropPath, {}, fd.drop_path, (9, 4), ""),
    (fd.DropPath, {"scale": "test"}, fd.drop_path, (9, 4), ", scale='test'"),
    (fd.EmbeddingDropout, {}, fd.embedding_dropout, (9, 4), ""),
    (fd.AlphaDropout, {}, fd.alpha_dropout, (6, 7), ""),
    (fd.AlphaDropout, {"broadcast_axes": 1}, fd.alpha_dropout, (6, 7), ", broadcast_axes=1"),
    (fd.FeatureAlphaDropout, {}, fd.feature_alpha_dropout, (3, 5, 2, 2), ""),
    (fd.GaussianDropout, {}, fd.gaussian_dropout, (6, 7), ""),
    (fd.ReLUDropout, {}, fd.relu_dropout, (6, 7), ""),
    (fd.DropBlock2d, {}, fd.drop_block2d, (2, 3, 12, 12), ""),
    (fd.DropBlock2d, {"block_size": 2}, fd.drop_block2d, (2, 3, 8, 8), ", block_size=2"),
]
layers_of_one_array = pytest.mark.parametrize(
    ("layer", "options", "function", "shape", "shown"),
    [pytest.param(*row, id=f"{row[0].__name__}{row[4]}") for row in LAYERS],
)


# Layers that are not a function of one array: what they are made of, and their arrays.
OTHERS = {
    "DropConnect": ((WEIGHT,), {"bias": BIAS}, (np.ones((3, 5)),)),
    "Zoneout": ((), {}, (np.ones((30, 7)), np.zeros((30, 7)))),
    "DropoutAdd": ((), {}, (np.ones((30, 7)), np.zeros((30, 7)))),
    "GELUDropout": ((), {"approximate": "tanh"}, (np.ones((6, 7)),)),
    "SiLUDropout": ((), {}, (np.ones((6, 7)),)),
    "DropoutAddLayerNorm": ((BIAS, WEIGHT[:, 0]), {"eps": 1e-3}, (WEIGHT.T, -WEIGHT.T)),
    "DropoutAddRMSNorm": ((BIAS,), {}, (WEIGHT.T, -WEIGHT.T)),
}


def make(which, rng=5):
    """One layer of each kind, and arrays for it."""
    if which in OTHERS:
        parts, options, arrays = OTHERS[which]
        return getattr(fd, which)(*parts, 0.3, rng=rng, **options), arrays
    layer, options, _, shape, _ = next(row for row in LAYERS if row[0].__name__ == which)
    return layer(0.3, rng=rng, **options), (np.ones(shape),)


def gradients(layer, dy):
    """What backward returns, as a list."""
    result = layer.backward(dy)
    return list(result) if isinstance(result, tuple) else [result]


every_layer = pytest.mark.parametrize("which", layers.__all__)


def test_every_layer_is_public_and_tested():
    assert {row[0].__name__ for row in LAYERS} | set(OTHERS) == set(layers.__all__)
    assert set(layers.__all__) <= set(fd.__all__)


# ---- forward and backward ------------------------------------------------------------------------


@layers_of_one_array
def test_calls_are_those_of_the_function(layer, options, function, shape, shown):
    made = layer(0.3, rng=5, **options)
    source = fd.Xoshiro256PlusPlus(5)
    x, dy = np.random.default_rng(2).standard_normal((2, *shape))
    results = []
    for _ in range(3):
        y = made(x)
        expected, mask = function(x, 0.3, rng=source, **options)
        assert np.array_equal(y, expected)
        assert made.mask == mask
        for _ in range(2):  # as often as wanted
            assert np.array_equal(made.backward(dy), fd.dropout_backward(dy, mask))
        results.append(y)
    assert not np.array_equal(results[0], results[1])
    again = layer(0.3, rng=5, **options)
    for y in results:
        assert np.array_equal(again.forward(x), y)


@layers_of_one_array
def test_evaluation(layer, options, function, shape, shown):
    x = np.random.default_rng(2).standard_normal(shape)
    source = fd.Philox4x32(3)
    made = layer(0.3, rng=source, **options)
    assert made.training
    assert made.eval() is made
    assert not made.training
    y = made(x)
    factor = 0.7 if options.get("scale") == "test" else 1.0
    if layer is fd.ReLUDropout:
        factor = x > 0
    assert np.array_equal(y, x * factor)
    assert np.array_equal(made.backward(x), x * factor)
    assert source.position == 0
    assert made.train() is made
    assert made.train(False).train(True).training
    assert not np.array_equal(made(x), y)
    assert source.position > 0


@layers_of_one_array
def test_outputs_in_place(layer, options, function, shape, shown):
    x = np.ones(shape)
    expected = layer(0.3, rng=5, **options)(x)
    made = layer(0.3, rng=5, **options)
    buffer = x.copy()
    assert made(buffer, out=buffer) is buffer
    assert np.array_equal(buffer, expected)
    gradient = np.ones(shape)
    expected = made.backward(gradient)
    assert made.backward(gradient, out=gradient) is gradient
    assert np.array_equal(gradient, expected)


def test_drop_connect():
    layer = fd.DropConnect(WEIGHT, 0.3, bias=BIAS, rng=5)
    source = fd.Xoshiro256PlusPlus(5)
    x, dy = np.random.default_rng(2).standard_normal((3, 5)), np.ones((3, 4))
    for _ in range(2):
        y, mask = fd.drop_connect(x, WEIGHT, 0.3, bias=BIAS, rng=source)
        assert np.array_equal(layer(x), y)
        dx, dweight, dbias = fd.drop_connect_backward(dy, x, WEIGHT, mask)
        assert np.array_equal(layer.backward(dy), dx)
        assert np.array_equal(layer.dweight, dweight)
        assert np.array_equal(layer.dbias, dbias)
    np.testing.assert_allclose(layer.eval()(x), x @ WEIGHT.T + BIAS)


def test_layers_of_two_arrays_share_decisions():
    x, other = rng.standard_normal((2, 6, 5))
    for layer, function in ((fd.Zoneout, fd.zoneout), (fd.DropoutAdd, fd.dropout_add)):
        made, source = layer(0.3, broadcast_axes=0, rng=5), fd.Xoshiro256PlusPlus(5)
        assert repr(made) == f"{layer.__name__}(p=0.3, broadcast_axes=0)"
        for one in (made, pickle.loads(pickle.dumps(made))):
            y, mask = function(x, other, 0.3, broadcast_axes=0, rng=copy.deepcopy(source))
            assert np.array_equal(one(x, other), y)
            assert one.mask == mask
            assert mask.shape == (1, 5)


def test_zoneout():
    new, old, dy = np.random.default_rng(2).standard_normal((3, 6, 7))
    layer, source = fd.Zoneout(0.3, rng=5), fd.Xoshiro256PlusPlus(5)
    for _ in range(2):
        y, mask = fd.zoneout(new, old, 0.3, rng=source)
        assert np.array_equal(layer(new, old), y)
        for one, same in zip(layer.backward(dy), fd.zoneout_backward(dy, mask), strict=True):
            assert np.array_equal(one, same)
    out = new.copy()
    assert layer.eval()(out, old, out=out) is out
    np.testing.assert_allclose(out, 0.7 * new + 0.3 * old)


@pytest.mark.parametrize("bias", [None, np.arange(7.0)])
def test_dropout_add(bias):
    x, residual, dy = np.random.default_rng(2).standard_normal((3, 2, 6, 7))
    layer, source = fd.DropoutAdd(0.3, rng=5), fd.Xoshiro256PlusPlus(5)
    for _ in range(2):
        y, mask = fd.dropout_add(x, residual, 0.3, bias=bias, rng=source)
        assert np.array_equal(layer(x, residual, bias=bias), y)
        dx, dresidual = layer.backward(dy)
        assert np.array_equal(dx, fd.dropout_backward(dy, mask))
        assert dresidual is dy
        if bias is None:
            assert layer.dbias is None
        else:
            np.testing.assert_allclose(layer.dbias, dx.sum(axis=(0, 1)))
    out = residual.copy()
    assert layer.eval()(x, out, bias=bias, out=out) is out
    np.testing.assert_allclose(out, residual + x + (0 if bias is None else bias))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_gradient_of_a_bias_is_summed_wide(dtype):
    dtype = np.dtype(getattr(pytest.importorskip("ml_dtypes"), dtype, dtype))
    rows = np.ones((4096, 2), dtype)
    for layer, arrays in ((fd.DropoutAdd(0.0), (rows, rows)), (fd.ReLUDropout(0.0), (rows,))):
        layer(*arrays, bias=np.zeros(2, dtype))
        layer.backward(rows)
        assert layer.dbias.dtype == dtype
        assert layer.dbias.tolist() == [4096, 4096]


@pytest.mark.parametrize(
    ("layer", "options", "function", "backward"),
    [
        (fd.GELUDropout, {}, fd.gelu_dropout, fd.gelu_dropout_backward),
        (fd.GELUDropout, {"approximate": "tanh"}, fd.gelu_dropout, fd.gelu_dropout_backward),
        (fd.SiLUDropout, {}, fd.silu_dropout, fd.silu_dropout_backward),
    ],
)
def test_activations(layer, options, function, backward):
    made, source = layer(0.3, rng=5, **options), fd.Xoshiro256PlusPlus(5)
    x, dy = np.random.default_rng(2).standard_normal((2, 6, 7))
    for _ in range(2):
        y, mask = function(x, 0.3, rng=source, **options)
        assert np.array_equal(made(x), y)
        assert np.array_equal(made.backward(dy), backward(dy, x, mask, **options))
    out = dy.copy()
    assert made.backward(out, out=out) is out
    assert np.array_equal(out, made.backward(dy))
    buffer = x.copy()
    assert made(buffer, out=buffer) is buffer
    assert np.array_equal(buffer, function(x, 0.3, rng=source, **options)[0])
    assert np.array_equal(
        made.backward(dy), backward(dy, x, made.mask, **options)
    )  # of x as it was
    shown = "".join(f", {name}={value!r}" for name, value in options.items())
    assert repr(made) == f"{layer.__name__}(p=0.3{shown})"
    assert layer(0.3).eval()([1.0]) == function([1.0], 0.3, training=False)[0]


@pytest.mark.parametrize("layer", [fd.ReLUDropout, fd.GELUDropout, fd.SiLUDropout])
def test_activations_add_a_bias_first(layer):
    x, dy = np.random.default_rng(2).standard_normal((2, 5, 6, 7))
    bias = np.arange(7.0) - 3
    made, other = layer(0.3, rng=5), layer(0.3, rng=5)
    assert np.array_equal(made(x, bias=bias), other(x + bias))
    dx = made.backward(dy)
    assert np.array_equal(dx, other.backward(dy))
    assert np.array_equal(made.dbias, dx.sum(axis=(0, 1)))
    assert other.dbias is None
    buffer = x.copy()
    assert np.array_equal(made(buffer, bias=buffer[0, 0], out=buffer), other(x + x[0, 0]))
    assert np.array_equal(made.backward(dy), other.backward(dy))  # of x and bias as they were
    made(x)
    made.backward(dy)
    assert made.dbias is None
    assert made(x, bias=list(bias)).shape == x.shape
    with pytest.raises(TypeError, match=r"as in layer\(x, bias=bias\)"):
        layer(0.3, bias=bias)
    with pytest.raises(TypeError):
        made.backward(dy, dy)
    with pytest.raises(TypeError):
        made.backward(dy, inplace=True)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("linear_bias", [None, np.arange(7.0)])
@pytest.mark.parametrize("prenorm", [True, False])
def test_norms(centered, linear_bias, prenorm):
    x, residual, dy, dtotal = np.random.default_rng(2).standard_normal((4, 2, 6, 7))
    rows = np.random.default_rng(3).standard_normal((2, 7))[: 1 + centered]
    name = "layer" if centered else "rms"
    layer = {True: fd.DropoutAddLayerNorm, False: fd.DropoutAddRMSNorm}[centered]
    function = getattr(fd, f"dropout_add_{name}_norm")
    backward = getattr(fd, f"dropout_add_{name}_norm_backward")
    made = layer(*rows, 0.3, eps=1e-3, prenorm=prenorm, rng=5)
    options, source = {"eps": 1e-3, "linear_bias": linear_bias}, fd.Xoshiro256PlusPlus(5)
    of_sum = dtotal if prenorm else None
    for _ in range(2):
        *expected, mask = function(x, residual, *rows, 0.3, prenorm=prenorm, rng=source, **options)
        y = made(x, residual, linear_bias=linear_bias)
        for one, other in zip(y if prenorm else [y], expected, strict=True):
            assert np.array_equal(one, other)
        gradients = backward(dy, x, residual, rows[0], mask, dtotal=of_sum, **options)
        names = ["dweight", "dbias", "dlinear_bias"][:: 1 if centered else 2]
        own = [*made.backward(dy, of_sum), *(getattr(made, name) for name in names)]
        for one, other in zip(own, gradients, strict=True):
            assert (one is other is None) or np.array_equal(one, other)
    expected = made.backward(dy, of_sum)
    again = layer(*rows, 0.3, eps=1e-3, prenorm=prenorm, rng=5)
    again.rng.position = made.rng.position - x.size
    buffer = residual.copy()
    again(x, buffer, linear_bias=linear_bias, out=buffer)
    for one, other in zip(again.backward(dy, of_sum), expected, strict=True):
        assert np.array_equal(one, other)  # of the residual as it was


def test_weights_of_norms():
    weight = np.ones(4)
    layer = fd.DropoutAddLayerNorm(weight, None, 0.0)
    x = np.arange(8.0).reshape(2, 4)
    before = layer(x, x)
    weight *= 2  # kept, not copied
    assert np.array_equal(layer(x, x), 2 * before)
    assert repr(layer) == "DropoutAddLayerNorm(width=4, p=0.0, bias=None)"
    assert repr(fd.DropoutAddRMSNorm(None, prenorm=True)) == (
        "DropoutAddRMSNorm(p=0.5, prenorm=True, weight=None)"
    )
    layer.backward(x)
    assert layer.dlinear_bias is None
    with pytest.raises(ValueError, match=r"^bias must have one axis, .*, not shape \(1, 4\)"):
        fd.DropoutAddLayerNorm(weight, weight[None])


def test_the_shape_of_decisions_is_checked_at_once():
    shape = np.array([1, 3])
    assert repr(fd.Dropout(0.5, noise_shape=shape)) == "Dropout(p=0.5, noise_shape=(1, 3))"
    with pytest.raises(TypeError, match=r"noise_shape must be .*, not 3"):
        fd.Dropout(0.5, noise_shape=3)
    with pytest.raises(TypeError, match="broadcast_axes=0 and noise_shape="):
        fd.Dropout(0.5, noise_shape=(1, 3), broadcast_axes=0)


def test_a_loop_of_residual_branches():
    """Gradients through ReLU, dropout and two sums, with the bias, against finite differences."""
    bias = np.random.default_rng(3).standard_normal(7)

    def forward(x, shift=0.0):
        made = [fd.ReLUDropout(0.3, rng=1), fd.DropoutAdd(0.3, rng=2)]
        return made[1](made[0](x), x, bias=bias + shift), made

    x = np.random.default_rng(2).standard_normal((6, 7))
    x[abs(x) < 0.01] = 1
    dy = np.random.default_rng(4).standard_normal((6, 7))
    _, (relu, add) = forward(x)
    dbranch, dresidual = add.backward(dy)
    dx = relu.backward(dbranch) + dresidual
    step = 2.0**-10
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        slope = (dy * (forward(x + shift)[0] - forward(x - shift)[0])).sum() / (2 * step)
        np.testing.assert_allclose(dx[index], slope, atol=1e-9)
    for i in range(7):
        shift = step * (np.arange(7) == i)
        slope = (dy * (forward(x, shift)[0] - forward(x, -shift)[0])).sum() / (2 * step)
        np.testing.assert_allclose(add.dbias[i], slope, atol=1e-9)


def test_weights_are_kept_not_copied():
    weight, bias = WEIGHT.copy(), BIAS.copy()
    layer = fd.DropConnect(weight, 0.0, bias=bias)
    weight *= 2
    bias += 1
    np.testing.assert_allclose(layer(np.ones(5)), WEIGHT.sum(axis=1) * 2 + BIAS + 1)


def test_a_loop_of_layers():
    """Gradients through a small network, against finite differences."""

    def network():
        return [
            fd.DropConnect(WEIGHT, 0.3, bias=BIAS, rng=1),
            fd.Dropout(0.5, rng=2),
            fd.DropPath(0.2, rng=3),
            fd.DropConnect(np.arange(8.0).reshape(2, 4), 0.2, rng=4),
        ]

    def forward(x):
        made = network()
        for layer in made:
            x = layer(x)
        return x, made

    x = np.random.default_rng(2).standard_normal((6, 5))
    y, made = forward(x)
    dx = np.ones_like(y)
    for layer in reversed(made):
        dx = layer.backward(dx)
    assert dx.any()
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = 2.0**-10
        slope = (forward(x + shift)[0].sum() - forward(x - shift)[0].sum()) / 2.0**-9
        np.testing.assert_allclose(dx[index], slope, atol=1e-8)


def test_p_is_an_attribute():
    layer = fd.Dropout(0.0, rng=1)
    x = np.ones(1000)
    for p in (0.0, 0.5, 1.0):
        layer.p = p
        layer(x)
        assert layer.mask.p == p
    layer.p = np.full(4, 0.25)
    assert layer(np.ones((2, 4))).shape == (2, 4)


@every_layer
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("p", 3, ValueError),
        ("p", "half", TypeError),
        ("rng", 1.5, TypeError),
        ("training", "no", TypeError),
        ("keep_prob", 1.5, ValueError),
        ("scale", "both", ValueError),
        ("noise_shape", 3, TypeError),
        ("channel_axis", 0, ValueError),
        ("block_size", 0, ValueError),
        ("approximate", "erf", ValueError),
        ("eps", -1.0, ValueError),
        ("prenorm", 1, TypeError),
        ("weight", np.ones((2, 4)), ValueError),
    ],
)
def test_settings_are_checked_when_they_are_set(which, name, value, error):
    layer, _ = make(which)
    if not hasattr(layer, name):
        return
    before = getattr(layer, name)
    if name == "keep_prob":
        layer.p = None
    if which == "DropConnect" and name == "weight":  # it may be set as it is made alone
        return
    with pytest.raises(error, match=rf"^{name} must .*, not |^{name} is .*; must "):
        setattr(layer, name, value)
    assert getattr(layer, name) is before


def test_a_layer_of_p_becomes_one_of_keep_prob():
    layer = fd.Dropout(0.3, rng=1)
    with pytest.raises(TypeError, match=r"keep_prob=0\.9 and p=0\.3 exclude each other"):
        layer.keep_prob = 0.9
    layer.p = None
    layer.keep_prob = 0.9
    x = np.ones(100)
    assert np.array_equal(layer(x), fd.dropout(x, keep_prob=0.9, rng=1)[0])
    with pytest.raises(TypeError, match=r"p=0\.3 and keep_prob=0\.9 exclude each other"):
        layer.p = 0.3


# ---- where masks come from -----------------------------------------------------------------------


@every_layer
def test_rng(which):
    def drawn(rng):
        layer, arrays = make(which, rng)
        return layer(*arrays)

    for seed in (5, [1, 2], np.random.SeedSequence(7)):
        assert np.array_equal(drawn(seed), drawn(seed))
    source = fd.Philox4x32(1)
    for layer, arrays in (make(which, source), make(which, source)):  # shared, where given to two
        assert layer.rng is source
        before = source.position
        layer(*arrays)
        assert source.position > before
    assert make(which, None)[0].rng is None
    assert drawn(None).shape == drawn(1).shape
    for generator in (np.random.PCG64, np.random.default_rng, np.random.RandomState):
        (layer, arrays), (again, _) = make(which, generator(3)), make(which, generator(3))
        results = [layer(*arrays) for _ in range(20)]
        assert any(not np.array_equal(results[0], y) for y in results)
        for y in results:
            assert np.array_equal(again(*arrays), y)


# ---- states --------------------------------------------------------------------------------------


@every_layer
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"p": 5.0}, ValueError, "p must .*, not 5.0"),
        ({"p": "half"}, TypeError, "p must .*, not 'half'"),
        ({"rng": object()}, TypeError, "rng must "),
        ({"training": "no"}, TypeError, "training must .*, not 'no'"),
        ({"mask": np.ones(3)}, TypeError, "mask must be a mask or None, not an ndarray"),
    ],
)
def test_pickles_are_checked(which, changes, error, words):
    layer, arrays = make(which)
    layer(*arrays)
    other = object.__new__(type(layer))
    with pytest.raises(error, match=words):
        other.__setstate__(layer.__dict__ | changes)
    with pytest.raises(ValueError, match=r"the pickled layer must have .*, rng, .* has no 'rng'"):
        other.__setstate__({name: value for name, value in layer.__dict__.items() if name != "rng"})
    with pytest.raises(TypeError, match="the pickled layer must be a dict, not a list"):
        other.__setstate__([])


class Own(fd.Dropout):
    """A user's, with another constructor."""

    def __init__(self, name):
        super().__init__(0.25, rng=1)
        self.name = name


def test_layers_of_users_are_pickled():
    layer = Own("first")
    again = copy.deepcopy(layer)
    assert (again.name, again.p) == ("first", 0.25)
    assert np.array_equal(again(np.ones(20)), layer(np.ones(20)))


@every_layer
@pytest.mark.parametrize("state", ["new", "used", "in evaluation"])
@pytest.mark.parametrize("how", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_go_on_alike(which, state, how):
    layer, arrays = make(which)
    if state != "new":
        y = layer(*arrays)
    if state == "in evaluation":
        layer.eval()
        y = layer(*arrays)
    other = how(layer)
    assert repr(other) == repr(layer)
    assert other.training == layer.training
    assert other.mask == layer.mask
    assert other.rng is not layer.rng
    if state != "new":
        dy = np.random.default_rng(1).standard_normal(y.shape)
        for one, same in zip(gradients(other, dy), gradients(layer, dy), strict=True):
            assert np.array_equal(one, same)
    layer.train()
    other.train()
    for _ in range(3):
        assert np.array_equal(other(*arrays), layer(*arrays))


def test_copies_with_numpy_generators_and_with_the_process_wide_source():
    x = np.ones(1000)
    layer = fd.Dropout(0.5, rng=np.random.default_rng(1))
    layer(x)
    other = pickle.loads(pickle.dumps(layer))
    assert np.array_equal(other(x), layer(x))
    layer = fd.Dropout(0.5)
    assert pickle.loads(pickle.dumps(layer)).rng is None


def test_a_shallow_copy_shares_the_source():
    layer = fd.Dropout(0.5, rng=1)
    other = copy.copy(layer)
    assert other.rng is layer.rng


@layers_of_one_array
def test_repr(layer, options, function, shape, shown):
    assert repr(layer(0.25, rng=1, **options)) == f"{layer.__name__}(p=0.25{shown})"
    if inspect.signature(layer).parameters["p"].default is not inspect.Parameter.empty:
        assert layer(**options).p == 0.5


def test_repr_of_others():
    assert repr(fd.Zoneout(0.25)) == "Zoneout(p=0.25)"
    assert repr(fd.DropoutAdd(0.25)) == "DropoutAdd(p=0.25)"
    assert repr(fd.DropConnect(WEIGHT, 0.3, bias=BIAS)) == (
        "DropConnect(features_in=5, features_out=4, p=0.3)"
    )
    assert repr(fd.DropConnect(WEIGHT, 0.5)) == (
        "DropConnect(features_in=5, features_out=4, p=0.5, bias=None)"
    )


@layers_of_one_array
def test_signatures_agree_with_the_function(layer, options, function, shape, shown):
    own = inspect.signature(layer).parameters
    there = inspect.signature(function).parameters
    assert next(iter(own)) == "p"
    for name, parameter in own.items():
        assert parameter.default == there[name].default
        if name != "p":
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


# ---- bad input -----------------------------------------------------------------------------------


@every_layer
def test_backward_before_forward(which):
    layer, arrays = make(which)
    with pytest.raises(RuntimeError, match=rf"{which}.* call forward before backward$"):
        layer.backward(arrays[0])
    with pytest.raises(TypeError):
        layer(*(array.astype(int) for array in arrays))
    with pytest.raises(RuntimeError):  # nothing has come of that
        layer.backward(arrays[0])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fd.Dropout(1.5), ValueError, "1.5"),
        (lambda: fd.Dropout(float("nan")), ValueError, "nan"),
        (lambda: fd.Dropout("0.5"), TypeError, "'0.5'"),
        (lambda: fd.Dropout(0.5, rng=1.5), TypeError, "rng must .*, not 1.5"),
        (lambda: fd.Dropout(0.5, rng=-1), ValueError, "-1"),
        (lambda: fd.Dropout(0.5, scale="both"), ValueError, "'both'"),
        (lambda: fd.DropPath(0.5, scale="both"), ValueError, "'both'"),
        (lambda: fd.DropBlock2d(0.5, block_size=0), ValueError, "block_size must .*, not 0"),
        (lambda: fd.DropBlock2d(0.5, block_size=1.0), TypeError, "1.0"),
        (lambda: fd.DropConnect(np.ones(3), 0.5), ValueError, r"\(3,\)"),
        (lambda: fd.DropConnect(WEIGHT, 1.5), ValueError, "1.5"),
        (lambda: fd.Dropout(0.5, 1), TypeError, r"by name \(keep_prob, scale"),
    ],
)
def test_bad_settings(make, error, words):
    with pytest.raises(error, match=words):
        make()
