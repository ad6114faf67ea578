"""The state of a training run on disk: what must be kept so that an interrupted run ends as if undisturbed.

Rows and learning rate of a step are functions of the step, so weights, optimiser, moving average, the states
of the parts that have one and of the random-number generators are all there is. A state remembers the
settings of its run and refuses others.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.training.answer import Rays, RaysOff
from poseshift.training.checkpoint import load_state
from poseshift.training.schedule import Schedule
from poseshift.training.transforms import PartOfRun

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATE_FILE = "state.pt"


@dataclass(frozen=True)
class EpochLog:
    """What is known at the end of an epoch.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    step : int
        Optimiser steps so far.
    loss : float
        Mean over the epoch's steps, in the loss's own unit.
    learning_rate : float
        Of the last step.
    seconds : float
        That the epoch took.
    samples_per_second : float
        Clips learnt from, over all devices.
    """

    epoch: int
    step: int
    loss: float
    learning_rate: float
    seconds: float
    samples_per_second: float


class RunSettings(FrozenModel):
    """What must be equal for a run to be resumed."""

    schedule: Schedule
    seed: int
    encoding: str
    weights: dict[str, tuple[int, ...]]
    rows: int
    snapshot: str
    transforms: int
    processes: int
    rays: Rays = RaysOff()
    losses: int = 0


@dataclass
class Progress:
    """Everything that changes while a run goes on."""

    lifter: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    generator: torch.Generator
    parts: tuple[PartOfRun, ...] = ()
    step: int = 0
    history: list[EpochLog] = field(default_factory=list)


def derive_seed(*numbers: int) -> int:
    """Derive one seed from several numbers, so that (1, 2) and (2, 1) have nothing in common."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def save_progress(fabric: Fabric, path: Path, settings: RunSettings, progress: Progress) -> None:
    """Write the state of a run; all processes take part, the first one writes."""
    cuda = fabric.device.type == "cuda"
    state = {
        "settings": settings.model_dump_json(),
        "step": progress.step,
        "history": [asdict(entry) for entry in progress.history],
        "lifter": progress.lifter.state_dict(),
        "optimizer": progress.optimizer.state_dict(),
        "average": None if progress.average is None else progress.average.state_dict(),
        "transforms": [part.state_dict() for part in progress.parts],
        "transform_rng": _gather(fabric, progress.generator.get_state()),
        "torch_rng": _gather(fabric, torch.get_rng_state()),
        "cuda_rng": _gather(fabric, torch.cuda.get_rng_state(fabric.device)) if cuda else None,
    }
    if fabric.is_global_zero:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(path, buffer.getvalue())
    fabric.barrier()


def restore_progress(fabric: Fabric, path: Path, settings: RunSettings, progress: Progress) -> None:
    """Read the state of a run into ``progress`` and set the random-number generators.

    Raises
    ------
    ValueError
        When the file is damaged, holds more than tensors and numbers, or is of a run with other settings.
    """
    state = load_state(path)
    found = RunSettings.model_validate_json(state["settings"])
    names = RunSettings.model_fields
    different = [name for name in names if getattr(found, name) != getattr(settings, name)]
    if different:
        raise ValueError(
            f"{path} is the state of another run (different {', '.join(different)}); give this run another "
            "folder, or delete that file to train from the start"
        )
    progress.step = state["step"]
    progress.history = [EpochLog(**entry) for entry in state["history"]]
    progress.lifter.load_state_dict(state["lifter"])
    progress.optimizer.load_state_dict(state["optimizer"])
    if progress.average is not None:
        progress.average.load_state_dict(state["average"])
    rank = fabric.global_rank
    progress.generator.set_state(_of_process(state["transform_rng"], rank))
    for part, kept in zip(progress.parts, state["transforms"], strict=True):
        part.load_state_dict(kept)
    torch.set_rng_state(_of_process(state["torch_rng"], rank))
    if state["cuda_rng"] is not None and fabric.device.type == "cuda":
        torch.cuda.set_rng_state(_of_process(state["cuda_rng"], rank), fabric.device)


def _gather(fabric: Fabric, state: Tensor) -> Tensor:
    """Return the states of all processes, one row each."""
    gathered: Tensor = fabric.all_gather(state)  # type: ignore[assignment]  # a tensor gives a tensor
    return gathered.reshape(fabric.world_size, -1).cpu()


def _of_process(states: Tensor, rank: int) -> Tensor:
    """Return a process's own row, copied: torch crashes on a state that does not begin its storage."""
    return states[rank].clone()
