"""Joint sets of person detectors, and what the 17 joints of Human3.6M are made of in each of them.

Detectors place joints by eye and not by markers, so all of these are approximations. The twelve limb joints
are the detector's own. A joint that is computed has the least confidence of those it is computed from.

==============  ==================  ===================  =====================================  =============
joint           COCO                MediaPipe Pose       OpenPose BODY_25                       Halpe 26
==============  ==================  ===================  =====================================  =============
pelvis          middle of the hips  middle of the hips   its mid-hip                            its hip
thorax          middle of the       middle of the        its neck                               its neck
                shoulders           shoulders
spine           middle of the two   middle of the two    middle of the two                      middle of the
                                                                                                two
nose            nose                nose                 nose                                   nose
head            middle of the eyes  ears and face, see   middle of the eyes                     its head
                                    below
==============  ==================  ===================  =====================================  =============

OpenPose's COCO model (18) has BODY_25's neck and no mid-hip, which is the middle of the hips.

Human3.6M's head is the top of the head. MediaPipe Pose marks ears, eyes and mouth: the top lies above the
middle of the ears by 1.9 times the way from the mouth up to the eyes (tragion to vertex is about 131 mm in
adults, mouth to eyes about 69 mm), which is a weighted sum of six landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from poseshift.geometry.joint_set import Skeleton

COCO_17 = Skeleton(
    name="coco_17",
    joint_names=(
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
        *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
        *("left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    parents=(-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
    left=(1, 3, 5, 7, 9, 11, 13, 15),
    right=(2, 4, 6, 8, 10, 12, 14, 16),
)
"""Keypoints of COCO person detectors. COCO names no root: the tree here hangs on the nose."""

MEDIAPIPE_33 = Skeleton(
    name="mediapipe_33",
    joint_names=(
        *("nose", "left_eye_inner", "left_eye", "left_eye_outer"),
        *("right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear"),
        *("left_mouth", "right_mouth", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
        *("left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index"),
        *("left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee"),
        *("left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index"),
    ),
    parents=(
        *(-1, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16),
        *(11, 12, 23, 24, 25, 26, 27, 28, 27, 28),
    ),
    left=(1, 2, 3, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31),
    right=(4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32),
)
"""Landmarks of MediaPipe Pose (BlazePose). They name no root: the tree here hangs on the nose."""

BODY_25 = Skeleton(
    name="body_25",
    joint_names=(
        *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "mid_hip"),
        *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("right_eye", "left_eye", "right_ear", "left_ear"),
        *("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"),
    ),
    parents=(1, 8, 1, 2, 3, 1, 5, 6, -1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11),
    left=(5, 6, 7, 12, 13, 14, 16, 18, 19, 20, 21),
    right=(2, 3, 4, 9, 10, 11, 15, 17, 22, 23, 24),
)
"""Keypoints of OpenPose's BODY_25 model."""

OPENPOSE_18 = Skeleton(
    name="openpose_18",
    joint_names=(
        *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
        *("left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
    ),
    parents=(1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15),
    left=(5, 6, 7, 11, 12, 13, 15, 17),
    right=(2, 3, 4, 8, 9, 10, 14, 16),
)
"""Keypoints of OpenPose's COCO model: COCO's in another order, and a neck, on which the tree hangs."""

HALPE_26 = Skeleton(
    name="halpe_26",
    joint_names=(
        *COCO_17.joint_names,
        *("head", "neck", "hip", "left_big_toe", "right_big_toe"),
        *("left_small_toe", "right_small_toe", "left_heel", "right_heel"),
    ),
    parents=(
        *(18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8, 19, 19, 11, 12, 13, 14),
        *(0, 19, -1, 15, 16, 20, 21, 15, 16),
    ),
    left=(1, 3, 5, 7, 9, 11, 13, 15, 20, 22, 24),
    right=(2, 4, 6, 8, 10, 12, 14, 16, 21, 23, 25),
)
"""Keypoints of AlphaPose's Halpe models with 26 joints: COCO's, then head, neck, hip and feet."""

Weights = tuple[tuple[tuple[int, float], ...], ...]
"""Per joint of Human3.6M, the (joint of the detector, weight) pairs whose weighted sum it is."""


def _joints(indices: Sequence[int]) -> Weights:
    """Take one joint of the detector per joint of Human3.6M."""
    return tuple(((index, 1.0),) for index in indices)


def _middle(*indices: int) -> tuple[tuple[int, float], ...]:
    return tuple((index, 1.0 / len(indices)) for index in indices)


_TOP_OVER_FACE = 1.9
"""Height of the top of the head over the ears, in ways from the mouth to the eyes."""

DETECTORS_TO_HUMAN36M_17: Mapping[str, Weights] = MappingProxyType(
    {
        "coco_17": (
            _middle(11, 12),
            *_joints((12, 14, 16, 11, 13, 15)),
            _middle(5, 6, 11, 12),
            _middle(5, 6),
            *_joints((0,)),
            _middle(1, 2),
            *_joints((5, 7, 9, 6, 8, 10)),
        ),
        "mediapipe_33": (
            _middle(23, 24),
            *_joints((24, 26, 28, 23, 25, 27)),
            _middle(11, 12, 23, 24),
            _middle(11, 12),
            *_joints((0,)),
            (
                *_middle(7, 8),
                *((eye, _TOP_OVER_FACE / 2) for eye in (2, 5)),
                *((corner, -_TOP_OVER_FACE / 2) for corner in (9, 10)),
            ),
            *_joints((11, 13, 15, 12, 14, 16)),
        ),
        "body_25": (
            *_joints((8, 9, 10, 11, 12, 13, 14)),
            _middle(1, 8),
            *_joints((1, 0)),
            _middle(15, 16),
            *_joints((5, 6, 7, 2, 3, 4)),
        ),
        "openpose_18": (
            _middle(8, 11),
            *_joints((8, 9, 10, 11, 12, 13)),
            ((1, 0.5), (8, 0.25), (11, 0.25)),
            *_joints((1, 0)),
            _middle(14, 15),
            *_joints((5, 6, 7, 2, 3, 4)),
        ),
        "halpe_26": (
            *_joints((19, 12, 14, 16, 11, 13, 15)),
            _middle(18, 19),
            *_joints((18, 0, 17)),
            *_joints((5, 7, 9, 6, 8, 10)),
        ),
    }
)
"""What the 17 joints of Human3.6M are made of, by the name of the detector's joint set."""
