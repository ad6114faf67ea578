"""COCO's keypoint results, and AlphaPose's, which add a track: one JSON file per video.

A list of ``image_id``, ``keypoints``, ``score`` and a track (``track_id``, or AlphaPose's ``idx``), or the
dictionary with ``images`` and ``annotations``. 17 keypoints are COCO's, 26 are Halpe's. Visibility flags (0,
1 and 2) are no confidences: what is marked, hidden or not, has confidence 1. Crowd regions are nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from poseshift.preprocessing.domain.keypoints.formats import (
    KeypointFormat,
    People,
    frame_number,
    read_json,
)
from poseshift.preprocessing.domain.tracks import Sighting, View, collect, most_certain
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.exchange.detections import are_flags

_JOINT_SETS = {17 * 3: "coco_17", 26 * 3: "halpe_26"}


class _Person(BaseModel):
    model_config = ConfigDict(extra="ignore")

    image_id: int | str
    keypoints: list[float]
    score: float = 1.0
    track_id: int | str | None = None
    idx: Any = None
    iscrowd: bool = False

    @property
    def identity(self) -> str | None:
        if self.track_id is not None:
            return str(self.track_id)
        number = self.idx
        while isinstance(number, list) and number:  # AlphaPose nests it
            number = number[0]
        return str(int(number)) if isinstance(number, int | float) else None


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Annotated(BaseModel):
    model_config = ConfigDict(extra="ignore")

    images: list[_Image]
    annotations: list[_Person]


_FILE: TypeAdapter[_Annotated | list[_Person]] = TypeAdapter(_Annotated | list[_Person])


def recognises(path: Path) -> bool:
    """Whether it is a JSON file whose people have an ``image_id``."""
    if path.suffix != ".json" or not path.is_file():
        return False
    content = read_json(path)
    people = content.get("annotations") if isinstance(content, dict) else content
    return bool(
        isinstance(people, list) and people and isinstance(people[0], dict) and "image_id" in people[0]
    )


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read the people of one video."""
    try:
        content = _FILE.validate_python(read_json(path))
    except ValidationError as error:
        raise RawDataError(
            path,
            found=f"people of another layout ({error.errors()[0]['msg']} at {error.errors()[0]['loc']})",
            expected="COCO's keypoint results: image_id, keypoints, score",
            remedy="Write the results again, or name another layout with --format.",
        ) from error
    given, images = (
        (content.annotations, content.images) if isinstance(content, _Annotated) else (content, [])
    )
    lengths = {len(one.keypoints) for one in given}
    if len(lengths) != 1 or not lengths <= set(_JOINT_SETS):
        raise RawDataError(
            path,
            found=f"people with {sorted(length / 3 for length in lengths)} keypoints",
            expected="17 (COCO) or 26 (Halpe) keypoints of x, y and confidence each",
            remedy="Use a detector model with one of these joint sets.",
        )
    names = {image.id: image.file_name for image in images}
    sightings = list(_sightings(path, given, names))
    view = collect(
        path, most_certain(sightings) if people == "most-certain" else sightings, _JOINT_SETS[lengths.pop()]
    )
    sizes = {(one.width, one.height) for one in images if one.width and one.height}
    if len(sizes) > 1:
        raise RawDataError(
            path,
            found=f"images of several sizes: {sorted(sizes, key=str)}",
            expected="the images of one video, of one size",
            remedy="Give each video a file of its own.",
        )
    width, height = next(iter(sizes), (None, None))
    size = None if width is None or height is None else (width, height)
    return (View(None, size, view.skeleton, view.first_frame, view.tracks),)


def _sightings(path: Path, people: list[_Person], names: dict[int | str, str]) -> Iterator[Sighting]:
    every = [np.reshape(np.asarray(one.keypoints, dtype=np.float32), (-1, 3)) for one in people]
    flags = are_flags(np.concatenate([keypoints[:, 2] for keypoints in every]))
    for one, keypoints in zip(people, every, strict=True):
        frame = frame_number(path, names.get(one.image_id, one.image_id))
        if one.iscrowd or not (keypoints[:, 2] > 0).any():
            continue  # a region with many people, or somebody of whom nothing is marked
        if flags:
            keypoints[:, 2] = np.minimum(keypoints[:, 2], 1)
        yield Sighting(frame, one.identity, keypoints, one.score)


COCO = KeypointFormat(
    "coco",
    "COCO keypoint results or AlphaPose's JSON, a file per video (17 or 26 keypoints)",
    recognises,
    read,
)
