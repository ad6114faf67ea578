"""Whether masks of a person make a lifter's answers better, and what clothing does to that.

    poseshift prepare free-motion cmu_h36m17_core_50hz.npz STORE
    python -m benchmarks.rendering judge --store STORE --lifter free-motion-1 --out judged.json
    python -m benchmarks.rendering losses

``judge`` measures a lifter's answers as they are, moved by keypoints and bones alone, and moved by
silhouettes or part masks as well, of bare and of dressed bodies, from noisy and from exact keypoints. Masks
are drawn from the truth, from capsules with girths of their own. ``losses`` shows on one standing body how
soft pictures come to those of a z-buffer, and which girth each loss takes for the best when clothing is worn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from benchmarks.rendering.scene import PEOPLE, Person, person, with_noise
from benchmarks.rendering.standing import print_girths, print_softness

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.storage.files import write_atomically
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import TrainedLifter, load_lifter
from poseshift.training.evaluation.intervals import draw_weights, estimate
from poseshift.training.evaluation.metrics import mpjpe_mm, pa_mpjpe_mm
from poseshift.training.prediction.mask_refinement import Evidence, MaskRefinement, refine
from poseshift.training.prediction.mask_targets import MaskClasses, crop_target
from poseshift.training.prediction.views import lift_views
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.crop import person_crop
from poseshift.training.shipped import lifter_folder

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
        classes = PART_MASKS if kind == "parts" else SILHOUETTES
        masks = one.dressed if worn_m else one.bare
        target = torch.stack(
            [crop_target(mask, crop[row], one.camera, classes) for row, mask in enumerate(masks)]
        )
        evidence = Evidence(joints, given, torch.ones(joints.shape[:2], dtype=torch.bool), crop, target)
        moved, girths = refine(evidence, classes, HUMAN36M_17, MaskRefinement(weight=weight))
        thickness = girths[None] * CapsuleBody(HUMAN36M_17, joints[0]).size(joints)[:, None]
        found = np.log(thickness.median(dim=0).values.numpy() / one.girths)[_COVERED]
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


def judge(store: str, lifter: Path, frames: int, seed: int, out: Path) -> None:
    """Measure, write every person's figures as they come and print the table."""
    begun = time.process_time()
    trained = load_lifter(lifter_folder(lifter))
    weight = MaskRefinement().weight
    arms = [("none", 0.0, 0.0)]
    arms += [(kind, weight, worn) for kind in ("silhouettes", "parts") for worn in (0.0, WORN_M)]
    lines: list[Line] = []
    for noise_px in (NOISE_PX, 0.0):
        for one in people(store, PEOPLE, frames, seed):
            lines += measure(trained, one, noise_px, arms, seed)
            write_atomically(out, json.dumps([asdict(line) for line in lines], indent=0) + "\n")
    print(table(lines))
    print(f"\n{(time.process_time() - begun) / 60:.1f} minutes of processor time")


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("losses")
    judging = commands.add_parser("judge")
    judging.add_argument("--store", required=True)
    judging.add_argument("--lifter", type=Path, required=True)
    judging.add_argument("--out", type=Path, required=True)
    judging.add_argument("--seed", type=int, default=0)
    judging.add_argument("--frames", type=int, default=2, help="of every person")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "losses":
        print_softness()
        print_girths()
    else:
        judge(given.store, given.lifter, given.frames, given.seed, given.out)


if __name__ == "__main__":
    main()
