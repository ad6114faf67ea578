"""VideoPose3D's file of one's own videos, ``data_2d_custom_<name>.npz``: pixels of the person in each video.

``positions_2d`` is video -> ``custom`` -> a list of one (frames, 17, 2) array, ``metadata`` names the
joints (``coco`` or ``h36m``) and the size of each video. Both are pickles in the file; they are read by the
project's restricted reader, which calls nothing. The layout has no confidences: its writer has filled what
was missing, so every joint counts as seen with confidence 1. Videos are named without their suffix.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.domain.keypoints.formats import KeypointFormat, People
from poseshift.preprocessing.domain.tracks import ONLY_PERSON, Track, View, cleaned
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.exchange.npz import ExchangeError, read_npz, require_mapping, require_numbers

_LAYOUTS = {"coco": "coco_17", "h36m": "human36m_17"}
_ACTION = "custom"


def recognises(path: Path) -> bool:
    """Whether it is an npz file with VideoPose3D's two members."""
    if path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"positions_2d.npy", "metadata.npy"} <= set(archive.namelist())


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read every video of the file, each as a camera."""
    del people  # there is one in each video
    try:
        content = read_npz(path, "restricted")
        metadata = require_mapping(path, "'metadata'", content["metadata"])
        videos = require_mapping(path, "'positions_2d'", content["positions_2d"])
        joint_set = _LAYOUTS.get(str(metadata.get("layout_name")))
        if joint_set is None:
            raise ExchangeError(path, f"joints of the layout {metadata.get('layout_name')!r}")
        sizes = require_mapping(path, "'video_metadata'", metadata.get("video_metadata", {}))
        return tuple(
            view for name, video in videos.items() for view in _views(path, name, video, sizes, joint_set)
        )
    except ExchangeError as error:
        raise RawDataError(
            path,
            found=error.problem,
            expected="VideoPose3D's positions_2d and metadata of own videos, of coco's or h36m's joints",
            remedy="Write it again with VideoPose3D's prepare_data_2d_custom.py; releases of data sets are "
            "read by `poseshift import`.",
        ) from error


def _views(path: Path, name: str, video: Any, sizes: Mapping[str, Any], joint_set: str) -> Iterator[View]:
    actions = require_mapping(path, f"video {name!r}", video)
    if set(actions) != {_ACTION} or not isinstance(actions[_ACTION], list | tuple | np.ndarray):
        raise ExchangeError(path, f"video {name!r} with {', '.join(map(repr, actions))}, not 'custom' alone")
    camera = re.sub(r"\.(mp4|avi|mov|mkv|webm|m4v)$", "", name, flags=re.IGNORECASE)
    for number, given in enumerate(actions[_ACTION]):
        points = require_numbers(path, f"video {name!r}", given, (None, skeleton(joint_set).joints, 2))
        seen = np.ones((*points.shape[:2], 1), dtype=np.float32)
        keypoints = cleaned(np.concatenate([points.astype(np.float32), seen], axis=-1))
        own = camera if len(actions[_ACTION]) == 1 else f"{camera}_{number}"
        yield View(own, _size(path, name, sizes), joint_set, 0, (Track(ONLY_PERSON, keypoints),))


def _size(path: Path, name: str, sizes: Mapping[str, Any]) -> tuple[int, int] | None:
    if name not in sizes:
        return None
    size = require_mapping(path, f"the size of video {name!r}", sizes[name])
    try:
        return int(size["w"]), int(size["h"])
    except (KeyError, TypeError, ValueError) as error:
        raise ExchangeError(path, f"no width and height of video {name!r}") from error


VIDEOPOSE3D = KeypointFormat(
    "videopose3d", "VideoPose3D's npz of own videos, data_2d_custom_*.npz", recognises, read
)
