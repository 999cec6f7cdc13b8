# SPDX-License-Identifier: BSD-3-Clause
"""A source is key, counter and position: it gives the published words and is a NumPy generator."""

import copy
import pickle
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import (
    LANED,
    SOURCES,
    bytes_at,
    hex_words,
    kept_at,
    random123_vectors,
    same_state,
    sha256,
    stream_vectors,
    value_of,
    words_of,
    xorshift_vectors,
)
from hypothesis import given
from hypothesis import strategies as st

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop.source import Source

STEP = {
    "Xoshiro256PlusPlus": reference.xoshiro256plusplus_step,
    "Xorshift128Plus": reference.xorshift128plus_step,
}
PUBLISHED = {
    "Xoshiro256PlusPlus": "xoshiro256plusplus",
    "Xorshift128Plus": "xorshift128plus_23_18_5",
}
VECTORS = [vector for vector in stream_vectors() if vector["source"] in reference.SOURCES]

laned = pytest.mark.parametrize("cls", LANED, ids=lambda cls: cls.__name__)


class Mine(fd.Xoshiro256PlusPlus):
    """A user's own subclass."""


def little_endian(words):
    """The bytes of 64-bit words."""
    return words.astype("<u8").view(np.uint8)


def next_word(source, name):
    """Call one function of the C interface."""
    return getattr(source.ctypes, name)(source.ctypes.state)


# --- known answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(("counter", "key", "words"), random123_vectors())
def test_philox_gives_the_words_of_random123(level, counter, key, words):
    for source in (
        fd.Philox4x32(key=key, counter=counter),
        fd.Philox4x32(key=value_of(key), counter=value_of(counter)),
    ):
        assert source.key == tuple(key)
        assert source.counter == tuple(counter)
        assert little_endian(source.random_raw(2)).view("<u4").tolist() == words


def test_philox_counts_on(level):
    """Word after word, through the carry of a counter that ends at 2**128."""
    source = fd.Philox4x32(key=(1, 2), counter=2**128 - 3)
    counters = [words_of((2**128 - 3 + block) % 2**128) for block in range(100)]
    expected = reference.philox4x32(counters, (1, 2))
    np.testing.assert_array_equal(
        little_endian(source.random_raw(200)).view("<u4"), expected.ravel()
    )


@laned
def test_lanes_step_as_published(level, cls):
    """The step gives the published outputs, and takes the lanes that are read out to the words
    that come next, and to the lanes that are read out after them.
    """
    step = STEP[cls.__name__]
    for s, outputs in xorshift_vectors(PUBLISHED[cls.__name__]):
        for output in outputs:
            s, word = step(s)
            assert word == output

    source = cls(2026)
    for first in (0, 64 * 254, 64 * 256 * 5, 64 * (256 * 9 + 100)):
        source.position = first + 3
        s = source.state["s"]
        assert s.shape == (8, reference.SOURCES[cls.__name__].lane_words)
        assert s.dtype == np.uint64
        source.position = first
        lanes = s.T
        for _ in range(2):
            np.testing.assert_array_equal(source.state["s"], lanes.T)
            lanes, words = step(lanes)
            np.testing.assert_array_equal(source.random_raw(8), words)


@laned
def test_lanes_are_seeded_for_every_block(level, cls):
    """16 KiB on, the lanes are other words of the Philox stream: no step leads there."""
    source = cls(2026)
    seen = set()
    for block in (0, 1, 2, 3, 2**20, 2**50 - 1):
        source.position = 16384 * block
        s = source.state["s"]
        expected = reference.lanes(cls.__name__, source.key, source.counter, source.position)
        np.testing.assert_array_equal(s, expected)
        seen.update(s.ravel().tolist())
    assert len(seen) == 6 * s.size


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['source']}-{v['position']}")
def test_stream_version_1(level, vector):
    """Identity, bytes, lanes and decisions are those of an independent implementation."""
    source = getattr(fd, vector["source"])(vector["seed"])
    assert list(source.key) == vector["key"]
    assert list(source.counter) == vector["counter"]
    assert source.position == 0

    source.position = vector["position"]
    stream = little_endian(source.random_raw(5000))
    assert stream[:32].tobytes().hex() == vector["bytes_32"]
    assert sha256(stream) == vector["bytes_40000_sha256"]
    assert source.position == vector["position"] + 40_000

    for p, digest in vector["kept_packed_40000_sha256"].items():
        source.position = vector["position"]
        mask = fd.dropout_mask(40_000, float(p), rng=source)
        assert sha256(mask.packed().bits) == digest, p
        assert source.position == vector["position"] + 40_000

    source.position = vector["position"] - vector["position"] % 16384
    if "lanes_of_the_block" in vector:
        lanes = [hex_words(" ".join(lane)) for lane in vector["lanes_of_the_block"]]
        np.testing.assert_array_equal(source.state["s"], lanes)
    else:
        assert "s" not in source.state


