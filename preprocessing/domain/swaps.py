"""Left and right that change sides: finding it in one view's track, and mending it.

Detectors call a left leg right for a run of frames and then call it left again. At both ends the joints jump
to the other leg's place, so that the motion is shorter when the sides are exchanged in between. Which frames
are exchanged is the cheapest path through two states per frame (Viterbi): between frames of one state the
joints move as they do, between states they move crosswise. Being exchanged costs a little per second, so
that of two readings of the same jumps the one with the shorter run is taken, and so that nothing is
exchanged to save a few pixels where legs cross. A detector that has the sides wrong all the time cannot be
told from the mirror image of the person by one view, and is not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.tracks import missing_as_nan, person_size
from poseshift.storage.schema import Float32

Float64 = NDArray[np.float64]

LIMBS = {"legs": ("hip", "knee", "ankle"), "arms": ("shoulder", "elbow", "wrist")}
"""Joints of one side that change together."""

COST_PER_SECOND = 0.5
"""Motion that a run of exchanged sides must save per second, in sizes of the person, over all its joints."""

LONGEST_GAP_S = 0.5
"""After a longer time unseen, nothing is known of which side was which."""


@dataclass(frozen=True)
class Swap:
    """A run of frames in which limbs have changed sides.

    Attributes
    ----------
    limbs : str
        Key of :data:`LIMBS`.
    first, last : int
        Frames, both included.
    """

    limbs: str
    first: int
    last: int

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.last - self.first + 1


def find_swaps(keypoints: Float32, fps: float) -> tuple[Swap, ...]:
    """Find the runs of frames in which legs or arms have changed sides.

    Parameters
    ----------
    keypoints : array of float32 of shape (frames, 17, 3)
        One person in one view, Human3.6M's joints; confidence 0 where not seen.
    fps : float
        Frames per second.
    """
    size = person_size(missing_as_nan(keypoints))
    found = []
    for limbs in LIMBS:
        left, right = sides(limbs)
        exchanged = _cheapest(keypoints[:, left], keypoints[:, right], fps, size)
        found += [Swap(limbs, first, last) for first, last in runs(exchanged)]
    return tuple(sorted(found, key=lambda swap: (swap.first, swap.limbs)))


def mend_swaps(keypoints: Float32, swaps: tuple[Swap, ...]) -> Float32:
    """Exchange the sides of the limbs back, in a copy of (frames, 17, 3)."""
    mended = keypoints.copy()
    for swap in swaps:
        left, right = sides(swap.limbs)
        rows = slice(swap.first, swap.last + 1)
        mended[rows, left], mended[rows, right] = keypoints[rows, right], keypoints[rows, left]
    return mended


def sides(limbs: str) -> tuple[list[int], list[int]]:
    """Joints of the left and of the right side, in the same order."""
    index = HUMAN36M_17.joint_names.index
    left, right = ([index(f"{side}_{joint}") for joint in LIMBS[limbs]] for side in ("left", "right"))
    return left, right


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def _cheapest(left: Float32, right: Float32, fps: float, size: float) -> NDArray[np.bool_]:
    """Whether the sides are exchanged in each frame, by the cheapest path."""
    frames = len(left)
    seen = np.flatnonzero(((left[..., 2] > 0) & (right[..., 2] > 0)).any(axis=1))
    exchanged = np.zeros(frames, dtype=np.bool_)
    if len(seen) < 2 or not np.isfinite(size):
        return exchanged
    before, now = seen[:-1], seen[1:]
    known = now - before <= LONGEST_GAP_S * fps
    straight = known * (_ways(left[before], left[now]) + _ways(right[before], right[now]))
    crossed = known * (_ways(left[before], right[now]) + _ways(right[before], left[now]))
    priors = COST_PER_SECOND * size / fps * (now - before)
    kept, turned = 0.0, float(priors[0])  # cheapest way so far to a frame as it is, and exchanged
    came_from = np.zeros((len(seen), 2), dtype=np.int8)
    for number, (same, cross, prior) in enumerate(zip(straight, crossed, priors, strict=True), start=1):
        came_from[number] = (turned + cross < kept + same, turned + same <= kept + cross)
        kept, turned = min(kept + same, turned + cross), min(kept + cross, turned + same) + prior
    state = int(turned < kept)
    for number in range(len(seen) - 1, -1, -1):
        exchanged[seen[number]] = state == 1
        state = int(came_from[number, state])
    return exchanged


def _ways(before: Float32, now: Float32) -> Float64:
    """Sum over joints of the ways between pairs of frames, of those seen in both; (pairs, joints, 3) each."""
    both = (before[..., 2] > 0) & (now[..., 2] > 0)
    ways = np.linalg.norm(before[..., :2].astype(np.float64) - now[..., :2], axis=-1)
    summed: Float64 = np.where(both, ways, 0.0).sum(axis=-1)
    return summed
