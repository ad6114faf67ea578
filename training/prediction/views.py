"""Lifting a store's keypoints: for each trial and camera the pose, its root before the camera, and its error.

The root is where the pose projects onto its keypoints (:mod:`poseshift.geometry.rays`). The error estimate
is what the lifter itself says, where it has learned to. Of others, it is the disagreement of the answer to
the keypoints and the answer to their mirror image: that shows where the lifter contradicts itself and misses
what both answers have wrong alike. Neither is an interval. Where it is known how far keypoints spread, by how
sure their detector is, the distance that this makes across the image is added as an error of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.alignment import root_relative
from poseshift.geometry.arrays import norm
from poseshift.geometry.camera import Camera
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.projection import normalise
from poseshift.geometry.rays import FEWEST_JOINTS, absolute_on_rays
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.gaps import interpolated
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.scaled import Predicted, predict_scaled

Float64 = NDArray[np.float64]

MIRROR_DISAGREEMENT = (
    "half the distance between the answers to the keypoints and to their mirror image; not a calibrated "
    "interval"
)
"""What the error estimate of one view is where the lifter says nothing of its errors."""

LEARNED_SCALE = (
    "distance from the truth that the lifter expects, learned before the cameras of its source; not a "
    "calibrated interval before others"
)
"""What the error estimate of one view is where the lifter has learned to tell it."""


AND_KEYPOINTS = (
    "; and beside it, as an independent error, how far keypoints of that confidence spread across the image"
)
"""What is added where the spread of keypoints is known."""


@dataclass(frozen=True)
class View:
    """One trial before one camera, lifted.

    Attributes
    ----------
    trial, camera : TrialInfo or Camera
        What was seen, and by whom.
    frame : array of int32 of shape (n,)
        Frame numbers in the trial, rising.
    relative : array of float64 of shape (n, joints, 3)
        Metres, relative to the root, camera axes; the mean of the plain and the mirrored answer.
    root : array of float64 of shape (n, 3)
        Metres, camera axes.
    rays : array of float64 of shape (n, joints, 2)
        Undistorted ray coordinates of the keypoints, gaps filled.
    missing : array of bool of shape (n, joints)
        Keypoints that were not seen and are interpolated in time.
    error_m : array of float64 of shape (n, joints)
        Metres.
    error_kind : str
        What that is: :data:`LEARNED_SCALE` or :data:`MIRROR_DISAGREEMENT`, with :data:`AND_KEYPOINTS` or not.
    path : CameraPath or None
        Poses of a camera that moves in a world with z up; None of others, also of one that moves where up is
        not known.
    """

    trial: TrialInfo
    camera: Camera
    frame: NDArray[np.int32]
    relative: Float64
    root: Float64
    rays: Float64
    missing: NDArray[np.bool_]
    error_m: Float64
    error_kind: str
    path: CameraPath | None = None

    @property
    def placed(self) -> bool:
        """Whether the camera's place in a world with z up is known."""
        return self.path is not None or self.camera.placed

    @property
    def rotation(self) -> Float64:
        """World to camera, (3, 3), or (n, 3, 3) of a camera that moves."""
        return np.asarray(self.camera.rotation) if self.path is None else self.path.rotation

    @property
    def translation(self) -> Float64:
        """``X_camera = R X + t`` in metres, (3,), or (n, 3) of a camera that moves."""
        return np.asarray(self.camera.translation) if self.path is None else self.path.translation

    @property
    def centre(self) -> Float64:
        """Place of the camera in the world, metres: (1, 3), or (n, 3) of one that moves."""
        return np.asarray(self.camera.centre)[None] if self.path is None else self.path.centre

    def cut(self, frames: slice) -> View:
        """Take successive frames."""
        return replace(
            self,
            frame=self.frame[frames],
            relative=self.relative[frames],
            root=self.root[frames],
            rays=self.rays[frames],
            missing=self.missing[frames],
            error_m=self.error_m[frames],
            path=None if self.path is None else self.path[frames],
        )


@dataclass(frozen=True)
class Presence:
    """When there is a person.

    Attributes
    ----------
    frames : slice
        From the first to the last frame in which a joint was seen.
    before_and_after : int
        Frames outside of these, in which there is nobody.
    between : int
        Frames inside of them in which nobody is seen.
    """

    frames: slice
    before_and_after: int
    between: int


