"""What augmentation needs to know of a skeleton: its trunk, its mirrored bones and its parts.

All of it is derived from the tree and the left/right pairs, so any registered skeleton will do. On PoseAug's
16 joints the result is PoseAug's own tables (Gong et al., CVPR 2021); Human3.6M's 17 joints add the nose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from poseshift.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class Anatomy:
    """Groups of bones; bones are counted in the order of ``Skeleton.bones``.

    Attributes
    ----------
    trunk : tuple of int
        Bones from the root to where the upper limbs branch off, in that order. Their directions are kept by
        bone-angle augmentation, so that a turn of the whole body cannot hide in it.
    length_groups : tuple of int
        For each bone its group; mirrored bones share one, numbered by first appearance.
    kept_length : int or None
        Group whose length is never changed, the last bone of the trunk, which fixes the absolute scale; None
        when there is no trunk.
    limbs : tuple of tuple of int
        Joints (not bones) of every arm and leg, the one that it hangs by first; in the order of those.
    parts : tuple of tuple of int
        Bones that a part-wise discriminator looks at together: each limb with the bone that it hangs on (at
        the root, which has no bone of its own, with the other bones of the root), and the torso (all unpaired
        bones and the first bone of every limb). Limbs in the order of their first joints.
    """

    trunk: tuple[int, ...]
    length_groups: tuple[int, ...]
    kept_length: int | None
    limbs: tuple[tuple[int, ...], ...]
    parts: tuple[tuple[int, ...], ...]

    @property
    def groups(self) -> int:
        """Number of length groups."""
        return max(self.length_groups) + 1


@cache
def anatomy(skeleton: Skeleton) -> Anatomy:
    """Derive the groups of a skeleton."""
    bone_of = {child: bone for bone, (_, child) in enumerate(skeleton.bones)}
    trunk = tuple(bone_of[joint] for joint in _trunk(skeleton))
    groups = _length_groups(skeleton)
    return Anatomy(
        trunk=trunk,
        length_groups=groups,
        kept_length=groups[trunk[-1]] if trunk else None,
        limbs=_limbs(skeleton),
        parts=tuple(
            tuple(sorted(bone_of[joint] for joint in part if joint != skeleton.root))
            for part in _parts(skeleton)
        ),
    )


def _ancestors(skeleton: Skeleton, joint: int) -> Iterator[int]:
    """Yield the joint itself, its parent and so on to the root."""
    while joint >= 0:
        yield joint
        joint = skeleton.parents[joint]


def _trunk(skeleton: Skeleton) -> tuple[int, ...]:
    """Joints after the root on the way to the highest joint from which both of a pair of limbs branch."""
    paths = []
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        above_right = set(_ancestors(skeleton, right))
        branching = next(joint for joint in _ancestors(skeleton, left) if joint in above_right)
        paths.append(tuple(_ancestors(skeleton, branching)))
    longest = max(paths, key=len, default=(skeleton.root,))
    return tuple(reversed(longest[:-1]))


def _length_groups(skeleton: Skeleton) -> tuple[int, ...]:
    mirror = skeleton.mirrored
    number: dict[frozenset[int], int] = {}
    return tuple(
        number.setdefault(frozenset((child, mirror[child])), len(number)) for _, child in skeleton.bones
    )


def _limbs(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """Joints of each limb, which begins where a paired joint hangs on an unpaired one."""
    paired = {*skeleton.left, *skeleton.right}
    first = [joint for joint in sorted(paired) if skeleton.parents[joint] not in paired]
    return tuple(
        tuple(joint for joint in range(skeleton.joints) if start in _ancestors(skeleton, joint))
        for start in first
    )


def _parts(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """Joints whose bones make up each part."""
    paired = {*skeleton.left, *skeleton.right}
    children = [joint for joint in range(skeleton.joints) if joint != skeleton.root]
    limbs, parts = _limbs(skeleton), []
    for limb in limbs:
        start = limb[0]
        base = skeleton.parents[start]
        siblings = [joint for joint in children if skeleton.parents[joint] == base and joint != start]
        parts.append((*limb, *(siblings if base == skeleton.root else (base,))))
    torso = (*(joint for joint in children if joint not in paired), *(limb[0] for limb in limbs))
    return (*parts, torso)