# --- identity ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed",
    [0, 1, 2**32, 2**128 - 1, 2**5000 + 1, np.int64(5), np.uint64(2**63), [1, 2, 3], (0, 2**100)],
    ids=lambda seed: str(seed)[:20],
)
def test_seeds(source_class, seed):
    """128 bits of NumPy's SeedSequence, whatever the size of the seed."""
    source = source_class(seed)
    words = [int(word) for word in np.random.SeedSequence(seed).generate_state(4)]
    assert source.key == (words[0], words[1])
    assert source.counter == (0, 0, words[2], words[3])
    assert (source.key, source.counter) == reference.identity(seed)
    assert source.position == 0
    assert same_state(source_class(np.random.SeedSequence(seed)).state, source.state)


def test_seeds_of_arrays_and_of_seed_sequences_of_ones_own(source_class):
    class Constant(np.random.bit_generator.ISeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            return np.arange(n_words, dtype=dtype)

    assert source_class(np.array([4, 5])).key == source_class([4, 5]).key
    source = source_class(Constant())
    assert (source.key, source.counter) == ((0, 1), (0, 0, 2, 3))


def test_no_seed_asks_the_system(source_class):
    a, b = source_class(), source_class(None)
    assert a.key != b.key
    assert a.counter[:2] == b.counter[:2] == (0, 0)
    assert a.seed_seq.entropy != b.seed_seq.entropy


@pytest.mark.parametrize("seed", [-1, [-1], [3, -5], np.int32(-7)], ids=str)
def test_negative_seeds_are_refused(source_class, seed):
    with pytest.raises(ValueError, match=r"seed must .*not negative.*-\d"):
        source_class(seed)


@pytest.mark.parametrize("seed", [1.0, "one", b"1", 1j, SimpleNamespace(), [1.5], {}], ids=repr)
def test_seeds_of_other_types_are_refused(source_class, seed):
    with pytest.raises(TypeError, match="seed must "):
        source_class(seed)


def test_words(source_class):
    """Key and counter are given as ints or words; zeros are the default, of either."""
    source = source_class(key=(1, 2), counter=(3, 4, 5, 6))
    assert (source.key, source.counter, source.position) == ((1, 2), (3, 4, 5, 6), 0)
    same = source_class(key=2 << 32 | 1, counter=value_of((3, 4, 5, 6)))
    assert same_state(same.state, source.state)
    assert source_class(key=7).counter == (0, 0, 0, 0)
    assert source_class(counter=np.arange(4, dtype=np.uint32)).counter == (0, 1, 2, 3)
    assert source_class(counter=1).key == (0, 0)
    assert all(type(word) is int for word in (*source.key, *source.counter))


def test_words_have_a_seed_sequence(source_class):
    source = source_class(key=(1, 2), counter=(3, 4, 5, 6))
    assert list(source.seed_seq.entropy) == [1, 2, 3, 4, 5, 6]
    child, same = source.spawn(1)[0], np.random.SeedSequence([1, 2, 3, 4, 5, 6]).spawn(1)[0]
    assert (child.key, child.counter) == reference.identity(same)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"key": -1}, ValueError),
        ({"key": 2**64}, ValueError),
        ({"key": (1,)}, ValueError),
        ({"key": (1, 2, 3)}, ValueError),
        ({"key": (1, 2**32)}, ValueError),
        ({"key": (1, -2)}, ValueError),
        ({"key": 1.5}, TypeError),
        ({"key": "12"}, TypeError),
        ({"counter": -1}, ValueError),
        ({"counter": 2**128}, ValueError),
        ({"counter": (1, 2)}, ValueError),
        ({"counter": (1, 2, 3, 4.0)}, TypeError),
    ],
    ids=str,
)
def test_other_words_are_refused(source_class, words, error):
    with pytest.raises(error, match=f"{next(iter(words))} must "):
        source_class(**words)


def test_a_seed_beside_words_is_refused(source_class):
    with pytest.raises(TypeError, match="seed=1 excludes key and counter"):
        source_class(1, key=2)
    with pytest.raises(TypeError):
        source_class(1, 2)


