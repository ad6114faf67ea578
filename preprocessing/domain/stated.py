"""Intrinsics that no calibration file gives: what the user states, or a default that is marked everywhere."""

from __future__ import annotations

import math

from pydantic import Field

from poseshift.geometry.camera import Distortion
from poseshift.preprocessing.domain.rig import RigCamera
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import IntrinsicsOrigin

ASSUMED_FOV_DEGREES = 60.0
"""Of the image's longer side, where nothing is known: main cameras of telephones film at 55 to 70 degrees."""


class StatedIntrinsics(FrozenModel):
    """What the user says of cameras without a calibration file; all cameras alike."""

    camera_matrix: tuple[float, float, float, float] | None = None
    """Fx, fy, cx, cy in pixels."""
    fov_degrees: float | None = Field(default=None, gt=1, lt=179)
    """Field of view of the image's longer side."""

    @property
    def origin(self) -> IntrinsicsOrigin:
        """Whether anything is stated at all."""
        return "assumed" if self.camera_matrix is None and self.fov_degrees is None else "stated"

    def camera(self, name: str, size_px: tuple[int, int]) -> RigCamera:
        """Make a camera without lens and extrinsics."""
        if self.camera_matrix is not None:
            fx, fy, cx, cy = self.camera_matrix
        else:
            half = math.radians(self.fov_degrees or ASSUMED_FOV_DEGREES) / 2
            fx = fy = max(size_px) / 2 / math.tan(half)
            cx, cy = size_px[0] / 2, size_px[1] / 2
        return RigCamera(name, None, (fx, fy), (cx, cy), Distortion())
