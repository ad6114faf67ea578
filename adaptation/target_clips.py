"""Keypoints of the target in groups that say something without labels: tracks, and views of one moment.

A track is a handful of frames of one trial before one camera, spread over some seconds: one person, whose
bones do not change. A pair is one frame of a trial before two of its cameras: one pose, in a world that the
cameras' extrinsics have in common. Frames of a trial are synchronised over its cameras; that is what a store
means by a trial. Lifters answer for every row of a group by itself: single-frame lifters for its frame,
lifters of clips for the clip that it is the middle of.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.augmentation.draws import draw_rows
from poseshift.geometry.camera import stand_apart
from poseshift.geometry.rotation import compose
from poseshift.storage.columns import CameraPoses
from poseshift.storage.gaps import interpolated

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShownPoses:
    """Target poses as a lifter may be shown them.

    Attributes
    ----------
    poses : CameraPoses
        Gaps in keypoints are filled in time.
    seen : array of shape (n, joints)
        Whether a keypoint was there.
    """

    poses: CameraPoses
    seen: NDArray[np.bool_]


def shown(target: CameraPoses) -> ShownPoses:
    """Fill the gaps of keypoints; rows that show less than half of a person's joints are left out.

    Parameters
    ----------
    target : CameraPoses
        With NaN where a joint was not seen. Its 3D is not looked at.

    Raises
    ------
    ValueError
        When nothing is left.
    """
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(target.keypoints_px).all(axis=-1))
    whole = [rows for rows in target.view_rows if seen[rows].any(axis=0).all()]
    rows = np.concatenate([np.empty(0, dtype=np.intp), *whole])
    filled, seen = interpolated(target.take(rows)), seen[rows]
    enough = 2 * seen.sum(axis=1) >= seen.shape[1]
    if not enough.any():
        raise ValueError(
            f"none of the {len(target)} target poses shows half of its joints, in a view that shows each "
            "joint in some frame; select other frames or another detector"
        )
    if (left_out := len(target) - int(enough.sum())) > 0:
        _LOG.warning("%d of %d target poses show too little to be tuned on", left_out, len(target))
    return ShownPoses(filled.take(enough), seen[enough])


class Tracks:
    """Draws frames of one trial before one camera.

    Parameters
    ----------
    target : CameraPoses
        Rows of a view stand together.
    span_s : float
        Seconds that a track's frames are spread over; fewer where a view is shorter.
    device : torch.device
        Where rows are wanted.
    """

    def __init__(self, target: CameraPoses, span_s: float, device: torch.device) -> None:
        starts = np.flatnonzero(np.concatenate([[True], ~target.same_view]))
        lengths = np.diff(np.append(starts, len(target)))
        first = np.repeat(starts, lengths)
        last = first + np.repeat(lengths, lengths) - 1
        fps = np.array([trial.fps for trial in target.trials])[target.trial]
        # Rows of a view may be every n-th frame: the whole view's rows per second, which gaps make lower.
        rate = (last - first) / np.maximum(target.frame[last] - target.frame[first], 1) * fps
        reach = np.rint(span_s * rate).astype(np.int64)
        middle = np.arange(len(target))
        low = np.maximum(first, np.minimum(middle - reach // 2, last - reach))
        high = np.minimum(last, low + reach)
        self._low = torch.as_tensor(low, device=device)
        self._rows = torch.as_tensor(high - low + 1, device=device)

    def draw(self, tracks: int, frames: int, rng: torch.Generator) -> Tensor:
        """Draw rows (tracks, frames), each of its own part of the track's span, so that they are spread."""
        about = draw_rows(len(self._low), tracks, rng)[:, None]
        part = torch.arange(frames, device=rng.device)
        share = (part + torch.rand((tracks, frames), generator=rng, device=rng.device)) / frames
        within = torch.minimum((share * self._rows[about]).long(), self._rows[about] - 1)
        return self._low[about] + within


