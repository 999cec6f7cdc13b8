# SPDX-License-Identifier: BSD-3-Clause
"""What PyTorch's compiler is told: a tag for the keys of its caches, and passes of inductor.

Compiled programs are cached on disk. Those of a process with fastdrop, those of a stock process and
those of another version of fastdrop must not be taken for each other.

PyTorch keeps its settings for each thread. What the program itself has written there stays.
"""

import sys
from typing import Any

import torch

import fastdrop
from fastdrop.mask._state import STREAM_VERSION
from fastdrop.torch._switch import switch

__all__ = ["TAG", "is_tagged", "settle", "tell"]

TAG = f"fastdrop.torch {fastdrop.__version__}, stream {STREAM_VERSION};"


def is_tagged() -> bool:
    """Return whether the tag is on the keys, in this thread."""
    return TAG in torch.compiler.config.cache_key_tag


def _tag(on: bool) -> None:
    config = torch.compiler.config
    if on and not is_tagged():
        config.cache_key_tag += TAG
    elif not on and is_tagged():
        config.cache_key_tag = config.cache_key_tag.replace(TAG, "")


def _add_passes(on: bool) -> None:
    """Add the passes to inductor's settings, or take them away; inductor is not imported for it."""
    config = sys.modules.get("torch._inductor.config")
    if config is None:
        return
    from fastdrop.torch._compile.passes import PASSES  # which imports inductor

    for name, own in PASSES.items():
        present: Any = getattr(config, name)
        passes = list(present) if isinstance(present, (list, tuple)) else [present]
        if on and own not in passes:
            setattr(config, name, own if present is None else [*passes, own])
        elif not on and own in passes:
            passes.remove(own)
            setattr(config, name, passes if len(passes) > 1 else passes[0] if passes else None)


def tell(on: bool) -> None:
    """Tell the compiler in this thread whether PyTorch uses fastdrop."""
    _tag(on)
    _add_passes(on)


def settle() -> None:
    """Tell it the truth, where a program is being compiled: in whatever thread that is."""
    if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        tell(switch.on)
