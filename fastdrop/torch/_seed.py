# SPDX-License-Identifier: BSD-3-Clause
"""Where masks come from: the words of one call, drawn from a generator of PyTorch, or a seed."""

import threading

import torch

__all__ = ["draw_words"]

DRAWN = 3  # key and counter; the position is 0


class _Words(threading.local):
    """The four words of a call, one tensor for each thread, written again by each draw."""

    def __init__(self) -> None:
        with torch.inference_mode(False):
            self.words = torch.zeros(4, dtype=torch.int64, device="cpu")
            self.drawn = self.words[:DRAWN]


_words = _Words()


def draw_words(generator: torch.Generator | None = None) -> int:
    """Draw the words of one mask from a CPU generator and return their address.

    Parameters
    ----------
    generator : torch.Generator, optional
        None is PyTorch's default generator of the CPU: so ``torch.manual_seed``, ``fork_rng``,
        ``get_rng_state`` and ``torch.utils.checkpoint`` rule the masks.

    Returns
    -------
    address : int
        Of key, counter (low, high) and position, good until the thread's next draw.
    """
    _words.drawn.random_(generator=generator)
    address: int = _words.words.data_ptr()
    return address
