"""The demonstration from a bundle of motion to its page, through Prefect, with very short training."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from poseshift.flows import demo
from poseshift.flows.cli import app
from poseshift.flows.demo import DemoOptions, demo_recipe, restage_motion
from poseshift.flows.experiment.recipe import load_recipe
from poseshift.flows.experiment.results import Summary
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.store import PoseStore
from poseshift.training.schedule import Schedule


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small npz bundle of procedural motion."""
    path = tmp_path_factory.mktemp("motion") / "small_bundle.npz"
    clips = generate(seed=3, clips_per_subject=1, frames_per_clip=30)
    np.savez(
        path,
        **{
            f"{clip.subject}/{clip.description}/{number}": clip.positions for number, clip in enumerate(clips)
        },
    )
    return path


@pytest.mark.usefixtures("connected")
def test_from_motion_to_a_page(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Schedule(epochs=1, steps_per_epoch=2, batch_size=8)
    monkeypatch.setitem(demo.SCHEDULES, "quick", short)
    arguments = ["demo", "--quick", "--motion", str(bundle), "--out", str(tmp_path / "demo"), "--jobs", "2"]

    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "Target-supervised" in first.stdout
    assert "not comparable with published ones" in " ".join(first.stdout.split())
    assert (tmp_path / "demo" / "report.html").is_file()
    summary = Summary.model_validate_json((tmp_path / "demo" / "summary.json").read_text())
    assert summary.protocol == "3dhp-annot3"
    assert [one.protocol for one in summary.details] == ["3dhp-official", "3dhp-poseaug16"]
    assert summary.restaged_from is not None
    assert "small_bundle" in summary.restaged_from
    recipe = load_recipe(tmp_path / "demo" / "recipe.yaml")
    assert recipe.digest == summary.recipe_digest

    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(weights) == 3
    again = CliRunner().invoke(app, [*arguments, "--json"])
    assert again.exit_code == 0, again.output
    assert Summary.model_validate_json(again.stdout) == summary
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == weights
    for data in (recipe.source, recipe.target, recipe.test.data):
        assert data is not None
        store = PoseStore.open(data.store)
        assert store.attributes.restaged_from == summary.restaged_from


def test_other_motion_is_restaged_anew(bundle: Path, tmp_path: Path) -> None:
    options = DemoOptions(motion=str(bundle), out=tmp_path)
    restage_motion(options)
    tree = tmp_path / "restaged" / "raw" / "human36m"
    label = json.loads((tree / "RESTAGED.json").read_text())["motion"]
    changed = tmp_path / "other.npz"
    with np.load(bundle) as clips:
        np.savez(changed, **{name: clips[name] * 1.01 for name in clips.files})
    restage_motion(options.model_copy(update={"motion": str(changed)}))
    assert json.loads((tree / "RESTAGED.json").read_text())["motion"] != label
    assert any((tmp_path / "superseded").iterdir())


def test_the_target_is_adapted_to_at_chest_height_and_tested_apart() -> None:
    recipe = demo_recipe(DemoOptions(seeds=3))
    assert recipe.target is not None
    assert recipe.target.cameras == ("0", "2", "4", "7", "8")
    assert recipe.target.dataset == "mpi_inf_3dhp_train"
    assert recipe.test.data.dataset == "mpi_inf_3dhp_test"
    assert recipe.target.store != recipe.test.data.store
    assert not {"S9", "S11"} & set(recipe.source.subjects or ())
    assert recipe.seeds == (0, 1, 2)
    assert recipe.methods == ("source_only", "gpa", "target_supervised")


def test_motion_that_is_not_there_is_an_error_of_the_user(tmp_path: Path) -> None:
    refused = CliRunner().invoke(
        app, ["demo", "--motion", str(tmp_path / "absent.npz"), "--out", str(tmp_path)]
    )
    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit)
    assert "absent.npz" in refused.stderr
