# SPDX-License-Identifier: BSD-3-Clause
"""A mask behaves like the array that it stands for; other packages keep their types."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastdrop as fd

SHAPE = (4, 3)
X = np.arange(1.0, 13.0).reshape(SHAPE)
ANY_TYPE = {"+": operator.add, "*": operator.mul}
BOOLS = {"&": operator.and_, "|": operator.or_, "^": operator.xor}
OPERATORS = ANY_TYPE | BOOLS | {"-": operator.sub}


def draw(shape=SHAPE, store="seed"):
    return fd.dropout_mask(shape, 0.3, rng=1, store=store)


MASKS = {
    "seeded": draw(),
    "packed": draw(store="bits"),
    "window": draw((9, 6))[::-2, ::2][:4],
    "transposed": draw((3, 4)).T,
    "of arrays": fd.dropout_mask(SHAPE, np.linspace(0, 1, 12).reshape(SHAPE), rng=1),
}
every_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def assert_same(found, expected):
    """The same array: type, dtype, shape and elements."""
    assert type(found) is type(expected)
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    assert np.shape(found) == np.shape(expected)
    assert np.array_equal(found, expected)


# ---- attributes and methods ----------------------------------------------------------------------


@every_mask
def test_attributes(mask):
    kept = np.asarray(mask)
    assert mask.dtype == np.dtype(bool)
    assert (mask.ndim, mask.shape, mask.size, len(mask)) == (2, SHAPE, 12, 4)
    assert [np.asarray(row).tolist() for row in mask] == kept.tolist()
    assert np.array_equal(list(mask), kept)
    for axis in (None, 0, -1, (0, 1)):
        for name in ("sum", "mean", "any", "all"):
            expected = getattr(kept, name)(axis=axis)
            assert_same(getattr(mask, name)(axis=axis), expected)
            assert_same(getattr(np, name)(mask, axis=axis), expected)
    assert_same(mask.sum(0, keepdims=True), kept.sum(0, keepdims=True))
    assert_same(mask.astype(np.float32), kept.astype(np.float32))
    assert (True in mask, False in mask) == (True in kept, False in kept)
    assert True not in fd.dropout_mask(9, 1.0, rng=1)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 3), (2, 3, 4)])
@pytest.mark.parametrize("store", ["seed", "bits"])
def test_attributes_of_other_shapes(shape, store):
    mask = draw(shape, store)
    kept = np.asarray(mask)
    assert mask.ndim == kept.ndim
    assert_same(mask.sum(), kept.sum())
    assert_same(mask.any(), kept.any())
    assert_same(mask.all(), kept.all())
    assert_same(np.asarray(mask.T), kept.T.copy())
    assert mask == mask.T.T
    assert_same(~mask, ~kept)


def test_gaussian_masks_are_arrays_of_float32():
    for rng in (1, np.random.default_rng(1)):
        _, mask = fd.gaussian_dropout(X, 0.3, rng=rng)
        factors = np.asarray(mask)
        assert (mask.dtype, mask.ndim) == (np.dtype(np.float32), 2)
        assert_same(mask.mean(axis=0), factors.mean(axis=0))
        assert_same(np.asarray(mask.T), factors.T.copy())
        assert isinstance(mask.T, fd.GaussianMask)
        assert np.array_equal(mask.T.apply(X.T), mask.apply(X).T)
        assert_same(X * mask, X * factors)
        assert_same(1 - mask, 1 - factors)
        assert_same(np.from_dlpack(mask), factors)
        assert mask == mask.T.T


# ---- windows and T are masks ---------------------------------------------------------------------

masks = st.builds(
    draw,
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7),
    st.sampled_from(["seed", "bits"]),
)


@given(mask=masks, data=st.data())
@settings(max_examples=150)
def test_windows_of_transposed_masks(mask, data):
    kept = np.asarray(mask)
    for _ in range(3):
        window = data.draw(hnp.basic_indices(mask.shape))
        seeded = mask.nbytes == 0
        mask, kept = mask[window].T, kept[window].T
        assert isinstance(mask, fd.Mask)
        assert mask.shape == kept.shape
        assert (mask.nbytes == 0) >= seeded
    assert np.array_equal(np.asarray(mask), kept)
    assert mask == mask.packed() == fd.Mask.from_state(mask.state) == fd.Mask.from_array(kept, 0.3)
    x = np.arange(1.0, kept.size + 1).reshape(kept.shape)
    assert np.array_equal(mask.apply(x), np.where(kept, x * mask.scale, 0))


@pytest.mark.parametrize("p_shape", [(2, 3, 4), (4,), (3, 1), (2, 1, 1), (1, 3, 4)])
def test_numbers_of_transposed_masks(p_shape):
    p = np.linspace(0.1, 0.8, int(np.prod(p_shape))).reshape(p_shape)
    mask = fd.dropout_mask((2, 3, 4), p, rng=1)
    x = np.arange(1.0, 25.0).reshape(2, 3, 4)
    assert np.array_equal(np.broadcast_to(mask.T.p, (4, 3, 2)), np.broadcast_to(p, (2, 3, 4)).T)
    assert np.array_equal(mask.T.apply(x.T), mask.apply(x).T)
    assert np.array_equal(mask.T[1:].apply(x.T[1:]), mask.apply(x).T[1:])
    assert mask == mask.T.T


@pytest.mark.parametrize("shape", [(4096, 2100), (60, 300, 500), (7, 2**20), (2**20, 7)])
def test_large_masks_are_transposed_in_pieces(shape):
    mask = draw(shape)
    expected = np.asarray(mask).T
    assert np.array_equal(mask.T, expected)
    assert np.array_equal(mask.packed().T, expected)
    window = (slice(None, None, -1), slice(None, None, 3))
    assert np.array_equal(mask.T[window], expected[window])


def test_masks_larger_than_memory_are_transposed():
    mask = draw((2**20, 2**20))
    assert np.array_equal(mask.T[5:9, :: 2**12], np.asarray(mask[:: 2**12, 5:9]).T)


# ---- operators -----------------------------------------------------------------------------------


@every_mask
@pytest.mark.parametrize("other", [X, X.astype("f4"), np.arange(3), 2, 2.5, 1j, np.float32(3)])
@pytest.mark.parametrize("name", [*ANY_TYPE, "-"])
def test_operators_give_what_those_of_the_array_give(mask, other, name):
    function, kept = OPERATORS[name], np.asarray(mask)
    assert_same(function(mask, other), function(kept, other))
    assert_same(function(other, mask), function(other, kept))


@every_mask
@pytest.mark.parametrize("other", [X > 5, True, np.False_, MASKS["window"], np.arange(3), 6])
@pytest.mark.parametrize("name", BOOLS)
def test_operators_of_bools(mask, other, name):
    function, kept = BOOLS[name], np.asarray(mask)
    plain = np.asarray(other) if isinstance(other, fd.Mask) else other
    assert_same(function(mask, other), function(kept, plain))
    assert_same(function(other, mask), function(plain, kept))
    assert_same(~mask, ~kept)


def test_bools_are_not_subtracted():
    with pytest.raises(TypeError, match="numpy boolean subtract"):
        MASKS["seeded"] - MASKS["packed"]


def test_what_operators_give_is_new():
    mask = MASKS["packed"]
    result = mask | False
    result[...] = True
    assert mask == MASKS["seeded"]
    x = X.copy()
    x *= mask
    assert np.array_equal(x, X * np.asarray(mask))


def test_masks_select_of_numpys_arrays():
    mask, kept = MASKS["seeded"], np.asarray(MASKS["seeded"])
    assert np.array_equal(X[mask], X[kept])
    assert np.array_equal(np.where(mask, X, 0), np.where(kept, X, 0))
    assert np.array_equal(np.ma.array(X, mask=~mask).compressed(), X[kept])
    x = X.copy()
    x[mask] = 0
    assert np.array_equal(x, X * ~kept)


def test_equality_is_one_bool():
    mask = MASKS["seeded"]
    assert (mask == MASKS["packed"]) is True
    assert (mask != draw((3, 4)).T) is True


def test_masks_have_no_ufunc_of_their_own():
    """With it, `mask * x` would be an array of NumPy, whatever x is."""
    assert not hasattr(fd.Mask, "__array_ufunc__")
    assert not hasattr(fd.GaussianMask, "__array_ufunc__")


# ---- other packages ------------------------------------------------------------------------------


@every_mask
def test_dlpack(mask):
    assert mask.__dlpack_device__() == (1, 0)
    assert_same(np.from_dlpack(mask).copy(), np.asarray(mask))
    with pytest.raises(BufferError, match="copy=False"):
        mask.__dlpack__(copy=False)


def assert_keeps_types(make):
    """Operators with arrays that ``make`` makes of NumPy's give arrays of that kind."""
    for mask in MASKS.values():
        kept = np.asarray(mask)
        for x, names in ((X, [*ANY_TYPE, "-"]), (X.astype(int), ANY_TYPE), (X > 5, BOOLS)):
            other = make(x)
            for name in names:
                for left, right, expected in (
                    (mask, other, OPERATORS[name](kept, x)),
                    (other, mask, OPERATORS[name](x, kept)),
                ):
                    result = OPERATORS[name](left, right)
                    assert type(result) is type(other), name
                    assert result.dtype == other.dtype
                    assert np.array_equal(np.asarray(result), expected), name


