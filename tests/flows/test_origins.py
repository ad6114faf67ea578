"""What is said of an experiment's data: which are restaged, and whether the tested frames were adapted to."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseshift.adaptation.methods import METHODS
from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.origins import (
    Origin,
    Origins,
    Part,
    elsewhere_told,
    find_origins,
    restaging_told,
    transduction_told,
)
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test, save_recipe
from poseshift.flows.experiment.results import Summary
from poseshift.flows.pipeline import evaluate_method, publish, train_method
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.protocols import protocol

MOTION = "procedural motion of the tests"


@pytest.fixture(scope="module")
def recorded(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> StoredData:
    """The test store as if real people had been recorded for it."""
    place = tmp_path_factory.mktemp("origins") / "recorded"
    shutil.copytree(prepared.test.data.store, place)
    store = PoseStore.open(place)
    with store.transaction("Call it recorded") as transaction:
        transaction.set_attributes(store.attributes.model_copy(update={"restaged_from": None}))
    return StoredData(dataset="mpi_inf_3dhp_test", store=str(place))


@pytest.fixture(scope="module")
def transductive(prepared: Recipe, recorded: StoredData, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A recipe that learns restaged poses, and adapts to the recorded frames that it is tested on."""
    return prepared.model_copy(
        update={
            "name": "transductive",
            "run_dir": tmp_path_factory.mktemp("transductive") / "run",
            "target": PoseData(dataset=recorded.dataset, store=recorded.store),
            "test": Test(data=recorded, protocols=prepared.test.protocols),
            "compare": (METHODS["source_only"],),
            "seeds": (0,),
        }
    )


def looking_at(recipe: Recipe, **target: object) -> Recipe:
    assert recipe.target is not None
    return recipe.model_copy(update={"target": recipe.target.model_copy(update=target)})


def origins_of(source: str | None, target: str | None, test: str | None) -> Origins:
    named: tuple[tuple[Part, str, str | None], ...] = (
        ("source", "human36m", source),
        ("target", "mpi_inf_3dhp_train", target),
        ("test", "mpi_inf_3dhp_test", test),
    )
    parts = tuple(Origin(part=part, dataset=dataset, restaged_from=motion) for part, dataset, motion in named)
    return Origins(parts=parts, target_frames_tested=0)


def test_every_part_is_looked_up(prepared: Recipe, transductive: Recipe) -> None:
    assert [(one.part, one.restaged_from) for one in find_origins(prepared).parts] == [
        ("source", MOTION),
        ("target", MOTION),
        ("test", MOTION),
    ]
    assert [(one.part, one.restaged_from) for one in find_origins(transductive).parts] == [
        ("source", MOTION),
        ("target", None),
        ("test", None),
    ]
    alone = prepared.model_copy(update={"target": None})
    assert [one.part for one in find_origins(alone).parts] == ["source", "test"]


def test_frames_of_the_target_among_the_tested_are_counted(
    prepared: Recipe, transductive: Recipe, tmp_path: Path
) -> None:
    tested = protocol("3dhp-annot3").read(PoseStore.open(transductive.test.data.store))
    assert find_origins(prepared).target_frames_tested == 0
    assert find_origins(transductive).target_frames_tested == len(tested)
    some = find_origins(looking_at(transductive, subjects=("TS1",), frame_step=3)).target_frames_tested
    of_ts1 = [tested.trials[trial].key.subject == "TS1" for trial in tested.trial]
    assert some == (tested.frame[of_ts1] % 3 == 0).sum() > 0
    copied = shutil.copytree(transductive.test.data.store, tmp_path / "copied")
    assert find_origins(looking_at(transductive, store=str(copied))).target_frames_tested == len(tested)


@pytest.mark.parametrize(
    ("origins", "told"),
    [
        (origins_of(None, None, None), None),
        (
            origins_of("a walk", "a walk", "a walk"),
            "The source, the target and the test data are restaged: their motion is a walk, put in front of "
            "the true cameras of human36m, mpi_inf_3dhp_train and mpi_inf_3dhp_test. ",
        ),
        (
            origins_of("a walk", None, None),
            "The source is restaged: its motion is a walk, put in front of the true cameras of human36m. "
            "The target and the test data are not restaged. ",
        ),
        (
            origins_of("a walk", None, "a run"),
            "The source is restaged: its motion is a walk, put in front of the true cameras of human36m. "
            "The test data are restaged: their motion is a run, put in front of the true cameras of "
            "mpi_inf_3dhp_test. The target is not restaged. ",
        ),
    ],
)
def test_what_is_restaged_is_told_part_by_part(origins: Origins, told: str | None) -> None:
    found = restaging_told(origins)
    if told is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(told)
        assert found.endswith("the figures are not comparable with published ones.")


def test_transduction_is_told_of_those_who_saw_the_frames() -> None:
    none, seen = (
        origins_of(None, None, None).model_copy(update={"target_frames_tested": frames}) for frames in (0, 90)
    )
    assert transduction_told(none, 90, ("GPA",), ("supervised",)) is None
    assert transduction_told(seen, 90, (), ()) is None, "a baseline sees nothing of the target"
    everything = transduction_told(seen, 90, ("GPA",), ())
    assert everything is not None
    assert everything.startswith("All 90 tested frames are frames of the target as well. GPA adapted to")
    assert "on which it is tested, so the protocol is transductive" in everything
    some = transduction_told(seen, 1200, ("GPA", "PoseDA"), ("target supervised",))
    assert some is not None
    assert some.startswith("90 of the 1,200 tested frames are frames of the target as well. GPA and PoseDA")
    assert some.endswith("target supervised learned the 3D of these frames, the answers of the test.")


def test_the_report_and_the_summary_say_so(transductive: Recipe) -> None:
    folder = RunFolder(transductive.run_dir)
    trained = tuple(
        Trained(method, 0, train_method(transductive, method, 0), evaluate_method(transductive, method, 0))
        for method in transductive.methods
    )
    publish(transductive, trained)
    summary = Summary.model_validate_json(folder.summary.read_text())
    assert summary.restaged_from is None, "that is of the test data alone"
    assert summary.origins == find_origins(transductive)
    page = folder.report.read_text()
    assert f"The source is restaged: its motion is {MOTION}, put in front of the true cameras" in page
    assert "The target and the test data are not restaged." in page
    assert f"All {summary.frames:,} tested frames are frames of the target as well." in page
    assert "the protocol is transductive" in page


@pytest.mark.usefixtures("alone")
def test_the_command_says_so(transductive: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    save_recipe(transductive, tmp_path / "recipe.yaml")
    done = CliRunner().invoke(app, ["run", str(tmp_path / "recipe.yaml")])
    assert done.exit_code == 0, done.output
    assert "The source is restaged" in done.stdout
    assert "so the protocol is transductive" in done.stdout


def test_figures_on_other_data_than_the_target_are_told() -> None:
    elsewhere = origins_of(None, None, None)
    assert elsewhere_told(elsewhere, ["GPA"]) == (
        "GPA adapted to mpi_inf_3dhp_train; the figures are measured on mpi_inf_3dhp_test and are not "
        "figures of mpi_inf_3dhp_train."
    )
    assert elsewhere_told(elsewhere, []) is None
    assert elsewhere_told(elsewhere.model_copy(update={"target_frames_tested": 5}), ["GPA"]) is None
    only_test = elsewhere.model_copy(update={"parts": (elsewhere.parts[0], elsewhere.parts[2])})
    assert elsewhere_told(only_test, ["GPA"]) is None
