"""Checks of one view's keypoints: who is missing, who jumps, whose sides are exchanged, what lies outside."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.findings import Finding, finding, graded
from poseshift.preprocessing.domain.swaps import Swap, find_swaps, runs
from poseshift.preprocessing.domain.tracks import missing_as_nan, person_size
from poseshift.storage.schema import Float32, Trial

FASTEST_SIZES_PER_SECOND = 8.0
"""Faster than sprinting, about 10 m/s, sideways before the camera at 1.3 m of visible size."""

JUMP_SIZES = 0.5
"""And further than this in one step."""

UNSEEN, OUTSIDE = (0.0, 0.5), (0.0, 0.2)
"""Shares of frames and of joints above which a finding is a warning, and a problem."""

_FRAMES_SHOWN = 4


def unseen(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    """Count frames in which nobody, or not everything, was seen."""
    seen = keypoints[..., 2] > 0
    nobody = np.asarray(~seen.any(axis=1))
    if nobody.any():
        yield finding(
            trial,
            camera,
            "unseen",
            graded(nobody.mean(), UNSEEN),
            int(nobody.sum()),
            f"nobody in {_frames(nobody)}; training leaves them out",
        )
    partly = np.asarray(~seen.all(axis=1)) & ~nobody
    if partly.any():
        worst = HUMAN36M_17.joint_names[int((~seen[partly]).sum(axis=0).argmax())]
        yield finding(
            trial,
            camera,
            "unseen",
            graded(partly.mean(), UNSEEN),
            int(partly.sum()),
            f"joints missing in {_frames(partly)}, {worst} most often; training leaves them out",
        )


def jumps(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    """Find steps that no person makes: the track goes on with somebody else."""
    pelvis = keypoints[:, HUMAN36M_17.root]
    seen = np.flatnonzero(pelvis[:, 2] > 0)
    size = person_size(missing_as_nan(keypoints))
    if len(seen) < 2:
        return
    way = np.linalg.norm(np.diff(pelvis[seen, :2], axis=0), axis=-1) / size
    limit = np.maximum(JUMP_SIZES, FASTEST_SIZES_PER_SECOND * np.diff(seen) / trial.fps)
    at = seen[1:][way > limit]
    if len(at):
        yield finding(
            trial,
            camera,
            "jumps",
            "problem",
            len(at),
            f"the person jumps further than anybody moves at {_listed(at)}: identities are mixed up; "
            "mend the tracks",
        )


def swaps(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    """Find runs of frames in which left and right have changed sides."""
    by_limbs: dict[str, list[Swap]] = {}
    for swap in find_swaps(keypoints, trial.fps):
        by_limbs.setdefault(swap.limbs, []).append(swap)
    for limbs, swaps in by_limbs.items():
        count = sum(swap.frames for swap in swaps)
        where = ", ".join(f"{one.first}-{one.last}" for one in swaps[:_FRAMES_SHOWN])
        more = ", ..." if len(swaps) > _FRAMES_SHOWN else ""
        yield finding(
            trial,
            camera,
            "swapped sides",
            "problem",
            count,
            f"left and right {limbs} change sides in {count} of {trial.frames} frames ({where}{more}); "
            "--mend exchanges them back",
        )


def outside(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    """Count joints that lie outside the image."""
    seen = keypoints[..., 2] > 0
    points, size = keypoints[..., :2], np.asarray(camera.size_px)
    outside = seen & ((points < 0) | (points > size)).any(axis=-1)
    if outside.any():
        share = outside.sum() / max(int(seen.sum()), 1)
        yield finding(
            trial,
            camera,
            "outside",
            graded(share, OUTSIDE),
            int(outside.sum()),
            f"{share:.1%} of the joints lie outside the image of {size[0]}x{size[1]}: guessed by the "
            "detector, or pixels of another resolution",
        )


def _frames(mask: NDArray[np.bool_]) -> str:
    found = runs(mask)
    where = ", ".join(f"{first}-{last}" for first, last in found[:_FRAMES_SHOWN])
    more = ", ..." if len(found) > _FRAMES_SHOWN else ""
    return f"{int(mask.sum())} of {len(mask)} frames ({where}{more})"


def _listed(frames: NDArray[np.intp]) -> str:
    shown = ", ".join(str(int(one)) for one in frames[:_FRAMES_SHOWN])
    return f"frame {shown}{', ...' if len(frames) > _FRAMES_SHOWN else ''}"