def presence(missing: NDArray[np.bool_]) -> Presence:
    """Find when there is a person, by the joints that were not seen, (n, joints)."""
    seen = np.flatnonzero(~missing.all(axis=1))
    if not len(seen):
        return Presence(slice(0, len(missing)), 0, len(missing))
    frames = slice(int(seen[0]), int(seen[-1]) + 1)
    inside = frames.stop - frames.start
    return Presence(frames, len(missing) - inside, inside - len(seen))


Lifted = Callable[[TrainedLifter, CameraPoses], Predicted]
"""From rows to answers, mirrored ones averaged in."""


def mirrored_mean(trained: TrainedLifter, poses: CameraPoses) -> Predicted:
    """Lift rows, and average with the answers to the mirrored keypoints."""
    return predict_scaled(trained, poses, test_time="flip")


def lift_views(
    trained: TrainedLifter,
    poses: CameraPoses,
    lifted: Lifted = mirrored_mean,
    spreads: Float64 | None = None,
) -> tuple[View, ...]:
    """Lift all rows and part them by trial and camera.

    Parameters
    ----------
    trained : TrainedLifter
        The lifter.
    poses : CameraPoses
        All frames of the views, on the skeleton of the lifter; NaN where a keypoint was not seen. No 3D is
        looked at.
    lifted : callable
        How.
    spreads : array of float64 of shape (n, joints) or None
        Standard deviation of every keypoint on each axis, over the person's size; None where not known.

    Raises
    ------
    ValueError
        Poses and lifter have different skeletons, or an answer is not finite.
    poseshift.storage.gaps.NeverDetectedError
        A joint was seen in no frame of a view.
    """
    root = skeleton(poses.skeleton).root
    answer = lifted(trained, poses)
    averaged = answer.positions
    finite = np.asarray(np.isfinite(averaged).all(axis=(1, 2)))
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(
            f"the lifter gave no finite pose for {int((~finite).sum())} of {len(finite)} rows (first: trial "
            f"{poses.trials[poses.trial[row]].key.path!r}, frame {poses.frame[row]}); its training diverged"
        )
    relative = root_relative(averaged.astype(np.float64), root)
    if answer.scale_m is not None:
        error, kind = answer.scale_m.astype(np.float64), LEARNED_SCALE
    else:
        plain = root_relative(predict(trained, poses).astype(np.float64), root)
        error, kind = np.asarray(norm(relative - plain)), MIRROR_DISAGREEMENT
    filled = interpolated(poses).keypoints_px.astype(np.float64)
    rays = normalise(filled, poses.intrinsics[poses.camera])
    missing = np.asarray(~np.isfinite(poses.keypoints_px).all(axis=-1))
    roots = _roots(relative, rays, missing, root)
    if spreads is not None:
        error = np.hypot(error, across_m(spreads, rays, relative[..., 2] + roots[:, None, 2]))
        kind += AND_KEYPOINTS
    return tuple(
        View(
            trial=poses.trials[poses.trial[rows[0]]],
            camera=poses.cameras[poses.camera[rows[0]]],
            frame=poses.frame[rows],
            relative=relative[rows],
            root=roots[rows],
            rays=rays[rows],
            missing=missing[rows],
            error_m=error[rows],
            error_kind=kind,
            path=_path(poses, rows),
        )
        for rows in poses.view_rows
    )


def _path(poses: CameraPoses, rows: NDArray[np.intp]) -> CameraPath | None:
    """Poses of a view's camera where it moves and its world has z up."""
    if poses.motion is None or not poses.motion.upright[rows].all():
        return None
    return poses.motion.path[rows]


def across_m(spreads: Float64, rays: Float64, depth_m: Float64) -> Float64:
    """Root mean square distance, in metres across the image, that the spread of keypoints makes.

    Parameters
    ----------
    spreads : array of shape (n, joints)
        Standard deviation on each of two axes, over the larger side of the person's box.
    rays : array of shape (n, joints, 2)
        Of the keypoints.
    depth_m : array of shape (n, joints)
        Of the joints.
    """
    size = np.ptp(rays, axis=1).max(axis=-1, keepdims=True)
    return np.asarray(np.sqrt(2) * spreads * size * np.abs(depth_m))


def _roots(relative: Float64, rays: Float64, missing: NDArray[np.bool_], root: int) -> Float64:
    """Place poses by the joints that were seen, and by interpolated ones too where these are too few."""
    seen = ~missing
    enough = seen.sum(axis=1, keepdims=True) >= FEWEST_JOINTS
    weights = np.where(enough, seen, True).astype(np.float64)
    return np.asarray(absolute_on_rays(relative, rays, weights)[:, root])
