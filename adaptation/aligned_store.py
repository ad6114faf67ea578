"""Global position alignment off line: a store of source poses becomes a store of aligned ones.

The same mathematics as in training, drawn once and kept, so that other programs can read the adapted poses
and an experiment can be repeated on exactly the same data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from poseshift.adaptation.global_position import (
    GlobalPositionConfig,
    TargetKeypoints,
    draw_rows,
    on_device,
    place,
)
from poseshift.geometry.camera import Camera, project, stack_intrinsics, world_to_camera
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.arrays import array_digest
from poseshift.storage.schema import Float32, Trial, TrialKey
from poseshift.storage.store import PoseStore


def align_store(
    source: PoseStore,
    target: TargetKeypoints,
    config: GlobalPositionConfig,
    *,
    seed: int,
    segment_frames: int = 1,
) -> Iterator[Trial]:
    """Align all trials of a store, off line.

    Every (trial, camera) of the source becomes one trial, seen by one of the target's cameras, drawn in
    proportion to their poses; the frames draw among the poses of that camera. As in the test set of
    MPI-INF-3DHP there is no world: the camera is the world (R = I, t = 0), and positions are the camera's.

    Parameters
    ----------
    source : labelled poses, on the target's skeleton.
    target : keypoints and cameras of the target.
    config : which form or control.
    seed : of all draws, which follow the order of the store's keys.
    segment_frames : successive frames that share one displacement; 1 moves each frame on its own, as
        single-frame lifters want it, while lifters of clips need segments longer than their clips.

    Yields
    ------
    Trials named ``<trial>.<source camera>`` under the source's subject; keypoints are exact projections.

    Raises
    ------
    ValueError
        When the skeletons differ or ``segment_frames`` is not positive.
    """
    if source.skeleton != target.skeleton:
        raise ValueError(f"source poses are {source.skeleton}, target keypoints {target.skeleton}")
    if segment_frames < 1:
        raise ValueError(f"a segment has at least one frame; got {segment_frames}")
    generator = torch.Generator().manual_seed(seed)
    by_camera = [np.flatnonzero(target.camera == row) for row in range(len(target.cameras))]
    shares = torch.as_tensor([float(len(rows)) for rows in by_camera])
    root = skeleton(target.skeleton).root
    keys = source.keys()
    for key in keys:
        trial = source.read(key)
        for camera in trial.cameras:
            seen_by = int(torch.multinomial(shares, 1, generator=generator))
            positions = world_to_camera(
                trial.positions_world.astype(np.float64),
                np.asarray(camera.rotation),
                np.asarray(camera.translation),
            )
            clips = torch.as_tensor(_segments(positions, segment_frames), dtype=torch.float32)
            drawn = draw_rows(len(by_camera[seen_by]), len(clips), generator).numpy()
            rays = torch.as_tensor(target.rays[by_camera[seen_by][drawn]])
            intrinsics = on_device(stack_intrinsics([target.cameras[seen_by]] * len(clips)), rays)
            moved = place(clips, rays, intrinsics, config, root, generator).flatten(0, 1)[: trial.frames]
            yield _aligned_trial(trial, camera, target.cameras[seen_by], moved.numpy(), config)


def write_aligned_store(
    location: str | Path,
    source: PoseStore,
    target: TargetKeypoints,
    config: GlobalPositionConfig,
    *,
    seed: int,
    segment_frames: int = 1,
) -> PoseStore:
    """Write the trials of :func:`align_store` to a store of their own, in one transaction.

    A store that is complete for the same source, configuration and seed is returned as it is.

    Raises
    ------
    storage.store.StoreError
        When there is another store at ``location`` already.
    ValueError
        As :func:`align_store`.
    """
    options = {
        "adaptation": "global_position",
        "source_snapshot": source.snapshot,
        "target": _digest(target),
        "seed": str(seed),
        "segment_frames": str(segment_frames),
        **{name: str(value) for name, value in config.model_dump().items()},
    }
    store = PoseStore.open_or_create(
        location,
        "adapted",
        source.skeleton,
        restaged_from=source.attributes.restaged_from,
        options=options,
    )
    if store.keys():
        return store
    with store.transaction("Align the source's global positions with the target's", options) as transaction:
        for trial in align_store(source, target, config, seed=seed, segment_frames=segment_frames):
            transaction.write(trial)
    return store


def _digest(target: TargetKeypoints) -> str:
    cameras = hashlib.sha256(repr(target.cameras).encode()).hexdigest()
    seen = (array_digest(target.rays), array_digest(target.camera), cameras)
    return hashlib.sha256(" ".join(seen).encode()).hexdigest()


def _aligned_trial(
    trial: Trial, source_camera: Camera, target_camera: Camera, moved: Float32, config: GlobalPositionConfig
) -> Trial:
    camera = Camera(
        name=target_camera.name,
        size_px=target_camera.size_px,
        focal_px=target_camera.focal_px,
        centre_px=target_camera.centre_px,
        distortion=target_camera.distortion,
    )
    return Trial(
        key=TrialKey(trial.key.subject, f"{trial.key.trial}.{source_camera.name}"),
        action=trial.action,
        subaction=trial.subaction,
        fps=trial.fps,
        cameras=(camera,),
        positions_world=moved,
        keypoints_2d=project(moved, camera.intrinsics)[None],
        valid=trial.valid,
        activity=trial.activity,
        options={**trial.options, "global_position": f"{config.copied}, {config.root_form}"},
    )


def _segments(positions: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Cut (n, joints, 3) into (segments, frames, joints, 3); the last frame fills up the last segment."""
    rows = np.arange(-(-len(positions) // frames) * frames).clip(max=len(positions) - 1)
    return np.reshape(positions[rows], (-1, frames, *positions.shape[1:]))
