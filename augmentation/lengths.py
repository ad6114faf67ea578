"""Bone lengths of a data set's subjects, for an exchange between them as PoseAug makes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.bones import bone_statistics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses


def subject_lengths(poses: CameraPoses) -> NDArray[Any]:
    """Mean bone lengths of every subject that has rows, (subjects, bones) metres, in the subjects' order."""
    joint_set = skeleton(poses.skeleton)
    subject_of_trial = np.asarray([info.key.subject for info in poses.trials])
    subject_of_row = subject_of_trial[poses.trial]
    return np.stack(
        [
            bone_statistics(poses.positions_camera[subject_of_row == subject], joint_set).mean
            for subject in np.unique(subject_of_row)
        ]
    )
