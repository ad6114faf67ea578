"""COCO-style detections of people into the ``keypoints_2d_<detector>`` arrays of a trial.

Reads the results format of COCO's keypoint task (a list of ``image_id``, ``keypoints``, ``score``), which
most detectors write, and the dictionary with ``images`` and ``annotations``. One file is one video.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from poseshift.geometry.skeleton import COCO_17, HUMAN36M_17, mapping
from poseshift.storage.exchange.npz import ExchangeError
from poseshift.storage.schema import Float32, Trial


class Detection(BaseModel):
    """One person in one image, as COCO's results have it; further fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image_id: int | str
    keypoints: list[float] = Field(min_length=51, max_length=51)
    score: float = 1.0


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: int | str
    file_name: str


class _Annotated(BaseModel):
    model_config = ConfigDict(extra="ignore")

    images: list[_Image]
    annotations: list[Detection]


_FILE: TypeAdapter[_Annotated | list[Detection]] = TypeAdapter(_Annotated | list[Detection])


def read_coco_detections(path: Path, frames: int, first_frame: int = 0) -> Float32:
    """Read the detections of one video, as the 17 joints of Human3.6M.

    Where an image shows several people, the one with the highest score is taken. An image without anybody
    keeps zeros with confidence zero. A joint made of several keypoints has the least of their confidences.

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
    try:
        content = _FILE.validate_python(json.loads(path.read_bytes()))
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise ExchangeError(path, f"not COCO-style detections with 17 keypoints each ({error})") from error
    detections, names = (
        (content.annotations, {image.id: image.file_name for image in content.images})
        if isinstance(content, _Annotated)
        else (content, {})
    )
    best: dict[int, Detection] = {}
    for detection in detections:
        frame = _frame_number(path, names.get(detection.image_id, detection.image_id)) - first_frame
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
    return _human36m_from_coco(coco)


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


def _human36m_from_coco(coco: NDArray[np.float64]) -> Float32:
    to_human36m = mapping("coco_17", "human36m_17")
    result = np.empty((len(coco), to_human36m.target.joints, 3), dtype=np.float32)
    result[..., :2] = to_human36m.apply(coco[..., :2])
    for joint, parts in enumerate(to_human36m.weights):
        result[:, joint, 2] = coco[:, [source for source, _ in parts], 2].min(axis=1)
    return result
