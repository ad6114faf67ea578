"""Keypoints that a file calls by names of its user's choice, as joints of a set that the project knows.

DeepLabCut, SLEAP and `movement` leave the names of body parts to whoever labels. Spellings that say side and
part are understood: ``left_knee``, ``LKnee``, ``knee-left``, ``L knee``. Numbers for sides, as in ``knee1``,
are not: which of them is the left one would be a guess.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import mapping, skeleton
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.schema import Float32

logger = logging.getLogger(__name__)

JOINT_SETS = ("coco_17", "halpe_26", "body_25", "mediapipe_33", "human36m_17")
"""Sets that names are looked for in; the first of equally good ones is taken."""

_LIMBS = frozenset(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_PARTS = frozenset(
    re.sub("^(left|right)_", "", joint) for one in JOINT_SETS for joint in skeleton(one).joint_names
)


@dataclass(frozen=True)
class Arrangement:
    """Which of a file's points is which joint.

    Attributes
    ----------
    joint_set : str
        Registry name.
    rows : tuple[int, ...]
        Per joint of the set, the file's point; -1 where the file has none.
    """

    joint_set: str
    rows: tuple[int, ...]

    def place(self, points: NDArray[np.floating]) -> Float32:
        """Put a file's (..., points, 3) keypoints into (..., joints, 3), zeros where there is none."""
        rows = np.array(self.rows)
        with np.errstate(over="ignore"):  # infinite pixels count as not seen
            placed = np.asarray(points, dtype=np.float32)[..., rows, :]
        return np.where((rows >= 0)[:, None], placed, np.float32(0))


def arrange(path: Path, names: Sequence[str]) -> Arrangement:
    """Find the joint set that a file's names fit best: by which most joints of Human3.6M can be made.

    Raises
    ------
    RawDataError
        A joint of arms or legs is missing, or two points are the same joint.
    """
    found = [canonical(name) for name in names]
    known = {name: number for number, name in enumerate(found)}
    missing = sorted(_LIMBS - set(known))
    if missing:
        raise RawDataError(
            path,
            found=f"points named {', '.join(names)}",
            expected=f"names that say side and part, also of {', '.join(missing)}",
            remedy="Rename the points, such as left_knee or LKnee, or label the missing ones.",
        )
    twice = sorted({name for name in found if found.count(name) > 1} & _every_joint())
    if twice:
        raise RawDataError(
            path,
            found=f"several points that are {', '.join(twice)}",
            expected="one point per joint",
            remedy="Rename the others.",
        )
    best = max(JOINT_SETS, key=lambda joint_set: _fit(joint_set, set(known)))
    joints = skeleton(best).joint_names
    left_out = [name for name, joint in zip(names, found, strict=True) if joint not in joints]
    if left_out:
        logger.warning("%s: points %s are no joints of %s and left out", path, ", ".join(left_out), best)
    return Arrangement(best, tuple(known.get(joint, -1) for joint in joints))


def canonical(name: str) -> str:
    """Spell a name of a body part as joint sets do; names that are not understood become small letters."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=^[LR])(?=[A-Z])|[^A-Za-z0-9]+", "_", name)
    words = [word for word in spaced.lower().split("_") if word]
    sides = {_SIDES[word] for word in words if word in _SIDES}
    part = "_".join(word for word in words if word not in _SIDES)
    if not sides and part not in _PARTS:
        glued = re.fullmatch(r"(left|right|l|r)(\w+)|(\w+?)(left|right)", part)
        if glued is not None and (glued.group(2) or glued.group(3)) in _PARTS:
            sides, part = {_SIDES[glued.group(1) or glued.group(4)]}, glued.group(2) or glued.group(3)
    part = {"midhip": "mid_hip"}.get(part, part)
    return f"{sides.pop()}_{part}" if len(sides) == 1 else part


def _every_joint() -> set[str]:
    return {joint for one in JOINT_SETS for joint in skeleton(one).joint_names}


def _fit(joint_set: str, known: set[str]) -> tuple[int, int]:
    """Count Human3.6M's joints that can be made, and of the file's names that are of the set."""
    joints = skeleton(joint_set).joint_names
    made = sum(
        all(joints[part] in known for part, _ in parts) for parts in mapping(joint_set, "human36m_17").weights
    )
    return made, len(known & set(joints))
