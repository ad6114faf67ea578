"""How many operations a training step takes, so that nobody adds some unnoticed.

On a GPU every operation is a launch, which for small lifters costs more than the arithmetic. Views are not
counted, for they compute nothing. When a bound is passed on purpose, raise it here and say so in
docs/performance.md; when a step takes fewer, lower it.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig
from poseshift.adaptation.target_keypoints import TargetKeypoints
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
        ("simple-baseline-small", "screen", False, 104),
        ("simple-baseline-small", "perspective", False, 520),
        ("simple-baseline-small", "screen", True, 149),
        ("ampose", "screen", False, 312),
        ("ampose", "perspective", False, 728),
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
