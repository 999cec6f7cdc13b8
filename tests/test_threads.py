# SPDX-License-Identifier: BSD-3-Clause
"""Threads change nothing but the time: not results, not sources, and settings are as asked for."""

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import config
from fastdrop.kernels import _kernels

LARGE = 300_001  # enough for several threads, and no whole tile
PATIENCE = 60  # seconds until something that should have ended is taken to hang


def run_together(*functions):
    """Run functions in threads that start together; give what they return, in order."""
    results, errors = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def run(index, function):
        try:
            barrier.wait(PATIENCE)
            results[index] = function()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=item, daemon=True) for item in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def range_of(mask):
    """Where a seeded mask was drawn: its first and last position."""
    _, (entries,) = mask.__reduce__()
    return entries["position"], entries["position"] + mask.size


# ---- the number of threads -----------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 3, 7, 64])
@pytest.mark.parametrize("n", [1, 65_535, 131_072, 131_073, LARGE, 1_000_003])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_results_do_not_depend_on_the_number_of_threads(threads, n, p, source_class):
    x = np.random.default_rng(1).standard_normal(n).astype(np.float32)

    def results():
        source = source_class(3)
        source.position = 77
        y, mask = fd.dropout(x, p, rng=source)
        return [
            y,
            fd.dropout_backward(x, mask),
            fd.dropout_backward(x, mask.packed()),
            np.asarray(mask),
            mask.packed().bits,
            fd.bernoulli(n, p, rng=source),
            fd.bernoulli(n, p, rng=source, packed=True),
            fd.dropout(x, p, rng=source)[0],
        ]

    fd.set_num_threads(1)
    expected = results()
    fd.set_num_threads(threads)
    for actual, wanted in zip(results(), expected, strict=True):
        assert actual.tobytes() == wanted.tobytes()


def test_broadcast_masks_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(1).standard_normal((601, 13, 101)).astype(np.complex64)
    for noise_shape in ((601, 1, 101), (1, 13, 1), (601, 13, 1)):
        results = set()
        for threads in (1, 2, 5):
            fd.set_num_threads(threads)
            y, _ = fd.dropout(x, 0.3, rng=4, noise_shape=noise_shape)
            results.add(y.tobytes())
        assert len(results) == 1


@pytest.mark.parametrize("n", [1, 2, 1000, np.int64(3)])
def test_any_number_of_threads_is_accepted(n):
    fd.set_num_threads(n)
    assert fd.get_num_threads() == n
    assert type(fd.get_num_threads()) is int
    assert fd.dropout_mask(LARGE, rng=1).packed() == fd.dropout_mask(LARGE, rng=1)


@pytest.mark.parametrize("n", [2**31, 2**32 + 1, 2**63, 2**64, 10**30])
def test_enormous_numbers_of_threads_are_accepted(n):
    fd.set_num_threads(n)
    assert fd.get_num_threads() >= 2**31 - 1
    assert fd.dropout_mask(LARGE, rng=1).packed() == fd.dropout_mask(LARGE, rng=1)


@pytest.mark.parametrize(
    ("n", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (-(2**70), ValueError),
        (2.0, TypeError),
        ("2", TypeError),
        (None, TypeError),
        ([2], TypeError),
    ],
)
def test_numbers_of_threads_that_are_refused(n, error):
    before = fd.get_num_threads()
    with pytest.raises(error) as caught:
        fd.set_num_threads(n)
    assert repr(n) in str(caught.value)
    assert "at least 1" in str(caught.value)
    assert fd.get_num_threads() == before


# ---- several Python threads ----------------------------------------------------------------------


def test_threads_that_share_a_source_draw_disjoint_ranges(source_class):
    source = source_class(1)
    x = {n: np.ones(n, np.float32) for n in (1, 100, 1001, 140_001)}

    def draw(seed):
        sizes = np.random.default_rng(seed).choice(list(x), 100)
        return [
            fd.dropout_mask(int(n), 0.3, rng=source)
            if i % 2
            else fd.dropout(x[int(n)], 0.3, rng=source)[1]
            for i, n in enumerate(sizes)
        ]

    drawn = run_together(*(lambda seed=seed: draw(seed) for seed in range(6)))
    masks = sorted((mask for part in drawn for mask in part), key=range_of)
    ranges = [range_of(mask) for mask in masks]
    assert ranges[0][0] == 0
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges))
    assert ranges[-1][1] == source.position

    serial = source_class(1)
    for mask in masks:
        assert mask == fd.dropout_mask(mask.size, 0.3, rng=serial)


