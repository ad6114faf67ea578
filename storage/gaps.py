"""Filling gaps in detections: what a joint that was not seen in a frame is taken to be at.

A test measures every frame, so a lifter must answer where the detector saw nothing, too. It is then shown the
joint on the straight line in time between the frames of the same view in which the joint was seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.filling import fill_gaps


class NeverDetectedError(ValueError):
    """A joint that is in no frame of a view, so that nothing tells where it was."""

    def __init__(self, trial: str, camera: str, joint: str) -> None:
        super().__init__(
            f"trial {trial!r}, camera {camera}: joint {joint!r} was detected in no frame, so its gaps cannot "
            "be filled; test on cameras that see it, or attach another detector's keypoints"
        )
        self.trial, self.camera, self.joint = trial, camera, joint

    def __reduce__(self) -> tuple[type[NeverDetectedError], tuple[str, str, str]]:
        # Pickle would hand the message to __init__, and a pool whose worker raises this would break.
        return NeverDetectedError, (self.trial, self.camera, self.joint)


def interpolated(poses: CameraPoses) -> CameraPoses:
    """Fill the gaps in keypoints by :func:`fill_gaps`, in each view (trial and camera) by itself.

    Parameters
    ----------
    poses : CameraPoses
        With NaN where a joint was not seen. All rows of a view should be there: a gap is filled from the
        nearest ones.

    Raises
    ------
    NeverDetectedError
        When a joint is in no row of a view.
    """
    if poses.whole.all():
        return poses
    keypoints = poses.keypoints_px.copy()
    for rows in poses.view_rows:
        never = ~np.isfinite(keypoints[rows]).all(axis=-1).any(axis=0)
        if never.any():
            raise NeverDetectedError(
                poses.trials[poses.trial[rows[0]]].key.path,
                poses.cameras[poses.camera[rows[0]]].name,
                skeleton(poses.skeleton).joint_names[int(np.argmax(never))],
            )
        keypoints[rows] = fill_gaps(keypoints[rows], poses.frame[rows])
    return replace(poses, keypoints_px=keypoints)


FEWEST_JOINTS = 6
"""Joints of which fewer say next to nothing of a pose."""


def with_people_filled(poses: CameraPoses) -> CameraPoses:
    """Fill the frames in which a person was hardly seen, and leave the gaps of single joints.

    Parameters
    ----------
    poses : CameraPoses
        As for :func:`interpolated`. A joint that is in no frame of a view stays NaN.
    """
    hardly = np.isfinite(poses.keypoints_px).all(axis=-1).sum(axis=1) < FEWEST_JOINTS
    if not hardly.any():
        return poses
    keypoints = poses.keypoints_px.copy()
    for rows in poses.view_rows:
        bare = rows[hardly[rows]]
        joints = np.isfinite(keypoints[rows]).all(axis=-1).any(axis=0)
        if len(bare) and joints.any():
            filled = fill_gaps(keypoints[rows][:, joints], poses.frame[rows])
            keypoints[np.ix_(bare, np.flatnonzero(joints))] = filled[hardly[rows]]
    return replace(poses, keypoints_px=keypoints)
