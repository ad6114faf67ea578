"""Clips as the page's script reads them: JSON with whole numbers of small units, 16 bits each, as base64.

Positions are rounded to millimetres, keypoints to a quarter of a pixel, errors of joints to a tenth of a
millimetre. A clip whose numbers need more than 16 bits gets a larger unit, which it names; nothing is
clipped. The figure of every frame is kept to a hundredth of a millimetre.
"""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.viewer.clips import Clip
from poseshift.flows.viewer.cut import Shown
from poseshift.storage.model import FrozenModel

GAP = -32768
"""Stands for a number that is not there."""

_LARGEST = 32767
_BYTES_PER_NUMBER = 2 * 4 / 3


class Packed(FrozenModel):
    """An array: base64 of little-endian 16-bit numbers, C order, in multiples of ``unit``."""

    unit: float
    """What 1 stands for."""
    data: str
    """The numbers; -32768 is a gap."""


class PackedClip(FrozenModel):
    """A clip on the page; arrays are frame by frame, joint by joint."""

    trial: str
    """`<subject>/<trial>`."""
    camera: str
    """The camera's name."""
    fps: float
    """Frames per second."""
    joints: tuple[str, ...]
    """Names."""
    parents: tuple[int, ...]
    """Each joint's parent; -1 for the root."""
    sides: tuple[str, ...]
    """`left`, `right` or `middle` for each joint."""
    frame: tuple[int, ...]
    """Frame numbers in the trial."""
    frames_in_all: int
    """How many frames there are, those that are not shown among them."""
    on_floor: bool
    """Whether z = 0 is the floor."""
    predicted: Packed
    """Millimetres, x y z with z up."""
    truth: Packed | None
    """The same; null without truth."""
    keypoints: Packed | None
    """Pixels, x y; null where there is no image."""
    size_px: tuple[int, int] | None
    """Width and height of the image."""
    frustum: tuple[tuple[float, float, float], ...] | None
    """Camera centre and corners, metres."""
    error_name: str | None
    """What the figure of a frame is; null where nothing is known."""
    measured: bool
    """Whether errors are measured; else they are estimates."""
    frame_mm: tuple[float, ...]
    """The figure of every frame, millimetres; empty where nothing is known."""
    joints_mm: Packed | None
    """Errors of joints, millimetres."""
    mean_mm: float | None
    """Mean of the figure over all frames."""
    jumps: tuple[int, int, int] | None
    """Rows of the best, the median and the worst frame."""


def pack(shown: Shown) -> PackedClip:
    """Round a clip and write it down."""
    clip, errors, joints = shown.clip, shown.clip.errors, shown.clip.skeleton
    sides = {**dict.fromkeys(joints.left, "left"), **dict.fromkeys(joints.right, "right")}
    jumps = shown.jumps
    return PackedClip(
        trial=clip.trial,
        camera=clip.camera,
        fps=clip.fps,
        joints=joints.joint_names,
        parents=joints.parents,
        sides=tuple(sides.get(joint, "middle") for joint in range(joints.joints)),
        frame=tuple(clip.frame.tolist()),
        frames_in_all=shown.frames_in_all,
        on_floor=clip.on_floor,
        predicted=pack_array(1000 * clip.predicted.astype(np.float64), 1.0),
        truth=None if clip.truth is None else pack_array(1000 * clip.truth.astype(np.float64), 1.0),
        keypoints=None if clip.keypoints_px is None else pack_array(clip.keypoints_px, 0.25),
        size_px=clip.size_px,
        frustum=None
        if clip.frustum is None
        else tuple((round(x, 4), round(y, 4), round(z, 4)) for x, y, z in clip.frustum.tolist()),
        error_name=None if errors is None else errors.name,
        measured=errors is not None and errors.measured,
        frame_mm=() if errors is None else tuple(errors.frame_mm.round(2).tolist()),
        joints_mm=None if errors is None else pack_array(errors.joints_mm, 0.1),
        mean_mm=shown.mean_mm,
        jumps=None if jumps is None else (jumps.best, jumps.median, jumps.worst),
    )


def pack_array(array: NDArray[np.floating], unit: float) -> Packed:
    """Write numbers as multiples of a unit, or of a larger one where they are too large for 16 bits.

    Parameters
    ----------
    array : array of any shape
        NaN and infinity are gaps.
    unit : float
        The smallest unit that is needed.
    """
    known = np.isfinite(array)
    largest = float(np.abs(array[known]).max(initial=0.0))
    chosen = max(unit, largest / _LARGEST)
    numbers = np.where(known, np.rint(np.where(known, array, 0.0) / chosen), GAP).astype("<i2")
    return Packed(unit=chosen, data=base64.b64encode(numbers.tobytes()).decode("ascii"))


def bytes_per_frame(clip: Clip) -> int:
    """Bound what a frame of a clip takes on the page: its arrays, its number and its figure."""
    arrays = ((clip.predicted, 3), (clip.truth, 3), (clip.keypoints_px, 2), (clip.errors, 1))
    numbers = clip.skeleton.joints * sum(width for array, width in arrays if array is not None)
    return int(numbers * _BYTES_PER_NUMBER) + 24
