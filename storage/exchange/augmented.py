"""Augmented sets as one npz of plain arrays: pairs, cameras, which source pose, which parameters, which seed.

The layout is the project's own, without pickles; other programs need NumPy and nothing else.

=====================  ===========================================================================
``positions_camera``   (n, joints, 3) float32, metres, camera axes, root included
``keypoints_px``       (n, joints, 2) float32, pixels, lens distortion included
``parameters``         (n, p) float32: offsets of unit bone vectors, changes of length, axis-angle
``camera``             (n,) int32, row of the next four
``focal_px``, ...      (cameras, 2): ``focal_px``, ``centre_px``, ``size_px``; ``radial`` (., 3)
                       and ``tangential`` (., 2) of the Human3.6M toolkit's formula
``trial``              (n,) int32, row of ``trials``; ``frame`` (n,) int32, frame in that trial
``trials``             (t,) text, ``subject/trial`` in the augmented store
``source_trials``      (t,) text, ``subject/trial`` of the source; ``source_cameras`` (t,) text
``fps``                (t,) float64; ``actions``, ``subactions``, ``positions_kinds`` (t,) text; files of
                       versions before 0.2.0 lack these and are not imported
``origin``             text, JSON: skeleton, snapshot, seed, source snapshot, what made the set
=====================  ===========================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.storage.exchange.npz import ExchangeError, read_npz, require_member, require_numbers
from poseshift.storage.reading import read_camera_poses
from poseshift.storage.schema import Float32, PositionsKind, Trial, TrialKey
from poseshift.storage.store import PoseStore

_INTRINSICS = {"focal_px": 2, "centre_px": 2, "size_px": 2, "radial": 3, "tangential": 2}


@dataclass(frozen=True)
class AugmentedSet:
    """The rows of such a file; fields as in the module's table."""

    positions_camera: Float32
    keypoints_px: Float32
    parameters: Float32
    camera: NDArray[np.int32]
    intrinsics: Intrinsics
    trial: NDArray[np.int32]
    frame: NDArray[np.int32]
    trials: tuple[str, ...]
    source_trials: tuple[str, ...]
    source_cameras: tuple[str, ...]
    origin: dict[str, Any]


def export_augmented(store: PoseStore, path: Path) -> int:
    """Write an augmented store as one npz file.

    Returns
    -------
    int
        Number of poses written.

    Raises
    ------
    ValueError
        When the store is not an augmented set, or is empty.
    """
    if store.dataset != "augmented":
        raise ValueError(f"{store.location} holds {store.dataset}, not an augmented set")
    poses = read_camera_poses(store)
    trials = [store.read(info.key) for info in poses.trials]
    parameters = [trial.augmentation for trial in trials if trial.augmentation is not None]
    if len(parameters) < len(trials):
        raise ValueError(f"{store.location} has trials without the parameters that made them")
    origin = {
        "skeleton": store.skeleton,
        "snapshot": store.snapshot,
        "restaged_from": store.attributes.restaged_from,
        **store.attributes.options,
    }
    np.savez_compressed(
        path,
        positions_camera=poses.positions_camera,
        keypoints_px=poses.keypoints_px,
        parameters=np.concatenate(parameters),
        camera=poses.camera,
        trial=poses.trial,
        frame=poses.frame,
        trials=np.array([trial.key.path for trial in trials]),
        source_trials=np.array([trial.options["source_trial"] for trial in trials]),
        source_cameras=np.array([trial.options["source_camera"] for trial in trials]),
        fps=np.array([trial.fps for trial in trials]),
        actions=np.array([trial.action for trial in trials]),
        subactions=np.array([trial.subaction for trial in trials]),
        positions_kinds=np.array([trial.positions_kind or "annotated" for trial in trials]),
        origin=np.array(json.dumps(origin)),
        **{name: getattr(poses.intrinsics, name) for name in _INTRINSICS},
    )
    return len(poses)


