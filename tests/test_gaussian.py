# SPDX-License-Identifier: BSD-3-Clause
"""gaussian_dropout and its masks: frozen factors, values that can be stored, normal noise.

Seeds are fixed but at night (support/seeds.py), so that nothing fails by chance from one run to the
next. A statistical check is a two-sided one at 4.5 standard deviations, which normal noise fails
with probability 7e-6; all of them together (about 170) would fail good noise for one in 800 choices
of seeds.
"""

import copy
import json
import math
import pickle
import runpy
from statistics import NormalDist

import numpy as np
import pytest
from helpers import BIT_GENERATORS, DATA, SOURCES, assert_same_floats, bytes_at, sha256
from layouts import EVERY_DTYPE, LAYOUTS, WRITEABLE, assert_result, floats, native
from seeds import first_by_day, seed
from seeds import limit as limit_of

import fastdrop as fd
from fastdrop import _reference as reference

GOLDEN = json.loads((DATA / "golden_factors.json").read_text())
DIGESTS = GOLDEN["sha256_of_float32_factors"]


def mask_of(shape, p=0.5, rng=1):
    return fd.gaussian_dropout(np.ones(shape, np.float32), p, rng=rng)[1]


def factors_at(source, position, n, p):
    words = bytes_at(source, position, 4 * n).view("<u4").astype(np.uint32)
    return reference.gaussian_factors(words, p)


# ---- frozen --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "group"), [(name, group) for name in DIGESTS for group in DIGESTS[name]]
)
def test_golden_factors(level, name, group):
    """Stream version 1: a change here is a new version."""
    for p, digest in DIGESTS[name][group].items():
        if name in {cls.__name__ for cls in SOURCES}:
            rng = getattr(fd, name)(GOLDEN["seed"])
            rng.position = int(group)
        else:
            rng = getattr(np.random, name)(GOLDEN["seed"])
        mask = mask_of(GOLDEN["n"], float(p), rng)
        assert sha256(np.asarray(mask).astype("<f4")) == digest, p


def test_golden_factors_are_of_every_source():
    assert GOLDEN["stream_version"] == 1
    assert set(DIGESTS) == {cls.__name__ for cls in (*SOURCES, *BIT_GENERATORS)}
    flat = [d for groups in DIGESTS.values() for ds in groups.values() for d in ds.values()]
    assert len(set(flat)) == len(flat)


def test_the_script_makes_the_golden_factors():
    made = runpy.run_path(str(DATA / "make_golden_factors.py"))["golden_factors"]()
    assert made == GOLDEN


# ---- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("position", [0, 1, 2, 3, 16381, 2**40 + 5])
def test_factors_are_the_twins(source_class, position, p):
    source = source_class(3)
    source.position = position
    mask = mask_of((50, 101), p, source)
    expected = factors_at(source, position, 5050, p).reshape(50, 101)
    assert_same_floats(np.asarray(mask), expected)
    assert mask.shape == (50, 101)
    assert mask.size == 5050
    assert mask.p == p
    assert mask.deviation == pytest.approx(math.sqrt(p / (1 - p)), rel=1e-15)
    assert mask.nbytes == 0
    assert source.position == position + 4 * 5050
    following = fd.dropout_mask(100, 0.5, rng=source)  # the source was left in the right place
    there = source_class(3)
    there.position = position + 4 * 5050
    assert following == fd.dropout_mask(100, 0.5, rng=there)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("make", [*BIT_GENERATORS, np.random.RandomState])
