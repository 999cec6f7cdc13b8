# SPDX-License-Identifier: BSD-3-Clause
# Design: a source is (key, counter, position) and nothing else; bytes, lanes and tie digits are
# functions of these three, made by the kernels. A mask is drawn in two steps: under the lock its
# range of positions is reserved, and then its bytes are made without the lock, so that threads
# that share a source do not wait for each other's masks.
#
# The cursor saves the next mask the way to where the last one ended. It is a cache: a thread that
# would have to wait for it does without.
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memset

import threading

import numpy as np

from numpy.random.bit_generator cimport BitGenerator

from fastdrop._checks import (
    check_choice,
    check_integer,
    check_jumps,
    check_position,
    check_seed,
    check_shape,
    check_source_state,
    check_switch,
    check_words,
    refuse_attribute,
    refuse_base,
    refuse_init_again,
    refuse_lanes,
    refuse_positions,
    refuse_seed,
    refuse_without_init,
)
from fastdrop._fork import renew_in_children
from fastdrop._pickle import add_reader, load

from fastdrop.kernels._kernels cimport (
    FD_LANES,
    FD_STEP,
    engine,
    fd_identity,
    fd_lanes,
    fd_shared_take,
    fd_shared_write,
    fd_source,
    fd_stream,
    fd_tagged,
)
from fastdrop.source._class_name cimport say_public

cdef object ReentrantLock = type(threading.RLock())

# Of all sources, for several may have one SeedSequence, which counts its children without a lock.
cdef object spawning = ReentrantLock()
renew_in_children(spawning)

# The package's own sources: their classes by name, and their indices in C by class. The file that
# defines them adds them here.
cdef dict CLASSES = {}
cdef dict INDICES = {}


cdef int add_source(cls, int index) except -1:
    name = engine.sources[index].name.decode()
    CLASSES[name] = cls
    INDICES[cls] = index
    globals()[name] = cls  # where the first pickles look for it
    return 0


# NumPy's bit-generator interface. Its callers hold the lock.

cdef uint64_t next_uint64(void *stream) noexcept nogil:
    return engine.next(<fd_stream *>stream, 8)


cdef uint32_t next_uint32(void *stream) noexcept nogil:
    return <uint32_t>engine.next(<fd_stream *>stream, 4)


cdef double next_double(void *stream) noexcept nogil:
    return <double>(engine.next(<fd_stream *>stream, 8) >> 11) * (1.0 / 9007199254740992.0)


cdef tuple key_of(const fd_identity *identity):
    return (identity.key[0], identity.key[1])


