"""The circumstances of a run, kept in its folder: program, machine, packages, and where Prefect shows it."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions

import torch

from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit


class Environment(FrozenModel):
    """What one would have to set up again to repeat a run."""

    started: datetime
    """When the run began."""
    command: tuple[str, ...]
    """Command line of the process."""
    flow_run: str | None
    """Prefect's id of the run; None outside of Prefect."""
    flow_run_url: str | None
    """The run in Prefect's UI; None outside of Prefect, or when its server ended with the command."""
    git_commit: str | None
    """Commit of the program, with `-dirty` when files differ from it."""
    python: str
    """Version of Python."""
    platform: str
    """Operating system and processor."""
    host: str
    """Name of the machine."""
    processors: int
    """Processors of the machine."""
    threads: int | None = None
    """Threads that PyTorch computes with; another number may round differently."""
    gpus: tuple[str, ...]
    """Names of its CUDA devices."""
    packages: dict[str, str]
    """Version of every installed package."""


def describe_environment() -> Environment:
    """Look at the process, the machine and the installation."""
    return Environment(
        started=datetime.now(UTC),
        command=tuple(sys.argv),
        flow_run=orchestrator().run_id,
        flow_run_url=orchestrator().run_url,
        git_commit=git_commit(),
        python=platform.python_version(),
        platform=platform.platform(),
        host=platform.node(),
        processors=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        gpus=tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())),
        packages=_packages(),
    )


@cache
def _packages() -> dict[str, str]:
    """Versions by name; each ``metadata`` reads a package's file again, which is 0.3 s for all of them."""
    found = (package.metadata for package in distributions())
    return dict(sorted(((one["Name"], one["Version"]) for one in found), key=lambda one: one[0].lower()))