def test_methods_of_generators_are_named(source_class):
    source = source_class(1)
    for name in ("random", "integers", "normal"):
        with pytest.raises(
            AttributeError, match=rf"'{name}'.*: numpy\.random\.Generator\(source\)"
        ):
            getattr(source, name)
        assert not hasattr(source, name)
    with pytest.raises(AttributeError, match=r"object has no attribute 'nothing'$") as caught:
        source.nothing  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("nothing", source)
    assert source.position == 0


def test_the_base_class_is_not_a_source():
    with pytest.raises(TypeError, match="base class"):
        Source()
    with pytest.raises(TypeError, match="base class"):
        Source(1)


def test_sources_differ():
    """The same seed gives three streams that have nothing in common."""
    words = [set(cls(5).random_raw(1000).tolist()) for cls in SOURCES]
    assert len(set.union(*words)) == 3000


def test_repr(source_class):
    source = source_class(key=(1, 2), counter=(3, 4, 5, 6))
    source.position = 77
    name = source_class.__name__
    assert repr(source) == f"{name}(key=(1, 2), counter=(3, 4, 5, 6)) at position 77"


class Forgetful(fd.Xoshiro256PlusPlus):
    def __init__(self):
        pass


def test_a_source_that_was_not_made_gives_nothing(source_class):
    calls = (
        lambda source, out: fd.dropout(np.ones(3), rng=source, out=out),
        lambda source, out: fd.dropout_mask(3, rng=source),
        lambda source, out: fd.bernoulli(3, 0.5, rng=source),
        lambda source, out: fd.gaussian_dropout(np.ones(3), 0.5, rng=source, out=out),
        lambda source, out: source.state,
        lambda source, out: source.position,
        lambda source, out: source.key,
        lambda source, out: source.counter,
        lambda source, out: setattr(source, "position", 3),
        lambda source, out: setattr(source, "state", source_class(1).state),
        lambda source, out: source.jumped(),
        lambda source, out: pickle.dumps(source),
        lambda source, out: repr(source),
        lambda source, out: source.random_raw(),
        lambda source, out: source.spawn(1),
        lambda source, out: np.random.Generator(source),
    )
    for source in (Forgetful(), source_class.__new__(source_class), Source.__new__(Source)):
        out = np.full(3, 7.0)
        for index, call in enumerate(calls):
            with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
                call(source, out)
            if index < 9:
                assert "__init__ was not called" in str(caught.value)
        assert np.all(out == 7.0)


def test_what_could_not_be_made_has_no_capsule(source_class):
    """NumPy would call the functions in it, which are not there yet."""
    for cls, seed in ((Source, 1), (source_class, -1), (source_class, "one")):
        source = cls.__new__(cls)
        with pytest.raises((TypeError, ValueError)):
            source.__init__(seed)
        with pytest.raises(ValueError, match="Invalid bit generator"):
            np.random.Generator(source)


def test_a_source_is_made_once(source_class):
    """Another thread may be drawing from it, and NumPy's Generators know its lock."""
    source = source_class(4)
    lock = source.lock
    with pytest.raises(TypeError, match="again"):
        source.__init__(5)
    assert source.lock is lock
    assert same_state(source.state, source_class(4).state)


# --- position and state --------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 63, 2**32, np.int64(9), np.uint64(2**63), 2**64 - 1])
def test_position(source_class, position):
    source = source_class(1)
    source.random_raw(3)
    assert source.position == 24
    source.position = position
    assert source.position == int(position)
    assert type(source.position) is int
    np.testing.assert_array_equal(
        little_endian(source.random_raw(1)), bytes_at(source, position, 8)
    )


@pytest.mark.parametrize(
    ("position", "error"),
    [(-1, ValueError), (2**64, ValueError), (1.0, TypeError), ("1", TypeError), (None, TypeError)],
    ids=str,
)
def test_other_positions_are_refused(source_class, position, error):
    source = source_class(1)
    source.position = 5
    with pytest.raises(error, match=rf"position must .*, not {position!r}"):
        source.position = position
    assert source.position == 5


def test_key_and_counter_are_read_only(source_class):
    for name in ("key", "counter"):
        with pytest.raises(AttributeError):
            setattr(source_class(1), name, 0)


@pytest.mark.parametrize("position", [0, 1, 16384, 16384 * 7 + 100, 2**64 - 1])
def test_state(source_class, position):
    """A state is taken by any source of the class, and all that follows is the same."""
    source = source_class(3)
    source.position = position
    state = source.state
    assert state["bit_generator"] == source_class.__name__
    assert (state["key"], state["counter"]) == (source.key, source.counter)
    assert state["position"] == position
    other = source_class(4)
    other.random_raw(10)
    fd.dropout_mask(100, 0.3, rng=other).packed()
    other.state = state
    assert same_state(other.state, state)
    assert same_state(source.state, state), "reading a state changes nothing"
    source.position = other.position = min(position, 2**64 - 1 - 1000)
    for p in (0.3, 0.1):
        assert fd.dropout_mask(400, p, rng=other) == fd.dropout_mask(400, p, rng=source)
    np.testing.assert_array_equal(other.random_raw(20), source.random_raw(20))


