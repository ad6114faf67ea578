"""Reading a store into columns: what is selected, every frame of every camera as one row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import zarr
from numpy.typing import NDArray

from poseshift.geometry.camera import AssumedCamera, Camera
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.lens import pinhole_px
from poseshift.geometry.projection import world_to_camera
from poseshift.storage.arrays import DETECTION_PREFIX, count_frames, read_array, read_attributes, trial_group
from poseshift.storage.columns import CameraMotion, CameraPoses, TrialInfo, hidden_positions
from poseshift.storage.filling import fill_short_gaps
from poseshift.storage.names import unmatched_names
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.schema import Float32, NoPositionsError, PositionsKind, TrialAttributes, TrialKey
from poseshift.storage.store import PoseStore


@dataclass(frozen=True)
class Selection:
    """Which rows of a store are wanted. None means all, or whatever there is.

    Attributes
    ----------
    subjects, actions, cameras : tuple[str, ...] or None
        Names to keep.
    frame_step : int
        Keep every n-th frame, counted from each trial's first; frames that a trial lacks are counted, too.
    valid_only : bool
        Drop frames that the data set marks as invalid.
    positions : PositionsKind or None
        ``annotated`` or ``universal`` 3D; None takes ``positions_world``, whichever it holds.
    keypoints : str
        ``ground_truth`` or the name of a detector.
    least_confidence : float
        A joint that a detector is less sure of counts as not seen.
    longest_gap_s : float
        Joints that are not seen for at most so many seconds are filled in over time, from all frames of the
        view, before any are left out; 0 fills nothing.
    """

    subjects: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    cameras: tuple[str, ...] | None = None
    frame_step: int = 1
    valid_only: bool = True
    positions: PositionsKind | None = None
    keypoints: str = "ground_truth"
    least_confidence: float = 0.0
    longest_gap_s: float = 0.0


class PositionsMissingError(ValueError):
    """A trial that has not the kind of 3D that is asked for."""

    def __init__(self, trial: TrialKey, held: PositionsKind, wanted: PositionsKind) -> None:
        super().__init__(f"trial {trial.path!r} has {held} 3D only, but {wanted} 3D is asked for")
        self.trial, self.held, self.wanted = trial, held, wanted


_EVERYTHING = Selection()


def read_camera_poses(store: PoseStore, selection: Selection = _EVERYTHING) -> CameraPoses:
    """Read the selected frames of every selected camera with their 3D, poses turned into camera axes.

    Parameters
    ----------
    store : PoseStore
        The store, at the snapshot that it was opened at.
    selection : Selection
        Which rows are wanted.

    Returns
    -------
    CameraPoses
        Rows sorted by trial, then camera (in the trial's own order), then frame. The tables hold the trials
        and cameras that have rows; equal calibrations share one row of the camera table. A joint that the
        detector did not see (confidence 0) has NaN keypoints, wherever the detector has put it. Keypoints of
        cameras whose lens batches do not compute with are freed of it, and their cameras are pinholes.

    Raises
    ------
    PositionsMissingError
        When a selected trial has not the kind of 3D that is selected.
    NoPositionsError
        When a selected trial has no 3D at all.
    ValueError
        When nothing is selected, or a selected trial has no such detections.
    """
    poses = _read(store, selection)
    for trial in poses.trials:
        if trial.positions is None:
            raise NoPositionsError(trial.key)
    return poses


def read_keypoints(store: PoseStore, selection: Selection = _EVERYTHING) -> CameraPoses:
    """Read as :func:`read_camera_poses` but no 3D, NaN in its place, so that trials need not have any."""
    return _read(store, selection, labelled=False)


def _read(store: PoseStore, selection: Selection, *, labelled: bool = True) -> CameraPoses:
    root = store.root
    runs = [run for key in store.keys() for run in _read_runs(root, key, selection, labelled=labelled)]
    if not runs:
        names = unmatched_names(store, selection.subjects, selection.actions, selection.cameras)
        why = "" if names is None else f": {names}"
        raise ValueError(f"{store.location}: no trial, camera or frame matches {selection}{why}")
    return columns_of(runs, store.skeleton, store.snapshot)


def require_all_frames(store: PoseStore) -> None:
    """Raise ValueError when a trial lacks frames of its recording, for layouts that count frames anew."""
    for key, attributes in store.catalogue().items():
        if "frame_number" in attributes.digests:
            raise ValueError(
                f"trial {key.path!r} lacks frames of its recording; this layout counts frames anew, and what "
                "follows a gap would become the neighbour of what precedes it"
            )


def positions_held(store: PoseStore) -> frozenset[PositionsKind]:
    """Find which kinds of 3D every trial of a store has, from its metadata alone; none where one has none."""
    kinds: tuple[PositionsKind, ...] = ("annotated", "universal")
    trials = store.catalogue().values()
    return frozenset(kind for kind in kinds if all(_holding(trial, kind) for trial in trials))


def _read_runs(root: zarr.Group, key: TrialKey, selection: Selection, *, labelled: bool) -> Iterator[PoseRun]:
    """Read the selected frames of the selected cameras of one trial; the 3D only where it is ``labelled``."""
    if not _wanted(key.subject, selection.subjects):
        return
    group = trial_group(root, key)
    attributes = read_attributes(group)
    cameras = [
        (i, camera) for i, camera in enumerate(attributes.cameras) if _wanted(camera.name, selection.cameras)
    ]
    if not _wanted(attributes.action, selection.actions) or not cameras:
        return
    held = attributes.positions_kind
    wanted = None if held is None else selection.positions or held
    positions_name = None if wanted is None else _holding(attributes, wanted)
    if held is not None and wanted is not None and positions_name is None:
        raise PositionsMissingError(key, held, wanted)
    keypoints_name = _keypoints_named(attributes, selection.keypoints, key)
    frames = np.arange(count_frames(group))
    numbers = read_array(group, "frame_number") if "frame_number" in attributes.digests else frames
    frames = frames[numbers % selection.frame_step == 0]
    if selection.valid_only and "valid" in attributes.digests:
        frames = frames[read_array(group, "valid")[frames]]
    if not len(frames):
        return
    has_activity = "activity" in attributes.digests
    activity = read_array(group, "activity") if has_activity else None
    positions = None
    if labelled and positions_name is not None:
        positions = read_array(group, positions_name)
    trial_frames = frames
    for number, camera in cameras:
        detected = read_array(group, keypoints_name, number)
        keypoints = _seen(detected, selection.least_confidence)
        path, frames = None, trial_frames
        if camera.name in attributes.moving:
            path = CameraPath.of(read_array(group, "extrinsics", number))
            # Where the camera was is not known: nobody counts as seen, also where the frame is kept.
            keypoints = np.where(path.known[:, None, None], keypoints, np.float32(np.nan))
            frames = frames[path.known[frames]] if selection.valid_only else frames
            path = path.held()[frames]
            if not len(frames):
                continue
        if selection.longest_gap_s > 0:
            keypoints = fill_short_gaps(keypoints, numbers, attributes.fps, selection.longest_gap_s)
        keypoints = keypoints[frames]
        yield PoseRun(
            info=TrialInfo(key, attributes.action, attributes.subaction, attributes.fps, wanted),
            camera=_as_learned(camera, attributes),
            positions_camera=hidden_positions(*keypoints.shape[:2])
            if positions is None
            else _before(positions[frames].astype(np.float64), camera, path),
            keypoints_px=_without_lens(keypoints, camera),
            frames=numbers[frames],
            activity=activity[frames] if activity is not None else np.zeros(len(frames), dtype=np.int8),
            vertical=attributes.verticals.get(camera.name),
            rig=camera.rotation if camera.placed and attributes.up == "unknown" else None,
            confidence=np.clip(detected[frames, :, 2], 0, 1) if detected.shape[-1] > 2 else None,
            motion=None
            if path is None
            else CameraMotion(path, np.full(len(frames), attributes.up == "z", dtype=np.bool_)),
            world="" if path is None or attributes.up == "z" else key.trial,
        )


def _keypoints_named(attributes: TrialAttributes, wanted: str, key: TrialKey) -> str:
    """Name the array of the keypoints that are wanted; ValueError with those there are, as recipes say it."""
    name = "keypoints_2d" if wanted == "ground_truth" else DETECTION_PREFIX + wanted
    if name not in attributes.digests:
        arrays = [one for one in attributes.digests if one.startswith(DETECTION_PREFIX)]
        detectors = sorted(one.removeprefix(DETECTION_PREFIX) for one in arrays)
        known = [*(["ground_truth"] if "keypoints_2d" in attributes.digests else []), *detectors]
        raise ValueError(
            f"trial {key.path!r} has no {name}; say `keypoints: {' | '.join(known)}` of these data (or "
            "--keypoints)"
        )
    return name


def _before(positions: NDArray[np.float64], camera: Camera, path: CameraPath | None) -> Float32:
    if path is not None:
        moved = world_to_camera(positions, path.rotation, path.translation)
        return np.asarray(moved, dtype=np.float32)
    moved = world_to_camera(positions, np.asarray(camera.rotation), np.asarray(camera.translation))
    return np.asarray(moved, dtype=np.float32)


def _as_learned(camera: Camera, attributes: TrialAttributes) -> Camera:
    """Give the camera that the columns' keypoints are seen by, which knows what the trial knows of it."""
    seen_by = camera.pinhole if _has_other_lens(camera) else camera
    if attributes.intrinsics == "assumed":
        seen_by = AssumedCamera.of(seen_by)
    return seen_by if attributes.up == "z" else seen_by.unplaced


def _without_lens(keypoints: Float32, camera: Camera) -> Float32:
    if not _has_other_lens(camera):
        return keypoints
    return pinhole_px(keypoints.astype(np.float64), camera).astype(np.float32)


def _has_other_lens(camera: Camera) -> bool:
    """Whether the lens is one that batches do not compute with."""
    return camera.distortion.model in ("opencv", "fisheye")


def _seen(keypoints: Float32, least_confidence: float) -> Float32:
    """Cut (frames, joints, 2 or 3) to pixels, NaN where there is a confidence that is 0 or too small.

    Detectors put what they do not see at (0, 0), where a lifter would take it for a joint.
    """
    pixels = keypoints[..., :2]
    if keypoints.shape[-1] == 2:
        return pixels
    confidence = keypoints[..., 2:]
    return np.where((confidence > 0) & (confidence >= least_confidence), pixels, np.float32(np.nan))


def _holding(attributes: TrialAttributes, wanted: PositionsKind) -> str | None:
    """Name the array that holds a kind of 3D; None where a trial has it not."""
    if wanted == attributes.positions_kind:
        return "positions_world"
    if wanted == "universal" and "positions_universal" in attributes.digests:
        return "positions_universal"
    return None


def _wanted(name: str, names: tuple[str, ...] | None) -> bool:
    return names is None or name in names
