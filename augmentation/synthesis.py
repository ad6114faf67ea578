"""Synthetic training sets: poses changed or moved once and kept as a store, for other programs to learn from.

Every frame remembers where it comes from: its trial is named after the source's trial and camera and holds
the same frames, the parameters of its augmentation are stored beside it, and the store names the source's
snapshot and the seed. Where the poses stand, and in front of which camera, is decided by the caller; a set
may also be made of poses that are only moved, and not augmented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.augmentation.clips import middle
from poseshift.augmentation.generator import UP_ADVICE, ParameterSource
from poseshift.augmentation.transforms import apply
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.rotation import rotate
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore


@dataclass(frozen=True)
class Staged:
    """Clips in front of one camera.

    Attributes
    ----------
    positions_camera : Tensor
        (n, frames, joints, 3), metres, in the axes of that camera.
    camera : Camera
        The camera; its extrinsics are not used.
    """

    positions_camera: Tensor
    camera: Camera


Stage = Callable[[Tensor, Camera, torch.Generator], Staged]
"""Decides where the clips of one (trial, camera) stand, which still stand where the source's did.

Called with clips (n, frames, joints, 3) in metres, the source's camera, and a generator to draw with.
"""


def stay(clips: Tensor, camera: Camera, rng: torch.Generator) -> Staged:
    """Leave clips where they stand, in front of the source's own camera: a :data:`Stage`."""
    del rng
    return Staged(clips, camera)


@dataclass(frozen=True)
class SynthesisOptions:
    """How a set is made.

    Attributes
    ----------
    seed : int
        Seed of all draws; each (trial, camera) of the source has its own.
    copies : int
        Versions of every (trial, camera).
    segment_frames : int
        Successive frames that share one set of parameters and one displacement; 1 for single-frame lifters,
        while lifters of clips need segments longer than their clips.
    """

    seed: int
    copies: int = 1
    segment_frames: int = 1

    def __post_init__(self) -> None:
        for name in ("copies", "segment_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is at least 1")


@dataclass(frozen=True)
class View:
    """What one camera saw of one trial: worked on by itself, so that any process may do it.

    Attributes
    ----------
    number : int
        Place of the view among those of the source; with the seed, it decides what is drawn.
    poses : CameraPoses
        The rows of the view.
    """

    number: int
    poses: CameraPoses


Mapper = Callable[[Callable[[View], tuple[Trial, ...]], Iterable[View]], Iterable[tuple[Trial, ...]]]
"""Applies a function to each of many views and gives the answers in their order, as :func:`map` does."""


def synthesise(
    source: CameraPoses,
    parameters: ParameterSource | None,
    options: SynthesisOptions,
    stage: Stage = stay,
    *,
    over: Mapper = map,
) -> Iterator[Trial]:
    """Augment and move all rows of a selection.

    Every (trial, camera) of the source becomes ``copies`` trials, ``<trial>.<camera>.<copy>``, seen by one
    camera that is its own world (R = I, t = 0), as in the test set of MPI-INF-3DHP.

    Parameters
    ----------
    source : CameraPoses
        Labelled poses.
    parameters : ParameterSource or None
        A trained generator in evaluation mode, or random parameters; None to augment nothing, so that poses
        are only moved.
    options : SynthesisOptions
        Seed, copies, segments.
    stage : Stage
        Decides where poses stand.
    over : Mapper
        How the views are worked on: one after the other, or by the workers of a cluster, which make the same
        trials.

    Yields
    ------
    Trial
        With its parameters where poses are augmented; frame i is made of the i-th selected frame of the
        source's trial.
    """
    views = (View(number, _alone(source, rows)) for number, rows in enumerate(source.view_rows))
    for trials in over(partial(_copies, parameters, options, stage), views):
        yield from trials


def _copies(
    parameters: ParameterSource | None, options: SynthesisOptions, stage: Stage, view: View
) -> tuple[Trial, ...]:
    """Make the trials of one view, one for each copy."""
    source = view.poses
    joint_set = skeleton(source.skeleton)
    own_seed = np.random.SeedSequence([options.seed, view.number]).generate_state(1, np.uint64)[0]
    rng = torch.Generator().manual_seed(int(own_seed >> np.uint64(1)))
    (info,), (camera,) = source.trials, source.cameras
    rows = np.arange(len(source))
    clips = torch.as_tensor(_segments(rows, options.segment_frames))
    positions = torch.as_tensor(source.positions_camera)[clips]
    trials = []
    for copy in range(options.copies):
        changed, used = positions, None
        with torch.no_grad():
            if parameters is not None:
                drawn = parameters(middle(positions), rng, _up(source, clips))
                changed = apply(positions, drawn, joint_set).rotated
                per_frame = drawn.flat().repeat_interleave(options.segment_frames, dim=0)[: len(rows)]
                used = per_frame.numpy().astype(np.float32)
            staged = stage(changed, camera, rng)
        moved = staged.positions_camera.flatten(0, 1)[: len(rows)].numpy().astype(np.float32)
        seen_by = Camera(
            name=staged.camera.name,
            size_px=staged.camera.size_px,
            focal_px=staged.camera.focal_px,
            centre_px=staged.camera.centre_px,
            distortion=staged.camera.distortion,
        )
        trials.append(
            Trial(
                key=TrialKey(info.key.subject, f"{info.key.trial}.{camera.name}.{copy}"),
                action=info.action,
                subaction=info.subaction,
                fps=info.fps,
                cameras=(seen_by,),
                positions_world=moved,
                keypoints_2d=project(moved.astype(np.float64), seen_by.intrinsics).astype(np.float32)[None],
                positions_kind=info.positions,
                activity=source.activity if source.activity.any() else None,
                augmentation=used,
                options={
                    "source_trial": info.key.path,
                    "source_camera": camera.name,
                    "source_frames": f"{source.frame[rows[0]]} to {source.frame[rows[-1]]}",
                    "copy": str(copy),
                },
            )
        )
    return tuple(trials)


