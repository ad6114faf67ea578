"""A detector that misses joints and people, from its arrays in a store to a report's figures."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from poseshift.adaptation.global_position import match
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.flows.cli import app
from poseshift.flows.experiment.evaluate import evaluate_lifter
from poseshift.flows.experiment.folder import RunFolder, Trained, job
from poseshift.flows.experiment.recipe import PoseData, Recipe
from poseshift.flows.experiment.train import train_lifter
from poseshift.flows.pipeline import evaluate_method, publish, train_method
from poseshift.flows.report.gather import placement
from poseshift.geometry.camera import stack_intrinsics
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.storage.gaps import NeverDetectedError
from poseshift.storage.reading import read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import load_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.evaluate import evaluate, rows_within
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.lifters.registry import build, preset
from poseshift.training.lifters.videopose3d import VideoPose3DConfig

if TYPE_CHECKING:
    from tests.flows.conftest import WithDetector

WRIST = HUMAN36M_17.joint_names.index("right_wrist")


def miss_some(keypoints: NDArray[np.float32]) -> None:
    """A wrist in every third frame and nobody in every tenth, as OpenPose writes them."""
    keypoints[::3, WRIST] = 0
    keypoints[::10] = 0


@pytest.fixture(scope="module")
def detected(
    prepared: Recipe, with_detector: "WithDetector", tmp_path_factory: pytest.TempPathFactory
) -> Recipe:
    """The small experiment, its target and test seen by the detector."""
    folder = tmp_path_factory.mktemp("missing")
    assert prepared.target is not None
    target = with_detector(prepared.target, folder / "target", miss_some)
    test = with_detector(prepared.test.data, folder / "test", miss_some)
    return prepared.model_copy(
        update={
            "run_dir": folder / "run",
            "target": target,
            "test": prepared.test.model_copy(update={"data": test}),
        }
    )


def is_whole(frames: NDArray[np.int32]) -> NDArray[np.bool_]:
    return (frames % 3 != 0) & (frames % 10 != 0)


def test_labelled_rows_with_gaps_are_left_out_and_counted(
    detected: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    supervised = job(detected, "target_supervised", 0).model_copy(update={"encoding": "perspective"})
    with caplog.at_level(logging.WARNING, logger="poseshift.flows.experiment.fitting"):
        record = train_lifter(supervised, tmp_path / "stage").result
    assert isinstance(detected.target, PoseData)
    all_rows = read_camera_poses(PoseStore.open(detected.target.store), detected.target.selection)
    usable = int(is_whole(all_rows.frame).sum())
    assert 0 < usable < len(all_rows)
    assert (record.poses, record.left_out) == (usable, len(all_rows) - usable)
    assert f"{record.left_out} of {len(all_rows)} labelled poses lack keypoints" in caplog.text
    assert all(math.isfinite(point.loss) for point in record.curve)

    plain = train_lifter(job(detected, "source_only", 0), tmp_path / "plain").result
    assert plain.left_out == 0


def test_nobody_is_placed_by_a_wrist_that_was_not_seen(detected: Recipe) -> None:
    """Taken for a joint in the image's corner, it made people look several times as large, and so as near."""
    assert isinstance(detected.target, PoseData)
    store = PoseStore.open(detected.target.store)
    seen = read_camera_poses(store, detected.target.selection)
    truth = read_camera_poses(store, replace(detected.target.selection, keypoints="ground_truth"))
    keypoints = TargetKeypoints.from_poses(seen)
    whole = is_whole(seen.frame)
    assert (len(keypoints), keypoints.dropped) == (whole.sum(), (~whole).sum())
    own = truth.positions_camera[whole].astype(np.float64)  # each person placed by his own keypoints
    found = match(
        own,
        keypoints.rays.astype(np.float64),
        stack_intrinsics(keypoints.cameras)[keypoints.camera],
        root=0,
        root_form="ray",
    )
    np.testing.assert_allclose(found.depth, own[:, 0, 2], rtol=0.25)


