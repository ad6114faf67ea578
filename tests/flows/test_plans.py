"""``--plan`` says what the command then does, and writes nothing."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.prepare import PrepareRequest, plan_store, prepare_store
from poseshift.flows.run_plan import plan_run
from poseshift.flows.watch import decide
from poseshift.preprocessing.errors import NotUnpackedError
from poseshift.preprocessing.human36m.options import Human36MOptions
from poseshift.preprocessing.human36m.write import pack_subject
from poseshift.storage.store import PoseStore


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below a folder, with its time and digest."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def request_(restaged: Path, tmp_path: Path) -> PrepareRequest:
    """A copy of the Human3.6M tree, to be brought into a store."""
    tree = shutil.copytree(restaged / "human36m", tmp_path / "tree")
    return PrepareRequest(kind="human36m", raw=tree, store=str(tmp_path / "store"))


def first_files(request: PrepareRequest) -> list[Path]:
    return sorted(request.raw.glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))


def test_a_plan_says_what_prepare_then_does(request_: PrepareRequest, tmp_path: Path) -> None:
    before = contents(tmp_path)
    new = plan_store(request_)
    assert contents(tmp_path) == before
    assert not Path(request_.store).exists()
    assert (new.new_store, new.seconds, new.room_bytes, new.changes) == (True, None, None, True)
    assert {one.why for one in new.to_read} == {"new"}
    report = prepare_store(request_)
    assert tuple(one.trial for one in new.to_read) == report.written
    stored = PoseStore.open(request_.store).catalogue().values()
    files = {source.path for one in stored for source in one.sources}
    assert new.raw_bytes == sum((request_.raw / file).stat().st_size for file in files)

    nothing = plan_store(request_)
    assert (nothing.to_read, nothing.unchanged, nothing.changes) == ((), len(report.written), False)
    assert (nothing.room_bytes, nothing.raw_bytes) == (0, 0)

    changed, removed, bad = first_files(request_)[:3]
    donor = first_files(request_)[-1]
    changed.write_bytes(donor.read_bytes())
    for path in request_.raw.rglob(f"{removed.stem}*"):
        if path.parts[-4] == removed.parts[-4]:
            path.unlink()
    before = contents(tmp_path)
    pruning = request_.model_copy(update={"on_vanished": "prune"})
    plan = plan_store(pruning)
    assert contents(tmp_path) == before
    (read,) = plan.to_read
    assert f"{changed.relative_to(request_.raw)}: digest" in read.why
    assert plan.seconds is not None
    assert 0 < plan.seconds < 600
    assert plan.room_bytes is not None
    share = read.raw_bytes / sum(one.raw_bytes for one in new.to_read)
    chunks = sum(path.stat().st_size for path in (Path(request_.store) / "chunks").iterdir())
    assert plan.room_bytes == pytest.approx(share * chunks, rel=0.05)
    assert plan_store(request_).kept == plan.to_remove
    # What is bad by name and place is known before frames are read.
    (bad.parent / "Juggling 1.cdf").write_bytes(b"")
    refused = plan_store(pruning)
    assert (refused.refused, refused.changes) == (True, False)
    assert [Path(one.path).name for one in refused.failures] == ["Juggling 1.cdf"]
    (bad.parent / "Juggling 1.cdf").unlink()
    done = prepare_store(pruning)
    assert (done.written, done.pruned) == ((read.trial,), plan.to_remove)


def test_other_options_are_named(request_: PrepareRequest) -> None:
    prepare_store(request_)
    other = request_.model_copy(update={"human36m": Human36MOptions(s9_drift="shift_200mm")})
    plan = plan_store(other)
    assert {one.why for one in plan.to_read} == {"other options: s9_drift: keep became shift_200mm"}
    assert plan.unchanged == 0


def test_archives_are_not_unpacked_for_a_plan(request_: PrepareRequest, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    shutil.copy(request_.raw / "metadata.xml", archives)
    for subject in ("S1", "S5"):
        pack_subject(request_.raw, subject, archives)
    packed = request_.model_copy(update={"raw": archives, "unpack_into": tmp_path / "unpacked"})
    with pytest.raises(NotUnpackedError, match="Leave out --plan"):
        plan_store(packed)
    assert not (tmp_path / "unpacked").exists()
    prepare_store(packed)
    before = contents(tmp_path)
    assert plan_store(packed).to_read == ()
    assert contents(tmp_path) == before


def test_the_command_plans(request_: PrepareRequest, tmp_path: Path) -> None:
    arguments = ("prepare", "human36m", request_.raw, request_.store, "--plan")
    told = call(*arguments)
    assert told.exit_code == 0, told.stderr
    assert "(a new store)" in told.stdout
    assert "takes an unknown time (none is recorded); room unknown (nothing is stored yet)" in told.stdout
    (plan,) = json.loads(call(*arguments, "--json").stdout)["stores"]
    assert plan["new_store"]
    assert not Path(request_.store).exists()
    prepare_store(request_)
    assert ": 0 trials to read" in call(*arguments).stdout


@pytest.fixture
def copied(finished: Any, alone: None, tmp_path: Path) -> Recipe:
    """A finished experiment with copies of its stores and raw trees, to be changed at will."""
    recipe: Recipe = finished[0]
    assert recipe.target is not None
    assert recipe.test is not None
    assert recipe.source.raw is not None
    trees = shutil.copytree(recipe.source.raw.parent, tmp_path / "trees")
    run = shutil.copytree(recipe.run_dir, tmp_path / "run")

    def moved(data: Any, raw: str) -> Any:
        place = tmp_path / Path(data.store).name
        shutil.copytree(data.store, place)
        return data.model_copy(update={"store": str(place), "raw": trees / raw})

    return recipe.model_copy(
        update={
            "run_dir": run,
            "source": moved(recipe.source, "human36m"),
            "target": moved(recipe.target, "mpi_inf_3dhp"),
            "test": recipe.test.model_copy(update={"data": moved(recipe.test.data, "mpi_inf_3dhp")}),
        }
    )


def test_nothing_to_do_and_what_a_longer_schedule_would_cost(copied: Recipe, tmp_path: Path) -> None:
    # The summary is of the recipe with its stores elsewhere; all lifters are as they should be.
    plan = plan_run(copied)
    assert [(one.action, one.part) for one in plan.stages] == []
    longer = copied.model_copy(update={"schedule": copied.schedule.model_copy(update={"epochs": 6})})
    before = contents(tmp_path)
    plan = plan_run(longer)
    assert contents(tmp_path) == before
    trained = [one for one in plan.stages if one.action == "train"]
    wanted = [reason for reason in decide(longer).reasons if reason.action == "train"]
    assert [(one.part, one.why) for one in trained] == [(reason.part, reason.why) for reason in wanted]
    assert all("schedule.epochs: 2 became 6" in one.why for one in trained)
    record = json.loads((RunFolder(copied.run_dir).training("gpa", 0) / "done.json").read_text())
    stage = next(one for one in trained if one.part == "lifters/gpa/seed-0")
    assert stage.measured_by in ("lifters/gpa/seed-0", "lifters/gpa/seed-1")
    if stage.measured_by == "lifters/gpa/seed-0":
        assert stage.seconds == pytest.approx(record["seconds"] * 3)
    assert plan.seconds is not None
    assert plan.seconds > sum(one.seconds or 0 for one in trained)
    assert [one.action for one in plan.stages].count("evaluate") == len(trained)
    assert plan.stages[-1].action == "report"


def test_a_change_of_raw_data_reaches_what_read_it(
    copied: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert copied.target is not None
    files = sorted(Path(str(copied.source.raw)).glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))
    files[0].write_bytes(files[-1].read_bytes())
    plan = plan_run(copied)
    trained = {one.part.split("/")[1]: one.why for one in plan.stages if one.action == "train"}
    assert trained == {
        "source_only": "the store of human36m changes: 1 trials to read",
        "gpa": "the store of human36m changes: 1 trials to read",
    }
    assert {one.part.split("/")[1] for one in plan.stages if one.action == "evaluate"} == trained.keys()
    recipe_file = tmp_path / "recipe.yaml"
    save_recipe(copied, recipe_file)
    told = call("run", recipe_file, "--plan")
    assert told.exit_code == 0, told.stderr
    assert "train lifters/gpa/seed-0: the store of human36m changes: 1 trials to read; " in told.stdout
    assert json.loads(call("run", recipe_file, "--plan", "--json").stdout)["stages"]


def test_a_run_that_was_never_done(
    prepared: Recipe, tmp_path: Path, experiment_in: Callable[..., Recipe]
) -> None:
    fresh = prepared.model_copy(update={"run_dir": tmp_path / "run"})
    plan = plan_run(fresh)
    assert {(one.action, one.why) for one in plan.stages if one.action == "train"} == {
        ("train", "not done yet")
    }
    assert plan.seconds is None
    assert not (tmp_path / "run").exists()
    assert prepared.source.raw is not None
    new = experiment_in(prepared.source.raw.parent, tmp_path)
    plan = plan_run(new)
    assert all(one.new_store for one in plan.stores)
    assert "the store of human36m is new" in plan.stages[0].why
    assert list(tmp_path.iterdir()) == []
