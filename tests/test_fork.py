# SPDX-License-Identifier: BSD-3-Clause
"""A forked child neither hangs nor repeats its parent's random masks."""

import contextlib
import ctypes
import multiprocessing
import os
import threading

import numpy as np
import pytest

import fastdrop as fd

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Python's remark that only careful libraries survive this: here is the proof that this one is.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

PATIENCE = 60  # seconds until a child is taken to hang
X = np.ones(600_001, np.float32)  # enough for several threads


@pytest.fixture(autouse=True)
def several_threads():
    """Fork with a pool of threads that is there and has been at work."""
    fd.set_num_threads(3)
    fd.dropout(X, rng=1)


def in_children(function, count=1):
    """Run a function in forked children at the same time; give what they send."""
    context = multiprocessing.get_context("fork")
    children = []
    for _ in range(count):
        own, others = context.Pipe(duplex=False)
        child = context.Process(target=lambda end=others: end.send(function()), daemon=False)
        child.start()
        others.close()
        children.append((child, own))
    results = []
    try:
        for _, own in children:
            assert own.poll(PATIENCE), "a child hangs"
            results.append(own.recv())
        for child, _ in children:
            child.join(PATIENCE)
            assert child.exitcode == 0
    finally:
        for child, own in children:
            child.kill()
            child.join()
            own.close()
    return results


def parallel_results():
    """What calls on several threads give."""
    y, mask = fd.dropout(X, 0.3, rng=5)
    return [
        y.tobytes(),
        fd.dropout_backward(X, mask).tobytes(),
        mask.packed().bits.tobytes(),
        fd.bernoulli(X.size, 0.3, rng=5, packed=True).tobytes(),
    ]


def unseeded_masks():
    """What three calls without rng draw."""
    return [
        np.asarray(fd.dropout(np.ones(256))[1]).tobytes(),
        np.asarray(fd.dropout_mask(256)).tobytes(),
        fd.bernoulli(256, 0.5).tobytes(),
    ]


def test_children_run_on_threads_of_their_own():
    expected = parallel_results()
    assert in_children(parallel_results, 3) == [expected] * 3
    assert parallel_results() == expected


def test_children_do_not_repeat_their_parents_masks():
    drawn = unseeded_masks()
    for masks in in_children(unseeded_masks, 3):
        drawn += masks
    drawn += unseeded_masks()
    assert len(set(drawn)) == len(drawn) == 15


def grandchildren():
    masks = unseeded_masks()
    for more in in_children(unseeded_masks, 2):
        masks += more
    return masks, in_children(parallel_results)[0]


def test_children_of_children():
    expected = parallel_results()
    drawn = unseeded_masks()
    for masks, results in in_children(grandchildren, 2):
        drawn += masks
        assert results == expected
    assert len(set(drawn)) == len(drawn) == 21


def test_a_childs_copy_of_a_source_goes_on_as_its_parents():
    source = fd.Xoshiro256PlusPlus(3)
    fd.dropout(X, 0.3, rng=source)

    def draw():
        y, mask = fd.dropout(X, 0.3, rng=source)
        return y.tobytes(), np.asarray(mask).tobytes(), source.position

    (child,) = in_children(draw)
    assert child == draw()


def test_masks_of_the_parent_are_applied_in_children():
    for mask in (fd.dropout_mask(X.size, 0.3, rng=4), fd.dropout_mask(X.size)):
        expected = fd.dropout_backward(X, mask).tobytes()
        assert in_children(lambda mask=mask: mask.backward(X).tobytes()) == [expected]


def test_forks_while_another_thread_is_inside_a_call():
    expected = parallel_results()
    source = fd.Xoshiro256PlusPlus(1)
    started, done, calls = threading.Event(), threading.Event(), []

    def call():
        out = np.empty_like(X)
        while not done.is_set():
            fd.dropout(X, 0.3, out=out)
            fd.dropout(X, 0.3, rng=source, out=out)
            calls.append(1)
            started.set()

    def child():
        fd.dropout(X, 0.3, rng=source)
        return parallel_results()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        assert started.wait(PATIENCE)
        for _ in range(12):
            assert in_children(child) == [expected]
    finally:
        done.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert parallel_results() == expected


def seeded_task(seed):
    y, mask = fd.dropout(X, 0.3, rng=seed)
    return y.tobytes(), np.asarray(mask).tobytes()


def unseeded_task(_):
    return np.asarray(fd.dropout_mask(256)).tobytes()


def test_pools_of_processes():
    expected = [seeded_task(seed) for seed in range(8)]
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map_async(seeded_task, range(8), chunksize=1).get(PATIENCE) == expected
        drawn = pool.map_async(unseeded_task, range(24), chunksize=1).get(PATIENCE)
    drawn.append(unseeded_task(None))
    assert len(set(drawn)) == 25


