"""Looking at a trial of a domain without 3D by every check that there is. Nothing here reads 3D."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.domain import camera_checks, keypoint_checks
from poseshift.preprocessing.domain.findings import Finding
from poseshift.storage.schema import Float32, Trial

OF_TRIALS: tuple[Callable[[Trial, Float32], Iterator[Finding]], ...] = (
    *(camera_checks.intrinsics, camera_checks.upright, camera_checks.sizes, camera_checks.paths),
    *(camera_checks.views, camera_checks.mirrored_views),
)
"""Checks of a trial with the keypoints of all its views, (cameras, frames, 17, 3)."""

OF_VIEWS: tuple[Callable[[Trial, Camera, Float32], Iterator[Finding]], ...] = (
    *(keypoint_checks.unseen, keypoint_checks.jumps, keypoint_checks.swaps, keypoint_checks.outside),
    *(camera_checks.resolution, camera_checks.off_centre),
)
"""Checks of one view, (frames, 17, 3)."""


def examine(trial: Trial, detector: str) -> tuple[Finding, ...]:
    """Look at one trial's keypoints and cameras.

    Parameters
    ----------
    trial : Trial
        Of a store.
    detector : str
        Whose keypoints.
    """
    keypoints = trial.detections[detector]
    found = [one for check in OF_TRIALS for one in check(trial, keypoints)]
    for camera, seen in zip(trial.cameras, keypoints, strict=True):
        found += [one for check in OF_VIEWS for one in check(trial, camera, seen)]
    return tuple(found)
