"""Joint sets of the data sets and the mappings between them: one registry, looked up by name.

Follows the joint tables of the Human3.6M toolkit's ``metadata.xml`` and of MPI-INF-3DHP's
``mpii_get_joint_set.m``. Nothing here knows about files: readers ask for a mapping and apply it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array


@dataclass(frozen=True)
class Skeleton:
    """A named set of joints with its tree and its left/right pairs.

    Attributes
    ----------
    name : str
        Registry name, such as ``"human36m_17"``.
    joint_names : tuple[str, ...]
        One name per joint, in storage order.
    parents : tuple[int, ...]
        Index of each joint's parent, -1 for the root. Parents need not precede their children.
    left, right : tuple[int, ...]
        Indices of paired joints; ``left[i]`` mirrors ``right[i]``.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def joints(self) -> int:
        """Number of joints."""
        return len(self.joint_names)

    @property
    def root(self) -> int:
        """Index of the joint without a parent."""
        return self.parents.index(-1)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) of every bone, ordered by child."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """Joint order after exchanging left and right: ``x[..., mirrored, :]``."""
        order = list(range(self.joints))
        for left, right in zip(self.left, self.right, strict=True):
            order[left], order[right] = right, left
        return tuple(order)


@dataclass(frozen=True)
class JointMapping:
    """How the joints of one skeleton are made of the joints of another.

    Attributes
    ----------
    source, target : Skeleton
        The two skeletons.
    weights : tuple[tuple[tuple[int, float], ...], ...]
        Per target joint, the (source joint, weight) pairs whose weighted sum it is; weights sum to one.
    """

    source: Skeleton
    target: Skeleton
    weights: tuple[tuple[tuple[int, float], ...], ...]

    def apply(self, points: Array) -> Array:
        """Map joints, keypoints or one-channel confidences.

        Source joints that a target does not use do not touch it, so missing (NaN) joints stay where they are.

        Parameters
        ----------
        points : array of shape (..., joints of the source, d)

        Returns
        -------
        array (..., joints of the target, d).

        Raises
        ------
        ValueError : the number of joints is not the source's.
        """
        if points.ndim < 2 or points.shape[-2] != self.source.joints:
            raise ValueError(
                f"points of shape {tuple(points.shape)} cannot be {self.source.name}: expected "
                f"(..., {self.source.joints}, d)"
            )
        xp = array_namespace(points)
        joints = []
        for parts in self.weights:
            terms = [
                points[..., joint, :] if weight == 1 else weight * points[..., joint, :]
                for joint, weight in parts
            ]
            joints.append(sum(terms[1:], start=terms[0]))
        return xp.stack(joints, axis=-2)


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

    ``coco_17`` to ``human36m_17`` is an approximation, since COCO marks faces and no trunk: pelvis = middle
    of the hips, thorax = middle of the shoulders (the true joint is the base of the neck), spine = middle of
    those two, nose = nose, head = middle of the eyes (the true joint is the top of the head). The twelve limb
    joints are COCO's own, placed by eye and not by markers. All other mappings choose joints and compute
    nothing.

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

SKELETONS = {
    entry.name: entry
    for entry in (HUMAN36M_17, HUMAN36M_32, MPI_INF_3DHP_28, MPI_INF_3DHP_17, POSEAUG_16, COCO_17)
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

_COCO_TO_HUMAN36M_17: _Weights = (
    ((11, 0.5), (12, 0.5)),
    *_choose((12, 14, 16, 11, 13, 15)),
    ((5, 0.25), (6, 0.25), (11, 0.25), (12, 0.25)),
    ((5, 0.5), (6, 0.5)),
    ((0, 1.0),),
    ((1, 0.5), (2, 0.5)),
    *_choose((5, 7, 9, 6, 8, 10)),
)

_WEIGHTS: dict[tuple[str, str], _Weights] = {
    **{(source, "human36m_17"): _choose(chosen) for source, chosen in _HUMAN36M_17_FROM.items()},
    **{(source, "poseaug_16"): _without_nose(chosen) for source, chosen in _HUMAN36M_17_FROM.items()},
    ("mpi_inf_3dhp_28", "mpi_inf_3dhp_17"): _choose(
        (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
    ),
    ("human36m_17", "mpi_inf_3dhp_17"): _choose((10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9)),
    ("coco_17", "human36m_17"): _COCO_TO_HUMAN36M_17,
}
