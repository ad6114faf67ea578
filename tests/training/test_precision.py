"""Half precision is for networks: what is measured of bodies and cameras keeps 24 bits, on any device."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.lifter import Answered, Lifter
from poseshift.training.lifters.registry import build, preset
from poseshift.training.schedule import Schedule


class HalfPrecision(TorchDispatchMode):
    """Notes which operations answer in bf16 while the lifter is at work, and which while it is not."""

    def __init__(self, lifter: Lifter) -> None:
        super().__init__()
        self.inside = False
        self.of_lifter: set[str] = set()
        self.of_others: set[str] = set()
        answered = lifter.answered

        def watched(keypoints: torch.Tensor) -> tuple[Answered, ...]:
            self.inside = True
            answers = answered(keypoints)
            self.inside = False
            return answers

        lifter.answered = watched

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        backward = torch._C._current_autograd_node() is not None
        if isinstance(out, torch.Tensor) and out.dtype == torch.bfloat16 and not backward:
            (self.of_lifter if self.inside else self.of_others).add(func.name())
        return out


def learned(poses, name, seen, precision, run_dir):
    """Loss of a step."""
    chosen = encoding(seen)
    lifter = build(preset(name), chosen.channels, seed=1)
    source = DevicePoses.from_columns(poses, "cpu", lifter.frames)
    clips = 16 if lifter.frames == 1 else 2
    schedule = Schedule(epochs=1, steps_per_epoch=1, batch_size=clips, precision=precision)
    watching = HalfPrecision(lifter)
    with watching:
        result = fit(lifter, chosen, source, schedule, run_dir=run_dir, seed=3)
    return result.history[-1].loss, watching


@pytest.mark.parametrize(
    ("lifter", "seen"),
    [
        ("simple-baseline-small", "perspective"),
        ("ampose-small", "perspective"),
        ("semgcn-small", "ray"),
        ("gumlp-small", "screen"),
        ("mixste-small", "perspective_per_frame"),
        ("gla-gcn-small", "ray"),
    ],
)
def test_only_networks_compute_in_half_precision(poses, tmp_path, lifter, seen) -> None:
    single, _ = learned(poses, lifter, seen, "32-true", tmp_path / "single")
    half, watched = learned(poses, lifter, seen, "bf16-mixed", tmp_path / "half")
    assert any("mm" in name or "linear" in name or "conv" in name for name in watched.of_lifter)
    assert watched.of_others <= {"aten::_to_copy"}
    assert half == pytest.approx(single, rel=0.02)
    assert half != single
