"""Training with a compiled network: that it is compiled, and learns what the plain network learns."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from poseshift.training import compiled
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import FitResult, fit
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.schedule import Schedule

TINY = SimpleBaselineConfig(width=8, blocks=1, dropout=0.2)


@pytest.fixture(autouse=True)
def _without_cpp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trace forward and backward pass, and leave out the writing of C++, which takes half a minute."""
    monkeypatch.setattr(compiled, "COMPILER", "aot_eager")
    counters.clear()
    with torch._dynamo.config.patch(recompile_limit=1):
        yield


def train(poses, run_dir: Path, *, compiled: bool, epochs: int = 2) -> FitResult:
    seen = encoding("perspective")
    source = DevicePoses.from_columns(poses, "cpu", frames=1)
    schedule = Schedule(epochs=epochs, steps_per_epoch=3, batch_size=16, compiled=compiled)
    return fit(build(TINY, seen.channels, seed=1), seen, source, schedule, run_dir=run_dir, seed=5)


def test_a_compiled_network_learns_the_same(poses, tmp_path: Path) -> None:
    plain = train(poses, tmp_path / "plain", compiled=False)
    assert not counters["stats"]
    found = train(poses, tmp_path / "compiled", compiled=True)
    assert counters["stats"]["unique_graphs"] == 1
    assert [log.loss for log in found.history] == pytest.approx([log.loss for log in plain.history], rel=1e-5)
    expected = plain.lifter.state_dict()
    for name, weights in found.lifter.state_dict().items():
        torch.testing.assert_close(weights, expected[name], msg=name)


def test_every_lifter_of_a_process_is_compiled(poses, tmp_path: Path) -> None:
    for number in range(2):  # above PyTorch's limit, which the fixture lowers, were the first not forgotten
        train(poses, tmp_path / str(number), compiled=True, epochs=1)
    assert counters["stats"]["unique_graphs"] == 2


def test_runs_are_resumed_as_they_were_begun(poses, tmp_path: Path) -> None:
    train(poses, tmp_path, compiled=False, epochs=1)
    with pytest.raises(ValueError, match="different schedule"):
        train(poses, tmp_path, compiled=True, epochs=1)


def test_a_plain_schedule_is_written_as_before() -> None:
    assert "compiled" not in Schedule().model_dump(mode="json")
    written = Schedule(compiled=True).model_dump_json()
    assert Schedule.model_validate_json(written).compiled
