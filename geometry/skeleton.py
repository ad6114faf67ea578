"""Joint sets of the data sets and the mappings between them: one registry, looked up by name.

Follows the joint tables of the Human3.6M toolkit's ``metadata.xml`` and of MPI-INF-3DHP's
``mpii_get_joint_set.m``. Nothing here knows about files: readers ask for a mapping and apply it.
"""

from __future__ import annotations

from collections.abc import Sequence

from poseshift.geometry.detectors import (
    BODY_25,
    DETECTORS_TO_HUMAN36M_17,
    HALPE_26,
    MEDIAPIPE_33,
    OPENPOSE_18,
)
from poseshift.geometry.detectors import COCO_17 as COCO_17
from poseshift.geometry.joint_set import JointMapping as JointMapping
from poseshift.geometry.joint_set import Skeleton as Skeleton


def skeleton(name: str) -> Skeleton:
    """Look up a skeleton by its registry name.

    Raises
    ------
    LookupError : no such skeleton; the message lists those that exist.

    Examples
    --------
    >>> skeleton("human36m_17").joint_names[0], skeleton("human36m_17").joints
    ('pelvis', 17)
    """
    if name not in SKELETONS:
        raise LookupError(f"no skeleton named {name!r}; there are {', '.join(sorted(SKELETONS))}")
    return SKELETONS[name]


def mapping(source: str, target: str) -> JointMapping:
    """Look up the mapping between two skeletons by their names; a skeleton maps to itself.

    Keypoints of detectors become ``human36m_17`` by the constructions of
    :mod:`poseshift.geometry.detectors`; all other mappings choose joints and compute nothing.

    ``mpi_inf_3dhp_28`` and ``_17`` to ``human36m_17`` take neck for thorax, head for nose and head_top for
    head: the nearest joints of another marker model.

    Raises
    ------
    LookupError : no such skeleton, or no mapping between the two.
    """
    first, second = skeleton(source), skeleton(target)
    if source == target:
        return JointMapping(first, second, _choose(range(first.joints)))
    if (source, target) not in _WEIGHTS:
        known = ", ".join(f"{a} -> {b}" for a, b in sorted(_WEIGHTS))
        raise LookupError(f"no mapping from {source} to {target}; there are {known}")
    return JointMapping(first, second, _WEIGHTS[source, target])


HUMAN36M_17 = Skeleton(
    name="human36m_17",
    joint_names=(
        *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("spine", "thorax", "nose", "head"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    left=(4, 5, 6, 11, 12, 13),
    right=(1, 2, 3, 14, 15, 16),
)
"""The usual 17 joints of Human3.6M, the order in which stores hold poses."""

HUMAN36M_32 = Skeleton(
    name="human36m_32",
    joint_names=(
        *("Hips", "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase", "RightToeSite"),
        *("LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "LeftToeSite"),
        *("Spine", "Spine1", "Neck", "Head", "HeadSite"),
        *("LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"),
        *("LeftHandThumb", "LeftThumbSite", "LeftWristEnd", "LeftWristSite"),
        *("RightShoulder", "RightArm", "RightForeArm", "RightHand"),
        *("RightHandThumb", "RightThumbSite", "RightWristEnd", "RightWristSite"),
    ),
    parents=(
        *(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14),
        *(12, 16, 17, 18, 19, 20, 19, 22, 12, 24, 25, 26, 27, 28, 27, 30),
    ),
    left=(*range(6, 11), *range(16, 24)),
    right=(*range(1, 6), *range(24, 32)),
)
"""All joints of Human3.6M's pose files; exact repeats: 13 = 16 = 24, 19 = 20, 22 = 23, 27 = 28, 30 = 31."""

MPI_INF_3DHP_28 = Skeleton(
    name="mpi_inf_3dhp_28",
    joint_names=(
        *("spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top"),
        *("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand"),
        *("right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand"),
        *("left_hip", "left_knee", "left_ankle", "left_foot", "left_toe"),
        *("right_hip", "right_knee", "right_ankle", "right_foot", "right_toe"),
    ),
    parents=(
        *(2, 0, 3, 4, -1, 1, 5, 6, 5, 8, 9, 10, 11, 5, 13, 14, 15, 16),
        *(4, 18, 19, 20, 21, 4, 23, 24, 25, 26),
    ),
    left=(*range(8, 13), *range(18, 23)),
    right=(*range(13, 18), *range(23, 28)),
)
"""All joints of MPI-INF-3DHP's training annotations."""

MPI_INF_3DHP_17 = Skeleton(
    name="mpi_inf_3dhp_17",
    joint_names=(
        *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
        *("left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head"),
    ),
    parents=(16, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, -1, 14, 1),
    left=(5, 6, 7, 11, 12, 13),
    right=(2, 3, 4, 8, 9, 10),
)
"""The "relevant" joints of MPI-INF-3DHP, in the order of its test files."""

POSEAUG_16 = Skeleton(
    name="poseaug_16",
    joint_names=tuple(name for name in HUMAN36M_17.joint_names if name != "nose"),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14),
    left=(4, 5, 6, 10, 11, 12),
    right=(1, 2, 3, 13, 14, 15),
)
"""The 16 joints of SemGCN and PoseAug: Human3.6M's 17 without the nose."""

SKELETONS = {
    entry.name: entry
    for entry in (
        *(HUMAN36M_17, HUMAN36M_32, MPI_INF_3DHP_28, MPI_INF_3DHP_17, POSEAUG_16),
        *(COCO_17, MEDIAPIPE_33, BODY_25, OPENPOSE_18, HALPE_26),
    )
}
"""Every skeleton by name."""

_Weights = tuple[tuple[tuple[int, float], ...], ...]


def _choose(indices: Sequence[int]) -> _Weights:
    """Weights of a mapping that takes one source joint per target joint."""
    return tuple(((index, 1.0),) for index in indices)


def _without_nose(indices: Sequence[int]) -> _Weights:
    """Turn a choice for ``human36m_17`` into the one for ``poseaug_16``."""
    nose = HUMAN36M_17.joint_names.index("nose")
    return _choose([index for joint, index in enumerate(indices) if joint != nose])


_HUMAN36M_17_FROM = {
    "human36m_17": tuple(range(17)),
    "human36m_32": (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27),
    "mpi_inf_3dhp_28": (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16),
    "mpi_inf_3dhp_17": (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4),
}

_WEIGHTS: dict[tuple[str, str], _Weights] = {
    **{(source, "human36m_17"): _choose(chosen) for source, chosen in _HUMAN36M_17_FROM.items()},
    **{(source, "poseaug_16"): _without_nose(chosen) for source, chosen in _HUMAN36M_17_FROM.items()},
    ("mpi_inf_3dhp_28", "mpi_inf_3dhp_17"): _choose(
        (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
    ),
    ("human36m_17", "mpi_inf_3dhp_17"): _choose((10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9)),
    **{(source, "human36m_17"): weights for source, weights in DETECTORS_TO_HUMAN36M_17.items()},
}
