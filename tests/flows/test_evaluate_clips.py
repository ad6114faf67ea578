"""Evaluation of lifters that see clips."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from poseshift.flows.experiment.evaluate import evaluate_lifter
from poseshift.flows.experiment.recipe import Recipe
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import load_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.evaluation.scaled import predict_scaled
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.videopose3d import VideoPose3DConfig


def test_a_clip_holds_the_frames_of_the_recording_not_of_the_protocol(
    prepared: Recipe, tmp_path: Path
) -> None:
    config = VideoPose3DConfig(width=8)
    lifter = build(config, encoding("screen").channels)
    with torch.no_grad():
        lifter.head.weight.mul_(30)  # so that the answers of an untrained lifter differ from frame to frame
    save_lifter(tmp_path / "lifter", config, "screen", lifter, {})
    record = evaluate_lifter(tmp_path / "lifter", prepared.test, tmp_path / "results", "cpu").result

    store, chosen = PoseStore.open(prepared.test.data.store), protocol("3dhp-annot3")  # all 17 joints
    every = read_camera_poses(store, chosen.context())
    measured = chosen.read(store)
    assert len(measured) < len(every)  # the test set marks frames as invalid
    trained = load_lifter(tmp_path / "lifter")

    def error_mm(predicted: np.ndarray, poses: CameraPoses) -> np.ndarray:
        truth = poses.positions_camera - poses.positions_camera[:, :1]
        return np.linalg.norm(predicted - truth, axis=-1).mean(axis=-1) * 1000

    def keys(poses: CameraPoses) -> list[tuple[int, int, int]]:
        return list(zip(poses.trial.tolist(), poses.camera.tolist(), poses.frame.tolist(), strict=True))

    is_measured = [key in set(keys(measured)) for key in keys(every)]
    expected = error_mm(predict(trained, every), every)[is_measured].mean()
    cut_at_gaps = error_mm(predict(trained, measured), measured).mean()
    found = np.mean([row.mpjpe_mm for row in record.under(chosen.name).per_joint])
    assert found == pytest.approx(expected, abs=1e-3)
    assert abs(found - cut_at_gaps) > 0.01


def test_protocols_that_need_the_same_answers_share_them(
    prepared: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = VideoPose3DConfig(width=8)
    save_lifter(tmp_path / "lifter", config, "screen", build(config, encoding("screen").channels), {})
    names = ("3dhp-official", "3dhp-annot3", "3dhp-annot3-flip", "3dhp-graphmlp17")
    alone = [
        evaluate_lifter(
            tmp_path / "lifter",
            prepared.test.model_copy(update={"protocols": (name,)}),
            tmp_path / f"{name}-alone",
            "cpu",
        ).result.under(name)
        for name in names
    ]
    asked = []
    monkeypatch.setattr(
        "poseshift.flows.experiment.evaluate.predict_scaled",
        lambda *given, **how: asked.append(how["test_time"]) or predict_scaled(*given, **how),
    )
    test = prepared.test.model_copy(update={"protocols": names})
    record = evaluate_lifter(tmp_path / "lifter", test, tmp_path / "together", "cpu").result
    assert asked == ["plain", "flip"]
    assert list(record.results) == alone


@pytest.mark.parametrize(
    ("learned_hz", "told"),
    [(10.0, "at 10 Hz: motion at 25 Hz"), (25.0, None), (None, "does not say at which frame rate")],
)
def test_the_rate_of_clips_is_told_and_recorded(
    prepared: Recipe,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    learned_hz: float | None,
    told: str | None,
) -> None:
    """The test set of MPI-INF-3DHP has 25 frames a second."""
    config = VideoPose3DConfig(width=8)
    lifter = build(config, encoding("screen").channels)
    save_lifter(tmp_path / "lifter", config, "screen", lifter, {"sampling_hz": learned_hz})
    with caplog.at_level(logging.WARNING, logger="poseshift.training.evaluation.answering"):
        record = evaluate_lifter(tmp_path / "lifter", prepared.test, tmp_path / "results", "cpu").result
    assert record.clip_hz == learned_hz
    assert (told in caplog.text) if told else not caplog.text
