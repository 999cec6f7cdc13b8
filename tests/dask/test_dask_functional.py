# SPDX-License-Identifier: BSD-3-Clause
"""Dask arrays have the bits of NumPy's arrays, whatever the chunks and whoever computes them."""

import os
import signal

import dask
import dask.array as da
import numpy as np
import pytest
import signatures
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st

import fastdrop as fd
import fastdrop.dask

SHAPE = (23, 7, 11)
SOURCES = (fd.Xoshiro256PlusPlus, fd.Xorshift128Plus, fd.Philox4x32)


def numbers(dtype="float32", shape=SHAPE):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def chunks_of(length):
    """Sizes of chunks that sum to the length."""
    cuts = st.sets(st.integers(1, length - 1), max_size=4).map(sorted)
    return cuts.map(lambda cuts: tuple(np.diff([0, *cuts, length]).tolist()))


every_chunks = st.tuples(*map(chunks_of, SHAPE))


@settings(max_examples=30)
@given(
    every_chunks,
    every_chunks,
    st.sampled_from(SOURCES),
    st.sampled_from([0, 0.1, 0.5, 1]),
    st.sampled_from([None, 0, -1, (0, 2), (0, 1, 2)]),
)
def test_bits_are_numpys(chunks, others, source, p, axes):
    x, dy = numbers(), numbers("float64")
    expected, of_array = fd.dropout(x, p, rng=source(5), broadcast_axes=axes)
    rng = source(5)
    y, mask = fastdrop.dask.dropout(da.from_array(x, chunks), p, rng=rng, broadcast_axes=axes)
    assert mask == of_array
    assert rng.position == mask.size
    assert (y.chunks, y.dtype) == (chunks, x.dtype)
    assert np.array_equal(y.compute(scheduler="sync"), expected)
    dx = fastdrop.dask.dropout_backward(da.from_array(dy, others), mask)
    assert np.array_equal(dx.compute(scheduler="threads"), fd.dropout_backward(dy, of_array))
    again, _ = fastdrop.dask.dropout(da.from_array(x, others), mask=mask)
    assert np.array_equal(again.rechunk(chunks).compute(scheduler="sync"), expected)


@settings(max_examples=30)
@given(every_chunks, st.sampled_from(SOURCES), st.sampled_from([0.0, 1 / 3, 1.0]))
def test_booleans_are_numpys(chunks, source, p):
    booleans = fastdrop.dask.bernoulli(SHAPE, p, rng=source(5), chunks=chunks)
    assert (booleans.shape, booleans.chunks, booleans.dtype) == (SHAPE, chunks, bool)
    found = booleans.compute(scheduler="sync")
    assert np.array_equal(found, fd.bernoulli(SHAPE, p, rng=source(5)))


@settings(max_examples=30)
@given(
    every_chunks,
    every_chunks,
    st.sampled_from(SOURCES),
    st.sampled_from([(11,), (7, 1), (23, 1, 1), (1, 7, 11), SHAPE]),
    st.sampled_from([None, 0, -1, (0, 2)]),
    st.booleans(),
)
def test_an_array_of_probabilities(chunks, others, source, shape, axes, lazy):
    full = np.random.default_rng(2).uniform(0, 1, shape).round(1)  # with 0 and 1
    shared = () if axes is None else (axes,) if isinstance(axes, int) else axes
    cut = [slice(None)] * 3
    for axis in shared:  # one decision has one p
        cut[axis] = slice(0, 1)
    array = full[tuple(cut[3 - len(shape) :])]
    p = da.from_array(array, 3) if lazy else array
    x, dy = numbers(), numbers("float64")
    expected, of_array = fd.dropout(x, array, rng=source(5), broadcast_axes=axes)
    rng = source(5)
    y, mask = fastdrop.dask.dropout(da.from_array(x, chunks), p, rng=rng, broadcast_axes=axes)
    assert (mask.shape, rng.position) == (of_array.shape, of_array.size)
    assert np.array_equal(mask.p.compute(scheduler="sync"), np.broadcast_to(array, mask.shape))
    assert (y.chunks, y.dtype) == (chunks, x.dtype)
    assert np.array_equal(y.compute(scheduler="sync"), expected)
    dx = fastdrop.dask.dropout_backward(da.from_array(dy, others), mask)
    assert np.array_equal(dx.compute(scheduler="threads"), fd.dropout_backward(dy, of_array))
    again, _ = fastdrop.dask.dropout(da.from_array(x, others), mask=mask)
    assert np.array_equal(again.compute(scheduler="sync"), expected)
    booleans = fastdrop.dask.bernoulli(SHAPE, p, rng=source(5), chunks=chunks)
    found = booleans.compute(scheduler="sync")
    assert np.array_equal(found, fd.bernoulli(SHAPE, array, rng=source(5)))


