"""Keeping every epoch's weights beside its label-free criteria, so that one can be chosen afterwards.

A recorder is an ``on_epoch`` callback of :func:`poseshift.training.fit.fit`. It draws from no generator of
the run, so training is the same with and without it. A resumed run finds what was recorded before, and the
record of the epoch that its state ends with is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save

from poseshift.adaptation.selection import Criteria, choose
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.training.checkpoint import load_state
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.run_state import EpochLog


class Candidate(FrozenModel):
    """One epoch's lifter: its criteria, and where its weights are.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    criteria : Criteria
        Measured on target keypoints.
    weights : str
        Name of a file in the recorder's folder.
    """

    epoch: int
    criteria: Criteria
    weights: str


class CandidateRecorder:
    """Record criteria and weights after each epoch.

    Parameters
    ----------
    lifter : Lifter
        The lifter in training.
    measured : callable
        Gives the criteria of the lifter as it is, such as :func:`poseshift.adaptation.selection.measure` with
        all but its first argument bound.
    folder : Path
        Folder of the weights and ``candidates.json``.
    """

    def __init__(self, lifter: Lifter, measured: Callable[[Lifter], Criteria], folder: Path) -> None:
        self._lifter = lifter
        self._measured = measured
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, log: EpochLog) -> None:
        """Measure the lifter and write both files whole."""
        name = f"epoch-{log.epoch:04d}.safetensors"
        state = {key: value.detach().cpu().contiguous() for key, value in self._lifter.state_dict().items()}
        write_atomically(self._folder / name, save(state))
        new = Candidate(epoch=log.epoch, criteria=self._measured(self._lifter), weights=name)
        kept = [one for one in candidates(self._folder) if one.epoch < log.epoch]
        content = [one.model_dump(mode="json") for one in (*kept, new)]
        write_atomically(self._folder / _TABLE, json.dumps(content, indent=1).encode())


_TABLE = "candidates.json"


def record_last_epoch(state_path: Path, twin: Lifter, recorder: CandidateRecorder) -> None:
    """Record the epoch that a run's state ends with: a run may be killed between its state and its record.

    Parameters
    ----------
    state_path : Path
        File of the state to resume from; nothing is done where there is none.
    twin : Lifter
        A lifter of the same kind, whose weights are overwritten.
    recorder : CandidateRecorder
        Recorder of the twin, into the run's folder.
    """
    if state_path.exists():
        state = load_state(state_path)
        twin.load_state_dict(state["lifter"])
        recorder(EpochLog(**state["history"][-1]))


def candidates(folder: Path) -> tuple[Candidate, ...]:
    """Read what was recorded in a folder, in the order of the epochs; empty when there is nothing."""
    path = folder / _TABLE
    if not path.exists():
        return ()
    return tuple(Candidate.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8")))


def restore(lifter: Lifter, folder: Path, candidate: Candidate) -> None:
    """Give a lifter the weights of a candidate."""
    lifter.load_state_dict(load_file(folder / candidate.weights))


def restore_chosen(lifter: Lifter, folder: Path) -> Candidate:
    """Give a lifter the weights that the label-free criteria choose, and return their record.

    Raises
    ------
    ValueError
        When nothing was recorded.
    """
    recorded = candidates(folder)
    chosen = recorded[choose([one.criteria for one in recorded])]
    restore(lifter, folder, chosen)
    return chosen
