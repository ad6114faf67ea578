"""Going back when augmentation collapses: the training loop, started again from its last good state.

At the end of every epoch with a healthy adversary the run's state is kept as its last good one. When the
adversary collapses, the whole run, lifter included, goes back to it and goes on with other random numbers;
each such time is written down beside the state, so that a killed run still knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, TypeAdapter

from poseshift.adaptation.poseda import PoseDA
from poseshift.adaptation.tuning_config import TuningCheck
from poseshift.augmentation.collapse import CollapseError, Health
from poseshift.storage.files import name_again, write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.training.answer import AS_IT_IS, Rays
from poseshift.training.batches import BatchTransform, DevicePoses
from poseshift.training.checkpoint import load_state
from poseshift.training.encoding import Encoding
from poseshift.training.fit import EpochLog, FitResult, fit
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule

GOOD_STATE_FILE = "state.good.pt"
ROLLBACKS_FILE = "rollbacks.json"

_LOG = logging.getLogger(__name__)


class Rollback(FrozenModel):
    """One time that a run went back."""

    number: int = Field(ge=1, description="Which time it was.")
    signs: tuple[str, ...] = Field(description="What was wrong.")
    health: Health = Field(description="The check that showed it.")
    to_epoch: int = Field(ge=0, description="Epoch whose end the run went back to; 0 is the start.")


@dataclass(frozen=True)
class AdaptedFit:
    """A finished run, with what became of the augmentation.

    Attributes
    ----------
    fit : FitResult
        The lifter and the log of all epochs.
    rollbacks : tuple of Rollback
        Times that the run went back.
    health : tuple of Health
        Checks of the augmentation, of the run as it ended.
    tuning : tuple of TuningCheck
        What answers to target keypoints were like, where the lifter was tuned on them.
    """

    fit: FitResult
    rollbacks: tuple[Rollback, ...]
    health: tuple[Health, ...]
    tuning: tuple[TuningCheck, ...] = ()


def fit_with_rollback(
    lifter: Lifter,
    encoding: Encoding,
    source: DevicePoses,
    schedule: Schedule,
    adaptation: PoseDA,
    *,
    run_dir: Path,
    seed: int,
    transforms: Sequence[BatchTransform] = (),
    after: Sequence[BatchTransform] = (),
    rays: Rays = AS_IT_IS,
    on_epoch: Callable[[EpochLog], None] | None = None,
) -> AdaptedFit:
    """Train a lifter by PoseDA; see :func:`poseshift.training.fit.fit` for what is not said here.

    Parameters
    ----------
    adaptation : PoseDA
        Comes after the other transforms.
    transforms : sequence of BatchTransform
        Come before it.
    after : sequence of BatchTransform
        Come after it, and change what the lifter sees alone.

    Raises
    ------
    CollapseError
        When the adversary collapses once more than ``collapse.rollbacks`` allows.
    """
    first_weights = {name: weight.detach().clone() for name, weight in lifter.state_dict().items()}
    rollbacks = list(read_rollbacks(run_dir))

    def keep(log: EpochLog) -> None:
        state = run_dir / STATE_FILE
        if adaptation.watch.healthy and state.exists():
            name_again(state, run_dir / GOOD_STATE_FILE)
        if on_epoch is not None:
            on_epoch(log)

    while True:
        adaptation.rollbacks = len(rollbacks)
        try:
            result = fit(
                lifter,
                encoding,
                source,
                schedule,
                run_dir=run_dir,
                seed=seed,
                transforms=(*transforms, adaptation, *after),
                rays=rays,
                on_epoch=keep,
            )
            return AdaptedFit(result, tuple(rollbacks), tuple(adaptation.watch.history))
        except CollapseError as collapse:
            if len(rollbacks) == adaptation.config.collapse.rollbacks:
                raise
            good_epoch = _go_back(run_dir)
            entry = Rollback(
                number=len(rollbacks) + 1,
                signs=collapse.signs,
                health=collapse.health,
                to_epoch=good_epoch,
            )
            _LOG.warning("%s. Going back to the end of epoch %d, with another seed", collapse, good_epoch)
            rollbacks.append(entry)
            write_atomically(run_dir / ROLLBACKS_FILE, _ROLLBACKS.dump_json(rollbacks, indent=2) + b"\n")
            lifter.load_state_dict(first_weights)


def read_rollbacks(run_dir: Path) -> tuple[Rollback, ...]:
    """Read the times that a run went back.

    Raises
    ------
    ValueError
        When the file is damaged.
    """
    path = run_dir / ROLLBACKS_FILE
    if not path.exists():
        return ()
    try:
        return tuple(_ROLLBACKS.validate_json(path.read_bytes()))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; delete {run_dir} to train from the start") from error


_ROLLBACKS = TypeAdapter(list[Rollback])


def _go_back(run_dir: Path) -> int:
    """Put the last good state in place of the last one, and return its epoch; without one, start again."""
    good = run_dir / GOOD_STATE_FILE
    if not good.exists():
        (run_dir / STATE_FILE).unlink(missing_ok=True)
        return 0
    name_again(good, run_dir / STATE_FILE)
    return len(load_state(good)["history"])
