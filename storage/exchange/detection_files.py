"""Files of detections for the trials of a store: VideoPose3D's 2D file, or a folder of COCO's.

VideoPose3D's (``data_2d_h36m_cpn_ft_h36m_dbb.npz`` and others) has the views of a trial in the order of the
data set's cameras. A folder has a file per trial and camera, ``<subject>/<trial>/<camera>.json`` or
``<subject>/<trial>.<camera>.json`` as Human3.6M's videos are called, of COCO's results or annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from poseshift.storage.exchange.detections import read_coco_detections
from poseshift.storage.exchange.npz import ExchangeError, ObjectArrays
from poseshift.storage.exchange.videopose3d import import_keypoints
from poseshift.storage.schema import Float32, TrialKey

MOST_FRAMES_OVER = 100
"""Videos run a little longer than motion capture."""


@dataclass(frozen=True)
class Wanted:
    """A trial that detections are looked for.

    Attributes
    ----------
    key : TrialKey
        The trial.
    cameras : tuple[str, ...]
        Names of its cameras, in its order.
    frames : int
        Frames of the recording up to the trial's last.
    """

    key: TrialKey
    cameras: tuple[str, ...]
    frames: int


@dataclass(frozen=True)
class Detected:
    """What a file has of a trial: (frames, 17, 2 or 3) per camera, and the files it is from."""

    key: TrialKey
    views: tuple[Float32, ...]
    files: tuple[Path, ...]


def detections_of(
    place: Path, wanted: Sequence[Wanted], object_arrays: ObjectArrays = "refuse", first_frame: int = 0
) -> Iterator[Detected]:
    """Find the detections of trials; trials that the file or folder does not have are left out.

    Parameters
    ----------
    place : Path
        VideoPose3D's npz, or a folder.
    wanted : sequence of Wanted
        The trials.
    object_arrays : ObjectArrays
        VideoPose3D's files are pickles inside.
    first_frame : int
        The number that the folder's files give to the first frame.

    Raises
    ------
    ExchangeError
        A file is not in its layout, or some of a trial's cameras have no file.
    """
    if place.is_dir():
        for one in wanted:
            yield from _of_folder(place, one, first_frame)
        return
    found = import_keypoints(place, object_arrays)
    for one in wanted:
        if one.key in found:
            yield Detected(one.key, found[one.key], (place,))


def _of_folder(folder: Path, one: Wanted, first_frame: int) -> Iterator[Detected]:
    subject, trial = folder / one.key.subject, one.key.trial
    candidates = {
        camera: (subject / trial / f"{camera}.json", subject / f"{trial}.{camera}.json")
        for camera in one.cameras
    }
    files = {
        camera: next((path for path in paths if path.is_file()), None) for camera, paths in candidates.items()
    }
    there = [path for path in files.values() if path is not None]
    if not there:
        return
    if len(there) < len(files):
        lacking = next(camera for camera, path in files.items() if path is None)
        raise ExchangeError(
            candidates[lacking][0],
            f"no detections of camera {lacking} of {one.key.path}, and there are of others",
            "Detect people in all of a trial's videos, or leave all of its files out",
        )
    views = tuple(read_coco_detections(path, one.frames + MOST_FRAMES_OVER, first_frame) for path in there)
    yield Detected(one.key, views, tuple(there))