@pytest.mark.parametrize("position", [3, 40, 16384 + 100])
def test_a_state_leaves_nothing_of_another_stream(source_class, position):
    """Another key at the very place where the last mask ended."""
    source, other = source_class(key=1), source_class(key=2)
    source.position = position - 3
    fd.bernoulli(3, 0.3, rng=source)
    source.random_raw(1)
    other.position = position
    source.state = other.state
    np.testing.assert_array_equal(
        fd.dropout_mask(500, 0.3, rng=source), kept_at(other, position, 500, 0.3)
    )
    source.state = other.state
    np.testing.assert_array_equal(source.random_raw(9), other.random_raw(9))


def test_state_without_lanes_is_enough(source_class):
    source = source_class(3)
    source.position = 12345
    state = {name: value for name, value in source.state.items() if name != "s"}
    other = source_class(4)
    other.state = state
    assert same_state(other.state, source.state)


def test_random_states_give_and_take_states(source_class):
    """NumPy's RandomState adds a Gaussian of its own, and wants an entry `state`."""
    rng = np.random.RandomState(source_class(3))
    rng.standard_normal(3)
    twins = [pickle.loads(pickle.dumps(rng)), copy.deepcopy(rng)]
    twins.append(np.random.RandomState(source_class(4)))
    twins[-1].set_state(rng.get_state(legacy=False))
    expected = rng.standard_normal(5)
    for twin in twins:
        np.testing.assert_array_equal(twin.standard_normal(5), expected)


def test_state_of_plain_lists(source_class):
    """As it comes back from JSON."""
    source = source_class(3)
    source.position = 999
    state = {
        name: value.tolist()
        if name == "s"
        else list(value)
        if name in ("key", "counter")
        else value
        for name, value in source.state.items()
    }
    other = source_class(4)
    other.state = state
    assert same_state(other.state, source.state)


@laned
@pytest.mark.parametrize("position", [0, 12345, 2**64 - 1])
def test_lanes_that_contradict_are_refused(cls, position):
    source, other = cls(3), cls(4)
    source.position = position
    other.random_raw(3)
    before = other.state
    for lane in range(8):
        state = source.state
        state["s"][lane, -1] ^= np.uint64(1 << 63)
        with pytest.raises(ValueError, match=r"state\['s'\] contradicts"):
            other.state = state
    for s in (source.state["s"][:, :1], source.state["s"].T, np.zeros(0), None):
        with pytest.raises(ValueError, match=r"state\['s'\] contradicts"):
            other.state = source.state | {"s": s}
    for change in ({"key": (1, 2)}, {"counter": (1, 2, 3, 4)}, {"position": position ^ 64}):
        with pytest.raises(ValueError, match=r"state\['s'\] contradicts"):
            other.state = source.state | change
    assert same_state(other.state, before)
    other.state = source.state | {"position": position ^ 63}  # the same step
    assert other.position == position ^ 63


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"bit_generator": "PCG64"}, ValueError),
        ({"bit_generator": None}, ValueError),
        ({"key": (1, 2, 3)}, ValueError),
        ({"counter": -1}, ValueError),
        ({"position": -1}, ValueError),
        ({"position": 0.5}, TypeError),
    ],
    ids=str,
)
def test_other_states_are_refused(source_class, change, error):
    source = source_class(3)
    source.random_raw(3)
    before = source.state
    with pytest.raises(error):
        source.state = source.state | change
    for name in ("bit_generator", "key", "counter", "position"):
        with pytest.raises(ValueError, match=r"state must (be that of a .*, not of None|have)"):
            source.state = {entry: value for entry, value in before.items() if entry != name}
    for value in (None, 1, list(before), source):
        with pytest.raises(TypeError, match="state must be a dict"):
            source.state = value
    assert same_state(source.state, before)


# --- words ---------------------------------------------------------------------------------------

WIDTHS = {"next_uint64": 8, "next_uint32": 4, "next_double": 8}


@pytest.mark.parametrize("first", [0, 1016, 16384 - 20, 2**40 + 1001, 2**64 - 30], ids=str)
def test_words_at_any_position(level, source_class, first):
    """The bytes at the position, whatever its alignment; positions wrap at 2**64."""
    source = source_class(8)
    stream = bytes_at(source, first, 64).tobytes()
    for offset in range(30):
        for name, width in WIDTHS.items():
            word = int.from_bytes(stream[offset : offset + width], "little")
            source.position = (first + offset) % 2**64
            expected = (word >> 11) * 2.0**-53 if name == "next_double" else word
            assert next_word(source, name) == expected
            assert source.position == (first + offset + width) % 2**64


