"""Poses on the training device, and the batches that are cut out of them by index.

A data set's columns are moved to the device once; a batch is then an index, not a loader. Clips are windows
of rows inside one run (one camera's view of consecutive frames), padded by repeating the run's first or
last frame. A clip's frames may be more or less than a row apart, where poses were recorded at another rate
than clips are wanted at; between two rows they are interpolated linearly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.geometry.camera import Intrinsics
from poseshift.geometry.rotation import rotate
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.columns import CameraPoses, rows_per_frame


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
    """

    positions_camera: Tensor
    keypoints_px: Tensor
    intrinsics: Intrinsics
    up_camera: Tensor | None = None

    def __len__(self) -> int:
        return int(self.positions_camera.shape[0])

    def __getitem__(self, clips: slice) -> Batch:
        """Select clips."""
        return Batch(
            positions_camera=self.positions_camera[clips],
            keypoints_px=self.keypoints_px[clips],
            intrinsics=self.intrinsics[clips],
            up_camera=None if self.up_camera is None else self.up_camera[clips],
        )

    def joined(self, others: Batch) -> Batch:
        """Put other clips of the same length after these; gravity is known when it is known of both."""
        up = None
        if self.up_camera is not None and others.up_camera is not None:
            up = torch.cat([self.up_camera, others.up_camera])
        return Batch(
            positions_camera=torch.cat([self.positions_camera, others.positions_camera]),
            keypoints_px=torch.cat([self.keypoints_px, others.keypoints_px]),
            intrinsics=self.intrinsics.joined(others.intrinsics),
            up_camera=up,
        )

    def root_relative(self, skeleton: Skeleton) -> Tensor:
        """Positions minus the root joint, (batch, frames, joints, 3) metres."""
        root = skeleton.root
        return self.positions_camera - self.positions_camera[..., root : root + 1, :]


BatchTransform = Callable[[Batch, torch.Generator], Batch]
"""Anything that turns a batch into another one: mirroring, augmentation, position alignment.

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
        )

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
        )

    def batch(self, rows: Tensor) -> Batch:
        """Cut out the clips whose middle frames (index ``frames // 2``) are these rows.

        Parameters
        ----------
        rows : Tensor
            (batch,) int64 on this device.
        """
        return self._cut(rows, self.frames // 2)

    def windows(self, rows: Tensor) -> Batch:
        """Cut out the clips that begin with these rows, (batch,) int64 on this device."""
        return self._cut(rows, 0)

    def _cut(self, rows: Tensor, at: int) -> Batch:
        """Cut out the clips of which frame ``at`` is the row given, inside the row's run."""
        clips = Between.in_clips(rows, self.frames, at, self.run_first, self.run_last, self.spacing)
        camera = self.camera[rows]
        return Batch(
            positions_camera=clips.of(self.positions_camera),
            keypoints_px=clips.of(self.keypoints_px),
            intrinsics=Intrinsics.unpacked(self._packed_intrinsics[camera]),
            up_camera=self._up_before(rows),
        )

    def _up_before(self, rows: Tensor) -> Tensor | None:
        """Give the direction against gravity in the camera axes of rows, (batch, 3)."""
        if self.up_camera is None:
            return None
        up = self.up_camera[self.camera[rows]]
        if self.turns is None:
            return up
        turned: Tensor = rotate(up, self.turns[rows])
        return turned

    @cached_property
    def _packed_intrinsics(self) -> Tensor:
        packed: Tensor = self.intrinsics.packed
        return packed


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

    def of(self, values: Tensor) -> Tensor:
        """Read values (n, ...) there; between two rows, NaN in one of them gives NaN."""
        if self.share is None:
            return values[self.before]
        share = self.share.to(values.dtype)[(..., *(None,) * (values.ndim - 1))]
        low = values[self.before]
        between: Tensor = torch.where(share > 0, low + share * (values[self.after] - low), low)
        return between


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
