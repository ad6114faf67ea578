"""mmpose's annotation files: ``h36m_{train,test}.npz`` and ``mpi_inf_3dhp_{train,test_valid}.npz``.

One row per image: its name (which says subject, trial, camera and frame), box, 2D pixels and 3D metres in
camera axes. Human3.6M's joints as stored, 3DHP's in the order of its test files. The calibrations, which
mmpose keeps in a separate pickle, are the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import JointMapping, mapping
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.exchange.npz import ExchangeError, read_npz, require_member, require_numbers
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.provenance import digest_file
from poseshift.storage.schema import TrialKey

ImageNaming = Literal["human36m", "mpi_inf_3dhp_train", "mpi_inf_3dhp_test"]

_BOX_MARGIN = 1.2
_BOX_UNIT_PX = 200.0
_SKELETONS: dict[ImageNaming, str] = {
    "human36m": "human36m_17",
    "mpi_inf_3dhp_train": "mpi_inf_3dhp_17",
    "mpi_inf_3dhp_test": "mpi_inf_3dhp_17",
}
_PATTERNS: dict[ImageNaming, str] = {
    "human36m": r"(?P<subject>S\d+)_(?P<trial>.+)\.(?P<camera>\d+)_(?P<frame>\d+)\.jpg",
    "mpi_inf_3dhp_train": r"(?P<subject>S\d+)_(?P<trial>Seq\d+)_Cam(?P<camera>\d+)_(?P<frame>\d+)\.jpg",
    "mpi_inf_3dhp_test": r"(?P<subject>(?P<trial>(?P<camera>TS\d+)))_(?P<frame>\d+)\.jpg",
}


@dataclass(frozen=True, order=True)
class ImageName:
    """What the name of an image says; ``frame`` counts from zero, in the name from one."""

    subject: str
    trial: str
    camera: str
    frame: int

    @classmethod
    def parse(cls, name: str, naming: ImageNaming) -> ImageName | None:
        """Read an image's name, folders ignored; None when it is not of that kind."""
        found = re.fullmatch(_PATTERNS[naming], PurePosixPath(name).name)
        if found is None:
            return None
        trial = found["trial"].replace("_", " ") if naming == "human36m" else found["trial"]
        return cls(found["subject"], trial, found["camera"], int(found["frame"]) - 1)

    def format(self, naming: ImageNaming) -> str:
        """Write the name as mmpose has it."""
        number = f"{self.frame + 1:06d}.jpg"
        if naming == "human36m":
            folder = f"{self.subject}_{self.trial.replace(' ', '_')}.{self.camera}"
            return f"{self.subject}/{folder}/{folder}_{number}"
        if naming == "mpi_inf_3dhp_train":
            return f"{self.subject}_{self.trial}_Cam{self.camera}_{number}"
        return f"{self.subject}_{number}"


def export_annotations(poses: CameraPoses, path: Path, naming: ImageNaming) -> None:
    """Write columns as an annotation file.

    Parameters
    ----------
    poses : CameraPoses
        The rows, on ``human36m_17``.
    path : Path
        The file.
    naming : ImageNaming
        Which data set's image names and joint order.
    """
    order = mapping(poses.skeleton, _SKELETONS[naming])
    keypoints = order.apply(poses.keypoints_px)
    lower, upper = keypoints.min(axis=1), keypoints.max(axis=1)
    ones = np.ones((*keypoints.shape[:2], 1), dtype=np.float32)
    keys = [info.key for info in poses.trials]
    names = [
        ImageName(keys[trial].subject, keys[trial].trial, poses.cameras[camera].name, int(frame)).format(
            naming
        )
        for trial, camera, frame in zip(poses.trial, poses.camera, poses.frame, strict=True)
    ]
    np.savez_compressed(
        path,
        imgname=np.array(names),
        center=(lower + upper) / 2,
        scale=(upper - lower).max(axis=1) * _BOX_MARGIN / _BOX_UNIT_PX,
        part=np.concatenate([keypoints, ones], axis=-1),
        S=np.concatenate([order.apply(poses.positions_camera), ones], axis=-1),
    )


def import_annotations(
    path: Path, naming: ImageNaming, camera_of: Callable[[ImageName], Camera], fps: float
) -> CameraPoses:
    """Read an annotation file into columns, sorted by trial, camera and frame.

    Parameters
    ----------
    path : Path
        The file.
    naming : ImageNaming
        Which data set's image names and joint order.
    camera_of : callable
        The calibrated camera that took an image.
    fps : float
        Frames per second of the videos, which the file does not say.

    Raises
    ------
    ExchangeError
        When the file is not in this layout, or an image's name is not of that kind.
    """
    content = read_npz(path)
    positions = require_numbers(path, "S", require_member(path, content, "S"), (None, 17, 4))
    keypoints = require_numbers(path, "part", require_member(path, content, "part"), (len(positions), 17, 3))
    images = [_parse(path, str(name), naming) for name in require_member(path, content, "imgname")]
    if len(images) != len(positions):
        raise ExchangeError(path, f"{len(images)} image names for {len(positions)} poses")
    rows_of: dict[tuple[str, str, str], list[int]] = {}
    for row in sorted(range(len(images)), key=images.__getitem__):
        image = images[row]
        rows_of.setdefault((image.subject, image.trial, image.camera), []).append(row)
    order = mapping(_SKELETONS[naming], "human36m_17")
    runs = [
        _run([images[row] for row in rows], camera_of, fps, order, positions[rows], keypoints[rows])
        for rows in rows_of.values()
    ]
    return columns_of(runs, "human36m_17", f"sha256:{digest_file(path, path.parent).sha256}")


def _parse(path: Path, name: str, naming: ImageNaming) -> ImageName:
    image = ImageName.parse(name, naming)
    if image is None:
        raise ExchangeError(path, f"image name {name!r} is not one of {naming}")
    return image


def _run(
    images: list[ImageName],
    camera_of: Callable[[ImageName], Camera],
    fps: float,
    order: JointMapping,
    positions: NDArray[Any],
    keypoints: NDArray[Any],
) -> PoseRun:
    first = images[0]
    action, _, subaction = first.trial.partition(" ")
    return PoseRun(
        info=TrialInfo(TrialKey(first.subject, first.trial), action, subaction, fps),
        camera=camera_of(first),
        positions_camera=np.ascontiguousarray(order.apply(positions[..., :3]), dtype=np.float32),
        keypoints_px=np.ascontiguousarray(order.apply(keypoints[..., :2]), dtype=np.float32),
        frames=np.array([image.frame for image in images]),
        activity=np.zeros(len(images), dtype=np.int8),
    )
