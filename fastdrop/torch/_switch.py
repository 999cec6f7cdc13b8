# SPDX-License-Identifier: BSD-3-Clause
"""Whether PyTorch's dropout is this package's now: the one answer that all kernels ask for."""

import threading

from fastdrop.torch._dispatcher import serve

__all__ = ["switch"]


class _Switch:
    """On from ``turn(True)`` to ``turn(False)``, and while any block of any thread is open."""

    def __init__(self) -> None:
        self.on = False
        self._turned_on = False
        self._blocks = 0
        self._lock = threading.Lock()

    def turn(self, on: bool) -> bool:
        """Turn it on or off; return whether it is on, as it stays in open blocks."""
        with self._lock:
            self._turned_on = on
            return self._settle()

    def enter(self) -> None:
        """Open a block."""
        with self._lock:
            self._blocks += 1
            self._settle()

    def leave(self) -> bool:
        """Close a block; return whether it is still on."""
        with self._lock:
            self._blocks -= 1
            return self._settle()

    def _settle(self) -> bool:
        self.on = self._turned_on or self._blocks > 0
        serve(self.on)
        return self.on


switch = _Switch()
