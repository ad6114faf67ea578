"""``poseshift runs``: every run of a folder with its state, in a table and as JSON."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.recipe import load_recipe, save_recipe
from poseshift.flows.experiment.results import Summary


def listed(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["runs", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def runs(finished, tmp_path: Path) -> Path:
    """A finished run, one whose recipe was changed since, one that bad files ended, and an unreadable one."""
    recipe, _ = finished
    for name in ("done", "deeper/changed", "bad", "broken"):
        folder = RunFolder(tmp_path / "runs" / name)
        folder.path.mkdir(parents=True)
        save_recipe(recipe, folder.recipe)
        folder.log.touch()
        if name != "bad":
            shutil.copy(RunFolder(recipe.run_dir).summary, folder.summary)
    save_recipe(recipe.model_copy(update={"seeds": (5,)}), RunFolder(tmp_path / "runs/deeper/changed").recipe)
    RunFolder(tmp_path / "runs" / "bad").bad_files.write_text("{}")
    RunFolder(tmp_path / "runs" / "broken").recipe.write_text("name: [")
    environment = RunFolder(tmp_path / "runs" / "done").environment
    environment.write_text(json.dumps({"started": "2031-05-06T07:08:09Z"}))
    return tmp_path / "runs"


def test_each_run_with_its_state(runs: Path) -> None:
    answer = listed(runs, "--json")
    assert answer.exit_code == 0, answer.stderr
    found = {Path(run["folder"]).name: run for run in json.loads(answer.stdout)["runs"]}
    assert {name: run["state"] for name, run in found.items()} == {
        "done": "finished",
        "changed": "not finished",
        "bad": "bad files",
        "broken": "unreadable",
    }
    recipe = load_recipe(RunFolder(runs / "done").recipe)
    summary = Summary.model_validate_json(RunFolder(runs / "done").summary.read_text())
    done = found["done"]
    assert next(iter(found)) == "done", "the latest first"
    assert done["date"] == "2031-05-06T07:08:09Z"
    assert (done["name"], done["method"], done["seeds"]) == ("small", "gpa", list(recipe.seeds))
    assert done["headline_mm"]["value"] == summary.headline.figures.mpjpe_mm.value
    assert done["snapshots"] == summary.snapshots
    assert found["changed"]["headline_mm"] is None, "the figure is of another recipe"
    assert "not valid YAML" in found["broken"]["remark"]


def test_the_table_has_them_all(runs: Path) -> None:
    told = listed(runs)
    assert told.exit_code == 0, told.stderr
    for word in ("finished", "not finished", "bad files", "unreadable", "2031-05-06 07:08", "3dhp-annot3"):
        assert word in told.stdout
    assert str(runs / "deeper" / "changed") in told.stdout


def test_no_runs_and_no_folder_are_said(tmp_path: Path) -> None:
    assert "No run lies in" in listed(tmp_path).stdout
    missing = listed(tmp_path / "none", "--json")
    assert missing.exit_code == 1
    assert json.loads(missing.stdout)["error"]["code"] == "file_not_found"
