"""What people do in a frame, by their 3D alone: standing, leaning, lying, sitting, crouching.

Where a method fails is seldom where most frames are. The classes follow from where up is, the trunk and the
legs; a class that needs motion, as sports would, is not among them.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.training.evaluation.evaluate import evaluate
from poseshift.training.evaluation.protocols import Protocol
from poseshift.training.evaluation.results import Errors

Content = Literal["upright", "sitting", "crouching", "leaning", "lying"]

CONTENTS: tuple[Content, ...] = get_args(Content)

UPRIGHT_DEGREES = 35.0
"""A trunk that leans no farther than this from the vertical is upright."""

LYING_DEGREES = 60.0
"""One that leans farther than this lies."""

SITTING_HEIGHT, CROUCHING_HEIGHT = 0.7, 0.35
"""Below these heights of the pelvis over the ankles, in lengths of the legs, an upright person sits or
crouches: over a chair the pelvis stands as high as the knees, at about half."""


def trunk_degrees(poses: CameraPoses) -> NDArray[np.float64]:
    """Angle between trunk and vertical, (n,); known by 3D and by the cameras' places."""
    joint_set = skeleton(poses.skeleton)
    positions = poses.positions_camera.astype(np.float64)
    trunk = positions[:, joint_set.joint_names.index("thorax")] - positions[:, joint_set.root]
    cosine = (trunk * _up(poses)).sum(axis=1) / np.linalg.norm(trunk, axis=1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def content_of(poses: CameraPoses) -> NDArray[np.str_]:
    """Name what people do, (n,) of :data:`CONTENTS`.

    Parameters
    ----------
    poses : CameraPoses
        Before cameras whose extrinsics are known.
    """
    names = skeleton(poses.skeleton).joint_names
    positions = poses.positions_camera.astype(np.float64)
    up = _up(poses)
    heights, lengths = [], []
    for side in ("left", "right"):
        hip, knee, ankle = (
            positions[:, names.index(f"{side}_{joint}")] for joint in ("hip", "knee", "ankle")
        )
        heights.append(((hip - ankle) * up).sum(axis=1))
        lengths.append(np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1))
    height = np.mean(heights, axis=0) / np.mean(lengths, axis=0)
    trunk = trunk_degrees(poses)
    return np.select(
        [trunk > LYING_DEGREES, trunk > UPRIGHT_DEGREES, height < CROUCHING_HEIGHT, height < SITTING_HEIGHT],
        ["lying", "leaning", "crouching", "sitting"],
        default="upright",
    )


def errors_by_content(
    predicted: NDArray[np.floating], poses: CameraPoses, protocol: Protocol
) -> dict[Content, Errors]:
    """Measure the frames of each content by themselves; a content that nobody shows is left out.

    Parameters
    ----------
    predicted : array
        (n, joints, 3), metres, root-relative, camera axes.
    poses : CameraPoses
        The n true poses.
    protocol : Protocol
        How errors are measured.
    """
    shown = content_of(poses)
    found: dict[Content, Errors] = {}
    for content in CONTENTS:
        rows = np.flatnonzero(shown == content)
        if len(rows):
            result = evaluate(predicted[rows], poses.take(rows), protocol)
            found[content] = Errors(
                frames=result.frames,
                **{name: getattr(result, name).value for name in Errors.model_fields if name != "frames"},
            )
    return found


def _up(poses: CameraPoses) -> NDArray[np.float64]:
    return np.array([camera.up for camera in poses.cameras], dtype=np.float64)[poses.camera]
