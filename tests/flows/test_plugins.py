"""A user's own module, named in a recipe, adds to the open lists without a line changed in the project."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.recipe import Recipe, RecipeError, load_recipe, save_recipe
from poseshift.flows.experiment.results import Summary

LIFTERS = '''
"""A lifter, a method, a metric and a criterion of a laboratory of one's own."""

from typing import Literal

import numpy as np
from torch import nn

from poseshift.adaptation.config import GlobalPositionAdaptation
from poseshift.adaptation.global_position import GlobalPositionConfig
from poseshift.adaptation.methods import METHODS, Method
from poseshift.adaptation.selection import CRITERIA
from poseshift.training.evaluation.metric_list import METRICS, Metric
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import register


class LinearConfig(LifterConfigBase):
    """One matrix."""

    name: Literal["linear"] = "linear"
    skeleton: str = "human36m_17"

    def build(self, channels: int) -> Lifter:
        return Linear(self, channels)


class Linear(Lifter):
    def __init__(self, config: LinearConfig, channels: int) -> None:
        super().__init__(frames=1, output="all", channels=channels, skeleton=config.skeleton)
        self.layer = nn.Linear(self.joints * channels, self.joints * 3)

    def lift(self, keypoints):
        return self.layer(keypoints.flatten(1)).view(-1, 1, self.joints, 3)


register(LinearConfig, {"linear-17": LinearConfig()})
METHODS.add(
    "wide",
    Method(
        name="wide",
        label="GPA, wide roots, rays",
        adaptation=GlobalPositionAdaptation(options=GlobalPositionConfig(root_form="wide")),
        encoding="ray",
    ),
)
METRICS.add(
    "worst_joint_mm",
    Metric(
        "worst_joint_mm",
        "Worst joint, mm",
        lambda c: 1000 * np.linalg.norm(c.predicted - c.truth, axis=-1).max(axis=-1),
    ),
)
CRITERIA.add("depth_spread", lambda found: float(found.answer[..., 2].std()))
'''


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """A folder of a user's, with packages whose names the project has, too."""
    folder = tmp_path / "laboratory"
    (folder / "my_lab").mkdir(parents=True)
    (folder / "my_lab" / "__init__.py").touch()
    (folder / "my_lab" / "lifters.py").write_text(LIFTERS)
    (folder / "training").mkdir()
    (folder / "training" / "__init__.py").write_text("raise RuntimeError('the wrong training')\n")
    return folder


def poseshift(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "poseshift.flows.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_recipe_runs_with_what_a_module_adds(prepared: Recipe, laboratory: Path) -> None:
    recipe = prepared.model_copy(
        update={"run_dir": laboratory / "run", "seeds": (0,), "compare": (), "selection": "label-free"}
    )
    path = laboratory / "recipe.yaml"
    save_recipe(recipe, path)
    text = path.read_text().split("\n")
    start, end = text.index("lifter:"), next(n for n, line in enumerate(text) if line.startswith("compare:"))
    path.write_text(
        "\n".join(
            (
                "plugins: [my_lab.lifters]",
                *(line for line in text[:start] if not line.startswith("plugins")),
                "lifter: linear-17",
                "method: wide",
                *text[end:],
            )
        )
    )
    ran = poseshift(laboratory, "run", str(path), "--json")
    assert ran.returncode == 0, ran.stderr[-3000:]
    summary = Summary.model_validate_json(ran.stdout)
    (row,) = summary.rows
    assert (row.method, row.parts.encoding, row.parts.placement) == ("wide", "ray", "GPA, wide roots")
    worst = row.figures.further["worst_joint_mm"]
    assert worst.value > row.figures.mpjpe_mm.value
    assert worst.low is not None
    record = (RunFolder(recipe.run_dir).training("wide", 0) / "done.json").read_text()
    assert "depth_spread" in record

    lifter = str(RunFolder(recipe.run_dir).lifter("wide", 0))
    store = recipe.test.data.store
    missing = poseshift(laboratory, "evaluate", lifter, store, "--out", str(laboratory / "again"))
    assert missing.returncode == 1
    assert "linear" in missing.stderr
    found = poseshift(
        laboratory,
        *("evaluate", lifter, store, "--out", str(laboratory / "again")),
        *("--plugin", "my_lab.lifters", "--json"),
    )
    assert found.returncode == 0, found.stderr[-3000:]
    listed = poseshift(laboratory, "models", "--methods", "--plugin", "my_lab.lifters")
    assert "GPA, wide roots" in listed.stdout


def test_a_module_that_is_not_there_is_named(prepared: Recipe, tmp_path: Path) -> None:
    save_recipe(prepared, tmp_path / "recipe.yaml")
    path = tmp_path / "recipe.yaml"
    text = path.read_text().replace("plugins: []", "plugins: [no_such_lab.lifters]")
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"plugin 'no_such_lab.lifters' cannot be imported"):
        load_recipe(path)
