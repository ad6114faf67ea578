"""P-STMO's ``data_train_3dhp.npz`` and ``data_test_3dhp.npz``: MPI-INF-3DHP as most temporal lifters read it.

Training: sequence -> [camera -> (2D pixels, 3D millimetres in camera axes, height-normalised), fps]. Test:
sequence -> 2D, 3D and the valid frames, all frames kept. Joints in the order of the data set's test files,
float64. Follows Shan et al., "P-STMO", ECCV 2022; D3DP and others put annot3 in place of the normalised 3D.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import MPI_INF_3DHP_17, mapping
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.exchange.npz import (
    ExchangeError,
    ObjectArrays,
    read_npz,
    require_mapping,
    require_member,
    require_numbers,
)
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.provenance import digest_file
from poseshift.storage.reading import Selection, read_camera_poses, require_all_frames
from poseshift.storage.schema import Float32, PositionsKind, TrialKey
from poseshift.storage.store import PoseStore

TRAINING_CAMERAS = ("0", "1", "2", "4", "5", "6", "7", "8")
"""The cameras that P-STMO trains from: the set that the data set's own scripts call ``vnect``."""

_MM = 1000.0
_TO_TEST_ORDER = mapping("human36m_17", "mpi_inf_3dhp_17")
_FROM_TEST_ORDER = mapping("mpi_inf_3dhp_17", "human36m_17")


@dataclass(frozen=True)
class FlaggedFrames:
    """All frames of the test file, of which only the valid ones are evaluated.

    Attributes
    ----------
    poses : CameraPoses
        The frames with their numbers in the sequence; no row is left out, so that none closes a gap.
    valid : array of bool of shape (n,)
        Which rows the file marks as valid.
    """

    poses: CameraPoses
    valid: NDArray[np.bool_]


def export_train(
    store: PoseStore,
    path: Path,
    cameras: tuple[str, ...] = TRAINING_CAMERAS,
    positions: PositionsKind = "universal",
) -> None:
    """Write the training file from a store of training sequences."""
    require_all_frames(store)
    poses = read_camera_poses(store, Selection(cameras=cameras, positions=positions, valid_only=False))
    views: dict[str, dict[str, Any]] = {}
    for trial, camera, rows in _runs(poses):
        name = f"{poses.trials[trial].key.subject} {poses.trials[trial].key.trial}"
        views.setdefault(name, {})[poses.cameras[camera].name] = _arrays(poses, rows)
    data = {
        f"{info.key.subject} {info.key.trial}": [views[f"{info.key.subject} {info.key.trial}"], info.fps]
        for info in poses.trials
    }
    np.savez_compressed(path, allow_pickle=True, data=np.array(data, dtype=object))


def export_test(store: PoseStore, path: Path, positions: PositionsKind = "universal") -> None:
    """Write the test file from a store of test sequences: all frames, with the mask of the valid ones."""
    require_all_frames(store)
    poses = read_camera_poses(store, Selection(positions=positions, valid_only=False))
    data = {
        poses.trials[trial].key.subject: {
            **_arrays(poses, rows),
            "valid": store.read_array(poses.trials[trial].key, "valid"),
        }
        for trial, _, rows in _runs(poses)
    }
    np.savez_compressed(path, allow_pickle=True, data=np.array(data, dtype=object))


def import_train(
    path: Path,
    cameras: Mapping[str, Camera],
    object_arrays: ObjectArrays = "refuse",
    positions: PositionsKind = "universal",
) -> CameraPoses:
    """Read the training file into columns.

    Parameters
    ----------
    path : Path
        The file.
    cameras : Mapping[str, Camera]
        Camera name to camera; the file holds no calibration. Cameras not named are left out.
    object_arrays : ObjectArrays
        The file is a pickle inside: see :data:`poseshift.storage.exchange.npz.ObjectArrays`.
    positions : PositionsKind
        The kind of 3D in the file, which the file does not say.

    Raises
    ------
    ExchangeError
        When the file is not in this layout, or pickles are refused.
    """
    runs = []
    for name, entry in sorted(_data(path, object_arrays).items()):
        if not isinstance(entry, (list, tuple)) or len(entry) != 2 or not _is_rate(entry[1]):
            raise ExchangeError(path, f"{name!r} is not a pair of cameras and frames per second")
        subject, _, trial = name.partition(" ")
        info = TrialInfo(TrialKey(subject, trial), trial, "", float(entry[1]), positions)
        for camera, view in sorted(require_mapping(path, name, entry[0]).items()):
            if camera in cameras:
                runs.append(_run(path, info, cameras[camera], view))
    return _columns(path, runs)


