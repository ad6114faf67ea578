"""From lifted views to motions: fusion, smoothing, the person's size, the world, the floor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.projection import camera_to_world
from poseshift.geometry.rotation import rotate_back
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.motion_files.motion import Axes, Motion
from poseshift.training.prediction.body_height import BodyHeight, SizeFrom, body_height
from poseshift.training.prediction.fusion import CAMERA_SPREAD, FUSED, Fused, fuse, rigs, size_by_cameras
from poseshift.training.prediction.placing import floor_height
from poseshift.training.prediction.smoothing import Smoothing
from poseshift.training.prediction.views import Presence, View, presence

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How a person's size came about.

    Attributes
    ----------
    factor : float
        By which the lifter's answers are multiplied; 1 leaves the mean body of its source.
    measured : BodyHeight or None
        Height in the lifter's answers, before the factor; None where no height was asked for.
    frames : int
        Frames that several cameras saw and by which the factor was found; 0 where it was not found so.
    """

    factor: float = 1.0
    measured: BodyHeight | None = None
    frames: int = 0


@dataclass(frozen=True)
class Made:
    """A motion, and what was decided about it.

    Attributes
    ----------
    motion : Motion
        To be written.
    cameras : tuple[str, ...]
        The cameras that it is made of.
    size : Size
        The person's.
    floor_m : float or None
        Height in the cameras' world of what is now z = 0; None in camera axes.
    presence : Presence
        When there is a person; frames before and after are not in the motion.
    """

    motion: Motion
    cameras: tuple[str, ...]
    size: Size
    floor_m: float | None
    presence: Presence


@dataclass(frozen=True)
class Maker:
    """What is done to every motion.

    Attributes
    ----------
    skeleton : Skeleton
        Of the lifter.
    smoothing : Smoothing
        In time, of pose and root each by itself.
    heights_m : Mapping[str, float]
        Subject to body height, metres.
    size_from : {"source", "cameras"}
        What size a subject has who is not named: that which the lifter answers, or that at which all cameras
        of a rig see the person in one place.
    """

    skeleton: Skeleton
    smoothing: Smoothing
    heights_m: Mapping[str, float]
    size_from: SizeFrom = "source"

    def make(self, views: Sequence[View]) -> Iterator[Made]:
        """Make the motion of every view, and after those the fused motion of every rig.

        Raises
        ------
        ValueError
            A height is given of a person who is not there, or the skeleton lacks joints that are needed.
        """
        subjects = sorted({view.trial.key.subject for view in views})
        unknown = sorted(set(self.heights_m) - set(subjects))
        if unknown:
            raise ValueError(
                f"a height is given for {', '.join(unknown)}, but the people are {', '.join(subjects)}"
            )
        sizes = {subject: self._size(subject, views) for subject in subjects}
        single = (self._of_view(view, sizes[view.trial.key.subject]) for view in views)
        several = (self._of_rig(rig, sizes[rig[0].trial.key.subject]) for rig in rigs(views))
        yield from chain(single, several)

    def _size(self, subject: str, views: Sequence[View]) -> Size:
        """Find one factor for a person from all views of all trials."""
        height = self.heights_m.get(subject)
        if height is None:
            return self._seen_size(subject, views) if self.size_from == "cameras" else Size()
        poses = np.concatenate([view.relative for view in views if view.trial.key.subject == subject])
        measured = body_height(poses, self.skeleton)
        return Size(height / measured.metres, measured)

    def _seen_size(self, subject: str, views: Sequence[View]) -> Size:
        """Find the factor by which the cameras agree, the median over frames; none where no two saw them."""
        own = [view for view in views if view.trial.key.subject == subject]
        factors = [size_by_cameras(rig) for rig in rigs(own)]
        found = np.concatenate([np.empty(0), *factors])
        return Size(float(np.median(found)), frames=len(found)) if len(found) else Size()

    def _of_view(self, whole: View, size: Size) -> Made:
        there = presence(whole.missing)
        view = whole.cut(there.frames)
        # Pose and root grow alike, so that the person is still seen at the same keypoints.
        rotation, translation = view.rotation, view.translation
        axes: Axes = "camera"
        floor = None
        if view.path is not None:
            axes, positions = "world", self._in_world(view, view.path, size.factor)
        else:
            positions = size.factor * self._smoothed(view.relative, view.root, view.trial.fps)
        if view.path is None and view.camera.placed:
            axes, positions = "world", camera_to_world(positions, rotation, translation)
        if axes == "world":
            floor = floor_height(positions, self.skeleton)
            positions = positions - [0, 0, floor]
            translation = translation + floor * rotation[..., 2]
        motion = self._motion(
            view,
            view.camera.name,
            axes,
            positions,
            size.factor * view.error_m,
            view.error_kind,
            view.missing,
            (rotation, translation),
        )
        return Made(motion, (view.camera.name,), size, floor, there)

    def _in_world(self, view: View, path: CameraPath, factor: float) -> Float64:
        """Put what a moving camera sees into the world, and smooth it there.

        In axes that move with the camera its shake would be the person's, and a filter would cut it there and
        not in the camera's poses.
        """
        relative = rotate_back(factor * view.relative, path.rotation)
        root = camera_to_world(factor * view.root[:, None], path.rotation, path.translation)[:, 0]
        return self._smoothed(np.asarray(relative), np.asarray(root), view.trial.fps)

    def _of_rig(self, wholes: Sequence[View], size: Size) -> Made:
        there = presence(np.concatenate([view.missing for view in wholes], axis=1))
        rig = tuple(view.cut(there.frames) for view in wholes)
        fused: Fused = fuse(rig, size.factor)
        positions = self._smoothed(fused.relative, fused.root, rig[0].trial.fps)
        floor = floor_height(positions, self.skeleton)
        motion = self._motion(
            rig[0],
            FUSED,
            "world",
            positions - [0, 0, floor],
            fused.error_m,
            CAMERA_SPREAD,
            fused.missing,
            None,
        )
        return Made(motion, tuple(view.camera.name for view in rig), size, floor, there)

    def _smoothed(self, relative: Float64, root: Float64, fps: float) -> Float64:
        smooth = self.smoothing.apply
        return np.asarray(smooth(relative, fps) + smooth(root, fps)[:, None])

    def _motion(
        self,
        view: View,
        camera: str,
        axes: Axes,
        positions: Float64,
        error_m: Float64,
        error_kind: str,
        interpolated: NDArray[np.bool_],
        to_camera: tuple[Float64, Float64] | None,
    ) -> Motion:
        return Motion(
            key=view.trial.key,
            camera=camera,
            fps=view.trial.fps,
            skeleton=self.skeleton,
            axes=axes,
            frame=view.frame,
            positions=positions.astype(np.float32),
            error_m=error_m.astype(np.float32),
            error_kind=error_kind,
            interpolated=interpolated,
            to_camera=to_camera,
        )
