"""Refusing trials that a store must not hold: wrong shapes, dtypes, names, or numbers that are not finite.

A reader's mistake is caught here, before a byte is written, with the trial and the array in the message.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.rotation import is_rotation
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.arrays import array_spec, trial_arrays
from poseshift.storage.schema import Trial, require_shape


def require_valid(trial: Trial, skeleton_name: str) -> None:
    """Check a trial against the store's layout.

    Parameters
    ----------
    trial : Trial
        What is to be written.
    skeleton_name : str
        Registry name of the store's joint set.

    Raises
    ------
    ValueError
        Naming the trial, the array, what was found and what was expected.
    LookupError
        When there is no such skeleton.
    """
    try:
        for name in (trial.key.subject, trial.key.trial):
            _require_group_name(name)
        _require_cameras(trial)
        _require_labels_or_detections(trial)
        sizes = {
            "frame": max(trial.frames, 1),
            "camera": len(trial.cameras),
            "joint": skeleton(skeleton_name).joints,
            "xy": 2,
            "xyz": 3,
            "xyc": 3,
            "xyz_1": 4,
            "parameter": 0 if trial.augmentation is None else trial.augmentation.shape[-1],
        }
        for name, array in trial_arrays(trial).items():
            spec = array_spec(name)
            require_shape(name, array, tuple(sizes[axis] for axis in spec.dimensions))
            _require_dtype(name, array, spec.dtype)
            if not spec.gaps:
                _require_finite(name, array)
        _require_rising(trial)
        _require_paths(trial)
        for detector in trial.detections:
            _require_group_name(detector)
    except ValueError as error:
        raise ValueError(f"trial {trial.key.path!r}: {error}") from None


def _require_group_name(name: str) -> None:
    """Zarr format 3, "Node names": not empty, no slash, not dots alone, no leading double underscore."""
    if not name or "/" in name or not name.strip(".") or name.startswith("__") or name == "zarr.json":
        raise ValueError(f"{name!r} cannot name a Zarr node; use a name without '/', other than dots")


def _require_labels_or_detections(trial: Trial) -> None:
    """3D comes with its 2D keypoints, and nothing else is called by the kind of 3D that it is."""
    if (trial.positions_world is None) != (trial.positions_kind is None):
        raise ValueError(
            f"positions_kind is {trial.positions_kind!r} and positions_world is "
            f"{'not there' if trial.positions_world is None else 'there'}; give both or neither"
        )
    if trial.positions_world is not None and trial.keypoints_2d is None:
        raise ValueError("positions_world without keypoints_2d; give both")
    if trial.positions_world is None and trial.positions_universal is not None:
        raise ValueError("positions_universal without positions_world")
    if trial.positions_world is None and trial.keypoints_2d is None and not trial.detections:
        raise ValueError("neither positions, keypoints nor detections; expected one of them")


def _require_rising(trial: Trial) -> None:
    numbers = trial.frame_number
    if numbers is not None and (numbers[0] != 0 or not (np.diff(numbers) > 0).all()):
        raise ValueError("frame_number does not rise from 0; number the frames in their order")


def _require_paths(trial: Trial) -> None:
    """Require whole poses or none in a frame, and no other extrinsics beside them."""
    if trial.extrinsics is None:
        return
    if not trial.moving:
        raise ValueError(
            "extrinsics without a pose of any camera; leave them out where all cameras stand still"
        )
    for camera, poses in zip(trial.cameras, trial.extrinsics, strict=True):
        known = np.isfinite(poses)
        whole = known.all(axis=(1, 2))
        if not np.array_equal(whole, known.any(axis=(1, 2))):
            raise ValueError(f"extrinsics of camera {camera.name}: a frame has a part of a pose")
        if not is_rotation(poses[whole, :, :3], _ORTHOGONAL).all():
            raise ValueError(f"extrinsics of camera {camera.name}: a rotation that is none")
        if whole.any() and camera.placed:
            raise ValueError(
                f"camera {camera.name} has a pose for every frame and one for all; give one of them"
            )


_ORTHOGONAL = 1e-6


def _require_cameras(trial: Trial) -> None:
    names = [camera.name for camera in trial.cameras]
    if not names:
        raise ValueError("no cameras; expected at least one")
    if len(set(names)) < len(names):
        raise ValueError(f"cameras {names}: expected each name once")


def _require_dtype(name: str, array: NDArray[Any], expected: str) -> None:
    if array.dtype != np.dtype(expected):
        raise ValueError(f"{name} has dtype {array.dtype}; expected {expected}")


def _require_finite(name: str, array: NDArray[Any]) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(index) for index in np.argwhere(~finite)[0])
        count = int(array.size - np.count_nonzero(finite))
        raise ValueError(f"{name} has {count} numbers that are not finite, the first at {first}")