@pytest.mark.parametrize("make", [fd.Xoshiro256PlusPlus, fd.Philox4x32, np.random.PCG64])
def test_threads_that_share_a_source_draw_what_one_would(make):
    """Each draw is whole: together they are the draws of a single thread, in some order."""
    shared, serial = make(1), make(1)
    n, draws, workers = 1003, 60, 5

    def draw():
        return [fd.bernoulli(n, 0.3, rng=shared, packed=True).tobytes() for _ in range(draws)]

    drawn = run_together(*[draw] * workers)
    expected = [
        fd.bernoulli(n, 0.3, rng=serial, packed=True).tobytes() for _ in range(workers * draws)
    ]
    assert sorted(itertools.chain.from_iterable(drawn)) == sorted(expected)


def test_masks_and_words_of_one_source_do_not_overlap():
    source = fd.Xoshiro256PlusPlus(1)
    generator = np.random.Generator(source)
    run_together(
        lambda: [fd.dropout_mask(999, rng=source) for _ in range(300)],
        lambda: [source.random_raw(50) for _ in range(300)],
        lambda: [generator.random(50) for _ in range(300)],
    )
    assert source.position == 300 * (999 + 2 * 50 * 8)


def test_threads_share_the_default_source():
    def draw():
        return [np.asarray(fd.dropout_mask(128)).tobytes() for _ in range(100)]

    drawn = run_together(*[draw] * 5)
    assert len(set(itertools.chain.from_iterable(drawn))) == 500


def test_calls_at_the_same_time():
    """One call has the pool of threads; the others do without it, and nobody waits for ever."""
    fd.set_num_threads(4)
    x = np.random.default_rng(1).standard_normal(LARGE).astype(np.float32)
    expected = {seed: fd.dropout(x, 0.3, rng=seed)[0].tobytes() for seed in range(4)}
    bits = fd.bernoulli(LARGE, 0.3, rng=1, packed=True).tobytes()

    def call(seed):
        out = np.empty_like(x)
        for _ in range(15):
            y, mask = fd.dropout(x, 0.3, rng=seed, out=out)
            assert y.tobytes() == expected[seed]
            assert fd.dropout_backward(x, mask).tobytes() == expected[seed]
            assert fd.bernoulli(LARGE, 0.3, rng=1, packed=True).tobytes() == bits
        return True

    assert all(run_together(*(lambda seed=seed: call(seed) for seed in range(4))))


def test_the_number_of_threads_may_change_during_calls():
    x = np.ones(LARGE, np.float32)
    expected = fd.dropout(x, 0.3, rng=1)[0].tobytes()
    done = threading.Event()

    def change():
        while not done.is_set():
            for threads in (1, 5, 2, 9):
                fd.set_num_threads(threads)

    def call():
        try:
            return all(fd.dropout(x, 0.3, rng=1)[0].tobytes() == expected for _ in range(50))
        finally:
            done.set()

    assert run_together(call, change)[0]


# Made beforehand: the seeding of a source may give up the GIL as well.
NUMPYS = fd.NumPySource(np.random.PCG64(1))
MASK = fd.dropout_mask(1_000_000, 0.3, rng=1)


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no GIL to release"
)
@pytest.mark.parametrize(
    "call",
    [
        lambda x, source: fd.dropout(x, 0.3, rng=source, out=x),
        lambda x, source: fd.dropout(x[::2], 0.3, rng=source, out=x[::2]),
        lambda x, source: fd.dropout_mask(x.size, 0.3, rng=source, store="bits"),
        lambda x, source: fd.bernoulli(x.size, 0.3, rng=source),
        lambda x, _: fd.dropout_mask(x.size, 0.3, rng=NUMPYS),
        lambda x, _: np.asarray(MASK),
    ],
    ids=["apply", "apply in pieces", "draw bits", "bernoulli", "draw from NumPy", "array"],
)
def test_other_threads_run_during_a_call(call):
    """With an endless switch interval another thread runs only when the GIL is given up."""
    fd.set_num_threads(1)
    x = np.ones(1_000_000, np.float32)
    source = fd.Xoshiro256PlusPlus(1)
    ready, go, ran = threading.Event(), threading.Lock(), []

    def other():
        ready.set()
        with go:
            ran.append(True)

    go.acquire()
    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        go.release()
        for _ in range(100_000):
            pass
        early = bool(ran)
        for _ in range(2000):
            call(x, source)
            if ran:
                break
        during = bool(ran)
    finally:
        sys.setswitchinterval(interval)
    thread.join(PATIENCE)
    assert not early
    assert during


# ---- settings ------------------------------------------------------------------------------------

REPORT = (
    "import fastdrop as fd; from fastdrop.kernels import _kernels; "
    "print(fd.get_num_threads(), _kernels.get_level())"
)
VARIABLES = ("FASTDROP_NUM_THREADS", "OMP_NUM_THREADS", "FASTDROP_SIMD")


