"""Accuracy against cost of lifters that leave frames out: a table and a plot.

    poseshift restage --motion cmu.npz --out RAW && poseshift prepare human36m RAW/human36m STORE
    python -m benchmarks.pruning STORE --out FOLDER

MixSTE and KTPFormer, in their small presets for 27 frames, are trained whole, with nine frames kept from one
of their blocks on, and, as the control of the same cost, with one pair of blocks less. All have the same
steps, batches and seed; whole clips of the test people are lifted, each frame once, without mirroring. What
is in FOLDER/runs.jsonl already is not trained again, so that a run may be interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path
from time import process_time
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import torch

from poseshift.geometry.skeleton import skeleton
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import Encoding, encoding
from poseshift.training.fit import fit
from poseshift.training.flip import lift
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.pruned import PrunedConfig
from poseshift.training.lifters.registry import build, describe_config, preset
from poseshift.training.schedule import Schedule

TRAINING, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
HOSTS = ("mixste-small", "ktpformer-small")
KEEP = 9

ALLOWED = 0.01
"""Share by which the error may rise, as the plot shows it."""

PRUNED: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "dpc, tra": {"choose": "dpc", "recover": "tra", "before_block": 1},
        "uniform, linear": {"choose": "uniform", "recover": "linear", "before_block": 1},
        "uniform, tra": {"choose": "uniform", "recover": "tra", "before_block": 1},
        "dpc, linear": {"choose": "dpc", "recover": "linear", "before_block": 1},
        "motion, linear": {"choose": "motion", "recover": "linear", "before_block": 1},
        "dpc, tra, late": {"choose": "dpc", "recover": "tra", "before_block": 2},
    }
)
"""How frames are chosen and recovered; `late` is one block later."""


@dataclass(frozen=True)
class Run:
    """One lifter, trained and tested."""

    host: str
    variant: str
    steps: int
    batch: int
    seed: int
    parameters: int
    multiply_adds: int
    mpjpe_mm: float
    clip_ms: float
    """Processor time of a test clip."""
    cpu_s: float
    """Processor time of the training."""

    @property
    def key(self) -> tuple[str, str, int, int, int]:
        """What decides the figures, together with the data."""
        return self.host, self.variant, self.steps, self.batch, self.seed


def variants(host: str) -> dict[str, LifterConfig]:
    """Name the configurations of one lifter that are compared."""
    whole = preset(host)
    shallow = whole.model_copy(update={"depth": whole.model_dump()["depth"] - 1})
    pruned = {
        name: PrunedConfig.model_validate({"of": whole, "keep": KEEP, **settings})
        for name, settings in PRUNED.items()
    }
    return {"whole": whole, "a pair less": shallow, **pruned}


def clips_of(poses: DevicePoses) -> torch.Tensor:
    """Middle rows of clips that lie inside their run, side by side."""
    half = poses.frames // 2
    rows = torch.arange(len(poses))
    place = rows - poses.run_first
    whole = (place % poses.frames == half) & (rows + half <= poses.run_last)
    return rows[whole]


def measured(lifter: Lifter, seen: Encoding, poses: DevicePoses, clips: int) -> tuple[float, float]:
    """Lift clips spread evenly over the poses: mean error in mm, and processor time of a clip in ms."""
    rows = clips_of(poses)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, clips).round().astype(int))]
    errors, used_s = [], 0.0
    with torch.inference_mode():
        for part in rows.split(32):
            batch = poses.batch(part)
            started = process_time()
            answer = lift(lifter, seen, batch.keypoints_px, batch.intrinsics)
            used_s += process_time() - started
            truth = batch.root_relative(skeleton(lifter.skeleton))
            errors.append((answer - truth).norm(dim=-1).flatten())
    return 1000 * float(torch.cat(errors).mean()), 1000 * used_s / len(rows)


def run(host: str, variant: str, poses: tuple[DevicePoses, DevicePoses], given: argparse.Namespace) -> Run:
    """Train one variant, and test it."""
    config, seen = variants(host)[variant], encoding("ray")
    schedule = Schedule(
        epochs=max(1, given.steps // 50),
        steps_per_epoch=min(50, given.steps),
        batch_size=given.batch,
        learning_rate=1e-3,
        warmup_steps=20,
    )
    lifter = build(config, seen.channels, seed=given.seed)
    folder = given.out / "training" / f"{host}_{variant.replace(', ', '_').replace(' ', '_')}_{given.seed}"
    started = process_time()
    fit(lifter, seen, poses[0], schedule, run_dir=folder, seed=given.seed)
    cpu_s = process_time() - started
    error_mm, clip_ms = measured(lifter, seen, poses[1], given.clips)
    cost = describe_config(variant, config)
    return Run(
        host=host,
        variant=variant,
        steps=given.steps,
        batch=given.batch,
        seed=given.seed,
        parameters=cost.parameters,
        multiply_adds=cost.multiply_adds,
        mpjpe_mm=error_mm,
        clip_ms=clip_ms,
        cpu_s=cpu_s,
    )


def predicted_share(host: str, variant: str) -> float:
    """Cost over the whole lifter's, were a block's in proportion to its frames and all else for nothing."""
    config = variants(host)[variant]
    whole = preset(host).model_dump()
    if not isinstance(config, PrunedConfig):
        return float(config.model_dump()["depth"] / whole["depth"])
    left = (whole["depth"] - config.before_block) * (1 - config.keep / whole["frames"])
    return float(1 - left / whole["depth"])


def table(runs: Sequence[Run]) -> str:
    """Write the runs as a table in Markdown, with what each saves and loses against the whole lifter.

    `predicted` is what proportion says, see :func:`predicted_share`.
    """
    whole = {(one.host, one.seed): one for one in runs if one.variant == "whole"}
    lines = [
        "| lifter | variant | seed | multiply-adds | saved | predicted | ms a clip | saved | MPJPE, mm "
        "| against whole |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in sorted(runs, key=lambda one: (one.host, one.seed)):
        against = whole[one.host, one.seed]
        saved = 1 - one.multiply_adds / against.multiply_adds
        predicted = 1 - predicted_share(one.host, one.variant)
        faster = 1 - one.clip_ms / against.clip_ms
        lost = one.mpjpe_mm / against.mpjpe_mm - 1
        lines.append(
            f"| `{one.host}` | {one.variant} | {one.seed} | {one.multiply_adds / 1e6:.1f} M "
            f"| {saved:.1%} | {predicted:.1%} | {one.clip_ms:.1f} | {faster:.0%} "
            f"| {one.mpjpe_mm:.1f} | {lost:+.1%} |"
        )
    return "\n".join(lines)


def plot(runs: Sequence[Run], file: Path) -> None:
    """Draw error against multiply-adds; the seed stands behind each variant."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for host, marker in zip(HOSTS, "os", strict=True):
        own = [one for one in runs if one.host == host]
        if not own:
            continue
        axes.scatter(
            [one.multiply_adds / 1e6 for one in own], [one.mpjpe_mm for one in own], marker=marker, label=host
        )
        for one in own:
            axes.annotate(
                f"{one.variant} ({one.seed})",
                (one.multiply_adds / 1e6, one.mpjpe_mm),
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=7,
            )
    for whole in (one for one in runs if one.variant == "whole"):
        axes.axhline((1 + ALLOWED) * whole.mpjpe_mm, color="0.6", linestyle=":", linewidth=0.8)
    axes.margins(x=0.15)
    axes.set(
        xlabel="multiply-adds of a clip of 27 frames, millions",
        ylabel=f"MPJPE, mm (dotted: {ALLOWED:.0%} above a whole lifter)",
    )
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=150)
    plt.close(figure)


def main() -> None:
    """Run what is missing, and write the table and the plot after each."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.pruning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("store")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--clips", type=int, default=1000, help="clips of the test people")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--hosts", nargs="+", choices=HOSTS, default=list(HOSTS))
    options.add_argument("--variants", nargs="+", default=["whole", "a pair less", *PRUNED])
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    store = PoseStore.open(given.store)
    poses = tuple(
        DevicePoses.from_columns(
            read_camera_poses(store, Selection(subjects=people)).without_gaps(),
            "cpu",
            preset(HOSTS[0]).frames,
        )
        for people in (TRAINING, TEST)
    )
    file = given.out / "runs.jsonl"
    runs = [Run(**loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
    for variant in given.variants:
        for host in given.hosts:
            if (host, variant, given.steps, given.batch, given.seed) in {one.key for one in runs}:
                continue
            runs.append(run(host, variant, poses, given))
            with file.open("a") as lines:
                lines.write(dumps(asdict(runs[-1])) + "\n")
            print(runs[-1], flush=True)
            (given.out / "table.md").write_text(table(runs) + "\n")
            plot(runs, given.out / "cost.png")
    print(table(runs))


if __name__ == "__main__":
    main()
