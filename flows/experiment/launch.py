"""Processes of one launch, as ``torchrun`` starts them: the first does the work, the others help to train.

Only the first process runs the command: it takes the locks, prepares, evaluates and writes. When it comes to
a training it tells the others, which read the same data and take part in
:func:`poseshift.training.fit.fit`. They meet at the store of torch.distributed that belongs to the launch, so
another launch is another writer and meets the locks as any other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import torch
from torch.distributed.distributed_c10d import Store

_JOBS = "poseshift/jobs"
_END = ""
_PATIENCE = timedelta(days=30)
"""How long a process waits for the next training: the first may prepare stores for hours before it."""


class LaunchError(RuntimeError):
    """A training of several processes that cannot begin, or not go on."""


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that were started together.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    processes : int
        Of the launch, on all machines.
    local_rank, local_processes : int
        The same on this machine.
    """

    rank: int = 0
    processes: int = 1
    local_rank: int = 0
    local_processes: int = 1

    @classmethod
    def here(cls) -> Launch:
        """Read the place that torchrun writes into the environment; a process alone without it."""
        return cls(
            rank=int(os.environ.get("RANK", "0")),
            processes=int(os.environ.get("WORLD_SIZE", "1")),
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
            local_processes=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        )

    @property
    def shared(self) -> bool:
        """Whether there are other processes."""
        return self.processes > 1

    def own_device(self, device: torch.device) -> torch.device:
        """Return where this process trains: on the GPU of its own number when there are several processes.

        Raises
        ------
        ValueError
            One GPU is named for all of them.
        """
        if not self.shared or device.type != "cuda":
            return device
        if str(device) != device.type:
            raise ValueError(
                f"device {str(device)!r} is one GPU for {self.processes} processes; name `cuda`, and each "
                "takes one of its own"
            )
        return torch.device("cuda", self.local_rank)

    def devices(self, device: torch.device) -> tuple[torch.device, ...]:
        """List what the processes of this machine train on together, each device once."""
        if not self.shared or device.type != "cuda":
            return (device,)
        return tuple(torch.device("cuda", number) for number in range(self.local_processes))

    def meet(self) -> None:
        """Wait until all processes of the launch are there."""
        _meeting_place()

    def announce(self, job: str) -> None:
        """Tell the other processes, from the first one, what is trained next."""
        if self.shared:
            place = _meeting_place()
            place.set(f"{_JOBS}/{place.add(_JOBS, 1)}", job)

    def dismiss(self) -> None:
        """Tell the other processes that there is nothing more to train."""
        self.announce(_END)

    def jobs(self) -> Iterator[str]:
        """Wait for what the first process announces, one after the other, until it dismisses the others."""
        place, number = _meeting_place(), 0
        while True:
            number += 1
            place.wait([f"{_JOBS}/{number}"], _PATIENCE)
            job = place.get(f"{_JOBS}/{number}").decode()
            if job == _END:
                return
            yield job


@cache
def _meeting_place() -> Store:
    """Connect to the store of the launch, once: connecting counts the process as having arrived."""
    from torch.distributed.rendezvous import rendezvous  # slow, and not there on every platform

    store, _, _ = next(rendezvous("env://"))
    found: Store = store
    return found
