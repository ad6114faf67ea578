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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmarks.gravity.scenes import scene, stretches_of
from numpy.typing import NDArray

from poseshift.adaptation.gravity import FoundGravity
from poseshift.adaptation.vertical.finder import SHIPPED, Finder
from poseshift.adaptation.vertical.learning import LearningConfig, learn_finder
from poseshift.flows.benchmark.content import CONTENTS, Content
from poseshift.geometry.camera import Camera
from poseshift.preprocessing.domain.verticals import angle_degrees
from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.layout import camera as human36m_camera
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.motion.sources import load, title
from poseshift.preprocessing.mpi_inf_3dhp.layout import TRAINING_CAMERAS
from poseshift.preprocessing.restaging.placement import ring_stage
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.store import PoseStore

Float64 = NDArray[np.float64]

SIZES = ((1, 1), (1, 100), (1, 500), (3, 100))
"""People and frames (at 50 Hz) of a case."""

_RIG_CAMERAS = 4
_SPREAD_M = 1.0


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


def judge(
    finder: Finder, recordings: Sequence[Motion], contents: Sequence[Content], cases: int, seed: int
) -> Iterator[Judged]:
    """Restage people who were left out and compare what is found with where up is.

    Parameters
    ----------
    finder : Finder
        What is judged.
    recordings : sequence of Motion
        Those of people whom it was neither learned from nor calibrated by are shown.
    contents : sequence of Content
        What is shown.
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
        stretches = dict(stretches_of(own, frames, rooms[0].cameras[0]))
        for content in contents:
            rng = np.random.default_rng([seed, number, CONTENTS.index(content)])
            for case in range(cases):
                room = rooms[case % len(rooms)]
                cameras = tuple(rng.permutation(np.array(room.cameras, dtype=object))[:_RIG_CAMERAS])
                poses = scene(stretches, content, people, cameras, room, rng)
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


def _error(found: FoundGravity, camera: Camera) -> float:
    if found.up is None or camera.up is None:
        raise ValueError(f"camera {camera.name}: the vertical is not found, or not known")
    return angle_degrees(np.asarray(found.up), np.asarray(camera.up))


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
    judging.add_argument("--content", choices=CONTENTS, nargs="+", default=CONTENTS)
    judging.add_argument("--seed", type=int, default=0)
    comparing.add_argument("--store", required=True)
    comparing.add_argument("--keypoints", default="detected")
    for one in (judging, comparing):
        one.add_argument("--finder", type=Path, default=SHIPPED)
    given = parser.parse_args()
    if given.command == "fit":
        fit(given.motion, given.out, LearningConfig(steps=given.steps))
    elif given.command == "judge":
        judged = list(
            judge(Finder.load(given.finder), load(given.motion), given.content, given.cases, given.seed)
        )
        given.out.write_text(json.dumps([asdict(one) for one in judged]) + "\n", encoding="utf-8")
        for rig, named in ((False, "One camera"), (True, f"Rigs of {_RIG_CAMERAS} cameras")):
            some = [one for one in judged if one.rig == rig]
            print(f"{named}\n\n{table(some, lambda one: one.content)}\n")
            print(table(some, lambda one: f"{one.people} people, {one.frames} frames"), end="\n\n")
    else:
        print(compare_rig(Finder.load(given.finder), given.store, given.keypoints))


if __name__ == "__main__":
    main()
