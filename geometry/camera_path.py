"""A camera that moves: one pose for every frame, and what stands in for frames that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.rotation import rotate, rotate_back

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class CameraPath:
    """Poses of one camera, frame by frame: ``X_camera = R X_world + t``.

    Attributes
    ----------
    rotation : array of float64 of shape (n, 3, 3)
        World to camera; NaN at a frame without a pose.
    translation : array of float64 of shape (n, 3)
        Metres; NaN at a frame without a pose.
    """

    rotation: Float64
    translation: Float64

    @classmethod
    def of(cls, extrinsics: Float64) -> CameraPath:
        """Read matrices [R | t], (n, 3, 4)."""
        return cls(extrinsics[..., :3], extrinsics[..., 3])

    @classmethod
    def at(cls, centre: Float64, rotation: Float64) -> CameraPath:
        """Put a camera in places of the world, (n, 3), with rotations (n, 3, 3) from the world to it."""
        return cls(rotation, np.asarray(-rotate(centre[:, None], rotation)[:, 0]))

    @property
    def extrinsics(self) -> Float64:
        """Matrices [R | t], (n, 3, 4)."""
        return np.concatenate([self.rotation, self.translation[..., None]], axis=-1)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether each frame has a pose, (n,)."""
        return np.asarray(np.isfinite(self.extrinsics).all(axis=(1, 2)))

    @property
    def centre(self) -> Float64:
        """Places of the camera in the world, (n, 3) metres."""
        return np.asarray(-rotate_back(self.translation[:, None], self.rotation)[:, 0])

    def __getitem__(self, frames: slice | NDArray[np.intp] | NDArray[np.bool_]) -> CameraPath:
        """Take frames."""
        return CameraPath(self.rotation[frames], self.translation[frames])

    def sampled(self, numbers: Float64, wanted: Float64, longest: float) -> CameraPath:
        """Find the poses at other moments than those that there are poses of.

        Between two poses a camera turns about one axis and moves in a straight line, both at constant speed.

        Parameters
        ----------
        numbers : array of shape (n,)
            Moments of these poses, rising; all of them are known.
        wanted : array of shape (m,)
            Moments that poses are wanted of.
        longest : float
            Two poses that are further apart say nothing of what is between them.

        Returns
        -------
        CameraPath
            Of m moments; NaN outside of the poses' and in gaps.
        """
        from scipy.spatial.transform import Rotation, Slerp  # a tenth of a second, which readers are spared

        after = np.searchsorted(numbers, wanted).clip(max=len(numbers) - 1)
        before = np.where(numbers[after] == wanted, after, (after - 1).clip(0))
        rotation, translation = self.rotation[after].copy(), self.translation[after].copy()
        between = (numbers[before] < wanted) & (wanted < numbers[after])
        if between.any():
            turns = Slerp(numbers, Rotation.from_matrix(self.rotation))
            rotation[between] = turns(wanted[between]).as_matrix()
            places = np.stack([np.interp(wanted[between], numbers, one) for one in self.centre.T], axis=-1)
            translation[between] = CameraPath.at(places, rotation[between]).translation
        exact = numbers[after] == wanted
        known = exact | (between & (numbers[after] - numbers[before] <= longest))
        rotation[~known], translation[~known] = np.nan, np.nan
        return CameraPath(rotation, translation)

    def held(self) -> CameraPath:
        """Fill every gap, and give the ends the nearest pose, for frames whose keypoints count as not seen.

        Raises
        ------
        ValueError
            No frame has a pose.
        """
        known = np.flatnonzero(self.known)
        if not len(known):
            raise ValueError("no frame has a pose of the camera")
        if len(known) == len(self.rotation):
            return self
        wanted = np.arange(len(self.rotation)).clip(known[0], known[-1]).astype(np.float64)
        return self[known].sampled(known.astype(np.float64), wanted, np.inf)

    def turned(self, to_world: Float64) -> CameraPath:
        """Put the world's axes elsewhere, by the rotation (3, 3) from the new world to the old one."""
        return CameraPath(self.rotation @ to_world, self.translation)
