"""Detections of a file that is not part of a release, beside the ground truth of trials that a store has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.domain.tracks import missing_as_nan, person_size
from poseshift.storage.exchange.detections import attach_detections
from poseshift.storage.exchange.trials import FRAME_STEP
from poseshift.storage.schema import Float32, SourceFile, Trial

LARGEST_SHARE = 0.15
"""Median distance of detected from labelled joints, as a share of the person's size: detectors have 0.02, the
same person from another camera, or another person, 0.3 and more."""

FROM = "detections_from."
"""Begin of the options that say from which file, of which SHA-256, a detector's keypoints came."""


class UnfitDetectionsError(ValueError):
    """Detections that are not of the trial's people, cameras or frames."""


def recording_rows(trial: Trial) -> NDArray[np.int64]:
    """Which frames of the recording, (frames,), a trial has."""
    numbers = np.arange(trial.frames) if trial.frame_number is None else trial.frame_number
    return np.asarray(numbers, dtype=np.int64) * int(trial.options.get(FRAME_STEP, "1"))


def with_detections(
    trial: Trial, detector: str, views: Sequence[Float32], sources: Sequence[SourceFile]
) -> Trial:
    """Add a detector's keypoints of the whole recording to a trial, in place of those of the same name.

    Parameters
    ----------
    trial : Trial
        The trial; it may have every n-th frame of its recording.
    detector : str
        Name of the keypoints.
    views : sequence of array of shape (frames of the recording, 17, 2 or 3)
        Per camera, in the trial's order; pixels, and confidences where there are any.
    sources : sequence of SourceFile
        The files that they are from.

    Raises
    ------
    UnfitDetectionsError
        There are too few frames or cameras, or the keypoints are nowhere near the labelled ones.
    """
    rows = recording_rows(trial)
    where = f"trial {trial.key.path!r}"
    if len(views) != len(trial.cameras):
        raise UnfitDetectionsError(
            f"{where}: detections of {len(views)} cameras, and {len(trial.cameras)} have labels"
        )
    for camera, view in zip(trial.cameras, views, strict=True):
        if len(view) <= rows[-1]:
            raise UnfitDetectionsError(
                f"{where}, camera {camera.name}: detections of {len(view)} frames; the trial needs frame "
                f"{rows[-1]} of the recording"
            )
    attached = attach_detections(trial, detector, [view[rows] for view in views])
    if trial.keypoints_2d is not None:
        _require_near(where, attached, detector)
    origin = {FROM + detector: ", ".join(f"{one.path} sha256:{one.sha256}" for one in sources)}
    return replace(attached, options={**attached.options, **origin})


def _require_near(where: str, trial: Trial, detector: str) -> None:
    labelled = trial.labelled[1].astype(np.float64)
    for camera, seen, true in zip(trial.cameras, trial.detections[detector], labelled, strict=True):
        points = missing_as_nan(seen)
        if np.isnan(points).all():
            continue
        off, size = float(np.nanmedian(np.linalg.norm(points - true, axis=-1))), person_size(true)
        if off > LARGEST_SHARE * size:
            raise UnfitDetectionsError(
                f"{where}, camera {camera.name}: detections are off the labels by {off:.0f} px (median), "
                f"of a person of {size:.0f} px; cameras, people or frames do not belong together"
            )