cdef tuple counter_of(const fd_identity *identity):
    return tuple(int(identity.counter[i // 2] >> 32 * (i % 2) & 0xFFFFFFFF) for i in range(4))


cdef object lane_states(const fd_seeded *at):
    """Return the states of the lanes before the step that contains the position."""
    cdef fd_lanes lanes
    cdef int words = engine.sources[<int>at.source].lanes.words
    memset(&lanes, 0, sizeof(lanes))
    engine.kernels().fill[<int>at.source](&at.identity, &lanes, at.position // FD_STEP, 0, NULL)
    return np.array(
        [[lanes.word[word][lane] for word in range(words)] for lane in range(FD_LANES)], np.uint64
    )


def new_in_children(Source source):
    """Return the source, of which each forked child then has another: its key is changed there."""
    source.key_ends = engine.forks() + 1
    return source


def rebuild(cls, seed_seq, key, counter, position):
    """Return the source that was pickled; ``cls`` is a class, or the name of the package's own."""
    if isinstance(cls, str):
        cls = CLASSES[check_choice("the source", cls, CLASSES)]
    cdef Source source = cls(key=key, counter=counter)
    source._seed_seq = seed_seq
    source.stream.position = position
    return source


cdef fd_source index_of(source) except *:
    """Return the index that a source of the package, or of a class made of it, has in C."""
    for cls in type(source).__mro__:
        if cls in INDICES:
            return <fd_source><int>INDICES[cls]
    refuse_base()


cdef class Source(BitGenerator):
    """Base class of fastdrop's sources. Key, counter and position decide every byte.

    Make one of its classes: `Xoshiro256PlusPlus`, `Xorshift128Plus` or `Philox4x32`.

    Parameters
    ----------
    seed : None, int, sequence of int or SeedSequence
        As in these classes, which take ``key`` and ``counter``, too.

    Examples
    --------
    Sources of fastdrop can go back to any position. NumPy's cannot:

    >>> import numpy as np
    >>> import fastdrop as fd
    >>> isinstance(fd.Philox4x32(1), fd.Source)
    True
    >>> isinstance(fd.as_source(np.random.default_rng(1)), fd.Source)
    False
    """

    def __init__(self, seed=None, *, key=None, counter=None):
        cdef fd_source source
        if self.acquire is not None:  # another thread may be drawing
            refuse_init_again("; a source is changed by its state")
        source = index_of(self)
        if key is None and counter is None:
            seed_seq = check_seed(seed)
            state = seed_seq.generate_state(4)
            if type(state) is np.ndarray:
                state = state.tolist()  # of ints, which are checked sooner than NumPy's
            words = check_words("the state of seed", list(state), 4)
            key_words, counter_words = words[:2], [0, 0, words[2], words[3]]
        else:
            if seed is not None:
                refuse_seed(seed)
            key_words = (0,) * 2 if key is None else check_words("key", key, 2)
            counter_words = (0,) * 4 if counter is None else check_words("counter", counter, 4)
            seed_seq = np.random.SeedSequence([*key_words, *counter_words])
        BitGenerator.__init__(self, seed_seq)  # it has a capsule from here on
        self._bitgen.state = &self.stream
        self._bitgen.next_uint64 = &next_uint64
        self._bitgen.next_uint32 = &next_uint32
        self._bitgen.next_double = &next_double
        self._bitgen.next_raw = &next_uint64
        if type(self.lock) is not ReentrantLock:  # before NumPy 2.4
            self.lock = ReentrantLock()
        renew_in_children(self.lock)
        for i in range(2):
            self.stream.identity.key[i] = key_words[i]
            self.stream.identity.counter[i] = (
                counter_words[2 * i] | <uint64_t>counter_words[2 * i + 1] << 32
            )
        self.stream.source = source
        self.ties = fd_tagged(&self.stream.identity, engine.sources[<int>source].tie_tag)
        self.acquire = self.lock.acquire
        self.release = self.lock.release

    cdef object made_lock(self):
        """Return the lock, after a check that there is one."""
        if self.acquire is None:
            refuse_without_init(self, "Source")
        return self.lock

    cdef int reserve(self, uint64_t n, fd_seeded *seeded, fd_cursor *cursor) except -1:
        """Take the next ``n`` positions: where they start, as a seeded mask and a cursor."""
        if self.acquire is None:
            self.made_lock()
        self.acquire()
        if self.key_ends and self.key_ends <= engine.forks():
            self.change_key()
        seeded[0] = self.at(self.stream.position)
        if n > <uint64_t>0xFFFFFFFFFFFFFFFF - seeded.position:
            self.release()
            refuse_positions(n, seeded.position)
        self.stream.position += n
        self.release()
        if not self.resume(&seeded.identity, cursor):
            memset(cursor, 0, sizeof(fd_cursor))
        return 0

    cdef int change_key(self) except -1:
        """Take a key from the operating system, and another one after the next fork.

        The caller holds the lock; where there is no key it is given back.
        """
        cdef Source other
        try:
            other = type(self)()
        except BaseException:
            self.release()
            raise
        self.stream, self.ties = other.stream, other.ties
        self.key_ends = engine.forks() + 1
        return 0

    cdef bint resume(self, const fd_identity *identity, fd_cursor *cursor) noexcept:
        """Give the cursor where the last mask ended, if it is of that stream and free."""
        cdef bint fits
        if not fd_shared_take(&self.cursor_taken):
            return False
        fits = memcmp(&self.cursor_of, identity, sizeof(fd_identity)) == 0
        if fits:
            cursor[0] = self.cursor
        fd_shared_write(&self.cursor_taken, 0)
        return fits

    cdef void leave(self, const fd_seeded *seeded, const fd_cursor *cursor) noexcept:
        """Keep where a mask ended, for the next one."""
        if fd_shared_take(&self.cursor_taken):
            self.cursor, self.cursor_of = cursor[0], seeded.identity
            fd_shared_write(&self.cursor_taken, 0)

    cdef fd_seeded at(self, uint64_t position) noexcept:
        """Return the seeded mask that starts there; its threshold is yet to be set."""
        cdef fd_seeded seeded
        memset(&seeded, 0, sizeof(seeded))
        seeded.source = self.stream.source
        seeded.identity = self.stream.identity
        seeded.ties = self.ties
        seeded.position = position
        return seeded

    cdef fd_seeded here(self) except *:
        """Return the one that would come next, when no other thread is drawing."""
        cdef fd_seeded seeded
        self.made_lock()
        self.acquire()
        seeded = self.at(self.stream.position)
        self.release()
        return seeded

    @property
    def key(self):
        """The two 32-bit words of the key, as a tuple of ints."""
        cdef fd_seeded here = self.here()
        return key_of(&here.identity)

    @property
    def counter(self):
        """The four 32-bit words of the counter, lowest first, as a tuple of ints."""
        cdef fd_seeded here = self.here()
        return counter_of(&here.identity)

    @property
    def position(self):
        """Position in the stream, in bytes, which are elements: an int in [0, 2**64). Settable."""
        return self.here().position

    @position.setter
    def position(self, value):
        position = check_position(value)
        with self.made_lock():
            self.stream.position = position

    @property
    def state(self):
        """State as a dict: bit_generator, key, counter, position; settable.

        The xorshift family adds ``s``, the (8, k) uint64 array of the states of its lanes before
        the 64-byte step that contains the position. It is derived from the others: setting a
        state whose ``s`` contradicts them is a ValueError. NumPy's RandomState takes no state
        without an entry ``state``, which is an empty dict here. Both may be left out.
        """
        cdef fd_seeded here = self.here()
        state = {
            "bit_generator": type(self).__name__,
            "key": key_of(&here.identity),
            "counter": counter_of(&here.identity),
            "position": here.position,
            "state": {},
        }
        if engine.sources[<int>here.source].lanes.words:
            state["s"] = lane_states(&here)
        return state

    @state.setter
    def state(self, value):
        cdef Source other
        cdef fd_seeded there
        check_source_state(value, type(self).__name__)
        other = type(self)(
            key=check_words("key", value["key"], 2),
            counter=check_words("counter", value["counter"], 4),
        )
        other.position = value["position"]
        there = other.here()
        if "s" in value and engine.sources[<int>there.source].lanes.words:
            if not np.array_equal(value["s"], lane_states(&there)):
                refuse_lanes()
        with self.made_lock():
            self.stream = other.stream
            self.ties = other.ties

    def spawn(self, n_children):
        """Return new sources of the same class, from children of the seed sequence.

        Parameters
        ----------
        n_children : int
            How many. Spawning again gives others, in whatever thread.

        Returns
        -------
        sources : list of Source
            Independent of this one, and of each other.

        Raises
        ------
        TypeError
            If the seed sequence cannot spawn, or ``n_children`` is not an integer.
        ValueError
            If it is negative.

        Examples
        --------
        >>> import fastdrop as fd
        >>> a, b = fd.Xoshiro256PlusPlus(1).spawn(2)
        >>> a.key == b.key
        False
        """
        count = check_integer("n_children", n_children, 0, 2**31, "in [0, 2**31)")
        with spawning:
            return BitGenerator.spawn(self, count)

    def random_raw(self, size=None, output=True):
        """Return words of 64 bits, and advance by eight positions for each.

        Parameters
        ----------
        size : int or sequence of int, optional
            Shape of the result. None: one word, as an int.
        output : bool, default True
            False draws the words and returns None.

        Returns
        -------
        words : int or ndarray of uint64 or None
            The next words of the stream.

        Raises
        ------
        TypeError, ValueError
            If an argument is of another type or out of range.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.Philox4x32(key=0).random_raw()
        16242730742183356629
        """
        shape = None if size is None else check_shape(size, "size")
        return BitGenerator.random_raw(self, shape, check_switch("output", output))

    def jumped(self, jumps=1):
        """Return a new source whose counter is ``jumps`` * 2**64 further on.

        Its stream does not overlap this one's. Its position is the same.

        Parameters
        ----------
        jumps : int, default 1
            How far to jump. It must not be negative.

        Returns
        -------
        source : Source
            A source of the same class.

        Examples
        --------
        >>> import fastdrop as fd
        >>> fd.Philox4x32(key=0).jumped(2).counter
        (0, 0, 2, 0)
        """
        jumps = check_jumps(jumps)
        cdef fd_seeded here = self.here()
        counter = sum(word << 32 * i for i, word in enumerate(counter_of(&here.identity)))
        cdef Source source = type(self)(
            key=key_of(&here.identity), counter=counter + (jumps << 64) & (1 << 128) - 1
        )
        source.stream.position = here.position
        return source

    def __getattr__(self, name):
        refuse_attribute(self, name)  # none of those above

    def __reduce__(self):
        cdef fd_seeded here = self.here()
        words = key_of(&here.identity), counter_of(&here.identity)
        cls = type(self)
        name = cls.__name__ if cls in INDICES else cls  # of users' classes, themselves
        return load, ("Source", name, self._seed_seq, *words, here.position)

    def __repr__(self):
        cdef fd_seeded here = self.here()
        return (
            f"{type(self).__name__}(key={key_of(&here.identity)}, "
            f"counter={counter_of(&here.identity)}) at position {here.position}"
        )


say_public(Source, "fastdrop.Source")

add_reader("Source", rebuild)
