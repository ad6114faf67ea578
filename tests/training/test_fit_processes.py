"""The same call in two processes, as torchrun starts them: shares of a batch, one state, exact resume."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {fixtures!r})
from conftest import make_poses
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.registry import build
from poseshift.training.schedule import Schedule

place = Path(sys.argv[1])
source = DevicePoses.from_columns(make_poses(16, 0), "cpu", 1)
schedule = Schedule(epochs=3, steps_per_epoch=2, batch_size=16, ema_decay=0.9)

def train(name, on_epoch=None):
    lifter = build(AMPoseConfig(width=8, pairs=1, heads=2), 3)
    seen = encoding("perspective")
    result = fit(lifter, seen, source, schedule, run_dir=place / name, seed=0, on_epoch=on_epoch)
    weights = {{name: weight.double().sum().item() for name, weight in result.lifter.named_parameters()}}
    return {{"weights": weights, "loss": [log.loss for log in result.history]}}

def stop(log):
    if log.epoch == 2:
        raise InterruptedError

whole = train("whole")
try:
    train("broken", stop)
except InterruptedError:
    resumed = train("broken")
answer = {{"whole": whole, "resumed": resumed}}
(place / f"answer-{{os.environ['RANK']}}.json").write_text(json.dumps(answer))
"""


def test_two_processes_agree_and_resume_exactly(
    tmp_path: Path, as_two: Callable[..., list[subprocess.CompletedProcess[str]]]
) -> None:
    script = SCRIPT.format(fixtures=str(Path(__file__).parent))
    for done in as_two("-c", script, str(tmp_path)):
        assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"answer-{rank}.json").read_text()) for rank in range(2))
    assert first["whole"] == second["whole"]
    assert first["resumed"] == first["whole"]