def test_two_factors_a_word_of_numpys_generators(make, n):
    """The low half of a word first; whatever a NumPySource draws else."""
    words = fd.NumPySource(make(5)).bit_generator.random_raw((n + 1) // 2)
    halves = np.atleast_1d(words).astype("<u8").view("<u4")[:n].astype(np.uint32)
    if make in (np.random.MT19937, np.random.RandomState):  # random_raw gives 32 bits of it
        source = fd.NumPySource(make(5))
        interface = source.bit_generator.ctypes
        raw = [interface.next_uint64(interface.state) for _ in range((n + 1) // 2)]
        halves = np.array(raw, "<u8").view("<u4")[:n].astype(np.uint32)
    rng = make(5)
    mask = mask_of(n, 0.3, rng)
    assert_same_floats(np.asarray(mask), reference.gaussian_factors(halves, 0.3))
    assert mask.nbytes == 4 * n
    for draws in ("double", "float"):
        assert mask == mask_of(n, 0.3, fd.NumPySource(make(5), draws=draws))
    again = make(5)
    assert mask == mask_of(n, 0.3, again)
    assert mask_of(10, 0.3, rng) == mask_of(10, 0.3, again)


WINDOWS = [
    np.s_[...],
    np.s_[:],
    np.s_[3],
    np.s_[-1],
    np.s_[2:5],
    np.s_[5:2],
    np.s_[1:, 3:9],
    np.s_[:, 0],
    np.s_[::-1],
    np.s_[::2, ..., 1:3],
    np.s_[2, 3, 4],
    np.s_[2, 3, 1:],
    np.s_[..., -1],
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("make", [fd.Xoshiro256PlusPlus, fd.Philox4x32, np.random.PCG64])
def test_windows(window, make):
    mask = mask_of((6, 11, 7), 0.4, make(2))
    expected = np.asarray(mask)[window]
    part = mask[window]
    assert part.shape == np.shape(expected)
    assert np.array_equal(np.asarray(part), expected)
    assert (part.p, part.deviation) == (mask.p, mask.deviation)
    x = np.random.default_rng(1).standard_normal(part.shape)
    assert np.array_equal(part.apply(x), x * expected)
    if part.shape:
        assert len(part) == part.shape[0]
        assert np.array_equal(np.asarray(part[:1]), expected[:1])
    assert pickle.loads(pickle.dumps(part)) == part


def test_windows_make_no_more_than_what_they_span():
    mask = mask_of(1 << 16)
    larger_than_memory = fd.GaussianMask.from_state(mask.state | {"shape": (1 << 22, 1 << 20)})
    window = larger_than_memory[0, 5 : 1 << 16 : 3]
    assert np.array_equal(np.asarray(window), np.asarray(mask)[5::3])
    assert larger_than_memory[-2:, 10:20:-1].shape == (2, 0)
    assert larger_than_memory[1 << 21, ::-1][:3].shape == (3,)


def test_contiguous_windows_take_no_memory():
    mask = mask_of((6, 11))
    assert mask[2:4].nbytes == mask[3].nbytes == mask[3, 2:5].nbytes == 0
    assert mask[:, 1].nbytes == 4 * 6


@pytest.mark.parametrize(
    "make", [fd.Xoshiro256PlusPlus, fd.Xorshift128Plus, fd.Philox4x32, np.random.PCG64]
)
@pytest.mark.parametrize(
    "how", [copy.copy, copy.deepcopy, lambda mask: pickle.loads(pickle.dumps(mask))]
)
def test_copies(make, how):
    for shape in ((30, 40), (), (0, 3)):
        mask = mask_of(shape, 0.4, make(2))
        other = how(mask)
        assert other == mask
        assert np.array_equal(np.asarray(other), np.asarray(mask))
        assert (other.shape, other.p, other.nbytes) == (mask.shape, mask.p, mask.nbytes)


LOST = object()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"shape": (10**7,)}, ValueError, "factors must have the mask's shape"),
        ({"factors": np.ones((4, 5))}, TypeError, "factors must .* float64"),
        ({"factors": np.array([[None] * 5] * 4)}, TypeError, "factors must .* object"),
        ({"shape": (-4, 5)}, ValueError, "shape must "),
        ({"shape": (4.5,)}, TypeError, "shape must "),
        ({"p": 5.0}, ValueError, "p must .*, not 5.0"),
        ({"p": 1.0}, ValueError, "p must .*, not 1.0"),
        ({"factors": LOST}, ValueError, "the place of the mask must .* has no 'source'"),
        ({"shape": LOST}, ValueError, "the state of the mask must .* has no 'shape'"),
        ({"stream_version": 2}, ValueError, "stream version 1, not 2"),
    ],
)
def test_states_are_checked(changes, error, words):
    _, mask = fd.gaussian_dropout(np.ones((4, 5), np.float32), 0.3, rng=np.random.default_rng(1))
    state = mask.state
    assert fd.GaussianMask.from_state(state) == mask
    state |= changes
    with pytest.raises(error, match=words):
        fd.GaussianMask.from_state({name: state[name] for name in state if state[name] is not LOST})
    with pytest.raises(TypeError, match=r"the state of the mask must be .*, not a list"):
        fd.GaussianMask.from_state([])


