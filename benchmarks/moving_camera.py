"""A telephone that is carried about, restaged: how far lifted people are off, beside telephones that stand.

    python -m benchmarks.moving_camera --motion cmu_h36m17_wide_50hz.npz --folder FOLDER

One person at a time before a telephone that is walked along an arc and shaken, looking at the person; its
poses are written as TUM's text. The same motion is seen, with the same noise on its keypoints, by telephones
that stand still at five places of that path, and by one that moves while its calibration says that it stands
where it began. All are added by ``poseshift domain add`` and lifted by ``predict``; scored is the 3D in the
world, of joints about the pelvis and where they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from benchmarks.own_cameras.scene import FPS, SIZE_PX, at_30_hz, calibration, coco_joints
from numpy.typing import NDArray

from poseshift.flows.experiment.predict import PredictionOptions, predict_store
from poseshift.flows.own_domain import Added, add_clip
from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.lens import px_of_points
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.preprocessing.domain.assemble import ClipRequest, KeypointSource
from poseshift.preprocessing.domain.moving import TrajectoryOptions, TrajectorySource
from poseshift.preprocessing.domain.rig import from_z_up
from poseshift.preprocessing.domain.stated import StatedIntrinsics
from poseshift.preprocessing.motion.bundle import read_bundle
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.restaging.placement import floor_shift
from poseshift.training.evaluation.metrics import mpjpe_mm

Float64 = NDArray[np.float64]

FOCAL_PX = 1600.0
PEOPLE = ("cmu49", "cmu91", "cmu17", "cmu104", "cmu93")
STANDS = 5
"""Telephones that stand, evenly along the path."""

_DISTANCE_M, _HEIGHT_M, _ARC = 4.8, (1.3, 1.9), 2.0
_SHAKE_DEGREES, _SHAKE_M, _SHAKE_HZ = 1.5, 0.02, (0.7, 2.3)
_TO_Y_DOWN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From z up to the y down of a SLAM's world: trajectories are written in that, so that it must be said."""


@dataclass(frozen=True)
class Scene:
    """One person, the telephone's path, and what is withheld.

    Attributes
    ----------
    world : array of shape (frames, 17, 3)
        Metres, z up, the floor at 0.
    path : CameraPath
        Of the telephone.
    noise_px : array of shape (frames, 17, 2)
        On its keypoints, whichever telephone sees them.
    """

    world: Float64
    path: CameraPath
    noise_px: Float64


def telephone(name: str = "phone") -> Camera:
    """Make a telephone without lens and place."""
    width, height = SIZE_PX
    return Camera(name, SIZE_PX, (FOCAL_PX, FOCAL_PX), (width / 2, height / 2))


def scene(motion: Motion, rng: np.random.Generator, noise_px: float = 5.0) -> Scene:
    """Play a motion in the middle of a room, and carry a telephone about it."""
    world = at_30_hz(motion)
    middle = (world[:, 0, :2].min(axis=0) + world[:, 0, :2].max(axis=0)) / 2
    world = world - [*middle, 0.0] + [0.0, 0.0, floor_shift(world)]
    reach = np.abs(world[:, 0, :2]).max()
    path = carried(world[:, 0], _DISTANCE_M + reach, rng)
    return Scene(world, path, rng.normal(scale=noise_px, size=(*world.shape[:2], 2)))


def carried(looked_at: Float64, distance_m: float, rng: np.random.Generator) -> CameraPath:
    """Walk along an arc about the origin, looking where the person (n, 3) was just before, and shake."""
    frames = len(looked_at)
    share = np.linspace(0, 1, frames)
    about = rng.uniform(0, 2 * np.pi) + _ARC * (share - 0.5) * rng.choice([-1, 1])
    heights = _HEIGHT_M[0] + (_HEIGHT_M[1] - _HEIGHT_M[0]) * share
    place = np.stack([distance_m * np.cos(about), distance_m * np.sin(about), heights], axis=-1)
    place += _SHAKE_M * _shake(frames, rng)
    lag = np.exp(-np.arange(int(FPS)) / (FPS / 4))
    padded = np.concatenate([np.repeat(looked_at[:1], len(lag) - 1, axis=0), looked_at])
    followed = np.stack([np.convolve(one, lag / lag.sum(), mode="valid") for one in padded.T], axis=-1)
    forward = followed - place
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    level = np.stack([right, np.cross(forward, right), forward], axis=1)
    shaken = np.asarray(axis_angle_to_matrix(np.radians(_SHAKE_DEGREES) * _shake(frames, rng))) @ level
    return CameraPath.at(place, shaken)


