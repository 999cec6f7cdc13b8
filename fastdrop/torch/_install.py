# SPDX-License-Identifier: BSD-3-Clause
"""Turns the dropout of unmodified programs into ours, and back."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from fastdrop.torch._overrides import KERNELS

__all__ = ["install", "installed", "uninstall"]

TAG = "fastdrop.torch"

_lock = threading.Lock()
_library: Any = None
_tag_before: Any = None


def install() -> None:
    """Make every CPU dropout of PyTorch ours, in this process, from now on.

    Nothing else in the program changes: ``F.dropout``, ``nn.Dropout``, ``nn.MultiheadAttention``,
    ``nn.LSTM``, ``nn.TransformerEncoderLayer`` and the other users of dropout reach the kernels
    of this package through PyTorch's dispatcher. Masks come from PyTorch's generator, so
    ``torch.manual_seed`` makes runs reproducible; they are not the masks that PyTorch would have
    drawn from the same seed. Calling it again does nothing.

    See Also
    --------
    installed : The same for a ``with`` block.

    Notes
    -----
    Tensors of other devices are untouched, and so are programs inside ``torch.compile``, where
    the explicit `fastdrop.torch.dropout` is the way.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.install()
    >>> torch.nn.functional.dropout(torch.ones(4), p=1.0)
    tensor([0., 0., 0., 0.])
    >>> fastdrop.torch.uninstall()
    """
    global _library, _tag_before
    with _lock:
        if _library is not None:
            return
        library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            # PyTorch warns of every kernel that replaces one of its own: that is the purpose.
            warnings.filterwarnings("ignore", "Warning only once for all operators", UserWarning)
            warnings.filterwarnings("ignore", ".*[Oo]verriding a previously", UserWarning)
            for operator, key, kernel in KERNELS:
                library.impl(operator, kernel, key)
        config = torch.compiler.config
        # Compiled programs are cached on disk: those of a process with our kernels and those of a
        # stock process must not be taken for each other.
        _tag_before = config.cache_key_tag
        config.cache_key_tag = f"{_tag_before}{TAG}"
        _library = library


def uninstall() -> None:
    """Give PyTorch its own dropout back; nothing happens if it has it.

    Examples
    --------
    >>> import fastdrop.torch
    >>> fastdrop.torch.uninstall()
    """
    global _library
    with _lock:
        if _library is None:
            return
        _library._destroy()
        _library = None
        torch.compiler.config.cache_key_tag = _tag_before


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Context manager: `install` on entry, and on exit what was before.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> with fastdrop.torch.installed():
    ...     y = torch.nn.functional.dropout(torch.ones(1000), p=0.5)
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    was_installed = _library is not None
    install()
    try:
        yield
    finally:
        if not was_installed:
            uninstall()