@given(st.lists(st.sampled_from([*WIDTHS, "mask"]), min_size=1, max_size=60), st.integers(0, 2**20))
def test_words_have_no_hidden_state(names, position):
    """Any mixture of calls reads on where the last one ended: no half word is kept."""
    source = fd.Xoshiro256PlusPlus(11)
    source.position = position
    stream = bytes_at(source, position, 8 * len(names)).tobytes()
    at = 0
    for name in names:
        if name == "mask":
            kept = np.asarray(fd.dropout_mask(3, 0.5, rng=source))
            assert kept.tolist() == [byte >= 128 for byte in stream[at : at + 3]]
            at += 3
        else:
            word = int.from_bytes(stream[at : at + WIDTHS[name]], "little")
            expected = (word >> 11) * 2.0**-53 if name == "next_double" else word
            assert next_word(source, name) == expected
            at += WIDTHS[name]
        assert source.position == position + at


def test_random_raw(source_class):
    source, twin = source_class(2), source_class(2)
    words = bytes_at(source, 0, 8 * 25).view("<u8")
    first = source.random_raw()
    assert type(first) is int
    assert first == words[0]
    assert source.random_raw(None) == words[1]
    np.testing.assert_array_equal(source.random_raw(3), words[2:5])
    block = source.random_raw(size=(2, 5), output=True)
    assert block.dtype == np.uint64
    np.testing.assert_array_equal(block, words[5:15].reshape(2, 5))
    assert source.random_raw(4, output=False) is None
    assert source.random_raw(output=False) is None
    assert source.position == 8 * 20
    np.testing.assert_array_equal(source.random_raw(5), words[20:])
    assert source.random_raw(0).shape == (0,)
    np.testing.assert_array_equal(twin.random_raw(25), words)


# --- NumPy's face --------------------------------------------------------------------------------


def test_generator(level, source_class):
    """Uniforms and whole-range integers are the words; other distributions work and repeat."""
    source = source_class(7)
    assert isinstance(source, np.random.BitGenerator)
    rng = np.random.Generator(source)
    assert rng.bit_generator is source
    stream = bytes_at(source, 0, 800)
    words = stream.view("<u8")

    np.testing.assert_array_equal(rng.random(10), (words[:10] >> np.uint64(11)) * 2.0**-53)
    assert source.position == 80
    singles = rng.random(11, dtype=np.float32)
    expected = (stream[80:124].view("<u4") >> np.uint32(8)) * np.float32(2.0**-24)
    np.testing.assert_array_equal(singles, expected)
    assert source.position == 124
    np.testing.assert_array_equal(
        rng.integers(2**64, size=5, dtype=np.uint64), stream[124:164].view("<u8")
    )
    np.testing.assert_array_equal(
        rng.integers(2**32, size=3, dtype=np.uint32), stream[164:176].view("<u4")
    )
    assert source.position == 176

    rng, same = (np.random.Generator(source_class(9)) for _ in range(2))
    normal = rng.normal(size=20_000)
    np.testing.assert_array_equal(normal, same.normal(size=20_000))
    assert abs(normal.mean()) < 4.5 / 20_000**0.5
    assert abs(normal.var() - 1) < 4.5 * (2 / 20_000) ** 0.5
    np.testing.assert_array_equal(rng.permutation(50), same.permutation(50))
    counts = np.bincount(rng.integers(10, size=10_000), minlength=10)
    assert counts.sum() == 10_000
    assert np.all(abs(counts - 1000) < 4.5 * 900**0.5)


def test_default_rng_and_random_state(source_class):
    source = source_class(7)
    assert np.random.default_rng(source).bit_generator is source
    uniform = np.random.RandomState(source_class(7)).uniform(size=5)
    np.testing.assert_array_equal(uniform, np.random.Generator(source).random(5))


def test_spawn(source_class):
    """The children of the seed, the class of the parent, and never the same child twice."""
    source = source_class(5)
    children = source.spawn(2) + source.spawn(n_children=1)
    expected = np.random.SeedSequence(5).spawn(3)
    assert [type(child) for child in children] == [source_class] * 3
    for child, seed in zip(children, expected, strict=True):
        assert (child.key, child.counter) == reference.identity(seed)
        assert child.position == 0
    assert source.position == 0
    assert len({child.key for child in children} | {source.key}) == 4
    grandchild = np.random.Generator(children[0]).spawn(1)[0].bit_generator
    assert type(grandchild) is source_class
    assert (grandchild.key, grandchild.counter) == reference.identity(expected[0].spawn(1)[0])


