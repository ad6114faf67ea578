"""File names and places of Human3.6M: the grammar of stems, the folders of the pose kinds, the expected rows.

Follows the release's tree and the toolkit's ``metadata.xml``. Names are taken as the release spells them;
:func:`canonical_action` gives the one spelling that stores use. Nothing here opens a file of the data set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.human36m.calibration import builtin_calibration, camera_ids
from poseshift.preprocessing.human36m.sequences import CALIBRATION_ACTION, builtin_sequences

PoseKind = Literal["D2_Positions", "D3_Positions", "D3_Positions_mono", "D3_Positions_mono_universal"]

POSE_KINDS: tuple[PoseKind, ...] = (
    "D2_Positions",
    "D3_Positions",
    "D3_Positions_mono",
    "D3_Positions_mono_universal",
)
JOINTS = 32
FPS = 50.0
SUBJECTS_WITH_POSES = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
"""The release has no poses of S2, S3, S4 and S10."""

CAMERA_IDS: tuple[str, ...] = camera_ids()

COINCIDING_JOINTS = ((13, 16), (13, 24), (19, 20), (22, 23), (27, 28), (30, 31))
"""Pairs of the 32 joints that are the same point in every frame."""

EXPECTED_ROWS: Mapping[tuple[str, str], int] = {
    (sequence.subject, sequence.stem): sequence.rows
    for sequence in builtin_sequences()
    if sequence.subject in SUBJECTS_WITH_POSES and sequence.action != CALIBRATION_ACTION
}
"""(subject, stem) to rows of each of its pose files, for the 210 trials of the release."""

WHOLE_SESSION = "_ALL"
"""Action name of the files that hold a whole session; they are no trial."""

_STEM = re.compile(
    r"(?P<stem>(?P<action>_ALL|[A-Za-z]+)(?: (?P<take>[0-9]))?)(?:\.(?P<camera>[0-9]{8}))?\.cdf"
)
_CANONICAL_ACTIONS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}


@dataclass(frozen=True)
class PoseFileName:
    """A pose file's name, taken apart.

    Attributes
    ----------
    stem : str
        The name without camera and suffix (``"Directions 1"``).
    action : str
        Its first word as spelt (``"Directions"``, ``"_ALL"``).
    take : int or None
        The digit, or None; none is a recording of its own and not number 0.
    camera : str or None
        The camera's id, or None for files without one.
    """

    stem: str
    action: str
    take: int | None
    camera: str | None

    @property
    def filename(self) -> str:
        """The name on disk."""
        return pose_filename(self.stem, self.camera)


def parse_stem(filename: str) -> PoseFileName | None:
    """Take a pose file's name apart; None when it is not one.

    Names are matched as a whole: ``Sitting`` is a prefix of ``SittingDown``, and stems without a camera hold
    no second dot.
    """
    match = _STEM.fullmatch(filename)
    if match is None:
        return None
    take = match["take"]
    return PoseFileName(match["stem"], match["action"], None if take is None else int(take), match["camera"])


def pose_filename(stem: str, camera: str | None) -> str:
    """File name of a stem, with the camera's id where the kind has one."""
    return f"{stem}.cdf" if camera is None else f"{stem}.{camera}.cdf"


def canonical_action(action: str) -> str:
    """Unify an action's spelling: S1 has ``TakingPhoto`` and ``WalkingDog``, rest ``Photo``, ``WalkDog``."""
    return _CANONICAL_ACTIONS.get(action, action)


def canonical_stem(stem: str) -> str:
    """Spell a stem's action canonically: ``"TakingPhoto 1"`` is ``"Photo 1"``."""
    action, space, take = stem.partition(" ")
    return f"{canonical_action(action)}{space}{take}"


def is_per_camera(kind: PoseKind) -> bool:
    """Whether a kind has one file per camera (all but the world positions)."""
    return kind != "D3_Positions"


def dimensions(kind: PoseKind) -> int:
    """Coordinates of a joint: 2 or 3."""
    return 2 if kind == "D2_Positions" else 3


def official_folder(root: Path, subject: str, kind: PoseKind) -> Path:
    """Folder of a kind in the release's own tree."""
    return root / subject / "MyPoseFeatures" / kind


def camera(subject: str, camera_id: str) -> Camera:
    """One camera of a subject, from the toolkit's calibration.

    Raises
    ------
    KeyError : no such subject or camera.
    """
    return builtin_calibration().camera(subject, camera_id)
