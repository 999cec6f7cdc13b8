# SPDX-License-Identifier: BSD-3-Clause
"""Mistakes of beginners: the error names the parameter that they wrote, and nothing was drawn."""

import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd

SENTINEL = -77.0

x = np.ones((3, 4))
maps = np.ones((2, 3, 4, 4))
mask = fd.dropout_mask((3, 4), rng=1)
_, gaussian_mask = fd.gaussian_dropout(x, 0.5, rng=1)
_, zoneout_mask = fd.zoneout(x, x, 0.5, rng=1)

# Every function of arrays: how it is called, and the names of its arrays in that order.
FUNCTIONS = {
    "dropout": (fd.dropout, {"x": x}),
    "dropout1d": (fd.dropout1d, {"x": x}),
    "dropout2d": (fd.dropout2d, {"x": maps}),
    "dropout3d": (fd.dropout3d, {"x": maps}),
    "drop_path": (fd.drop_path, {"x": x}),
    "drop_block2d": (fd.drop_block2d, {"x": maps}),
    "embedding_dropout": (fd.embedding_dropout, {"weight": x}),
    "alpha_dropout": (fd.alpha_dropout, {"x": x}),
    "feature_alpha_dropout": (fd.feature_alpha_dropout, {"x": x}),
    "gaussian_dropout": (fd.gaussian_dropout, {"x": x}),
    "relu_dropout": (fd.relu_dropout, {"x": x, "bias": x[0]}),
    "gelu_dropout": (fd.gelu_dropout, {"x": x, "bias": x[0]}),
    "silu_dropout": (fd.silu_dropout, {"x": x, "bias": x[0]}),
    "dropout_add_layer_norm": (
        fd.dropout_add_layer_norm,
        {"x": x, "residual": x, "weight": x[0], "bias": x[0], "linear_bias": x[0]},
    ),
    "dropout_add_rms_norm": (
        fd.dropout_add_rms_norm,
        {"x": x, "residual": x, "weight": x[0], "linear_bias": x[0]},
    ),
    "dropout_add": (fd.dropout_add, {"x": x, "residual": x, "bias": x[0]}),
    "drop_connect": (fd.drop_connect, {"x": x, "weight": x, "bias": x[0, :3]}),
    "zoneout": (fd.zoneout, {"new": x, "old": x}),
}
BACKWARD = {
    "dropout_backward": (lambda dy: fd.dropout_backward(dy, mask), {"dy": x}),
    "of a GaussianMask": (lambda dy: fd.dropout_backward(dy, gaussian_mask), {"dy": x}),
    "Mask.apply": (lambda x: mask.apply(x), {"x": x}),
    "Mask.backward": (lambda dy: mask.backward(dy), {"dy": x}),
    "GaussianMask.apply": (lambda x: gaussian_mask.apply(x), {"x": x}),
    "GaussianMask.backward": (lambda dy: gaussian_mask.backward(dy), {"dy": x}),
    "zoneout_backward": (lambda dy: fd.zoneout_backward(dy, zoneout_mask), {"dy": x}),
    "drop_connect_backward": (
        lambda dy, x, weight: fd.drop_connect_backward(dy, x, weight, mask),
        {"dy": np.ones((3, 3)), "x": x, "weight": x},
    ),
}
ARRAYS = [
    pytest.param(function, arrays, name, id=f"{key}-{name}")
    for key, (function, arrays) in (FUNCTIONS | BACKWARD).items()
    for name in arrays
]
DRAWING = [pytest.param(*entry, id=key) for key, entry in FUNCTIONS.items()]

