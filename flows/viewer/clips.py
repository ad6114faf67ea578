"""What the page of motions shows, before it is cut and packed: clips of one trial before one camera.

Nothing here knows where poses come from; :mod:`poseshift.flows.viewer.evaluated` and
:mod:`poseshift.flows.viewer.predicted` read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.projection import camera_to_world
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.schema import Float32

Float64 = NDArray[np.float64]

FRUSTUM_DEPTH_M = 0.5
"""How deep the drawn frustum of a camera is."""


@dataclass(frozen=True)
class Errors:
    """What is known of the errors of a clip, frame by frame.

    Attributes
    ----------
    name : str
        Of the frame's figure, such as ``MPJPE``.
    measured : bool
        Whether they are measured against truth; False for estimates.
    frame_mm : array of shape (n,)
        One figure per frame, millimetres.
    joints_mm : array of shape (n, joints)
        Of each joint as it is drawn, millimetres.
    """

    name: str
    measured: bool
    frame_mm: Float64
    joints_mm: Float64


@dataclass(frozen=True)
class Clip:
    """One person's motion as one camera saw it.

    Attributes
    ----------
    trial, camera : str
        ``<subject>/<trial>`` and the camera's name.
    fps : float
        Frames per second of the trial.
    skeleton : Skeleton
        The joints.
    frame : array of int32 of shape (n,)
        Frame numbers in the trial, rising.
    on_floor : bool
        Whether positions are in a world with z up and the floor at 0; else where up is is not known.
    predicted : array of float32 of shape (n, joints, 3)
        Metres, in the world or as :func:`level_axes` gives them.
    truth : array of float32 of shape (n, joints, 3) or None
        The same of the true pose.
    keypoints_px : array of float32 of shape (n, joints, 2) or None
        Pixels, NaN where not seen; None where several cameras were joined.
    size_px : tuple[int, int] or None
        Image (width, height).
    frustum : array of float64 of shape (5, 3) or None
        Camera centre and the image's corners :data:`FRUSTUM_DEPTH_M` before it; metres, as ``predicted``.
        None of several cameras, and of one that moves, which is not drawn.
    errors : Errors or None
        None where nothing is known.
    """

    trial: str
    camera: str
    fps: float
    skeleton: Skeleton
    frame: NDArray[np.int32]
    on_floor: bool
    predicted: Float32
    truth: Float32 | None
    keypoints_px: Float32 | None
    size_px: tuple[int, int] | None
    frustum: Float64 | None
    errors: Errors | None


@dataclass(frozen=True)
class Motions:
    """Everything that one page is about.

    Attributes
    ----------
    title, lead : str
        Heading and first sentence.
    notes : tuple[str, ...]
        What a reader must know of the data before looking.
    remarks : tuple[str, ...]
        How things are measured and drawn.
    clips : tuple[Clip, ...]
        In the order of the lists on the page.
    """

    title: str
    lead: str
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Wanted:
    """Which clips are wanted; None means all.

    Attributes
    ----------
    subjects, trials, cameras : tuple[str, ...] or None
        Names to keep; a trial's name goes without its subject.
    """

    subjects: tuple[str, ...] | None = None
    trials: tuple[str, ...] | None = None
    cameras: tuple[str, ...] | None = None

    def takes(self, subject: str, trial: str, camera: str) -> bool:
        """Tell whether a clip is wanted."""
        pairs = ((subject, self.subjects), (trial, self.trials), (camera, self.cameras))
        return all(names is None or name in names for name, names in pairs)


def level_axes(positions_camera: NDArray[np.floating]) -> Float64:
    """Turn camera axes (..., 3) so that z is up as far as the camera is level: x, z and minus y.

    Examples
    --------
    >>> level_axes(np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 3.0, -2.0]
    """
    x, y, z = np.moveaxis(positions_camera.astype(np.float64), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def as_drawn(
    positions_camera: NDArray[np.floating], camera: Camera, path: CameraPath | None = None
) -> Float32:
    """Bring positions (..., 3) in camera axes into the world of a placed camera, or level the camera.

    With a path, positions are (n, joints, 3) before a camera that moves in a world with z up.
    """
    if path is not None:
        moved = camera_to_world(positions_camera.astype(np.float64), path.rotation, path.translation)
        return np.asarray(moved, dtype=np.float32)
    if not camera.placed:
        return level_axes(positions_camera).astype(np.float32)
    rotation, translation = np.asarray(camera.rotation), np.asarray(camera.translation)
    world = camera_to_world(positions_camera.astype(np.float64), rotation, translation)
    return np.asarray(world, dtype=np.float32)


def frustum(camera: Camera) -> Float64:
    """Centre of a camera and the corners of its image, :data:`FRUSTUM_DEPTH_M` away; (5, 3) metres, as drawn.

    The lens is left out: corners are those of a pinhole.
    """
    width, height = camera.size_px
    pixels = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    rays = (pixels - camera.centre_px) / np.asarray(camera.focal_px)
    corners = FRUSTUM_DEPTH_M * np.concatenate([rays, np.ones((4, 1))], axis=1)
    return as_drawn(np.concatenate([np.zeros((1, 3)), corners]), camera).astype(np.float64)
