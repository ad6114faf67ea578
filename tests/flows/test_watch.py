"""Retraining on change: looks at an experiment's raw trees, on a real Prefect server."""

import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.flows import load_flow_from_entrypoint
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.deployments import Timetable, of_recipe
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.stage import DONE
from poseshift.flows.pipeline import BadFiles
from poseshift.flows.prefect_flows.watch import watch
from poseshift.flows.prepare import PrepareFailedError
from poseshift.flows.runtime.environment import Environment
from poseshift.flows.watch import Decision, Look, decide, in_words, read_log
from poseshift.storage.inspection import describe
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import WEIGHTS_FILE


@pytest.fixture
def recipe(restaged: Path, tmp_path: Path, experiment_in: Callable[[Path, Path], Recipe]) -> Recipe:
    """A recipe with raw trees of its own: one subject each, one adapted lifter."""
    trees = tmp_path / "trees"
    ignored = shutil.ignore_patterns("S[2-9]", "S11")
    shutil.copytree(restaged, trees, ignore=ignored)
    whole = experiment_in(trees, tmp_path)
    assert whole.target is not None
    return whole.model_copy(
        update={
            "source": whole.source.model_copy(update={"subjects": ("S1",)}),
            "target": whole.target.model_copy(update={"subjects": ("S1",)}),
            "compare": (),
            "seeds": (0,),
        }
    )


def looks(recipe: Recipe) -> list[Look]:
    return list(read_log(recipe.run_dir))


def why(decision: Decision) -> dict[str, str]:
    return {reason.part: reason.why for reason in decision.reasons}


@pytest.mark.usefixtures("connected")
def test_a_look_does_what_changed_and_records_why(recipe: Recipe, tmp_path: Path) -> None:
    folder = RunFolder(recipe.run_dir)
    weights = folder.lifter("gpa", 0) / WEIGHTS_FILE
    target = tmp_path / "trees" / "mpi_inf_3dhp"

    first = watch(recipe)
    assert first.action == "train"
    assert why(first)["lifters/gpa/seed-0"] == "not done yet"
    assert [look.phase for look in looks(recipe)] == ["decided", "finished"]
    assert "gpa" in looks(recipe)[1].remark
    trained = weights.read_bytes()

    # The folder says how it came about: circumstances, and one line a stage with the run's id.
    environment = Environment.model_validate_json(folder.environment.read_text())
    assert environment.flow_run == looks(recipe)[0].flow_run
    assert environment.flow_run_url is not None
    assert environment.packages["zarr"] == version("zarr")
    lines = [line for line in folder.log.read_text().splitlines() if "experiment.stage: stage" in line]
    assert all(f" {environment.flow_run} " in line for line in lines)
    stages = [line.partition("stage ")[2] for line in lines]
    assert [stage.partition(":")[0] for stage in stages] == [
        "prepare human36m",
        "prepare mpi_inf_3dhp_train",
        "prepare mpi_inf_3dhp_test",
        str(folder.training("gpa", 0)),
        str(folder.evaluation("gpa", 0)),
    ]
    assert recipe.target is not None
    subjects = describe(PoseStore.open(recipe.target.store)).subjects
    assert f"written 2, frames {sum(subject.frames for subject in subjects)}," in stages[1]

    second = watch(recipe)
    assert second.action == "nothing"
    assert in_words(second) == "nothing changed"
    assert all(not store.written for store in second.stores)
    assert [look.phase for look in looks(recipe)] == ["decided", "finished", "decided"]
    assert weights.read_bytes() == trained

    # New keypoints and poses of one of the target's sequences: the adapted lifter is trained again.
    shutil.copy(target / "S1" / "Seq2" / "annot.mat", target / "S1" / "Seq1" / "annot.mat")
    third = watch(recipe)
    assert third.action == "train"
    assert why(third)["lifters/gpa/seed-0"].startswith("target.snapshot: ")
    assert [store.written for store in third.stores] == [(), ("S1/Seq1",), ()]
    assert weights.read_bytes() != trained
    assert looks(recipe)[-2].decision == third
    trained = weights.read_bytes()

    # New test data: the lifter stays, it is only measured again.
    tests = target / "mpi_inf_3dhp_test_set" / "mpi_inf_3dhp_test_set"
    shutil.copy(tests / "TS1" / "annot_data.mat", tests / "TS2" / "annot_data.mat")
    fourth = watch(recipe)
    assert fourth.action == "evaluate"
    assert why(fourth) == {"evaluations/gpa/seed-0": why(fourth)["evaluations/gpa/seed-0"]}
    assert weights.read_bytes() == trained

    # An edited recipe is a change too, and says which field.
    schedule = recipe.schedule.model_copy(update={"epochs": 3})
    edited = recipe.model_copy(update={"schedule": schedule})
    assert "schedule.epochs: 2 became 3" in why(decide(edited))["lifters/gpa/seed-0"]
    (folder.training("gpa", 0) / DONE).unlink()
    assert why(decide(recipe))["lifters/gpa/seed-0"] == "begun and not finished"

    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["small-watch"])), limit=50
        )
    assert {look.remark for look in looks(recipe)} <= {
        str(artifact.description).partition(": ")[2] for artifact in artifacts
    }


