"""Free motion as labelled poses: every clip of a bundle, with all of its people, before Human3.6M's cameras.

Motion that anybody may use becomes a source to learn from in one step, without a raw tree of either data set:
each clip is a trial, played anywhere in the room that the four cameras see (see
:mod:`poseshift.preprocessing.restaging.placement`). Nobody is held back for a target or a test.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.layout import camera as human36m_camera
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.motion.sources import load, title
from poseshift.preprocessing.raw import PlannedTrial, RawPlan
from poseshift.preprocessing.restaging.placement import draw_placement, ring_stage, to_camera
from poseshift.preprocessing.unread import Unread, files_below, is_archive, is_unfinished
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Float32, Trial, TrialKey

SPREAD_M = 1.0
"""Clips begin their centre at most so far from the middle of the room."""


class FreeMotionOptions(FrozenModel):
    """How free motion is put before cameras."""

    seed: int = Field(default=0, ge=0, description="Of the clips' headings and places.")
    cameras_of: str = Field(default="S1", description="Subject of Human3.6M whose four cameras look on.")


def plan_free_motion(source: Path, options: FreeMotionOptions) -> RawPlan:
    """List the clips of a bundle or of a folder of ASF and AMC files.

    Parameters
    ----------
    source : Path
        An npz bundle, or the folder.
    options : FreeMotionOptions
        Seed and cameras; recorded in the plan and in each trial.

    Raises
    ------
    RawDataError
        The motion cannot be read, or two clips would be one trial.
    """
    source = source.resolve()
    motions = _motions(source, _stamp(source))
    files = (
        (source,)
        if source.is_file()
        else tuple(sorted(path for suffix in (".asf", ".amc") for path in files_below(source, suffix)))
    )
    trials = {}
    for motion in motions:
        key = TrialKey(motion.subject, motion.name.partition("/")[2].replace("/", "."))
        if key in trials:
            raise RawDataError(
                source,
                found=f"two clips that would be trial {key.path}",
                expected="names that differ in more than slashes and dots",
                remedy="Rename one of them.",
            )
        read = _Clip(source, motion.name, key, files, options)
        trials[key] = PlannedTrial(key=key, sources=files, read=read)
    return RawPlan(
        dataset="free_motion",
        root=source.parent if source.is_file() else source,
        trials=tuple(trials.values()),
        problems=(),
        options={name: str(value) for name, value in options.model_dump().items()},
        restaged_from=title(source),
        unread=() if source.is_file() else tuple(_unread_in(source)),
    )


def _unread_in(folder: Path) -> Iterator[Unread]:
    """Name what looks like motion and is not read: other spellings, archives, other formats."""
    for path in files_below(folder, ""):
        if not path.is_file() or path.suffix in (".asf", ".amc"):
            continue
        if path.suffix.lower() in (".asf", ".amc"):
            yield Unread(path, "a suffix not in small letters", "Write the suffix small.")
        elif path.suffix.lower() in (".bvh", ".c3d", ".npz") or is_archive(path.name):
            yield Unread(path, "only ASF and AMC files of a folder are read", "Convert or unpack it.")
        elif is_unfinished(path.name):
            yield Unread(path, "a download that has not finished", "Download it again.")


@dataclass(frozen=True)
class _Clip:
    """Reads one clip into a trial."""

    source: Path
    name: str
    key: TrialKey
    files: Sequence[Path]
    options: FreeMotionOptions

    def __call__(self) -> Trial:
        motion = next(one for one in _motions(self.source, _stamp(self.source)) if one.name == self.name)
        cameras = tuple(human36m_camera(self.options.cameras_of, name) for name in CAMERA_IDS)
        # The clip's own name is part of the seed: a bundle that grows leaves its other clips in place.
        rng = np.random.default_rng([self.options.seed, zlib.crc32(self.name.encode())])
        placement = draw_placement(motion.positions, ring_stage(cameras, SPREAD_M), rng)
        if placement is None:
            raise RawDataError(
                self.source,
                found=f"clip {self.name} comes too near to a camera wherever it is played",
                expected="motion that fits into a room",
                remedy="Cut the clip, or take it out of the bundle.",
            )
        world = placement.apply(motion.positions)
        return Trial(
            key=self.key,
            action=motion.description,
            subaction="",
            fps=motion.fps,
            cameras=cameras,
            positions_world=world.astype(np.float32),
            keypoints_2d=np.stack([_seen(world, camera) for camera in cameras]),
            options={name: str(value) for name, value in self.options.model_dump().items()},
        )


def _seen(world: NDArray[np.float64], camera: Camera) -> Float32:
    return np.asarray(project(to_camera(world, camera), camera.intrinsics), dtype=np.float32)


def _stamp(source: Path) -> int:
    """Tell versions of the motion apart."""
    return source.stat().st_mtime_ns if source.exists() else 0


@functools.lru_cache(maxsize=1)
def _motions(source: Path, stamp: int) -> tuple[Motion, ...]:
    """Read the motion once per process and version, not once per clip."""
    del stamp
    return load(source)
