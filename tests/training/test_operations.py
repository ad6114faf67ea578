"""How many operations a training step takes, so that nobody adds some unnoticed.

On a GPU every operation is a launch, which for small lifters costs more than the arithmetic. Views are not
counted, for they compute nothing. When a bound is passed on purpose, raise it here and say so in
docs/performance.md; when a step takes fewer, lower it.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig
from poseshift.adaptation.poseda import PoseDA, PoseDAConfig
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.augmentation.config import AdversaryConfig, FeedbackConfig
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.registry import build, preset
from poseshift.training.schedule import Schedule

NOT_COMPUTING = ("profiler::", "aten::empty")


class Operations(TorchDispatchMode):
    """Counts, and as a transform of batches notes how many there were at the beginning of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.at_steps: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not func.is_view and not func.name().startswith(NOT_COMPUTING):
            self.count += 1
        return func(*args, **(kwargs or {}))

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        self.at_steps.append(self.count)
        return batch


@pytest.mark.parametrize(
    ("lifter", "seen", "aligned", "most"),
    [
        ("simple-baseline-small", "screen", False, 90),
        ("simple-baseline-small", "perspective", False, 134),
        ("simple-baseline-small", "screen", True, 135),
        ("ampose", "screen", False, 298),
        ("ampose", "perspective", False, 342),
        ("videopose3d-1f-small", "screen", False, 132),
        ("semgcn-small", "screen", False, 509),
        ("mixste-small", "screen", False, 286),
        ("gumlp-small", "screen", False, 240),
    ],
)
def test_operations_of_a_step(poses, tmp_path, lifter, seen, aligned, most):
    chosen = encoding(seen)
    network = build(preset(lifter), chosen.channels)
    source = DevicePoses.from_columns(poses, "cpu", network.frames)
    operations = Operations()
    alignment = GlobalPositionAlignment(GlobalPositionConfig(), TargetKeypoints.from_poses(poses))
    schedule = Schedule(epochs=1, steps_per_epoch=3, batch_size=4)
    with operations:
        transforms = (operations, alignment) if aligned else (operations,)
        fit(network, chosen, source, schedule, run_dir=tmp_path, seed=0, transforms=transforms)
    _first, second, third = operations.at_steps
    # The first step makes what is kept and an optimiser's state; the others are alike.
    assert third - second <= most
    assert third - second > 0.9 * most, "lower the bound"


LEVEL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))


@pytest.mark.parametrize(("feedback", "most"), [(0.0, (371, 883, 1135)), (1.0, (371, 1297, 1549))])
def test_operations_of_a_step_of_poseda(poses, tmp_path, feedback, most):
    """One that is taught alone, one in which the generator learns, and one in which the critics do, too."""
    cameras = tuple(replace(one, rotation=LEVEL, translation=(0.0, 1.0, 4.0)) for one in poses.cameras)
    placed = replace(poses, cameras=cameras)
    config = PoseDAConfig(
        pretraining=0.0,
        warmup=0.0,
        adversary=AdversaryConfig(learn_every=2, history=4),  # full after the first step
        feedback=FeedbackConfig(weight=feedback),
    )
    operations = Operations()
    adapted = PoseDA(config, placed, TargetKeypoints.from_poses(placed), seed=0)
    source = DevicePoses.from_columns(placed, "cpu", 1)
    schedule = Schedule(epochs=1, steps_per_epoch=8, batch_size=8)
    with operations:
        network = build(preset("simple-baseline-small"), 2)
        transforms = (operations, adapted)
        fit(network, encoding("screen"), source, schedule, run_dir=tmp_path, seed=0, transforms=transforms)
    at = operations.at_steps
    found = (at[4] - at[3], at[3] - at[2], at[5] - at[4])
    assert all(one <= bound for one, bound in zip(found, most, strict=True)), found
    assert all(one > 0.9 * bound for one, bound in zip(found, most, strict=True)), "lower the bounds"
