"""What is wrong with a domain without 3D, looked for before anything is trained on it.

Nothing here reads 3D. A *problem* makes what is learned wrong; a *warning* may, and is to be looked at; a
*note* is to be known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.assemble import CALIBRATED_SIZE
from poseshift.preprocessing.domain.readings import LARGEST_SHARE, typical_size
from poseshift.preprocessing.domain.swaps import Swap, find_swaps, runs
from poseshift.preprocessing.domain.tracks import missing_as_nan, person_size
from poseshift.preprocessing.domain.views import meet, some_frames
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Float32, Trial

Level = Literal["problem", "warning", "note"]

FASTEST_SIZES_PER_SECOND = 8.0
"""Faster than sprinting, about 10 m/s, sideways before the camera at 1.3 m of visible size."""

JUMP_SIZES = 0.5
"""And further than this in one step."""

_UNSEEN = (0.0, 0.5)
_OUTSIDE = (0.0, 0.2)
_OFF_CENTRE = (0.1, 0.25)
"""Shares above which a finding is a warning, and a problem."""

_SAME_SIZE = 0.02
_WORST_OF_VIEWS = 2.0
_FRAMES_SHOWN = 4


class Finding(FrozenModel):
    """One thing that was found."""

    level: Level
    """How bad it is."""
    check: str
    """Name of the check."""
    trial: str
    """The trial's path in its store."""
    camera: str | None
    """The camera; None where it is about several."""
    count: int
    """Frames or joints that it is about; 0 where it is about none."""
    text: str
    """What was found, and what to do."""


def examine(trial: Trial, detector: str) -> tuple[Finding, ...]:
    """Look at one trial's keypoints and cameras.

    Parameters
    ----------
    trial : Trial
        Of a store.
    detector : str
        Whose keypoints.
    """
    keypoints = trial.detections[detector]
    found = [one for check in _OF_TRIALS for one in check(trial, keypoints)]
    for camera, seen in zip(trial.cameras, keypoints, strict=True):
        found += [one for check in _OF_VIEWS for one in check(trial, camera, seen)]
    return tuple(found)


