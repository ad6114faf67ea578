"""BVH, the skeleton files of animation programs: centimetres, y up, rotations in degrees.

The skeleton is that of :mod:`poseshift.geometry.articulation`. Angles are intrinsic turns about z, then x,
then y, in the order of the channels, as BVH defines it.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from poseshift.geometry.articulation import Articulation, articulate
from poseshift.storage.motion_files.motion import Motion

_ANGLES = "Zrotation Xrotation Yrotation"


def encode(motion: Motion) -> bytes:
    """Write a motion as BVH."""
    moved = articulate(100 * motion.positions_y_up, motion.skeleton)
    frames, nodes = moved.rotations.shape[:2]
    turns = Rotation.from_matrix(moved.rotations.reshape(-1, 3, 3))
    angles = turns.as_euler("ZXY", degrees=True, suppress_warnings=True).reshape(frames, nodes * 3)
    angles = np.unwrap(angles, period=360, axis=0)  # programs that blend frames see no jump of a whole turn
    lines = ["HIERARCHY", *_hierarchy(moved, 0, ""), "MOTION", f"Frames: {frames}"]
    lines.append(f"Frame Time: {1 / motion.fps:.8f}")
    for place, turned in zip(moved.root, angles, strict=True):
        numbers = [*(f"{value:.5f}" for value in place), *(f"{value:.6f}" for value in turned)]
        lines.append(" ".join(numbers))
    return ("\n".join(lines) + "\n").encode()


def _hierarchy(moved: Articulation, number: int, indent: str) -> list[str]:
    node = moved.nodes[number]
    inner = indent + "\t"
    is_root = node.parent < 0
    channels = f"6 Xposition Yposition Zposition {_ANGLES}" if is_root else f"3 {_ANGLES}"
    lines = [
        f"{indent}{'ROOT' if is_root else 'JOINT'} {node.name}",
        indent + "{",
        inner + "OFFSET " + " ".join(f"{value:.5f}" for value in node.offset),
        inner + f"CHANNELS {channels}",
    ]
    children = [child for child, other in enumerate(moved.nodes) if other.parent == number]
    for child in children:
        lines += _hierarchy(moved, child, inner)
    if not children:
        lines += [inner + "End Site", inner + "{", inner + "\tOFFSET 0.00000 0.00000 0.00000", inner + "}"]
    return [*lines, indent + "}"]