@pytest.mark.parametrize("jumps", [0, 1, 2, 1000, np.int64(3), 2**64 - 1, 2**64 + 5])
def test_jumped(source_class, jumps):
    """The counter moves by 2**64 each, modulo 2**128; the position stays."""
    source = source_class(5)
    source.position = 321
    before = source.state
    there = source.jumped(jumps)
    assert type(there) is source_class
    assert there.key == source.key
    expected = (value_of(source.counter) + (int(jumps) << 64)) % 2**128
    assert there.counter == words_of(expected)
    assert there.position == 321
    assert same_state(source.state, before), "the source itself does not jump"
    np.testing.assert_array_equal(there.random_raw(10), bytes_at(there, 321, 80).view("<u8"))


def test_jumps_add_up(source_class):
    source = source_class(5)
    assert same_state(source.jumped().state, source.jumped(1).state)
    assert same_state(source.jumped().jumped(4).state, source.jumped(jumps=5).state)
    assert list(source.jumped().seed_seq.entropy) == [*source.key, *source.jumped().counter]
    words = [set(source.jumped(j).random_raw(1000).tolist()) for j in range(4)]
    assert len(set.union(*words)) == 4000


def test_jumps_of_philox_are_far_along_its_counter():
    """Where the counter gets to after 2**64 blocks."""
    source = fd.Philox4x32(key=(1, 2), counter=(2**32 - 1, 2**32 - 1, 7, 0)).jumped()
    assert source.counter == (2**32 - 1, 2**32 - 1, 8, 0)


