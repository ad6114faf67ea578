"""Masks of a person beside the keypoints of a store: silhouettes, or labels of body parts, from any program.

A folder holds for every view either pictures ``<subject>/<trial>/<camera>/<frame>.png`` or one file
``<subject>/<trial>/<camera>.json`` in the form of COCO's results: a list of ``{"image_id": frame,
"category_id": label, "segmentation": {"size": [height, width], "counts": runs}}``. Names are those that
predictions are written under. With ``labels.json`` (body part to the labels that show it) pixels are labels,
0 being the background; without it, whatever is not 0 is the person. Masks are in the pixels of the camera's
own image, lens included.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from poseshift.geometry.camera import Camera
from poseshift.storage.names import file_part
from poseshift.storage.rle import decode_rle
from poseshift.storage.schema import TrialKey
from poseshift.storage.sentences import in_sentences
from poseshift.storage.text import read_text

LABELS_FILE = "labels.json"

Labels = NDArray[np.uint8]


class MaskError(ValueError):
    """A file of masks that cannot be used: which, what was found, what was expected."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(f"{path}: found {found}; expected {expected}")


class _Runs(BaseModel):
    model_config = ConfigDict(frozen=True)
    size: tuple[int, int]
    counts: str | tuple[int, ...]


class _Annotation(BaseModel):
    """One label of one frame; scores, boxes and the like may stand beside it."""

    model_config = ConfigDict(frozen=True)
    image_id: int = Field(ge=0)
    category_id: int = Field(default=1, ge=1, le=255)
    segmentation: _Runs


_ANNOTATIONS = TypeAdapter(tuple[_Annotation, ...])
_LABELS = TypeAdapter(dict[str, tuple[int, ...]])


@dataclass(frozen=True)
class ViewMasks:
    """Masks of one trial before one camera.

    Attributes
    ----------
    camera : Camera
        With the lens that the pictures were taken through.
    pictures : Mapping[int, Path]
        Frame to its picture.
    runs : Mapping[int, tuple]
        Frame to its annotations of ``file``.
    file : Path
        Where they are from: the folder or the file.
    """

    camera: Camera
    pictures: Mapping[int, Path]
    runs: Mapping[int, tuple[_Annotation, ...]]
    file: Path

    @property
    def frames(self) -> frozenset[int]:
        """Frames that have a mask."""
        return frozenset(self.pictures) | frozenset(self.runs)

    def read(self, frame: int) -> Labels:
        """Read the labels of a frame, (height, width).

        Raises
        ------
        MaskError
            The file is not a mask of this camera.
        """
        if frame in self.pictures:
            return _picture(self.pictures[frame], self.camera)
        width, height = self.camera.size_px
        drawn = np.zeros((height, width), dtype=np.uint8)
        for one in self.runs[frame]:
            if one.segmentation.size != (height, width):
                raise MaskError(
                    self.file,
                    f"a mask of {one.segmentation.size[1]} x {one.segmentation.size[0]} px in frame {frame}",
                    _size_of(self.camera),
                )
            try:
                drawn[decode_rle(one.segmentation.counts, height, width)] = one.category_id
            except ValueError as error:
                raise MaskError(
                    self.file,
                    f"frame {frame}, label {one.category_id}: {error}",
                    "COCO's run-length encoding",
                ) from error
        return drawn


@dataclass(frozen=True)
class MaskFolder:
    """A folder of masks.

    Attributes
    ----------
    folder : Path
        Where.
    labels : Mapping[str, tuple[int, ...]] or None
        Body part to the labels that show it; None where masks are silhouettes.
    """

    folder: Path
    labels: Mapping[str, tuple[int, ...]] | None

    @classmethod
    def open(cls, folder: Path, parts: Iterable[str]) -> MaskFolder:
        """Look at a folder.

        Parameters
        ----------
        folder : Path
            Where.
        parts : iterable of str
            All parts of a body, each of which ``labels.json`` must name.

        Raises
        ------
        MaskError
            It is no folder, or its ``labels.json`` does not name the parts.
        """
        if not folder.is_dir():
            raise MaskError(folder, "no folder", "a folder with masks of a store's views")
        path = folder / LABELS_FILE
        if not path.exists():
            return cls(folder, None)
        expected = f"an object with labels from 1 to 255 for each of {', '.join(parts)}"
        try:
            labels = _LABELS.validate_json(read_text(path))
        except ValidationError as error:
            raise MaskError(path, in_sentences(error), expected) from error
        if set(labels) != set(parts):
            raise MaskError(path, f"the parts {', '.join(sorted(labels))}", expected)
        if not all(values and all(0 < value < 256 for value in values) for values in labels.values()):
            raise MaskError(path, "a part without labels, or a label outside of 1 to 255", expected)
        return cls(folder, labels)

    def view(self, trial: TrialKey, camera: Camera) -> ViewMasks:
        """List the masks of a view; a view may have none.

        Raises
        ------
        MaskError
            A file is no JSON of COCO's form, or a picture's name is no frame.
        """
        place = self.folder / file_part(trial.subject) / file_part(trial.trial) / file_part(camera.name)
        beside = place.with_name(f"{place.name}.json")
        if beside.is_file() and place.is_dir():
            raise MaskError(place, f"pictures, and {beside.name} beside them", "one of the two for a view")
        if beside.is_file():
            return ViewMasks(camera, {}, _annotations(beside), beside)
        pictures: dict[int, Path] = {}
        for path in sorted(place.glob("*.png")):
            if not (path.stem.isascii() and path.stem.isdigit()):
                raise MaskError(
                    path, "a name that is no number", "the number of the frame, such as 000012.png"
                )
            if int(path.stem) in pictures:
                raise MaskError(path, f"frame {int(path.stem)} twice", "one picture for a frame")
            pictures[int(path.stem)] = path
        return ViewMasks(camera, pictures, {}, place)

    def digest(self) -> str:
        """SHA-256 over names and contents of all files that may be read."""
        total = hashlib.sha256()
        for path in sorted((*self.folder.rglob("*.png"), *self.folder.rglob("*.json"))):
            total.update(json.dumps(path.relative_to(self.folder).as_posix()).encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()


def _size_of(camera: Camera) -> str:
    return f"{camera.size_px[0]} x {camera.size_px[1]} px, the image of camera {camera.name}"


def _annotations(path: Path) -> Mapping[int, tuple[_Annotation, ...]]:
    try:
        held = _ANNOTATIONS.validate_json(read_text(path))
    except ValidationError as error:
        raise MaskError(
            path, in_sentences(error), "COCO's results with run-length masks (polygons are not read)"
        ) from error
    by_frame: dict[int, list[_Annotation]] = defaultdict(list)
    for one in held:
        by_frame[one.image_id].append(one)
    return {frame: tuple(some) for frame, some in by_frame.items()}


def _picture(path: Path, camera: Camera) -> Labels:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            # Before anything is decoded: a picture of another size is not made room for.
            if picture.size != camera.size_px:
                raise MaskError(path, f"{picture.size[0]} x {picture.size[1]} px", _size_of(camera))
            if picture.mode not in ("1", "L", "P"):
                raise MaskError(
                    path,
                    f"a picture of mode {picture.mode}",
                    "one channel of labels (grey or palette, 8 bits)",
                )
            return np.asarray(picture).astype(np.uint8)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise MaskError(path, str(error), "a PNG picture that is whole") from error
