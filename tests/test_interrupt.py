# SPDX-License-Identifier: BSD-3-Clause
"""A signal ends a long call in the middle, and leaves source, locks and threads in order.

What is bounded is the work that was done, not the time: the signal comes when the call has begun,
and the handler's exception has to come out before the most of it is done.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastdrop as fd

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGALRM"), reason="this system has no signals to send"
)

PATIENCE = 60  # seconds until something that should have ended is taken to hang


class Stop(Exception):
    """What the handler raises."""


def raise_stop(*_):
    raise Stop


@contextlib.contextmanager
def signal_when(begun, handler=raise_stop):
    """Have a signal come as soon as ``begun()`` is true, if it is while the block is running."""
    over = threading.Event()

    def watch():
        while not over.is_set():
            if begun():
                os.kill(os.getpid(), signal.SIGALRM)
                break

    before = signal.signal(signal.SIGALRM, handler)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGALRM, before)


def has_moved(source):
    """Return a function that tells whether the source has given positions to a call."""
    return lambda: source.position > 0


@pytest.fixture(params=[1, 3], ids=lambda threads: f"{threads} threads")
def on_threads(request):
    """Run the test on one thread, and with others that have to stop too."""
    fd.set_num_threads(request.param)


@pytest.fixture(autouse=True)
def slowly():
    """Make calls long without much memory."""
    with fd.use_simd("scalar"):
        yield


def part(written):
    """Return how much of an array is not 0 any more, by samples."""
    return np.count_nonzero(written[::4096]) / written[::4096].size


@pytest.mark.usefixtures("on_threads")
def test_bits():
    """Far less than half is drawn; the source is past all elements."""
    source, out = fd.Philox4x32(1), np.zeros(1 << 27, np.uint8)
    n = 8 * out.size
    with signal_when(has_moved(source)), pytest.raises(Stop):
        fd.bernoulli(n, 0.5, rng=source, packed=True, out=out)
    assert 0 < part(out) < 0.5
    assert source.position == n
    assert_all_is_well(source)


def assert_all_is_well(source):
    """The next masks are those of a source that was never interrupted, on all threads."""
    twin = type(source)(1)
    twin.position = source.position
    for n in (3, 1_000_000):
        expected = fd.bernoulli(n, 1 / 3, rng=twin)
        np.testing.assert_array_equal(fd.bernoulli(n, 1 / 3, rng=source), expected)
    thread = threading.Thread(target=source.random_raw, daemon=True)
    thread.start()  # it needs the lock
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.usefixtures("on_threads")
@pytest.mark.parametrize(
    "write", ["in place", "another array", "pieces", "out of order", "Gaussian"]
)
def test_arrays(write):
    """Of `out` a part is written; the source has moved past the whole mask."""
    shape = (1 << 13, 1 << 12)
    source = fd.Philox4x32(1)
    x, out = np.ones(shape, np.float16), np.zeros(shape, np.float16)
    taken = x.size
    if write == "in place":
        out, x = x, x
    elif write == "pieces":
        x, out = x[:, ::-1], out[:, ::-1]
    elif write == "out of order":
        x, out = x.T, out.T
    call = fd.dropout
    if write == "Gaussian":
        call, taken = fd.gaussian_dropout, 4 * x.size
    with signal_when(has_moved(source)), pytest.raises(Stop):
        call(x, 0.5, rng=source, out=out)
    written = out != (1 if write == "in place" else 0)
    assert np.count_nonzero(written) < 0.5 * written.size
    assert source.position == taken
    assert_all_is_well(source)


def test_masks():
    """A mask is a value: what interrupted its use has not changed it."""
    mask, same = (fd.dropout_mask(1 << 27, 1 / 3, rng=fd.Philox4x32(1)) for _ in range(2))
    for use in (
        lambda: mask.packed(),
        lambda: np.asarray(mask),
        lambda: np.asarray(mask[::-3]),
        lambda: mask == fd.dropout_mask(1 << 27, 1 / 3, rng=2),
    ):
        begun = []
        with signal_when(lambda begun=begun: begun), pytest.raises(Stop):
            begun.append(True)
            use()
    assert mask[-1000:] == same[-1000:]


@pytest.mark.usefixtures("on_threads")
def test_handlers_that_do_not_raise():
    """They run during the call, which then goes on to its end; they may call the package."""
    seen, source = [], fd.Philox4x32(1)
    n = 1 << 24

    def handler(*_):
        seen.append(fd.bernoulli(1_000_000, 0.5, rng=1, packed=True).tobytes())

    with signal_when(has_moved(source), handler):
        bits = fd.bernoulli(n, 1 / 3, rng=source, packed=True)
    assert seen == [fd.bernoulli(1_000_000, 0.5, rng=1, packed=True).tobytes()]
    expected = fd.bernoulli(n, 1 / 3, rng=fd.Philox4x32(1), packed=True)
    np.testing.assert_array_equal(bits, expected)


def test_other_threads_are_not_interrupted():
    """Python handles signals on the main thread alone."""
    source, out, errors = fd.Philox4x32(1), np.zeros(1 << 21, np.uint8), []
    done = threading.Event()

    def draw():
        try:
            fd.bernoulli(8 * out.size, 0.5, rng=source, packed=True, out=out)
        except BaseException as error:
            errors.append(error)
        done.set()

    with signal_when(has_moved(source)), pytest.raises(Stop):
        threading.Thread(target=draw, daemon=True).start()
        done.wait(PATIENCE)
    assert done.wait(PATIENCE)
    assert not errors
    np.testing.assert_array_equal(
        out, fd.bernoulli(8 * out.size, 0.5, rng=fd.Philox4x32(1), packed=True)
    )


# ---- sequential sources --------------------------------------------------------------------------


def words_given(bit_generator):
    """Return how many words NumPy's Philox has given since it was seeded: four of each counter."""
    state = bit_generator.state
    words = 4 * sum(int(word) << 64 * i for i, word in enumerate(state["state"]["counter"]))
    return words - 4 + state["buffer_pos"]