@pytest.mark.parametrize(
    ("jumps", "error"), [(-1, ValueError), (1.5, TypeError), ("1", TypeError), (None, TypeError)]
)
def test_other_jumps_are_refused(source_class, jumps, error):
    with pytest.raises(error, match="jumps must"):
        source_class(5).jumped(jumps)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda source, protocol=protocol: pickle.loads(
            pickle.dumps(source, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("words", [False, True], ids=["seed", "words"])
def test_copies(source_class, duplicate, words):
    """Equal in all, the lanes and the children to come too, and independent from then on."""
    source = source_class(key=5, counter=2**127) if words else source_class(5)
    source.spawn(3)
    source.position = 2**63 + 16384 * 3 + 100
    fd.dropout_mask(100, 0.3, rng=source)
    other = duplicate(source)
    assert type(other) is source_class
    assert other is not source
    assert other.lock is not source.lock
    assert same_state(other.state, source.state)
    assert other.seed_seq.entropy == source.seed_seq.entropy
    assert other.seed_seq.n_children_spawned == 3
    assert fd.dropout_mask(1000, 0.3, rng=other) == fd.dropout_mask(1000, 0.3, rng=source)
    np.testing.assert_array_equal(other.random_raw(10), source.random_raw(10))
    position = source.position
    other.random_raw(7)
    assert source.position == position


def test_generators_are_pickled_with_their_source(source_class):
    rng = np.random.Generator(source_class(5))
    rng.random(3)
    other = pickle.loads(pickle.dumps(rng))
    assert same_state(other.bit_generator.state, rng.bit_generator.state)
    np.testing.assert_array_equal(other.normal(size=5), rng.normal(size=5))


def test_subclasses():
    """A subclass draws as its parent does, and is made again where the interface makes sources."""
    source, parent = Mine(5), fd.Xoshiro256PlusPlus(5)
    assert fd.dropout_mask(1000, 0.3, rng=source) == fd.dropout_mask(1000, 0.3, rng=parent)
    assert source.state["bit_generator"] == "Mine"
    with pytest.raises(ValueError, match="'Mine'"):
        source.state = parent.state
    for other in (source.jumped(), *source.spawn(1), copy.copy(source)):
        assert type(other) is Mine
    assert same_state(pickle.loads(pickle.dumps(source)).state, source.state)
    assert repr(source).startswith("Mine(key=")


# --- the lock ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw",
    [
        lambda source: fd.dropout_mask(10, 0.3, rng=source),
        lambda source: fd.bernoulli(10, 0.3, rng=source),
        lambda source: fd.dropout(np.ones(10), 0.3, rng=source),
        lambda source: source.random_raw(2),
        lambda source: np.random.Generator(source).random(3),
        lambda source: setattr(source, "position", 7),
        lambda source: setattr(source, "state", type(source)(key=1).state),
    ],
    ids=["dropout_mask", "bernoulli", "dropout", "random_raw", "Generator", "position", "state"],
)
def test_whatever_moves_a_source_waits_for_its_lock(source_class, draw):
    source = source_class(1)
    before = source.state
    thread = threading.Thread(target=draw, args=(source,))
    with source.lock:
        thread.start()
        thread.join(0.02)
        assert thread.is_alive()
        assert same_state(source.state, before)
    thread.join(10)
    assert not thread.is_alive()
    assert not same_state(source.state, before)


def test_the_lock_is_free_after_errors(source_class):
    source = source_class(1)
    source.position = 2**64 - 1
    with pytest.raises(OverflowError):
        fd.dropout_mask(10, rng=source)
    thread = threading.Thread(target=source.random_raw)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_threads_share_a_source(source_class):
    """Together they get every position once, and each the bits of the positions that it got."""
    source = source_class(1)
    masks, barrier = [], threading.Barrier(4)

    def draw():
        barrier.wait()
        for n in (1, 64, 700, 5000) * 10:
            masks.append(fd.dropout_mask(n, 1 / 3, rng=source, store="bits"))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = 4 * 10 * 5765
    assert source.position == total
    whole = np.asarray(fd.dropout_mask(total, 1 / 3, rng=source_class(1)))
    expected = np.count_nonzero(whole)
    assert sum(np.count_nonzero(np.asarray(mask)) for mask in masks) == expected
    starts = {whole[i : i + 64].tobytes(): i for i in range(total)}
    seen = np.zeros(total, bool)
    for mask in masks:
        if mask.size >= 64:
            start = starts[np.asarray(mask)[:64].tobytes()]
            part = slice(start, start + mask.size)
            assert np.array_equal(np.asarray(mask), whole[part])
            assert not seen[part].any()
            seen[part] = True
    assert np.count_nonzero(~seen) == 40


def test_a_state_that_is_set_holds_after_a_mask_that_was_under_way(source_class):
    """A mask that another thread began before leaves nothing of the old stream behind."""
    fd.set_num_threads(1)
    source, other = source_class(key=1), source_class(key=2)
    n = (1 << 26) + 100
    thread = threading.Thread(
        target=fd.bernoulli, args=(n, 0.1), kwargs={"rng": source, "packed": True}
    )
    thread.start()
    while source.position == 0 and thread.is_alive():
        pass
    other.position = n
    source.state = other.state
    thread.join()
    assert fd.dropout_mask(200, 0.3, rng=source) == fd.dropout_mask(200, 0.3, rng=other)


def test_spawn_in_threads_gives_no_twins(source_class):
    """Also where sources share a seed sequence, as copies do."""
    source = source_class(1)
    parents = [source, source, copy.copy(source), source.jumped()]
    assert parents[2].seed_seq is source.seed_seq
    children, barrier = [], threading.Barrier(4)

    def spawn(parent):
        barrier.wait()
        for _ in range(100):
            children.extend(parent.spawn(1))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=spawn, args=(parent,)) for parent in parents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len({child.key for child in children}) == len(children) == 400


@pytest.mark.parametrize(
    ("count", "error"), [(-1, ValueError), (2**31, ValueError), (1.0, TypeError), ("2", TypeError)]
)
def test_other_numbers_of_children_are_refused(source_class, count, error):
    source = source_class(1)
    with pytest.raises(error, match="n_children must"):
        source.spawn(count)
    assert source.spawn(0) == []
    assert source.seed_seq.n_children_spawned == 0


def test_what_is_read_of_a_source_is_of_one_moment(source_class):
    """While another thread sets one state after the other."""
    source, done, wrong = source_class(key=0), threading.Event(), []
    states = [source_class(key=word, counter=word).state | {"position": word} for word in (1, 2)]
    states = [{name: state[name] for name in state if name != "s"} for state in states]

    def change():
        while not done.is_set():
            for state in states:
                source.state = state

    source.state = states[0]
    thread = threading.Thread(target=change)
    thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(1000):
            state, text = source.state, repr(source)
            words = [(state["key"][0], state["counter"][0], state["position"])]
            _, (_, _, _, key, counter, position) = source.__reduce__()
            words.append((key[0], counter[0], position))
            words.append(tuple(word for word in (1, 2) if f"key=({word}," in text) * 3)
            there = source.jumped()
            words.append((there.key[0], there.counter[0], there.position))
            if not all(a == b == c for a, b, c in words) or f"position {words[2][0]}" not in text:
                wrong.append(words)
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()
    assert not wrong