def write_augmented_store(
    location: str | Path,
    source: PoseStore,
    parameters: ParameterSource | None,
    options: SynthesisOptions,
    *,
    selection: Selection | None = None,
    stage: Stage = stay,
    made_by: Mapping[str, str] | None = None,
    over: Mapper = map,
) -> PoseStore:
    """Write the trials of :func:`synthesise` to a store of their own, in one transaction.

    A store that is complete for the same source, options and maker is returned as it is. Its data set is
    ``augmented``, or ``adapted`` where poses are only moved.

    Parameters
    ----------
    location : str or Path
        Place of the new store.
    source : PoseStore
        Labelled poses.
    parameters : ParameterSource or None
        See :func:`synthesise`.
    options : SynthesisOptions
        Seed, copies, segments.
    selection : Selection or None
        Which rows of the source; all when left out.
    stage : Stage
        Decides where poses stand.
    made_by : mapping of str to str, or None
        What made the parameters and positions, kept with the store.
    over : Mapper
        See :func:`synthesise`.

    Returns
    -------
    PoseStore
        The store that was written or found.

    Raises
    ------
    StoreError
        When there is another store at ``location`` already.
    ValueError
        When nothing is selected, or the parameters need to know where up is and a camera has no extrinsics.
    """
    poses = read_camera_poses(source, selection or Selection())
    _require_up(source, poses, parameters, options)
    described = {
        "augmentation": "none" if parameters is None else "bone angles, bone lengths, rotation",
        "source_dataset": source.dataset,
        "source_snapshot": source.snapshot,
        "seed": str(options.seed),
        "copies": str(options.copies),
        "segment_frames": str(options.segment_frames),
        "frame_step": str((selection or Selection()).frame_step),
        **(made_by or {}),
    }
    store = PoseStore.open_or_create(
        location,
        "augmented" if parameters is not None else "adapted",
        source.skeleton,
        restaged_from=source.attributes.restaged_from,
        options=described,
    )
    if store.keys():
        return store
    with store.transaction(_MESSAGES[store.dataset], described) as transaction:
        for trial in synthesise(poses, parameters, options, stage, over=over):
            transaction.write(trial)
    return store


_MESSAGES = {"augmented": "Augment the source's poses", "adapted": "Move the source's poses"}
"""Messages of the commit, by the data set that is written."""


def _require_up(
    source: PoseStore, poses: CameraPoses, parameters: ParameterSource | None, options: SynthesisOptions
) -> None:
    """Refuse before there is a new store, which a request that is mended could not be written to."""
    if poses.motion is not None and options.segment_frames > 1:
        moving = sorted({one.name for one, moves in zip(poses.cameras, poses.moves, strict=True) if moves})
        raise ValueError(
            f"{source.location}: segments of {options.segment_frames} frames before cameras that move "
            f"({', '.join(moving)}); expected cameras that stand still, since a segment is changed in the "
            "axes of one camera pose: use segments of one frame, or other cameras"
        )
    pairs = zip(poses.cameras, poses.ups, strict=True)
    unplaced = sorted({camera.name for camera, up in pairs if up is None})
    if parameters is not None and parameters.needs_up and unplaced:
        raise ValueError(
            f"{source.location}: upright turns are about gravity, and where up is is not known: camera "
            f"{unplaced[0]!r} has no extrinsics. {UP_ADVICE}"
        )


def _up(source: CameraPoses, clips: Tensor) -> Tensor | None:
    """Direction against gravity in the camera axes of clips' middle frames, (clips, 3); None: not known."""
    (up,) = source.ups
    if up is None:
        return None
    known = torch.tensor(up, dtype=torch.float32).expand(len(clips), 3)
    if source.turns is None:
        return known
    turned: Tensor = rotate(known, torch.as_tensor(source.turns, dtype=torch.float32)[middle(clips)])
    return turned


def _alone(poses: CameraPoses, rows: NDArray[np.intp]) -> CameraPoses:
    """Take the rows of one (trial, camera), with no more than their own line of each table."""
    own = poses.take(rows)
    nought = np.zeros(len(rows), dtype=np.int32)
    trials, cameras = (poses.trials[own.trial[0]],), (poses.cameras[own.camera[0]],)
    return replace(own, trial=nought, camera=nought, trials=trials, cameras=cameras)


def _segments(rows: NDArray[np.intp], frames: int) -> NDArray[np.intp]:
    """Cut rows into (segments, frames); the last row fills up the last segment."""
    wanted = -(-len(rows) // frames) * frames
    filled: NDArray[np.intp] = rows[np.arange(wanted).clip(max=len(rows) - 1)]
    return filled.reshape(-1, frames)
