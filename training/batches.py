"""Poses on the training device, and the batches that are cut out of them by index.

A data set's columns are moved to the device once; a batch is then an index, not a loader. Clips are windows
of rows inside one run (one camera's view of consecutive frames), padded by repeating the run's first or
last frame. A clip's frames may be more or less than a row apart, where poses were recorded at another rate
than clips are wanted at; between two rows they are interpolated linearly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.geometry.constants import indices
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import distort, normalise, rays_of, rays_to_px
from poseshift.geometry.rotation import rotate
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import rows_per_frame
from poseshift.training.flip import MIRROR_X, mirror_intrinsics


@dataclass(frozen=True)
class Batch:
    """Clips of poses before their cameras.

    Attributes
    ----------
    positions_camera : Tensor of shape (batch, frames, joints, 3)
        Metres, camera axes, absolute.
    keypoints_px : Tensor of shape (batch, frames, joints, 2)
        Pixels.
    intrinsics : Intrinsics
        Leading dimensions (batch,).
    up_camera : Tensor or None of shape (batch, 3)
        Unit vector against gravity in camera axes; None where it is not known. What turns poses turns it,
        too.
    rays : Tensor or None of shape (batch, frames, joints, 2)
        Undistorted ray coordinates of the keypoints, where they are known already, so that no lens has to be
        removed; None where they are not. :meth:`with_rays` tells them. A copy that ``dataclasses.replace``
        makes has none, since its keypoints may be others.
    """

    positions_camera: Tensor
    keypoints_px: Tensor
    intrinsics: Intrinsics
    up_camera: Tensor | None = None
    rays: Tensor | None = field(default=None, init=False)

    @classmethod
    def seen(cls, positions_camera: Tensor, intrinsics: Intrinsics, up_camera: Tensor | None = None) -> Batch:
        """Show positions (batch, frames, joints, 3) to their cameras, which see them without noise."""
        rays = rays_of(positions_camera)
        keypoints_px = rays_to_px(distort(rays, intrinsics), intrinsics)
        return cls(positions_camera, keypoints_px, intrinsics, up_camera).with_rays(rays)

    def with_rays(self, rays: Tensor | None) -> Batch:
        """Tell the rays of the keypoints, (batch, frames, joints, 2); None where they are not known."""
        told = replace(self)
        object.__setattr__(told, "rays", rays)  # frozen, and no argument, so that no copy takes it along
        return told

    def __len__(self) -> int:
        return int(self.positions_camera.shape[0])

    def __getitem__(self, clips: slice) -> Batch:
        """Select clips."""
        return Batch(
            positions_camera=self.positions_camera[clips],
            keypoints_px=self.keypoints_px[clips],
            intrinsics=self.intrinsics[clips],
            up_camera=None if self.up_camera is None else self.up_camera[clips],
        ).with_rays(None if self.rays is None else self.rays[clips])

    def joined(self, others: Batch) -> Batch:
        """Put other clips of the same length after these; gravity is known when it is known of both."""
        up, rays = None, None
        if self.up_camera is not None and others.up_camera is not None:
            up = torch.cat([self.up_camera, others.up_camera])
        if self.rays is not None and others.rays is not None:
            rays = torch.cat([self.rays, others.rays])
        return Batch(
            positions_camera=torch.cat([self.positions_camera, others.positions_camera]),
            keypoints_px=torch.cat([self.keypoints_px, others.keypoints_px]),
            intrinsics=self.intrinsics.joined(others.intrinsics),
            up_camera=up,
        ).with_rays(rays)

    def root_relative(self, skeleton: Skeleton) -> Tensor:
        """Positions minus the root joint, (batch, frames, joints, 3) metres."""
        root = skeleton.root
        return self.positions_camera - self.positions_camera[..., root : root + 1, :]


BatchTransform = Callable[[Batch, torch.Generator], Batch]
"""Anything that turns a batch into another one: augmentation, position alignment.

