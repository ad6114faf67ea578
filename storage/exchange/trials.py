"""Imported columns as trials of a store: each run of one camera becomes a trial whose world is that camera.

Exchange files in camera axes do not say how their cameras stand to each other, so views of one moment stay
apart. What a file leaves out (frames, extrinsics) stays left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.storage.columns import CameraPoses
from poseshift.storage.schema import SourceFile, Trial, TrialKey


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
    counted anew: rows that the columns lack leave no gap. Where a file marks frames as invalid, hand all of
    them over with the mask, or what follows a gap becomes a neighbour of what precedes it.
    """
    pairs = np.stack([poses.trial, poses.camera], axis=1)
    for trial, number in np.unique(pairs, axis=0).tolist():
        rows = np.flatnonzero((pairs == (trial, number)).all(axis=1))
        info, seen_by = poses.trials[trial], poses.cameras[number]
        name = info.key.trial if info.key.trial == seen_by.name else f"{info.key.trial}.{seen_by.name}"
        yield Trial(
            key=TrialKey(info.key.subject, name),
            action=info.action,
            subaction=info.subaction,
            fps=info.fps,
            cameras=(_as_world(seen_by),),
            positions_world=poses.positions_camera[rows],
            keypoints_2d=poses.keypoints_px[rows][None],
            valid=None if valid is None else valid[rows],
            positions_kind=info.positions,
            sources=(source,),
        )


def _as_world(camera: Camera) -> Camera:
    return Camera(
        name=camera.name,
        size_px=camera.size_px,
        focal_px=camera.focal_px,
        centre_px=camera.centre_px,
        distortion=camera.distortion,
    )
