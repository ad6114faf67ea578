"""Imported columns as trials of a store: each run of one camera becomes a trial whose world is that camera.

Exchange files in camera axes do not say how their cameras stand to each other, so views of one moment stay
apart. What a file leaves out (frames, extrinsics) stays left out, and frames keep their distance in time:
where a file has every n-th frame, the rate is that of its frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.storage.columns import CameraPoses
from poseshift.storage.schema import SourceFile, Trial, TrialKey

FRAME_STEP = "frame_step"
"""Option of a trial that holds every n-th frame of a recording: n."""


def trials_of(
    poses: CameraPoses, source: SourceFile, valid: NDArray[np.bool_] | None = None
) -> Iterator[Trial]:
    """Cut columns into trials, one per trial and camera.

    Parameters
    ----------
    poses : CameraPoses
        Imported columns; their trials say which 3D they hold.
    source : SourceFile
        The file that they come from.
    valid : array of bool of shape (n,), or None
        Which rows the file marks as valid, kept with each trial; None where it marks none.

    Yields
    ------
    trials named ``<trial>.<camera>``, or ``<trial>`` where the camera has the trial's name. Frames are
    counted from the view's first. Where the columns have every n-th frame, they are counted by n and the
    rate is divided by it; frames that are missing in between leave a gap in the numbers.

    Raises
    ------
    ValueError
        When a frame comes twice in a view.
    """
    pairs = np.stack([poses.trial, poses.camera], axis=1)
    views = np.unique(pairs, axis=0).tolist()
    rows_of = [np.flatnonzero((pairs == view).all(axis=1)) for view in views]
    steps = _frame_steps([poses.frame[rows] for rows in rows_of])
    for (trial, number), rows, step in zip(views, rows_of, steps, strict=True):
        info, seen_by = poses.trials[trial], poses.cameras[number]
        name = info.key.trial if info.key.trial == seen_by.name else f"{info.key.trial}.{seen_by.name}"
        frames = (poses.frame[rows] - poses.frame[rows[0]]) // step
        if not (np.diff(frames) > 0).all():
            raise ValueError(f"{info.key.path} of camera {seen_by.name} has a frame twice")
        yield Trial(
            key=TrialKey(info.key.subject, name),
            action=info.action,
            subaction=info.subaction,
            fps=info.fps / step,
            cameras=(_as_world(seen_by),),
            positions_world=poses.positions_camera[rows],
            keypoints_2d=poses.keypoints_px[rows][None],
            frame_number=frames.astype(np.int32) if frames[-1] >= len(frames) else None,
            valid=None if valid is None else valid[rows],
            positions_kind=info.positions,
            options={} if step == 1 else {FRAME_STEP: str(step)},
            sources=(source,),
        )


def _frame_steps(frames: list[NDArray[np.int32]]) -> list[int]:
    """Find by which step the frames of each view were taken.

    The step of a file is the one that most of its frames have. A view in which more is missing has a multiple
    of it between all of its frames, and is not of a lower rate for that; one whose frames do not fit has a
    step of its own.
    """
    own = [int(np.gcd.reduce(np.diff(one))) for one in frames]  # 0 of a view with one frame
    weights: Counter[int] = Counter()
    for step, one in zip(own, frames, strict=True):
        weights[step] += len(one) if step else 0
    usual = max(weights, key=lambda step: (weights[step], -step)) or 1
    return [usual if step % usual == 0 else step for step in own]


def _as_world(camera: Camera) -> Camera:
    return Camera(
        name=camera.name,
        size_px=camera.size_px,
        focal_px=camera.focal_px,
        centre_px=camera.centre_px,
        distortion=camera.distortion,
    )