@pytest.mark.usefixtures("connected")
def test_a_bad_file_stops_the_look_before_anything_is_changed(recipe: Recipe, tmp_path: Path) -> None:
    bad = tmp_path / "trees" / "mpi_inf_3dhp" / "S1" / "Seq1" / "annot.mat"
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(PrepareFailedError):
        watch(recipe)
    assert recipe.target is not None
    assert PoseStore.open(recipe.target.store).keys() == ()
    (look,) = looks(recipe)
    assert look.phase == "failed"
    assert "nothing was committed" in look.remark
    (named,) = look.bad_files
    assert named.path == str(bad)
    assert named.found.startswith("a damaged file")
    folder = RunFolder(recipe.run_dir)
    assert not folder.summary.exists()
    assert BadFiles.model_validate_json(folder.bad_files.read_text()).files == (named,)
    errors = [line for line in folder.log.read_text().splitlines() if " ERROR " in line]
    assert any(str(bad) in line and named.found in line and named.remedy in line for line in errors)


@pytest.mark.usefixtures("connected")
def test_commands_name_a_bad_file_and_forget_it_when_it_is_whole(recipe: Recipe, tmp_path: Path) -> None:
    path, folder = tmp_path / "recipe.yaml", RunFolder(recipe.run_dir)
    save_recipe(recipe, path)
    assert recipe.target is not None
    for command, stored in (("watch", ()), ("run", ("S1/Seq1", "S1/Seq2"))):
        bad, whole = _damaged(tmp_path / "trees")
        refused = CliRunner().invoke(app, [command, str(path)])
        assert refused.exit_code == 1
        assert isinstance(refused.exception, SystemExit)
        assert str(bad) in [line.strip() for line in refused.stderr.splitlines()]
        assert "found: a damaged file" in refused.stderr
        assert "what to do: " in refused.stderr
        (named,) = BadFiles.model_validate_json(folder.bad_files.read_text()).files
        assert (named.path, named.remedy != "") == (str(bad), True)
        assert str(bad) in folder.log.read_text()
        keys = PoseStore.open(recipe.target.store).keys()
        assert tuple(key.path for key in keys) == stored, "the good files of the store wait, too"
        bad.write_bytes(whole)
        done = CliRunner().invoke(app, [command, str(path)])
        assert done.exit_code == 0, done.stderr
        assert not folder.bad_files.exists()


@pytest.mark.usefixtures("connected")
def test_what_is_served_names_a_bad_file(recipe: Recipe, tmp_path: Path) -> None:
    """The flows that ``serve`` offers, loaded and called as its runner does: from their entry points."""
    bad, _ = _damaged(tmp_path / "trees")
    offered = {one.full_name: one for one in of_recipe(recipe, Timetable(None))}
    for name in ("watch/small", "run/small"):
        served = offered[name]
        assert served.entrypoint is not None
        with pytest.raises(PrepareFailedError) as failed:
            load_flow_from_entrypoint(served.entrypoint)(**served.parameters)
        assert str(bad) in str(failed.value)
        (named,) = BadFiles.model_validate_json(RunFolder(recipe.run_dir).bad_files.read_text()).files
        assert named.path == str(bad)
        RunFolder(recipe.run_dir).bad_files.unlink()
    assert [look.phase for look in looks(recipe)] == ["failed"]
    assert RunFolder(recipe.run_dir).log.read_text().count(f"bad file {bad}") == 2
    with get_client(sync_client=True) as client:
        tables = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["bad-files-mpi-inf-3dhp-train"])),
            limit=50,
        )
    assert any(str(bad) in str(one.data) for one in tables)


def _damaged(trees: Path) -> tuple[Path, bytes]:
    """Cut a file of the target short; give it back with what it held."""
    bad = trees / "mpi_inf_3dhp" / "S1" / "Seq1" / "annot.mat"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:200])
    return bad, whole
