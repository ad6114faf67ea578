"""Measuring every epoch's lifter on the test, for a column that says so: no training here is chosen by it.

Published figures of adaptation are often those of the epoch that is best on the test. To tell such a choice
from a real difference, the same is measured here and kept apart from the figure of the last epoch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import TypeAdapter

from poseshift.flows.experiment.fitting import TRAINING
from poseshift.flows.papers.outcome import TestedEpoch
from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.training.answer import Answer
from poseshift.training.checkpoint import TrainedLifter, load_state
from poseshift.training.encoding import EncodingName, encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.evaluate import evaluate
from poseshift.training.evaluation.protocols import Protocol
from poseshift.training.evaluation.results import EvaluationResult
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.registry import build
from poseshift.training.run_state import STATE_FILE, EpochLog

_TABLE = TypeAdapter(list[TestedEpoch])


class EpochsOnTest:
    """An ``on_epoch`` callback of a training that measures the state which that epoch has left on disk.

    It draws from no generator of the run and touches nothing of it. A run that is killed between an epoch's
    state and its measurement lacks that epoch in the table.

    Parameters
    ----------
    config : LifterConfig
        The lifter in training.
    encoding_name : EncodingName
        The encoding of its input.
    answer : Answer
        What is done to its output.
    poses : CameraPoses
        The test, on the lifter's joints.
    protocol : Protocol
        How it is measured.
    folder : Path
        The stage's folder; gets the table.
    device : torch.device
        Where to predict.
    """

    def __init__(
        self,
        config: LifterConfig,
        encoding_name: EncodingName,
        answer: Answer,
        poses: CameraPoses,
        protocol: Protocol,
        folder: Path,
        device: torch.device,
    ) -> None:
        chosen = encoding(encoding_name)
        self._trained = TrainedLifter(
            build(config, chosen.channels).to(device).eval(), chosen, config, {}, answer
        )
        self._poses = poses
        self._protocol = protocol
        self._folder = folder

    def __call__(self, log: EpochLog) -> None:
        """Measure the epoch that has just ended."""
        self._trained.lifter.load_state_dict(load_state(self._folder / TRAINING / STATE_FILE)["lifter"])
        predicted = predict(self._trained, self._poses, test_time=self._protocol.test_time)
        new = tested_epoch(log.epoch, evaluate(predicted, self._poses, self._protocol))
        kept = [one for one in read_tested(self._folder) if one.epoch < log.epoch]
        write_atomically(_file(self._folder), _TABLE.dump_json([*kept, new], indent=1) + b"\n")


def tested_epoch(epoch: int, result: EvaluationResult) -> TestedEpoch:
    """Keep the three figures of a result that tables show."""
    return TestedEpoch(
        epoch=epoch, mpjpe_mm=result.mpjpe_mm.value, pck150=result.pck150.value, auc=result.auc.value
    )


def read_tested(folder: Path) -> tuple[TestedEpoch, ...]:
    """Read what was measured in a stage's folder, in the order of the epochs; empty when there is nothing."""
    file = _file(folder)
    return tuple(_TABLE.validate_json(file.read_bytes())) if file.exists() else ()


def _file(folder: Path) -> Path:
    return folder / "best_on_test_oracle.json"