# --- advancing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.5, 1 / 3, 1.0])
def test_a_call_advances_by_its_decisions(source_class, p):
    source = source_class(1)
    x = np.ones((6, 5, 4), np.float32)
    calls = [
        (lambda: fd.dropout(x, p, rng=source), 120),
        (lambda: fd.dropout(x, p, rng=source, out=x.copy()), 120),
        (lambda: fd.dropout(x.astype(complex), p, rng=source), 120),
        (lambda: fd.dropout(x, keep_prob=p, rng=source), 120),
        (lambda: fd.dropout(x, p, rng=source, scale="test"), 120),
        (lambda: fd.dropout(x, p, rng=source, noise_shape=(6, 1, 4)), 24),
        (lambda: fd.dropout(x, p, rng=source, noise_shape=(None, 1, 1)), 6),
        (lambda: fd.dropout(x, p, rng=source, noise_shape=()), 1),
        (lambda: fd.dropout(x[:, :, :0], p, rng=source), 0),
        (lambda: fd.dropout(np.float64(3.0), p, rng=source), 1),
        (lambda: fd.dropout_mask((7, 9), p, rng=source), 63),
        (lambda: fd.dropout_mask((7, 9), p, rng=source, store="bits"), 63),
        (lambda: fd.dropout_mask((), p, rng=source), 1),
        (lambda: fd.dropout_mask((3, 0), p, rng=source), 0),
        (lambda: fd.bernoulli((7, 9), p, rng=source), 63),
        (lambda: fd.bernoulli((7, 9), p, rng=source, packed=True), 63),
        (lambda: fd.dropout(x, p, rng=source, training=False), 0),
        (lambda: fd.dropout(x, p, rng=source, training=False, scale="test"), 0),
        (lambda: fd.dropout(x, mask=fd.dropout_mask(4, p, rng=1)), 0),
        (lambda: fd.dropout(x, p, rng=source, mask=np.ones(4, bool)), 0),
    ]
    position = 0
    for index, (call, decisions) in enumerate(calls):
        call()
        position += decisions
        assert source.position == position, index


def test_errors_advance_nothing(source_class):
    source = source_class(1)
    x = np.ones(10)
    for call in (
        lambda: fd.dropout(x, 1.5, rng=source),
        lambda: fd.dropout(x, np.nan, rng=source),
        lambda: fd.dropout(x, "0.5", rng=source),
        lambda: fd.dropout(x, 0.5, keep_prob=0.4, rng=source),
        lambda: fd.dropout(x.astype(int), 0.5, rng=source),
        lambda: fd.dropout(x, 0.5, rng=source, out=np.ones(9)),
        lambda: fd.dropout(x, 0.5, rng=source, noise_shape=(3,)),
        lambda: fd.dropout(x, 0.5, rng=source, scale="other"),
        lambda: fd.dropout_mask(-1, 0.5, rng=source),
        lambda: fd.dropout_mask(10, 0.5, rng=source, store="other"),
        lambda: fd.bernoulli(10, 2, rng=source),
        lambda: fd.bernoulli(10, 0.5, rng=source, out=np.ones(9, bool)),
        lambda: fd.bernoulli(10, 0.5, rng=source, dtype=float),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
        assert source.position == 0


def test_the_end_of_the_stream(level, source_class):
    """Past 2**64 there is nothing: an error, nothing written, nothing advanced."""
    source = source_class(1)
    end = 2**64 - 1
    source.position = end - 100
    kept = np.asarray(fd.dropout_mask(100, 1 / 3, rng=source))
    np.testing.assert_array_equal(kept, kept_at(source, end - 100, 100, 1 / 3))
    assert source.position == end
    fd.dropout_mask(0, rng=source)

    source.position = end - 100
    out, flags = np.full(102, 7.0), np.full(102, 7, np.uint8)
    for p in (0.0, 0.5, 1.0):
        for call in (
            lambda p=p: fd.dropout(np.ones(102), p, rng=source, out=out),
            lambda p=p: fd.dropout(np.ones(102), p, rng=source),
            lambda p=p: fd.dropout(np.ones((102, 3)), p, rng=source, noise_shape=(None, 1)),
            lambda p=p: fd.dropout_mask(102, p, rng=source),
            lambda p=p: fd.dropout_mask(102, p, rng=source, store="bits"),
            lambda p=p: fd.dropout_mask(2**62, p, rng=source),
            lambda p=p: fd.bernoulli(102, p, rng=source, out=flags),
        ):
            with pytest.raises(OverflowError, match=f"from {end - 100} on would pass"):
                call()
    assert np.all(out == 7.0)
    assert np.all(flags == 7)
    assert source.position == end - 100
    fd.dropout_mask(100, rng=source)
    assert source.position == end
