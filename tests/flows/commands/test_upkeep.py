"""``poseshift tag``, ``diff``, ``du`` and ``expire`` on real stores and on a real run."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from poseshift.flows.augment import AugmentRequest, augment_store
from poseshift.flows.cli import app
from poseshift.flows.experiment.recipe import PoseData, Recipe
from poseshift.flows.experiment.recorded import recorded_snapshots
from poseshift.geometry.camera import Camera
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore, StoreError


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def answered(*arguments: object) -> dict[str, Any]:
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def write(store: PoseStore, name: str, value: float) -> str:
    """Commit one trial and give back the snapshot."""
    camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    trial = Trial(
        key=TrialKey("S1", name),
        action="walk",
        subaction="1",
        fps=50.0,
        cameras=(camera,),
        positions_world=np.full((4, 17, 3), value, np.float32),
        keypoints_2d=np.ones((1, 4, 17, 2), np.float32),
    )
    with store.transaction(f"write {name}") as transaction:
        transaction.write(trial)
    return store.snapshot


@pytest.fixture
def store(tmp_path: Path) -> PoseStore:
    """A store with three snapshots of trials."""
    made = PoseStore.create(tmp_path / "store [1]", "my_data")
    for name, value in (("walk", 1.0), ("sit", 1.0), ("walk", 2.0)):
        write(made, name, value)
    return made


def test_tags_are_made_listed_used_and_deleted(store: PoseStore) -> None:
    place = store.location.path
    oldest = store.history()[2].id
    assert "has no tags" in call("tag", place).stdout
    assert f"first names snapshot {oldest}" in call("tag", place, "first", "--snapshot", oldest).stdout
    assert answered("tag", place, "last")["added"]["snapshot"] == store.snapshot
    assert [one["name"] for one in answered("tag", place)["tags"]] == ["first", "last"]
    assert oldest in call("tag", place).stdout
    assert answered("inspect", place, "--snapshot", "first")["snapshot"] == oldest
    assert answered("tag", place, "last", "--delete")["deleted"]["name"] == "last"
    again = call("tag", place, "last", "--json")
    assert again.exit_code == 1
    assert "cannot be used again" in json.loads(again.stdout)["error"]["message"]
    assert call("tag", place, "--delete").exit_code == 1


def test_a_difference_is_told(store: PoseStore) -> None:
    place, oldest = store.location.path, store.history()[2].id
    found = answered("diff", place, oldest)
    assert (found["added"], found["removed"], found["unchanged"]) == (["S1/sit"], [], 0)
    assert [(one["trial"], one["arrays_changed"]) for one in found["changed"]] == [
        ("S1/walk", ["positions_world"])
    ]
    told = call("diff", place, oldest).stdout
    for line in ("1 trials added, 0 removed, 1 changed, 0 unchanged", "added S1/sit", "changed S1/walk:"):
        assert line in told
    assert "array positions_world differs in 1 trials" in told
    assert call("diff", place, "none").exit_code == 1


def test_room_of_a_store_and_of_runs(store: PoseStore, tmp_path: Path) -> None:
    room = answered("du", store.location.path)
    assert {part["name"] for part in room["by_array"]} == {"positions_world", "keypoints_2d"}
    assert "positions_world" in call("du", store.location.path).stdout
    run = tmp_path / "runs" / "a"
    (run / "lifters" / "gpa" / "superseded" / "seed-0").mkdir(parents=True)
    (run / "lifters" / "gpa" / "superseded" / "seed-0" / "state.pt").write_bytes(b"x" * 3000)
    (run / "recipe.yaml").write_bytes(b"y" * 500)
    (run / "run.log").write_bytes(b"z" * 10)
    (tmp_path / "runs" / "stray").write_bytes(b"s" * 7)
    runs = answered("du", tmp_path / "runs")
    assert runs["total_bytes"] == 3517
    assert runs["runs"] == [
        {
            "folder": str(run),
            "total_bytes": 3510,
            "superseded_bytes": 3000,
            "parts": {"lifters": 3000, "recipe.yaml": 500, "run.log": 10},
        }
    ]
    assert "2.9 KiB" in call("du", tmp_path / "runs").stdout
    assert call("du", tmp_path / "none").exit_code == 1


def test_expiry_is_planned_and_done(store: PoseStore, tmp_path: Path) -> None:
    place = store.location.path
    ids = [commit.id for commit in store.history()]
    asked = call("expire", place, "--keep-days", 0, "--json")
    assert asked.exit_code == 1
    assert json.loads(asked.stdout)["error"]["code"] == "usage"
    recipe = tmp_path / "pinned.yaml"
    recipe.write_text(f"source:\n  snapshot: {ids[2]}\n")
    arguments = ("expire", place, "--keep-days", 0, "--runs", recipe)
    planned = answered(*arguments, "--plan")
    assert not planned["done"]
    assert len(PoseStore.open(place).history()) == 4
    told = call(*arguments).stdout
    for line in (f"stays    {ids[0]}", "the newest", f"recorded in {recipe}", f"expired  {ids[1]}", "freed "):
        assert line in told
    assert PoseStore.open(place, ids[2]).verify().succeeded
    with pytest.raises(StoreError, match="no snapshot"):
        PoseStore.open(place, ids[1])
    kept = answered("expire", place, "--keep-days", 0, "--no-runs")
    assert (kept["expired"], kept["freed_bytes"]) == ([], 0)


def test_records_that_cannot_be_looked_at_end_it(store: PoseStore, tmp_path: Path) -> None:
    call_ = call("expire", store.location.path, "--keep-days", 0, "--runs", tmp_path / "none", "--json")
    assert call_.exit_code == 1
    assert json.loads(call_.stdout)["error"]["code"] == "file_not_found"
    broken = tmp_path / "runs" / "derived" / "refs" / "branch.main"
    broken.mkdir(parents=True)
    call_ = call("expire", store.location.path, "--keep-days", 0, "--runs", tmp_path / "runs", "--json")
    assert call_.exit_code == 1
    assert "derived" in json.loads(call_.stdout)["error"]["message"]
    assert len(store.history()) == 4


def test_what_a_run_and_a_derived_store_read_stays(finished: Any, tmp_path: Path) -> None:
    recipe: Recipe = finished[0]
    assert recipe.target is not None
    assert recipe.test is not None
    copies = {}
    for name, data in (("source", recipe.source), ("target", recipe.target), ("test", recipe.test.data)):
        shutil.copytree(data.store, tmp_path / name)
        copies[name] = PoseStore.open(tmp_path / name)
    read = {name: copy.snapshot for name, copy in copies.items()}
    derived = tmp_path / "derived" / "augmented"
    augment_store(
        AugmentRequest(
            source=PoseData(dataset=recipe.source.dataset, store=str(tmp_path / "source"), frame_step=20),
            store=str(derived),
        )
    )
    for folder, wanted in ((recipe.run_dir, set(read.values())), (tmp_path / "derived", {read["source"]})):
        assert wanted <= recorded_snapshots([str(folder)]).keys()
    for name, copy in copies.items():
        with copy.transaction("remove one") as transaction:
            transaction.remove(copy.keys()[0])
        report = answered("expire", copy.location.path, "--keep-days", 0, "--runs", recipe.run_dir)
        assert report["tagged"] == [f"recorded-{read[name]}"]
        assert len(report["expired"]) == 1, "the creation"
        assert PoseStore.open(copy.location.path, read[name]).verify().succeeded
