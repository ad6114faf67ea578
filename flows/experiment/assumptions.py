"""What the files of a prediction take for granted, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poseshift.adaptation.test_time import TestTimeOptimisation
from poseshift.preprocessing.domain.moving import UNIT, UNKNOWN_UNIT
from poseshift.storage.inspection import TrialIntrinsics, intrinsics_told
from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import KnownEncoding
from poseshift.training.prediction.motions import Made
from poseshift.training.prediction.smoothing import Smoothing


def of_motions(
    made: Sequence[Made],
    intrinsics: Sequence[TrialIntrinsics],
    heights_m: Mapping[str, float],
    smoothing: Smoothing,
    test_time: TestTimeOptimisation | None,
) -> tuple[str, ...]:
    """Say what the files take for granted of sizes, axes, smoothing and errors.

    Parameters
    ----------
    made : sequence of Made
        The motions.
    intrinsics : sequence of TrialIntrinsics
        Of the trials that were lifted.
    heights_m : mapping of str to float
        Body heights that were given, by subject.
    smoothing : Smoothing
        Of positions over time.
    test_time : TestTimeOptimisation or None
        How the lifter's input was optimised.
    """
    cameras = intrinsics_told(intrinsics)
    told = [] if cameras is None else [cameras]
    unscaled = sorted(
        {one.motion.key.subject for one in made if one.size.measured is None and not one.size.frames}
    )
    if unscaled:
        told.append(
            f"Scale of {', '.join(unscaled)}: the mean body of the lifter's source; "
            "give --height for true size."
        )
    seen = {one.motion.key.subject: one.size for one in made if one.size.frames}
    for subject, size in sorted(seen.items()):
        told.append(
            f"Scale of {subject}: where all cameras see the person in one place, {size.factor:.3f} times the "
            f"lifter's answers (median of {size.frames} frames)."
        )
    if heights_m:
        given = ", ".join(f"{subject} {height:g} m" for subject, height in sorted(heights_m.items()))
        told.append(f"Scale by body height: {given}; pose and root are multiplied by one factor per person.")
    bent = sorted(
        {one.motion.key.subject for one in made if one.size.measured and not one.size.measured.upright}
    )
    if bent:
        told.append(f"No upright frame of {', '.join(bent)}: the height was measured on all frames.")
    if any(one.motion.axes == "world" for one in made):
        told.append(
            "World axes: z up by the cameras' extrinsics; the lower ankle's 2nd percentile over a trial is "
            "at z = 0 (floor_m says how far that is from the cameras' own z = 0)."
        )
    if any(one.motion.axes == "camera" for one in made):
        told.append(
            "Up is unknown where a camera has no extrinsics: camera axes (x right, y down, z forward); "
            "formats with y up get y = minus the camera's y, which is up as far as the camera is level."
        )
    if any(one.motion.to_camera is None for one in made):
        told.append("Fused motions: the root is in the metres of the calibration, the pose in those above.")
    if test_time is not None:
        told.append(f"The lifter's input is optimised at test time: {test_time}.")
    told.append(f"Smoothing: {smoothing.model_dump_json()}; error estimates are of unsmoothed poses.")
    kinds = {(_whose(one.motion), one.motion.error_kind) for one in made}
    told.extend(f"Error estimate of {whose}: {kind}." for whose, kind in sorted(kinds, reverse=True))
    return tuple(told)


def of_moving_cameras(store: PoseStore, made: Sequence[Made]) -> tuple[str, ...]:
    """Say what is assumed of cameras that move."""
    lifted = {one.motion.key for one in made}
    moving = {key: one for key, one in store.catalogue().items() if one.moving and key in lifted}
    if not moving:
        return ()
    told = [
        "Cameras that move: their poses are taken as they were given; motions are smoothed in the world, and "
        "a frame without a camera pose counts as showing nobody."
    ]
    apart = sorted(key.path for key, one in moving.items() if one.options.get(UNIT) == UNKNOWN_UNIT)
    if apart:
        told.append(
            f"Unit of the trajectory not known ({', '.join(apart)}): only its rotations are used; people are "
            "where the camera sees them, and do not stay in place where it is carried about."
        )
    return tuple(told)


def of_lifter(trained: TrainedLifter, intrinsics: Sequence[TrialIntrinsics]) -> tuple[str, ...]:
    """Say whose bones the answers have, at which rate clips were seen, and what the lifter was not shown."""
    return (_body_told(trained), *_rate_told(trained), *_known_told(trained, intrinsics))


def _body_told(trained: TrainedLifter) -> str:
    if trained.answer.rays.body == "view":
        return "Bones: one body in all frames of a view, the median of the answers to them."
    return "Bones: those of each frame's own answer; they change from frame to frame."


def _rate_told(trained: TrainedLifter) -> tuple[str, ...]:
    """Say at which rate a lifter of clips saw the motion."""
    frames, hz = trained.lifter.frames, trained.clip_hz
    if frames == 1:
        return ()
    if hz is None:
        return (f"Clips of {frames} frames as they are: the lifter does not say which rate it has learned.",)
    return (f"Clips of {frames} frames at {hz:.4g} Hz, which the lifter has learned.",)


def _known_told(trained: TrainedLifter, intrinsics: Sequence[TrialIntrinsics]) -> tuple[str, ...]:
    """Say whose intrinsics a lifter is not shown, where its encoding says whether they are known."""
    assumed = [one.trial for one in intrinsics if one.origin == "assumed"]
    if not assumed or not isinstance(trained.encoding, KnownEncoding):
        return ()
    return (f"The lifter is told that the intrinsics of {', '.join(assumed)} are not known, and sees none.",)


def _whose(motion: Motion) -> str:
    return "a fused motion" if motion.to_camera is None else "one camera"