def _shake(frames: int, rng: np.random.Generator) -> Float64:
    """Sum up two waves of a hand's frequencies on three axes, (frames, 3), of deviation 1."""
    time = np.arange(frames)[:, None] / FPS
    waves = [np.sin(2 * np.pi * (rng.uniform(*_SHAKE_HZ, 3) * time + rng.uniform(0, 1, 3))) for _ in range(2)]
    return np.asarray(sum(waves))


def write_keypoints(file: Path, made: Scene, path: CameraPath) -> Path:
    """Write what a detector leaves of a telephone's video, as COCO's results; the path has a pose a frame."""
    joints = coco_joints(made.world)
    points = np.einsum("nij,nkj->nki", path.rotation, joints) + path.translation[:, None]
    seen = px_of_points(points, telephone()) + made.noise_px
    rows = [
        {
            "image_id": frame,
            "track_id": 1,
            "score": 0.9,
            "keypoints": [round(float(x), 2) for x in np.column_stack([row, np.full(17, 0.9)]).ravel()],
        }
        for frame, row in enumerate(seen)
    ]
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def write_tum(file: Path, path: CameraPath) -> Path:
    """Write a path as TUM's text, in a world with y down."""
    from scipy.spatial.transform import Rotation

    moved = path.turned(_TO_Y_DOWN.T)
    turns = Rotation.from_matrix(moved.rotation.mT).as_quat()
    lines = [
        f"{frame / FPS:.6f} " + " ".join(f"{x:.9f}" for x in (*place, *turn))
        for frame, (place, turn) in enumerate(zip(moved.centre, turns, strict=True))
    ]
    file.write_text("# timestamp tx ty tz qx qy qz qw\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return file


def still(path: CameraPath, frame: int) -> CameraPath:
    """Stand where a path was in a frame, for as many frames."""
    return path[np.full(len(path.rotation), frame)]


def add_moving(store: str, clip: str, made: Scene, folder: Path) -> Added:
    """Add a clip of the telephone that is carried, with its trajectory."""
    width, height = SIZE_PX
    return add_clip(
        "carried",
        store,
        ClipRequest(
            clip=clip,
            keypoints=(KeypointSource(path=write_keypoints(folder / "phone.json", made, made.path)),),
            fps=FPS,
            size_px=SIZE_PX,
            stated=StatedIntrinsics(camera_matrix=(FOCAL_PX, FOCAL_PX, width / 2, height / 2)),
            trajectories=(TrajectorySource(path=write_tum(folder / "phone.txt", made.path)),),
            trajectory=TrajectoryOptions(metres_per_unit=1.0, world_up="-y"),
        ),
    )


def add_standing(name: str, store: str, clip: str, made: Scene, folder: Path, *, moves: bool) -> Added:
    """Add a clip of telephones that stand along the path; or of one that moves and is said to stand."""
    frames = len(made.world)
    chosen = [0] if moves else [round(frames * (one + 0.5) / STANDS) for one in range(STANDS)]
    cameras, sources = [], []
    for number, frame in enumerate(chosen):
        own = f"{name}{number}"
        stands = still(made.path, frame)
        rows = [tuple(map(float, row)) for row in stands.rotation[0]]
        x, y, z = map(float, stands.translation[0])
        lens = Distortion("opencv", (0.0, 0.0, 0.0), (0.0, 0.0))
        placed = replace(telephone(own), rotation=tuple(rows), translation=(x, y, z), distortion=lens)  # type: ignore[arg-type]
        cameras.append(placed)
        seen_by = made.path if moves else stands
        file = write_keypoints(folder / f"{own}.json", made, seen_by)
        sources.append(KeypointSource(camera=own, path=file))
    (folder / "rig.toml").write_text(calibration(cameras), encoding="utf-8")
    return add_clip(
        name,
        store,
        ClipRequest(
            clip=clip,
            keypoints=tuple(sources),
            cameras=(folder / "rig.toml",),
            fps=FPS,
            metres_per_unit=1.0,
            world_up="z",
        ),
    )


@dataclass(frozen=True)
class Score:
    """Errors over a clip's frames, millimetres: about the pelvis, and in the world."""

    pose_mm: float
    world_mm: float


def scores(
    lifter: str,
    store: str,
    folder: Path,
    truth: Mapping[str, Scene],
    to_truth: Float64,
    options: PredictionOptions,
) -> dict[str, Score]:
    """Lift a store, turn its world to that of the truth, and score each clip over all views by itself."""
    record = predict_store(Path(lifter), store, options, folder, "cpu").record
    found: dict[str, list[Score]] = {}
    for one in record.motions:
        if one.camera == "fused":
            continue
        if one.axes != "world":
            raise ValueError(f"{store}: {one.trial} before {one.camera} is in {one.axes} axes")
        with np.load(folder / one.files["npz"]) as held:
            answer, frame = (held["positions"] + np.array([0, 0, one.floor_m])) @ to_truth.T, held["frame"]
        world = truth[one.trial].world[frame]
        about = mpjpe_mm(answer - answer[:, :1], world - world[:, :1]).mean()
        found.setdefault(one.trial, []).append(Score(float(about), float(mpjpe_mm(answer, world).mean())))
    return {
        clip: Score(
            *(float(np.mean([getattr(one, name) for one in some])) for name in ("pose_mm", "world_mm"))
        )
        for clip, some in found.items()
    }


def compare(
    motions: Sequence[Motion], folder: Path, lifter: str, seed: int = 0
) -> dict[str, dict[str, Score]]:
    """Make the three domains of some motions and score a lifter on each, by clip."""
    rng = np.random.default_rng(seed)
    made = {one.name.replace("/", "_"): scene(one, rng) for one in motions}
    folder.mkdir(parents=True, exist_ok=True)
    for clip, one in made.items():
        add_moving(str(folder / "moving"), clip, one, folder)
        add_standing("standing", str(folder / "standing"), clip, one, folder, moves=False)
        add_standing("said", str(folder / "said"), clip, one, folder, moves=True)
    options = PredictionOptions(keypoints="detected")
    worlds = {"moving": _TO_Y_DOWN.T @ from_z_up("-y"), "standing": np.eye(3), "said": np.eye(3)}
    return {
        name: scores(lifter, str(folder / name), folder / f"lifted_{name}", made, world, options)
        for name, world in worlds.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--motion", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--lifter", default="free-motion-1")
    given = parser.parse_args()
    by_person = {
        person: [one for one in read_bundle(given.motion) if one.subject == person] for person in PEOPLE
    }
    chosen = [one for some in by_person.values() for one in some[:3]]
    found = compare(chosen, given.folder, given.lifter)
    print("| clip | " + " | ".join(f"{name}: pose, world" for name in found) + " |")
    print("|---|" + "---:|" * len(found))
    for clip in found["moving"]:
        cells = [f"{one[clip].pose_mm:.1f}, {one[clip].world_mm:.1f}" for one in found.values()]
        print(f"| {clip} | {' | '.join(cells)} |")
    for figure in ("pose_mm", "world_mm"):
        means = {name: [getattr(one, figure) for one in some.values()] for name, some in found.items()}
        away = np.subtract(means["moving"], means["standing"])
        told = ", ".join(f"{name} {np.mean(some):.1f}" for name, some in means.items())
        print(f"{figure}: {told}; moving less standing {away.mean():.1f} (deviation {away.std(ddof=1):.1f})")


if __name__ == "__main__":
    main()
