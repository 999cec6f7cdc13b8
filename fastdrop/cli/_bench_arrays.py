# SPDX-License-Identifier: BSD-3-Clause
"""Where the arrays of benchmarks lie, so that a copy of them costs the same in every process.

On some CPUs a copy takes five to fifteen times as long when its destination starts 4 to 32 bytes
past its source, modulo the size of a page. Allocators put arrays anywhere modulo a page. So here
what is read starts in the middle of a page and what is written at the start of one, where large
new arrays start too, give or take a line. The pages themselves are huge where the system has such
pages: then neighbours in an array are neighbours in the caches.

This file needs NumPy alone. The benchmarks of asv take it from the tree that they are in, whatever
commit they measure.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

PAGE, HUGE_PAGE, LINE = 1 << 12, 1 << 21, 1 << 6
BLOCK = 1 << 22  # from this size on NumPy asks for huge pages
NEW_ARRAYS = 4  # after so many of a size, most allocators place the next where the last one was

# A copy is slow if a byte of it takes this many times as long as in a larger one, and a call.
SLOWER, CALL = 1.5, 2e-6


class Buffer:
    """Memory from which arrays are cut, one behind the other, each with pages of its own."""

    def __init__(self) -> None:
        self._free = np.empty(0, np.uint8)

    def to_read(self, values: Any, into_new: bool = False) -> np.ndarray:
        """Copy an array to where one that is read lies harmlessly.

        Parameters
        ----------
        values : array_like
            What to copy. Its layout stays.
        into_new : bool, default: False
            Whether results are new arrays, which an allocator places. Then the copy starts half a
            page from where the last of a few new arrays did.

        Returns
        -------
        ndarray
            The copy.
        """
        values = np.asarray(values)
        pages, start = self._pages(values.nbytes), 0
        for _ in range(NEW_ARRAYS if into_new else 0):
            start = values.copy().ctypes.data % PAGE // LINE * LINE
        array = _array(values, pages[(start + PAGE // 2) % PAGE :])
        array[...] = values
        return array

    def to_write(self, like: np.ndarray) -> np.ndarray:
        """Make an array to write to, of the same shape, dtype and layout, full of ones.

        Parameters
        ----------
        like : ndarray
            What it is like.

        Returns
        -------
        ndarray
            The array, every page of it touched.
        """
        array = _array(like, self._pages(like.nbytes))
        array[...] = 1
        return array

    def tensor(self, values: "torch.Tensor") -> "torch.Tensor":
        """Copy a tensor, as `to_read` does an array.

        Parameters
        ----------
        values : torch.Tensor
            What to copy, contiguous, with at least one axis.

        Returns
        -------
        torch.Tensor
            The copy.
        """
        import torch

        raw = self.to_read(values.view(torch.uint8).numpy())
        return torch.from_numpy(raw).view(values.dtype)

    def _pages(self, nbytes: int) -> np.ndarray:
        """Return the bytes of pages that are free, one page more than is needed."""
        needed = -(-nbytes // PAGE) * PAGE + PAGE
        if needed > self._free.size:
            block = np.empty(max(needed, BLOCK) + HUGE_PAGE, np.uint8)
            self._free = block[-block.ctypes.data % HUGE_PAGE :]
        pages, self._free = self._free[:needed], self._free[needed:]
        return pages


def _array(like: np.ndarray, pages: np.ndarray) -> np.ndarray:
    """Return an array of this shape, dtype and layout at the start of these bytes."""
    return np.ndarray(like.shape, like.dtype, pages, strides=np.empty_like(like).strides)


def is_slow(seconds: float, larger_seconds: float, times: float) -> bool:
    """Tell whether a copy is slower than a larger one lets expect: then it is no unit.

    Parameters
    ----------
    seconds : float
        What the copy took.
    larger_seconds : float
        What a copy of more bytes took.
    times : float
        How many times as many bytes these are.

    Returns
    -------
    bool
        Whether it is.
    """
    return seconds > SLOWER * larger_seconds / times + CALL
