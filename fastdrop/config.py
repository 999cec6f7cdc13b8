# SPDX-License-Identifier: BSD-3-Clause
"""Threads, instruction sets, and what this build and machine are."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
from typing import Literal, SupportsIndex, overload

import numpy as np

from fastdrop._checks import check_positive, refuse_level, refuse_variable
from fastdrop._cpus import usable_cpus
from fastdrop._fork import renew_in_children
from fastdrop._words import public
from fastdrop.kernels import _kernels

__all__ = ["get_num_threads", "set_num_threads", "show_config", "simd_levels", "use_simd"]


@public()
def set_num_threads(n: SupportsIndex) -> None:
    """Set the most threads that one call uses.

    Results do not depend on it. The default is ``FASTDROP_NUM_THREADS``, else
    ``OMP_NUM_THREADS``, else the number of CPUs that the process may use: those that Python
    counts (``os.process_cpu_count``), but no more than the quota of its control group.

    Parameters
    ----------
    n : int
        At least 1. It may be more than there are CPUs.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not an integer of at least 1.

    Examples
    --------
    >>> import fastdrop as fd
    >>> before = fd.get_num_threads()
    >>> fd.set_num_threads(1)
    >>> fd.get_num_threads()
    1
    >>> fd.set_num_threads(before)
    """
    _kernels.set_threads(min(check_positive("n", n), sys.maxsize))


@public()
def get_num_threads() -> int:
    """Return the most threads that one call uses.

    Returns
    -------
    n : int
        At least 1.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.get_num_threads() >= 1
    True
    """
    return _kernels.get_threads()


@public()
def simd_levels() -> tuple[str, ...]:
    """Return the instruction sets that this machine can run, slowest first.

    Returns
    -------
    levels : tuple of str
        Of "scalar", "sse2", "avx2", "avx512", "neon".

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.simd_levels()[0]
    'scalar'
    """
    return _kernels.get_levels()


class _Block(contextlib.ContextDecorator):
    """What `use_simd` returns. It may be opened several times, one in another too."""

    def __init__(self, level: str) -> None:
        self.level = level

    def __enter__(self) -> None:
        with _switching:
            _open_blocks.append(self)
            _kernels.set_level(self.level)

    def __exit__(self, *exception: object) -> None:
        with _switching:
            last = len(_open_blocks) - 1 - _open_blocks[::-1].index(self)
            del _open_blocks[last]
            _kernels.set_level(_open_blocks[-1].level if _open_blocks else _base_level)


_base_level = "scalar"  # while no block is open; see _from_environment
_open_blocks: list[_Block] = []  # the latest last, of all threads
_switching = threading.Lock()
renew_in_children(_switching)


@public()
def use_simd(level: str) -> contextlib.AbstractContextManager[None]:
    """Use the kernels of one instruction set inside a ``with`` block.

    Results do not depend on it. It acts on all threads of the process: where blocks overlap, be
    they one in another or in several threads, the one that was opened last and is still open
    decides. When none is open, the level is that of ``FASTDROP_SIMD``, or the fastest.

    Parameters
    ----------
    level : str
        One of `simd_levels`, or "auto" for the fastest.

    Returns
    -------
    block : context manager
        It decorates functions, too. By itself the call changes nothing.

    Raises
    ------
    ValueError
        If this machine or build does not have ``level``.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> with fd.use_simd("scalar"):
    ...     slow = fd.bernoulli(100, 0.3, rng=1)
    >>> np.array_equal(slow, fd.bernoulli(100, 0.3, rng=1))
    True
    """
    return _Block(_check_level("level", level))


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...


@overload
def show_config(mode: Literal["dicts"]) -> dict[str, dict[str, str]]: ...


@public()
def show_config(
    mode: Literal["stdout", "dicts"] = "stdout",
) -> dict[str, dict[str, str]] | None:
    """Print, or return, version, machine, kernels, threads and build.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Print, or return a dict.

    Returns
    -------
    config : dict or None
        With ``mode="dicts"``: section -> entry -> string.

    Raises
    ------
    ValueError
        If ``mode`` is another word.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.show_config(mode="dicts")["kernels"]["levels"].split(", ")[0]
    'scalar'
    """
    from fastdrop import __version__
    from fastdrop._checks import check_choice

    check_choice("mode", mode, ("stdout", "dicts"))
    build = _kernels.get_build()
    config = {
        "version": {
            "fastdrop": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "last-level cache": f"{build['last_level_cache'] / 2**20:g} MiB",
        },
        "kernels": {
            "level": _kernels.get_level(),
            "levels": ", ".join(simd_levels()),
        },
        "threads": {
            "most a call": str(get_num_threads()),
            "CPUs": str(usable_cpus()),
        },
        "build": {
            "compiler": build["compiler"],
            "levels": ", ".join(build["levels"]),
            "left out": ", ".join(build["left_out"]) or "none",
        },
    }
    if mode == "dicts":
        return config
    width = max(len(entry) for entries in config.values() for entry in entries)
    for section, entries in config.items():
        print(section)
        for entry, value in entries.items():
            print(f"  {entry:{width}}  {value}")
    return None


def _processor() -> str:
    """Return the name of the CPU, as well as the system tells it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _check_level(name: str, level: str) -> str:
    """Return the level to use for ``level``, which may be "auto"."""
    levels = simd_levels()
    if level == "auto":
        return levels[-1]
    if level not in levels:
        refuse_level(name, levels, level)
    return level


def _from_environment() -> None:
    """Set level and threads as the environment says; an empty variable says nothing."""
    global _base_level
    level = os.environ.get("FASTDROP_SIMD", "").strip()
    _base_level = _check_level("FASTDROP_SIMD", level or "auto")
    _kernels.set_level(_base_level)
    threads = os.environ.get("FASTDROP_NUM_THREADS", "").strip()
    if threads:
        if not threads.isdecimal():
            refuse_variable("FASTDROP_NUM_THREADS", threads)
        set_num_threads(check_positive("FASTDROP_NUM_THREADS", int(threads)))
        return
    openmp = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    set_num_threads(int(openmp) if openmp.isdecimal() and int(openmp) else usable_cpus())


_from_environment()
