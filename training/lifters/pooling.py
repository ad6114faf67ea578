"""Max pooling of joints over groups of them, such as body parts, and the way back from groups to joints.

Groups are written as joint names, so that one table serves every skeleton that has these joints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from poseshift.geometry.skeleton import Skeleton


def group_members(skeleton: Skeleton, groups: Sequence[Sequence[str]]) -> Tensor:
    """Find the joints of each group.

    Parameters
    ----------
    skeleton : Skeleton
        Every one of its joints must be in exactly one group.
    groups : Sequence[Sequence[str]]
        Joint names; those that the skeleton lacks are passed over.

    Returns
    -------
    (groups, joints of the largest group) int64. Smaller groups repeat their first joint, which a maximum
    does not notice.

    Raises
    ------
    ValueError
        When a joint is in no group or in several, or a group has no joint.
    """
    index = {name: joint for joint, name in enumerate(skeleton.joint_names)}
    found = [[index[name] for name in group if name in index] for group in groups]
    if sorted(joint for group in found for joint in group) != list(range(skeleton.joints)) or not all(found):
        raise ValueError(
            f"the groups {[list(group) for group in groups]} do not divide the joints of {skeleton.name} "
            f"({', '.join(skeleton.joint_names)}); name each joint once and leave no group empty"
        )
    largest = max(len(group) for group in found)
    return torch.tensor([group + group[:1] * (largest - len(group)) for group in found])


def group_of_joint(members: Tensor, joints: int) -> Tensor:
    """Invert :func:`group_members`: (joints,) int64, the group that each joint is in."""
    is_in = (members[..., None] == torch.arange(joints)).any(dim=1)  # (groups, joints)
    return is_in.int().argmax(dim=0)


def max_pool(x: Tensor, members: Tensor) -> Tensor:
    """Take each channel's maximum in each group: (batch, joints, width) to (batch, groups, width)."""
    return x[:, members].amax(dim=2)
