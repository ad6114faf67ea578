"""Whether masks of a person make a lifter's answers better, and what clothing does to that.

    poseshift prepare free-motion cmu_h36m17_core_50hz.npz STORE
    python -m benchmarks.rendering learn  --store STORE --lifter LIFTER
    python -m benchmarks.rendering choose --store STORE --lifter LIFTER
    python -m benchmarks.rendering judge  --store STORE --lifter LIFTER --silhouettes 10 --parts 10 --out OUT
    python -m benchmarks.rendering losses

``learn`` trains a small lifter on some people. ``choose`` tries weights of the masks' loss on others, and
``judge`` measures on the rest: the lifter's answers as they are, moved by keypoints and bones alone, and
moved by silhouettes or part masks as well, of bare and of dressed bodies, from exact and from noisy
keypoints. Masks are drawn from the truth, from capsules with girths of their own. ``losses`` shows on one
standing body how soft pictures come to those of a z-buffer, and which girth each loss takes for the best when
clothing is worn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from benchmarks.rendering.scene import CHOSEN_ON, LEARNED, MEASURED, Person, person, with_noise
from benchmarks.rendering.standing import print_girths, print_softness

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.storage.columns import Selection, read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.batches import DevicePoses
from poseshift.training.checkpoint import TrainedLifter, load_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.intervals import draw_weights, estimate
from poseshift.training.evaluation.metrics import mpjpe_mm, pa_mpjpe_mm
from poseshift.training.fit import fit
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.prediction.mask_refinement import Evidence, MaskRefinement, refine
from poseshift.training.prediction.mask_targets import MaskClasses, crop_target
from poseshift.training.prediction.views import lift_views
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.crop import person_crop
from poseshift.training.schedule import Schedule

SILHOUETTES = MaskClasses(None)
PART_MASKS = MaskClasses({part: (1 + number,) for number, part in enumerate(PARTS)})
WORN_M = 0.03
NOISE_PX = 5.0
_COVERED = [PARTS.index(part) for part in PARTS if part == "torso" or "upper" in part]


@dataclass(frozen=True)
class Line:
    """One person under one condition: means over frames."""

    person: str
    noise_px: float
    worn_m: float
    masks: str
    mpjpe_mm: float
    pa_mpjpe_mm: float
    girth: float | None
    """Of the parts that clothing covers, found over true, geometric mean."""


def learn(store: str, folder: Path, seed: int) -> None:
    """Train a small lifter and keep it."""
    poses = read_camera_poses(PoseStore.open(store), Selection(subjects=LEARNED))
    config = SimpleBaselineConfig(width=256)
    torch.manual_seed(seed)
    seen = encoding("perspective")
    lifter = build(config, seen.channels)
    schedule = Schedule(epochs=8, steps_per_epoch=500, learning_rate=0.01, warmup_steps=200)
    columns = DevicePoses.from_columns(poses, torch.device("cpu"), lifter.frames)
    with TemporaryDirectory() as run:
        fit(lifter, seen, columns, schedule, run_dir=Path(run), seed=seed)
    save_lifter(folder, config, "perspective", lifter, {"learned": list(LEARNED), "seed": seed})


def measure(
    trained: TrainedLifter, one: Person, noise_px: float, arms: Sequence[tuple[str, float, float]], seed: int
) -> Iterator[Line]:
    """Measure arms (kind of mask, weight, clothing) on a person; ``none`` with weight 0 is the control."""
    poses = with_noise(one.poses, noise_px, seed)
    views = lift_views(trained, poses.unlabelled())
    relative, root, rays = (
        np.concatenate([getattr(view, name) for view in views]) for name in ("relative", "root", "rays")
    )
    truth = one.poses.positions_camera.astype(np.float64)
    given = torch.as_tensor(rays, dtype=torch.float32)
    joints = torch.as_tensor(relative + root[:, None], dtype=torch.float32)
    crop = person_crop(given, MaskRefinement().size_px)

    def line(kind: str, worn_m: float, answer: np.ndarray, girth: float | None) -> Line:
        placed, true = (some - some[:, :1] for some in (answer, truth))
        errors = (float(error(placed, true).mean()) for error in (mpjpe_mm, pa_mpjpe_mm))
        return Line(one.name, noise_px, worn_m, kind, *errors, girth)

    yield line("lifter", 0.0, relative, None)
    for kind, weight, worn_m in arms:
        classes = PART_MASKS if kind.startswith("parts") else SILHOUETTES
        masks = one.dressed if worn_m else one.bare
        target = torch.stack(
            [crop_target(mask, crop[row], one.camera, classes) for row, mask in enumerate(masks)]
        )
        evidence = Evidence(joints, given, torch.ones(joints.shape[:2], dtype=torch.bool), crop, target)
        moved, girths = refine(evidence, classes, HUMAN36M_17, MaskRefinement(weight=weight))
        found = np.log(girths.numpy() / one.girths)[_COVERED]
        yield line(kind, worn_m, moved.double().numpy(), float(np.exp(found.mean())) if weight else None)


def people(store: str, names: Sequence[str], frames: int, seed: int) -> Iterator[Person]:
    """Draw people one after the other."""
    opened = PoseStore.open(store)
    for number, name in enumerate(names):
        yield person(opened, name, number, frames, WORN_M, seed)


def table(lines: Sequence[Line]) -> str:
    """Means over people with 95 % intervals, and differences to the control on the same keypoints."""
    rows = [
        "| keypoints | masks | clothing | MPJPE, mm | minus that without masks | PA-MPJPE, mm | girth |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    names = sorted({line.person for line in lines})
    weights = draw_weights(names, seed=0)

    def over_people(values: dict[str, float]) -> str:
        ordered = np.array([values[name] for name in names])
        return str(estimate(ordered, np.ones(len(names)), [""] * len(names), weights))

    for noise, kind, worn in dict.fromkeys((line.noise_px, line.masks, line.worn_m) for line in lines):
        some = {
            line.person: line
            for line in lines
            if (line.noise_px, line.masks, line.worn_m) == (noise, kind, worn)
        }
        control = {
            line.person: line.mpjpe_mm for line in lines if line.masks == "none" and line.noise_px == noise
        }
        errors = {name: line.mpjpe_mm for name, line in some.items()}
        change = over_people({name: errors[name] - control[name] for name in names})
        aligned = over_people({name: line.pa_mpjpe_mm for name, line in some.items()})
        girths = [line.girth for line in some.values() if line.girth is not None]
        girth = f"{np.exp(np.log(girths).mean()):.2f}" if girths else ""
        worn_text = "" if kind in ("lifter", "none") else f"{1000 * worn:g} mm"
        seen = f"noise of {noise:g} px" if noise else "exact"
        rows.append(
            f"| {seen} | {kind} | {worn_text} | {over_people(errors)} | {change} | {aligned} | {girth} |"
        )
    return "\n".join(rows)


def choose(store: str, lifter: Path, weights: Sequence[float], frames: int, seed: int) -> None:
    """Print errors on the people whom weights are chosen on, noisy keypoints, bare bodies."""
    trained = load_lifter(lifter)
    arms = [
        ("none", 0.0, 0.0),
        *((f"{kind} {w:g}", w, 0.0) for kind in ("silhouettes", "parts") for w in weights),
    ]
    lines = [
        line
        for one in people(store, CHOSEN_ON, frames, seed)
        for line in measure(trained, one, NOISE_PX, arms, seed)
    ]
    print(table(lines))


def judge(store: str, lifter: Path, weights: dict[str, float], frames: int, seed: int, out: Path) -> None:
    """Measure, write every person's figures and print the table."""
    begun = time.process_time()
    trained = load_lifter(lifter)
    arms = [("none", 0.0, 0.0)]
    arms += [(kind, weight, worn) for kind, weight in weights.items() for worn in (0.0, WORN_M)]
    lines = []
    for one in people(store, MEASURED, frames, seed):
        for noise_px in (0.0, NOISE_PX):
            lines += list(measure(trained, one, noise_px, arms, seed))
        out.write_text(json.dumps([asdict(line) for line in lines], indent=0) + "\n", encoding="utf-8")
    lines.sort(key=lambda line: line.noise_px)
    print(table(lines))
    print(f"\n{(time.process_time() - begun) / 60:.1f} minutes of processor time")


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("losses")
    for name in ("learn", "choose", "judge"):
        one = commands.add_parser(name)
        one.add_argument("--store", required=True)
        one.add_argument("--lifter", type=Path, required=True)
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--frames", type=int, default=8, help="of every person")
        if name == "choose":
            one.add_argument("--weights", type=float, nargs="+", default=(3.0, 10.0, 30.0))
        if name == "judge":
            one.add_argument("--silhouettes", type=float, required=True)
            one.add_argument("--parts", type=float, required=True)
            one.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "losses":
        print_softness()
        print_girths()
    elif given.command == "learn":
        learn(given.store, given.lifter, given.seed)
    elif given.command == "choose":
        choose(given.store, given.lifter, given.weights, given.frames, given.seed)
    else:
        weights = {"silhouettes": given.silhouettes, "parts": given.parts}
        judge(given.store, given.lifter, weights, given.frames, given.seed, given.out)


if __name__ == "__main__":
    main()
