"""The examples of docs/extending.md, run as a user's own modules."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"^```python\n# (my_lab/\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("module", "listed", "name"),
    [
        ("methods", "poseshift.adaptation.methods.METHODS", "gpa_ray"),
        ("lifters", "poseshift.training.lifters.registry.PRESETS", "my-linear"),
        ("protocols", "poseshift.training.evaluation.protocols.PROTOCOLS", "3dhp-outdoors"),
        ("metrics", "poseshift.training.evaluation.metric_list.METRICS", "worst_joint_mm"),
        ("criteria", "poseshift.adaptation.selection.CRITERIA", "depth_spread"),
        ("recordings", "poseshift.preprocessing.datasets.DATASETS", "my_lab"),
        ("plain", "poseshift.storage.exchange.registry.FORMATS", "plain"),
        ("xyz", "poseshift.storage.motion_files.registry.MOTION_FORMATS", "xyz"),
        ("markers", "poseshift.preprocessing.domain.keypoints.formats.KEYPOINT_FORMATS", "markers"),
    ],
)
def test_an_example_adds_its_entry(tmp_path: Path, module: str, listed: str, name: str) -> None:
    (tmp_path / "my_lab").mkdir()
    examples = EXAMPLE.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))
    for path, text in examples:
        (tmp_path / path).write_text(text, encoding="utf-8")
    home, _, entries = listed.rpartition(".")
    program = (
        f"from {home} import {entries}\nbefore = set({entries})\n"
        "from poseshift.storage.registry import load_plugins\n"
        f"load_plugins(['my_lab.{module}'])\nprint(*(set({entries}) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [name]
