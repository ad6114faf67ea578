"""Several views of one person: how well the rays of the same joint meet, in pixels.

Every pair of views triangulates each joint; the point is then projected into every view that sees the joint.
With a right calibration what is left is the noise of the detector; with a wrong one it is the rig's size.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.lens import px_of_points, rays_of_px
from poseshift.geometry.projection import world_to_camera
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.geometry.triangulation import triangulate

Float64 = NDArray[np.float64]

MOST_FRAMES = 300
"""More of them say nothing new about a calibration."""


@dataclass(frozen=True)
class Meeting:
    """How the views of one person meet.

    Attributes
    ----------
    median_px : float
        Median re-projection error over pairs, views, frames and joints; infinite where most points come to
        lie behind a camera; NaN where no two views see a joint at once.
    by_camera : tuple[tuple[str, float], ...]
        The same for each view.
    points : array of shape (frames, joints, 3)
        Median over pairs, in the unit of the extrinsics.
    """

    median_px: float
    by_camera: tuple[tuple[str, float], ...]
    points: Float64


def meet(keypoints_px: Float64, cameras: Sequence[Camera], paths: Sequence[CameraPath] = ()) -> Meeting:
    """Triangulate from every pair of views and project into all.

    Parameters
    ----------
    keypoints_px : array of shape (cameras, frames, joints, 2)
        NaN where a joint was not seen.
    cameras : sequence of Camera
        With extrinsics in one world.
    paths : sequence of CameraPath
        Where the cameras move, the poses of each instead; a frame without a pose counts as not seen.
    """
    if paths:
        known = np.stack([path.known for path in paths])
        keypoints_px = np.where(known[..., None, None], keypoints_px, np.nan)
        paths = [path.held() for path in paths]
    rays = np.stack([rays_of_px(seen, camera) for seen, camera in zip(keypoints_px, cameras, strict=True)])
    rotations = np.array([one.rotation for one in paths or cameras])
    translations = np.array([one.translation for one in paths or cameras])
    poses = list(zip(rotations, translations, strict=True))
    errors, points = [], []
    for first, second in combinations(range(len(cameras)), 2):
        pair = [first, second]
        found = triangulate(rays[pair], rotations[pair], translations[pair])
        points.append(found)
        tried = np.asarray(np.isfinite(rays[pair]).all(axis=(0, -1)))
        errors.append(_errors(found, tried, keypoints_px, cameras, poses))
    every = np.stack(errors)  # (pairs, cameras, frames, joints), NaN where nothing was tried
    return Meeting(
        median_px=_median(every),
        by_camera=tuple((one.name, _median(every[:, i])) for i, one in enumerate(cameras)),
        points=_median_points(np.stack(points)),
    )


def exchanged(
    keypoints_px: Float64, cameras: Sequence[Camera], paths: Sequence[CameraPath] = ()
) -> NDArray[np.bool_]:
    """Find the frames in which a view's left is the right of all the other views together.

    The paired joints are triangulated from the other views and projected; exchanged, they are to lie at most
    half as far from what was seen.

    Parameters
    ----------
    keypoints_px : array of shape (cameras, frames, 17, 2)
        Of three views or more; NaN where a joint was not seen.
    cameras : sequence of Camera
        With extrinsics in one world.
    paths : sequence of CameraPath
        As of :func:`meet`.

    Returns
    -------
    array of bool of shape (cameras, frames)
    """
    paired = [*HUMAN36M_17.left, *HUMAN36M_17.right]
    crossed = [*HUMAN36M_17.right, *HUMAN36M_17.left]
    found = []
    for number, camera in enumerate(cameras):
        others = [one for one in range(len(cameras)) if one != number]
        own = [paths[one] for one in others] if paths else ()
        points = meet(keypoints_px[others], [cameras[one] for one in others], own).points
        seen_by = paths[number].held() if paths else camera
        before = world_to_camera(points, seen_by.rotation, seen_by.translation)
        expected = px_of_points(before, camera)[:, paired]
        straight, other = (
            np.nansum(np.linalg.norm(keypoints_px[number][:, joints] - expected, axis=-1), axis=-1)
            for joints in (paired, crossed)
        )
        found.append(other < straight / 2)
    return np.stack(found)


def _errors(
    points: Float64,
    tried: NDArray[np.bool_],
    keypoints_px: Float64,
    cameras: Sequence[Camera],
    poses: Sequence[tuple[Float64, Float64]],
) -> Float64:
    """Distances (cameras, frames, joints) in pixels; infinite where a point lies behind a camera."""
    found = []
    for seen, camera, pose in zip(keypoints_px, cameras, poses, strict=True):
        before = world_to_camera(points, *pose)
        distance = np.linalg.norm(px_of_points(before, camera) - seen, axis=-1)
        asked = tried & np.isfinite(seen).all(axis=-1)
        found.append(np.where(asked, np.where(np.isfinite(distance), distance, np.inf), np.nan))
    return np.stack(found)


def _median(values: Float64) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def _median_points(points: Float64) -> Float64:
    """Median over pairs of (pairs, frames, joints, 3), NaN where no pair has the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of joints that no pair has
        return np.asarray(np.nanmedian(points, axis=0))


def some_frames(frames: int) -> NDArray[np.intp]:
    """Choose at most :data:`MOST_FRAMES` frames, evenly."""
    return np.unique(np.linspace(0, frames - 1, min(frames, MOST_FRAMES)).round().astype(np.intp))