def test_states_of_seeded_masks_go_through_json():
    for mask in (mask_of((20, 3)), mask_of((20, 3))[1:4], mask_of(()), mask_of((0, 3))):
        assert fd.GaussianMask.from_state(json.loads(json.dumps(mask.state))) == mask


def test_masks_end_before_the_stream_does():
    state = mask_of(20).state | {"position": 2**64 - 80}
    assert fd.GaussianMask.from_state(state).size == 20
    with pytest.raises(ValueError, match="they must end before"):
        fd.GaussianMask.from_state(state | {"position": 2**64 - 79})


def test_factors_of_a_state_are_not_the_masks_own():
    _, mask = fd.gaussian_dropout(np.ones(5), 0.5, rng=np.random.default_rng(1))
    before = np.asarray(mask)
    mask.state["factors"][:] = 7.0
    assert np.array_equal(np.asarray(mask), before)


def test_pickles_of_seeded_masks_are_small():
    assert len(pickle.dumps(mask_of(10_000_000))) < 500


def test_equality():
    mask = mask_of((3, 40), 0.4, fd.Philox4x32(2))
    assert mask == mask_of((3, 40), 0.4, fd.Philox4x32(2))
    stored = mask[:, ::-1][:, ::-1]
    assert stored.nbytes
    assert mask == stored
    for other in (
        mask_of((40, 3), 0.4, fd.Philox4x32(2)),
        mask_of((3, 40), 0.5, fd.Philox4x32(2)),
        mask_of((3, 40), 0.4, fd.Philox4x32(3)),
        mask_of((3, 40), 0.4, fd.Xoshiro256PlusPlus(2)),
        fd.dropout_mask((3, 40), 0.4, rng=2),
        None,
    ):
        assert mask != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(mask)


def test_masks_as_arrays():
    mask = mask_of((3, 4))
    assert np.asarray(mask).dtype == np.float32
    assert np.asarray(mask, np.float64).dtype == np.float64
    assert np.array_equal(np.asarray(mask, np.float64), np.asarray(mask))
    with pytest.raises(ValueError, match="copy=False"):
        np.array(mask, copy=False)
    with pytest.raises(TypeError, match="gaussian_dropout"):
        fd.GaussianMask()
    with pytest.raises(TypeError, match="without axes"):
        len(mask_of(()))
    assert repr(mask) == "<GaussianMask of shape (3, 4), p=0.5, seeded>"
    assert repr(mask[:, 1]) == "<GaussianMask of shape (3,), p=0.5, stored>"


