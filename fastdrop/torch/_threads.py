# SPDX-License-Identifier: BSD-3-Clause
"""Has the kernels run on PyTorch's own threads.

Their number is that of ``torch.set_num_threads``. Where PyTorch does not lend them, a call uses one
thread.
"""

from fastdrop.torch._functions import addresses_of
from fastdrop.torch._tensor import lend_threads

__all__ = ["borrow_threads"]


def borrow_threads() -> bool:
    """Give the kernels the function that runs them on PyTorch's threads; return whether found."""
    found = addresses_of(["torch_parallel_for"])
    lend_threads(found[0] if found else 0)
    return found is not None
