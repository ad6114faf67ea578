"""MediaPipe Pose's 33 landmarks, as an npz file with one array per camera.

``<camera>`` is (frames, 33, 3): x and y in pixels and visibility; ``<camera>_size`` is width and height. One
person per video, which is all that MediaPipe Pose finds. Other members are left alone.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from poseshift.geometry.detectors import MEDIAPIPE_33
from poseshift.preprocessing.domain.keypoints.formats import KeypointFormat, People
from poseshift.preprocessing.domain.tracks import ONLY_PERSON, Track, View, cleaned
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.exchange.npz import ExchangeError, read_npz

_SIZE = "_size"


def recognises(path: Path) -> bool:
    """Whether it is an npz file with sizes of images."""
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.removesuffix(".npy").endswith(_SIZE) for name in archive.namelist())


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read every camera of the file."""
    del people  # there is one
    try:
        content = read_npz(path)
    except ExchangeError as error:
        raise RawDataError(
            path, found=error.problem, expected="an npz file of landmarks", remedy="Write the file again."
        ) from error
    names = [name.removesuffix(_SIZE) for name in content if name.endswith(_SIZE)]
    views = []
    for name in names:
        landmarks, size = content.get(name), content[name + _SIZE]
        if landmarks is None or landmarks.ndim != 3 or landmarks.shape[1:] != (MEDIAPIPE_33.joints, 3):
            found = "no array" if landmarks is None else f"an array of shape {landmarks.shape}"
            raise RawDataError(
                path,
                found=f"{found} under {name!r}",
                expected="(frames, 33, 3): x px, y px, visibility",
                remedy="Write the landmarks of each camera under its name.",
            )
        width, height = (int(one) for one in np.asarray(size).reshape(-1)[:2])
        keypoints = cleaned(np.asarray(landmarks, dtype=np.float32))
        views.append(View(name, (width, height), "mediapipe_33", 0, (Track(ONLY_PERSON, keypoints),)))
    return tuple(views)


MEDIAPIPE = KeypointFormat(
    "mediapipe",
    "MediaPipe Pose's 33 landmarks, an npz file with an array and a size per camera",
    recognises,
    read,
)