def import_test(
    path: Path,
    cameras: Mapping[str, Camera],
    fps: float,
    object_arrays: ObjectArrays = "refuse",
    positions: PositionsKind = "universal",
) -> FlaggedFrames:
    """Read the test file into columns: all frames, with the mask of the valid ones.

    Parameters
    ----------
    path : Path
        The file.
    cameras : Mapping[str, Camera]
        Sequence name to camera. Sequences not named are left out.
    fps : float
        Frames per second, which the file does not say.
    object_arrays, positions : ObjectArrays or PositionsKind
        As in :func:`import_train`.

    Raises
    ------
    ExchangeError
        When the file is not in this layout, or pickles are refused.
    """
    runs, valid = [], []
    for name, view in sorted(_data(path, object_arrays).items()):
        if name in cameras:
            info = TrialInfo(TrialKey(name, name), name, "", fps, positions)
            run = _run(path, info, cameras[name], view)
            flags = require_member(path, require_mapping(path, name, view), "valid")
            flags = flags.reshape(-1) if isinstance(flags, np.ndarray) else flags
            runs.append(run)
            valid.append(require_numbers(path, f"{name} valid", flags, (len(run.frames),)) != 0)
    return FlaggedFrames(_columns(path, runs), np.concatenate(valid))


def _runs(poses: CameraPoses) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
    """(trial, camera, rows) of every run of the columns."""
    pairs = np.stack([poses.trial, poses.camera], axis=1)
    for trial, camera in np.unique(pairs, axis=0):
        yield int(trial), int(camera), np.flatnonzero((poses.trial == trial) & (poses.camera == camera))


def _arrays(poses: CameraPoses, rows: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
    return {
        "data_2d": _TO_TEST_ORDER.apply(poses.keypoints_px[rows]).astype(np.float64),
        "data_3d": _TO_TEST_ORDER.apply(poses.positions_camera[rows]).astype(np.float64) * _MM,
    }


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and 0 < float(value) < math.inf


def _data(path: Path, object_arrays: ObjectArrays) -> Mapping[str, Any]:
    return require_mapping(path, "data", require_member(path, read_npz(path, object_arrays), "data"))


def _run(path: Path, info: TrialInfo, camera: Camera, view: Any) -> PoseRun:
    where = f"{info.key.path} camera {camera.name}"
    content = require_mapping(path, where, view)
    joints = MPI_INF_3DHP_17.joints
    positions = require_numbers(path, where, require_member(path, content, "data_3d"), (None, joints, 3))
    keypoints = require_numbers(
        path, where, require_member(path, content, "data_2d"), (len(positions), joints, 2)
    )
    return PoseRun(
        info=info,
        camera=camera,
        positions_camera=_float32(_FROM_TEST_ORDER.apply(positions) / _MM),
        keypoints_px=_float32(_FROM_TEST_ORDER.apply(keypoints)),
        frames=np.arange(len(positions)),
        activity=np.zeros(len(positions), dtype=np.int8),
    )


def _float32(array: NDArray[Any]) -> Float32:
    return np.ascontiguousarray(array, dtype=np.float32)


def _columns(path: Path, runs: list[PoseRun]) -> CameraPoses:
    if not runs:
        raise ExchangeError(path, "no sequence of a camera that was named")
    return columns_of(runs, "human36m_17", f"sha256:{digest_file(path, path.parent).sha256}")
