# SPDX-License-Identifier: BSD-3-Clause
"""NumPySource draws every bit from the bit generator, in NumPy's order, under its lock."""

import copy
import datetime
import pickle
import threading

import numpy as np
import pytest
from helpers import BIT_GENERATORS, PROBABILITIES, SOURCES, same_state, sha256, stream_vectors
from hypothesis import given
from hypothesis import strategies as st

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop.source.default import as_source

LENGTHS = (0, 1, 7, 8, 9, 63, 64, 65, 1000, 4095, 4096, 4097, 9001)
WITH_ENDS = (0.0, *PROBABILITIES, 1.0)
VECTORS = [vector for vector in stream_vectors() if vector["source"] not in reference.SOURCES]


@pytest.fixture(params=BIT_GENERATORS, ids=lambda cls: cls.__name__)
def bit_generator_class(request):
    """Run the test with every bit generator of NumPy."""
    return request.param


class CountingLock:
    """A lock that notes how often it was taken, and the generator's state at both ends."""

    def __init__(self, inner):
        self.inner = inner
        self.events = []

    def __enter__(self):
        self.events.append(("taken", copy.deepcopy(self.inner.state)))

    def __exit__(self, *exception):
        self.events.append(("given", copy.deepcopy(self.inner.state)))


class ThirdParty:
    """A bit generator of another package: NumPy's capsule and a lock, and nothing more."""

    def __init__(self, inner):
        self.inner = inner
        self.capsule = inner.capsule
        self.lock = CountingLock(inner)


def next_words(bit_generator, n, name="next_uint64"):
    """Take words through the C interface."""
    interface = bit_generator.ctypes
    return [getattr(interface, name)(interface.state) for _ in range(n)]


def kept(n, p, source):
    return np.asarray(fd.dropout_mask(n, p, rng=source))


# --- draws="bytes" -------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"])
def test_known_answers(level, vector):
    for p, digest in vector["kept_packed_1001_sha256"].items():
        bit_generator = getattr(np.random, vector["source"])(vector["seed"])
        assert sha256(fd.dropout_mask(1001, float(p), rng=bit_generator).bits) == digest


@pytest.mark.parametrize("p", WITH_ENDS)
def test_bytes(level, bit_generator_class, p):
    """The twin's decisions, and exactly 1 + ceil(n / 8) words taken, at p = 0 and 1 too."""
    source = fd.NumPySource(bit_generator_class(5))
    twin, words = bit_generator_class(5), bit_generator_class(5)
    for n in LENGTHS:
        drawn = kept(n, p, source)
        expected = reference.numpy_kept(twin, n, reference.decision_threshold(p))
        np.testing.assert_array_equal(drawn, expected)
        next_words(words, 1 + -(-n // 8) if n else 0)
        assert same_state(source.bit_generator.state, words.state)


def test_bytes_leave_half_words_alone(bit_generator_class):
    """A buffered 32-bit half stays for the next one who asks for 32 bits."""
    a, b = bit_generator_class(5), bit_generator_class(5)
    assert next_words(a, 1, "next_uint32") == next_words(b, 1, "next_uint32")
    fd.dropout_mask(20, 0.3, rng=a)
    next_words(b, 4)
    assert same_state(a.state, b.state)
    assert next_words(a, 3, "next_uint32") == next_words(b, 3, "next_uint32")


def test_bytes_of_mt19937():
    """Its 64-bit words are two of its own, the first on top."""
    a, b = np.random.MT19937(5), np.random.MT19937(5)
    halves = b.random_raw(2 * 4).astype(np.uint64)
    words = halves[::2] << np.uint64(32) | halves[1::2]
    heads = words[1:].astype("<u8").view(np.uint8)
    np.testing.assert_array_equal(kept(24, 0.5, a), heads >= 128)
    key = int(words[0]) % 2**32, int(words[0]) >> 32
    assert next_words(a, 1, "next_uint32") == b.random_raw(1).tolist()

    tied = np.random.MT19937(5)
    value = (int(heads[3]) + 0.25) / 256
    digits = reference.tie_digits("fd:tienp", key, (0, 0, 0, 0), 3, 1)
    assert kept(24, value, tied)[3] == (int(digits[0]) >= 2**54)


def test_the_first_word_keys_the_ties():
    """A generator whose words are known: all bytes tie, and the digits decide alone."""
    expected = np.random.Philox(key=1)
    key_word, *_ = next_words(expected, 1)
    digits = reference.tie_digits(
        "fd:tienp", (key_word % 2**32, key_word >> 32), (0, 0, 0, 0), 0, 9000
    )
    drawn = {p: kept(9000, p, np.random.Philox(key=1)) for p in (0.25, 0.251, 0.25 + 1 / 256)}
    tied = drawn[0.25] & ~drawn[0.25 + 1 / 256]
    assert tied.sum() > 10
    rest = reference.decision_threshold(0.251) % 2**56
    np.testing.assert_array_equal(drawn[0.251][tied], digits[tied] >= rest)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 300))
