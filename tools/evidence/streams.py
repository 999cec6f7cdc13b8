# SPDX-License-Identifier: BSD-3-Clause
"""What the batteries look at: endless arrays of bytes, made of a source in one way each.

Each maker takes the class of a source, a seed and a position, where it starts in the stream. The
makers of CONTROLS are wrong on purpose: a battery that finds nothing in them proves nothing.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

import fastdrop as fd
from fastdrop import _reference as reference
from fastdrop.kernels import _testing

Bytes = NDArray[np.uint8]
Maker = Callable[[type[fd.Source], int, int], Iterator[Bytes]]

CHUNK = 2**20  # bytes of one array
TOGETHER = 64  # sources that are interleaved, a word of each in turn

SOURCES = {cls.__name__: cls for cls in (fd.Xoshiro256PlusPlus, fd.Xorshift128Plus, fd.Philox4x32)}


def source_at(source: fd.Source, position: int) -> fd.Source:
    """Return the source, moved to a position."""
    source.position = position
    return source


def words(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give the bytes of the stream."""
    source = source_at(cls(seed), position)
    while True:
        yield source.random_raw(CHUNK // 8).view(np.uint8)


REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1
).ravel()


def reversed_words(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give the bytes with the bits of each 32-bit word in the other order."""
    for chunk in words(cls, seed, position):
        yield REVERSED[chunk].reshape(-1, 4)[:, ::-1].ravel()


def kept(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give the kept bits of masks at p = 1/2."""
    source = source_at(cls(seed), position)
    while True:
        yield fd.dropout_mask(8 * CHUNK, 0.5, rng=source, store="bits").bits


def kept_at_a_third(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give the kept bits of masks at p = 1/3, of which words.c makes fair ones."""
    source = source_at(cls(seed), position)
    while True:
        yield fd.dropout_mask(8 * CHUNK, 1 / 3, rng=source, store="bits").bits


def tie_digits(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give the first six of the seven bytes of the digits that decide where a byte ties."""
    source = cls(seed)
    tag = reference.SOURCES[cls.__name__].tie_tag
    key = [int(word) for word in reference._tagged(source.key, tag)]
    index = np.arange(2**13, dtype=np.uint16)
    while True:
        digits = _testing.digits(key, source.counter, position, index)
        yield digits.astype("<u8").view(np.uint8).reshape(-1, 8)[:, 1:7].ravel()
        position += index.size


def interleaved(sources: list[fd.Source], position: int) -> Iterator[Bytes]:
    """Give a word of each source in turn."""
    for source in sources:
        source.position = position
    while True:
        rows = [source.random_raw(CHUNK // 8 // len(sources)) for source in sources]
        yield np.stack(rows, axis=1).ravel().view(np.uint8)


def neighbouring_seeds(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give words of 64 sources whose seeds follow each other."""
    return interleaved([cls(seed + i) for i in range(TOGETHER)], position)


def keys_of_one_bit(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give words of 64 sources, in whose keys one bit each is another."""
    low, high = cls(seed).key
    key = low | high << 32
    return interleaved([cls(key=key ^ 1 << bit) for bit in range(TOGETHER)], position)


def jumps(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give words of a source and of 63 that jumped away from it."""
    return interleaved([cls(seed).jumped(i) for i in range(TOGETHER)], position)


def windows(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Give the kept bits of masks at p = 1/2, by windows of 64 columns of 4096."""
    source = source_at(cls(seed), position)
    while True:
        whole = fd.dropout_mask((CHUNK // 8, 4096), 0.5, rng=source, store="seed")
        for first in range(0, 4096, 64):
            yield whole[:, first : first + 64].packed().bits


FAIR = "von Neumann bits"
MAKERS: dict[str, Maker] = {
    "bytes": words,
    "reversed": reversed_words,
    "kept bits": kept,
    FAIR: kept_at_a_third,
    "tie digits": tie_digits,
    "64 seeds": neighbouring_seeds,
    "64 keys": keys_of_one_bit,
    "64 jumps": jumps,
    "windows": windows,
}


# --- wrong on purpose ----------------------------------------------------------------------------


def xoshiro(
    seed: int, lanes_of: Callable[[tuple[int, ...], tuple[int, ...], NDArray[np.uint64]], object]
) -> Iterator[Bytes]:
    """Give bytes of xoshiro256++ whose lanes are seeded by this function."""
    key, counter = reference.identity(seed)
    blocks = np.arange(CHUNK // reference.BLOCK_BYTES, dtype=np.uint64)
    while True:
        states = np.asarray(lanes_of(key, counter, blocks), dtype=np.uint64)
        outputs = np.empty((blocks.size, reference.BLOCK_BYTES // 64, 8), dtype="<u8")
        for step in range(outputs.shape[1]):
            states, outputs[:, step] = reference.xoshiro256plusplus_step(states)
        yield outputs.view(np.uint8).ravel()
        blocks = blocks + np.uint64(blocks.size)


def right_lanes(
    key: tuple[int, ...], counter: tuple[int, ...], blocks: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return the lanes as they should be: uint64 (4, blocks, 8)."""
    return reference._block_lanes(reference.SOURCES["Xoshiro256PlusPlus"], key, counter, blocks)


def like_lanes(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Lane 1 is seeded as lane 0."""
    return xoshiro(seed, lambda *where: right_lanes(*where)[:, :, [0, 0, 2, 3, 4, 5, 6, 7]])


def counted_lanes(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Lanes are seeded with their numbers, which nothing has mixed."""
    return xoshiro(
        seed,
        lambda key, counter, blocks: (
            np.arange(1, 33, dtype=np.uint64).reshape(4, 1, 8) + np.uint64(32) * blocks[:, None]
        ),
    )


def repeated_blocks(cls: type[fd.Source], seed: int, position: int) -> Iterator[Bytes]:
    """Every block comes twice."""
    return xoshiro(
        seed, lambda key, counter, blocks: right_lanes(key, counter, blocks // np.uint64(2))
    )


CONTROLS: dict[str, Maker] = {
    "two lanes alike": like_lanes,
    "lanes not mixed": counted_lanes,
    "repeated blocks": repeated_blocks,
}