# The table of docs/error-messages.md: a call, what it said once, and what it says.
PAGE = Path(__file__).parents[1] / "docs" / "error-messages.md"
ROW = re.compile(r"^\| `(.+?)` \| .+ \| (\w+Error: .+) \|$", re.MULTILINE)
TOLD = ROW.findall(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else []


def drawing(function):
    """The source that a function draws from, as an option of it, if it draws."""
    source = fd.Xoshiro256PlusPlus(1)
    draws = any(function is entry for entry, _ in FUNCTIONS.values())
    return source, {"rng": source, "p": 0.5} if draws else {}


@pytest.mark.parametrize(("function", "arrays", "name"), ARRAYS)
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (np.ones((3, 4), np.int64), TypeError, "must have .*, not int64"),
        (np.ones((3, 4), object), TypeError, "must have .*, not object"),
        ("abc", TypeError, r"must (be|have) .*, not ('abc' \(a str\)|<U3)$"),
        ([[1.0], [1.0, 2.0]], ValueError, "must be an array, not a list of parts that differ"),
        (np.ma.masked_array(x, x > 0), ValueError, r"must have no masked .*: call \w+\.filled"),
    ],
    ids=["integers", "objects", "string", "ragged", "masked"],
)
def test_errors_name_the_array(function, arrays, name, wrong, error, words):
    source, options = drawing(function)
    with pytest.raises(error, match=f"^{name} {words}"):
        function(**(arrays | {name: wrong}), **options)
    assert source.position == 0