def test_bytes_are_nested(a, b, n):
    low, high = sorted((a, b))
    assert np.all(kept(n, high, np.random.SFC64(1)) <= kept(n, low, np.random.SFC64(1)))


def test_bytes_do_not_depend_on_levels_and_threads(bit_generator_class):
    masks = []
    for level in fd.simd_levels():
        for threads in (1, 5):
            fd.set_num_threads(threads)
            with fd.use_simd(level):
                masks.append(fd.dropout_mask(300_001, 1 / 3, rng=bit_generator_class(5)))
    assert all(mask == masks[0] for mask in masks)


# --- draws="double" and "float" ------------------------------------------------------------------


def wrappers(bit_generator_class, seed):
    """The bit generator, and what NumPy wraps it in."""
    return (
        bit_generator_class(seed),
        np.random.Generator(bit_generator_class(seed)),
        np.random.RandomState(bit_generator_class(seed)),
    )


@pytest.mark.parametrize("p", WITH_ENDS)
def test_double(bit_generator_class, p):
    """The mask of each idiom, to the last bit, and the generator left where the idiom leaves it."""
    idioms = (
        lambda rng, shape: np.random.Generator(rng).random(shape) >= p,
        lambda rng, shape: np.random.RandomState(rng).random_sample(shape) >= p,
        lambda rng, shape: np.random.RandomState(rng).rand(*shape) >= p,
        lambda rng, shape: np.random.RandomState(rng).uniform(size=shape) >= p,
        lambda rng, shape: np.random.Generator(rng).uniform(size=shape) >= p,
    )
    shape = (13, 7, 11)
    for idiom in idioms:
        twin = bit_generator_class(6)
        expected = [np.asarray(idiom(twin, part)) for part in (shape, (3,), (0,), (1, 1))]
        for rng in wrappers(bit_generator_class, 6):
            source = fd.NumPySource(rng, draws="double")
            for part in expected:
                np.testing.assert_array_equal(kept(part.shape, p, source), part)
            assert same_state(source.bit_generator.state, twin.state)


@pytest.mark.parametrize("p", WITH_ENDS)
def test_float(bit_generator_class, p):
    """As NumPy draws its float32: of 32-bit words, with their halves kept."""
    twin = np.random.Generator(bit_generator_class(6))
    expected = [twin.random(shape, dtype=np.float32) >= p for shape in ((13, 7, 11), 2, 0, 1)]
    for rng in wrappers(bit_generator_class, 6):
        source = fd.NumPySource(rng, draws="float")
        for part in expected:
            np.testing.assert_array_equal(kept(part.shape, p, source), part)
        assert same_state(source.bit_generator.state, twin.bit_generator.state)


