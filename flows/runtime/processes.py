"""Which process this is, so that another one can tell later whether it still lives.

A process number alone does not say that: the system gives it to others. The start of the machine and the
moment of the process's start, counted from there, are compared as well; setting the clock changes neither.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

from poseshift.storage.model import FrozenModel

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TOLERANCE_SECONDS = 0.5


class ProcessIdentity(FrozenModel):
    """One process of one machine, that no later process is taken for."""

    host: str
    """Name of the machine."""
    boot: str
    """Start of the machine: its id where the system has one, else its time."""
    pid: int
    """Number of the process."""
    started_s: float
    """When the process was started, in seconds after the machine."""

    @classmethod
    def here(cls) -> ProcessIdentity:
        """Return this process."""
        return cls(
            host=socket.gethostname(),
            boot=_boot(),
            pid=os.getpid(),
            started_s=_started_s(psutil.Process()),
        )

    def lives(self) -> bool | None:
        """Tell whether the process is still there; None for a process of another machine."""
        if self.host != socket.gethostname():
            return None
        if self.boot != _boot():
            return False
        try:
            process = psutil.Process(self.pid)
            same = abs(_started_s(process) - self.started_s) < _TOLERANCE_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(round(psutil.boot_time()))


def _started_s(process: psutil.Process) -> float:
    return round(float(process.create_time() - psutil.boot_time()), 2)
