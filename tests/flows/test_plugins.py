"""A user's own module, named in a recipe, adds to the open lists without a line changed in the project."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from benchmarks.faults import programs
from numpy.typing import NDArray

from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.recipe import Recipe, RecipeError, load_recipe, save_recipe
from poseshift.flows.experiment.results import Summary
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore

LIFTERS = '''
"""A lifter, a method, a metric and a criterion of a laboratory of one's own."""

from typing import Literal

import numpy as np
from torch import nn

from poseshift.adaptation.config import GlobalPositionAdaptation
from poseshift.adaptation.global_position import (GlobalPositionConfig)
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


DATA_SET = '''
"""A data set that is one file of joints and one camera: names, axes and units are the project's."""

from functools import partial

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.preprocessing.datasets import DATASETS, DataSet, RawTree
from poseshift.preprocessing.raw import PlannedTrial, RawPlan
from poseshift.storage.schema import Trial, TrialKey

CAMERA = Camera(name="phone", size_px=(1080, 1920), focal_px=(1500.0, 1500.0), centre_px=(540.0, 960.0))


def read(path, key):
    positions = np.load(path).astype(np.float32)
    seen = project(positions.astype(np.float64), CAMERA.intrinsics)
    return Trial(
        key=key,
        action="walk",
        subaction="1",
        fps=30.0,
        cameras=(CAMERA,),
        positions_world=positions,
        keypoints_2d=seen[None].astype(np.float32),
    )


def plan(tree: RawTree) -> RawPlan:
    keys = {path: TrialKey(path.parent.name, path.stem) for path in sorted(tree.root.glob("*/*.npy"))}
    trials = tuple(PlannedTrial(key, (path,), partial(read, path, key)) for path, key in keys.items())
    return RawPlan(dataset="my_lab", root=tree.root, trials=trials, problems=(), options={})


DATASETS.add("my_lab", DataSet("my_lab", "Our own recordings.", plan))
'''


FORMAT = '''
"""Trials as one plain npz each, in a folder: read and written."""

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.storage.exchange.registry import FORMATS, Format, Imported
from poseshift.storage.schema import Trial, TrialKey


def write(store, folder):
    folder.mkdir()
    files = []
    for key in store.keys():
        trial = store.read(key)
        files.append(folder / f"{key.subject}-{key.trial}.npz")
        np.savez(files[-1], positions=trial.positions_world, keypoints=trial.keypoints_2d)
    return tuple(files)


def read(folder):
    camera = Camera(name="phone", size_px=(1080, 1920), focal_px=(1500.0, 1500.0), centre_px=(540.0, 960.0))
    trials = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            trials.append(
                Trial(
                    key=TrialKey(*path.stem.split("-")),
                    action="walk",
                    subaction="1",
                    fps=30.0,
                    cameras=(camera,),
                    positions_world=arrays["positions"],
                    keypoints_2d=arrays["keypoints"],
                )
            )
    return Imported("my_lab", trials)


FORMATS.add("plain", Format("plain", "One npz a trial.", read, write))
'''


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """A folder of a user's, with packages whose names the project has, too."""
    folder = tmp_path / "laboratory"
    (folder / "my_lab").mkdir(parents=True)
    (folder / "my_lab" / "__init__.py").touch()
    (folder / "my_lab" / "lifters.py").write_text(LIFTERS)
    (folder / "my_lab" / "recordings.py").write_text(DATA_SET)
    (folder / "my_lab" / "plain.py").write_text(FORMAT)
    (folder / "training").mkdir()
    (folder / "training" / "__init__.py").write_text("raise RuntimeError('the wrong training')\n")
    return folder


COMMANDS = """
import json, sys
from typer.testing import CliRunner
from poseshift.flows.cli import app
for command in json.load(sys.stdin):
    done = CliRunner().invoke(app, command)
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""


@dataclass(frozen=True)
class Answer:
    """Of one command."""

    status: int
    stdout: str
    stderr: str


def in_new_process(
    folder: Path, *program: str, commands: Sequence[Sequence[str]] = ()
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
    return programs.run(*program, environment=environment, folder=folder, given=json.dumps(commands))


def poseshift(folder: Path, *commands: Sequence[str]) -> list[Answer]:
    """Run commands one after the other in a new process: a module that one names stays loaded."""
    done = in_new_process(folder, "-c", COMMANDS, commands=commands)
    assert done.returncode == 0, done.stderr
    return [Answer(*json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
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
    ran = in_new_process(laboratory, "-m", "poseshift.flows.cli", "run", str(path), "--json")
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
    evaluate = ("evaluate", lifter, store, "--out", str(laboratory / "again"))
    with_plugin = ("--plugin", "my_lab.lifters", "--json")
    missing, found, listed = poseshift(
        laboratory, evaluate, (*evaluate, *with_plugin), ("models", "--methods", *with_plugin)
    )
    assert missing.status == 1
    assert "linear" in missing.stderr
    assert found.status == 0, found.stderr[-3000:]
    assert "GPA, wide roots" in listed.stdout


def test_a_module_that_is_not_there_is_named(prepared: Recipe, tmp_path: Path) -> None:
    save_recipe(prepared, tmp_path / "recipe.yaml")
    path = tmp_path / "recipe.yaml"
    text = path.read_text().replace("plugins: []", "plugins: [no_such_lab.lifters]")
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"plugin 'no_such_lab.lifters' cannot be imported"):
        load_recipe(path)


def test_a_data_set_and_a_format_of_ones_own_are_used_as_the_others_are(
    laboratory: Path, draw_people: Callable[..., NDArray[np.float32]]
) -> None:
    (laboratory / "raw" / "P1").mkdir(parents=True)
    people = draw_people(np.random.default_rng(0), 20)
    np.save(laboratory / "raw" / "P1" / "walk.npy", people)
    prepare = ("prepare", "other", "my-lab", "raw", "store", "--json")
    with_data_set, with_format = ("--plugin", "my_lab.recordings"), ("--plugin", "my_lab.plain")
    unknown, done = poseshift(laboratory, prepare, (*prepare, *with_data_set))
    assert unknown.status == 1
    assert "no raw release 'my-lab' is known; there are human36m" in unknown.stderr
    assert done.status == 0, done.stderr[-3000:]
    store = PoseStore.open(laboratory / "store")
    assert store.dataset == "my_lab"
    np.testing.assert_allclose(store.read(TrialKey("P1", "walk")).positions_world, people)

    again, unwritten, written, read = poseshift(
        laboratory,
        (*prepare, *with_data_set),
        ("export", "other", "plain", "store", "x"),
        ("export", "other", "plain", "store", "files", *with_format),
        ("import", "other", "plain", "files", "copy", *with_format),
    )
    assert again.status == 0
    assert PoseStore.open(laboratory / "store").snapshot == store.snapshot
    assert "no exchange format 'plain'" in unwritten.stderr
    assert written.status == 0, written.stderr[-3000:]
    assert read.status == 0, read.stderr[-3000:]
    copy = PoseStore.open(laboratory / "copy").read(TrialKey("P1", "walk"))
    np.testing.assert_array_equal(copy.positions_world, store.read(TrialKey("P1", "walk")).positions_world)
