"""Joint sets of the data sets and the mappings between them: one registry, looked up by name.

Follows the joint tables of the Human3.6M toolkit's ``metadata.xml`` and of MPI-INF-3DHP's
``mpii_get_joint_set.m``. Nothing here knows about files: readers ask for a mapping and apply it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Skeleton:
    """A named set of joints with its tree and its left/right pairs.

    Attributes
    ----------
    name : registry name, such as ``"human36m_17"``.
    joint_names : one name per joint, in storage order.
    parents : index of each joint's parent, -1 for the root. Parents need not precede their children.
    left, right : indices of paired joints; ``left[i]`` mirrors ``right[i]``.
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