@pytest.mark.parametrize("dtype", EVERY_DTYPE, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("make", [fd.Philox4x32, np.random.PCG64])
def test_apply(dtype, layout, make):
    mask = mask_of((3, 700), 0.4, make(1))
    x = LAYOUTS[layout](floats(dtype, (3, 700)))
    expected = reference.multiply(native(x), np.asarray(mask))
    assert_result(mask.apply(x), x, expected)
    assert_result(mask.backward(x), x, expected)
    for out_layout in WRITEABLE:
        out = WRITEABLE[out_layout](np.zeros(x.shape, x.dtype))
        assert fd.dropout_backward(x, mask, out=out) is out
        assert_result(out, x, expected)


def test_the_mask_does_not_depend_on_the_dtype():
    masks = [fd.gaussian_dropout(np.ones(1000, dtype), 0.3, rng=1)[1] for dtype in EVERY_DTYPE]
    assert all(mask == masks[0] for mask in masks)


def test_infinite_and_absent_numbers_are_multiplied():
    """Unlike dropout, nothing is dropped: 0 times a factor is 0, infinity stays infinite."""
    x = np.array([0.0, np.inf, np.nan] * 100)
    y, mask = fd.gaussian_dropout(x, 0.1, rng=1)
    factors = np.asarray(mask)
    assert not y[::3].any()
    assert np.array_equal(y[1::3], np.copysign(np.inf, factors[1::3]))
    assert np.isnan(y[2::3]).all()


def test_no_noise():
    x = np.random.default_rng(1).standard_normal(1000)
    source = fd.Philox4x32(1)
    y, mask = fd.gaussian_dropout(x, 0.0, rng=source)
    assert np.array_equal(y, x)
    assert mask.deviation == 0.0
    assert source.position == 4000


def test_evaluation_returns_x():
    x = np.ones((3, 4))
    y, mask = fd.gaussian_dropout(x, 0.3, training=False)
    assert y is x
    assert isinstance(mask, fd.GaussianMask)
    assert (mask.shape, mask.p, mask.nbytes) == (x.shape, 0.0, 0)
    assert (np.asarray(mask) == 1).all()
    assert pickle.loads(pickle.dumps(mask)) == mask
    assert np.array_equal(fd.dropout_backward(x, mask), x)
    out = np.empty_like(x)
    y, _ = fd.gaussian_dropout(x, 0.3, training=False, out=out)
    assert y is out
    assert np.array_equal(out, x)


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [0, 1, (0, 2), (0, 1, 2), ()], ids=str)
def test_one_factor_for_many_elements(axes, layout, dtype):
    x = LAYOUTS[layout](floats(dtype, (3, 4, 50)))
    axes_of_x = (axes,) if isinstance(axes, int) else axes
    shape = tuple(1 if axis in axes_of_x else length for axis, length in enumerate(x.shape))
    source = fd.Philox4x32(3)
    y, mask = fd.gaussian_dropout(x, 0.3, broadcast_axes=axes, rng=source)
    drawn = fd.Philox4x32(3)
    factors = np.asarray(fd.gaussian_dropout(np.ones(shape), 0.3, rng=drawn)[1])
    assert mask.shape == shape and source.position == drawn.position
    assert np.array_equal(np.asarray(mask), factors)
    repeated = np.broadcast_to(factors, x.shape)
    assert_result(y, x, reference.multiply(native(x), repeated))
    assert_result(mask.backward(x), x, reference.multiply(native(x), repeated))


@pytest.mark.parametrize("rng", [5, np.random.PCG64(5)], ids=["source", "NumPy's"])
def test_one_factor_for_many_elements_in_place(rng):
    x = np.random.default_rng(2).standard_normal((30, 40)).astype(np.float32)
    expected, mask = fd.gaussian_dropout(x, 0.3, broadcast_axes=1, rng=copy.deepcopy(rng))
    for out in (x.copy(), np.empty((40, 30), np.float32).T):
        out[...] = x
        y, again = fd.gaussian_dropout(out, 0.3, broadcast_axes=1, rng=copy.deepcopy(rng), out=out)
        assert y is out
        assert np.array_equal(out, expected)
        assert again == mask
    layer = fd.GaussianDropout(0.3, broadcast_axes=1, rng=copy.deepcopy(rng))
    assert np.array_equal(layer(x), expected)
    assert np.array_equal(layer.backward(x), expected)


def test_bad_input():
    out, source = np.full(4, -5.0), fd.Philox4x32(1)
    for training in (True, False):
        with pytest.raises(ValueError, match=r"p must be .*, not 1\.0"):
            fd.gaussian_dropout(np.ones(4), 1, rng=source, out=out, training=training)
    assert source.position == 0
    assert (out == -5.0).all()
    mask = mask_of((3, 4))
    with pytest.raises(ValueError, match=r"\(3, 4\) does not broadcast to x's shape \(4,\)"):
        mask.apply(np.ones(4))
    with pytest.raises(ValueError, match=r"\(3, 4\) does not broadcast to dy's shape \(5, 3, 5\)"):
        fd.dropout_backward(np.ones((5, 3, 5)), mask)
    with pytest.raises(TypeError, match="int64"):
        mask.apply(np.ones((3, 4), int))
    for index in (1.0, "a"):
        with pytest.raises(TypeError, match="index"):
            mask[index]
    for index in (None, True, [1], [[True, False, True, False]] * 3):
        assert np.array_equal(mask[index], np.asarray(mask)[index])
    with pytest.raises(IndexError):
        mask[3]
    with pytest.raises(TypeError, match="float32"):
        fd.dropout(np.ones((3, 4)), mask=mask)


# ---- statistics ----------------------------------------------------------------------------------

