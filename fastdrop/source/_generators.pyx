# SPDX-License-Identifier: BSD-3-Clause
# Design: a class for each row of kernels/sources.h, of the name that the row has. All that they do
# is in their base; what they are is in their documentation.

from fastdrop.kernels._kernels cimport FD_SOURCES, engine
from fastdrop.source._class_name cimport say_public
from fastdrop.source._source cimport Source, add_source


cdef class Xoshiro256PlusPlus(Source):
    """Xoshiro256PlusPlus(seed=None, *, key=None, counter=None)
--

    The default source: eight lanes of xoshiro256++, reseeded from Philox4x32 every 16 KiB.

    A NumPy bit generator as well: ``np.random.Generator(Xoshiro256PlusPlus(1))`` works.

    Parameters
    ----------
    seed : None, int, sequence of int or SeedSequence, optional
        128 bits of seed are taken from ``SeedSequence(seed)``. None asks the operating system.
    key, counter : int or sequence of int, optional
        Instead of a seed: two and four 32-bit words, lowest first (or one int). 0 by default.

    Attributes
    ----------
    key, counter : tuple of int
        The words that decide the stream.
    position : int
        The next byte of the stream. An element of a mask takes one byte. It can be set.
    state : dict
        The whole state. It can be set.

    Raises
    ------
    TypeError, ValueError
        If the seed or the words have a wrong type or are out of range.

    Notes
    -----
    Any byte of the stream is reached at once, so a mask does not depend on the number of threads
    or on how an array is cut. Not for cryptography.

    Threads may share a source: each call takes a stretch of positions. It has taken them even if
    Ctrl-C ends it in the middle.

    References
    ----------
    .. [1] D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", ACM
       Transactions on Mathematical Software 47 (2021).

    Examples
    --------
    >>> import fastdrop as fd
    >>> source = fd.Xoshiro256PlusPlus(2026)
    >>> fd.dropout_mask(4, p=0.5, rng=source)
    <Mask of shape (4,), p=0.5, seeded>
    >>> source.position
    4
    """


cdef class Xorshift128Plus(Source):
    """Xorshift128Plus(seed=None, *, key=None, counter=None)
--

    Eight lanes of xorshift128+ (shifts 23, 18, 5), reseeded from Philox4x32 every 16 KiB.

    It is the oldest and smallest of the family, and the fastest by a little. Use it to repeat what
    was done with it. Bit 0 of its 64-bit words is a linear sequence and fails the test of binary
    rank, a known weakness of xorshift128+. The kept bits of masks do not show it.

    Parameters
    ----------
    seed : None, int, sequence of int or SeedSequence, optional
        128 bits of seed are taken from ``SeedSequence(seed)``. None asks the operating system.
    key, counter : int or sequence of int, optional
        Instead of a seed: two and four 32-bit words, lowest first (or one int). 0 by default.

    Attributes
    ----------
    key, counter, position, state
        As in `Xoshiro256PlusPlus`.

    Raises
    ------
    TypeError, ValueError
        If the seed or the words have a wrong type or are out of range.

    References
    ----------
    .. [1] S. Vigna, "Further scramblings of Marsaglia's xorshift generators", Journal of
       Computational and Applied Mathematics 315 (2017).

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.Xorshift128Plus(1).state["s"].shape
    (8, 2)
    """


cdef class Philox4x32(Source):
    """Philox4x32(seed=None, *, key=None, counter=None)
--

    Philox4x32-10, the counter-based generator of Random123, CUDA and TensorFlow.

    Its bytes 16b ... 16b + 15 are ``philox(key, counter + b)``. So this stream is the simplest to
    make again elsewhere, for example on a GPU. It takes up to twice the time of the others.

    Parameters
    ----------
    seed : None, int, sequence of int or SeedSequence, optional
        128 bits of seed are taken from ``SeedSequence(seed)``. None asks the operating system.
    key, counter : int or sequence of int, optional
        Instead of a seed: two and four 32-bit words, lowest first (or one int). 0 by default.

    Attributes
    ----------
    key, counter, position, state
        As in `Xoshiro256PlusPlus`.

    Raises
    ------
    TypeError, ValueError
        If the seed or the words have a wrong type or are out of range.

    References
    ----------
    .. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy
       as 1, 2, 3", SC11 (2011).

    Examples
    --------
    The first block with key and counter 0, as Random123 lists it:

    >>> import fastdrop as fd
    >>> [f"{word:08x}" for word in fd.Philox4x32(key=0).random_raw(2).view("<u4")]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """


say_public(Xoshiro256PlusPlus, "fastdrop.Xoshiro256PlusPlus")
say_public(Xorshift128Plus, "fastdrop.Xorshift128Plus")
say_public(Philox4x32, "fastdrop.Philox4x32")

cdef int add_sources() except -1:
    for index in range(FD_SOURCES):
        add_source(globals()[engine.sources[index].name.decode()], index)
    return 0


add_sources()
