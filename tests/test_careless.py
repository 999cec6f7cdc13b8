# SPDX-License-Identifier: BSD-3-Clause
"""Careless arguments: they are refused when they are given, with a sentence that shows them."""

import inspect
from decimal import Decimal

import numpy as np
import pytest

import fastdrop as fd

x = np.ones((3, 4), np.float32)
row = np.ones(4, np.float32)
mask = fd.dropout_mask((3, 4), rng=1)
_, gaussian_mask = fd.gaussian_dropout(x, 0.5, rng=1)

# What layers are made of before p.
PARTS = {
    "DropConnect": (x,),
    "DropoutAddLayerNorm": (row, row),
    "DropoutAddRMSNorm": (row,),
}
LAYERS = [
    name
    for name in fd.__all__
    if isinstance(getattr(fd, name), type) and hasattr(getattr(fd, name), "forward")
]
SHARING = [
    name for name in LAYERS if "broadcast_axes" in inspect.signature(getattr(fd, name)).parameters
]


def made(name, p=0.5, **options):
    return getattr(fd, name)(*PARTS.get(name, ()), p, **options)


# ---- layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_p_of_a_layer_is_a_number(name):
    for wrong, error in ((None, TypeError), ("0.5", TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^p must be a number in \[0, 1[\])].*, not "):
            made(name, wrong)
    for wrong in (1.5, Decimal("nan"), Decimal("sNaN"), 10**400):
        with pytest.raises(ValueError, match=r"^p must be a number in \[0, 1[\])], not "):
            made(name, wrong)


def test_none_is_the_p_of_a_layer_of_keep_prob_alone():
    with pytest.raises(TypeError, match=r"^p=None and keep_prob=0\.5 exclude each other"):
        fd.Dropout(None, keep_prob=0.5)
    with pytest.raises(TypeError, match=r"^p must be a number .*, not None$"):
        fd.Dropout(None, keep_prob=None)
    layer = fd.Dropout(rng=1)
    layer.p = None  # on the way to keep_prob
    with pytest.raises(TypeError, match=r"^p must be a number .*, not None$"):
        layer(x)
    assert layer.rng.position == 0


def test_a_gaussian_layer_has_a_variance():
    with pytest.raises(ValueError, match=r"^p must be .*: at 1 the variance is infinite$"):
        fd.GaussianDropout(1)
    layer = fd.GaussianDropout(0.5)
    with pytest.raises(ValueError, match=r"^p must be .*: at 1 the variance is infinite$"):
        layer.p = 1.0


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("a", TypeError, r"must be an integer or a sequence of integers, not 'a' \(a str\)"),
        (1.5, TypeError, r"must be an integer or a sequence of integers, not 1\.5 \(a float\)"),
        ({0: 1}, TypeError, r"must be an integer or a sequence of integers, not \{0: 1\} \(a dict"),
        (b"\0", TypeError, r"must be an integer or a sequence of integers, not b'.x00' \(a bytes"),
        (True, TypeError, r"must be an integer .*, not True \(a bool\)"),
        ([0, 0], ValueError, r"must name an axis once, not \[0, 0\]"),
        (64, ValueError, r"must be an integer in \[-64, 64\), an axis of x, not 64"),
    ],
)
def test_axes_are_checked_when_a_layer_is_made(name, wrong, error, words):
    with pytest.raises(error, match=f"^broadcast_axes {words}"):
        made(name, broadcast_axes=wrong)
    layer = made(name)
    with pytest.raises(error, match=f"^broadcast_axes {words}"):
        layer.broadcast_axes = wrong
    layer.broadcast_axes = -1


def test_arrays_are_checked_when_a_layer_is_made():
    for make, error, words in (
        (lambda: fd.Dropout(noise_shape=(-1,)), ValueError, "noise_shape must have no negative"),
        (lambda: fd.DropConnect(x.astype(int), 0.5), TypeError, "weight must have .*, not int64"),
        (lambda: fd.DropConnect(x, 0.5, bias="a"), TypeError, r"bias must be .*, not 'a' \(a str"),
        (
            lambda: fd.DropConnect(x, 0.5, bias=np.ones(3)),
            TypeError,
            "bias must have weight's dtype, float32, not float64",
        ),
        (lambda: fd.DropoutAddRMSNorm(4), TypeError, r"weight must be an array, not 4 \(an int\)"),
        (lambda: fd.DropoutAddRMSNorm(row > 0), TypeError, "weight must have dtype .*, not bool"),
        (lambda: fd.DropoutAddRMSNorm(row * 1j), TypeError, "weight must have .*, not complex64"),
        (
            lambda: fd.DropoutAddRMSNorm(row.astype("g")),
            TypeError,
            "weight must have dtype .*, not",
        ),
        (
            lambda: fd.DropoutAddLayerNorm(row, row[:2]),
            ValueError,
            r"bias must have shape \(4,\), that of weight, not \(2,\)",
        ),
        (lambda: fd.EmbeddingDropout(), TypeError, "p must be given; it is missing$"),
        (lambda: fd.DropConnect(x), TypeError, "p must be given; it is missing$"),
        (lambda: fd.DropoutAddLayerNorm(row), TypeError, "bias must be given; it is missing$"),
    ):
        with pytest.raises(error, match=f"^{words}"):
            make()
    for dtype in ("e", ">f4", "f8", "bfloat16"):
        if dtype == "bfloat16":
            dtype = pytest.importorskip("ml_dtypes").bfloat16
        fd.DropoutAddRMSNorm(row.astype(dtype))
        fd.DropConnect(x.astype(dtype), 0.5, bias=row[:3].astype(dtype))