LIMIT = limit_of(4.5)
N = 2**22
MAKERS = {
    **{cls.__name__: cls for cls in SOURCES},
    "PCG64": np.random.PCG64,
}
every_source = first_by_day("make", MAKERS.values(), ids=MAKERS)


def noise(n, rng):
    """Noise of mean 0 and variance 1."""
    return np.asarray(mask_of(n, 0.5, rng)).astype(np.float64) - 1


def assert_binomial(count, n, probability):
    deviation = (count - n * probability) / math.sqrt(n * probability * (1 - probability))
    assert abs(deviation) < LIMIT, f"{deviation:.2f} standard deviations"


@every_source
def test_moments(make):
    z = noise(N, make(seed(4)))
    # Moments of normal numbers, and the variances of their estimates: E z^2k - (E z^k)^2.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = ((z**power).mean() - moment) / math.sqrt(variance / N)
        assert abs(error) < LIMIT, power


@first_by_day("p", [0.1, 0.3, 0.8])
def test_mean_and_variance_are_those_of_dropout(p):
    factors = np.asarray(mask_of(N, p, seed(5))).astype(np.float64)
    variance = p / (1 - p)
    assert abs(factors.mean() - 1) < LIMIT * math.sqrt(variance / N)
    assert abs(factors.var() / variance - 1) < LIMIT * math.sqrt(2 / N)


@every_source
def test_kolmogorov_smirnov(make):
    """The limit of sqrt(n) D is exceeded with probability 2 exp(-2 2.55**2) = 4e-6, by day."""
    n = 2**18
    z = np.sort(noise(n, make(seed(6))))
    cdf = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
    steps = np.arange(n + 1) / n
    distance = max((cdf - steps[:-1]).max(), (steps[1:] - cdf).max())
    assert math.sqrt(n) * distance < 2.55 / 4.5 * LIMIT


@every_source
def test_neighbours_are_independent(make):
    z = noise(N, make(seed(7)))
    for apart in (1, 2, 3, 4, 7, 8, 16, 64, 4096, 8192):
        for a, scale in ((z, 1), (z * z - 1, 2)):
            products = a[apart:] * a[:-apart]
            assert abs(products.mean()) < LIMIT * scale / math.sqrt(products.size), apart


def assert_tails(counts, n):
    """Check counts beyond 3, 4 and 5 standard deviations, each side on its own."""
    for limit, (low, high) in counts.items():
        tail = NormalDist().cdf(-limit)
        assert_binomial(low, n, tail)
        assert_binomial(high, n, tail)


def tail_counts(n, rng, limits):
    counts = {limit: np.zeros(2, int) for limit in limits}
    for _ in range(n // N):
        factors = np.asarray(mask_of(N, 0.5, rng))
        for limit in limits:
            counts[limit] += (factors < 1 - limit).sum(), (factors > 1 + limit).sum()
    return counts


@every_source
def test_tails(make):
    assert_tails(tail_counts(N, make(seed(8)), (1, 2, 3, 4)), N)


@pytest.mark.statistics
@every_source
def test_tails_of_many(make):
    """2**26 draws: 19 are expected beyond 5 standard deviations on each side."""
    assert_tails(tail_counts(2**26, make(seed(9)), (3, 4, 5)), 2**26)


@pytest.mark.slow
@every_source
def test_tails_of_a_thousand_million(make):
    """2**30 draws: 308 are expected beyond 5 standard deviations on each side."""
    assert_tails(tail_counts(2**30, make(seed(10)), (3, 4, 5)), 2**30)


def test_the_farthest_factors():
    """What the docstring says of them: the words at both ends of the distribution."""
    words = np.array([0, 1, -1, -2, 2, -3], np.int32).view(np.uint32)
    z = reference.normal(words).tolist()
    assert z[0] == z[1] == -z[2] == -z[3]
    assert z[4] == -z[5] < z[0]
    assert 6.23 < z[0] < 6.231
    assert -NormalDist().inv_cdf(2.0**-32) == pytest.approx(z[0], abs=1e-6)


def test_the_middle_factors():
    words = np.array([2**31 - 1, -(2**31), 2**31 - 4000, 4000 - 2**31], np.int64).astype(np.uint32)
    z = reference.normal(words).tolist()
    assert z[0] == z[1] == 0.0
    assert 0 < z[2] == -z[3] < 6e-6
