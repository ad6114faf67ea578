"""What this machine has for a run: processors that it may use, and memory that is free."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what the processes of a container may use, in its version 2."""


def usable_processors(cgroup: Path = CGROUP) -> int:
    """Count the processors that this process may use at once: of the machine, its affinity and its container.

    Parameters
    ----------
    cgroup : Path
        Folder of the limits.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota_us, _, period_us = _first_line(cgroup / "cpu.max").partition(" ")
    if quota_us.isdecimal() and period_us.isdecimal():
        allowed = min(allowed, int(quota_us) // int(period_us))
    return max(1, allowed)


def free_memory_bytes(cgroup: Path = CGROUP) -> int:
    """Measure the memory that may still be used: of the machine, and of its container where that has a limit.

    Parameters
    ----------
    cgroup : Path
        Folder of the limits.
    """
    free = int(psutil.virtual_memory().available)
    limit, used = (_first_line(cgroup / name) for name in ("memory.max", "memory.current"))
    if limit.isdecimal() and used.isdecimal():
        free = min(free, int(limit) - int(used) + _given_back(cgroup / "memory.stat"))
    return max(0, free)


def _given_back(statistics: Path) -> int:
    """Bytes of files kept in memory, which count as used and are given back on demand."""
    for line in _text(statistics).splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def _first_line(path: Path) -> str:
    return _text(path).partition("\n")[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # another system, or no limit here
        return ""