class Triples:
    """Draws three successive, evenly spaced rows of one view.

    Parameters
    ----------
    target : CameraPoses
        Rows of a view stand together.
    device : torch.device
        Where rows are wanted.

    Raises
    ------
    ValueError
        When no view has three such rows.
    """

    def __init__(self, target: CameraPoses, device: torch.device) -> None:
        step = np.diff(target.frame)
        even = target.same_view[1:] & target.same_view[:-1] & (step[1:] == step[:-1])
        middles = np.flatnonzero(even) + 1
        if len(middles) == 0:
            raise ValueError(
                "smoothness: no view of the target has three evenly spaced frames; select more frames, or "
                "set `smoothness: 0`"
            )
        self._middles = torch.as_tensor(middles, device=device)

    def draw(self, triples: int, rng: torch.Generator) -> Tensor:
        """Draw rows (triples, 3), in the order of their frames."""
        chosen = self._middles[draw_rows(len(self._middles), triples, rng)]
        return chosen[:, None] + torch.arange(-1, 2, device=rng.device)


class Pairs:
    """Draws frames before two cameras of known extrinsics.

    Parameters
    ----------
    target : CameraPoses
        The target.
    device : torch.device
        Where rows are wanted.

    Raises
    ------
    ValueError
        When no frame is seen by two cameras whose extrinsics are known.
    """

    def __init__(self, target: CameraPoses, device: torch.device) -> None:
        apart = stand_apart(camera for camera in target.cameras if camera.placed)
        # Trajectories of a clip's cameras are of one world, whether it is known where up is in it or not.
        moves = target.moves
        placed = np.array([apart and one.placed for one in target.cameras], dtype=np.bool_) | moves
        rows = np.flatnonzero(placed[target.camera])
        moments, number, views = np.unique(
            np.stack([target.trial[rows], target.frame[rows]], axis=1),
            axis=0,
            return_inverse=True,
            return_counts=True,
        )
        number = number.reshape(-1)
        shared = views[number] > 1
        if not shared.any():
            raise ValueError(
                f"views cannot agree: none of the {len(moments)} frames of the target before cameras of "
                f"known extrinsics ({int(placed.sum())} of {len(placed)} cameras) is seen by two of them; "
                "use a target that several calibrated cameras filmed at once, or leave `multi_view` at 0"
            )
        rows, number = rows[shared], number[shared]
        order = np.argsort(number, kind="stable")
        number = number[order]
        start = np.searchsorted(number, number)
        self._order = torch.as_tensor(rows[order], device=device)
        self._start = torch.as_tensor(start, device=device)
        self._views = torch.as_tensor(np.searchsorted(number, number, side="right") - start, device=device)
        rotations = np.array([camera.rotation for camera in target.cameras], dtype=np.float32)
        self._rotation = torch.as_tensor(rotations, device=device)
        self._camera = torch.as_tensor(target.camera, dtype=torch.int64, device=device)
        turns = target.turns
        self._turns = None if turns is None else torch.as_tensor(turns, dtype=torch.float32, device=device)

    def rotation(self, rows: Tensor) -> Tensor:
        """Look up the rotations from the world to the cameras of rows (n,), (n, 3, 3)."""
        standing = self._rotation[self._camera[rows]]
        # Of a camera that moves, the one is the identity; of one that stands still, the other.
        return standing if self._turns is None else compose(standing, self._turns[rows])

    def draw(self, pairs: int, rng: torch.Generator) -> Tensor:
        """Draw rows (pairs, 2): two different cameras' views of one frame."""
        place = draw_rows(len(self._order), pairs, rng)
        start, views = self._start[place], self._views[place]
        share = torch.rand(pairs, generator=rng, device=rng.device)
        onward = torch.minimum((share * (views - 1)).long(), views - 2) + 1
        other = start + (place - start + onward) % views
        return torch.stack([self._order[place], self._order[other]], dim=1)
