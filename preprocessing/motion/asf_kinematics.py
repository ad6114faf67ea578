"""Forward kinematics of ASF skeletons: where every bone ends, at any frame rate.

A bone turns by ``C M C^-1`` relative to its parent, with C its own axes from the ASF and M the angles of the
AMC. Changes of rate interpolate rotations (slerp), not positions, so that bones keep their length.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation, Slerp

from poseshift.preprocessing.motion.asf_amc import ROOT, AmcMotion, AsfBone, AsfSkeleton

Array = npt.NDArray[np.float64]


def bone_ends(
    skeleton: AsfSkeleton, motion: AmcMotion, from_fps: float, to_fps: float
) -> Mapping[str, Array]:
    """Compute where bones end.

    Parameters
    ----------
    skeleton, motion : AsfSkeleton or AmcMotion
        As read from one subject's files.
    from_fps, to_fps : float
        Rate of the motion, and the rate wished.

    Returns
    -------
    ends : per bone (frames, 3) metres in the file's axes (CMU: y up); ``"root"`` is the root itself. The
        first frame is the motion's first; the last is not later than its last.
    """
    recorded = np.arange(motion.frames) / from_fps
    frames = int(np.floor(recorded[-1] * to_fps + 1e-9)) + 1
    wished = np.minimum(np.arange(frames) / to_fps, recorded[-1])
    turns: dict[str, Rotation] = {}
    ends: dict[str, Array] = {}
    for bone in skeleton.bones:
        local = _interpolated(_local_rotation(skeleton, bone, motion), recorded, wished)
        if bone.name == ROOT:
            turns[ROOT] = local
            ends[ROOT] = _root_path(skeleton, motion, recorded, wished)
            continue
        turns[bone.name] = turns[bone.parent] * local
        offset = np.asarray(bone.offset) * skeleton.metres_per_unit
        ends[bone.name] = ends[bone.parent] + turns[bone.name].apply(offset)
    return ends


def _local_rotation(skeleton: AsfSkeleton, bone: AsfBone, motion: AmcMotion) -> Rotation:
    if not bone.rotations:
        return Rotation.identity(motion.frames)
    channels = motion.channels[bone.name]
    if bone.name == ROOT:
        channels = channels[:, [channel[0] == "r" for channel in skeleton.root_order]]
    own_axes = Rotation.from_euler(bone.axis_order, _in_order(bone.axis, bone.axis_order))
    return own_axes * Rotation.from_euler(bone.rotations, channels) * own_axes.inv()


def _in_order(axis: tuple[float, float, float], order: str) -> list[float]:
    """Angles about x, y, z in the order in which they are applied."""
    return [axis["xyz".index(letter)] for letter in order]


def _root_path(skeleton: AsfSkeleton, motion: AmcMotion, recorded: Array, wished: Array) -> Array:
    channels = motion.channels[ROOT]
    path = np.stack(
        [
            np.interp(wished, recorded, channels[:, skeleton.root_order.index(f"t{letter}")])
            for letter in "xyz"
        ],
        axis=-1,
    )
    metres: Array = (path + np.asarray(skeleton.root_position)) * skeleton.metres_per_unit
    return metres


def _interpolated(rotations: Rotation, recorded: Array, wished: Array) -> Rotation:
    if len(recorded) == 1:
        return rotations
    return Slerp(recorded, rotations)(wished)
