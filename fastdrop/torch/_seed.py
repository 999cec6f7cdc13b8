# SPDX-License-Identifier: BSD-3-Clause
"""Where masks come from: the words of one call, drawn from a generator of PyTorch.

A program that runs takes them from memory, a program that is recorded has them as a tensor. Both
are the same operation of PyTorch on its generator, so both have the same masks.
"""

import torch

from fastdrop.source import Source
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = ["draw_mask", "draw_words", "place_source", "words_of_source"]

DRAWN = 3  # key and counter; the position is 0

_random = torch.ops.aten.random.default

# Words that no call is using, each with its part that is drawn. A call takes one out and puts it
# back after the mask was made. So a hook, a signal handler or a thread in between gets another.
_free: list[tuple[torch.Tensor, torch.Tensor]] = []


def _new_words() -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode(False):
        words = torch.zeros(4, dtype=torch.int64, device="cpu")
        return words, words[:DRAWN]


def draw_mask(
    p: float,
    strides: tuple[int, ...],
    *,
    generator: torch.Generator | None = None,
    keeps: bool = False,
) -> TensorMask:
    """Return a mask whose words are drawn from a CPU generator.

    Parameters
    ----------
    p, strides, keeps
        As in `fastdrop.torch._tensor.mask_from_words`.
    generator : torch.Generator, optional
        None is PyTorch's default generator of the CPU: so ``torch.manual_seed``, ``fork_rng``,
        ``get_rng_state`` and ``torch.utils.checkpoint`` rule the masks.

    Returns
    -------
    mask : TensorMask
    """
    try:
        taken = _free.pop()
    except IndexError:
        taken = _new_words()
    words, drawn = taken
    if generator is None:
        drawn.random_()
    else:
        drawn.random_(generator=generator)
    mask = mask_from_words(words, p, strides, keeps)
    _free.append(taken)
    return mask


def draw_words(generator: torch.Generator | None = None) -> torch.Tensor:
    """Return the words that `draw_mask` draws: key, counter (low, high) and position.

    The operations are such as every compiler of PyTorch leaves to its generator; of those with a
    range, such as ``randint``, inductor makes its own.
    """
    drawn = _random(torch.empty(DRAWN, dtype=torch.int64, device="cpu"), generator=generator)
    return torch.nn.functional.pad(drawn, (0, 4 - DRAWN))


def words_of_source(source: Source) -> torch.Tensor:
    """Return where a source of fastdrop is, in the same words."""
    low, high, *counter = (*source.key, *source.counter)
    words = [low | high << 32, counter[0] | counter[1] << 32, counter[2] | counter[3] << 32]
    words.append(source.position)
    return torch.tensor([word - (word >> 63 << 64) for word in words], device="cpu")


def place_source(source: Source, words: torch.Tensor) -> None:
    """Put a source to where another one was."""
    key, low, high, position = (word % 2**64 for word in words.tolist())
    counter = low | high << 64
    source.state = {
        "bit_generator": type(source).__name__,
        "key": (key % 2**32, key >> 32),
        "counter": tuple(counter >> 32 * i & 0xFFFFFFFF for i in range(4)),
        "position": position,
    }