def import_augmented(path: Path) -> AugmentedSet:
    """Read such a file.

    Raises
    ------
    ExchangeError
        When it is not in this layout.
    """
    content = read_npz(path)

    def numbers(name: str, *shape: int | None) -> NDArray[Any]:
        array: NDArray[Any] = require_numbers(path, name, require_member(path, content, name), shape)
        return array

    positions = numbers("positions_camera", None, None, 3)
    n, joints = positions.shape[:2]
    try:
        origin = json.loads(str(require_member(path, content, "origin")))
    except json.JSONDecodeError as error:
        raise ExchangeError(path, f"'origin' is not JSON: {error}") from error
    return AugmentedSet(
        positions_camera=positions,
        keypoints_px=numbers("keypoints_px", n, joints, 2),
        parameters=numbers("parameters", n, None),
        camera=numbers("camera", n),
        intrinsics=Intrinsics(**{name: numbers(name, None, size) for name, size in _INTRINSICS.items()}),
        trial=numbers("trial", n),
        frame=numbers("frame", n),
        trials=tuple(str(name) for name in require_member(path, content, "trials")),
        source_trials=tuple(str(name) for name in require_member(path, content, "source_trials")),
        source_cameras=tuple(str(name) for name in require_member(path, content, "source_cameras")),
        origin=origin,
    )


def import_augmented_trials(path: Path) -> tuple[dict[str, Any], tuple[Trial, ...]]:
    """Read such a file as trials of a store, and what its ``origin`` says.

    Raises
    ------
    ExchangeError
        When it is not in this layout, or lacks what trials need.
    """
    found, content = import_augmented(path), read_npz(path)
    count = len(found.trials)

    def texts(name: str) -> list[str]:
        listed = np.asarray(require_member(path, content, name))
        if listed.shape != (count,) or listed.dtype.kind != "U":
            raise ExchangeError(path, f"{name!r} that is no list of {count} names")
        return [str(one) for one in listed]

    fps = require_numbers(path, "fps", require_member(path, content, "fps"), (count,))
    actions, subactions, kinds = texts("actions"), texts("subactions"), texts("positions_kinds")
    sources, cameras = texts("source_trials"), texts("source_cameras")
    trials = []
    for number, name in enumerate(found.trials):
        rows = np.flatnonzero(found.trial == number)
        subject, slash, trial = name.partition("/")
        whole = len(rows) and (found.frame[rows] == np.arange(len(rows))).all()
        used = np.unique(found.camera[rows])
        if not slash or not whole or len(used) != 1 or not 0 <= used[0] < len(found.intrinsics.focal_px):
            raise ExchangeError(
                path, f"trial {name!r} without a name, a camera, or all of its frames in order"
            )
        if kinds[number] not in get_args(PositionsKind):
            raise ExchangeError(path, f"trial {name!r} with 3D of the kind {kinds[number]!r}")
        trials.append(
            Trial(
                key=TrialKey(subject, trial),
                action=actions[number],
                subaction=subactions[number],
                fps=float(fps[number]),
                cameras=(_camera(cameras[number], found.intrinsics[int(used[0])]),),
                positions_world=found.positions_camera[rows],
                keypoints_2d=found.keypoints_px[rows][None],
                positions_kind=cast(PositionsKind, kinds[number]),
                augmentation=found.parameters[rows],
                options={"source_trial": sources[number], "source_camera": cameras[number]},
            )
        )
    return found.origin, tuple(trials)


def _camera(name: str, intrinsics: Intrinsics) -> Camera:
    radial = tuple(float(one) for one in intrinsics.radial)
    tangential = tuple(float(one) for one in intrinsics.tangential)
    lens = Distortion("human36m", radial, tangential) if any(radial + tangential) else Distortion()
    (width, height), (fx, fy), (cx, cy) = (
        part.tolist() for part in (intrinsics.size_px, intrinsics.focal_px, intrinsics.centre_px)
    )
    return Camera(name, (round(width), round(height)), (fx, fy), (cx, cy), lens)
