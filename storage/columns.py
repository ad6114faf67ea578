"""Reading a store into columns: every frame of every camera as one row, ready for a training device.

The rows of one (trial, camera) stand together in the order of their frames, so that a clip is a run of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import zarr
from numpy.typing import NDArray

from poseshift.geometry.camera import (
    AssumedCamera,
    Camera,
    Intrinsics,
    Rotation,
    stack_intrinsics,
    world_to_camera,
)
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.lens import pinhole_px
from poseshift.geometry.skeleton import mapping
from poseshift.storage.arrays import DETECTION_PREFIX, count_frames, read_array, read_attributes, trial_group
from poseshift.storage.filling import fill_short_gaps
from poseshift.storage.names import unmatched_names
from poseshift.storage.schema import (
    Float32,
    NoPositionsError,
    PositionsKind,
    TrialAttributes,
    TrialKey,
    Vertical,
)
from poseshift.storage.store import PoseStore

Told = TypeVar("Told")


@dataclass(frozen=True)
class TrialInfo:
    """What the columns need to know of a trial; ``positions`` is the kind of 3D of its rows, None without."""

    key: TrialKey
    action: str
    subaction: str
    fps: float
    positions: PositionsKind | None = "annotated"


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


@dataclass(frozen=True)
class CameraMotion:
    """Poses of cameras that move, row by row.

    Attributes
    ----------
    path : CameraPath
        Of all rows; NaN in rows of cameras that stand still.
    upright : array of bool of shape (n,)
        Whether it is known that the world's z points up; False in rows of cameras that stand still.
    """

    path: CameraPath
    upright: NDArray[np.bool_]

    def take(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> CameraMotion:
        """Take the given rows."""
        return CameraMotion(self.path[rows], self.upright[rows])


@dataclass(frozen=True)
class CameraPoses:
    """Poses before cameras, in columns.

    Attributes
    ----------
    positions_camera : array of float32 of shape (n, joints, 3)
        Metres, camera axes, absolute (root included).
    keypoints_px : array of float32 of shape (n, joints, 2)
        Pixels; NaN for a joint that a detector did not see.
    camera : array of int32
        (n,) int32, row of ``cameras``.
    trial : array of int32
        (n,) int32, row of ``trials``.
    frame : array of int32
        (n,) int32, frame number in its trial.
    activity : array of int8
        (n,) int8, 3DHP test activity, 0 where the data set has none.
    cameras, trials : tuple[Camera, ...] or tuple[TrialInfo, ...]
        The tables that the indices point into.
    skeleton : str
        Name of the joint set.
    snapshot : str
        Identifier of the store snapshot that was read.
    verticals : tuple[Vertical or None, ...]
        By row of ``cameras``, how sure a stated vertical is; empty where none was stated of any.
    rig : tuple[Rotation or None, ...]
        By row of ``cameras``, the rotation from the world of a rig of which it is not known where up is;
        empty where there is no such rig.
    confidence : array of float32 of shape (n, joints) or None
        How sure the detector is of each joint, from 0 to 1, that of joints it did not see as well; None where
        keypoints have none.
    motion : CameraMotion or None
        Poses of the cameras that move, which have no extrinsics in ``cameras``; None where all stand still.
        A row of ``cameras`` is of one world then.
    """

    positions_camera: Float32
    keypoints_px: Float32
    camera: NDArray[np.int32]
    trial: NDArray[np.int32]
    frame: NDArray[np.int32]
    activity: NDArray[np.int8]
    cameras: tuple[Camera, ...]
    trials: tuple[TrialInfo, ...]
    skeleton: str
    snapshot: str
    verticals: tuple[Vertical | None, ...] = ()
    rig: tuple[Rotation | None, ...] = ()
    confidence: Float32 | None = None
    motion: CameraMotion | None = None

    def __len__(self) -> int:
        return int(self.positions_camera.shape[0])

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> CameraPoses:
        """Take the given rows, with the tables unchanged."""
        keypoints_px = self.keypoints_px[rows]
        return replace(
            self,
            positions_camera=_hidden(*keypoints_px.shape[:2])
            if _is_hidden(self.positions_camera)
            else self.positions_camera[rows],
            keypoints_px=keypoints_px,
            camera=self.camera[rows],
            trial=self.trial[rows],
            frame=self.frame[rows],
            activity=self.activity[rows],
            confidence=None if self.confidence is None else self.confidence[rows],
            motion=None if self.motion is None else self.motion.take(rows),
        )

    @property
    def ups(self) -> tuple[tuple[float, float, float] | None, ...]:
        """By row of ``cameras``, the unit vector against gravity; None where it is not known.

        In the camera's axes where it stands still, and in those of its world where it moves.
        """
        upright = self.moves.copy()
        if self.motion is not None:
            upright[np.unique(self.camera[self.motion.path.known & ~self.motion.upright])] = False
        pairs = zip(self.cameras, upright, strict=True)
        return tuple((0.0, 0.0, 1.0) if stands else camera.up for camera, stands in pairs)

    @property
    def turns(self) -> NDArray[np.float64] | None:
        """Rotations (n, 3, 3) to camera axes from axes that do not move; None where all cameras stand still.

        Those are a camera's own where it stands still (the identity), and the world's where it moves.
        """
        if self.motion is None:
            return None
        rotation = self.motion.path.rotation
        return np.where(np.isfinite(rotation), rotation, np.eye(3))

    @property
    def moves(self) -> NDArray[np.bool_]:
        """Whether each camera of the table moves, (cameras,)."""
        moving = np.zeros(len(self.cameras), dtype=np.bool_)
        if self.motion is not None:
            moving[np.unique(self.camera[self.motion.path.known])] = True
        return moving

    @property
    def intrinsics(self) -> Intrinsics:
        """Intrinsics of the camera table, arrays of shape (cameras, ...); index with ``camera``."""
        return stack_intrinsics(self.cameras)

    def unlabelled(self) -> CameraPoses:
        """Hide the 3D behind NaN, so that use of it cannot go unnoticed."""
        return replace(self, positions_camera=_hidden(*self.positions_camera.shape[:2]))

    def without_joints(self) -> CameraPoses:
        """Keep what is known of the rows alone: poses of no joints, which cost nothing to take rows of."""
        return replace(
            self,
            positions_camera=self.positions_camera[:, :0],
            keypoints_px=self.keypoints_px[:, :0],
            confidence=None,
        )

    def on_skeleton(self, name: str) -> CameraPoses:
        """Map the poses to another joint set; these are returned when they are on it already.

        Raises
        ------
        ValueError
            There is no mapping between the two.
        """
        if name == self.skeleton:
            return self
        try:
            joints = mapping(self.skeleton, name)
        except LookupError as error:
            raise ValueError(
                f"poses of {self.skeleton} cannot be mapped to {name}: {error.args[0]}"
            ) from error
        keypoints_px = np.asarray(joints.apply(self.keypoints_px), dtype=np.float32)
        return replace(
            self,
            positions_camera=_hidden(*keypoints_px.shape[:2])
            if _is_hidden(self.positions_camera)
            else np.asarray(joints.apply(self.positions_camera), dtype=np.float32),
            keypoints_px=keypoints_px,
            skeleton=name,
            confidence=None if self.confidence is None else joints.least(self.confidence),
        )

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Whether each row has all of its keypoints, (n,)."""
        return np.asarray(np.isfinite(self.keypoints_px).all(axis=(1, 2)))

    def without_gaps(self) -> CameraPoses:
        """Take the rows that have all of their keypoints, which are the rows that can be learned from.

        Raises
        ------
        ValueError
            When there is none.
        """
        whole = self.whole
        if whole.all():
            return self
        if not whole.any():
            raise ValueError(
                f"none of the {len(self)} poses has all of its keypoints; select other frames or another "
                "detector"
            )
        return self.take(whole)

    @property
    def same_view(self) -> NDArray[np.bool_]:
        """Whether each row but the first is of the trial and camera of the row before it, (n - 1,)."""
        return np.asarray((np.diff(self.trial) == 0) & (np.diff(self.camera) == 0))

    @property
    def view_rows(self) -> list[NDArray[np.intp]]:
        """Rows of every view (trial and camera), in the order of the columns."""
        return np.split(np.arange(len(self)), np.flatnonzero(~self.same_view) + 1)

    @property
    def frame_spacing(self) -> int:
        """Least number of frames from one row to the next of its view; 1 where no view has two rows."""
        step = np.diff(self.frame)
        usual = step[self.same_view & (step > 0)]
        return int(usual.min()) if len(usual) else 1

    @property
    def follows_on(self) -> NDArray[np.bool_]:
        """Whether each row but the first is the row before it one frame spacing later, (n - 1,)."""
        return np.asarray(self.same_view & (np.diff(self.frame) == self.frame_spacing))

    @property
    def run_bounds(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last row of each row's run (same trial, same camera, evenly spaced frames), (n,) each."""
        starts = np.flatnonzero(np.concatenate([[True], ~self.follows_on]))
        lengths = np.diff(np.append(starts, len(self)))
        return np.repeat(starts, lengths), np.repeat(starts + lengths - 1, lengths)


def _hidden(rows: int, joints: int) -> Float32:
    """NaN in place of 3D, (rows, joints, 3): a view of one number, which takes no memory."""
    return np.broadcast_to(np.float32(np.nan), (rows, joints, 3))


def _is_hidden(positions: Float32) -> bool:
    return positions.strides == (0, 0, 0)


class PositionsMissingError(ValueError):
    """A trial that has not the kind of 3D that is asked for."""

    def __init__(self, trial: TrialKey, held: PositionsKind, wanted: PositionsKind) -> None:
        super().__init__(f"trial {trial.path!r} has {held} 3D only, but {wanted} 3D is asked for")
        self.trial, self.held, self.wanted = trial, held, wanted


_EVERYTHING = Selection()


def sampling_hz(poses: CameraPoses) -> float:
    """Frames per second between neighbouring rows of one view, the median; NaN where no view has two rows."""
    step = np.diff(poses.frame)
    neighbours = poses.same_view & (step > 0)
    if not neighbours.any():
        return math.nan
    fps = np.array([trial.fps for trial in poses.trials])[poses.trial[1:][neighbours]]
    return float(np.median(fps / step[neighbours]))


RATE_TOLERANCE = 0.1
"""Share by which two frame rates may differ and still be the same: 29.97 is as good as 30."""


def rows_per_frame(poses: CameraPoses, hz: float) -> NDArray[np.float64]:
    """Rows from one frame to the next of clips at ``hz`` frames per second, (n,) by the trial of each row.

    1 where the rates agree within :data:`RATE_TOLERANCE`: rows at 50 Hz give 2 for clips at 25 Hz. A rate
    that is nearly a multiple is meant as one: rows at 59.94 Hz give 2 for clips at 30 Hz.
    """
    spacing = _rates(poses) / hz
    nearest = np.maximum(np.rint(spacing), 1)
    tolerance = np.where(nearest == 1, RATE_TOLERANCE, _NEARLY_WHOLE)
    spacing = np.where(np.abs(spacing / nearest - 1) <= tolerance, nearest, spacing)
    return np.asarray(spacing[poses.trial])


_NEARLY_WHOLE = 0.01


def slowest_hz(poses: CameraPoses) -> float:
    """Rows per second of the trial that has the fewest.

    Clips of all trials can be had at this rate without frames that nobody recorded.
    """
    return float(_rates(poses)[np.unique(poses.trial)].min())


def _rates(poses: CameraPoses) -> NDArray[np.float64]:
    """Rows per second of every trial, (trials,)."""
    return np.array([trial.fps for trial in poses.trials]) / poses.frame_spacing


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


@dataclass(frozen=True)
class PoseRun:
    """Frames of one trial before one camera: consecutive rows of the columns.

    Attributes
    ----------
    info, camera : TrialInfo or Camera
        The trial and the camera.
    positions_camera : array of float32 of shape (frames, joints, 3)
        Metres, camera axes.
    keypoints_px : array of float32 of shape (frames, joints, 2)
        Pixels; NaN for a joint that a detector did not see.
    frames : array of intp of shape (frames,)
        Frame numbers in the trial, rising.
    activity : array of int8 of shape (frames,)
        0 where the data set has none.
    vertical : Vertical or None
        How sure a stated vertical of the camera is.
    rig : Rotation or None
        From the world of a rig of which it is not known where up is, to the camera.
    confidence : array of float32 of shape (frames, joints) or None
        How sure the detector is, from 0 to 1; None where keypoints have no confidences.
    motion : CameraMotion or None
        Poses of a camera that moves.
    world : str
        Tells apart the worlds of cameras that move, in which up is not known; empty of others.
    """

    info: TrialInfo
    camera: Camera
    positions_camera: Float32
    keypoints_px: Float32
    frames: NDArray[np.intp]
    activity: NDArray[np.int8]
    vertical: Vertical | None = None
    rig: Rotation | None = None
    confidence: Float32 | None = None
    motion: CameraMotion | None = None
    world: str = ""

    @property
    def seen_by(self) -> tuple[Camera, bool, str]:
        """What runs have in common that share a row of the camera table."""
        return self.camera, self.motion is not None, self.world


def columns_of(runs: Sequence[PoseRun], skeleton: str, snapshot: str) -> CameraPoses:
    """Join runs to columns in the given order; equal cameras and equal trials share a row of their table."""
    cameras = {seen_by: row for row, seen_by in enumerate(dict.fromkeys(run.seen_by for run in runs))}
    trials = {info: row for row, info in enumerate(dict.fromkeys(run.info for run in runs))}
    lengths = [len(run.frames) for run in runs]
    keypoints_px = np.concatenate([run.keypoints_px for run in runs])
    return CameraPoses(
        positions_camera=_hidden(*keypoints_px.shape[:2])
        if all(_is_hidden(run.positions_camera) for run in runs)
        else np.concatenate([run.positions_camera for run in runs]),
        keypoints_px=keypoints_px,
        camera=np.repeat(np.array([cameras[run.seen_by] for run in runs], dtype=np.int32), lengths),
        trial=np.repeat(np.array([trials[run.info] for run in runs], dtype=np.int32), lengths),
        frame=np.concatenate([run.frames for run in runs]).astype(np.int32),
        activity=np.concatenate([run.activity for run in runs]),
        cameras=tuple(camera for camera, *_ in cameras),
        trials=tuple(trials),
        skeleton=skeleton,
        snapshot=snapshot,
        verticals=_of_cameras(cameras, [(run.seen_by, run.vertical) for run in runs]),
        rig=_of_cameras(cameras, [(run.seen_by, run.rig) for run in runs]),
        confidence=_confidence(runs),
        motion=_motion(runs),
    )


def _motion(runs: Sequence[PoseRun]) -> CameraMotion | None:
    """Join the motion of cameras; None where all of them stand still."""
    if all(run.motion is None for run in runs):
        return None
    parts = [run.motion or _standing(len(run.frames)) for run in runs]
    rotation = np.concatenate([one.path.rotation for one in parts])
    translation = np.concatenate([one.path.translation for one in parts])
    return CameraMotion(CameraPath(rotation, translation), np.concatenate([one.upright for one in parts]))


def _standing(rows: int) -> CameraMotion:
    nowhere = CameraPath.of(np.full((rows, 3, 4), np.nan))
    return CameraMotion(nowhere, np.zeros(rows, dtype=np.bool_))


def _confidence(runs: Sequence[PoseRun]) -> Float32 | None:
    """Join confidences; keypoints without them are as sure as can be beside others that have them."""
    if all(run.confidence is None for run in runs):
        return None
    sure = [
        np.ones(run.keypoints_px.shape[:2], dtype=np.float32) if run.confidence is None else run.confidence
        for run in runs
    ]
    return np.concatenate(sure)


def _of_cameras(
    cameras: Iterable[tuple[Camera, bool, str]],
    told: Sequence[tuple[tuple[Camera, bool, str], Told | None]],
) -> tuple[Told | None, ...]:
    """Put what runs tell of cameras in the order of their table; nothing of one that they contradict."""
    known: dict[tuple[Camera, bool, str], set[Told | None]] = {}
    for camera, one in told:
        known.setdefault(camera, set()).add(one)
    found = tuple(next(iter(known[camera])) if len(known[camera]) == 1 else None for camera in cameras)
    return () if all(one is None for one in found) else found


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
            positions_camera=_hidden(*keypoints.shape[:2])
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
