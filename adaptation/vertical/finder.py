"""Finding the vertical of cameras from the keypoints of people before them, with an interval.

A :class:`Finder` is an estimator with what was fitted of its confidence. One ships with the package; it has
learned from free motion before drawn cameras and serves any target, so no source with 3D is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from poseshift.adaptation.gravity import FoundGravity, GravityKind
from poseshift.adaptation.vertical.axes import AxisAngles
from poseshift.adaptation.vertical.calibration import Widening
from poseshift.adaptation.vertical.estimator import TrackEstimator
from poseshift.adaptation.vertical.posterior import Tempering, middle_of, rig_density, sphere_grid
from poseshift.adaptation.vertical.scenes import POSES, SECONDS
from poseshift.geometry.perspective import rotate_rays
from poseshift.geometry.projection import normalise
from poseshift.geometry.rotation import angle_between, rotate
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.model import FrozenModel

SHIPPED = Path(__file__).resolve().parent / "shipped"
"""Folder of the finder that comes with the package."""

WEIGHTS_FILE, FITTED_FILE = "estimator.safetensors", "finder.json"

_LARGEST_TURN = math.radians(40)
"""Of a moving camera within a track."""

_MOST_TRACKS = 60
"""Tracks of a camera that are looked at, evenly spread over those it sees."""

Rotation = tuple[tuple[float, float, float], ...]


class Fitted(FrozenModel):
    """What is stored beside the weights of an estimator."""

    skeleton: str
    """Joint set that it reads."""
    width: int
    """Hidden units of its layers."""
    tempering: Tempering
    """What further tracks, people and cameras count."""
    widening: Widening
    """By how much cones are widened."""
    axes: AxisAngles
    """What pooled axes of lifted bodies say of the vertical."""
    motion: str
    """What it was learned from."""
    seed: int
    """Of weights and scenes."""
    steps: int
    """Steps of the training."""
    people: Mapping[str, tuple[str, ...]]
    """Who was learned from, who calibrated it, and who was left to check it."""


@dataclass(frozen=True)
class CameraTracks:
    """Tracks before one camera.

    Attributes
    ----------
    rays : Tensor
        (tracks, poses, joints, 2), undistorted ray coordinates.
    person : tuple[int, ...]
        Whose each track is.
    poses : int
        Poses that the camera sees.
    turns : Tensor or None
        (tracks, 3, 3), of a camera that moves: rotations from its world to the axes of its tracks, which are
        those of the camera in the middle of each. None of one that stands still.
    """

    rays: Tensor
    person: tuple[int, ...]
    poses: int
    turns: Tensor | None = None


class Finder:
    """Finds verticals.

    Parameters
    ----------
    estimator : TrackEstimator
        In evaluation mode, on the CPU.
    fitted : Fitted
        What is known of its confidence.
    """

    def __init__(self, estimator: TrackEstimator, fitted: Fitted) -> None:
        self.estimator = estimator
        self.fitted = fitted
        self._grid = sphere_grid()

    @classmethod
    def load(cls, folder: Path = SHIPPED) -> Finder:
        """Read a finder from its folder; the one that ships, where none is named."""
        fitted = Fitted.model_validate_json((folder / FITTED_FILE).read_bytes())
        joint_set = skeleton(fitted.skeleton)
        estimator = TrackEstimator(joint_set.joints, joint_set.root, fitted.width)
        estimator.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return cls(estimator.eval(), fitted)

    def save(self, folder: Path) -> None:
        """Write the finder into a folder, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS_FILE).write_bytes(save(self.estimator.state_dict()))
        (folder / FITTED_FILE).write_text(self.fitted.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def find(
        self, poses: CameraPoses, rotations: Mapping[int, Rotation] | None = None
    ) -> tuple[FoundGravity, ...]:
        """Find the vertical of every camera of a table, by its keypoints alone.

        Of a camera that moves it is found in the axes of its world: each track is seen as by a camera that
        stands, and its answer is turned into the world before answers are pooled.

        Parameters
        ----------
        poses : CameraPoses
            Keypoints before cameras of known intrinsics.
        rotations : mapping or None
            Rotations from the world of a rig to its cameras, by row of the camera table: these cameras are
            answered for together. The others by themselves.
        """
        tracks = camera_tracks(poses.on_skeleton(self.fitted.skeleton))
        rig = {row: rotation for row, rotation in (rotations or {}).items() if tracks[row].person}
        found: list[FoundGravity] = []
        together = self._of_rig(tracks, rig) if len(rig) > 1 else {}
        for row, camera in enumerate(poses.cameras):
            seen = tracks[row]
            if not seen.person:
                found.append(FoundGravity.without_poses(camera.name))
            elif row in together:
                up, interval = together[row]
                found.append(_found(camera.name, up, interval, seen, "rig"))
            else:
                gains, prior = self._of_camera(seen)
                density = rig_density([gains], prior[None], [seen.person], self.fitted.tempering)
                middle = middle_of(density, self._grid)
                interval = self.fitted.widening.single * middle.radius_degrees
                found.append(_found(camera.name, middle.up, interval, seen, "learned"))
        return tuple(found)

    @torch.no_grad()
    def axis_interval(self, axis: Tensor, spread_degrees: float) -> float:
        """Angle about the pooled axis (3,) of lifted bodies that holds the vertical in nine of ten cases."""
        log_prior = self.estimator.prior().log_density(self._grid)[0]
        return self.fitted.axes.interval(axis.cpu().float(), spread_degrees, log_prior)

    def _of_rig(
        self, tracks: Sequence[CameraTracks], rig: Mapping[int, Rotation]
    ) -> dict[int, tuple[Tensor, float]]:
        """Find one vertical for all cameras of a rig, and turn it into the axes of each."""
        turns = {row: torch.tensor(rotation, dtype=torch.float32) for row, rotation in rig.items()}
        answers = [self._answers(tracks[row], rotate(self._grid, turn)) for row, turn in turns.items()]
        density = rig_density(
            [gains for gains, _ in answers],
            torch.stack([prior for _, prior in answers]),
            [tracks[row].person for row in turns],
            self.fitted.tempering,
        )
        middle = middle_of(density, self._grid)
        interval = self.fitted.widening.rig * middle.radius_degrees
        return {row: (rotate(middle.up, turn), interval) for row, turn in turns.items()}

    def _of_camera(self, seen: CameraTracks) -> tuple[Tensor, Tensor]:
        """Answer by the tracks of one camera, at the directions of the grid; see :meth:`_answers`."""
        if seen.turns is None:
            return self._answers(seen, self._grid)
        each = [
            self._answers(replace(seen, rays=seen.rays[one : one + 1]), rotate(self._grid, turn))
            for one, turn in enumerate(seen.turns)
        ]
        return torch.cat([gains for gains, _ in each]), torch.stack([prior for _, prior in each]).mean(dim=0)

    @torch.no_grad()
    def _answers(self, tracks: CameraTracks, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Log likelihood ratios (tracks, candidates) and log prior (candidates,), in the camera's axes."""
        prior = self.estimator.prior().log_density(candidates)
        return self.estimator(tracks.rays).log_density(candidates) - prior, prior[0]


@cache
def shipped_finder() -> Finder:
    """Load the finder that comes with the package, once."""
    return Finder.load()


def camera_tracks(poses: CameraPoses) -> tuple[CameraTracks, ...]:
    """Cut what each camera of the table sees into tracks of one person and at most ten seconds."""
    rays = normalise(poses.keypoints_px.astype(np.float64), poses.intrinsics[poses.camera])
    moves, turns = poses.moves, poses.turns
    whole = np.isfinite(rays).all(axis=(1, 2))
    people = list(dict.fromkeys(trial.key.subject for trial in poses.trials))
    person = np.array([people.index(trial.key.subject) for trial in poses.trials])
    fps = np.array([trial.fps for trial in poses.trials])
    stretch = (poses.frame / (fps[poses.trial] * SECONDS)).astype(np.int64)
    found = []
    for row in range(len(poses.cameras)):
        seen = np.flatnonzero((poses.camera == row) & whole)
        keys = np.stack([poses.trial[seen], stretch[seen]], axis=1)
        _, number = np.unique(keys, axis=0, return_inverse=True)
        tracks = [seen[number.reshape(-1) == one] for one in range(int(number.max(initial=-1)) + 1)]
        if moves[row] and turns is not None:
            tracks = [part for track in tracks for part in _hardly_turning(track, turns)]
        kept = [tracks[one] for one in _spread(len(tracks), _MOST_TRACKS)]
        chosen = np.array([track[_spread(len(track), POSES, repeated=True)] for track in kept], dtype=np.intp)
        chosen = chosen.reshape(-1, POSES)
        shown, middles = rays[chosen], None
        if moves[row] and turns is not None:
            middles = turns[[track[len(track) // 2] for track in kept]].reshape(-1, 3, 3)
            onto = middles[:, None] @ turns[chosen].mT
            shown = np.asarray(rotate_rays(shown.reshape(-1, *rays.shape[1:]), onto.reshape(-1, 3, 3)))
            shown = shown.reshape(*chosen.shape, *rays.shape[1:])
        found.append(
            CameraTracks(
                rays=torch.as_tensor(shown, dtype=torch.float32),
                person=tuple(int(person[poses.trial[track[0]]]) for track in kept),
                poses=len(seen),
                turns=None if middles is None else torch.as_tensor(middles, dtype=torch.float32),
            )
        )
    return tuple(found)


def _hardly_turning(track: NDArray[np.intp], turns: NDArray[np.float64]) -> Iterator[NDArray[np.intp]]:
    """Cut a track where its camera has turned too far for all of it to be seen by one that stands."""
    first = 0
    for place in range(1, len(track)):
        if angle_between(turns[track[place]], turns[track[first]]) > _LARGEST_TURN:
            yield track[first:place]
            first = place
    yield track[first:]


def _spread(available: int, wanted: int, *, repeated: bool = False) -> NDArray[np.intp]:
    """Numbers below ``available``, evenly spread; as many as wanted, or fewer unless they are repeated."""
    count = wanted if repeated else min(available, wanted)
    return np.linspace(0, max(0, available - 1), count).round().astype(np.intp)


def _found(camera: str, up: Tensor, interval: float, seen: CameraTracks, kind: GravityKind) -> FoundGravity:
    x, y, z = up.tolist()
    return FoundGravity(
        camera=camera,
        up=(x, y, z),
        poses=seen.poses,
        spread_degrees=None,
        interval_degrees=min(interval, 180.0),
        kind=kind,
        moves=seen.turns is not None,
    )