@pytest.mark.parametrize(
    ("draws", "words"), [("bytes", 1 << 23), ("double", 1 << 26), ("float", 1 << 25)]
)
@pytest.mark.parametrize("function", ["dropout_mask", "bernoulli"])
def test_draws_from_numpy(draws, words, function):
    """The generator has given a part of the words, and its lock is free."""
    generator = np.random.Philox(1)
    source = fd.NumPySource(generator, draws=draws)
    with signal_when(lambda: words_given(generator)), pytest.raises(Stop):
        getattr(fd, function)(1 << 26, 0.3, rng=source)
    assert 0 < words_given(generator) < words / 2
    assert_numpy_goes_on(source)


def test_gaussian_draws_from_numpy():
    generator = np.random.Philox(1)
    source = fd.NumPySource(generator)
    x = np.ones(1 << 25, np.float16)
    with signal_when(lambda: words_given(generator)), pytest.raises(Stop):
        fd.gaussian_dropout(x, 0.5, rng=source, out=x)
    assert 0 < words_given(generator) < (1 << 24) / 2
    assert np.all(x == 1), "the factors come first"
    assert_numpy_goes_on(source)


def assert_numpy_goes_on(source):
    """The next mask is made of the next words."""
    twin = fd.NumPySource(np.random.Philox(), draws=source.draws)
    twin.bit_generator.state = source.bit_generator.state
    assert fd.dropout_mask(999, 0.3, rng=source) == fd.dropout_mask(999, 0.3, rng=twin)
    thread = threading.Thread(target=source.bit_generator.random_raw, daemon=True)
    thread.start()  # it needs the lock
    thread.join(PATIENCE)
    assert not thread.is_alive()


# ---- how often a call looks ---------------------------------------------------------------------

# A clock that goes a minute for each look at it, and that has a signal come with one of them.
CLOCK = """
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long looks, last;

void
have_signal_at(long look)
{
    looks = 0;
    last = look;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
    const int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (last && clock == CLOCK_MONOTONIC) {
        now->tv_sec += 60 * ++looks;
        if (looks == last) {
            raise(SIGALRM);
        }
    }
    return result;
}
"""