def test_clips_are_adapted_and_chosen_where_every_clip_has_a_gap(detected: Recipe, tmp_path: Path) -> None:
    adapting = job(detected, "gpa", 0).model_copy(
        update={"lifter": VideoPose3DConfig(width=8), "selection": "label-free"}
    )
    record = train_lifter(adapting, tmp_path / "stage").result
    assert all(math.isfinite(point.loss) for point in record.curve)
    assert all(math.isfinite(value) for one in record.candidates for value in one.criteria.values.values())
    assert record.left_out == 0  # of the source, whose keypoints are projected
    assert isinstance(detected.target, PoseData)
    target = read_camera_poses(PoseStore.open(detected.target.store), detected.target.selection)
    assert record.target_left_out == (~is_whole(target.frame)).sum()


def test_source_keypoints_get_the_detectors_gaps_and_target_gaps_are_filled(
    detected: Recipe, tmp_path: Path
) -> None:
    noisy = detected.model_copy(
        update={
            "method": METHODS["diverse_both_mixed_detected"],
            "target": detected.target.model_copy(update={"longest_gap_s": 0.2}),
        }
    )
    record = train_lifter(job(noisy, "diverse_both_mixed_detected", 0), tmp_path / "stage").result
    assert record.target_left_out == 0
    assert record.detector is not None
    wrist = record.detector.joints["right_wrist"]
    rows = read_camera_poses(PoseStore.open(detected.target.store), detected.target.selection).frame
    person = rows[rows % 10 != 0]
    assert wrist.dropped == pytest.approx((person % 3 == 0).mean(), abs=1e-4)  # as it was before filling
    assert wrist.filled_spread > 0
    assert record.detector.joints["left_wrist"].dropped == 0
    provenance = load_lifter(tmp_path / "stage" / "lifter").provenance
    assert provenance["detector"] == record.detector.model_dump(mode="json")
    assert provenance["inputs"]["detector_noise"] == {"kind": "fitted"}
    assert provenance["inputs"]["target"]["longest_gap_s"] == 0.2


def test_a_lifter_is_told_of_gaps_in_training_and_in_the_test(detected: Recipe, tmp_path: Path) -> None:
    name = "diverse_both_mixed_detected_seen"
    told = detected.model_copy(update={"method": METHODS[name]})
    record = train_lifter(job(told, name, 0), tmp_path / "stage").result
    assert all(math.isfinite(point.loss) for point in record.curve)
    trained = load_lifter(tmp_path / "stage" / "lifter")
    poses = protocol("3dhp-annot3").read(PoseStore.open(detected.test.data.store), "seen")
    answers = predict(trained, poses)
    assert np.isfinite(answers).all()
    # A wrist that was not seen is not guessed from its neighbours in time: another place for it there
    # changes nothing in frames that lack it.
    moved = poses.keypoints_px.copy()
    moved[:, WRIST] += 50
    others = predict(trained, replace(poses, keypoints_px=moved))
    bare = (poses.frame % 3 == 0) & (poses.frame % 10 != 0)
    np.testing.assert_array_equal(others[bare], answers[bare])
    assert not np.array_equal(others[~bare], answers[~bare])


def test_placements_are_compared_without_gaps(detected: Recipe) -> None:
    assert isinstance(detected.target, PoseData)
    target = read_camera_poses(PoseStore.open(detected.target.store), detected.target.selection)
    found = placement(target, target, (), seed=0)
    assert np.isfinite(found.target.scale).all()
    assert all(math.isfinite(distance) for distance in found.distance_before.values())


