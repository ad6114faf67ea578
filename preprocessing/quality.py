"""Checks that hold for a trial of any data set, as figures that are stored beside it.

The readers add what only they can know (duplicate joints, expected rows). Nothing here rejects a trial: a
figure out of its usual range becomes a :class:`QualityWarning` for the report, and a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.projection import project_apart
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.inspection import CALIBRATION_RESIDUAL, CALIBRATION_TOLERANCE_PX
from poseshift.storage.schema import Trial


@dataclass(frozen=True)
class Range:
    """The values of a quality figure that need no second look."""

    low: float
    high: float


USUAL_RANGES = {
    # MPI-INF-3DHP blends hips and spine separately in 2D and 3D, up to about 2 px apart.
    "reprojection_median_px": Range(0.0, 2.5),
    "bone_length_variation_max": Range(0.0, 0.15),
    "bone_asymmetry_max_mm": Range(0.0, 40.0),
    "height_over_floor_min_m": Range(-0.5, 1.0),
    "rows_missing": Range(0.0, 0.0),
    CALIBRATION_RESIDUAL: Range(0.0, CALIBRATION_TOLERANCE_PX),
}
"""Figures outside these are shown as warnings. Thighs of 3DHP vary by 20 to 40 mm over time, hence 15 %."""


@dataclass(frozen=True)
class QualityWarning:
    """A quality figure outside its usual range."""

    trial: str
    figure: str
    value: float
    usual: Range

    def __str__(self) -> str:
        usual = f"{self.usual.low:g} to {self.usual.high:g}"
        return f"{self.trial}: {self.figure} is {self.value:.4g}, usually {usual}"


def assess(trial: Trial, skeleton: Skeleton) -> Trial:
    """Return the trial with the general quality figures added to those of its reader.

    Figures: ``frames``; ``reprojection_median_px`` and ``reprojection_max_px`` (projected ``positions_world``
    against ``keypoints_2d``, all cameras); ``bone_length_variation_max`` (largest standard deviation over
    mean of a bone); ``bone_asymmetry_max_mm`` (largest difference of mean length between paired bones);
    ``height_over_floor_min_m`` (lowest joint, world z), where the trial has a world apart from its camera.
    Of a trial without 3D, ``frames`` alone.
    """
    if trial.positions_world is None:
        return replace(trial, quality={"frames": float(trial.frames), **trial.quality})
    errors_px = reprojection_errors_px(trial)
    lengths = _bone_lengths(_apart(trial.positions_world), skeleton)
    means = lengths.mean(axis=0)
    figures = {
        "frames": float(trial.frames),
        "reprojection_median_px": float(np.median(errors_px)),
        "reprojection_max_px": float(errors_px.max()),
        "bone_length_variation_max": float((lengths.std(axis=0) / means).max()),
        "bone_asymmetry_max_mm": 1000.0 * _largest_asymmetry(means, skeleton),
    }
    if not _camera_is_world(trial):
        figures["height_over_floor_min_m"] = float(trial.positions_world[..., 2].min())
    return replace(trial, quality={**figures, **trial.quality})


def reprojection_errors_px(trial: Trial) -> NDArray[np.float64]:
    """Distance in pixels between projected 3D and annotated 2D, (cameras, frames, joints)."""
    world, keypoints = trial.labelled
    coordinates = _apart(world)
    errors_px = np.empty(keypoints.shape[:-1])
    for camera, seen, errors in zip(trial.cameras, keypoints, errors_px, strict=True):
        x, y = project_apart(coordinates, camera)
        x -= seen[..., 0]
        y -= seen[..., 1]
        np.sqrt(x * x + y * y, out=errors)
    return errors_px


def projected_px(trial: Trial) -> NDArray[np.float64]:
    """Where the 3D of a trial is seen, (cameras, frames, joints, 2)."""
    coordinates = _apart(trial.labelled[0])
    return np.stack([np.stack(project_apart(coordinates, camera), axis=-1) for camera in trial.cameras])


def warnings(trial_name: str, quality: dict[str, float]) -> tuple[QualityWarning, ...]:
    """Return the figures of one trial that lie outside their usual range."""
    return tuple(
        QualityWarning(trial_name, figure, quality[figure], usual)
        for figure, usual in USUAL_RANGES.items()
        if figure in quality and not usual.low <= quality[figure] <= usual.high
    )


def _apart(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Lay the coordinates of points (..., 3) apart, (3, ...): arithmetic is then of whole arrays."""
    return np.ascontiguousarray(np.moveaxis(points, -1, 0), dtype=np.float64)


def _bone_lengths(coordinates: NDArray[np.float64], skeleton: Skeleton) -> NDArray[np.float64]:
    """Length of every bone, (frames, bones), of coordinates (3, frames, joints)."""
    parents, children = (list(joints) for joints in zip(*skeleton.bones, strict=True))
    bones = coordinates[..., children] - coordinates[..., parents]
    lengths: NDArray[np.float64] = np.sqrt((bones * bones).sum(axis=0))
    return lengths


def _camera_is_world(trial: Trial) -> bool:
    """Whether the only camera is the world, as in 3DHP's test set: z is a depth then, and no height."""
    return len(trial.cameras) == 1 and not trial.cameras[0].placed


def _largest_asymmetry(mean_lengths: NDArray[np.float64], skeleton: Skeleton) -> float:
    bone_of_child = {child: bone for bone, (_, child) in enumerate(skeleton.bones)}
    pairs = zip(skeleton.left, skeleton.right, strict=True)
    return max(
        float(abs(mean_lengths[bone_of_child[left]] - mean_lengths[bone_of_child[right]]))
        for left, right in pairs
    )