def test_torch():
    torch = pytest.importorskip("torch")
    assert_keeps_types(torch.tensor)
    for mask in MASKS.values():
        kept = np.asarray(mask)
        for convert in (torch.as_tensor, torch.asarray, torch.from_dlpack):
            assert convert(mask).dtype == torch.bool
            assert np.array_equal(convert(mask).numpy(), kept)
        x = torch.tensor(X, requires_grad=True)
        (x * mask + mask * x).sum().backward()
        assert np.array_equal(x.grad.numpy(), 2.0 * kept)
        half = torch.ones(SHAPE, dtype=torch.bfloat16)
        assert (half * mask).dtype == (mask * half).dtype == torch.bfloat16


def test_jax():
    jax = pytest.importorskip("jax")
    assert_keeps_types(jax.numpy.asarray)
    for mask in MASKS.values():
        kept = np.asarray(mask)
        for convert in (jax.numpy.asarray, jax.numpy.from_dlpack):
            assert convert(mask).dtype == bool
            assert np.array_equal(convert(mask), kept)
        for function in (lambda x, mask=mask: x * mask, lambda x, mask=mask: mask * x):
            assert np.array_equal(jax.jit(function)(X), X * kept)


def test_dask():
    dask_array = pytest.importorskip("dask.array")
    assert_keeps_types(lambda x: dask_array.from_array(x, chunks=2))
    mask = draw((40, 30))
    kept, x = np.asarray(mask), np.arange(1200.0).reshape(40, 30)
    lazy = dask_array.from_array(mask, chunks=(7, 9))
    lazy_x = dask_array.from_array(x, chunks=8)
    for result, expected in (
        (lazy, kept),
        (lazy.mean(axis=0), kept.mean(axis=0)),
        (lazy.any(axis=1), kept.any(axis=1)),
        (~lazy, ~kept),
        (lazy * lazy_x, kept * x),
        (lazy[3:9, 2], kept[3:9, 2]),
        (lazy[[5, 1]], kept[[5, 1]]),
        (lazy.T, kept.T),
        (dask_array.where(lazy, lazy_x, 0), np.where(kept, x, 0)),
        (lazy.astype(int).sum(), kept.sum()),
    ):
        computed = result.compute(scheduler="synchronous")
        assert computed.dtype == result.dtype
        assert np.allclose(computed, expected, rtol=1e-12)
    large = dask_array.from_array(draw((2**20, 2**20)), chunks=2**10)
    window = large[2**19 : 2**19 + 3, 5:9].compute(scheduler="synchronous")
    assert np.array_equal(window, draw((2**20, 2**20))[2**19 : 2**19 + 3, 5:9])


