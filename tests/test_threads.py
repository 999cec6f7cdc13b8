# SPDX-License-Identifier: BSD-3-Clause
"""Threads change nothing but the time: not results, not sources, not the threads of others."""

import copy
import itertools
import os
import pickle
import platform
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from together import PATIENCE, run_together

import fastdrop as fd
from fastdrop.kernels import _testing

LARGE = 300_001  # enough for several threads, and no whole tile


def range_of(mask):
    """Where a seeded mask was drawn: its first and last position."""
    position = mask.state["position"]
    return position, position + mask.size


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


@pytest.mark.slow
def test_everything_at_once():
    """What `nox -s thread_sanitizer` looks at: every way to read and write what threads share."""
    sources = [fd.Xoshiro256PlusPlus(1), fd.Philox4x32(2), fd.NumPySource(np.random.PCG64(3))]
    states = [source.state for source in (fd.Xoshiro256PlusPlus(4), fd.Xoshiro256PlusPlus(5))]
    rng = np.random.Generator(sources[0])
    mask = fd.dropout_mask(LARGE, 0.3, rng=6)
    x = np.ones(LARGE, np.float32)
    expected = mask.apply(x).tobytes()
    calls = [
        lambda i: fd.dropout(x, 0.3, rng=sources[i % 3]),
        lambda i: fd.dropout(x[:100], 0.3, rng=sources[i % 3]),
        lambda i: fd.dropout(x[:100], 0.3),
        lambda i: fd.gaussian_dropout(x, 0.3, rng=sources[i % 3]),
        lambda i: fd.bernoulli(1000, 0.3, rng=sources[i % 3], packed=True),
        lambda i: rng.random(1000),
        lambda i: (sources[i % 2].state, sources[i % 2].position, repr(sources[i % 2])),
        lambda i: pickle.loads(pickle.dumps(sources[i % 3])),
        lambda i: (sources[i % 2].jumped(), sources[i % 2].spawn(2), copy.copy(sources[i % 2])),
        lambda i: setattr(sources[0], "state", states[i % 2]),
        lambda i: setattr(sources[i % 2], "position", i),
        lambda i: fd.set_num_threads(1 + i % 4),
        lambda i: fd.use_simd(fd.simd_levels()[i % len(fd.simd_levels())])(np.asarray)(mask),
    ]

    def work(seed):
        for index in np.random.default_rng(seed).integers(1000, size=200).tolist():
            calls[index % len(calls)](index // len(calls))
            if index % 20 == 0:
                assert mask.apply(x).tobytes() == expected

    run_together(*(lambda seed=seed: work(seed) for seed in range(6)))


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


# ---- workers are guests --------------------------------------------------------------------------


def program(code, *arguments):
    """Run Python, with no other threads of NumPy's; give the words that it prints."""
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, f"{result.returncode}: {result.stderr}"
    return result.stdout.split()


# Where the floating-point mode is in fenv_t, and bits of it: subnormals are zero; round upwards.
FLOAT_MODES = {
    "x86_64": (28, {"flush": 0x8040, "upward": 0x4000}),
    "aarch64": (0, {"flush": 1 << 24, "upward": 1 << 22}),
}
IN_A_MODE = """
import ctypes, sys, threading
import numpy as np, fastdrop as fd

offset, bits, starts = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
environment = (ctypes.c_uint8 * 64)()
fegetenv, fesetenv = ctypes.CDLL(None).fegetenv, ctypes.CDLL(None).fesetenv
x = np.full(1_000_000, 1e-40, np.float32)
x[::2] = 0.1

def switch():
    fegetenv(environment)
    mode = ctypes.c_uint32.from_buffer(environment, offset)
    mode.value ^= bits
    fesetenv(environment)

def results(threads):
    fd.set_num_threads(threads)
    y, mask = fd.dropout(x, 1 / 3, rng=1)
    z, _ = fd.gaussian_dropout(x, 1 / 3, rng=1)
    return y.tobytes() + z.tobytes() + mask.backward(x).tobytes()

plain = results(1)
if starts == "caller":
    results(4)
else:
    def start():
        switch()
        results(4)
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
same = results(4) == plain
switch()
one, many = results(1), results(4)
switch()
print(same, one != plain, many == one, results(4) == plain)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in FLOAT_MODES,
    reason="the floating-point modes of this machine are not known here",
)
@pytest.mark.parametrize("starts", ["caller", "another thread in that mode"])
@pytest.mark.parametrize("mode", ["flush", "upward"])
def test_workers_compute_in_the_callers_mode(mode, starts):
    """Whoever starts the pool, results do not depend on the number of threads."""
    offset, bits = FLOAT_MODES[platform.machine()]
    assert program(IN_A_MODE, offset, bits[mode], starts) == ["True"] * 4


BLOCKED = """
import os, signal
import numpy as np, fastdrop as fd

def tasks():
    return set(os.listdir("/proc/self/task"))

before, own = tasks(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
fd.set_num_threads(3)
fd.dropout(np.ones(1_000_000, np.float32))
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == own
for _ in range(300):  # a thread that has not begun blocks everything: each has part of a call
    fd.dropout(np.ones(1_000_000, np.float32))
for task in tasks() - before:
    with open(f"/proc/self/task/{task}/status") as status:
        print(*(line.split()[1] for line in status if line.startswith("SigBlk")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what threads block")
def test_workers_block_signals():
    """All but those that say what the thread did itself. (A sanitizer may have a thread too.)"""
    others = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD}
    own = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
    blocked = [
        {number for number in signal.Signals if int(word, 16) >> (number - 1) & 1}
        for word in program(BLOCKED)
    ]
    assert all(numbers >= others for numbers in blocked)
    assert sum(not numbers & own for numbers in blocked) == 2


@pytest.mark.parametrize(("tasks", "workers"), [(2, 2), (64, 8), (3, 2), (200, 3), (200, 20)])
def test_workers_have_numbers_of_their_own(tasks, workers):
    """Scratch memory is theirs: also where the pool has more threads than a call's workers."""
    for most in (workers, 2, workers):
        numbers, clash = _testing.run_tasks(tasks, most)
        assert not clash
        assert numbers.max() < most


WAITS = """
import os, signal
import numpy as np, fastdrop as fd
fd.set_num_threads(3)
fd.dropout(np.ones(1_000_000, np.float32))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.kill(os.getpid(), signal.SIGUSR1)
print(signal.sigtimedwait({signal.SIGUSR1}, 60).si_signo == signal.SIGUSR1)
"""


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="this system has no sigtimedwait")
def test_workers_leave_signals_to_the_program():
    """One that the program waits for does not end it in a worker."""
    assert program(WAITS) == ["True"]


SMALL_STACK = """
import sys, threading
import numpy as np, fastdrop as fd

x, p = np.ones((97, 101)), np.full(101, 0.3)
sources = [fd.Xoshiro256PlusPlus(1), fd.Philox4x32(1)]
for draws in ("bytes", "double", "float"):
    sources.append(fd.NumPySource(np.random.PCG64(1), draws=draws))
pairs = [(q, source) for q in (0.1, p) for source in sources]
kinds = (np.float16, np.float32, np.float64, np.complex64, np.complex128)
calls = [
    lambda: [fd.dropout(x.astype(kind), q, rng=s) for kind in kinds for q, s in pairs],
    lambda: [fd.dropout(x.T[::-2].T, 0.1, rng=s) for s in sources],
    lambda: [fd.gaussian_dropout(x.astype(kind), 0.1, rng=s) for kind in kinds for s in sources],
    lambda: [fd.bernoulli(x.shape, q, rng=s) for q, s in pairs],
    lambda: fd.dropout2d(np.ones((3, 4, 50, 60)), 0.1, rng=1),
    lambda: fd.drop_block2d(np.ones((3, 4, 25, 26)), 0.1, block_size=5, rng=1),
    lambda: np.asarray(fd.dropout_mask(x.shape, 0.1, rng=1)[::2, ::-3]),
    lambda: fd.relu_dropout(x, 0.1, rng=1),
    lambda: fd.alpha_dropout(x, 0.1, rng=1),
    lambda: fd.dropout_add(x, x, 0.1, bias=p, rng=1),
]
fd.set_num_threads(1)
for call in calls:
    call()  # what is imported or made once is not what is asked about
threading.stack_size(32768)
for call in calls:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other smallest stacks")
def test_threads_with_the_smallest_stack(level):
    """32 KiB: Python makes no smaller ones."""
    assert program(f"import fastdrop\nfastdrop.use_simd({level!r}).__enter__()" + SMALL_STACK) == [
        "done"
    ]