def send_back(mask):
    return mask[::2], np.asarray(mask).tobytes()


def test_masks_travel_between_processes():
    masks = [fd.dropout_mask(1001, 0.3, rng=1, store=store) for store in ("seed", "bits")]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for mask, (half, kept) in zip(
            masks, pool.map_async(send_back, masks).get(PATIENCE), strict=True
        ):
            assert half == mask[::2]
            assert kept == np.asarray(mask).tobytes()


# ---- locks that another thread of the parent holds ----------------------------------------------


class Paused:
    """A bit generator whose draw begins and does not end until it is told to."""

    def __init__(self):
        self.inner = np.random.PCG64(1)
        self.lock = self.inner.lock
        self.begun, self.go_on = threading.Event(), threading.Event()
        words = self.inner.ctypes.next_uint64, self.inner.ctypes.state

        @ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)
        def next_uint64(_):
            self.begun.set()
            self.go_on.wait(PATIENCE)
            return words[0](words[1])

        self.struct = (ctypes.c_void_p * 5).from_buffer_copy(
            (ctypes.c_void_p * 5).from_address(self.inner.ctypes.bit_generator.value)
        )
        self.struct[1] = ctypes.cast(next_uint64, ctypes.c_void_p)
        self.kept_alive = next_uint64
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
        )
        self.name = ctypes.c_char_p(b"BitGenerator")
        self.capsule = new(ctypes.addressof(self.struct), self.name, None)


@contextlib.contextmanager
def held_by_another_thread(lock):
    """Have a thread hold a lock, as if it were drawing numbers without the GIL."""
    taken, done = threading.Event(), threading.Event()

    def hold():
        with lock:
            taken.set()
            done.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(PATIENCE)
    try:
        yield
    finally:
        done.set()
        thread.join(PATIENCE)


@pytest.mark.parametrize("make", [fd.Xoshiro256PlusPlus, fd.Philox4x32])
def test_a_source_that_a_generator_was_drawing_from(make):
    """The child goes on where the fork caught it, with masks and with NumPy's numbers."""
    source = make(1)
    rng = np.random.Generator(source)
    rng.random(3)
    twin = make(1)
    twin.position = source.position

    def draw():
        return (
            fd.bernoulli(100, 0.3, rng=source, packed=True).tobytes(),
            rng.random(3).tobytes(),
            source.spawn(1)[0].key,
            source.position,
        )

    with held_by_another_thread(source.lock):
        (child,) = in_children(draw)
        assert not source.lock.acquire(blocking=False), "it is still the other thread's"
    source, rng = twin, np.random.Generator(twin)
    assert child == draw()


def test_a_generator_of_numpy_that_a_draw_had():
    """Its lock is that of NumPy's Generators, too."""
    paused = Paused()
    source = fd.NumPySource(paused)
    n = 9000
    thread = threading.Thread(target=lambda: fd.dropout_mask(n, rng=source))
    thread.start()
    assert paused.begun.wait(PATIENCE)

    def draw():
        paused.go_on.set()
        return fd.dropout_mask(n, rng=source).bits.tobytes()

    try:
        (child,) = in_children(draw)
    finally:
        paused.go_on.set()
        thread.join(PATIENCE)
    assert len(child) == n // 8


def test_the_thread_that_forks_keeps_its_locks():
    source = fd.Xoshiro256PlusPlus(1)

    def draw():
        fd.dropout(X, rng=source)
        source.lock.release()
        source.lock.acquire()
        return source.position

    with source.lock:
        assert in_children(draw) == [X.size]
        fd.dropout(X, rng=source)
    assert source.position == X.size


def test_levels_are_chosen_in_children_though_another_thread_was_at_it():
    def level():
        with fd.use_simd("scalar"):
            return fd.show_config(mode="dicts")["kernels"]["level"]

    with held_by_another_thread(fd.config._switching):
        assert in_children(level) == ["scalar"]


# ---- children that Python knows nothing of -------------------------------------------------------


def test_children_of_c_do_not_repeat_their_parents_masks():
    """Nobody calls Python's handlers: the C library's fork, as some servers use it."""
    fork = ctypes.CDLL(None).fork
    fork.restype = ctypes.c_int
    fd.dropout_mask(256)
    own, others = os.pipe()
    child = fork()
    if child == 0:
        try:
            os.write(others, b"".join(unseeded_masks()))
        finally:
            os._exit(0)
    os.close(others)
    with open(own, "rb") as end:
        drawn = end.read()
    assert os.waitpid(child, 0)[1] == 0
    masks = [drawn[256 * i : 256 * (i + 1)] for i in range(3)] + unseeded_masks()
    assert len(set(masks)) == 6
