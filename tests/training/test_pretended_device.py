"""Every lifter trains on a device that tensors cannot leave unnoticed, and no step moves or waits for one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from benchmarks.pretended_device import counted, pretended

from poseshift.storage.columns import CameraPoses
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.registry import PRESETS, build, preset
from poseshift.training.schedule import Schedule

SMALL = [name for name in PRESETS if name.endswith("-small")]


def test_it_counts_what_a_gpu_would_be_slow_at() -> None:
    with pretended() as device:
        values = torch.arange(6.0, device=device).reshape(2, 3)
        assert counted == {}
        moved = torch.ones(3).to(device)
        assert counted == {"to": 1}
        assert (values + moved).cpu().tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
        assert counted == {"to": 1, "from": 1}
        assert float(values.sum()) == 15.0
        assert values[values > 3].shape == (2,)
        assert counted == {"to": 1, "from": 1, "waited for: _local_scalar_dense": 1, "waited for: index": 1}
        assert values[:, [0, 2]].shape == (2, 2)
        assert counted["to"] == 2


def test_it_mixes_with_numbers_of_the_processor_alone() -> None:
    with pretended() as device:
        values = torch.ones(3, device=device)
        assert (values * torch.tensor(2.0)).cpu().tolist() == [2.0, 2.0, 2.0]
        with pytest.raises(RuntimeError, match=r"mul: some tensors are on pretended"):
            values * torch.ones(3)


def test_views_share_their_values() -> None:
    with pretended() as device:
        values = torch.zeros(2, 3, device=device)
        values.t()[1] += 1.0
        values[0].add_(2.0)
        assert values.cpu().tolist() == [[2.0, 3.0, 2.0], [0.0, 1.0, 0.0]]


class Steps:
    """Notes at the beginning of each step what has been counted."""

    def __init__(self) -> None:
        self.counts: list[dict[str, int]] = []

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        self.counts.append(dict(counted))
        return batch


@pytest.mark.parametrize("lifter", SMALL)
def test_no_step_of_a_lifter_moves_a_tensor(
    lifter: str, poses_of: Callable[[int, int], CameraPoses], tmp_path: Path
) -> None:
    def losses(device: torch.device, steps: Steps) -> list[float]:
        chosen = encoding("perspective")
        network = build(preset(lifter), chosen.channels, seed=0)
        source = DevicePoses.from_columns(poses_of(30, 0), device, network.frames)
        schedule = Schedule(epochs=1, steps_per_epoch=3, batch_size=2)
        done = fit(
            network, chosen, source, schedule, run_dir=tmp_path / device.type, seed=0, transforms=(steps,)
        )
        return [one.loss for one in done.history]

    expected = losses(torch.device("cpu"), Steps())
    steps = Steps()
    with pretended() as device:
        found = losses(device, steps)
        assert counted["to"] > 0
    assert found == pytest.approx(expected, rel=1e-5)
    _first, *others = steps.counts
    assert others == [others[0]] * 2, "a step moved tensors"
