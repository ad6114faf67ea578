"""How well the vertical of cameras is found, and whether its interval holds.

    python -m benchmarks.gravity fit   --motion cmu_h36m17_wide_50hz.npz --out adaptation/vertical/shipped
    python -m benchmarks.gravity judge --motion cmu_h36m17_wide_50hz.npz --out judged.json
    python -m benchmarks.gravity rig   --store data/stores/my_rig --keypoints detected

``fit`` makes the finder that ships. ``judge`` shows it people who were left out of that, restaged before the
cameras of Human3.6M and MPI-INF-3DHP, in bodies and joint definitions of another laboratory and with a
detector's errors: by content, by number of people and by length. ``rig`` compares what is found for a
calibrated rig whose world has z up with that calibration.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.adaptation.gravity import FoundGravity
from poseshift.adaptation.vertical.finder import SHIPPED, Finder
from poseshift.adaptation.vertical.learning import LearningConfig, learn_finder
from poseshift.flows.benchmark.content import CONTENTS, Content, content_of
from poseshift.flows.benchmark.forms import (
    LEANING_DEGREES,
    LYING_DEGREES,
    as_detected,
    in_other_skeleton,
)
from poseshift.geometry.camera import Camera, project
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.layout import camera as human36m_camera
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.motion.sources import load, title
from poseshift.preprocessing.mpi_inf_3dhp.layout import TRAINING_CAMERAS
from poseshift.preprocessing.restaging.placement import Stage, draw_placement, ring_stage, to_camera
from poseshift.storage.columns import (
    CameraPoses,
    PoseRun,
    Selection,
    TrialInfo,
    columns_of,
    read_keypoints,
)
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore

Float64 = NDArray[np.float64]

SIZES = ((1, 1), (1, 100), (1, 500), (3, 100))
"""People and frames (at 50 Hz) of a case."""

_RIG_CAMERAS = 4
_SPREAD_M = 1.0
_HELD_SHARE = 0.6
"""Share of its frames that a stretch must be of a content to be a case of it."""


@dataclass(frozen=True)
class Judged:
    """One case: what was found for a camera, by itself or with its rig, and by how much it is off."""

    content: Content
    people: int
    frames: int
    rig: bool
    error_degrees: float
    interval_degrees: float

    @property
    def held(self) -> bool:
        """Whether the interval holds the truth."""
        return self.error_degrees <= self.interval_degrees


def fit(motion: str, folder: Path, config: LearningConfig) -> None:
    """Train and calibrate a finder, and write it."""
    begun = time.process_time()
    named = f"{title(motion)}; SHA-256 {hashlib.sha256(Path(motion).read_bytes()).hexdigest()}"
    finder = learn_finder(load(motion), named, config)
    finder.save(folder)
    print(finder.fitted.model_dump_json(indent=2))
    print(f"{time.process_time() - begun:.0f} s of processor time")


def judge(finder: Finder, recordings: Sequence[Motion], cases: int, seed: int) -> Iterator[Judged]:
    """Restage people who were left out and compare what is found with where up is.

    Parameters
    ----------
    finder : Finder
        What is judged.
    recordings : sequence of Motion
        Those of people whom it was neither learned from nor calibrated by are shown.
    cases : int
        Of every content and size.
    seed : int
        Of everything that is drawn.
    """
    known = {*finder.fitted.people["learned"], *finder.fitted.people["calibrated"]}
    own = [one for one in recordings if one.subject not in known]
    rooms = (
        ring_stage([human36m_camera("S1", name) for name in CAMERA_IDS], _SPREAD_M),
        ring_stage(TRAINING_CAMERAS, _SPREAD_M),
    )
    for number, (people, frames) in enumerate(SIZES):
        stretches = dict(_stretches(own, frames, rooms[0].cameras[0]))
        for content in CONTENTS:
            rng = np.random.default_rng([seed, number, CONTENTS.index(content)])
            for case in range(cases):
                room = rooms[case % len(rooms)]
                cameras = tuple(rng.permutation(np.array(room.cameras, dtype=object))[:_RIG_CAMERAS])
                poses = _scene(stretches, content, people, cameras, room, rng)
                if poses is not None:
                    yield from _judged(finder, poses, content, people, frames)


def _judged(
    finder: Finder, poses: CameraPoses, content: Content, people: int, frames: int
) -> Iterator[Judged]:
    """Judge the first camera by itself, and with the others as a rig."""
    rig = {row: camera.rotation for row, camera in enumerate(poses.cameras)}
    for rotations in (None, rig):
        one = finder.find(poses, rotations)[0]
        yield Judged(
            content=content,
            people=people,
            frames=frames,
            rig=rotations is not None,
            error_degrees=_error(one, poses.cameras[0]),
            interval_degrees=one.interval_degrees or 180.0,
        )


def _stretches(
    recordings: Sequence[Motion], frames: int, camera: Camera
) -> Iterator[tuple[Content, list[tuple[Motion, int, int]]]]:
    """List stretches of motion by what people do in most of their frames."""
    found: dict[Content, list[tuple[Motion, int, int]]] = {content: [] for content in CONTENTS}
    for one in recordings:
        step = max(1, one.frames // 10)
        for first in range(0, max(1, one.frames - frames // 2), step):
            last = min(first + frames, one.frames)
            run = _run(one, to_camera(one.positions[first:last], camera), camera, np.arange(last - first))
            shown = content_of(columns_of([run], "human36m_17", ""))
            for content in CONTENTS:
                if (shown == content).mean() >= _HELD_SHARE:
                    found[content].append((one, first, last))
    yield from found.items()


def _scene(
    stretches: Mapping[Content, Sequence[tuple[Motion, int, int]]],
    content: Content,
    people: int,
    cameras: tuple[Camera, ...],
    room: Stage,
    rng: np.random.Generator,
) -> CameraPoses | None:
    """Put people who do the same before cameras; None where nobody does it, or somebody comes too near."""
    turned = content in _TURNED and rng.random() < _TURNED_SHARE
    pool = stretches["upright" if turned else content]
    if not pool:
        return None
    runs = []
    for number in range(people):
        one, first, last = pool[int(rng.integers(len(pool)))]
        positions = one.positions[first:last].astype(np.float64)
        if turned:
            positions = _fallen(positions, _TURNED[content], rng)
        placement = draw_placement(positions, room, rng)
        if placement is None:
            return None
        placed = placement.apply(positions)
        runs += [
            _run(one, to_camera(placed, camera), camera, np.arange(len(placed)), number) for camera in cameras
        ]
    exact = columns_of(runs, "human36m_17", "")
    return as_detected(in_other_skeleton(exact), int(rng.integers(2**31)))


_TURNED: Mapping[Content, tuple[float, float]] = {"leaning": LEANING_DEGREES, "lying": LYING_DEGREES}
_TURNED_SHARE = 0.7


def _fallen(positions: Float64, degrees: tuple[float, float], rng: np.random.Generator) -> Float64:
    """Turn a stretch about a level axis through the pelvis of each frame: the same lean all the while."""
    about = 2 * np.pi * rng.random()
    axis = np.array([np.cos(about), np.sin(about), 0.0])
    turn = np.asarray(axis_angle_to_matrix(np.radians(rng.uniform(*degrees)) * axis))
    return np.asarray((positions - positions[:, :1]) @ turn.T + positions[:, :1])


def _run(
    one: Motion, positions: Float64, camera: Camera, frames: NDArray[np.intp], number: int = 0
) -> PoseRun:
    return PoseRun(
        info=TrialInfo(TrialKey(f"{one.subject}-{number}", one.name.rpartition("/")[2]), "", "1", one.fps),
        camera=camera,
        positions_camera=positions.astype(np.float32),
        keypoints_px=np.asarray(project(positions, camera.intrinsics), dtype=np.float32),
        frames=frames,
        activity=np.zeros(len(frames), dtype=np.int8),
    )


def _error(found: FoundGravity, camera: Camera) -> float:
    if found.up is None or camera.up is None:
        raise ValueError(f"camera {camera.name}: the vertical is not found, or not known")
    return float(np.degrees(np.arccos(np.clip(np.dot(found.up, camera.up), -1, 1))))


def table(judged: Sequence[Judged], of: Callable[[Judged], object]) -> str:
    """Median error, median interval and coverage by a property, as a table of Markdown."""
    lines = ["| | cases | median error | median interval | held |", "|---|---:|---:|---:|---:|"]
    for name in dict.fromkeys(of(one) for one in judged):
        some = [one for one in judged if of(one) == name]
        error, interval = (
            float(np.median([getattr(one, figure) for one in some]))
            for figure in ("error_degrees", "interval_degrees")
        )
        held = sum(one.held for one in some) / len(some)
        lines.append(f"| {name} | {len(some)} | {error:.1f} | {interval:.1f} | {100 * held:.0f} % |")
    return "\n".join(lines)


def compare_rig(finder: Finder, store: str, keypoints: str) -> str:
    """Compare what is found for the cameras of a rig, one by one and together, with its calibration."""
    poses = read_keypoints(PoseStore.open(store), Selection(keypoints=keypoints))
    rig = {row: camera.rotation for row, camera in enumerate(poses.cameras)}
    lines = ["| camera | by itself | interval | with the rig | interval |", "|---|---:|---:|---:|---:|"]
    for camera, *both in zip(poses.cameras, finder.find(poses), finder.find(poses, rig), strict=True):
        cells = [f"{_error(one, camera):.1f} | {one.interval_degrees:.1f}" for one in both]
        lines.append(f"| {camera.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    fitting = commands.add_parser("fit")
    judging = commands.add_parser("judge")
    comparing = commands.add_parser("rig")
    for one in (fitting, judging):
        one.add_argument("--motion", required=True)
        one.add_argument("--out", type=Path, required=True)
    fitting.add_argument("--steps", type=int, default=LearningConfig().steps)
    judging.add_argument("--cases", type=int, default=40)
    judging.add_argument("--seed", type=int, default=0)
    comparing.add_argument("--store", required=True)
    comparing.add_argument("--keypoints", default="detected")
    for one in (judging, comparing):
        one.add_argument("--finder", type=Path, default=SHIPPED)
    given = parser.parse_args()
    if given.command == "fit":
        fit(given.motion, given.out, LearningConfig(steps=given.steps))
    elif given.command == "judge":
        judged = list(judge(Finder.load(given.finder), load(given.motion), given.cases, given.seed))
        given.out.write_text(json.dumps([asdict(one) for one in judged]) + "\n", encoding="utf-8")
        for rig, named in ((False, "One camera"), (True, f"Rigs of {_RIG_CAMERAS} cameras")):
            some = [one for one in judged if one.rig == rig]
            print(f"{named}\n\n{table(some, lambda one: one.content)}\n")
            print(table(some, lambda one: f"{one.people} people, {one.frames} frames"), end="\n\n")
    else:
        print(compare_rig(Finder.load(given.finder), given.store, given.keypoints))


if __name__ == "__main__":
    main()
