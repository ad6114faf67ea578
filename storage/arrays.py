"""Trials as Zarr groups: the names, axes and units of their arrays, and how a trial is read back.

:mod:`poseshift.storage.writing` writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from poseshift.storage.schema import Trial, TrialAttributes, TrialKey

DETECTION_PREFIX = "keypoints_2d_"


@dataclass(frozen=True)
class ArraySpec:
    """Form of one array: its axes (None of them optional), dtype and unit."""

    dimensions: tuple[str, ...]
    dtype: str
    unit: str
    gaps: bool = False
    """Whether NaN is allowed: of what is not known of a frame."""


ARRAYS: Mapping[str, ArraySpec] = {
    "positions_world": ArraySpec(("frame", "joint", "xyz"), "float32", "m"),
    "positions_universal": ArraySpec(("frame", "joint", "xyz"), "float32", "m"),
    "keypoints_2d": ArraySpec(("camera", "frame", "joint", "xy"), "float32", "px"),
    "frame_number": ArraySpec(("frame",), "int32", "1"),
    "valid": ArraySpec(("frame",), "bool", "1"),
    "activity": ArraySpec(("frame",), "int8", "1"),
    "augmentation": ArraySpec(("frame", "parameter"), "float32", "1"),
    "extrinsics": ArraySpec(("camera", "frame", "xyz", "xyz_1"), "float64", "m", gaps=True),
}
_DETECTIONS = ArraySpec(("camera", "frame", "joint", "xyc"), "float32", "px")


def array_spec(name: str) -> ArraySpec:
    """Form of the array ``name``; any ``keypoints_2d_<detector>`` holds detections."""
    return ARRAYS.get(name, _DETECTIONS)


def trial_arrays(trial: Trial) -> dict[str, NDArray[Any]]:
    """Collect the arrays that a trial has by stored name, C-ordered."""
    stored = {
        "positions_world": trial.positions_world,
        "positions_universal": trial.positions_universal,
        "keypoints_2d": trial.keypoints_2d,
        "frame_number": trial.frame_number,
        "valid": trial.valid,
        "activity": trial.activity,
        "augmentation": trial.augmentation,
        "extrinsics": trial.extrinsics,
    }
    detections = {DETECTION_PREFIX + name: array for name, array in trial.detections.items()}
    return {
        name: np.ascontiguousarray(array)
        for name, array in (stored | detections).items()
        if array is not None
    }


def array_digest(array: NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and the C-ordered bytes: independent of chunks and codecs."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def remove_trial(root: zarr.Group, key: TrialKey) -> None:
    """Remove a trial's group.

    Raises
    ------
    KeyError
        When there is none.
    """
    trial_group(root, key)
    del root[key.path]


def list_trials(root: zarr.Group) -> Iterator[TrialKey]:
    """Keys of all trials below ``root``, sorted."""
    for subject, subject_group in sorted(root.groups()):
        for trial in sorted(subject_group.group_keys()):
            yield TrialKey(subject, trial)


def trial_group(root: zarr.Group, key: TrialKey) -> zarr.Group:
    """Find the group of one trial.

    Raises
    ------
    KeyError
        When the store has no such trial.
    """
    group = root.get(key.path)
    if not isinstance(group, zarr.Group):
        raise KeyError(f"no trial {key.path!r} in the store")
    return group


def read_attributes(group: zarr.Group) -> TrialAttributes:
    """Read the attributes of a trial's group."""
    return TrialAttributes.model_validate(dict(group.attrs))


def read_array(group: zarr.Group, name: str, selection: Any = ...) -> NDArray[Any]:
    """One array of a trial, or the part of it that a basic ``selection`` names."""
    stored = group[name]
    if not isinstance(stored, zarr.Array):
        raise TypeError(f"{group.path}/{name} is a group; expected an array")
    return np.ascontiguousarray(stored[selection])


def read_trial(root: zarr.Group, key: TrialKey) -> Trial:
    """Read a whole trial back."""
    group = trial_group(root, key)
    attributes = read_attributes(group)
    arrays = {name: read_array(group, name) for name in attributes.digests}
    detections = {
        name.removeprefix(DETECTION_PREFIX): arrays.pop(name) for name in tuple(arrays) if name not in ARRAYS
    }
    return Trial(
        key=key,
        action=attributes.action,
        subaction=attributes.subaction,
        fps=attributes.fps,
        cameras=attributes.cameras,
        positions_world=arrays.get("positions_world"),
        keypoints_2d=arrays.get("keypoints_2d"),
        positions_universal=arrays.get("positions_universal"),
        positions_kind=attributes.positions_kind,
        intrinsics=attributes.intrinsics,
        detections=detections,
        frame_number=arrays.get("frame_number"),
        valid=arrays.get("valid"),
        activity=arrays.get("activity"),
        augmentation=arrays.get("augmentation"),
        extrinsics=arrays.get("extrinsics"),
        quality=attributes.quality,
        options=attributes.options,
        sources=attributes.sources,
        up=attributes.up,
        verticals=attributes.verticals,
    )


def count_frames(group: zarr.Group) -> int:
    """Count a trial's frames from the metadata of its positions or, without 3D, of any array."""
    name = "positions_world" if "positions_world" in group else min(group.array_keys())
    stored = group[name]
    if not isinstance(stored, zarr.Array):
        raise TypeError(f"{group.path}/{name} is a group; expected an array")
    return int(stored.shape[array_spec(name).dimensions.index("frame")])