Random numbers come from the generator alone, which lives on the batch's device.
"""


@dataclass(frozen=True)
class DevicePoses:
    """A data set's poses on one device.

    Attributes
    ----------
    positions_camera : Tensor of shape (n, joints, 3)
        Metres.
    keypoints_px : Tensor of shape (n, joints, 2)
        Pixels.
    camera : Tensor
        (n,) int64, row of ``intrinsics``.
    intrinsics : Intrinsics
        Leading dimension (cameras,), float32.
    run_first, run_last : Tensor
        (n,) int64, first and last row of the run that each row belongs to.
    frames : int
        Clip length of the batches.
    spacing : float or Tensor
        Rows from one frame of a clip to the next, 2 where rows are at 50 Hz and clips at 25 Hz; (n,) float32
        where it differs from trial to trial.
    hz : float or None
        Frames per second of the clips; None for those of the rows.
    skeleton : str
        Name of the joint set.
    snapshot : str
        Identifier of the store snapshot that the poses were read from.
    up_camera : Tensor or None of shape (cameras, 3)
        Unit vector against gravity in each camera's axes, or in its world's where it moves; None where it is
        not known of every camera, or clips of several frames are before a camera that moves.
    turns : Tensor or None of shape (n, 3, 3)
        Rotations from those axes to the camera's; None where all cameras stand still.
    confidence : Tensor or None of shape (n, joints)
        How sure the detector is of each keypoint, from 0 to 1; None where keypoints have none.
    rays : Tensor or None of shape (n, joints, 2)
        Undistorted ray coordinates of the keypoints; None before :meth:`with_rays`.
    """

    positions_camera: Tensor
    keypoints_px: Tensor
    camera: Tensor
    intrinsics: Intrinsics
    run_first: Tensor
    run_last: Tensor
    frames: int
    skeleton: str
    snapshot: str
    up_camera: Tensor | None = None
    turns: Tensor | None = None
    confidence: Tensor | None = None
    spacing: float | Tensor = 1.0
    hz: float | None = None
    rays: Tensor | None = None

    @classmethod
    def from_columns(
        cls, poses: CameraPoses, device: torch.device | str, frames: int, hz: float | None = None
    ) -> DevicePoses:
        """Move columns to a device, for batches of ``frames`` frames.

        Parameters
        ----------
        poses : CameraPoses
            The columns.
        device : torch.device or str
            Where to.
        frames : int
            Clip length.
        hz : float or None
            Frames per second of the clips; None leaves them as the rows are. Rows are all kept, whatever the
            rate: each can be the middle of a clip.

        Raises
        ------
        ValueError
            When there are no rows or ``frames`` is not positive.
        """
        if len(poses) == 0:
            raise ValueError("the selection holds no poses; widen its subjects, actions or cameras")
        if frames < 1:
            raise ValueError(f"a clip has at least one frame; got {frames}")
        first, last = poses.run_bounds
        up = _up(poses, frames)
        spacing = 1.0 if frames == 1 or hz is None else one_if_equal(rows_per_frame(poses, hz))

        def move(values: NDArray[Any], dtype: torch.dtype) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

        return cls(
            positions_camera=move(poses.positions_camera, torch.float32),
            keypoints_px=move(poses.keypoints_px, torch.float32),
            camera=move(poses.camera, torch.int64),
            intrinsics=poses.intrinsics.map(lambda field: move(field, torch.float32)),
            run_first=move(first, torch.int64),
            run_last=move(last, torch.int64),
            frames=frames,
            skeleton=poses.skeleton,
            snapshot=poses.snapshot,
            up_camera=None if up is None else move(up, torch.float32),
            turns=None if poses.turns is None else move(poses.turns, torch.float32),
            confidence=None if poses.confidence is None else move(poses.confidence, torch.float32),
            spacing=spacing if isinstance(spacing, float) else move(spacing, torch.float32),
            hz=hz,
        )

    def __len__(self) -> int:
        return int(self.positions_camera.shape[0])

    @property
    def device(self) -> torch.device:
        """Where the poses lie."""
        return self.positions_camera.device

    def to(self, device: torch.device) -> DevicePoses:
        """Move the poses to another device; these are returned when they are there already."""
        if device == self.device:
            return self
        return replace(
            self,
            positions_camera=self.positions_camera.to(device),
            keypoints_px=self.keypoints_px.to(device),
            camera=self.camera.to(device),
            intrinsics=self.intrinsics.map(lambda field: field.to(device)),
            run_first=self.run_first.to(device),
            run_last=self.run_last.to(device),
            up_camera=None if self.up_camera is None else self.up_camera.to(device),
            turns=None if self.turns is None else self.turns.to(device),
            confidence=None if self.confidence is None else self.confidence.to(device),
            spacing=self.spacing if isinstance(self.spacing, float) else self.spacing.to(device),
            rays=None if self.rays is None else self.rays.to(device),
        )

    def with_rays(self) -> DevicePoses:
        """Remove the lens from all keypoints, once, for encodings that see rays.

        That takes 136 bytes a view of 17 joints. Clips that lie between rows have keypoints of their own,
        whose rays are not kept.
        """
        rays = torch.empty_like(self.keypoints_px)
        for begin in range(0, len(self), _VIEWS_AT_ONCE):
            rows = slice(begin, begin + _VIEWS_AT_ONCE)
            rays[rows] = normalise(self.keypoints_px[rows], self.intrinsics[self.camera[rows]])
        return replace(self, rays=rays)

    @property
    def reach(self) -> int:
        """Rows before or after a clip's middle that the clip may hold."""
        widest = self.spacing if isinstance(self.spacing, float) else float(self.spacing.max())
        return math.ceil(widest * (self.frames // 2))

    def part(self, first: int, last: int) -> DevicePoses:
        """Cut out the rows from ``first`` to ``last`` (excluded) with the neighbours that their clips need.

        Returns
        -------
        Fewer poses, whose :meth:`batch` gives the same clips: row ``r`` of these poses is row
        ``r - max(0, first - reach)`` there.
        """
        start = max(0, first - self.reach)
        kept = slice(start, last + self.reach)
        return replace(
            self,
            positions_camera=self.positions_camera[kept],
            keypoints_px=self.keypoints_px[kept],
            camera=self.camera[kept],
            run_first=(self.run_first[kept] - start).clamp(min=0),
            run_last=(self.run_last[kept] - start).clamp(max=min(kept.stop, len(self)) - start - 1),
            turns=None if self.turns is None else self.turns[kept],
            confidence=None if self.confidence is None else self.confidence[kept],
            spacing=self.spacing if isinstance(self.spacing, float) else self.spacing[kept],
            rays=None if self.rays is None else self.rays[kept],
        )

    def batch(self, rows: Tensor, mirrored: Tensor | None = None) -> Batch:
        """Cut out the clips whose middle frames (index ``frames // 2``) are these rows.

        Parameters
        ----------
        rows : Tensor
            (batch,) int64 on this device.
        mirrored : Tensor or None
            (batch,) bool, the clips that are mirrored with their cameras (:mod:`poseshift.training.flip`);
            None for none of them.
        """
        return self._cut(rows, self.frames // 2, mirrored)

    def windows(self, rows: Tensor) -> Batch:
        """Cut out the clips that begin with these rows, (batch,) int64 on this device."""
        return self._cut(rows, 0, None)

    def _cut(self, rows: Tensor, at: int, mirrored: Tensor | None) -> Batch:
        """Cut out the clips of which frame ``at`` is the row given, inside the row's run."""
        clips = Between.in_clips(rows, self.frames, at, self.run_first, self.run_last, self.spacing)
        camera, joints = self.camera[rows], None
        if mirrored is not None:
            camera = camera.add(mirrored, alpha=len(self.intrinsics.size_px))
            order = (tuple(range(self.positions_camera.shape[1])), skeleton(self.skeleton).mirrored)
            plain, swapped = (indices(one, rows) for one in order)
            joints = torch.where(mirrored[:, None], swapped, plain)
        of_camera = self._cameras[camera]
        intrinsics, up, sign, shift = torch.tensor_split(of_camera, _OF_CAMERA, dim=-1)
        positions, keypoints = clips.of(self.positions_camera, joints), clips.of(self.keypoints_px, joints)
        # Between two rows it is pixels that are interpolated: such keypoints have rays of their own.
        rays = None if self.rays is None or clips.share is not None else clips.of(self.rays, joints)
        up_camera = None if self.up_camera is None else up
        if up_camera is not None and self.turns is not None:
            up_camera = rotate(up_camera, self.turns[rows])
        if mirrored is not None:
            up_camera = None if up_camera is None else up_camera * sign
            sign, shift = sign[:, None, None], shift[:, None, None]
            positions, keypoints = positions * sign, torch.addcmul(shift, keypoints, sign[..., :2])
            rays = None if rays is None else rays * sign[..., :2]
        return Batch(positions, keypoints, Intrinsics.unpacked(intrinsics), up_camera).with_rays(rays)

    @cached_property
    def _cameras(self) -> Tensor:
        """What is looked up of cameras, (2 cameras, 19 or 20), mirror images after the cameras themselves.

        Intrinsics, the camera's own up, and by what is mirrored: a vector's signs, and the shift of pixels.
        """
        mirrored = mirror_intrinsics(self.intrinsics)
        size = self.intrinsics.size_px
        up = size.new_zeros(len(size), 3) if self.up_camera is None else self.up_camera
        signs, shift = size.new_tensor(MIRROR_X).expand_as(up), size * size.new_tensor([1.0, 0.0])
        plain = (self.intrinsics.packed, up, torch.ones_like(up), torch.zeros_like(size))
        image = (mirrored.packed, up, signs, shift)
        return torch.cat([torch.cat(side, dim=-1) for side in (plain, image)])


_OF_CAMERA = (-8, -5, -2)
"""Where up, signs and shift begin in what is looked up of a camera; intrinsics have all columns before."""

_VIEWS_AT_ONCE = 8192
"""Views whose lens is removed at once: what is computed then stays in a processor's cache."""


@dataclass(frozen=True)
class Between:
    """Places between rows: what clips are read from.

    Attributes
    ----------
    before, after : Tensor
        (...) int64, the rows next to each place.
    share : Tensor or None
        (...) how far on from the first to the second; None where every place is a row.
    """

    before: Tensor
    after: Tensor
    share: Tensor | None

    @classmethod
    def in_clips(
        cls, rows: Tensor, frames: int, at: int, first: Tensor, last: Tensor, spacing: float | Tensor
    ) -> Between:
        """Find the places of the frames of clips of which frame ``at`` is the row given, (rows, frames).

        Parameters
        ----------
        rows : Tensor
            (batch,) int64.
        frames, at : int
            Length of the clips, and which frame lies at the row.
        first, last : Tensor
            (n,) int64, first and last row of the run that each row belongs to.
        spacing : float or Tensor
            Rows from frame to frame; (n,) where it is not the same for all.
        """
        if frames == 1:
            return cls(rows[:, None], rows[:, None], None)
        offsets = torch.arange(frames, device=rows.device) - at
        apart = spacing if isinstance(spacing, float) else spacing[rows, None]
        return cls.at(rows[:, None], offsets, apart, first[rows, None], last[rows, None])

    @classmethod
    def at(
        cls, rows: Tensor, offsets: Tensor, spacing: float | Tensor, first: Tensor, last: Tensor
    ) -> Between:
        """Find the places that lie ``offsets`` frames of ``spacing`` rows from rows, between two bounds.

        Parameters
        ----------
        rows, offsets : Tensor
            int64, of shapes that broadcast.
        spacing : float or Tensor
            Rows from frame to frame; a tensor broadcasts, too.
        first, last : Tensor
            int64, the bounds; they broadcast, too.
        """
        if isinstance(spacing, float) and spacing.is_integer():
            places = (rows + int(spacing) * offsets).clamp(first, last)
            return cls(places, places, None)
        away = offsets * spacing
        whole = away.floor()
        before = rows + whole.long()
        share = torch.where((before >= first) & (before < last), away - whole, torch.zeros_like(away))
        before = before.clamp(first, last)
        return cls(before, torch.minimum(before + 1, last.expand_as(before)), share)

    def of(self, values: Tensor, joints: Tensor | None = None) -> Tensor:
        """Read values (n, ...) there; between two rows, NaN in one of them gives NaN.

        Parameters
        ----------
        values : Tensor
            (n, ...), or (n, joints, ...) where joints are given.
        joints : Tensor or None
            (clips, joints) int64, the order of each clip's joints; places are (clips, frames) then.
        """
        low = self._read(values, self.before, joints)
        if self.share is None:
            return low
        share = self.share.to(values.dtype)[(..., *(None,) * (values.ndim - 1))]
        high = self._read(values, self.after, joints)
        between: Tensor = torch.where(share > 0, low + share * (high - low), low)
        return between

    @staticmethod
    def _read(values: Tensor, places: Tensor, joints: Tensor | None) -> Tensor:
        return values[places] if joints is None else values[places[..., None], joints[:, None]]


def one_if_equal(spacing: NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Take one number for all rows where they are equal, so that clips need no interpolation."""
    return float(spacing[0]) if (spacing == spacing[0]).all() else spacing


def _up(poses: CameraPoses, frames: int) -> NDArray[np.float64] | None:
    """Directions against gravity, (cameras, 3); None when it is not known before one of the cameras.

    The frames of a clip before a camera that moves have a direction each, for which a batch has no place.
    """
    if frames > 1 and poses.motion is not None:
        return None
    known = [up for up in poses.ups if up is not None]
    return np.array(known) if len(known) == len(poses.cameras) else None
