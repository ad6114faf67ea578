"""The clips of an evaluation: what a lifter predicted, beside the truth that it was measured against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from poseshift.flows.experiment.evaluate import EvaluationInputs, EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.predictions import Predictions, read_predictions
from poseshift.flows.experiment.recipe import load_recipe
from poseshift.flows.experiment.stage import DONE, recorded_inputs
from poseshift.flows.viewer.clips import Clip, Errors, Float64, Motions, Wanted, as_drawn, frustum
from poseshift.geometry.alignment import root_relative
from poseshift.geometry.skeleton import SKELETONS, skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.inspection import intrinsics_told
from poseshift.storage.schema import Float32
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.evaluate import frame_errors_mm
from poseshift.training.evaluation.metric_list import METRICS
from poseshift.training.evaluation.metrics import joint_errors_mm
from poseshift.training.evaluation.protocols import Protocol
from poseshift.training.evaluation.protocols import protocol as protocol_named
from poseshift.training.evaluation.results import EvaluationResult, gaps_told

_AGREEMENT_MM = 0.01
"""By how much the mean of the frames may differ from the recorded figure."""


def evaluated_motions(folder: Path, protocol: str | None, store: str | None, wanted: Wanted) -> Motions:
    """Read the predictions of an evaluation, and their truth from the store that it measured.

    Parameters
    ----------
    folder : Path
        Of the evaluation.
    protocol : str or None
        Under which it predicted; None for the first one.
    store : str or None
        The test store; None for the one that the recipe of the folder's run names.
    wanted : Wanted
        Which clips.

    Raises
    ------
    FileNotFoundError
        There is no evaluation, or no predictions, or nothing says where the store is.
    ValueError
        Predictions, store and recorded figure do not belong together, or nothing is wanted.
    StoreError
        There is no store, or it has not the snapshot that was measured.
    """
    inputs, record = _read(folder)
    result = _result(record, protocol, folder)
    chosen = protocol_named(result.protocol)
    opened = PoseStore.open(store or _store_of_run(folder), inputs.test.snapshot)
    predictions = read_predictions(folder, chosen.name)
    poses = chosen.read(opened, inputs.test.keypoints)
    poses = poses.on_skeleton(_skeleton_of(predictions, poses, chosen))
    _require_same_rows(predictions, poses, folder)
    errors = _errors(predictions.positions_camera, poses, chosen, result, folder)
    clips = tuple(
        _clip(poses, predictions.positions_camera, errors, rows) for rows in _wanted_runs(poses, wanted)
    )
    if not clips:
        raise ValueError(f"{folder} has no clip of {wanted}; there are {_names(poses)}")
    return Motions(
        title=f"{folder.resolve().parent.name}, {folder.resolve().name}",
        lead=(
            f"Predictions under {chosen.name}, which measures {result.frames:,} frames: "
            f"{errors.name} {result.over_frames.value:.1f} mm over all of them."
        ),
        notes=tuple(_notes(record, result)),
        remarks=tuple(_remarks(chosen)),
        clips=clips,
    )


def _read(folder: Path) -> tuple[EvaluationInputs, EvaluationRecord]:
    found = recorded_inputs(folder)
    if found is None or not (folder / DONE).is_file():
        inside = sorted(one.parent for one in folder.glob("evaluations/*/*/done.json"))
        hint = f"; there are {', '.join(str(one) for one in inside)}" if inside else ""
        raise FileNotFoundError(
            f"{folder} holds no finished evaluation and no prediction; give the folder that `evaluate` or "
            f"`predict` wrote{hint}"
        )
    try:
        return EvaluationInputs.model_validate(found), EvaluationRecord.model_validate_json(
            (folder / DONE).read_bytes()
        )
    except ValidationError as error:
        raise ValueError(
            f"{folder} is a stage of another kind, or of another version of PoseShift; give the folder that "
            "`evaluate` wrote, or evaluate again"
        ) from error


def _result(record: EvaluationRecord, protocol: str | None, folder: Path) -> EvaluationResult:
    if protocol is None:
        return record.results[0]
    try:
        return record.under(protocol)
    except KeyError as error:
        raise ValueError(f"{folder}: {error.args[0]}") from error


def _store_of_run(folder: Path) -> str:
    """Find the test store by the recipe of the run that an evaluation is part of."""
    for place in folder.resolve().parents:
        recipe = RunFolder(place).recipe
        if recipe.is_file():
            return load_recipe(recipe).required_test.data.store
    raise FileNotFoundError(
        f"{folder} lies in no run with a recipe that would name the store it measured; say --store"
    )


def _skeleton_of(predictions: Predictions, poses: CameraPoses, chosen: Protocol) -> str:
    """Name the joint set of predictions, of which their file tells the number of joints only."""
    joints = predictions.positions_camera.shape[1]
    for name in (poses.skeleton, chosen.skeleton):
        if SKELETONS[name].joints == joints:
            return name
    raise ValueError(
        f"predictions of {joints} joints are neither {poses.skeleton} nor {chosen.skeleton}; "
        "the page cannot tell which joints they are"
    )


def _require_same_rows(predictions: Predictions, poses: CameraPoses, folder: Path) -> None:
    trials = tuple(trial.key.path for trial in poses.trials)
    cameras = tuple(camera.name for camera in poses.cameras)
    same = (
        (predictions.trials, predictions.cameras) == (trials, cameras)
        and np.array_equal(predictions.trial, poses.trial)
        and np.array_equal(predictions.camera, poses.camera)
        and np.array_equal(predictions.frame, poses.frame)
        and np.isfinite(predictions.positions_camera).all()
    )
    if not same:
        raise ValueError(
            f"the {len(predictions.frame)} predictions in {folder} are not of the {len(poses)} rows that the "
            "store gives for this protocol; give --store the store that was measured, or evaluate again"
        )


def _errors(
    predicted: Float32, poses: CameraPoses, chosen: Protocol, result: EvaluationResult, folder: Path
) -> Errors:
    root = skeleton(poses.skeleton).root
    frame_mm = frame_errors_mm(predicted, poses, chosen)
    if abs(float(frame_mm.mean()) - result.over_frames.value) > _AGREEMENT_MM:
        raise ValueError(
            f"the predictions in {folder} have a mean error of {frame_mm.mean():.2f} mm under {chosen.name}, "
            f"but {result.over_frames.value:.2f} mm were recorded; a file was changed: evaluate again"
        )
    return Errors(
        name=METRICS[result.headline_metric].title.removesuffix(", mm"),
        measured=True,
        frame_mm=frame_mm,
        joints_mm=joint_errors_mm(
            root_relative(predicted, root), root_relative(poses.positions_camera, root)
        ),
    )


def _wanted_runs(poses: CameraPoses, wanted: Wanted) -> Iterator[NDArray[np.intp]]:
    """Rows of every trial and camera that is wanted, in the order of the store."""
    for rows in poses.view_rows:
        key, camera = poses.trials[poses.trial[rows[0]]].key, poses.cameras[poses.camera[rows[0]]]
        if wanted.takes(key.subject, key.trial, camera.name):
            yield rows


def _clip(poses: CameraPoses, predicted: Float32, errors: Errors, rows: NDArray[np.intp]) -> Clip:
    trial, camera = poses.trials[poses.trial[rows[0]]], poses.cameras[poses.camera[rows[0]]]
    joints = skeleton(poses.skeleton)
    truth: Float64 = poses.positions_camera[rows].astype(np.float64)
    placed = root_relative(predicted[rows].astype(np.float64), joints.root) + truth[:, [joints.root]]
    motion = None if poses.motion is None else poses.motion.take(rows)
    moves = motion is not None and bool(motion.path.known.any())
    path = motion.path if motion is not None and motion.upright.all() else None
    return Clip(
        trial=trial.key.path,
        camera=camera.name,
        fps=trial.fps,
        skeleton=joints,
        frame=poses.frame[rows],
        on_floor=camera.placed or path is not None,
        predicted=as_drawn(placed, camera, path),
        truth=as_drawn(truth, camera, path),
        keypoints_px=poses.keypoints_px[rows],
        size_px=camera.size_px,
        frustum=None if moves else frustum(camera),
        errors=Errors(errors.name, errors.measured, errors.frame_mm[rows], errors.joints_mm[rows]),
    )


def _names(poses: CameraPoses) -> str:
    trials = ", ".join(trial.key.path for trial in poses.trials[:20])
    more = f" and {len(poses.trials) - 20} more" if len(poses.trials) > 20 else ""
    return f"{trials}{more}, seen by {', '.join(dict.fromkeys(camera.name for camera in poses.cameras))}"


def _notes(record: EvaluationRecord, result: EvaluationResult) -> Iterator[str]:
    if record.restaged_from:
        yield f"Restaged motion, not the original recordings: {record.restaged_from}."
    gaps = gaps_told(result.interpolated, result.frames)
    if gaps is not None:
        yield gaps
    cameras = intrinsics_told(record.intrinsics)
    if cameras is not None:
        yield cameras


def _remarks(chosen: Protocol) -> Iterator[str]:
    yield (
        "The lifter answers relative to the root joint; its skeleton is drawn at the true root. "
        "Errors of joints are distances of the two skeletons as drawn."
    )
    if chosen.alignment != "none":
        yield f"{chosen.name} measures a frame after a fit ({chosen.alignment}), which the picture lacks."
    if skeleton(chosen.skeleton).joint_names != chosen.joints:
        yield f"A frame's error is over {len(chosen.joints)} joints: {', '.join(chosen.joints)}."
    if chosen.positions == "universal":
        yield (
            "Truth is in universal size, in which the data set makes all people alike; feet may not meet the "
            "floor."
        )