def test_probabilities_that_are_lazy_are_checked_when_they_are_there():
    y, _ = fastdrop.dask.dropout(X, da.full(6, 1.5))
    with pytest.raises(ValueError, match=r"p\[0, 0\] must .*, not 1.5"):
        y.compute(scheduler="sync")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_dtypes(dtype):
    x = numbers(dtype)
    y, _ = fastdrop.dask.dropout(da.from_array(x, 5), 0.3, rng=1)
    assert y.dtype == dtype
    assert np.array_equal(y.compute(scheduler="sync"), fd.dropout(x, 0.3, rng=1)[0])


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)])
def test_without_axes_and_without_elements(shape):
    y, mask = fastdrop.dask.dropout(da.ones(shape), 0.5, rng=1)
    assert mask.shape == shape
    expected = fd.dropout(np.ones(shape), 0.5, rng=1)[0]
    assert np.array_equal(y.compute(scheduler="sync"), expected)
    booleans = fastdrop.dask.bernoulli(shape, 0.5, rng=1).compute(scheduler="sync")
    assert np.array_equal(booleans, fd.bernoulli(shape, 0.5, rng=1))


def test_nothing_is_computed_before_it_is_asked_for():
    def fail(block):
        raise AssertionError

    x = da.ones(10, chunks=5).map_blocks(fail, dtype=float, meta=np.empty(0))
    y, _ = fastdrop.dask.dropout(x, 0.5)
    assert isinstance(y, da.Array)
    # A large array is as cheap as a small one.
    y, mask = fastdrop.dask.dropout(da.ones((10**5, 10**5), chunks=10**4), 0.5, rng=1)
    block = y[50_000:50_003, 7:9]
    window = mask[50_000:50_003, 7:9]
    assert np.array_equal(block.compute(scheduler="sync") != 0, np.asarray(window))


def test_evaluation_changes_and_draws_nothing():
    source = fd.Philox4x32(1)
    x = da.ones(10, chunks=5)
    y, mask = fastdrop.dask.dropout(x, 0.5, rng=source, training=False)
    assert y is x
    assert np.asarray(mask).all()
    assert source.position == 0


