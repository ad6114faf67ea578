"""OpenPose's folder of JSON files, one per image: ``<video>_<frame>_keypoints.json``.

Of the models BODY_25 (25 joints) and COCO (18).

OpenPose gives identities only with its tracker (``person_id`` is -1 without). A person's score is the mean
confidence of the joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from poseshift.preprocessing.domain.keypoints.formats import (
    KeypointFormat,
    People,
    frame_number,
    read_json,
)
from poseshift.preprocessing.domain.tracks import Sighting, View, collect, most_certain
from poseshift.preprocessing.errors import RawDataError

_PATTERN = "*_keypoints.json"
_JOINT_SETS = {25: "body_25", 18: "openpose_18"}


class _Person(BaseModel):
    model_config = ConfigDict(extra="ignore")

    person_id: list[int] = Field(default_factory=list)
    pose_keypoints_2d: list[tuple[float, float, float]] = Field(min_length=1)

    @field_validator("pose_keypoints_2d", mode="before")
    @classmethod
    def _by_three(cls, numbers: Any) -> Any:
        """Cut the list of numbers into x, y and confidence; a rest of one or two is refused."""
        return (
            [numbers[at : at + 3] for at in range(0, len(numbers), 3)] if isinstance(numbers, list) else None
        )


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    people: list[_Person]


def recognises(path: Path) -> bool:
    """Whether it is a folder with files of OpenPose's names."""
    return path.is_dir() and any(path.glob(_PATTERN))


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read the images of one video."""
    sightings = [one for file in sorted(path.glob(_PATTERN)) for one in _sightings(file)]
    chosen = most_certain(sightings) if people == "most-certain" else sightings
    counts = {len(one.keypoints) for one in sightings}
    if not counts <= set(_JOINT_SETS) or len(counts) > 1:
        raise RawDataError(
            path,
            found=f"people with {' and '.join(map(str, sorted(counts)))} keypoints",
            expected="25 (BODY_25) or 18 (COCO) in all images",
            remedy="Run OpenPose with --model_pose BODY_25 and --write_json.",
        )
    return (collect(path, chosen, _JOINT_SETS[counts.pop()] if counts else "body_25"),)


def _sightings(file: Path) -> Iterator[Sighting]:
    try:
        content = _Image.model_validate(read_json(file))
    except ValidationError as error:
        raise RawDataError(
            file,
            found=f"another layout ({error.errors()[0]['msg']})",
            expected="people with pose_keypoints_2d of 25 joints (BODY_25) or 18 (COCO)",
            remedy="Run OpenPose with --model_pose BODY_25 and --write_json.",
        ) from error
    frame = frame_number(file, file.name)
    for one in content.people:
        keypoints = np.asarray(one.pose_keypoints_2d, dtype=np.float32)
        identity = str(one.person_id[0]) if one.person_id and one.person_id[0] >= 0 else None
        yield Sighting(frame, identity, keypoints, float(keypoints[:, 2].mean()))


OPENPOSE = KeypointFormat("openpose", "OpenPose's folder of JSON files, BODY_25 or COCO", recognises, read)