# A call is stopped at its second look, again at its third, and so on: what is written from one to
# the next is what it does between them.
LOOKING = """
import ctypes, itertools, json, signal, sys
import numpy as np, fastdrop as fd

class Stop(Exception):
    pass

def stop(*_):
    raise Stop

signal.signal(signal.SIGALRM, stop)
fd.set_num_threads(1)
clock = ctypes.CDLL(sys.argv[1])
N = 1 << 22
x, residual = np.ones((N >> 10, 1 << 10), np.float32), np.ones((N >> 10, 1 << 10), np.float32)
wide = x.reshape(16, -1)
seen = {}

def look(name, call, out, each=1):
    written, most = 0, 0
    for looks in itertools.count(2):
        out[...] = 0
        clock.have_signal_at(looks)
        try:
            call(out)
            stopped = False
        except Stop:
            stopped = True
        clock.have_signal_at(0)
        before, written = written, each * int(np.count_nonzero(out))
        most = max(most, written - before)
        if not stopped:
            seen[name] = looks - 1, written, most
            break

def drop(x):
    return lambda out: fd.dropout(x, 1e-6, rng=1, out=out)

def norm(x, residual):
    return lambda out: fd.dropout_add_layer_norm(
        x, residual, None, np.ones(x.shape[1], np.float32), 0.5, rng=1, out=out
    )

look("dropout", drop(x), np.empty_like(x))
look("boxes", drop(x), np.empty((2 * len(x), x.shape[1]), x.dtype)[::2])
look("out of order", drop(x.T), np.empty_like(x).T)
look("one p for each element", lambda out: fd.dropout(x, np.full_like(x, 1e-6, float),
     rng=1, out=out), np.empty_like(x))
look("GELU", lambda out: fd.gelu_dropout(x, 1e-6, rng=1, out=out), np.empty_like(x))
look("Gaussian", lambda out: fd.gaussian_dropout(x, 0.5, rng=1, out=out), np.empty_like(x))
look("norm", norm(x, residual), np.empty_like(x))
look("norm of long rows", norm(wide, residual.reshape(wide.shape)), np.empty_like(wide))
look("bools", lambda out: fd.bernoulli(x.shape, 1 - 1e-6, rng=1, out=out), np.empty(x.shape, bool))
look("bits", lambda out: fd.bernoulli(N, 1 - 1e-6, rng=1, packed=True, out=out),
     np.empty(N // 8, np.uint8), 8)
print(json.dumps(seen))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the loader takes no other clock")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no GCC")
def test_elements_between_two_looks(tmp_path):
    """Ctrl-C within 0.2 s: a call asks every 50 ms, and looks whether to after 64 tiles."""
    (tmp_path / "clock.c").write_text(CLOCK, encoding="utf-8")
    library = str(tmp_path / "clock.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "clock.c", "-o", library], cwd=tmp_path, check=True)
    preload = os.pathsep.join(filter(None, (os.environ.get("LD_PRELOAD"), library)))
    child = subprocess.run(
        [sys.executable, "-c", LOOKING, library],
        env=os.environ | {"LD_PRELOAD": preload},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    most = 64 * 16384
    seen = json.loads(child.stdout)
    assert len(seen) == 10
    for name, (looks, written, between) in seen.items():
        assert looks > written / most, name
        assert 0 < between <= most, name


# ---- Ctrl-C --------------------------------------------------------------------------------------

PROGRAM = """
import signal, threading
import numpy as np, fastdrop as fd

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
source, out = fd.Philox4x32(1), np.zeros(1 << 30, np.uint8)

def tell():
    while not source.position:
        pass
    print("begun", flush=True)

threading.Thread(target=tell).start()
with fd.use_simd("scalar"):
    try:
        fd.bernoulli(8 * out.size, 0.5, rng=source, packed=True, out=out)
    except KeyboardInterrupt:
        print(source.position, np.count_nonzero(out[::4096]) / out[::4096].size)
"""


@pytest.mark.parametrize("threads", ["1", "3", "1000000"])
def test_ctrl_c(threads):
    """A real SIGINT from outside, of a call that would take many seconds; in the smallest parts."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"FASTDROP_NUM_THREADS": threads},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "begun\n"
    os.kill(child.pid, signal.SIGINT)
    out, errors = child.communicate(timeout=PATIENCE)
    assert not errors
    position, written = out.split()
    assert int(position) == 8 << 30
    assert 0 < float(written) < 0.5
