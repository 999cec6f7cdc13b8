# SPDX-License-Identifier: BSD-3-Clause
"""What threads share is right without the GIL, too; with it, these tests ask less.

They look at what is made when it is first asked for, and at the one source that nobody passes.
`test_threads.py` has the other sources, the pool and the settings.
"""

import multiprocessing
import os
import pickle
import subprocess
import sys
import sysconfig

import numpy as np
import pytest
from together import PATIENCE, run_together

import fastdrop as fd

THREADS = 6
ROUNDS = 40

IMPORTS = """
import sys, warnings
warnings.simplefilter("error")
import fastdrop, fastdrop.kernels._testing
assert not sys._is_gil_enabled(), "a compiled module has turned the GIL on"
"""


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="has the GIL")
def test_no_compiled_module_turns_the_gil_on():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    subprocess.run([sys.executable, "-c", IMPORTS], env=environment, check=True, timeout=PATIENCE)


def new_masks():
    """Masks whose p or scale is an array, which nobody has asked for."""
    p = np.linspace(0.0, 1.0, 101)
    keep_prob = np.linspace(1.0, 1e-300, 101)
    return [
        fd.dropout_mask((7, 101), p, rng=1),
        fd.dropout_mask((7, 101), keep_prob=keep_prob, rng=1),
        fd.dropout_mask((7, 101), p, rng=1).T,
        fd.dropout_mask((7, 101), p, rng=1)[:, ::-3],
        fd.Mask.from_state(fd.dropout_mask((7, 101), p, rng=1).state),
    ]


def answers_of(mask):
    """Ask for everything that is made when it is asked for."""
    x = np.ones(mask.shape, np.float32)
    return (
        np.asarray(mask.p).tobytes(),
        np.asarray(mask.scale).tobytes(),
        mask.apply(x).tobytes(),
        mask.apply(np.asfortranarray(x)).tobytes(),
        mask == pickle.loads(pickle.dumps(mask)),
        repr(mask),
    )


def test_numbers_of_a_mask_are_made_once_for_all_threads():
    expected = [answers_of(mask) for mask in new_masks()]
    for _ in range(ROUNDS):
        masks = new_masks()
        for answers in run_together(*[lambda masks=masks: list(map(answers_of, masks))] * THREADS):
            assert answers == expected


def test_one_mask_is_applied_in_all_threads():
    x = np.arange(10_007, dtype=np.float32)
    masks = [
        fd.dropout_mask(x.size, 0.3, rng=1),
        fd.dropout_mask(x.size, 0.3, rng=1, store="bits"),
        fd.dropout_mask(3 * x.size, 0.3, rng=1)[::3],
        fd.gaussian_dropout(x, 0.3, rng=1)[1],
    ]
    expected = [mask.backward(x).tobytes() for mask in masks]

    def work():
        for _ in range(ROUNDS):
            assert [mask.backward(x).tobytes() for mask in masks] == expected

    run_together(*[work] * THREADS)


def draw_in_threads():
    """Masks that threads draw at the same time, without a source."""
    drawn = run_together(*[lambda: [np.asarray(fd.dropout_mask(256)) for _ in range(20)]] * THREADS)
    return [mask.tobytes() for masks in drawn for mask in masks]


def send_draws(end):
    end.send(draw_in_threads())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_first_draws_of_a_child_are_in_several_threads():
    """The default source takes a new key there: one, whoever comes first."""
    context = multiprocessing.get_context("fork")
    drawn = draw_in_threads()
    for _ in range(3):
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=send_draws, args=(there,))
        child.start()
        assert here.poll(PATIENCE)
        drawn += here.recv()
        child.join(PATIENCE)
        assert child.exitcode == 0
    assert len(set(drawn)) == len(drawn) == 4 * 20 * THREADS


def test_layers_and_levels_of_their_own():
    """Each thread has a layer; all share what layers have beneath."""
    x = np.ones((64, 33), np.float32)
    dy = np.full_like(x, 2.0)

    def work(seed):
        layer = fd.Dropout(0.3, rng=seed)
        results = []
        for i in range(ROUNDS):
            with fd.use_simd(fd.simd_levels()[i % len(fd.simd_levels())]):
                results.append((layer(x).tobytes(), layer.backward(dy).tobytes()))
        return results

    expected = [work(seed) for seed in range(THREADS)]
    assert run_together(*(lambda seed=seed: work(seed) for seed in range(THREADS))) == expected
