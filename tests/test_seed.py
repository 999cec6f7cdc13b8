# SPDX-License-Identifier: BSD-3-Clause
"""What None stands for as rng: the process-wide source, keyed anew, or a block's own."""

import asyncio
import threading

import numpy as np
import pytest

import fastdrop as fd


@pytest.fixture(autouse=True)
def keyed_again():
    yield
    fd.seed()


def drawn():
    """A mask by a function, one by a layer, and booleans."""
    y, _ = fd.dropout(np.ones(50), 0.5)
    return [y.tolist(), fd.Dropout()(np.ones(50)).tolist(), fd.bernoulli(50, 0.5).tolist()]


@pytest.mark.parametrize("seed", [0, 7, [1, 2], np.random.SeedSequence(5)])
def test_a_seed_repeats_what_none_draws(seed):
    fd.seed(seed)
    first = drawn()
    assert drawn() != first
    fd.seed(seed)
    assert drawn() == first
    source = fd.Xoshiro256PlusPlus(seed)
    fd.seed(seed)
    assert fd.dropout_mask(99) == fd.dropout_mask(99, rng=source)
    assert fd.dropout_mask(99) == fd.dropout_mask(99, rng=source)


def test_no_seed_is_a_new_key():
    fd.seed(7)
    keys = {fd.as_source().key}
    for _ in range(3):
        fd.seed()
        keys.add(fd.as_source().key)
    assert len(keys) == 4


def test_a_seed_reaches_other_threads():
    fd.seed(7)
    expected = drawn()
    fd.seed(7)
    results = []
    thread = threading.Thread(target=lambda: results.append(drawn()))
    thread.start()
    thread.join()
    assert results == [expected]


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (1.5, TypeError), ("a", TypeError)])
def test_other_seeds_are_refused(seed, error):
    source = fd.as_source()
    for refused in (fd.seed, fd.seeded):
        with pytest.raises(error, match=r"^(seed|rng) must be "):
            refused(seed)
    assert fd.as_source() is source


def test_a_block_has_its_own_source():
    outside = fd.as_source()
    position = outside.position
    with fd.seeded(7) as source:
        first = drawn()
        assert fd.as_source() is source
        with fd.seeded(8):
            assert drawn() != first
        assert fd.as_source() is source
    assert fd.as_source() is outside
    assert outside.position == position
    with fd.seeded(7):
        assert drawn() == first


def test_a_block_takes_every_source():
    source = fd.Philox4x32(1)
    with fd.seeded(source) as inside:
        assert inside is source
        fd.dropout_mask(10)
    assert source.position == 10
    generator = np.random.default_rng(1)
    with fd.seeded(generator):
        mask = fd.dropout_mask(100)
    assert mask == fd.dropout_mask(100, rng=np.random.default_rng(1))


def test_a_block_ends_after_an_error():
    outside = fd.as_source()
    with pytest.raises(KeyError), fd.seeded(7):
        raise KeyError
    assert fd.as_source() is outside


def test_a_block_is_of_one_thread_and_of_one_task():
    outside = fd.as_source()
    found = []
    with fd.seeded(7):
        thread = threading.Thread(target=lambda: found.append(fd.as_source()))
        thread.start()
        thread.join()
    assert found == [outside]

    async def task(seed):
        with fd.seeded(seed):
            first = fd.dropout_mask(30)
            await asyncio.sleep(0)
            return first, fd.dropout_mask(30)

    async def both():
        return await asyncio.gather(task(1), task(2))

    for seed, pair in zip((1, 2), asyncio.run(both()), strict=True):
        source = fd.Xoshiro256PlusPlus(seed)
        assert pair == (fd.dropout_mask(30, rng=source), fd.dropout_mask(30, rng=source))
