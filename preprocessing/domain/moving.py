"""Cameras that move: the pose of every frame of a clip, by trajectories and what the user says of them.

Nothing is guessed. A layout says whether poses lead to the camera or to the world; the user says the unit
and, where it does not begin at 0, how the trajectory numbers the video's first frame. Where no pose is near,
the camera's place is not known, and the frame counts as one in which nobody was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from poseshift.geometry.camera_path import CameraPath
from poseshift.preprocessing.domain.rig import WorldUp, from_z_up
from poseshift.preprocessing.domain.trajectories.formats import Times, Trajectory
from poseshift.preprocessing.domain.trajectories.registry import read_trajectory
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.model import FrozenModel

LONGEST_GAP_S = 0.5
"""Between poses further apart than that a camera's place is not known; SLAM's key frames lie closer."""

UNIT, UNKNOWN_UNIT = "trajectory_metres_per_unit", "unknown"
"""Option of a trial that says the unit of its trajectories, and its value where that is not known."""

_FEWEST = 0.5
"""Share of a clip's frames that must have a pose; with fewer, numbers and frames hardly belong together."""


class TrajectorySource(FrozenModel):
    """A file with the poses of a camera."""

    path: Path
    """Where it lies."""
    camera: str | None = None
    """Whose poses; None where there is one camera."""


class TrajectoryOptions(FrozenModel):
    """What the user says of trajectories."""

    start: float | None = None
    """What they call the video's frame 0: seconds or a number; None where they begin at 0."""
    times: Times | None = None
    """What their numbers count; None for what the layout says."""
    metres_per_unit: float | None = Field(default=None, gt=0)
    """Unit of their translations; None where it is not known, as after monocular SLAM: then they are left."""
    world_up: WorldUp = "unknown"
    """Axis of their world that points up."""


@dataclass(frozen=True)
class MovingCameras:
    """Cameras that move, over the frames of a clip.

    Attributes
    ----------
    paths : Mapping[str, CameraPath]
        By camera, in the order of the views; z points up where it is known which axis does.
    files : tuple[Path, ...]
        What was read.
    told : tuple[str, ...]
        Sentences on what was decided.
    """

    paths: Mapping[str, CameraPath]
    files: tuple[Path, ...]
    told: tuple[str, ...]


def moving_cameras(
    sources: Sequence[TrajectorySource],
    options: TrajectoryOptions,
    cameras: Sequence[str],
    frames: NDArray[np.int64],
    fps: float,
) -> MovingCameras:
    """Read the trajectories of a clip's cameras.

    Parameters
    ----------
    sources : sequence of TrajectorySource
        One for each camera.
    options : TrajectoryOptions
        What is said of them.
    cameras : sequence of str
        The cameras with keypoints.
    frames : array of shape (n,)
        Numbers of the clip's frames, as the keypoints count them from the video's first.
    fps : float
        Frames per second.

    Raises
    ------
    RawDataError
        A file is not what it should be, or its poses are of other moments than the keypoints.
    """
    files = _by_camera(sources, cameras)
    if options.metres_per_unit is None and len(files) > 1:
        raise RawDataError(
            sources[0].path,
            found=f"trajectories of {len(files)} cameras whose unit is not known",
            expected="the unit, so that it is known how far the cameras are from each other",
            remedy="Say --length-unit, or add each camera as a clip of its own.",
        )
    paths, told = {}, []
    for camera, file in files.items():
        given = read_trajectory(file, camera)
        path, sentence = _at_frames(file, given, options, frames, fps)
        unit = options.metres_per_unit or 0.0
        placed = CameraPath(path.rotation, unit * path.translation)
        paths[camera] = placed.turned(from_z_up(options.world_up))
        told.append(f"{camera} moves: {sentence}")
    if options.metres_per_unit is None:
        told.append(
            "the unit of the trajectory is not known: its rotations alone are used, the world's origin is in "
            "the camera, and people move as they do before it"
        )
    if options.world_up == "unknown":
        told.append("where up is in the trajectories' world is not known; say it with --world-up")
    return MovingCameras(paths, tuple(dict.fromkeys(files.values())), tuple(told))


def _by_camera(sources: Sequence[TrajectorySource], cameras: Sequence[str]) -> dict[str, Path]:
    """Find each camera's file, in the order of the cameras."""
    if len(sources) == 1 and sources[0].camera is None and len(cameras) == 1:
        return {cameras[0]: sources[0].path}
    named = [one.camera for one in sources]
    if sorted(one or "" for one in named) != sorted(cameras):
        raise RawDataError(
            sources[0].path,
            found=f"trajectories of {', '.join(one or 'a camera without a name' for one in named)}",
            expected=f"one for each camera with keypoints: {', '.join(cameras)}",
            remedy="Give --trajectory CAMERA=PATH for each. Cameras that move and others that stand still "
            "are not read as one clip: add them as clips of their own.",
        )
    found = {one.camera: one.path for one in sources}
    return {camera: found[camera] for camera in cameras}


def _at_frames(
    file: Path, given: Trajectory, options: TrajectoryOptions, frames: NDArray[np.int64], fps: float
) -> tuple[CameraPath, str]:
    """Find the pose of every frame, in the file's unit, and say how many there are."""
    times = options.times or given.times
    per_frame = 1 / fps if times == "seconds" else 1.0
    if options.start is None and abs(given.numbers[0]) > per_frame / 2:
        raise RawDataError(
            file,
            found=f"poses that begin at {given.numbers[0]:.10g} ({times})",
            expected="poses that begin at 0, with the video",
            remedy="Say what the trajectory calls the frame that keypoints call 0 with --trajectory-start: "
            "a time in seconds, or the number of an image (1 for images that ffmpeg wrote, where the "
            "keypoints are of the video; 0 where keypoints and images are numbered alike).",
        )
    wanted = np.asarray((options.start or 0.0) + frames * per_frame, dtype=np.float64)
    after = np.searchsorted(given.numbers, wanted)
    around = given.numbers[np.stack([after - 1, after]).clip(0, len(given.numbers) - 1)]
    nearest = np.take_along_axis(around, np.abs(around - wanted).argmin(axis=0)[None], axis=0)[0]
    own = np.abs(nearest - wanted) <= per_frame / 2
    longest = LONGEST_GAP_S * fps * per_frame
    path = given.path.sampled(given.numbers, wanted, longest)
    # A pose beside a gap, or at an end, has no other to interpolate with, and is the frame's as it is.
    alone = own & ~path.known
    path = given.path.sampled(given.numbers, np.where(alone, nearest, wanted).astype(np.float64), longest)
    known = path.known
    if known.mean() < _FEWEST:
        raise RawDataError(
            file,
            found=f"poses at {given.numbers[0]:.10g} to {given.numbers[-1]:.10g} ({times}), of "
            f"{int(known.sum())} of {len(frames)} frames",
            expected=f"poses of most frames, which are at {wanted[0]:.10g} to {wanted[-1]:.10g}",
            remedy="Look at --fps; say with --trajectory-start what the trajectory calls the video's frame "
            "0, and with --trajectory-times whether its numbers are seconds or frames.",
        )
    between = int((known & ~own).sum())
    lacking = int((~known).sum())
    sentence = f"{len(frames)} frames, {int((known & own).sum())} with a pose of their own"
    if between:
        sentence += f", {between} between two poses at most {LONGEST_GAP_S:g} s apart"
    if lacking:
        sentence += f", {lacking} without any, which count as showing nobody"
    return path, sentence
