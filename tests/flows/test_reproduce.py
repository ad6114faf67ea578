"""A recorded run is done again: bit for bit, from the snapshots that it read, and not after tampering."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from poseshift.adaptation.methods import METHODS
from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.progress import Step, progress_to
from poseshift.flows.experiment.recipe import PoseData, Recipe, load_recipe
from poseshift.flows.experiment.stage import DONE, INPUTS
from poseshift.flows.pipeline import run_recipe
from poseshift.flows.reproduce import (
    REPORT,
    Reproduction,
    ReproductionError,
    compare_runs,
    pinned,
    read_run,
    reproduce,
)
from poseshift.flows.runtime.environment import Environment
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import WEIGHTS_FILE
from poseshift.training.schedule import Schedule


@pytest.fixture(scope="module")
def stores(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the prepared stores, which these tests change."""
    folder = tmp_path_factory.mktemp("stores")
    assert prepared.target is not None
    for data in (prepared.source, prepared.target, prepared.test.data):
        shutil.copytree(data.store, folder / Path(data.store).name)
    return folder


@pytest.fixture(scope="module")
def recipe(prepared: Recipe, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Two lifters, trained for a few steps on stores that no raw tree changes."""

    def moved(data: PoseData) -> PoseData:
        return data.model_copy(update={"raw": None, "store": str(stores / Path(data.store).name)})

    assert prepared.target is not None
    return prepared.model_copy(
        update={
            "run_dir": tmp_path_factory.mktemp("runs") / "recorded",
            "source": moved(prepared.source),
            "target": moved(prepared.target),
            "test": prepared.test.model_copy(update={"data": moved(prepared.test.data)}),
            "compare": (METHODS["source_only"],),
            "schedule": Schedule(epochs=2, steps_per_epoch=2, batch_size=8),
            "seeds": (3,),
        }
    )


@pytest.fixture(scope="module")
def run(recipe: Recipe) -> Path:
    """The recorded run."""
    run_recipe(recipe)
    return recipe.run_dir


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_run_comes_out_again_even_when_its_stores_have_moved_on(
    run: Path, stores: Path, tmp_path: Path
) -> None:
    before = read_run(run).trained["gpa", 3].read
    for name in ("human36m", "train", "test"):
        store = PoseStore.open(stores / name)
        with store.transaction("Lose a trial") as transaction:
            transaction.remove(store.keys()[0])
    assert PoseStore.open(stores / "human36m").snapshot != before.labelled.snapshot
    result = reproduce(run, tmp_path / "again")
    assert result.differences == ()
    assert result.succeeded
    assert result.compared > 100
    assert {difference.what for difference in result.circumstances} <= {"git_commit"}
    again = read_run(tmp_path / "again")
    assert again.trained["gpa", 3].read == before
    assert again.trained["gpa", 3].weights_sha256 == read_run(run).trained["gpa", 3].weights_sha256
    assert load_recipe(tmp_path / "again" / "recipe.yaml").source.snapshot == before.labelled.snapshot
    kept = Reproduction.model_validate_json((tmp_path / "again" / REPORT).read_text())
    assert kept == result


def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "tampered"))


def better(content: dict) -> None:
    content["rows"][1]["figures"]["mpjpe_mm"]["value"] -= 10.0


def test_a_summary_that_was_changed_is_not_reproduced(run: Path, tmp_path: Path) -> None:
    tampered = copied(run, tmp_path)
    rewrite(tampered / "summary.json", better)
    (difference,) = compare_runs(read_run(tampered), read_run(run)).differences
    assert difference.what == "summary: 3dhp-annot3 rows 1 figures mpjpe_mm value"
    assert isinstance(difference.repeated, float)
    assert difference.recorded == pytest.approx(difference.repeated - 10.0)


@pytest.mark.usefixtures("connected")
def test_the_command_says_by_its_exit_code(run: Path, tmp_path: Path) -> None:
    tampered = copied(run, tmp_path)
    rewrite(tampered / "summary.json", better)
    told = CliRunner().invoke(app, ["reproduce", str(tampered), "--json"])
    assert told.exit_code == 1
    (difference,) = json.loads(told.stdout)["differences"]
    assert difference["what"] == "summary: 3dhp-annot3 rows 1 figures mpjpe_mm value"
    assert (tmp_path / "tampered-repeated" / REPORT).is_file()
    taken = CliRunner().invoke(app, ["reproduce", str(tampered)])
    assert taken.exit_code == 1
    assert "is not empty" in taken.stderr


def test_weights_that_were_changed_are_found(run: Path, tmp_path: Path) -> None:
    tampered = copied(run, tmp_path)
    weights = RunFolder(tampered).lifter("source_only", 3) / WEIGHTS_FILE
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = [one.what for one in compare_runs(read_run(tampered), read_run(run)).differences]
    assert found == [
        "source_only, seed 3: the weights are not those that were evaluated (SHA-256)",
        "source_only, seed 3: weights (SHA-256)",
    ]


def test_a_recipe_that_was_changed_since_is_found(run: Path, tmp_path: Path) -> None:
    tampered = copied(run, tmp_path)
    recipe = tampered / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("batch_size: 8", "batch_size: 9"))
    found = [one.what for one in compare_runs(read_run(tampered), read_run(run)).differences]
    assert found == ["recipe.yaml is not the recipe that summary.json names (digest)"]


def test_other_circumstances_are_told_but_do_not_count(run: Path, tmp_path: Path) -> None:
    elsewhere = copied(run, tmp_path)

    def other(content: dict) -> None:
        content["git_commit"] = "0" * 40
        content["packages"]["torch"] = "1.0"

    rewrite(elsewhere / "environment.json", other)
    rewrite(RunFolder(elsewhere).training("gpa", 3) / DONE, lambda content: content.update(device="cuda"))
    result = compare_runs(read_run(elsewhere), read_run(run))
    assert result.succeeded
    assert {one.what for one in result.circumstances} == {"git_commit", "torch", "gpa, seed 3: device"}


def test_it_computes_with_the_recorded_number_of_threads(run: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    other = copied(run, tmp_path)
    rewrite(other / "environment.json", lambda content: content.update(threads=before + 1))
    threads: list[int] = []

    def stop(step: Step) -> None:
        if step.name.startswith("train") and step.done == 1:
            threads.append(torch.get_num_threads())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), progress_to(stop):
        reproduce(other, tmp_path / "again")
    written = RunFolder(tmp_path / "again").environment.read_bytes()
    assert threads == [before + 1] == [Environment.model_validate_json(written).threads]
    assert torch.get_num_threads() == before


def test_a_run_over_a_store_that_changed_meanwhile_is_refused(run: Path, tmp_path: Path) -> None:
    mixed = copied(run, tmp_path)

    def other(content: dict) -> None:
        content["inputs"]["labelled"]["snapshot"] = "ANOTHER"

    rewrite(RunFolder(mixed).training("gpa", 3) / INPUTS, other)
    with pytest.raises(ReproductionError, match="changed in the middle of the run"):
        pinned(read_run(mixed), tmp_path / "again")


@pytest.mark.parametrize("lost", ["recipe.yaml", "summary.json", "lifters/gpa/seed-3/done.json"])
def test_an_unfinished_run_is_refused(run: Path, tmp_path: Path, lost: str) -> None:
    unfinished = copied(run, tmp_path)
    (unfinished / lost).unlink()
    with pytest.raises(ReproductionError, match="finished"):
        read_run(unfinished)


def test_nothing_is_taken_over_from_an_old_folder(run: Path) -> None:
    with pytest.raises(ReproductionError, match="not empty"):
        reproduce(run, run)


def test_a_pinned_store_cannot_be_prepared(recipe: Recipe) -> None:
    data: Mapping[str, object] = {**recipe.source.model_dump(), "raw": "raw/human36m", "snapshot": "ABC"}
    with pytest.raises(ValueError, match="leave out `raw` or `snapshot`"):
        PoseData.model_validate(data)
