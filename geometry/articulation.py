"""Poses as a jointed skeleton: bones of fixed length and a rotation for each node, as in animation formats.

Positions say which way a bone points and not how it is twisted about itself: each node is turned the
shortest way from its rest pose, in the axes of its parent. Where several bones leave one joint, each hangs on
a node of its own at that joint, so that every bone's direction is kept exactly. What is lost are changes of a
bone's length: it has its median. Axes: y up; at rest a person stands in a T and looks along z, with x to the
left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.arrays import norm
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.rotation import compose, minimal_rotation, rotate, rotate_back, transpose
from poseshift.geometry.skeleton import Skeleton

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Node:
    """A point of the jointed skeleton that turns.

    Attributes
    ----------
    name : str
        The joint's; ``<joint>_to_<child>`` of a node that turns one of several bones.
    parent : int
        Number of the parent node, -1 for the root; parents come first, and children right after them.
    joint : int
        The joint that lies here.
    offset : tuple[float, float, float]
        From the parent node at rest, in the unit of the positions; zero for the root.
    aims_at : int or None
        The joint that its rotation turns to; None where it turns a whole body part, or nothing.
    """

    name: str
    parent: int
    joint: int
    offset: tuple[float, float, float]
    aims_at: int | None


@dataclass(frozen=True)
class Articulation:
    """A motion of a jointed skeleton.

    Attributes
    ----------
    nodes : tuple[Node, ...]
        Depth first.
    root : array of float64 of shape (n, 3)
        Positions of the root.
    rotations : array of float64 of shape (n, nodes, 3, 3)
        Of each node in the axes of its parent.
    """

    nodes: tuple[Node, ...]
    root: Float64
    rotations: Float64

    @property
    def rest(self) -> Float64:
        """Positions of the nodes at rest, the root at the origin; (nodes, 3)."""
        found: list[Float64] = []
        for node in self.nodes:
            above = found[node.parent] if node.parent >= 0 else np.zeros(3)
            found.append(above + np.asarray(node.offset))
        return np.stack(found)


def articulate(positions: Float64, skeleton: Skeleton) -> Articulation:
    """Turn positions into rotations of a jointed skeleton.

    Parameters
    ----------
    positions : array of shape (n, joints, 3)
        Y up.
    skeleton : Skeleton
        The tree of the joints.
    """
    lengths = np.median(bone_lengths(positions, skeleton), axis=0)
    length_of = {child: float(length) for (_, child), length in zip(skeleton.bones, lengths, strict=True)}
    nodes: list[Node] = []
    turned: list[Float64] = []  # of each node, in the world
    local: list[Float64] = []
    upright = np.broadcast_to(np.eye(3), (len(positions), 3, 3))

    def add(name: str, parent: int, joint: int, offset: Float64, aims_at: int | None, world: Float64) -> int:
        above = turned[parent] if parent >= 0 else upright
        x, y, z = (float(value) for value in offset)
        nodes.append(Node(name, parent, joint, (x, y, z), aims_at))
        turned.append(world)
        local.append(compose(transpose(above), world))
        return len(nodes) - 1

    def aimed(parent_turn: Float64, joint: int, child: int) -> Float64:
        wanted = rotate_back((positions[:, child] - positions[:, joint])[:, None], parent_turn)[:, 0]
        return np.asarray(compose(parent_turn, _shortest_turn(_at_rest(skeleton, child), wanted)))

    def grow(joint: int, parent: int, offset: Float64) -> None:
        name, children = skeleton.joint_names[joint], _children(skeleton, joint)
        above = turned[parent] if parent >= 0 else upright
        if len(children) == 1:
            here = add(name, parent, joint, offset, children[0], aimed(above, joint, children[0]))
            grow(children[0], here, length_of[children[0]] * _at_rest(skeleton, children[0]))
            return
        here = add(name, parent, joint, offset, None, _body_part(positions, skeleton, joint, above))
        for child in children:
            turn = aimed(turned[here], joint, child)
            bone = add(f"{name}_to_{skeleton.joint_names[child]}", here, joint, np.zeros(3), child, turn)
            grow(child, bone, length_of[child] * _at_rest(skeleton, child))

    grow(skeleton.root, -1, np.zeros(3))
    return Articulation(
        nodes=tuple(nodes), root=positions[:, skeleton.root], rotations=np.stack(local, axis=1)
    )


def joint_positions(articulation: Articulation, skeleton: Skeleton) -> Float64:
    """Positions of the joints that the rotations give, (n, joints, 3): forward kinematics."""
    placed: list[Float64] = []
    turned: list[Float64] = []
    for number, node in enumerate(articulation.nodes):
        local = articulation.rotations[:, number]
        if node.parent < 0:
            placed.append(articulation.root)
            turned.append(local)
            continue
        offset = np.broadcast_to(np.asarray(node.offset), articulation.root.shape)
        placed.append(placed[node.parent] + rotate(offset[:, None], turned[node.parent])[:, 0])
        turned.append(np.asarray(compose(turned[node.parent], local)))
    place_of = {node.joint: place for node, place in zip(articulation.nodes, placed, strict=True)}
    return np.stack([place_of[joint] for joint in range(skeleton.joints)], axis=1)


def _children(skeleton: Skeleton, joint: int) -> tuple[int, ...]:
    return tuple(child for parent, child in skeleton.bones if parent == joint)


def _at_rest(skeleton: Skeleton, child: int) -> Float64:
    """Direction of the bone to a joint in the rest pose."""
    name = skeleton.joint_names[child]
    side = 1.0 if child in skeleton.left else -1.0
    if any(part in name for part in ("hip", "shoulder", "elbow", "wrist", "clavicle", "hand")):
        return np.array([side, 0.0, 0.0])
    if any(part in name for part in ("knee", "ankle")):
        return np.array([0.0, -1.0, 0.0])
    if any(part in name for part in ("foot", "toe")):
        return np.array([0.0, 0.0, 1.0])
    return np.array([0.0, 1.0, 0.0])


def _body_part(positions: Float64, skeleton: Skeleton, joint: int, above: Float64) -> Float64:
    """Turn of a joint with several bones: x from its right to its left children, y along the trunk.

    A joint without such a pair, and a frame in which both directions fall together, have the turn of the
    parent; so has the end of a limb.
    """
    children = _children(skeleton, joint)
    pairs = [(a, b) for a, b in zip(skeleton.left, skeleton.right, strict=True) if {a, b} <= set(children)]
    middle = [child for child in children if child not in (*skeleton.left, *skeleton.right)]
    parent = skeleton.parents[joint]
    if not pairs or (parent < 0 and not middle):
        return above
    x = sum(positions[:, left] - positions[:, right] for left, right in pairs)
    trunk = (
        positions[:, joint] - positions[:, parent]
        if parent >= 0
        else positions[:, middle[0]] - positions[:, joint]
    )
    z = np.cross(x, trunk)
    usable = (norm(x) > _SHORTEST) & (norm(z) > _SHORTEST * norm(x))
    x, z = (
        np.where(usable[:, None], vector, fallback)
        for vector, fallback in ((x, [1.0, 0, 0]), (z, [0, 0, 1.0]))
    )
    x, z = x / norm(x)[:, None], z / norm(z)[:, None]
    return np.where(usable[:, None, None], np.stack([x, np.cross(z, x), z], axis=-1), above)


_SHORTEST = 1e-6
"""Metres below which a direction is none."""


def _shortest_turn(rest: Float64, wanted: Float64) -> Float64:
    """Shortest rotation from one direction to each of (n, 3), half turns included; zero turns nothing."""
    length = norm(wanted)[:, None]
    wanted = np.where(length > _SHORTEST, wanted / np.where(length > 0, length, 1), rest)
    opposite = wanted @ rest < _OPPOSITE
    turn = minimal_rotation(np.broadcast_to(rest, wanted.shape), np.where(opposite[:, None], rest, wanted))
    if not opposite.any():
        return np.asarray(turn)
    # Over a direction at right angles, in two quarter turns: the single half turn has no axis of its own.
    aside = np.roll(rest, 1)
    halfway = minimal_rotation(rest, aside)
    beyond = minimal_rotation(np.broadcast_to(aside, wanted.shape), np.where(opposite[:, None], wanted, rest))
    over = compose(beyond, np.broadcast_to(halfway, beyond.shape))
    return np.asarray(np.where(opposite[:, None, None], over, turn))


_OPPOSITE = -0.9999
"""Cosine below which two directions count as opposite."""
