# SPDX-License-Identifier: BSD-3-Clause
"""Decisions of Philox4x32 in PyTorch's own operations, for devices without kernels of fastdrop.

A further implementation of the stream contract, with the bits of the kernels. A word is an int64 in
[0, 2**32), and no number leaves the range of int64. The decision of an element is a function of its
index alone, so a compiler can make one loop of all. Numbers that are the same for all elements may
be symbols of a program that is recorded.
"""

import math
from typing import Any, NamedTuple, TypeAlias

import torch

from fastdrop.torch._apply import Ints

__all__ = ["Place", "Threshold", "decide", "philox", "threshold_of"]

# Its head and its rest: numbers, or tensors of those of each decision.
Threshold: TypeAlias = tuple[Any, Any]

# The words of philox: tensors, or numbers that are the same for all elements.
Words: TypeAlias = tuple[Any, Any, Any, Any]

ROUNDS = 10
# Less 2**32: so their products with words are in (-2**63, 0].
MULTIPLIERS = 0xD2511F53 - 2**32, 0xCD9E8D57 - 2**32
WEYL = 0x9E3779B9, 0xBB67AE85
TIES = tuple(int.from_bytes(part, "little") for part in (b"fd:t", b"ieph"))

WORD = 2**32
MASK = WORD - 1


class Place(NamedTuple):
    """Where in the stream of a Philox4x32 source a mask starts: what the source says of itself."""

    key: tuple[int, int]
    counter: tuple[int, int, int, int]
    position: int


def _multiply(word: torch.Tensor, multiplier: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the low and the high word of the product with a multiplier, which is less 2**32."""
    product = word * multiplier
    return product & MASK, (product >> 32) + word


def _apart(word: torch.Tensor) -> torch.Tensor:
    """Return the same words.

    Inductor writes an expression out wherever it is used, which doubles it with each round. It does
    not do so beyond a view by strides. Its loops are joined afterwards all the same.
    """
    return word.as_strided(word.shape, word.stride())


def philox(key: tuple[int, int], counter: Words) -> tuple[torch.Tensor, ...]:
    """Return the four words of philox(key; counter)."""
    a, b, c, d = counter
    del counter
    k0, k1 = key
    for number in range(ROUNDS):
        if number % 2 == 0:
            a, b, c, d = map(_apart, (a, b, c, d))
        a_low, a_high = _multiply(a, MULTIPLIERS[0])
        c_low, c_high = _multiply(c, MULTIPLIERS[1])
        a, b, c, d = c_high ^ b ^ k0, c_low, a_high ^ d ^ k1, a_low
        k0, k1 = (k0 + WEYL[0]) % WORD, (k1 + WEYL[1]) % WORD
    return a, b, c, d


def _later(counter: tuple[int, int, int, int], low: Any, high: Any) -> Words:
    """Return counter + (low, high) modulo 2**128."""
    words = []
    carry: Any = 0
    for word, more in zip(counter, (low, high, 0, 0), strict=True):
        total = word + more + carry
        words.append(total & MASK)
        carry = total >> 32
    return tuple(words)


def threshold_of(p: float | torch.Tensor) -> Threshold:
    """Return ceil(p * 2**64) as its head, in [0, 256], and the rest, below 2**56."""
    if isinstance(p, float):
        numerator, denominator = p.as_integer_ratio()
        return divmod(-(-numerator * 2**64 // denominator), 2**56)
    scaled = p.double() * 256.0  # which is exact, and so is all that follows
    head = scaled.floor()
    rest = ((scaled - head) * 2.0**56).ceil()
    return head.long(), rest.long()


def _position(start: int, shape: Ints, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions of a mask's elements: their low and high words."""
    index = torch.arange(math.prod(shape), dtype=torch.int64, device=device).view(shape)
    low = (index & MASK) + start % WORD
    return low & MASK, (index >> 32) + start // WORD + (low >> 32)


def _bytes(place: Place, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Return the bytes of the stream at positions."""
    block = low >> 4 | (high & 15) << 28, high >> 4
    a, b, c, d = philox(place.key, _later(place.counter, *block))
    at = low >> 2 & 3
    word = torch.where(at < 2, torch.where(at == 0, a, b), torch.where(at == 2, c, d))
    return word >> ((low & 3) * 8) & 0xFF


def _tie_digits(place: Place, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Return the 56 bits that decide where the bytes at positions tie."""
    key = place.key[0] ^ TIES[0], place.key[1] ^ TIES[1]
    a, b, _, _ = philox(key, _later(place.counter, low, high))
    return a >> 8 | b << 24


def decide(place: Place, threshold: Threshold, shape: Ints, device: torch.device) -> torch.Tensor:
    """Return the decisions of a mask of that shape: bools, True where kept."""
    head, rest = threshold
    position = _position(place.position, shape, device)
    byte = _bytes(place, *position)
    if isinstance(rest, int) and rest == 0:  # nothing ties
        return byte >= head
    return (byte > head) | ((byte == head) & (_tie_digits(place, *position) >= rest))