def test_legacy_seeds():
    """The mask of a script with np.random.RandomState(seed), or with the global generator."""
    state = np.random.RandomState(123)
    source = fd.NumPySource(np.random.RandomState(123), draws="double")
    for shape in ((20, 30), (7,)):
        np.testing.assert_array_equal(kept(shape, 0.4, source), state.uniform(size=shape) >= 0.4)
    before = np.random.get_state()
    try:
        np.random.seed(123)
        source = fd.NumPySource(np.random.mtrand._rand, draws="double")
        expected = np.random.RandomState(123).rand(50) >= 0.4
        np.testing.assert_array_equal(kept(50, 0.4, source), expected)
    finally:
        np.random.set_state(before)


def test_ties_of_doubles_and_floats_are_kept(bit_generator_class):
    """At p equal to the uniform drawn: at least p is kept. float32 compares with float32(p)."""
    uniforms = np.random.Generator(bit_generator_class(6)).random(50)
    for i in (0, 17, 49):
        for p in (np.nextafter(uniforms[i], 0), uniforms[i], np.nextafter(uniforms[i], 1)):
            source = fd.NumPySource(bit_generator_class(6), draws="double")
            np.testing.assert_array_equal(kept(50, p, source), uniforms >= p)
    uniforms = np.random.Generator(bit_generator_class(6)).random(50, dtype=np.float32)
    for i in (0, 17, 49):
        exact = float(uniforms[i])
        for p in (exact, np.nextafter(exact, 1), exact + 2.0**-25, exact + 2.0**-23):
            source = fd.NumPySource(bit_generator_class(6), draws="float")
            np.testing.assert_array_equal(kept(50, p, source), uniforms >= np.float32(p))


@pytest.mark.parametrize("draws", ["double", "float"])
def test_doubles_and_floats_do_not_depend_on_levels(level, draws):
    dtype = np.float64 if draws == "double" else np.float32
    expected = np.random.default_rng(6).random(5001, dtype=dtype) >= 0.3
    source = fd.NumPySource(np.random.default_rng(6), draws=draws)
    np.testing.assert_array_equal(kept(5001, 0.3, source), expected)


@pytest.mark.parametrize("draws", ["bytes", "double", "float"])
def test_every_function_draws_the_same(bit_generator_class, draws):
    """dropout, its noise_shape, dropout_mask and bernoulli; keep_prob is 1 - p here."""

    def source():
        return fd.NumPySource(bit_generator_class(8), draws=draws)

    expected = kept((40, 30), 0.3, source())
    y, mask = fd.dropout(np.ones((40, 30)), 0.3, rng=source())
    np.testing.assert_array_equal(y, expected / (1 - 0.3))
    np.testing.assert_array_equal(mask, expected)
    assert mask.nbytes == 150
    y, mask = fd.dropout(np.ones((40, 5, 30)), 0.3, rng=source(), noise_shape=(None, 1, None))
    np.testing.assert_array_equal(y[:, 3] != 0, expected)
    for options in ({}, {"dtype": np.uint8}, {"out": np.empty((40, 30), bool)}):
        drawn = fd.bernoulli((40, 30), 0.3, rng=source(), **options)
        np.testing.assert_array_equal(drawn, ~expected)
    bits = fd.bernoulli((40, 30), 0.3, rng=source(), packed=True)
    np.testing.assert_array_equal(bits, np.packbits(~expected, bitorder="little"))
    bits = fd.bernoulli(1203, 0.0, rng=source(), packed=True)
    assert not bits.any(), "pad bits too"
    assert fd.dropout_mask(1203, 0.0, rng=source()).bits[-1] == 0b111
    if draws == "double":
        given_keep = np.asarray(fd.dropout_mask((40, 30), keep_prob=0.7, rng=source()))
        uniforms = np.random.Generator(bit_generator_class(8)).random((40, 30))
        np.testing.assert_array_equal(given_keep, uniforms >= 1 - 0.7)


# --- the generator is the user's ------------------------------------------------------------------


