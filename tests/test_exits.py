# SPDX-License-Identifier: BSD-3-Clause
"""A program ends well while daemon threads are inside of calls."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
import numpy as np
import fastdrop as fd

fd.set_num_threads(3)
n, numpy_rng = int(sys.argv[2]), np.random.default_rng(1)
x, source, layer = np.ones(n, np.float32), fd.Xoshiro256PlusPlus(1), fd.Dropout(0.5, rng=1)
mask = fd.dropout_mask(n, 0.3, rng=1)
CALLS = {
    "dropout": lambda: fd.dropout(x, 0.3, rng=source),
    "default": lambda: fd.dropout(x, 0.3),
    "packed": lambda: mask.packed().apply(x),
    "gaussian": lambda: fd.gaussian_dropout(x, 0.3, rng=source),
    "numpy": lambda: fd.dropout(x, 0.3, rng=numpy_rng),
    "generator": lambda: np.random.Generator(source).random(n),
    "layer": lambda: layer.backward(layer(x)),
    "bernoulli": lambda: fd.bernoulli(n, 0.3, rng=source, packed=True),
}
call = CALLS[sys.argv[1]]
inside = threading.Barrier(5)

def work():
    call()
    inside.wait()
    while True:
        call()

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
inside.wait()
"""
KINDS = ["dropout", "numpy", "generator", "layer"]
MORE_KINDS = ["default", "packed", "gaussian", "bernoulli"]


def assert_ends_well(kind, size):
    command = [sys.executable, "-X", "faulthandler", "-c", PROGRAM, kind, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", KINDS)
def test_daemon_threads(kind):
    assert_ends_well(kind, 100 if kind == "layer" else 600_000)


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 20_000, 600_000])
@pytest.mark.parametrize("kind", KINDS + MORE_KINDS)
def test_daemon_threads_many_times(kind, size):
    for _ in range(30):
        assert_ends_well(kind, size)
