"""COCO-style detections of people into the ``keypoints_2d_<detector>`` arrays of a trial.

Reads the results format of COCO's keypoint task (a list of ``image_id``, ``keypoints``, ``score``), which
most detectors write, and the dictionary with ``images`` and ``annotations``. One file is one video.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from poseshift.geometry.skeleton import COCO_17, HUMAN36M_17, mapping
from poseshift.storage.exchange.npz import ExchangeError
from poseshift.storage.schema import Float32, Trial
from poseshift.storage.sentences import in_sentences
from poseshift.storage.text import TextEncodingError, decode

logger = logging.getLogger(__name__)


_LAYOUTS = {17: "COCO", 26: "Halpe-26", 133: "COCO-WholeBody", 136: "Halpe-136"}
"""Keypoints of a person in the layouts that begin with COCO's 17; of the others those 17 are read."""


class Detection(BaseModel):
    """One person in one image, as COCO's results have it; further fields are ignored.

    ``track_id`` (AlphaPose: ``idx``) tells people apart over the images of a video.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    image_id: int | str
    keypoints: list[float]
    score: float = 1.0
    track_id: int | str | None = Field(default=None, validation_alias=AliasChoices("track_id", "idx"))

    @field_validator("track_id", mode="before")
    @classmethod
    def _only_ids(cls, value: Any) -> Any:
        return int(value) if isinstance(value, float) else value if isinstance(value, int | str) else None

    @field_validator("keypoints")
    @classmethod
    def _first_of_coco(cls, keypoints: list[float]) -> list[float]:
        count, rest = divmod(len(keypoints), 3)
        if rest or count not in _LAYOUTS:
            known = ", ".join(f"{number} ({name})" for number, name in _LAYOUTS.items())
            raise ValueError(
                f"{len(keypoints)} numbers are {len(keypoints) / 3:g} keypoints; expected those of {known}"
            )
        return keypoints[: 3 * COCO_17.joints]


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str
    file_name: str


class _Annotated(BaseModel):
    model_config = ConfigDict(extra="ignore")

    images: list[_Image]
    annotations: list[Detection]


_DETECTIONS = TypeAdapter(list[Detection])


def read_coco_detections(path: Path, frames: int, first_frame: int = 0) -> Float32:
    """Read the detections of one video, as the 17 joints of Human3.6M.

    Where the file tells people apart by track, one person is followed: the one whose scores sum to most.
    Otherwise the one with the highest score of each image is taken. An image without anybody keeps zeros with
    confidence zero. A joint made of several keypoints has the least of their confidences. COCO's visibility
    flags (0, 1 and 2) are no confidences: a joint that is labelled, hidden or not, has confidence 1.

    Parameters
    ----------
    path : Path
        JSON file.
    frames : int
        Number of frames of the trial.
    first_frame : int
        The number that the file gives to the first frame. An ``image_id`` (or the file name that it stands
        for) is a frame number, or ends in one before its suffix: ``54138969_000001.jpg``.

    Returns
    -------
    array (frames, 17, 3), float32: pixels and confidence.

    Raises
    ------
    ExchangeError
        When the file is not such JSON, or an image lies outside the trial.
    """
    detections, names = _content(path)
    best: dict[int, Detection] = {}
    for detection in _of_one_person(path, detections):
        name = names.get(str(detection.image_id), detection.image_id)
        frame = _frame_number(path, name) - first_frame
        if not 0 <= frame < frames:
            raise ExchangeError(
                path,
                f"image {detection.image_id!r} is frame {frame} of a trial with frames 0 to {frames - 1}; "
                f"check first_frame, which is {first_frame}",
            )
        if frame not in best or detection.score > best[frame].score:
            best[frame] = detection
    coco = np.zeros((frames, COCO_17.joints, 3))
    for frame, detection in best.items():
        coco[frame] = np.reshape(detection.keypoints, (COCO_17.joints, 3))
    if are_flags(coco[..., 2]):
        coco[..., 2] = np.minimum(coco[..., 2], 1)
    return human36m_from_coco(coco)


def _content(path: Path) -> tuple[list[Detection], dict[str, str]]:
    """Read the detections, and the file names of images that the file lists: ids may be text or integers."""
    try:
        content = json.loads(decode(path.read_bytes(), path))
        if isinstance(content, dict):
            annotated = _Annotated.model_validate(content)
            return annotated.annotations, {str(image.id): image.file_name for image in annotated.images}
        return _DETECTIONS.validate_python(content), {}
    except ValidationError as error:
        raise ExchangeError(path, f"not COCO-style detections of people: {in_sentences(error)}") from error
    except (json.JSONDecodeError, TextEncodingError) as error:
        raise ExchangeError(path, f"not COCO-style detections of people, no JSON at all ({error})") from error


def _of_one_person(path: Path, detections: list[Detection]) -> list[Detection]:
    """Follow one track, so that frames do not alternate between people; all of them without tracks."""
    scores: dict[str, float] = {}
    for detection in detections:
        if detection.track_id is not None:
            track = str(detection.track_id)
            scores[track] = scores.get(track, 0.0) + detection.score
    if len(scores) < 2:
        return detections
    chosen = max(scores, key=lambda track: scores[track])
    followed = [one for one in detections if one.track_id is not None and str(one.track_id) == chosen]
    logger.warning(
        "%s: %d people by track; the one of track %s is followed, in %d of %d detections",
        *(path, len(scores), chosen, len(followed), len(detections)),
    )
    return followed


def are_flags(confidences: NDArray[np.float64]) -> bool:
    """Whether what stands for confidences are COCO's visibility flags, of which 2 is the usual one."""
    return bool(np.isin(confidences, (0, 1, 2)).all() and (confidences == 2).any())


