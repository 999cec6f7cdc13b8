# SPDX-License-Identifier: BSD-3-Clause
"""How many CPUs this process may use."""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["usable_cpus"]


def usable_cpus(root: Path = Path("/")) -> int:
    """Return what Python says, but no more than the control groups grant; at least 1.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    count : int
        A part of a CPU counts as one.
    """
    quota = _quota(root) if sys.platform == "linux" else math.inf
    return max(1, math.ceil(min(_python_cpus(), quota)))


def _python_cpus() -> int:
    if hasattr(os, "process_cpu_count"):  # it knows PYTHON_CPU_COUNT, and that some are forbidden
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> float:
    """Return how many CPUs' time a process has, by its control groups of both versions."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts, read = ["", "unified"], _quota_of_version_2
        elif "cpu" in controllers.split(","):
            mounts, read = [controllers, "cpu"], _quota_of_version_1
        else:
            continue
        for mount in mounts:
            for group in _groups(root / "sys/fs/cgroup" / mount, path):
                try:
                    quota = min(quota, read(group))
                except (OSError, ValueError, ZeroDivisionError):
                    continue
    return quota


def _groups(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group, and of all that it is in: each may have a limit of its own.

    In a container the path may be the host's. Then only the last one, the mount itself, is there.
    """
    group = mount / path.lstrip("/")
    yield group
    while group != mount and group != group.parent:
        group = group.parent
        yield group


def _quota_of_version_2(group: Path) -> float:
    quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
    return math.inf if quota == "max" else int(quota) / int(period)


def _quota_of_version_1(group: Path) -> float:
    quota = int((group / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
    period = int((group / "cpu.cfs_period_us").read_text(encoding="utf-8"))
    return math.inf if quota < 0 else quota / period
