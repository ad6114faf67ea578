"""A training says in its log and its record that its selection left little of a store."""

import logging
from pathlib import Path

import pytest

from poseshift.adaptation.config import NoAdaptation
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import TrainingJob, train_lifter
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frame_step": 5000}, "poses are left with frame step 5000"),
        ({"subjects": ("S1", "S99")}, "no subject S99; there are S1, "),
        ({}, None),
    ],
)
def test_what_is_left_is_in_log_and_record(
    prepared: Recipe,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, object],
    said: str | None,
) -> None:
    job = TrainingJob(
        labelled=prepared.source.model_copy(update=change),
        target=None,
        adaptation=NoAdaptation(),
        lifter=preset("ampose-small"),
        encoding="screen",
        schedule=Schedule(epochs=1, steps_per_epoch=1, batch_size=4),
        seed=0,
        device="cpu",
    )
    with caplog.at_level(logging.WARNING, "poseshift"):
        record = train_lifter(job, tmp_path / "training").result
    if said is None:
        assert record.remarks == ()
        return
    (remark,) = record.remarks
    assert said in remark
    assert prepared.source.store in remark
    assert caplog.messages.count(remark) == 1
