"""What a set of joints is, and how the joints of one set are made of those of another."""

from __future__ import annotations

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

    def least(self, values: Array) -> Array:
        """Give each target joint the least value of the source joints that it is made of.

        A joint between two others is no surer than the less sure of them.

        Parameters
        ----------
        values : array of shape (..., joints of the source)

        Returns
        -------
        array (..., joints of the target).
        """
        xp = array_namespace(values)
        used = [[joint for joint, weight in parts if weight] for parts in self.weights]
        return xp.stack([xp.min(values[..., joints], axis=-1) for joints in used], axis=-1)
