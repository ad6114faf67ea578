"""The clips of a prediction: 3D of a store that need not have any, with estimates in place of errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from poseshift.flows.experiment.predict import RECORD, MotionRecord, PredictionRecord
from poseshift.flows.viewer.clips import Clip, Errors, Motions, Wanted, frustum, level_axes
from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.schema import Float32
from poseshift.storage.store import PoseStore
from poseshift.training.prediction.fusion import FUSED

FORMAT = "npz"
"""The one of the formats that holds all that is known of a motion."""

_MOST_NAMED = 20
_WITH_FRAMES = 3
"""Axes of rotations with one for every frame."""


@dataclass(frozen=True)
class _Arrays:
    """What the page needs of a motion's file."""

    positions: Float32
    error_m: Float32
    frame: NDArray[np.int32]
    error_kind: str
    to_camera: tuple[NDArray[np.float64], NDArray[np.float64]] | None


def is_prediction(folder: Path) -> bool:
    """Tell whether a folder holds what `predict` wrote."""
    return (folder / RECORD).is_file()


def predicted_motions(folder: Path, store: str | None, wanted: Wanted) -> Motions:
    """Read what `predict` wrote, and the keypoints that were lifted.

    Parameters
    ----------
    folder : Path
        Of the prediction.
    store : str or None
        The store of the keypoints; None for the one that the record names.
    wanted : Wanted
        Which clips.

    Raises
    ------
    FileNotFoundError
        A file that the record names is missing.
    ValueError
        The record or a file is not as `predict` writes it, there is no npz, or nothing is wanted.
    StoreError
        There is no store, or it has not the snapshot that was lifted.
    """
    record = _read_record(folder)
    motions = [one for one in record.motions if wanted.takes(one.subject, one.trial, one.camera)]
    if not motions:
        there = [f"{one.subject}/{one.trial} by {one.camera}" for one in record.motions]
        more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
        raise ValueError(
            f"{folder} has no clip of {wanted}; there are {', '.join(there[:_MOST_NAMED])}{more}"
        )
    arrays = [_read_arrays(folder, one, skeleton(record.skeleton).joints) for one in motions]
    seen = _keypoints(record, store, motions)
    return Motions(
        title=folder.resolve().name,
        lead=f"Keypoints of {record.store}, lifted by {record.lifter}. There is no truth beside it.",
        notes=() if record.restaged_from is None else (_restaged(record.restaged_from),),
        remarks=tuple(record.assumptions),
        clips=tuple(
            _clip(record, one, found, seen.get((f"{one.subject}/{one.trial}", one.camera)))
            for one, found in zip(motions, arrays, strict=True)
        ),
    )


def _restaged(motion: str) -> str:
    return f"Restaged motion, not the original recordings: {motion}."


def _read_record(folder: Path) -> PredictionRecord:
    try:
        return PredictionRecord.model_validate_json((folder / RECORD).read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{folder / RECORD} is not as this version of PoseShift writes it; predict again"
        ) from error


def _read_arrays(folder: Path, motion: MotionRecord, joints: int) -> _Arrays:
    if FORMAT not in motion.files:
        raise ValueError(
            f"{folder} holds {', '.join(motion.files)} alone, which lack what the page shows; predict again "
            f"with --format {FORMAT} among the formats"
        )
    path = folder / motion.files[FORMAT]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{folder / RECORD} names {motion.files[FORMAT]}, which is outside of the folder")
    try:
        with np.load(path, allow_pickle=False) as content:
            placed = "rotation" in content
            found = _Arrays(
                positions=np.asarray(content["positions"], dtype=np.float32),
                error_m=np.asarray(content["error"], dtype=np.float32),
                frame=np.asarray(content["frame"], dtype=np.int32),
                error_kind=str(content["error_kind"]),
                to_camera=(content["rotation"], content["translation"]) if placed else None,
            )
    except (KeyError, ValueError, BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: not a motion that `predict` wrote ({error}); predict again") from error
    expected = (motion.frames, joints)
    if (
        found.positions.shape != (*expected, 3)
        or found.error_m.shape != expected
        or found.frame.shape != expected[:1]
        or not np.isfinite(found.positions).all()
        or not np.isfinite(found.error_m).all()
    ):
        raise ValueError(
            f"{path}: positions {found.positions.shape} and errors {found.error_m.shape}; expected finite "
            f"numbers for {motion.frames} frames of {joints} joints; predict again"
        )
    return found


def _keypoints(
    record: PredictionRecord, store: str | None, motions: Sequence[MotionRecord]
) -> Mapping[tuple[str, str], CameraPoses]:
    """Read the keypoints of single cameras, by trial and camera."""
    single = [one for one in motions if one.camera != FUSED]
    if not single:
        return {}
    poses = read_keypoints(
        PoseStore.open(store or record.store, record.inputs.store.snapshot),
        Selection(
            subjects=tuple({one.subject: None for one in single}),
            cameras=tuple({one.camera: None for one in single}),
            valid_only=False,
            keypoints=record.inputs.options.keypoints,
            least_confidence=record.inputs.options.least_confidence,
        ),
    ).on_skeleton(record.skeleton)
    return dict(_by_view(poses))


def _by_view(poses: CameraPoses) -> Iterator[tuple[tuple[str, str], CameraPoses]]:
    for rows in poses.view_rows:
        part = poses.take(rows)
        yield (poses.trials[part.trial[0]].key.path, poses.cameras[part.camera[0]].name), part


def _clip(record: PredictionRecord, motion: MotionRecord, found: _Arrays, seen: CameraPoses | None) -> Clip:
    world = motion.axes == "world"
    camera = None if seen is None else _as_placed(seen.cameras[seen.camera[0]], found)
    joints_mm = 1000 * found.error_m.astype(np.float64)
    return Clip(
        trial=f"{motion.subject}/{motion.trial}",
        camera=motion.camera,
        fps=motion.fps,
        skeleton=skeleton(record.skeleton),
        frame=found.frame,
        on_floor=world,
        predicted=found.positions if world else level_axes(found.positions).astype(np.float32),
        truth=None,
        keypoints_px=None if seen is None else _at(seen, found.frame),
        size_px=None if camera is None else camera.size_px,
        frustum=None if camera is None or _moves(found) else frustum(camera),
        errors=Errors("estimated error", False, joints_mm.mean(axis=1), joints_mm),
    )


def _moves(found: _Arrays) -> bool:
    """Whether the camera has a pose for every frame."""
    return found.to_camera is not None and found.to_camera[0].ndim == _WITH_FRAMES


def _as_placed(camera: Camera, found: _Arrays) -> Camera:
    """Place a camera as the motion's file does, whose floor need not be that of the store."""
    if found.to_camera is None or _moves(found):
        return camera
    rotation, translation = (array.tolist() for array in found.to_camera)
    return replace(camera, rotation=tuple(map(tuple, rotation)), translation=tuple(translation))


def _at(seen: CameraPoses, frame: NDArray[np.int32]) -> Float32:
    """Keypoints at these frames; NaN at frames that the store does not have."""
    rows = np.searchsorted(seen.frame, frame).clip(max=len(seen) - 1)
    there = (seen.frame[rows] == frame)[:, None, None]
    return np.where(there, seen.keypoints_px[rows], np.float32(np.nan))
