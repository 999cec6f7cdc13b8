# SPDX-License-Identifier: BSD-3-Clause
"""Makes unmodified programs use fastdrop for their dropout, and turns that off again.

Kernels are registered with PyTorch's dispatcher once, and are never removed, because PyTorch
crashes if another thread calls one at that moment. Instead, they read the switch at every call, and
run PyTorch's own code while it is off.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import warnings
from typing import Any, Self

import torch

from fastdrop._words import public
from fastdrop.torch._compile.graph import register_for_graphs
from fastdrop.torch._compile.settings import tell
from fastdrop.torch._dispatcher import serve
from fastdrop.torch._overrides import kernels
from fastdrop.torch._small_calls import IN_PYTHON, register_small_calls
from fastdrop.torch._switch import switch

__all__ = ["install", "installed", "is_installed", "uninstall"]

_lock = threading.Lock()
_library: Any = None


def _register_once() -> None:
    global _library
    with _lock:
        if _library is not None:
            return
        library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            # PyTorch warns of every kernel that replaces one of its own: that is the purpose.
            warnings.filterwarnings("ignore", "Warning only once for all operators", UserWarning)
            warnings.filterwarnings("ignore", ".*[Oo]verriding a previously", UserWarning)
            for operator, key, kernel in kernels():
                library.impl(operator, kernel, key)
                library.impl(operator, kernel, IN_PYTHON[key])
                # What was found for a graph before, PyTorch would go on calling.
                operator._dispatch_cache.clear()
        register_small_calls()
        register_for_graphs()
        # At exit PyTorch takes the kernels in Python back, which those in C hand calls on to.
        atexit.register(serve, False)
        _library = library


@public("fastdrop.torch")
def install() -> None:
    """Make PyTorch use fastdrop for every dropout on the CPU, in this process, until `uninstall`.

    Nothing else in the program changes: ``F.dropout``, ``nn.Dropout``, ``nn.MultiheadAttention``,
    ``nn.LSTM``, ``nn.TransformerEncoderLayer`` and the other users of dropout reach fastdrop's
    kernels through PyTorch's dispatcher. Masks come from PyTorch's generator, so
    ``torch.manual_seed`` makes runs reproducible. They are not the masks that PyTorch would have
    drawn from the same seed. A second call does nothing.

    See Also
    --------
    installed : The same for a ``with`` block.

    Notes
    -----
    Tensors of other devices do not change, and neither do programs of ``torch.export``. Programs
    that ``torch.compile`` makes after this call have the same masks as programs that are not
    compiled. Programs that it has made before stay as they were, until ``torch.compiler.reset()``.

    The switch is for all threads. The first call in a process registers the kernels. Call it before
    other threads use PyTorch.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.install()
    >>> torch.nn.functional.dropout(torch.ones(4), p=1.0)
    tensor([0., 0., 0., 0.])
    >>> fastdrop.torch.uninstall()
    """
    _register_once()
    switch.turn(True)
    tell(True)


@public("fastdrop.torch")
def uninstall() -> None:
    """Give PyTorch its own dropout back, as soon as no `installed` block is open in any thread.

    If PyTorch has its own dropout, nothing happens.

    Examples
    --------
    >>> import fastdrop.torch
    >>> fastdrop.torch.uninstall()
    """
    tell(switch.turn(False))


@public("fastdrop.torch")
def is_installed() -> bool:
    """Return whether PyTorch uses fastdrop at this moment, by `install` or a block.

    Returns
    -------
    installed : bool
        True from `install` to `uninstall`, and while an `installed` block is open in any thread.

    Examples
    --------
    >>> import fastdrop.torch
    >>> fastdrop.torch.is_installed()
    False
    """
    return switch.on


class _Block(contextlib.ContextDecorator):
    """What `installed` returns."""

    def __enter__(self) -> Self:
        _register_once()
        switch.enter()
        tell(True)
        return self

    def __exit__(self, *raised: object) -> None:
        tell(switch.leave())

    def __bool__(self) -> bool:
        return switch.on

    def __repr__(self) -> str:
        return f"<fastdrop.torch: {'installed' if switch.on else 'not installed'}>"


@public("fastdrop.torch")
def installed() -> _Block:
    """Return a context manager: PyTorch uses fastdrop while the block runs.

    This holds in all threads. Blocks may nest, and overlap in threads: PyTorch uses fastdrop while
    any of them is open. `install` or `uninstall` inside a block decides whether PyTorch uses
    fastdrop after the last block.

    Returns
    -------
    block : context manager
        Its truth value is the result of `is_installed`. So ``if installed():`` changes nothing. It
        decorates functions, too.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> with fastdrop.torch.installed() as on:
    ...     y = torch.nn.functional.dropout(torch.ones(1000), p=0.5)
    ...     print(bool(on))
    True
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    >>> bool(on), bool(fastdrop.torch.installed())
    (False, False)
    """
    return _Block()
