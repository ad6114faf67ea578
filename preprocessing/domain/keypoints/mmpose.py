"""The predictions of mmpose's inferencer: one JSON file per video, with 17 keypoints of COCO or 26 of Halpe.

A list of images with ``frame_id`` and ``instances``, or the dictionary with ``instance_info`` that mmpose's
demo writes. Instances have ``keypoints``, ``keypoint_scores`` and, of a tracker, ``track_id``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from poseshift.preprocessing.domain.keypoints.formats import KeypointFormat, People, read_json
from poseshift.preprocessing.domain.tracks import Sighting, View, collect, most_certain
from poseshift.preprocessing.errors import RawDataError

_JOINT_SETS = {17: "coco_17", 26: "halpe_26"}


class _Instance(BaseModel):
    model_config = ConfigDict(extra="ignore")

    keypoints: list[tuple[float, float]] = Field(min_length=1)
    keypoint_scores: list[float]
    track_id: int | str | None = None


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    frame_id: int
    instances: list[_Instance]


_IMAGES: TypeAdapter[list[_Image]] = TypeAdapter(list[_Image])


def recognises(path: Path) -> bool:
    """Whether it is a JSON file of images with instances."""
    if path.suffix != ".json" or not path.is_file():
        return False
    images = _images(read_json(path))
    return bool(
        isinstance(images, list) and images and isinstance(images[0], dict) and "instances" in images[0]
    )


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read the people of one video."""
    try:
        images = _IMAGES.validate_python(_images(read_json(path)))
    except ValidationError as error:
        first = error.errors()[0]
        raise _error(path, f"another layout ({first['msg']} at {first['loc']})") from error
    joints = {len(one.keypoints) for image in images for one in image.instances}
    if len(joints) != 1 or not joints <= set(_JOINT_SETS):
        raise _error(path, f"people with {sorted(joints)} keypoints")
    sightings = list(_sightings(path, images))
    chosen = most_certain(sightings) if people == "most-certain" else sightings
    return (collect(path, chosen, _JOINT_SETS[joints.pop()]),)


def _images(content: Any) -> Any:
    return content.get("instance_info") if isinstance(content, dict) else content


def _sightings(path: Path, images: list[_Image]) -> Iterator[Sighting]:
    for image in images:
        for one in image.instances:
            if len(one.keypoint_scores) != len(one.keypoints):
                raise _error(path, f"{len(one.keypoint_scores)} scores of {len(one.keypoints)} keypoints")
            scores = np.asarray(one.keypoint_scores, dtype=np.float32)
            keypoints = np.concatenate([np.asarray(one.keypoints, dtype=np.float32), scores[:, None]], axis=1)
            identity = None if one.track_id is None else str(one.track_id)
            yield Sighting(image.frame_id, identity, keypoints, float(scores.mean()))


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="images with frame_id and instances of 17 (COCO) or 26 (Halpe) keypoints and scores",
        remedy="Write the predictions with pred_out_dir of mmpose's inferencer.",
    )


MMPOSE = KeypointFormat(
    "mmpose", "Predictions of mmpose's inferencer, a JSON file per video", recognises, read
)
