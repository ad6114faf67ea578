"""`poseshift gap`: what lies between the domains of the small experiment."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from poseshift.adaptation.config import GlobalPositionAdaptation, NoAdaptation
from poseshift.adaptation.domain_gap import GapConfig
from poseshift.adaptation.gravity import GravityConfig
from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.pseudo_labels import PseudoLabelConfig
from poseshift.adaptation.viewpoint import AlignedViewpoint, PseudoLabelledViewpoint, RandomViewpoint
from poseshift.flows.cli import app
from poseshift.flows.experiment.data import OpenData, open_poses
from poseshift.flows.experiment.fitting import known_gravity
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.train import GRAVITY
from poseshift.flows.pipeline import evaluate_method, publish, train_method
from poseshift.flows.report.gap import (
    KEYPOINT_PLOT,
    LABELLED_PLOT,
    REPORT_FILE,
    GapReport,
    GapRequest,
    measure_gap,
    step_names,
)

FEW = GapConfig(poses=200, bins=10)


@pytest.fixture(scope="module")
def measured(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[GapReport, Path]:
    """What lies between the domains, labels included, and the folder with it."""
    folder = tmp_path_factory.mktemp("gap")
    return measure_gap(GapRequest(recipe=prepared, labelled=True, config=FEW), folder), folder


def test_alignment_brings_position_and_scale_to_the_target(
    prepared: Recipe, measured: tuple[GapReport, Path]
) -> None:
    report, folder = measured
    assert [stage.step for stage in report.keypoints] == ["source", "position alignment"]
    before, after = (stage.gap for stage in report.keypoints)
    for name in ("root_x", "root_y"):
        off = [
            abs(getattr(gap, name).source.mean - getattr(gap, name).target.mean) for gap in (before, after)
        ]
        assert off[1] < 0.05 + off[0] / 2
    assert after.position_distance.error > before.position_distance.error
    depths = [stage.gap.depth for stage in report.labelled]
    assert prepared.target is not None
    true = open_poses(prepared.target).labelled().positions_camera[:, 0, 2]
    assert depths[0].target.mean == pytest.approx(float(true.mean()), rel=0.1)
    assert GapReport.model_validate_json((folder / REPORT_FILE).read_text()) == report
    for plot in (KEYPOINT_PLOT, LABELLED_PLOT):
        assert (folder / plot).read_bytes().count(b"</svg>") == 1


def test_without_being_asked_no_label_of_the_target_is_read(
    prepared: Recipe, measured: tuple[GapReport, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same figures when the target's 3D is not a number."""
    labelled = OpenData.labelled

    def hidden(self: OpenData) -> object:
        poses = labelled(self)
        if self.data.dataset == "mpi_inf_3dhp_train":
            poses.positions_camera[:] = np.nan
        return poses

    monkeypatch.setattr(OpenData, "labelled", hidden)
    report = measure_gap(GapRequest(recipe=prepared, config=FEW), tmp_path)
    assert report.keypoints == measured[0].keypoints
    assert report.labelled == ()
    assert not (tmp_path / LABELLED_PLOT).exists()


def test_every_step_has_its_name(prepared: Recipe, tmp_path: Path) -> None:
    aligned = AlignedViewpoint(gravity=GravityConfig(steps=3, width=32, batch_size=32))
    expected = {
        "none": ["position alignment"],
        "random": ["random viewpoints", "position alignment"],
        "aligned": ["viewpoint and position alignment"],
    }
    for viewpoint in (RandomViewpoint(), aligned):
        adaptation = GlobalPositionAdaptation(viewpoint=viewpoint)
        recipe = prepared.model_copy(update={"method": Method(name="turned", adaptation=adaptation)})
        report = measure_gap(GapRequest(recipe=recipe, config=FEW), tmp_path / viewpoint.kind)
        assert [stage.step for stage in report.keypoints] == ["source", *expected[viewpoint.kind]]
    assert (tmp_path / aligned.kind / GRAVITY).exists(), "learned once for a folder"
    assert list(step_names(GlobalPositionAdaptation())) == expected["none"]
    assert step_names(NoAdaptation()) == ()


def test_viewpoints_by_the_lifters_answers_are_those_of_the_trained_one(
    prepared: Recipe, tmp_path: Path
) -> None:
    """Training leaves the gravity that it ended with, for the report and the gap; before, none is known."""
    labels = PseudoLabelConfig(first=0.3, every=2, poses_per_camera=20)
    adaptation = GlobalPositionAdaptation(viewpoint=PseudoLabelledViewpoint(labels=labels))
    recipe = prepared.model_copy(
        update={
            "run_dir": tmp_path / "run",
            "method": Method(name="gpa", adaptation=adaptation),
            "compare": (),
            "seeds": (0,),
        }
    )
    with pytest.raises(ValueError, match="run it first"):
        measure_gap(GapRequest(recipe=recipe, config=FEW), tmp_path / "gap")
    trained = (Trained("gpa", 0, train_method(recipe, "gpa", 0), evaluate_method(recipe, "gpa", 0)),)
    gravity = known_gravity(RunFolder(recipe.run_dir).gravity("gpa", 0))
    assert gravity is not None
    assert [one.camera for one in gravity.cameras if one.up] == ["0", "8"]
    publish(recipe, trained)
    assert RunFolder(recipe.run_dir).report.exists()
    report = measure_gap(GapRequest(recipe=recipe, config=FEW), tmp_path / "gap")
    assert [stage.step for stage in report.keypoints] == ["source", "viewpoint and position alignment"]


def test_as_a_user_runs_it(prepared: Recipe, tmp_path: Path) -> None:
    save_recipe(prepared, tmp_path / "recipe.yaml")
    arguments = ["gap", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "gap")]
    shown = CliRunner().invoke(app, [*arguments, "--labels"])
    assert shown.exit_code == 0, shown.output
    assert "position alignment" in shown.output
    assert "pitch" in shown.output
    plain = prepared.model_copy(update={"method": METHODS["source_only"], "compare": ()})
    save_recipe(plain, tmp_path / "plain.yaml")
    result = CliRunner().invoke(app, ["gap", str(tmp_path / "plain.yaml"), "--out", str(tmp_path), "--json"])
    assert [one["step"] for one in json.loads(result.stdout)["keypoints"]] == ["source"]
    save_recipe(plain.model_copy(update={"target": None}), tmp_path / "alone.yaml")
    refused = CliRunner().invoke(app, ["gap", str(tmp_path / "alone.yaml")])
    assert refused.exit_code == 1
    assert "has no target" in refused.output