# ---- numbers, sequences and what is shown of them ------------------------------------------------


def test_long_values_are_shown_short():
    for call in (
        lambda: fd.dropout(x, 10**400),
        lambda: fd.dropout(x, -(10**5000)),  # of more digits than Python shows
        lambda: fd.set_num_threads(-(10**5000)),
        lambda: fd.dropout_mask(10**5000),
        lambda: fd.dropout_mask((3, -(10**5000))),
        lambda: fd.Philox4x32(key=10**5000),
        lambda: fd.dropout("a" * 10**6),
        lambda: fd.dropout(x, {i: i for i in range(1000)}),
        lambda: fd.dropout(x, rng=fd.Philox4x32(1).state | {"more": "a" * 10**6}),
    ):
        with pytest.raises((TypeError, ValueError), match=r" not |must have fewer") as caught:
            call()
        assert len(str(caught.value)) < 700
        assert "sys.set_int_max_str_digits" not in str(caught.value)


def test_what_cannot_be_shown_is_told_by_its_class():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    with pytest.raises(TypeError, match=r"^p must be a number in \[0, 1\], not a Broken$"):
        fd.dropout(x, Broken())


@pytest.mark.parametrize("p", [Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN")])
def test_decimals_that_are_no_numbers(p):
    source, out = fd.Philox4x32(1), np.full_like(x, -77)
    for call in (
        lambda: fd.dropout(x, p, rng=source, out=out),
        lambda: fd.dropout(x, keep_prob=p, rng=source, out=out),
        lambda: fd.bernoulli(3, p, rng=source),
        lambda: fd.gaussian_dropout(x, p, rng=source, out=out),
    ):
        with pytest.raises(ValueError, match=r"^(p|keep_prob) must be .*, not Decimal\("):
            call()
    assert source.position == 0
    assert (out == -77).all()


@pytest.mark.parametrize("eps", [Decimal("sNaN"), 10**400, float("nan")])
def test_eps_that_is_no_finite_number(eps):
    for call in (
        lambda: fd.dropout_add_rms_norm(x, x, row, 0.5, eps=eps),
        lambda: fd.DropoutAddRMSNorm(row, eps=eps),
    ):
        with pytest.raises(ValueError, match=r"^eps must be a finite number of at least 0, not "):
            call()


@pytest.mark.parametrize(
    "wrong", [{3, 4}, frozenset({3, 4}), {3: 4}, b"\3\4", bytearray(2)], ids=repr
)
def test_sets_have_no_order_and_mappings_no_entries(wrong):
    source = fd.Philox4x32(1)
    for call in (
        lambda: fd.dropout_mask(wrong, rng=source),
        lambda: fd.bernoulli(wrong, 0.5, rng=source),
        lambda: fd.exact_mask(wrong, rng=source),
        lambda: fd.dropout(x, noise_shape=wrong, rng=source),
        lambda: fd.Mask.from_bits(bytes(2), wrong, 0.5),
        lambda: fd.Philox4x32(key=wrong),
    ):
        with pytest.raises(TypeError, match=r"^(shape|noise_shape|key) must be .*, not "):
            call()
    assert source.position == 0
    assert fd.dropout(x, broadcast_axes={0, 1}, rng=1)[1].shape == (1, 1)


def test_bools_are_no_words_and_no_seeds():
    for call, name in (
        (lambda: fd.dropout(x, rng=[True]), "rng"),
        (lambda: fd.dropout(x, rng=[1, [2, False]]), "rng"),
        (lambda: fd.dropout(x, rng=np.array([True])), "rng"),
        (lambda: fd.seed([True]), "seed"),
        (lambda: fd.Philox4x32(np.True_), "seed"),
        (lambda: fd.Philox4x32(key=True), "key"),
        (lambda: fd.Philox4x32(key=[True, False]), "key"),
        (lambda: fd.Philox4x32(counter=[0, 0, 0, np.True_]), "counter"),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be .*, not "):
            call()


def test_rng_is_told_all_that_it_may_be():
    for wrong in ("a", [1.5], np.array([1.0]), (1, None), np.array(3.0)):
        with pytest.raises(TypeError, match=r"^rng must be None, a seed .*RandomState, not "):
            fd.dropout(x, rng=wrong)


@pytest.mark.parametrize(
    ("cls", "call"),
    [
        (fd.Xoshiro256PlusPlus, "Xoshiro256PlusPlus(7)"),
        (fd.Source, "Philox4x32(7)"),
        (fd.NumPySource, "NumPySource(numpy.random.PCG64(7))"),
        (np.random.Generator, "default_rng(7)"),
        (np.random.PCG64, "PCG64(7)"),
        (np.random.RandomState, "RandomState(7)"),
    ],
)
def test_the_cure_of_a_class_is_a_call_that_works(cls, call):
    with pytest.raises(TypeError) as caught:
        fd.dropout(x, rng=cls)
    assert str(caught.value).endswith(f": call it, as in {call}")
    made = eval(call, {**vars(np.random), **vars(fd), "numpy": np})
    fd.dropout(x, rng=made)
    with pytest.raises(TypeError, match=r"not <class 'int'> \(a type\)$"):
        fd.dropout(x, rng=int)


# ---- masks and sources ---------------------------------------------------------------------------


def test_p_beside_a_mask_is_refused_though_it_is_none():
    with pytest.raises(TypeError, match=r"^p=None and a mask exclude each other: leave p out"):
        fd.dropout(x, None, mask=mask)
    with pytest.raises(TypeError, match=r"^p=None and a mask exclude each other: leave p out"):
        fd.dropout_add_layer_norm(x, x, None, None, None, mask=mask)


def test_a_bool_is_no_mask():
    source = fd.Philox4x32(1)
    for wrong in (True, False):
        with pytest.raises(TypeError, match=rf"^mask must be .*, not {wrong} \(a bool\)$"):
            fd.dropout(x, 0.5, mask=wrong, rng=source)
    assert source.position == 0


def test_the_state_of_a_mask_is_of_no_gaussian_mask():
    with pytest.raises(ValueError, match=r"must be that of a GaussianMask, .*: call Mask\.from_"):
        fd.GaussianMask.from_state(mask.state)
    assert fd.GaussianMask.from_state(gaussian_mask.state) == gaussian_mask


def test_the_state_of_a_source_has_a_counter():
    source = fd.Xoshiro256PlusPlus(1)
    before = source.state
    for entry in ("key", "counter"):
        with pytest.raises(TypeError, match=f"^{entry} must be an integer .*, not None$"):
            source.state = before | {entry: None}
    assert source.state["counter"] == before["counter"]


def test_random_raw_checks_its_arguments():
    source = fd.Philox4x32(1)
    for call, error, words in (
        (lambda: source.random_raw("a"), TypeError, r"size must be .*, not 'a' \(a str\)"),
        (lambda: source.random_raw(1.5), TypeError, r"size must be .*, not 1\.5 \(a float\)"),
        (lambda: source.random_raw(-1), ValueError, "size must have no negative length, not -1"),
        (lambda: source.random_raw(2, "no"), TypeError, "output must be True or False, not 'no'"),
        (lambda: source.random_raw(2, 0), TypeError, "output must be True or False, not 0"),
    ):
        with pytest.raises(error, match=f"^{words}"):
            call()
    assert source.position == 0
    assert source.random_raw(output=False) is None
    assert source.position == 8
    assert source.random_raw((2, 1)).shape == (2, 1)
    assert isinstance(source.random_raw(), int)


def test_a_block_is_checked_when_it_is_made():
    for wrong, error in (("a", TypeError), (-1, ValueError), (True, TypeError)):
        with pytest.raises(error, match=r"^rng must be "):
            fd.seeded(wrong)

    @fd.seeded(7)
    def draw():
        return fd.dropout_mask(100)

    assert draw() == draw()  # a decorator seeds each call


def test_axes_are_of_what_they_are_of():
    with pytest.raises(ValueError, match=r"^axes must be .*, an axis of shape \(2, 3\), not 2$"):
        fd.exact_mask((2, 3), axes=2)
    with pytest.raises(ValueError, match=r"that is an axis, and x's shape \(\) has none, not 0$"):
        fd.dropout(np.float32(1), broadcast_axes=0)


@pytest.mark.parametrize("name", ["dropout_add_layer_norm", "dropout_add_rms_norm"])
def test_dtotal_is_called_dtotal(name):
    backward = getattr(fd, f"{name}_backward")
    for wrong, error in ((x[0], ValueError), (x.astype(float), TypeError)):
        with pytest.raises(error, match=r"^dtotal must have x's "):
            backward(x, x, x, row, mask, dtotal=wrong)