def python(code, **variables):
    """Run Python with these of the variables and no others."""
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "threads", "level"),
    [
        ({}, None, "auto"),
        ({"FASTDROP_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3, "auto"),
        ({"OMP_NUM_THREADS": "5,2", "FASTDROP_SIMD": "scalar"}, 5, "scalar"),
        ({"FASTDROP_NUM_THREADS": "100", "FASTDROP_SIMD": "auto"}, 100, "auto"),
    ],
)
def test_environment(variables, threads, level):
    result = python(REPORT, **variables)
    assert result.returncode == 0, result.stderr
    levels = fd.simd_levels()
    assert result.stdout.split() == [
        str(config._usable_cpus() if threads is None else threads),
        levels[-1] if level == "auto" else level,
    ]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("FASTDROP_NUM_THREADS", "many", ["'many'", "at least 1"]),
        ("FASTDROP_SIMD", "mmx", ["'mmx'", "'scalar'", "'auto'"]),
    ],
)
def test_a_bad_environment_is_an_error_at_import(variable, value, words):
    result = python(REPORT, **{variable: value})
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: ")
    assert all(word in last for word in (variable, *words))


@pytest.fixture
def environment(monkeypatch):
    """Set variables and read them again; level and threads are then as before."""
    level = _kernels.get_level()

    def read(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        config._from_environment()
        return fd.get_num_threads(), _kernels.get_level()

    yield read
    _kernels.set_level(level)


def test_environment_variables_that_are_obeyed(environment):
    fastest, cpus = fd.simd_levels()[-1], config._usable_cpus()
    assert environment() == (cpus, fastest)
    for level in fd.simd_levels():
        assert environment(FASTDROP_SIMD=level) == (cpus, level)
    assert environment(OMP_NUM_THREADS="7") == (7, fastest)
    assert environment(OMP_NUM_THREADS="7", FASTDROP_NUM_THREADS="2") == (2, fastest)
    for other in ("", "0", "many", "-2"):  # another package's variable: not ours to refuse
        assert environment(OMP_NUM_THREADS=other) == (cpus, fastest)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FASTDROP_NUM_THREADS", "0"),
        ("FASTDROP_NUM_THREADS", "-1"),
        ("FASTDROP_NUM_THREADS", "2.5"),
        ("FASTDROP_NUM_THREADS", "two"),
        ("FASTDROP_SIMD", "AVX-512"),
        ("FASTDROP_SIMD", "avx2,sse2"),
        ("FASTDROP_SIMD", "altivec"),
    ],
)
def test_environment_variables_that_are_refused(environment, variable, value):
    before = fd.get_num_threads(), _kernels.get_level()
    with pytest.raises(ValueError, match=variable) as caught:
        environment(**{variable: value})
    assert value in str(caught.value)
    assert "allowed" in str(caught.value)
    if variable == "FASTDROP_SIMD":
        assert (fd.get_num_threads(), _kernels.get_level()) == before


def test_levels_are_used_inside_their_block_only():
    outer = _kernels.get_level()
    for level in fd.simd_levels():
        with fd.use_simd(level):
            assert _kernels.get_level() == level
            with fd.use_simd("auto"):
                assert _kernels.get_level() == fd.simd_levels()[-1]
            assert _kernels.get_level() == level
        assert _kernels.get_level() == outer
        with pytest.raises(RuntimeError), fd.use_simd(level):
            raise RuntimeError
        assert _kernels.get_level() == outer


@pytest.mark.parametrize("level", ["", "AVX2", "mmx", "scalar ", "all", None, 2])
def test_levels_that_are_refused(level):
    before = _kernels.get_level()
    with pytest.raises((ValueError, TypeError)) as caught, fd.use_simd(level):
        pass
    message = str(caught.value)
    assert repr(level) in message
    assert all(repr(name) in message for name in (*fd.simd_levels(), "auto"))
    assert _kernels.get_level() == before


def test_levels():
    levels = fd.simd_levels()
    assert isinstance(levels, tuple)
    assert levels[0] == "scalar"
    order = ("scalar", "sse2", "avx2", "avx512", "neon")
    assert levels == tuple(level for level in order if level in levels)


def test_show_config(capsys):
    shown = fd.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert shown["version"]["fastdrop"] == fd.__version__
    assert shown["version"]["numpy"] == np.__version__
    assert shown["threads"]["most a call"] == str(fd.get_num_threads())
    assert shown["kernels"]["level"] in fd.simd_levels()
    assert fd.show_config() is None
    printed = capsys.readouterr().out
    for section, entries in shown.items():
        assert section in printed
        for entry, value in entries.items():
            assert entry in printed
            assert str(value) in printed
    with pytest.raises(ValueError, match="'json'"):
        fd.show_config(mode="json")
