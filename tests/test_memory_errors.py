# SPDX-License-Identifier: BSD-3-Clause
"""Without memory no source advances and no output is written: memory is taken before all else."""

import contextlib
import itertools
import random
import sys

import numpy as np
import pytest
from face import MEMBERS, Drawn, assert_near, assert_same, copied
from isolated import isolated
from memory import room_for

import fastdrop as fd

# mc_predict calls a function of the user's, whose draws cannot be taken back. Blocks and dropped
# weights are computed from what was drawn, with arrays of a few bytes; large ones are made before.
NOT_EVERY_ARRAY = {"mc_predict", "drop_block2d", "DropBlock2d", "drop_connect", "DropConnect"}
NAMES = [name for name in MEMBERS if name not in NOT_EVERY_ARRAY]


@pytest.mark.parametrize("name", NAMES)
@isolated
def test_every_array_that_a_call_makes(name):
    """Each of them is refused in turn; at last there is room for all, and the call is right."""
    for seed in range(30):
        call = MEMBERS[name](random.Random(f"{name} {seed}"), layouts=True)
        if any(array.dtype.name == "bfloat16" for array in call.arrays.values()):
            continue  # NumPy itself crashes, where it makes an array to copy these
        drawn, untouched = Drawn(call.source), Drawn(call.source)
        expected, kept = call.expected(drawn)
        before = None if call.target is None else call.target.tobytes()
        for arrays in itertools.count():
            assert arrays < 100
            source = copied(call.source)
            try:
                with room_for(arrays):
                    y, mask = call.run(source)
                break
            except MemoryError:
                untouched.assert_left(source)
                assert before is None or call.target.tobytes() == before
        drawn.assert_left(source)
        (assert_near if call.member.sums else assert_same)(y, expected)
        assert mask is None or np.array_equal(np.asarray(mask), kept)


def test_memory_is_refused():
    with room_for(1):
        np.empty(10)
        with pytest.raises(MemoryError):
            np.empty(10)


N, MIB = 1 << 24, 1 << 20
SQUARE = (4096, 4096)


def ones():
    return np.ones(N, np.float32)


def one_more():
    return np.full(N + 1, 7, np.float32)


# What needs tens of MiB: arrays that the program has, and a call.
LARGE = {
    "out": (ones, lambda x, rng: fd.dropout(x, 0.3, rng=rng)),
    "overlap": (one_more, lambda x, rng: fd.dropout(x[:-1], rng=rng, out=x[1:])),
    "another order": (
        ones,
        lambda x, rng: fd.dropout(x.reshape(SQUARE), rng=rng, out=x.reshape(SQUARE).T),
    ),
    "gaussian": (ones, lambda x, rng: fd.gaussian_dropout(x[::-1], 0.3, rng=rng, out=x[::-1])),
    "zoneout": (one_more, lambda x, rng: fd.zoneout(x[:-1], x[:-1], 0.5, rng=rng, out=x[1:])),
    "blocks": (ones, lambda x, rng: fd.drop_block2d(x.reshape(1, *SQUARE), 0.3, rng=rng)),
    "weights": (ones, lambda x, rng: fd.drop_connect(x[:4096], x.reshape(SQUARE), 0.5, rng=rng)),
    "mask": (ones, lambda x, rng: fd.dropout_mask(2**33, 0.3, rng=rng, store="bits")),
    "booleans": (ones, lambda x, rng: fd.bernoulli(2**30, 0.3, rng=rng)),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is of Linux")
@pytest.mark.parametrize(("make", "call"), LARGE.values(), ids=LARGE)
@isolated
def test_limits_of_the_address_space(make, call):
    """The same where the system gives no more, to large arrays and to whoever asks."""
    import resource

    x, source = make(), fd.Xoshiro256PlusPlus(1)
    value = x[0]
    fd.set_num_threads(1)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MIB, resource.RLIM_INFINITY))
    taken = []  # what earlier tests left free in the heap
    with contextlib.suppress(MemoryError):
        taken.extend(np.empty(MIB, np.uint8) for _ in range(1 << 14))
    with pytest.raises(MemoryError):
        call(x, source)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert source.position == 0
    assert (x == value).all()
