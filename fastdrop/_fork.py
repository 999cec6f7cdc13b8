# SPDX-License-Identifier: BSD-3-Clause
"""Locks that a forked child can take, though a thread of its parent held them at the fork."""

import os
import weakref
from typing import Any

__all__ = ["renew_in_children"]

_locks: set[weakref.ref[Any]] = set()


def renew_in_children(lock: Any) -> None:
    """Free ``lock`` in forked children, unless the thread that forks holds it itself.

    The other threads do not exist there and would never give it back. Locks that are not Python's
    own stay as they are.
    """
    if hasattr(lock, "_at_fork_reinit"):
        _locks.add(weakref.ref(lock, _locks.discard))


def _after_fork_in_child() -> None:
    for reference in list(_locks):
        lock = reference()
        if lock is None or (hasattr(lock, "_is_owned") and lock._is_owned()):
            continue
        lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