def test_xarray():
    xarray = pytest.importorskip("xarray")
    assert_keeps_types(lambda x: xarray.DataArray(x, dims=("row", "column")))
    for mask in MASKS.values():
        kept = np.asarray(mask)
        data = xarray.DataArray(X, dims=("row", "column"))
        named = xarray.DataArray(mask, dims=("row", "column"))
        assert named.dtype == bool
        assert np.array_equal(named.values, kept)
        assert np.array_equal(data.where(named).fillna(0), X * kept)


def test_pandas():
    pandas = pytest.importorskip("pandas")
    for mask in MASKS.values():
        kept = np.asarray(mask)
        frame, series = pandas.DataFrame(X), pandas.Series(X[:, 0])
        assert (mask * frame).equals(pandas.DataFrame(kept * X))
        assert frame.where(mask).equals(pandas.DataFrame(np.where(kept, X, np.nan)))
        assert np.array_equal(pandas.DataFrame(mask).to_numpy(), kept)
        assert (series * mask[:, 0]).equals(pandas.Series((X * kept)[:, 0]))
        assert (mask[:, 0] * series).equals(pandas.Series((X * kept)[:, 0]))


def test_scikit_learn():
    utils = pytest.importorskip("sklearn.utils")
    linear_model = pytest.importorskip("sklearn.linear_model")
    for mask in MASKS.values():
        assert np.array_equal(utils.check_array(mask), np.asarray(mask))
    model = linear_model.LinearRegression()
    assert np.array_equal(
        model.fit(draw((50, 3)), np.arange(50)).coef_,
        model.fit(np.asarray(draw((50, 3))), np.arange(50)).coef_,
    )