@pytest.mark.parametrize("frames", [1, 27])
def test_frames_with_gaps_are_measured_as_interpolated_and_said(
    detected: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture, frames: int
) -> None:
    config = preset("simple-baseline-small") if frames == 1 else VideoPose3DConfig(width=8)
    save_lifter(tmp_path / "lifter", config, "screen", build(config, encoding("screen").channels, seed=0), {})
    with caplog.at_level(logging.WARNING, logger="poseshift.flows.experiment.evaluate"):
        record = evaluate_lifter(tmp_path / "lifter", detected.test, tmp_path / "results", "cpu").result

    store, chosen = PoseStore.open(detected.test.data.store), protocol("3dhp-annot3")
    measured = chosen.read(store, "seen")
    result = record.under(chosen.name)
    assert result.frames == len(measured)
    assert result.interpolated == (~is_whole(measured.frame)).sum()
    told = f"{result.interpolated} of {result.frames} test frames lack keypoints"
    assert f"3dhp-annot3, keypoints of seen: {told}" in caplog.text

    context = read_camera_poses(store, chosen.context("seen"))  # invalid frames are neighbours, too
    by_hand = context.keypoints_px.copy()
    view = context.trial * len(context.cameras) + context.camera
    for number in np.unique(view):
        for joint in range(17):
            rows = np.flatnonzero(view == number)
            kept = rows[np.isfinite(by_hand[rows, joint, 0])]
            for axis in range(2):
                by_hand[rows, joint, axis] = np.interp(
                    context.frame[rows], context.frame[kept], by_hand[kept, joint, axis]
                )
    trained = load_lifter(tmp_path / "lifter")
    predicted = predict(trained, replace(context, keypoints_px=by_hand))[rows_within(measured, context)]
    expected = evaluate(predicted, measured, chosen)
    assert result.mpjpe_mm.value == pytest.approx(expected.mpjpe_mm.value, abs=1e-3)


def test_a_view_without_any_detection_is_refused_by_name(
    detected: Recipe, with_detector: "WithDetector", tmp_path: Path
) -> None:
    def miss_a_wrist(keypoints: NDArray[np.float32]) -> None:
        keypoints[:, WRIST] = np.nan

    config = preset("simple-baseline-small")
    save_lifter(tmp_path / "lifter", config, "screen", build(config, encoding("screen").channels, seed=0), {})
    blind = with_detector(detected.test.data, tmp_path / "test", miss_a_wrist)
    test = detected.test.model_copy(update={"data": blind})
    with pytest.raises(NeverDetectedError, match=r"trial 'TS1/TS1', camera \S+: joint 'right_wrist'"):
        evaluate_lifter(tmp_path / "lifter", test, tmp_path / "results", "cpu")


def test_summary_and_report_say_the_number(detected: Recipe) -> None:
    recipe = detected.model_copy(update={"compare": (), "seeds": (0,)})
    name = recipe.method.name
    one = Trained(name, 0, train_method(recipe, name, 0), evaluate_method(recipe, name, 0))
    summary = publish(recipe, (one,))
    count = one.evaluation.under("3dhp-annot3").interpolated
    assert summary.interpolated == count > 0
    told = f"{count:,} of {summary.frames:,} test frames lack keypoints"
    assert told in RunFolder(recipe.run_dir).report.read_text(encoding="utf-8")
    assert summary.model_copy(update={"interpolated": 0}).gaps is None


def test_commands_show_the_numbers(
    detected: Recipe,
    finished: tuple[Recipe, tuple[Trained, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, trained = finished
    lifter = RunFolder(recipe.run_dir).lifter(trained[0].method, trained[0].seed)
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ("evaluate", lifter, detected.test.data.store, "--keypoints", "seen", "--out", tmp_path / "o")
    shown = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "--protocol", "3dhp-annot3")])
    assert shown.exit_code == 0, shown.stderr
    assert "test frames lack keypoints, which are interpolated in time" in shown.stdout

    assert detected.target is not None
    briefly = ("--lifter", "simple-baseline-small", "--epochs", 1, "--steps-per-epoch", 2)
    data = (recipe.source.store, detected.target.store, "--keypoints", "seen", "--out", tmp_path / "a")
    adapted = CliRunner().invoke(app, [str(argument) for argument in ("adapt", *data, *briefly)])
    assert adapted.exit_code == 0, adapted.stderr
    assert "target poses lack keypoints and were left out" in adapted.stdout