def test_names_follow_from_the_mask():
    x = da.ones((20, 20), chunks=7)
    names = [fastdrop.dask.dropout(x, 0.5, rng=seed)[0].name for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    mask = fd.dropout_mask(10, rng=1)
    assert tokenize(mask) == tokenize(fd.dropout_mask(10, rng=1))
    ps = [np.full(20, p) for p in (0.5, 0.5, 0.6)]
    names = [fastdrop.dask.dropout(x, p, rng=1)[0].name for p in ps]
    assert names[0] == names[1] != names[2]
    names = [fastdrop.dask.bernoulli(9, 0.5, rng=1, chunks=chunks).name for chunks in (3, 3, 4)]
    assert names[0] == names[1] != names[2]


X = da.ones((4, 6), chunks=3)
MISTAKES = {
    "array of NumPy": (
        lambda: fastdrop.dask.dropout(np.ones(3)),
        TypeError,
        "x must be a Dask array, not an ndarray",
    ),
    "pair": (lambda: fastdrop.dask.dropout((X, None)), TypeError, "x must be .*, not a tuple"),
    "integers": (lambda: fastdrop.dask.dropout(X.astype(int)), TypeError, "x must .*, not int64"),
    "sequential": (
        lambda: fastdrop.dask.dropout(X, rng=np.random.default_rng(1)),
        TypeError,
        "rng must be None, a seed or a source .*, which can only go forward",
    ),
    "unknown": (lambda: fastdrop.dask.dropout(X[X > 0]), ValueError, "compute_chunk_sizes"),
    "array p": (
        lambda: fastdrop.dask.dropout(X, da.full(5, 0.5)),
        ValueError,
        r"p shape \(5,\) does not broadcast",
    ),
    "p of an array": (
        lambda: fastdrop.dask.bernoulli(2, np.array([0, 2])),
        ValueError,
        r"p\[1\] ",
    ),
    "p of booleans": (
        lambda: fastdrop.dask.bernoulli(2, da.ones(2, dtype=bool)),
        TypeError,
        "bool",
    ),
    "p unknown": (lambda: fastdrop.dask.dropout(X, X[0][X[0] > 0]), ValueError, "p has shape"),
    "p": (lambda: fastdrop.dask.bernoulli(3, 1.5), ValueError, "p must be .*, not 1.5"),
    "axis": (
        lambda: fastdrop.dask.dropout(X, broadcast_axes=2),
        ValueError,
        "broadcast_axes must .*, not 2",
    ),
    "shape": (
        lambda: fastdrop.dask.dropout(X, mask=fd.dropout_mask(5)),
        ValueError,
        r"mask shape \(5,\) does not broadcast",
    ),
    "of backward": (
        lambda: fastdrop.dask.dropout_backward(X[:2], fd.dropout_mask((5, 6))),
        ValueError,
        r"mask shape \(5, 6\) does not broadcast to dy's",
    ),
    "a mask and p": (
        lambda: fastdrop.dask.dropout(X, 0.5, mask=fd.dropout_mask(6)),
        TypeError,
        "p=0.5 and a mask exclude each other",
    ),
    "of NumPy, backward": (
        lambda: fastdrop.dask.dropout_backward(np.ones(6), fd.dropout_mask(6)),
        TypeError,
        "dy must .*, not an ndarray: fastdrop.dropout_backward takes NumPy's",
    ),
    "zoneout's mask": (
        lambda: fastdrop.dask.dropout_backward(X, fd.zoneout(*np.ones((2, 4, 6)), 0.5)[1]),
        ValueError,
        "zoneout",
    ),
    "alpha's mask": (
        lambda: fastdrop.dask.dropout(X, mask=fd.alpha_dropout(np.ones(6), 0.5)[1]),
        ValueError,
        "mask must be a mask of dropout, not one of alpha",
    ),
    "a peer's word": (
        lambda: fastdrop.dask.dropout(X, 0.5, random_state=1),
        TypeError,
        r"dropout\(\) has no argument random_state=1: it is called rng here",
    ),
    "positional": (
        lambda: fastdrop.dask.bernoulli(3, 0.5, 1),
        TypeError,
        r"by position: give 1 by name \(rng, chunks\)",
    ),
    "no mask": (
        lambda: fastdrop.dask.dropout_backward(X, np.ones(6, bool)),
        TypeError,
        "mask must be .*, not an ndarray",
    ),
    "mask and rng": (
        lambda: fastdrop.dask.dropout(X, mask=fd.dropout_mask(6), rng=1),
        TypeError,
        "rng=1 and a mask exclude each other",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, error, words = MISTAKES[name]
    with pytest.raises(error, match=words):
        call()


@pytest.mark.skipif(not signatures.PAGE.exists(), reason="the documentation is not here")
def test_signatures_are_those_of_the_table():
    names = set(fastdrop.dask.__all__) - {"ChunkedMask"}  # which calls make, as they do masks
    assert signatures.found(fastdrop.dask, names) == signatures.written("fastdrop.dask.")


def test_a_refused_call_advances_no_source():
    source = fd.Philox4x32(1)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        fastdrop.dask.dropout(X[X > 0], rng=source)
    assert source.position == 0


def test_workers_that_die_change_nothing():
    distributed = pytest.importorskip("distributed")
    x = numbers(shape=(400, 300))
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 10}),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        y, mask = fastdrop.dask.dropout(da.from_array(x, 20), 0.1, rng=1)
        future = client.compute(y)
        process = next(iter(cluster.workers.values())).process.process
        os.kill(process.pid, signal.SIGTERM)
        found = future.result(timeout=300)
    assert np.array_equal(found, mask.apply(x))


def test_zarr(tmp_path):
    pytest.importorskip("zarr")
    x = numbers()
    da.from_array(x, (5, 7, 11)).to_zarr(str(tmp_path / "x"))
    y, mask = fastdrop.dask.dropout(da.from_zarr(str(tmp_path / "x")), 0.1, rng=1)
    y.to_zarr(str(tmp_path / "y"))
    assert np.array_equal(da.from_zarr(str(tmp_path / "y")).compute(), mask.apply(x))


def test_a_mask_is_an_array_of_dask():
    mask = fd.dropout_mask(SHAPE, 0.3, rng=1)
    kept = da.from_array(mask, 5)
    assert np.array_equal(kept.compute(scheduler="sync"), np.asarray(mask))


def test_xarray_keeps_its_coordinates():
    xarray = pytest.importorskip("xarray")
    x = xarray.DataArray(numbers(), dims=("time", "y", "x"), coords={"x": range(11)}).chunk(5)
    y, mask = fastdrop.dask.dropout(x.data, 0.5, rng=1)
    y = x.copy(data=y)
    assert y.coords.equals(x.coords)
    assert np.array_equal(y.values, mask.apply(x.values))


@pytest.mark.parametrize("chunks", ["a", -5, 0, (2, 2), ((2, 2),), 1.5, None])
def test_chunks_are_checked(chunks):
    source = fd.Philox4x32(1)
    with pytest.raises(ValueError, match=r"^chunks must be .* for shape \(3,\), not ") as caught:
        fastdrop.dask.bernoulli(3, 0.5, rng=source, chunks=chunks)
    assert "\n" not in str(caught.value)
    assert source.position == 0


def test_errors_name_the_array_and_the_mask():
    x = da.ones((3, 4), chunks=2)
    _, of_zoneout = fd.zoneout(np.ones((3, 4)), np.ones((3, 4)), 0.5, rng=1)
    for call, error, words in (
        (fastdrop.dask.dropout, TypeError, "x must be given; it is missing$"),
        (
            lambda: fastdrop.dask.dropout_backward(x.astype(int), of_zoneout),
            TypeError,
            "dy must have dtype .*, not int64: dy.astype",
        ),
        (
            lambda: fastdrop.dask.dropout_backward(x, of_zoneout),
            ValueError,
            r"mask must be given to zoneout_backward.* shape \(3, 4\)",
        ),
        (
            lambda: fastdrop.dask.dropout(x, None, mask=fd.dropout_mask((3, 4), rng=1)),
            TypeError,
            "p=None and a mask exclude each other",
        ),
    ):
        with pytest.raises(error, match=f"^{words}"):
            call()
