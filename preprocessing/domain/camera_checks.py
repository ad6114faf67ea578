"""Checks of a trial's cameras: image sizes, principal points, and whether the views of a person meet."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, stand_apart
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.rotation import angle_between
from poseshift.preprocessing.domain.assemble import CALIBRATED_SIZE
from poseshift.preprocessing.domain.findings import Finding, finding, graded
from poseshift.preprocessing.domain.readings import LARGEST_SHARE, typical_size
from poseshift.preprocessing.domain.tracks import missing_as_nan
from poseshift.preprocessing.domain.views import exchanged, meet, some_frames
from poseshift.storage.schema import Float32, Trial

Float64 = NDArray[np.float64]

OFF_CENTRE = (0.1, 0.25)
"""Shares of the image above which the place of the principal point is a warning, and a problem."""

_SAME_SIZE = 0.02
_WORST_OF_VIEWS = 2.0
_MOST_FRAMES = 0.5


def intrinsics(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Tell that intrinsics are assumed."""
    del keypoints
    if trial.intrinsics == "assumed":
        yield finding(
            trial,
            None,
            "intrinsics",
            "warning",
            0,
            "intrinsics are assumed (60 degrees over the longer side): calibrate, or state --fov",
        )


def upright(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Tell of which cameras it is not known where up is, and what was stated of the others."""
    del keypoints
    moving = trial.moving
    unknown = [
        one.name
        for one in trial.cameras
        if trial.up == "unknown" or (one.up is None and one.name not in moving)
    ]
    if unknown:
        yield finding(
            trial,
            None,
            "up",
            "note",
            0,
            f"where up is before {', '.join(unknown)} is not known: state it with --up or --world-up (of a "
            "camera that moves: --world-up), or choose a method that finds it, or needs none",
        )
    for camera in trial.cameras:
        stated = trial.verticals.get(camera.name)
        if stated is not None and camera.up is not None:
            text = (
                f"up by what was stated ({stated.kind}): {attitude(camera.up)}, within "
                f"{stated.interval_degrees:.1f} degrees in 9 of 10 cases"
            )
            yield finding(trial, camera, "up", "note", 0, text)


def paths(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Tell which cameras move, how fast, and in how many frames it is not known where they are."""
    del keypoints
    for camera in trial.cameras:
        path = trial.path(camera.name)
        if path is None:
            continue
        known = path.known
        lacking = int((~known).sum())
        turned = np.degrees(angle_between(path.rotation[known], path.rotation[known][:1]))
        moved = np.ptp(path.centre[known], axis=0)
        yield finding(
            trial,
            camera,
            "moving camera",
            "warning" if lacking else "note",
            lacking,
            f"moves within {moved[0]:.2f} x {moved[1]:.2f} x {moved[2]:.2f} m and turns by up to "
            f"{turned.max(initial=0.0):.0f} degrees from where it began"
            + (
                f"; {lacking} of {len(known)} frames have no pose and count as showing nobody"
                if lacking
                else ""
            ),
        )
        # NaN beside gaps
        speed = trial.fps * np.degrees(angle_between(path.rotation[1:], path.rotation[:-1]))
        if (fast := int((speed > _FASTEST_DEGREES_S).sum())) > 0:
            yield finding(
                trial,
                camera,
                "moving camera",
                "problem",
                fast,
                f"turns by more than {_FASTEST_DEGREES_S:g} degrees per second in {fast} frames: the "
                "trajectory jumps, where SLAM lost the camera or took it up elsewhere; cut clips there",
            )


_FASTEST_DEGREES_S = 720.0
"""A hand turns a camera by a few hundred degrees per second at most."""


def attitude(up: tuple[float, float, float]) -> str:
    """Say how a camera is held, given up in its axes."""
    pitch = math.degrees(-math.asin(min(1.0, max(-1.0, up[2]))))
    roll = math.degrees(math.atan2(up[0], -up[1]))
    # Rounded before its sign is told, so that a camera that is level does not look up by nothing.
    pitch = round(pitch, 1)
    return f"looks {'down' if pitch >= 0 else 'up'} by {abs(pitch):.1f} degrees, rolled by {roll:.1f}"


def sizes(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Tell that cameras differ in image size."""
    del keypoints
    sizes = {camera.size_px for camera in trial.cameras}
    if len(sizes) > 1:
        listed = ", ".join(f"{one.name} {one.size_px[0]}x{one.size_px[1]}" for one in trial.cameras)
        yield finding(trial, None, "image sizes", "note", 0, f"cameras differ in image size: {listed}")


def views(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Let the views of a person judge the calibration."""
    if not _apart(trial):
        return
    pixels = missing_as_nan(keypoints)
    meeting = meet(*_some(trial, pixels))
    if math.isnan(meeting.median_px):
        yield finding(trial, None, "views", "warning", 0, "no two cameras see a joint at once")
        return
    bad = not meeting.median_px <= LARGEST_SHARE * typical_size(list(pixels))
    each = ", ".join(f"{name} {error:.1f}" for name, error in meeting.by_camera)
    yield finding(
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
            yield finding(
                trial,
                camera,
                "views",
                "warning",
                0,
                f"re-projection of {error:.1f} px where the others have {usual:.1f}: moved after "
                "calibration, out of step, or a worse detector",
            )


def mirrored_views(trial: Trial, keypoints: Float32) -> Iterator[Finding]:
    """Find cameras whose left is the others' right, which no single view can show."""
    if len(trial.cameras) < 3 or not _apart(trial):
        return
    found = exchanged(*_some(trial, missing_as_nan(keypoints)))
    for camera, frames in zip(trial.cameras, found, strict=True):
        if frames.mean() > _MOST_FRAMES:
            yield finding(
                trial,
                camera,
                "mirrored view",
                "problem",
                int(frames.sum()),
                f"left and right are exchanged against the other views in {frames.mean():.0%} of the frames "
                "looked at: a mirrored video, or a detector that took the front for the back",
            )


def _apart(trial: Trial) -> bool:
    """Whether views of a moment can be put together: cameras are in more than one place of one world."""
    centres = [None if (path := trial.path(one.name)) is None else path.centre for one in trial.cameras]
    moving = [one for one in centres if one is not None]
    if not moving:
        return stand_apart(trial.cameras)
    return len(moving) == len(centres) > 1 and any(
        np.nanmax(np.abs(one - moving[0])) > 0 for one in moving[1:]
    )


def _some(trial: Trial, pixels: Float64) -> tuple[Float64, list[Camera], list[CameraPath]]:
    """Take some frames of a trial's views, with the poses of their cameras; none where they stand still."""
    chosen = some_frames(trial.frames)
    paths = [path[chosen] for one in trial.cameras if (path := trial.path(one.name)) is not None]
    return pixels[:, chosen], list(trial.cameras), paths


def resolution(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    """Compare the image size of the keypoints with that of the calibration."""
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
    yield finding(
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


def off_centre(trial: Trial, camera: Camera, keypoints: Float32) -> Iterator[Finding]:
    """Measure how far the principal point lies from the middle of the image."""
    del keypoints
    size, centre = np.asarray(camera.size_px), np.asarray(camera.centre_px)
    share = float((np.abs(centre / size - 0.5)).max())
    if share > OFF_CENTRE[0]:
        yield finding(
            trial,
            camera,
            "principal point",
            graded(share, OFF_CENTRE),
            0,
            f"the principal point ({centre[0]:.0f}, {centre[1]:.0f}) lies {share:.0%} of the image's size "
            f"from the middle of {size[0]}x{size[1]}: a cropped, turned or scaled image?",
        )