def test_a_generator_goes_on(bit_generator_class):
    """Numbers drawn between two masks come from the same stream."""
    rng, twin = (np.random.Generator(bit_generator_class(3)) for _ in range(2))
    for n in (10, 100):
        fd.dropout_mask(n, 0.3, rng=rng)
        next_words(twin.bit_generator, 1 + -(-n // 8))
        np.testing.assert_array_equal(rng.random(3), twin.random(3))


def test_errors_take_nothing():
    bit_generator = np.random.PCG64(3)
    for call in (
        lambda: fd.dropout(np.ones(4), 2.0, rng=bit_generator),
        lambda: fd.dropout(np.ones(4, int), rng=bit_generator),
        lambda: fd.dropout(np.ones(4), rng=bit_generator, out=np.ones(5)),
        lambda: fd.dropout_mask(10, 0.5, rng=bit_generator, store="seed"),
        lambda: fd.dropout_mask(-10, 0.5, rng=bit_generator),
        lambda: fd.bernoulli(10, np.nan, rng=bit_generator),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    assert same_state(bit_generator.state, np.random.PCG64(3).state)


@pytest.mark.parametrize("draws", ["bytes", "double", "float"])
def test_copies(bit_generator_class, draws):
    source = fd.NumPySource(bit_generator_class(3), draws=draws)
    fd.dropout_mask(100, rng=source)
    for other in (pickle.loads(pickle.dumps(source)), copy.deepcopy(source)):
        assert other.draws == draws
        assert type(other.bit_generator) is bit_generator_class
        assert same_state(other.bit_generator.state, source.bit_generator.state)
    assert copy.copy(source).bit_generator is source.bit_generator
    assert kept(50, 0.3, other).tolist() == kept(50, 0.3, source).tolist()


def test_repr_and_attributes(bit_generator_class):
    bit_generator = bit_generator_class(3)
    source = fd.NumPySource(np.random.Generator(bit_generator))
    assert source.bit_generator is bit_generator
    assert source.draws == "bytes"
    assert repr(source) == f"NumPySource({bit_generator_class.__name__}, draws='bytes')"
    for name in ("bit_generator", "draws"):
        with pytest.raises(AttributeError):
            setattr(source, name, None)


# --- third parties -------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", ["bytes", "double", "float"])
def test_third_parties(draws):
    """A capsule and a lock are enough, and every bit comes through them."""
    stranger = ThirdParty(np.random.PCG64(4))
    expected = kept(500, 0.3, fd.NumPySource(np.random.PCG64(4), draws=draws))
    np.testing.assert_array_equal(kept(500, 0.3, fd.NumPySource(stranger, draws=draws)), expected)


def test_third_parties_as_rng():
    expected = kept(500, 0.3, np.random.PCG64(4))
    np.testing.assert_array_equal(kept(500, 0.3, ThirdParty(np.random.PCG64(4))), expected)

    class Wrapper:
        bit_generator = ThirdParty(np.random.PCG64(4))

    np.testing.assert_array_equal(kept(500, 0.3, fd.NumPySource(Wrapper())), expected)


def test_generators_are_kept_alive():
    source = fd.NumPySource(ThirdParty(np.random.PCG64(4)))
    expected = kept(5000, 0.3, np.random.PCG64(4))
    _ = [bytearray(5000) for _ in range(100)]
    np.testing.assert_array_equal(kept(5000, 0.3, source), expected)


OWNER = np.random.PCG64(4)  # whose memory the capsules below are


class WithoutLock:
    capsule = OWNER.capsule


class WithoutCapsule:
    lock = threading.Lock()


class WithAnotherCapsule:
    capsule = datetime.datetime_CAPI
    lock = threading.Lock()


class WithNoCapsule:
    capsule = None
    lock = threading.Lock()


@pytest.mark.parametrize(
    "stranger",
    [WithoutLock(), WithoutCapsule(), WithAnotherCapsule(), WithNoCapsule(), None, 7, "PCG64"],
    ids=lambda stranger: type(stranger).__name__,
)
def test_other_objects_are_refused(stranger):
    with pytest.raises(
        TypeError,
        match=rf"^bit_generator must be NumPy's .*(\(an? {type(stranger).__name__}\)|None)$",
    ):
        fd.NumPySource(stranger)


@pytest.mark.parametrize("stranger", [WithoutLock(), WithoutCapsule(), WithNoCapsule()])
def test_other_objects_are_refused_as_rng(stranger):
    with pytest.raises(TypeError, match=type(stranger).__name__):
        fd.dropout_mask(10, rng=stranger)


class InPython(np.random.BitGenerator):
    """A bit generator without functions: NumPy's interface is for compiled ones."""

    def __init__(self):
        super().__init__(1)

    def random_raw(self, size=None, output=True):
        return 4


class WithAnotherLock:
    def __init__(self, lock):
        self.capsule = OWNER.capsule
        self.lock = lock


@pytest.mark.parametrize(
    "rng",
    [
        InPython(),
        np.random.Generator(InPython()),
        *map(WithAnotherLock, (None, 1, threading.Event(), threading.Lock)),
    ],
    ids=lambda rng: f"{type(rng).__name__} {type(getattr(rng, 'lock', rng)).__name__}",
)
def test_capsules_and_locks_that_are_none_are_refused(rng):
    for call in (
        lambda: fd.NumPySource(rng),
        lambda: fd.dropout(np.ones(3), rng=rng),
        lambda: fd.dropout_mask(3, rng=rng),
        lambda: fd.bernoulli(3, 0.5, rng=rng),
        lambda: fd.gaussian_dropout(np.ones(3), 0.5, rng=rng),
    ):
        with pytest.raises(TypeError, match="bit_generator must be NumPy's BitGenerator"):
            call()


def test_a_capsule_and_a_lock_that_change_are_taken_once():
    """They belong together, and those of the beginning are kept alive."""

    class Changing:
        def __init__(self):
            self.seed = 3

        @property
        def capsule(self):
            self.seed += 1
            self.generator = np.random.PCG64(self.seed)
            return self.generator.capsule

        @property
        def lock(self):
            return self.generator.lock

    stranger = Changing()
    source = fd.NumPySource(stranger)
    first = stranger.generator  # its memory is that of the capsule
    expected = kept(5000, 0.3, np.random.PCG64(4))
    stranger.generator = np.random.PCG64(77)
    np.testing.assert_array_equal(kept(5000, 0.3, source), expected)
    assert not same_state(first.state, np.random.PCG64(4).state)
    assert same_state(stranger.generator.state, np.random.PCG64(77).state)


class Forgetful(fd.NumPySource):
    def __init__(self):
        pass


@pytest.mark.parametrize(
    "source", [Forgetful(), fd.NumPySource.__new__(fd.NumPySource)], ids=["subclass", "new"]
)
def test_a_source_that_was_not_made_draws_nothing(source):
    out = np.full(3, 7.0)
    for call in (
        lambda: fd.dropout(np.ones(3), rng=source, out=out),
        lambda: fd.dropout(np.ones(3), np.full(3, 0.5), rng=source, out=out),
        lambda: fd.dropout_mask(3, rng=source),
        lambda: fd.bernoulli(3, 0.5, rng=source),
        lambda: fd.gaussian_dropout(np.ones(3), 0.5, rng=source, out=out),
    ):
        with pytest.raises(TypeError, match=r"does not call NumPySource\.__init__"):
            call()
    assert np.all(out == 7.0)
    assert "draws=None" in repr(source)


def test_a_source_is_made_once():
    """Another thread may be drawing from what it has."""
    source = fd.NumPySource(np.random.PCG64(4))
    with pytest.raises(TypeError, match="again"):
        source.__init__(np.random.PCG64(5))
    np.testing.assert_array_equal(kept(50, 0.3, source), kept(50, 0.3, np.random.PCG64(4)))


@pytest.mark.parametrize("draws", ["word", "", "Bytes", None, 8])
def test_other_draws_are_refused(draws):
    with pytest.raises(ValueError, match="draws must"):
        fd.NumPySource(np.random.PCG64(), draws=draws)


# --- the lock ------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", ["bytes", "double", "float"])
def test_the_lock_is_taken_once_around_the_draw(draws):
    stranger = ThirdParty(np.random.PCG64(4))
    source = fd.NumPySource(stranger, draws=draws)
    for index, call in enumerate(
        (
            lambda: fd.dropout_mask(5000, 0.3, rng=source),
            lambda: fd.dropout(np.ones(100), 0.3, rng=source),
            lambda: fd.bernoulli(100, 0.3, rng=source),
        )
    ):
        before = copy.deepcopy(stranger.inner.state)
        call()
        assert len(stranger.lock.events) == 2 * (index + 1)
        (taken, first), (given_back, last) = stranger.lock.events[-2:]
        assert (taken, given_back) == ("taken", "given")
        assert same_state(first, before), "nothing is drawn before the lock is taken"
        assert not same_state(first, last)
        assert same_state(last, stranger.inner.state), "nor after it is given back"


def test_masks_wait_for_the_lock(bit_generator_class):
    bit_generator = bit_generator_class(4)
    thread = threading.Thread(target=fd.dropout_mask, args=(10,), kwargs={"rng": bit_generator})
    with bit_generator.lock:
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        assert same_state(bit_generator.state, bit_generator_class(4).state)
    thread.join(10)
    assert not thread.is_alive()
    assert not same_state(bit_generator.state, bit_generator_class(4).state)


def test_threads_share_a_generator():
    """Each mask is a whole call: the words are handed out in calls, whatever their order."""
    bit_generator = np.random.PCG64(4)
    masks, barrier = [], threading.Barrier(4)

    def draw():
        barrier.wait()
        for _ in range(20):
            masks.append(fd.dropout_mask(2001, 0.3, rng=bit_generator).bits.tobytes())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    twin = np.random.PCG64(4)
    expected = [fd.dropout_mask(2001, 0.3, rng=twin).bits.tobytes() for _ in range(80)]
    assert sorted(masks) == sorted(expected)
    assert same_state(bit_generator.state, twin.state)


# --- sources of fastdrop -------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [np.random.Generator, np.random.RandomState])
def test_what_wraps_a_source_of_fastdrop_is_that_source(source_class, wrap):
    """Addressable, seeded and additive, as if the source itself had been given."""
    source = source_class(4)
    rng = wrap(source)
    assert as_source(rng) is source
    mask = fd.dropout_mask(100, 0.3, rng=rng)
    assert mask.nbytes == 0
    assert source.position == 100
    assert mask == fd.dropout_mask(100, 0.3, rng=source_class(4))
    rng.uniform(size=2)
    assert source.position == 116
    y, _ = fd.dropout(np.ones(10), 0.3, rng=rng)
    twin = source_class(4)
    twin.position = 116
    np.testing.assert_array_equal(y, fd.dropout(np.ones(10), 0.3, rng=twin)[0])


@pytest.mark.parametrize("cls", SOURCES, ids=lambda cls: cls.__name__)
def test_a_source_of_fastdrop_as_a_bit_generator(level, cls):
    """Asked for by name, the words of a source of fastdrop make masks as NumPy's do."""
    source = cls(4)
    drawn = kept(1001, 0.3, fd.NumPySource(source))
    expected = reference.numpy_kept(cls(4), 1001, reference.decision_threshold(0.3))
    np.testing.assert_array_equal(drawn, expected)
    assert source.position == 8 * (1 + 126)
    idiom = np.random.Generator(cls(4)).random(1001) >= 0.3
    np.testing.assert_array_equal(kept(1001, 0.3, fd.NumPySource(cls(4), draws="double")), idiom)
    idiom = np.random.Generator(cls(4)).random(1001, dtype=np.float32) >= 0.3
    np.testing.assert_array_equal(kept(1001, 0.3, fd.NumPySource(cls(4), draws="float")), idiom)
