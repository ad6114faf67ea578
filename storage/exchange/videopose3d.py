"""VideoPose3D's ``data_3d_h36m.npz`` and ``data_2d_h36m_*.npz``: the files most lifters are trained from.

3D is subject -> action -> (frames, 32, 3) metres in world axes; 2D is subject -> action -> one
(frames, 17, 2) array of pixels per camera. The files hold no cameras; an import gets them from the caller.
Follows ``data/prepare_data_h36m.py`` of Pavllo et al., "3D human pose estimation in video with temporal
convolutions and semi-supervised training", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import HUMAN36M_17, HUMAN36M_32, mapping
from poseshift.storage.arrays import DETECTION_PREFIX
from poseshift.storage.exchange.detections import human36m_from_coco
from poseshift.storage.exchange.npz import (
    ExchangeError,
    ObjectArrays,
    read_npz,
    require_mapping,
    require_member,
    require_numbers,
)
from poseshift.storage.exchange.trials import FRAME_STEP
from poseshift.storage.reading import require_all_frames
from poseshift.storage.schema import Float32, NoPositionsError, Trial, TrialKey
from poseshift.storage.store import PoseStore

_FROM_32 = mapping("human36m_32", "human36m_17")


def export_pair(store: PoseStore, folder: Path, keypoints: str = "ground_truth") -> tuple[Path, Path]:
    """Write both files under the names that VideoPose3D looks for.

    Parameters
    ----------
    store : PoseStore
        A store of Human3.6M.
    folder : Path
        Made when it is missing.
    keypoints : str
        ``ground_truth``, or the name of a detector in the store.

    Returns
    -------
    tuple of Path
        The file of 3D positions and the file of 2D keypoints.
    """
    require_all_frames(store)
    folder.mkdir(parents=True, exist_ok=True)
    detector = "gt" if keypoints == "ground_truth" else keypoints
    positions_file, keypoints_file = folder / "data_3d_h36m.npz", folder / f"data_2d_h36m_{detector}.npz"
    export_positions(store, positions_file)
    export_keypoints(store, keypoints_file, keypoints)
    return positions_file, keypoints_file


def export_positions(store: PoseStore, path: Path) -> None:
    """Write ``positions_3d`` of all trials: (frames, 32, 3) float32, metres, world axes.

    A store has 17 of the 32 joints. Each of the others, which VideoPose3D drops on reading, repeats its
    nearest stored ancestor.
    """
    positions: dict[str, dict[str, Float32]] = {}
    for key in store.keys():
        if store.trial_attributes(key).positions_kind is None:
            raise NoPositionsError(key)
        world = store.read_array(key, "positions_world")
        positions.setdefault(key.subject, {})[key.trial] = np.ascontiguousarray(world[:, _source_rows()])
    np.savez_compressed(path, allow_pickle=True, positions_3d=np.array(positions, dtype=object))


def export_keypoints(store: PoseStore, path: Path, keypoints: str = "ground_truth") -> None:
    """Write ``positions_2d`` and ``metadata`` of all trials, for the ground truth or a named detector.

    Raises
    ------
    KeyError
        When a trial has no detections of that name.
    """
    name = "keypoints_2d" if keypoints == "ground_truth" else DETECTION_PREFIX + keypoints
    positions: dict[str, dict[str, list[Float32]]] = {}
    for key in store.keys():
        pixels = store.read_array(key, name)[..., :2]
        positions.setdefault(key.subject, {})[key.trial] = [np.ascontiguousarray(view) for view in pixels]
    metadata = {
        "layout_name": "h36m",
        "num_joints": HUMAN36M_17.joints,
        "keypoints_symmetry": [list(HUMAN36M_17.left), list(HUMAN36M_17.right)],
    }
    np.savez_compressed(
        path,
        allow_pickle=True,
        positions_2d=np.array(positions, dtype=object),
        metadata=np.array(metadata, dtype=object),
    )


def import_trials(
    positions_path: Path,
    keypoints_path: Path,
    cameras: Mapping[str, tuple[Camera, ...]],
    fps: float = 50.0,
    object_arrays: ObjectArrays = "refuse",
    frame_step: int = 1,
    detector: str | None = None,
) -> Iterator[Trial]:
    """Read both files into trials, ordered by subject and action.

    Parameters
    ----------
    positions_path : Path
        ``data_3d_h36m.npz``, with 32 or 17 joints.
    keypoints_path : Path
        ``data_2d_h36m_gt.npz``; frames beyond the 3D ones are cut.
    cameras : Mapping[str, tuple[Camera, ...]]
        Subject to its cameras, in the order of the 2D file. Subjects that are not named are left out.
    fps : float
        Frames per second of the recordings, which the files do not say (Human3.6M: 50).
    object_arrays : ObjectArrays
        These files are pickles inside: see :data:`poseshift.storage.exchange.npz.ObjectArrays`.
    frame_step : int
        The files hold every n-th frame of the recordings, which they do not say either.
    detector : str or None
        Name under which 2D that has confidences is kept with them, beside the pixels alone.

    Raises
    ------
    ExchangeError
        When a file is not in its layout, or pickles are refused.
    """
    positions = _subjects(positions_path, "positions_3d", object_arrays)
    keypoints = _subjects(keypoints_path, "positions_2d", object_arrays)
    for subject in sorted(set(positions) & set(cameras)):
        actions = require_mapping(positions_path, subject, positions[subject])
        views_of = require_mapping(
            keypoints_path, subject, require_member(keypoints_path, keypoints, subject)
        )
        for name in sorted(actions):
            world = _joints_17(positions_path, f"{subject}/{name}", actions[name])
            views = _views(
                keypoints_path, f"{subject}/{name}", require_member(keypoints_path, views_of, name)
            )
            if len(views) != len(cameras[subject]):
                raise ExchangeError(
                    keypoints_path,
                    f"{subject}/{name} has {len(views)} views for {len(cameras[subject])} cameras",
                )
            if min(len(view) for view in views) < len(world):
                raise ExchangeError(keypoints_path, f"{subject}/{name} has fewer than {len(world)} frames")
            action, _, subaction = name.partition(" ")
            yield Trial(
                key=TrialKey(subject, name),
                action=action,
                subaction=subaction,
                fps=fps / frame_step,
                cameras=cameras[subject],
                positions_world=world,
                keypoints_2d=np.stack([view[: len(world), :, :2] for view in views]),
                detections=_with_confidence(detector, views, len(world)),
                options={} if frame_step == 1 else {FRAME_STEP: str(frame_step)},
            )


def count_frames(path: Path, object_arrays: ObjectArrays = "refuse") -> dict[TrialKey, int]:
    """Count the frames of every trial in a 3D file."""
    subjects = _subjects(path, "positions_3d", object_arrays)
    return {
        TrialKey(subject, name): len(_joints_17(path, f"{subject}/{name}", array))
        for subject in sorted(subjects)
        for name, array in sorted(require_mapping(path, subject, subjects[subject]).items())
    }


def left_out(
    path: Path, cameras: Mapping[str, tuple[Camera, ...]], object_arrays: ObjectArrays = "refuse"
) -> dict[str, int]:
    """Count the trials of the subjects in a 3D file that :func:`import_trials` leaves out."""
    subjects = _subjects(path, "positions_3d", object_arrays)
    return {
        name: len(require_mapping(path, name, subjects[name]))
        for name in sorted(subjects)
        if name not in cameras
    }


def import_keypoints(
    path: Path, object_arrays: ObjectArrays = "refuse"
) -> dict[TrialKey, tuple[Float32, ...]]:
    """Read a 2D file alone: per trial one (frames, 17, 2 or 3) array per camera, such as a detector's.

    The third number, which some files have, is the confidence. COCO's joints, which files of pretrained
    detectors have, become those of Human3.6M.

    See Also
    --------
    storage.exchange.detections.attach_detections : adds them to a trial.
    """
    content = read_npz(path, object_arrays)
    subjects = require_mapping(path, "positions_2d", require_member(path, content, "positions_2d"))
    metadata = require_mapping(path, "metadata", content.get("metadata", {"layout_name": "h36m"}))
    layout = metadata.get("layout_name")
    if layout not in ("h36m", "coco"):
        raise ExchangeError(path, f"joints of the layout {layout!r}; expected h36m or coco")
    return {
        TrialKey(subject, name): tuple(
            _human36m(view) if layout == "coco" else view for view in _views(path, f"{subject}/{name}", views)
        )
        for subject in sorted(subjects)
        for name, views in sorted(require_mapping(path, subject, subjects[subject]).items())
    }


def _human36m(coco: Float32) -> Float32:
    seen = coco if coco.shape[-1] == 3 else np.concatenate([coco, np.ones_like(coco[..., :1])], axis=-1)
    return human36m_from_coco(seen.astype(np.float64))


def _with_confidence(detector: str | None, views: Sequence[Float32], frames: int) -> dict[str, Float32]:
    if detector is None or any(view.shape[-1] != 3 for view in views):
        return {}
    return {detector: np.stack([view[:frames] for view in views])}


def _source_rows() -> list[int]:
    """Per joint of 32 the row of the 17 that stands for it: itself, or its nearest stored ancestor."""
    stored = {parts[0][0]: row for row, parts in enumerate(_FROM_32.weights)}
    rows = []
    for joint in range(HUMAN36M_32.joints):
        ancestor = joint
        while ancestor not in stored:
            ancestor = HUMAN36M_32.parents[ancestor]
        rows.append(stored[ancestor])
    return rows


def _subjects(path: Path, member: str, object_arrays: ObjectArrays) -> Mapping[str, Any]:
    return require_mapping(path, member, require_member(path, read_npz(path, object_arrays), member))


def _joints_17(path: Path, where: str, value: Any) -> Float32:
    array: NDArray[Any] = require_numbers(path, where, value, (None, None, 3))
    if array.shape[1] not in (HUMAN36M_17.joints, HUMAN36M_32.joints):
        raise ExchangeError(path, f"{where} has {array.shape[1]} joints; expected 17 or 32")
    chosen = _FROM_32.apply(array) if array.shape[1] == HUMAN36M_32.joints else array
    return np.ascontiguousarray(chosen, dtype=np.float32)


def _views(path: Path, where: str, value: Any) -> tuple[Float32, ...]:
    """Return (frames, 17, 2) pixels of each camera, or (frames, 17, 3) where the file has confidences."""
    if not isinstance(value, (list, tuple)) and not (isinstance(value, np.ndarray) and value.ndim == 4):
        raise ExchangeError(
            path, f"{where} is a {type(value).__name__}; expected a list with one array per camera"
        )
    return tuple(
        np.ascontiguousarray(
            require_numbers(path, where, view, (None, HUMAN36M_17.joints, None))[..., :3], dtype=np.float32
        )
        for view in value
    )
