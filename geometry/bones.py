"""Bones: poses as directions and lengths, back again, and the statistics of lengths over frames.

A bone is the edge from a joint's parent to the joint; bones stand in the order of ``Skeleton.bones``
(ordered by child). What is done to bones (augmentation, length transfer) belongs to other packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array, norm
from poseshift.geometry.constants import indices
from poseshift.geometry.skeleton import Skeleton


def bone_vectors(points: Array, skeleton: Skeleton) -> Array:
    """Vector from parent to child of every bone.

    Parameters
    ----------
    points : array of shape (..., joints, d)
    skeleton : Skeleton
        Names the parents.

    Returns
    -------
    array (..., bones, d), in the unit of the points.

    Raises
    ------
    ValueError : the number of joints is not the skeleton's.
    """
    if points.ndim < 2 or points.shape[-2] != skeleton.joints:
        raise ValueError(
            f"points of shape {tuple(points.shape)} cannot be {skeleton.name}: expected "
            f"(..., {skeleton.joints}, d)"
        )
    parents, children = (indices(ends, points) for ends in zip(*skeleton.bones, strict=True))
    return points[..., children, :] - points[..., parents, :]


def bone_lengths(points: Array, skeleton: Skeleton) -> Array:
    """Length of every bone, (..., joints, d) -> (..., bones), in the unit of the points.

    Examples
    --------
    Every joint one metre above its parent: every bone is one metre long.

    >>> from poseshift.geometry.skeleton import HUMAN36M_17
    >>> points = np.zeros((17, 3))
    >>> for joint in root_first(HUMAN36M_17)[1:]:
    ...     points[joint] = points[HUMAN36M_17.parents[joint]] + [0.0, 0.0, 1.0]
    >>> bool((bone_lengths(points, HUMAN36M_17) == 1.0).all())
    True
    """
    return norm(bone_vectors(points, skeleton))


def bone_directions(points: Array, skeleton: Skeleton) -> Array:
    """Direction of every bone, (..., joints, d) -> (..., bones, d): a unit vector, or zero without length."""
    return directions_and_lengths(points, skeleton)[0]


def directions_and_lengths(points: Array, skeleton: Skeleton) -> tuple[Array, Array]:
    """`bone_directions` and `bone_lengths` of the same points."""
    xp = array_namespace(points)
    vectors = bone_vectors(points, skeleton)
    lengths = norm(vectors)
    divisors = lengths[..., None]
    return vectors / xp.where(divisors == 0, xp.ones_like(divisors), divisors), lengths


def from_bones(root: Array, directions: Array, lengths: Array, skeleton: Skeleton) -> Array:
    """Pose from its root, bone directions and bone lengths.

    Parameters
    ----------
    root : array of shape (..., d)
        Position of the root joint.
    directions : array of shape (..., bones, d)
        Unit vectors.
    lengths : array of shape (..., bones)
        In the unit of the root; leading dimensions broadcast.
    skeleton : Skeleton
        Names the parents; they need not precede their children.

    Returns
    -------
    array (..., joints, d).
    """
    xp = array_namespace(root, directions, lengths)
    vectors = directions * lengths[..., None]
    ways = _ways(skeleton)
    # A vector of zeros, which stands in for bones where a joint's way is shorter than the longest one.
    vectors = xp.concat([vectors, xp.zeros_like(vectors[..., :1, :])], axis=-2)
    on_the_way = indices(tuple(bone for way in ways for bone in way), vectors)
    shape = (*vectors.shape[:-2], len(ways), len(ways[0]), vectors.shape[-1])
    summands = xp.reshape(vectors[..., on_the_way, :], shape)
    return root[..., None, :] + xp.sum(summands, axis=-2)


@cache
def _ways(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """Bones from the root to each joint, (joints, most), with the number of bones after the last of a way."""
    bone_of = {child: bone for bone, (_, child) in enumerate(skeleton.bones)}
    ways: dict[int, tuple[int, ...]] = {skeleton.root: ()}
    for joint in root_first(skeleton)[1:]:
        ways[joint] = (*ways[skeleton.parents[joint]], bone_of[joint])
    most = max(len(way) for way in ways.values())
    none = len(skeleton.bones)
    return tuple((*ways[joint], *(none,) * (most - len(ways[joint]))) for joint in range(skeleton.joints))


def root_first(skeleton: Skeleton) -> tuple[int, ...]:
    """Joints in an order in which every parent comes before its children."""

    def depth(joint: int) -> int:
        parent = skeleton.parents[joint]
        return 0 if parent < 0 else 1 + depth(parent)

    return tuple(sorted(range(skeleton.joints), key=depth))


@dataclass(frozen=True)
class BoneStatistics:
    """Bone lengths over many poses.

    Attributes
    ----------
    skeleton : Skeleton
        Whose bones.
    poses : int
        Number of poses behind the figures.
    mean, deviation : array of shape (bones,)
        Mean and population standard deviation of each length, in the poses' unit.
    """

    skeleton: Skeleton
    poses: int
    mean: Array
    deviation: Array

    @property
    def variation(self) -> Array:
        """Standard deviation over mean (bones,): zero for a rigid skeleton."""
        return self.deviation / self.mean

    @property
    def asymmetry(self) -> Array:
        """Relative difference of left and right, ``(l - r) / ((l + r) / 2)``, (pairs,).

        One entry per bone that has a mirror image, in the order of the skeleton's ``left`` joints.
        """
        xp = array_namespace(self.mean)
        bone_of = {child: bone for bone, (_, child) in enumerate(self.skeleton.bones)}
        pairs = zip(self.skeleton.left, self.skeleton.right, strict=True)
        left, right = (
            xp.stack([self.mean[bone_of[joint]] for joint in side]) for side in zip(*pairs, strict=True)
        )
        return 2 * (left - right) / (left + right)


def bone_statistics(points: Array, skeleton: Skeleton) -> BoneStatistics:
    """Mean and spread of every bone length over all poses.

    Parameters
    ----------
    points : array of shape (..., joints, 3)
        At least one pose, no NaN.
    skeleton : Skeleton
        Names the parents.

    Raises
    ------
    ValueError : no pose, or not this skeleton's joints.
    """
    xp = array_namespace(points)
    lengths = bone_lengths(points, skeleton)
    lengths = xp.reshape(lengths, (-1, lengths.shape[-1]))
    if lengths.shape[0] == 0:
        raise ValueError("no poses: bone statistics need at least one")
    return BoneStatistics(
        skeleton=skeleton,
        poses=int(lengths.shape[0]),
        mean=xp.mean(lengths, axis=0),
        deviation=xp.std(lengths, axis=0),
    )
