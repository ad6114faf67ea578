"""A motion as it is written: joints in space over time, and what is known of their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.schema import Float32, TrialKey

Axes = Literal["world", "camera"]
"""``world``: z up, on the floor. ``camera``: x right, y down, z forward; where up is is not known."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """One person's motion.

    Attributes
    ----------
    key : TrialKey
        The trial.
    camera : str
        The camera that saw it, or ``fused``.
    fps : float
        Frames per second.
    skeleton : Skeleton
        The joints.
    axes : Axes
        What positions are in.
    frame : array of int32 of shape (n,)
        Frame numbers in the trial, consecutive.
    positions : array of float32 of shape (n, joints, 3)
        Metres.
    error_m : array of float32 of shape (n, joints)
        Estimates of the joints' errors, metres.
    error_kind : str
        What these estimates are.
    interpolated : array of bool of shape (n, joints)
        Joints whose keypoints were not seen, and are interpolated in time.
    to_camera : tuple of array or None
        R (3, 3) and t (3,), metres: ``X_camera = R X + t``; (n, 3, 3) and (n, 3) of a camera that moves. None
        for a motion of several cameras.
    """

    key: TrialKey
    camera: str
    fps: float
    skeleton: Skeleton
    axes: Axes
    frame: NDArray[np.int32]
    positions: Float32
    error_m: Float32
    error_kind: str
    interpolated: NDArray[np.bool_]
    to_camera: tuple[Float64, Float64] | None

    @property
    def seconds(self) -> Float64:
        """Time of every frame since the trial's first, (n,)."""
        return np.asarray(self.frame / self.fps, dtype=np.float64)

    @property
    def positions_y_up(self) -> Float64:
        """Positions with y up, right-handed, for formats that want it; (n, joints, 3) metres.

        From the world: x stays, y is the height, z is minus the world's y. From camera axes: x stays, y and z
        are minus the camera's, so that y is up as far as the camera is level.
        """
        x, y, z = np.moveaxis(self.positions.astype(np.float64), -1, 0)
        return np.stack([x, z, -y] if self.axes == "world" else [x, -y, -z], axis=-1)