class Once:
    """Something that becomes an array once; the second time, another thread has changed it."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        array, self.array = self.array, None
        assert array is not None, "it was converted twice"
        return array


@pytest.mark.parametrize(("function", "arrays", "name"), ARRAYS)
@pytest.mark.parametrize("training", [True, False])
def test_arguments_become_arrays_once(function, arrays, name, training):
    _, options = drawing(function)
    options |= {"training": training} if options else {}
    function(**(arrays | {name: Once(arrays[name])}), **options)


@pytest.mark.parametrize("training", [True, False])
def test_arrays_of_dropout_become_arrays_once(training):
    for options in (
        {"broadcast_axes": 0, "scale": "test"},
        {"noise_shape": (None, 1)},
        {"p": 0.5, "mask": Once(np.ones((1, 4), bool))},
        {"mask": mask},
    ):
        fd.dropout(Once(x), **options, training=training)


class Lying(np.ndarray):
    """An array that says of itself what is not so."""

    said = (10**8,)
    shape = property(lambda self: self.said)
    size = property(lambda self: self.said[0])
    strides = property(lambda self: (8,))
    ndim = property(lambda self: 1)
    dtype = property(lambda self: np.dtype(np.int64))
    flags = property(lambda self: np.ones(3).flags)

    def reshape(self, *shape):
        return np.ones(10**8)

    view = copy = astype = reshape


def lying(array):
    return np.ndarray.view(array, Lying)


@pytest.mark.parametrize(("function", "arrays", "name"), ARRAYS)
def test_subclasses_are_the_arrays_beneath_them(function, arrays, name):
    _, options = drawing(function)
    expected = function(**arrays, **options)
    _, options = drawing(function)
    result = function(**(arrays | {name: lying(arrays[name].copy())}), **options)
    if isinstance(expected, tuple):
        expected, result = expected[0], result[0]
    assert np.array_equal(result, expected)


@pytest.mark.parametrize(("function", "arrays"), DRAWING)
def test_outputs_of_a_subclass_are_the_arrays_beneath_them(function, arrays):
    if function is fd.drop_connect:  # has none
        return
    _, options = drawing(function)
    expected, _ = function(**arrays, **options)
    source, options = drawing(function)
    out = np.zeros_like(expected)
    y, _ = function(**arrays, **options, out=(given := lying(out)))
    assert y is given
    assert np.array_equal(out, expected)
    out = np.zeros_like(expected)
    out.flags.writeable = False
    position = source.position
    with pytest.raises(ValueError, match="out must be writeable"):
        function(**arrays, **options, out=lying(out))
    assert not out.any()
    assert source.position == position


@pytest.mark.parametrize("packed", [False, True])
def test_outputs_of_bernoulli_are_the_arrays_beneath_a_subclass(packed):
    out = np.zeros(2, np.uint8 if packed else bool)
    n = 16 if packed else 2
    y = fd.bernoulli(n, 0.5, rng=1, packed=packed, out=(given := lying(out)))
    assert y is given
    assert np.array_equal(out, fd.bernoulli(n, 0.5, rng=1, packed=packed))
    with pytest.raises(ValueError, match=r"out must have shape .*, not \(2,\)"):
        fd.bernoulli(10**8, 0.5, packed=packed, out=lying(out))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        fd.bernoulli(n, 0.5, packed=packed, out=lying(out))


@pytest.mark.parametrize("framework", ["torch", "dask"])
@pytest.mark.parametrize(("function", "arrays", "name"), ARRAYS)
def test_arrays_of_frameworks_do_not_become_others_silently(function, arrays, name, framework):
    made_there = type("Made", (), {"__module__": f"{framework}.array", "__array__": None})
    foreign = type("Mine", (made_there,), {})()  # a user's subclass
    source, options = drawing(function)
    with pytest.raises(
        TypeError, match=f"^{name} must be a NumPy array, not a Mine of {framework}: "
    ):
        function(**(arrays | {name: foreign}), **options)
    assert source.position == 0


def test_every_function_that_draws_is_here():
    public = {name: getattr(fd, name) for name in fd.__all__}
    named = {
        name
        for name, value in public.items()
        if inspect.isfunction(value) and "training" in inspect.signature(value).parameters
    }
    assert named == set(FUNCTIONS)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fd.embedding_dropout(np.ones(7), 0.5), r"^weight must .*, not \(7,\)"),
        (lambda: fd.dropout_backward(np.ones(7), mask), "does not broadcast to dy's shape"),
        (lambda: mask.apply(np.ones(7)), "does not broadcast to x's shape"),
        (lambda: fd.dropout_backward(np.ones(7), gaussian_mask), "not broadcast to dy's shape"),
        (
            lambda: fd.zoneout_backward(np.ones(7), zoneout_mask),
            "mask must have as many axes as dy, of",
        ),
        (lambda: fd.zoneout_backward(np.ones((3, 7)), zoneout_mask), "to dy's shape"),
        (lambda: fd.zoneout(x, np.ones(7), 0.5), "^old must have new's shape, "),
        (lambda: fd.dropout_add(x, np.ones(7)), "^residual must have x's shape, "),
    ],
)
def test_errors_of_shapes_name_the_array(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_none_is_shown():
    with pytest.raises(TypeError, match=r"x must be an array of float16, .*, not None$"):
        fd.dropout(None)


def test_masked_arrays_without_masked_elements_are_arrays():
    y, _ = fd.dropout(np.ma.masked_array(x), 0.5, rng=1)
    assert np.array_equal(y, fd.dropout(x, 0.5, rng=1)[0])


@pytest.mark.parametrize(("function", "arrays", "name"), ARRAYS)
def test_a_pair_is_not_its_array(function, arrays, name):
    for pair in (fd.dropout(x, rng=1), fd.gaussian_dropout(x, 0.5, rng=1)):
        source, options = drawing(function)
        with pytest.raises(TypeError, match=rf"^{name} must be .*: pass y, not \(y, mask\)$"):
            function(**(arrays | {name: pair}), **options)
        assert source.position == 0


@pytest.mark.parametrize(
    "layer", [fd.Dropout(), fd.GaussianDropout(0.5), fd.AlphaDropout(), fd.DropConnect(x, 0.5)]
)
def test_a_pair_given_to_a_layer(layer):
    with pytest.raises(TypeError, match=r"^x must be .*: pass y, not \(y, mask\)$"):
        layer(fd.dropout(x, rng=1))
    assert layer.mask is None


def test_pairs_of_something_else_are_arrays():
    assert np.array_equal(fd.dropout((x, x), 0.0)[0], [x, x])


@pytest.mark.parametrize("training", [True, False])
def test_a_bool_array_needs_its_p(training):
    kept, source = x > 0, fd.Philox4x32(1)
    for scale in ("train", "test"):
        with pytest.raises(TypeError, match=r"^mask is an array of bool .*: give p or"):
            fd.dropout(x, mask=kept, scale=scale, rng=source, training=training)
    for given in ({"p": 0.5}, {"keep_prob": 0.5}, {"scale": "none"}):
        fd.dropout(x, mask=kept, training=training, **given)
    assert source.position == 0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_mask_of_alpha_dropout_is_none_of_dropout(p):
    _, of_alpha = fd.alpha_dropout(x, p, rng=1)
    for one in (of_alpha, of_alpha[:, :2], of_alpha.packed()):
        with pytest.raises(ValueError, match=r"^mask must be .* of dropout, not one of alpha"):
            fd.dropout(x[:, : one.shape[1]], mask=one)
    _, evaluated = fd.alpha_dropout(x, p, training=False)
    assert np.array_equal(fd.dropout(x, mask=evaluated)[0], x)


@pytest.mark.parametrize(("function", "arrays"), DRAWING)
@pytest.mark.parametrize("training", ["no", "False", None, 0, np.array([True, False]), []])
def test_training_is_true_or_false(function, arrays, training):
    source, options = drawing(function)
    with pytest.raises(TypeError, match=r"training must be .*, not .*"):
        function(**arrays, **options, training=training)
    assert source.position == 0


@pytest.mark.parametrize("training", [np.True_, np.False_])
def test_training_may_be_a_bool_of_numpy(training):
    y, _ = fd.dropout(x, 0.5, rng=1, training=training)
    assert np.array_equal(y, fd.dropout(x, 0.5, rng=1, training=bool(training))[0])


def test_switches_of_layers():
    layer = fd.Dropout(rng=1)
    for mode in ("eval", "False", None, 0):
        with pytest.raises(TypeError, match=r"mode must be .*, not .*"):
            layer.train(mode)
    assert layer.training is True
    with pytest.raises(TypeError, match=r"training must be .*, not 'no'"):
        layer.training = "no"


@pytest.mark.parametrize(("function", "arrays"), DRAWING)
def test_a_mask_as_p_is_refused(function, arrays):
    """Else a bool array of what to keep would be taken for probabilities, and drop it."""
    source, options = drawing(function)
    for keep in (True, np.True_, np.ones((3, 4), bool)):
        with pytest.raises(TypeError, match=r"p must be .*, not .*(bool|array)"):
            function(**arrays, **(options | {"p": keep}))
    assert source.position == 0


@pytest.mark.parametrize(("function", "arrays"), DRAWING)
def test_outputs_are_named_after_the_array(function, arrays):
    if function is fd.drop_connect:  # has none
        return
    first = next(iter(arrays))
    source, options = drawing(function)
    for out, error, words in (
        (np.full((3, 5), SENTINEL), ValueError, f"{first}'s shape"),
        (np.full(arrays[first].shape, SENTINEL, np.float32), TypeError, f"{first}'s dtype"),
    ):
        with pytest.raises(error, match=f"^out must have {words}, "):
            function(**arrays, out=out, **options)
        assert (out == SENTINEL).all()
    assert source.position == 0


def test_seeds_are_called_as_they_were_given():
    for rng in (-1, [3, -2]):
        with pytest.raises(
            ValueError, match=r"^rng must be (an )?integers? that .* not negative, not .*"
        ):
            fd.dropout(x, rng=rng)
        with pytest.raises(
            ValueError, match=r"^seed must be (an )?integers? that .* not negative, not .*"
        ):
            fd.Philox4x32(rng)
    with pytest.raises(TypeError, match=r"^seed must be .*, not True \(a bool\)"):
        fd.Philox4x32(True)


def test_sequences_may_be_arrays():
    for shape in (np.array([3, 4]), [3, 4]):
        assert fd.dropout_mask(shape, rng=1) == mask
        assert np.array_equal(fd.bernoulli(shape, 0.5, rng=1), ~np.asarray(mask))
    for axes in (np.array([0]), np.array([0, 1])):
        _, same = fd.dropout(x, rng=1, broadcast_axes=axes)
        assert same == fd.dropout(x, rng=1, broadcast_axes=axes.tolist())[1]


class Biased(float):
    """A number with comparisons of its own: between any two."""

    __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True


class BiasedInteger(int):
    """Likewise."""

    __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: fd.dropout_mask(x),
            TypeError,
            r"shape must be .*, not an ndarray of shape \(3, 4\)",
        ),
        (lambda: fd.bernoulli((3, 4), np.full(5, 0.5)), ValueError, r"p shape \(5,\)"),
        (lambda: fd.bernoulli(3, 0.5, packed="no"), TypeError, "packed must be .*, not 'no'"),
        (lambda: fd.bernoulli(3, 0.5, dtype="x"), TypeError, "dtype must be .*, not 'x'"),
        (
            lambda: fd.bernoulli(3, 0.5, dtype=bool, packed=True),
            TypeError,
            "dtype must be uint8 with packed=True, not bool",
        ),
        (
            lambda: fd.bernoulli(3, 0.5, dtype=bool, out=np.zeros(3, np.uint8)),
            TypeError,
            "out must .* uint8",
        ),
        (
            lambda: fd.dropout(x, scale=x),
            ValueError,
            r"scale must be .*, not an ndarray of shape .*",
        ),
        (lambda: fd.dropout(x, float), TypeError, "p must be .*, not <class 'float'>"),
        (lambda: fd.dropout(x, np.float64), TypeError, "p must be .*, not <class 'numpy.float64'>"),
        (
            lambda: fd.bernoulli(np.uint8, 0.5),
            TypeError,
            "shape must be .*, not <class 'numpy.uint8'>",
        ),
        (lambda: fd.dropout_mask((2**63, 0)), ValueError, "lengths below"),
        (lambda: fd.bernoulli((0, 2**63), 0.5), ValueError, "lengths below"),
        (lambda: fd.dropout_mask(3, Biased(5.0)), ValueError, "p must be .*, not 5.0"),
        (lambda: fd.dropout_mask(3, Biased("nan")), ValueError, "p must be .*, not nan"),
        (lambda: fd.dropout_mask(3, BiasedInteger(5)), ValueError, "p must be .*, not 5"),
        (lambda: fd.bernoulli(3, Biased(5.0)), ValueError, "p must be .*, not 5.0"),
        (lambda: fd.gaussian_dropout(x, Biased(5.0)), ValueError, "p must be .*, not 5.0"),
        (lambda: fd.Dropout(Biased(5.0)), ValueError, "p must be .*, not 5.0"),
        (
            lambda: fd.dropout_mask(BiasedInteger(-5)),
            ValueError,
            "shape must have no negative .*, not -5",
        ),
        (
            lambda: fd.bernoulli(3, 0.5, dtype=np.uint8, out=np.zeros(3, bool)),
            TypeError,
            "out must .* bool",
        ),
        (
            lambda: fd.dropout(x, broadcast_axes="01"),
            TypeError,
            "broadcast_axes must be .*, not '01'",
        ),
        (
            lambda: fd.dropout(x, broadcast_axes=True),
            TypeError,
            r"broadcast_axes must be .*, not True \(a bool\)",
        ),
        (
            lambda: fd.drop_block2d(maps, 0.5, block_size=True),
            TypeError,
            "block_size must be .*, not True",
        ),
        (
            lambda: fd.Dropout2d(channel_axis=9),
            ValueError,
            r"channel_axis must .*\[1, 4\).*, not 9",
        ),
        (
            lambda: fd.Dropout1d(channel_axis=0),
            ValueError,
            r"channel_axis must .*\[1, 3\).*, not 0",
        ),
        (
            lambda: fd.Dropout3d(channel_axis=5),
            ValueError,
            r"channel_axis must .*\[1, 5\).*, not 5",
        ),
        (
            lambda: fd.Dropout([0.5, 0.5]),
            TypeError,
            r"p must .*NumPy array .*, not the list \[0.5, 0.5\]",
        ),
        (
            lambda: fd.dropout_add_layer_norm(x, x, None, None, 0.5, keep_prob=0.5),
            TypeError,
            "^p=0.5 and keep_prob=0.5 exclude each other: give one of the two$",
        ),
        (lambda: fd.dropout_mask(True), TypeError, r"shape must .*, not True \(a bool\)"),
        (
            lambda: fd.dropout(x, noise_shape=(True, 4)),
            TypeError,
            r"noise_shape must .*\(True, 4\)",
        ),
        (lambda: fd.DropConnect(x, 0.5, bias=np.ones(4)), ValueError, r"bias .*\(3,\), not \(4,\)"),
        (lambda: fd.gelu_dropout_backward(x, x), TypeError, "^mask must be given; it is missing$"),
        (lambda: fd.dropout_add(x), TypeError, "^residual must be given; it is missing$"),
        (lambda: fd.relu_dropout(x, bias=1.0), TypeError, r"bias must .*, not 1\.0 \(a float\)"),
        (lambda: fd.drop_connect(x, 3, 0.5), TypeError, r"weight must .*, not 3 \(an int\)"),
        (lambda: fd.dropout(x, mask=gaussian_mask), TypeError, "mask must .*, not a GaussianMask"),
        (lambda: fd.gaussian_dropout(x, -1), ValueError, r"p must .* \[0, 1\), not -1"),
        (
            lambda: fd.dropout(x, rng=fd.Philox4x32),
            TypeError,
            r"rng .*: call it, as in Philox4x32\(7\)",
        ),
        (lambda: fd.NumPySource(3), TypeError, r"bit_generator must .*, not 3 \(an int\)"),
        (lambda: fd.dropout(x, axis=0), TypeError, "axis=0: it is called broadcast_axes here"),
        (lambda: fd.exact_mask((2, 3), axis=1), TypeError, "axis=1: it is called axes here$"),
        (lambda: fd.embedding_dropout(x=x, p=0.5), TypeError, "it is called weight here"),
        (lambda: fd.dropout(x, deterministic=True), TypeError, "training here, and says the oppo"),
        (
            lambda: fd.Dropout()(x, rng=1),
            TypeError,
            r"^Dropout\.forward\(\) .* when the layer is made",
        ),
        (lambda: fd.Dropout(inplace=True), TypeError, "inplace=True: give out=x in each call"),
        (lambda: fd.Philox4x32(1).advance(3), AttributeError, "'advance': add to its position"),
        (lambda: mask.reshape(-1), AttributeError, r"Mask' object has no attribute 'reshape'$"),
        (lambda: fd.install(), AttributeError, r"'install': fastdrop\.torch has it$"),
        (lambda: fd.default_rng(1), AttributeError, r"'default_rng': numpy\.random has it"),
        (lambda: fd.SpatialDropout2D, AttributeError, r": fastdrop\.Dropout2d does this$"),
        (
            lambda: fd.mc_predict(lambda x: None, x, 3),
            TypeError,
            "^forward must return an array of numbers, not None$",
        ),
        (
            lambda: fd.dropout(x, [0.5] * 99),
            TypeError,
            r"p must be .*, not the list \[0.5, .*\.\.\.\]",
        ),
        (lambda: fd.Mask(3), TypeError, "made by dropout_mask or dropout"),
        (lambda: fd.GaussianMask(3), TypeError, "made by gaussian_dropout"),
        (
            lambda: fd.zoneout(x, 0.5, 0.5),
            TypeError,
            r"^old must be an array of new's shape, \(3, 4\), not 0\.5 \(a float\)$",
        ),
        (
            lambda: fd.zoneout(x, 0.5),
            TypeError,
            r"^old must be an array of new's shape, not 0\.5 \(a float\)$",
        ),
        (
            lambda: fd.dropout_add(x.astype(np.float32), 0.5),
            TypeError,
            r"^residual must be an array of x's shape, \(3, 4\), not 0\.5 \(a float\)$",
        ),
        (
            lambda: fd.DropConnect(8, 32),
            TypeError,
            r"^weight must be an array of .*, not 8 \(an int\): ",
        ),
        (lambda: fd.dropout(x, out=3), TypeError, r"^out must be a NumPy array, not 3 \(an int\)$"),
        (lambda: fd.drop_connect(x, None, 0.5), TypeError, "weight must be an array, not None"),
        (
            lambda: fd.mc_predict(x, abs, 3),
            TypeError,
            r"forward must .*, not an ndarray of shape \(3, 4\)",
        ),
        (
            lambda: fd.mc_predict(lambda _: "a", x, 3),
            TypeError,
            r"forward must .*, not 'a' \(a str\)",
        ),
        (
            lambda: fd.mc_predict(lambda _: np.zeros(2, "M8[D]"), x, 3),
            TypeError,
            "must return an array of numbers, not .*datetime64",
        ),
    ],
)
def test_one_sentence_with_the_value(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (x, TypeError, "mask must be .*, not an ndarray"),
        (fd.dropout(x, rng=1), TypeError, "mask must be .*, not a tuple"),
        (gaussian_mask, TypeError, "mask must be .*, not a GaussianMask"),
        (mask, ValueError, r"^mask must be .*, not <Mask .*>"),
        (fd.dropout(x, rng=1, scale="none")[1], ValueError, "mask must be the Mask that zoneout"),
        (fd.dropout(x, training=False)[1], ValueError, "mask must be the Mask that zoneout"),
        (
            fd.dropout(x, np.full(4, 0.5), rng=1)[1],
            ValueError,
            "mask must be the Mask that zoneout",
        ),
        (fd.alpha_dropout(x, 0.1, rng=1)[1], ValueError, "mask must be the Mask that zoneout"),
        (
            fd.zoneout(x[0], x[0], 0.5, rng=1)[1],
            ValueError,
            r"mask must have as many axes as dy.* \(4,\)",
        ),
    ],
    ids=[
        *("array", "pair", "Gaussian", "of dropout", "unscaled", "of evaluation", "of several p"),
        *("of alpha_dropout", "of a row"),
    ],
)
def test_masks_of_zoneout_backward(wrong, error, words):
    with pytest.raises(error, match=words):
        fd.zoneout_backward(x, wrong)


MASKS_OF_ZONEOUT = {
    "seeded": zoneout_mask,
    "of NumPy": fd.zoneout(x, x, 0.5, rng=np.random.default_rng(1))[1],
    "evaluated": fd.zoneout(x, x, 0.5, training=False)[1],
    "packed": zoneout_mask.packed(),
    "window": fd.zoneout(np.ones((3, 9)), np.ones((3, 9)), 0.5, rng=1)[1][:, ::2][:, 1:],
    "transposed": fd.zoneout(x.T, x.T, 0.5, rng=1)[1].T,
    "pickled": pickle.loads(pickle.dumps(zoneout_mask)),
    "of its state": fd.Mask.from_state(zoneout_mask.packed().state),
}


@pytest.mark.parametrize("of_zoneout", MASKS_OF_ZONEOUT.values(), ids=MASKS_OF_ZONEOUT)
def test_a_mask_of_zoneout_is_of_nothing_else(of_zoneout):
    out = np.full((3, 4), SENTINEL)
    layer = fd.Dropout(rng=1)
    layer(x)
    layer.mask = of_zoneout
    for backward in (
        lambda: fd.dropout_backward(x, of_zoneout, out=out),
        lambda: of_zoneout.backward(x, out),
        lambda: fd.drop_connect_backward(np.ones((3, 3)), x, x, of_zoneout),
        lambda: layer.backward(x),
    ):
        with pytest.raises(ValueError, match=r"^mask must be .*<Mask .*, of zoneout>$"):
            backward()
    for training in (True, False):
        with pytest.raises(
            ValueError, match=r"^mask must be a mask of dropout, not .*, of zoneout>$"
        ):
            fd.dropout(x, mask=of_zoneout, out=out, training=training)
    assert np.all(out == SENTINEL)
    dnew, dold = fd.zoneout_backward(x, of_zoneout)
    assert np.array_equal(dnew + dold, x)
    assert np.array_equal(dnew, of_zoneout.apply(x))


def test_a_mask_of_zoneout_equals_no_mask_of_dropout():
    _, unscaled = fd.dropout(x, 0.5, rng=1, scale="none")
    assert np.array_equal(unscaled, zoneout_mask)
    assert (unscaled.p, unscaled.scale) == (zoneout_mask.p, zoneout_mask.scale)
    assert unscaled != zoneout_mask
    assert unscaled.packed() != zoneout_mask.packed()
    assert zoneout_mask == zoneout_mask.packed() == fd.zoneout(x, x, 0.5, rng=1)[1]
    assert unscaled.state | {"of": "zoneout"} == zoneout_mask.state


def test_masks_of_drop_connect_backward():
    dy = np.ones((3, 3))
    for shape in ((4, 3), (3, 1), (2, 4)):
        wrong = fd.dropout_mask(shape, rng=1)
        with pytest.raises(ValueError, match=r"mask must have shape .*, that of weight, not \("):
            fd.drop_connect_backward(dy, x, x, wrong)
    with pytest.raises(TypeError, match=r"mask must be .*, not a GaussianMask"):
        fd.drop_connect_backward(dy, x, x, gaussian_mask)


def test_version_of_the_command(capsys):
    from fastdrop.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastdrop {fd.__version__}\n"


@pytest.mark.parametrize(("call", "message"), TOLD, ids=[call for call, _ in TOLD])
def test_messages_are_as_the_documentation_shows_them(call, message):
    x = np.ones((3, 4), np.float32)
    with pytest.raises(Exception, match=re.escape(message.partition(": ")[2])) as caught:
        eval(call, {"fd": fd, "np": np, "x": x, "m": fd.dropout_mask((3, 4), rng=1)})
    assert f"{caught.type.__name__}: {caught.value}" == message


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_the_documentation_shows_forty_messages():
    assert len(TOLD) == 40
