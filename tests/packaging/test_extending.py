"""The examples of docs/extending.md, run as a user's own modules."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"^```python\n# (my_lab/\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


EXAMPLES = {
    "methods": ("poseshift.adaptation.methods.METHODS", "gpa_ray"),
    "lifters": ("poseshift.training.lifters.registry.PRESETS", "my-linear"),
    "protocols": ("poseshift.training.evaluation.protocols.PROTOCOLS", "3dhp-outdoors"),
    "metrics": ("poseshift.training.evaluation.metric_list.METRICS", "worst_joint_mm"),
    "criteria": ("poseshift.adaptation.selection.CRITERIA", "depth_spread"),
    "recordings": ("poseshift.preprocessing.datasets.DATASETS", "my_lab"),
    "plain": ("poseshift.storage.exchange.registry.FORMATS", "plain"),
    "xyz": ("poseshift.storage.motion_files.registry.MOTION_FORMATS", "xyz"),
    "markers": ("poseshift.preprocessing.domain.keypoints.formats.KEYPOINT_FORMATS", "markers"),
}
"""By module: the list that it adds to, and the name of the entry."""

PROGRAM = """
import json, sys
from importlib import import_module
from poseshift.storage.registry import load_plugins

def held():
    return {listed: set(getattr(import_module(home), name)) for listed, (home, name) in lists.items()}

lists = {listed: tuple(listed.rsplit(".", 1)) for listed in sys.argv[1].split(",")}
added = {}
for module in sys.argv[2].split(","):
    before = held()
    load_plugins([f"my_lab.{module}"])
    added[module] = {listed: sorted(now - before[listed]) for listed, now in held().items()}
print(json.dumps(added))
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """By module: what it adds to which list, one module after the other in one process."""
    folder = tmp_path_factory.mktemp("laboratory")
    (folder / "my_lab").mkdir()
    for path, text in EXAMPLE.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")):
        (folder / path).write_text(text, encoding="utf-8")
    lists = {listed for listed, _ in EXAMPLES.values()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(lists), ",".join(EXAMPLES)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("module", EXAMPLES)
def test_an_example_adds_its_entry(added: dict[str, dict[str, list[str]]], module: str) -> None:
    listed, name = EXAMPLES[module]
    assert added[module][listed] == [name]