def attach_detections(trial: Trial, detector: str, keypoints: Sequence[NDArray[Any]]) -> Trial:
    """Add a detector's keypoints to a trial, in place of any of the same name.

    Parameters
    ----------
    trial : Trial
        The trial.
    detector : str
        Name of the detector.
    keypoints : Sequence[NDArray[Any]]
        Per camera (frames, 17, 2) pixels, or (frames, 17, 3) with confidence; missing confidences are 1.
        A joint that is NaN was not seen, and is kept as zeros with confidence zero. Videos may be a few
        frames longer than the motion capture: what is over is cut.

    Raises
    ------
    ValueError
        When there are not as many arrays as cameras, or one has too few frames.
    """
    if len(keypoints) != len(trial.cameras):
        raise ValueError(
            f"trial {trial.key.path!r} has {len(trial.cameras)} cameras; detections are of {len(keypoints)}"
        )
    stacked = np.ones((len(keypoints), trial.frames, HUMAN36M_17.joints, 3), dtype=np.float32)
    for number, array in enumerate(keypoints):
        if len(array) < trial.frames:
            raise ValueError(
                f"trial {trial.key.path!r}, camera {trial.cameras[number].name}: detections of {len(array)} "
                f"frames; expected at least {trial.frames}"
            )
        stacked[number, ..., : array.shape[-1]] = array[: trial.frames]
    stacked[np.isnan(stacked).any(axis=-1)] = 0  # a store holds finite numbers only
    return replace(trial, detections={**trial.detections, detector: stacked})


def _frame_number(path: Path, name: int | str) -> int:
    if isinstance(name, int):
        return name
    digits = re.search(r"(\d+)(?:\.\w+)?$", name)
    if digits is None:
        raise ExchangeError(path, f"image {name!r} has no frame number at its end")
    return int(digits.group(1))


def human36m_from_coco(coco: NDArray[np.float64]) -> Float32:
    """Make Human3.6M's (frames, 17, 3) keypoints of COCO's, with the least confidence of their parts."""
    to_human36m = mapping("coco_17", "human36m_17")
    result = np.empty((len(coco), to_human36m.target.joints, 3), dtype=np.float32)
    result[..., :2] = to_human36m.apply(coco[..., :2])
    for joint, parts in enumerate(to_human36m.weights):
        result[:, joint, 2] = coco[:, [source for source, _ in parts], 2].min(axis=1)
    return result