def _unseen(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    seen = keypoints[..., 2] > 0
    nobody = np.asarray(~seen.any(axis=1))
    if nobody.any():
        yield _finding(
            trial,
            camera,
            "unseen",
            _graded(nobody.mean(), _UNSEEN),
            int(nobody.sum()),
            f"nobody in {_frames(nobody)}; training leaves them out",
        )
    partly = np.asarray(~seen.all(axis=1)) & ~nobody
    if partly.any():
        worst = HUMAN36M_17.joint_names[int((~seen[partly]).sum(axis=0).argmax())]
        yield _finding(
            trial,
            camera,
            "unseen",
            _graded(partly.mean(), _UNSEEN),
            int(partly.sum()),
            f"joints missing in {_frames(partly)}, {worst} most often; training leaves them out",
        )


def _jumps(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
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
        yield _finding(
            trial,
            camera,
            "jumps",
            "problem",
            len(at),
            f"the person jumps further than anybody moves at {_listed(at)}: identities are mixed up; "
            "mend the tracks",
        )


def _swaps(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    by_limbs: dict[str, list[Swap]] = {}
    for swap in find_swaps(keypoints, trial.fps):
        by_limbs.setdefault(swap.limbs, []).append(swap)
    for limbs, swaps in by_limbs.items():
        count = sum(swap.frames for swap in swaps)
        where = ", ".join(f"{one.first}-{one.last}" for one in swaps[:_FRAMES_SHOWN])
        more = ", ..." if len(swaps) > _FRAMES_SHOWN else ""
        yield _finding(
            trial,
            camera,
            "swapped sides",
            "problem",
            count,
            f"left and right {limbs} change sides in {count} of {trial.frames} frames ({where}{more}); "
            "--mend exchanges them back",
        )


def _outside(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    seen = keypoints[..., 2] > 0
    points, size = keypoints[..., :2], np.asarray(camera.size_px)
    outside = seen & ((points < 0) | (points > size)).any(axis=-1)
    if outside.any():
        share = outside.sum() / max(int(seen.sum()), 1)
        yield _finding(
            trial,
            camera,
            "outside",
            _graded(share, _OUTSIDE),
            int(outside.sum()),
            f"{share:.1%} of the joints lie outside the image of {size[0]}x{size[1]}: guessed by the "
            "detector, or pixels of another resolution",
        )


def _resolution(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    del keypoints
    text = trial.options.get(f"{CALIBRATED_SIZE}{camera.name}")
    if text is None:
        return
    calibrated = tuple(int(one) for one in text.split("x"))
    ratios = [have / wanted for have, wanted in zip(camera.size_px, calibrated, strict=True)]
    if all(ratio == 1 for ratio in ratios):
        return
    far = max(abs(ratio - 1) for ratio in ratios) > _SAME_SIZE
    width, height = camera.size_px
    yield _finding(
        trial,
        camera,
        "resolution",
        "problem" if far else "warning",
        0,
        f"calibrated for images of {text}, keypoints of {width}x{height}: "
        + (
            "scale the keypoints, or calibrate at their resolution"
            if far
            else "cropped or padded by a few pixels, and the principal point may be off by them"
        ),
    )


def _off_centre(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    del keypoints
    size, centre = np.asarray(camera.size_px), np.asarray(camera.centre_px)
    share = float((np.abs(centre / size - 0.5)).max())
    if share > _OFF_CENTRE[0]:
        yield _finding(
            trial,
            camera,
            "principal point",
            _graded(share, _OFF_CENTRE),
            0,
            f"the principal point ({centre[0]:.0f}, {centre[1]:.0f}) lies {share:.0%} of the image's size "
            f"from the middle of {size[0]}x{size[1]}: a cropped, turned or scaled image?",
        )


def _sizes(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    del keypoints
    sizes = {camera.size_px for camera in trial.cameras}
    if len(sizes) > 1:
        listed = ", ".join(f"{one.name} {one.size_px[0]}x{one.size_px[1]}" for one in trial.cameras)
        yield _finding(trial, None, "image sizes", "note", 0, f"cameras differ in image size: {listed}")


def _views(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Let the views of a person judge the calibration."""
    if len(trial.cameras) < 2 or not any(camera.placed for camera in trial.cameras):
        return
    pixels = missing_as_nan(keypoints)
    meeting = meet(pixels[:, some_frames(trial.frames)], trial.cameras)
    if math.isnan(meeting.median_px):
        yield _finding(trial, None, "views", "warning", 0, "no two cameras see a joint at once")
        return
    bad = not meeting.median_px <= LARGEST_SHARE * typical_size(list(pixels))
    each = ", ".join(f"{name} {error:.1f}" for name, error in meeting.by_camera)
    yield _finding(
        trial,
        None,
        "views",
        "problem" if bad else "note",
        0,
        f"re-projection of pairs of views {meeting.median_px:.1f} px (median; {each})"
        + (": calibration, moments or track ids do not belong together" if bad else ""),
    )
    usual = float(np.median([error for _, error in meeting.by_camera]))
    for camera, (_, error) in zip(trial.cameras, meeting.by_camera, strict=True):
        if not bad and error > _WORST_OF_VIEWS * usual:
            yield _finding(
                trial,
                camera,
                "views",
                "warning",
                0,
                f"re-projection of {error:.1f} px where the others have {usual:.1f}: moved after "
                "calibration, out of step, or a worse detector",
            )


def _intrinsics(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    del keypoints
    if trial.intrinsics == "assumed":
        yield _finding(
            trial,
            None,
            "intrinsics",
            "warning",
            0,
            "intrinsics are assumed (60 degrees over the longer side): calibrate, or state --fov",
        )


def _upright(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    del keypoints
    if trial.up == "unknown" or not any(camera.placed for camera in trial.cameras):
        yield _finding(
            trial,
            None,
            "up",
            "note",
            0,
            "where up is before the cameras is not known: choose a method that learns gravity, or needs none",
        )


_OF_TRIALS: tuple[Callable[[Trial, Float32], Iterator[Finding]], ...] = (
    _intrinsics,
    _upright,
    _sizes,
    _views,
)
_OF_VIEWS: tuple[Callable[[Trial, Camera, Float32], Iterator[Finding]], ...] = (
    *(_unseen, _jumps, _swaps),
    *(_outside, _resolution, _off_centre),
)


def _finding(trial: Trial, camera: Camera | None, check: str, level: Level, count: int, text: str) -> Finding:
    name = None if camera is None else camera.name
    return Finding(level=level, check=check, trial=trial.key.path, camera=name, count=count, text=text)


def _graded(share: float, limits: tuple[float, float]) -> Level:
    return "problem" if share > limits[1] else "warning"


def _frames(mask: NDArray[np.bool_]) -> str:
    found = runs(mask)
    where = ", ".join(f"{first}-{last}" for first, last in found[:_FRAMES_SHOWN])
    more = ", ..." if len(found) > _FRAMES_SHOWN else ""
    return f"{int(mask.sum())} of {len(mask)} frames ({where}{more})"


def _listed(frames: NDArray[np.intp]) -> str:
    shown = ", ".join(str(int(one)) for one in frames[:_FRAMES_SHOWN])
    return f"frame {shown}{', ...' if len(frames) > _FRAMES_SHOWN else ''}"
