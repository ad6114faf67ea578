"""``poseshift compare``: figures side by side, differences paired by hand, and a page that stands alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from playwright.sync_api import Browser
from typer.testing import CliRunner

from poseshift.adaptation.selection import Criteria
from poseshift.flows.cli import app
from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.label_free import EpochCriteria, LabelFreeRow, LabelFreeSummary
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.results import Summary
from poseshift.flows.experiment.side_by_side import (
    keypoints_used,
    read_runs,
    same_frames,
    same_keypoints,
)
from poseshift.flows.experiment.stage import DONE
from poseshift.flows.report.comparison import comparison_view

Finished = tuple[Recipe, tuple[Trained, ...]]


def compared(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def without_truth(recipe: Recipe, summary: Summary, symmetry: float) -> LabelFreeSummary:
    """What a run without a test would say, of one lifter."""
    assert recipe.target is not None
    assert summary.origins is not None
    criteria = Criteria(reprojection=0.1, symmetry=symmetry, bone_lengths=0.1, flip_mm=9.0, turn_mm=9.0)
    row = summary.headline
    return LabelFreeSummary(
        name=recipe.name,
        method=row.method,
        target=recipe.target.dataset,
        rows=(
            LabelFreeRow(
                **{name: getattr(row, name) for name in ("method", "label", "description", "role", "parts")},
                seed=0,
                kept=1,
                rank=1.0,
                epochs=(EpochCriteria(epoch=1, criteria=criteria),),
            ),
        ),
        origins=summary.origins,
        **{name: getattr(summary, name) for name in ("seeds", "selection", "snapshots", "versions")},
        recipe_digest=recipe.digest,
        git_commit=None,
    )


@pytest.fixture
def make_run(finished: Finished, tmp_path: Path) -> Callable[[str], RunFolder]:
    """Make a finished run of another name with the same results."""
    recipe, _ = finished
    original = RunFolder(recipe.run_dir)
    summary = Summary.model_validate_json(original.summary.read_text())

    def make(name: str, symmetry: float | None = None, shown: str = "ground_truth") -> RunFolder:
        assert recipe.test is not None
        data = recipe.test.data.model_copy(update={"keypoints": shown})
        test = recipe.test.model_copy(update={"data": data})
        renamed = recipe.model_copy(update={"name": name, "test": test})
        folder = RunFolder(tmp_path / name)
        shutil.copytree(original.path / "evaluations", folder.path / "evaluations")
        save_recipe(renamed, folder.recipe)
        tested = summary.model_copy(update={"name": name, "recipe_digest": renamed.digest})
        found = tested if symmetry is None else without_truth(renamed, summary, symmetry)
        folder.summary.write_text(found.model_dump_json())
        return folder

    return make


def test_differences_are_paired_frame_by_frame(finished: Finished, make_run) -> None:
    recipe, trained = finished
    first, second = make_run("first"), make_run("second")
    # The second run's gpa is what the reference answered: that its figures differ is known.
    for seed in recipe.seeds:
        shutil.rmtree(second.evaluation("gpa", seed))
        shutil.copytree(second.evaluation("target_supervised", seed), second.evaluation("gpa", seed))
    groups = same_frames(read_runs([first.path, second.path]))
    assert [group.protocol for group in groups] == ["3dhp-annot3", "3dhp-official"]
    for group in groups:
        rows = {(one.run, one.row.method): one for one in group.rows}
        assert len(rows) == 6
        assert rows["first", "source_only"].saved_mm is None
        assert rows["second", "source_only"].saved_mm.value == pytest.approx(0.0, abs=1e-9)
        saved = rows["second", "gpa"].saved_mm.value
        assert saved == rows["first", "target_supervised"].saved_mm.value
        errors = {
            method: np.mean(
                [
                    one.evaluation.under(group.protocol).mpjpe_mm.value
                    for one in trained
                    if one.method == method
                ]
            )
            for method in ("source_only", "target_supervised")
        }
        assert saved == pytest.approx(errors["source_only"] - errors["target_supervised"], abs=1e-6)


def test_runs_on_other_frames_are_not_subtracted(finished: Finished, make_run) -> None:
    recipe, _ = finished
    first, second = make_run("first"), make_run("second")
    for method in recipe.methods:
        for seed in recipe.seeds:
            path = second.evaluation(method, seed) / DONE
            record = EvaluationRecord.model_validate_json(path.read_text())
            other = [one.model_copy(update={"snapshot": "OTHER"}) for one in record.results]
            path.write_text(record.model_copy(update={"results": tuple(other)}).model_dump_json())
    groups = same_frames(read_runs([first.path, second.path]))
    assert [(group.protocol, {one.run for one in group.rows}) for group in groups] == [
        ("3dhp-annot3", {"first"}),
        ("3dhp-official", {"first"}),
        ("3dhp-annot3", {"second"}),
        ("3dhp-official", {"second"}),
    ]


def test_which_keypoints_were_shown_is_said(make_run) -> None:
    first, second = make_run("first"), make_run("second", shown="cpn")
    view = comparison_view(read_runs([first.path, second.path]))
    for table in view.tables:
        assert table.test_set.endswith("keypoints not the same: ground truth; cpn")
        assert {row.run for row in table.rows} == {"first, keypoints ground truth", "second, keypoints cpn"}
    facts = {one.name: one.value for one in view.runs[1].facts}
    assert facts["Keypoints of the test"] == "cpn"
    assert facts["Keypoints of the source"] == facts["Keypoints of the target"] == "ground truth"

    alike = comparison_view(read_runs([first.path, make_run("third").path]))
    assert all(table.test_set.endswith("keypoints ground truth") for table in alike.tables)
    assert {row.run for table in alike.tables for row in table.rows} == {"first", "third"}


def test_one_page_that_stands_alone(make_run, browser: Browser, tmp_path: Path) -> None:
    folders = [make_run("first"), make_run("second"), make_run("better", 0.01), make_run("worse", 0.2)]
    paths = [folder.path for folder in folders]
    page = tmp_path / "runs.html"
    answer = compared(*paths, "--out", page, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["runs"] == ["first", "second", "better", "worse"]
    (judged,) = same_keypoints(read_runs(paths))
    assert [(one.run, one.rank) for one in judged.rows] == [("better", 1.4), ("worse", 1.6)]

    again = compared(*paths, "--out", page)
    assert again.exit_code == 0, "the same page may be written again"
    refused = compared(*paths[:2], "--out", page)
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr

    asked: list[str] = []
    for scheme in ("light", "dark"):
        opened = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=scheme)
        opened.on("request", lambda sent: asked.append(sent.url))
        opened.goto(page.as_uri())
        assert opened.locator("h3").count() == 2 + 1 + 4
        assert opened.get_by_text("Not all of these runs were measured on the same frames").is_visible()
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        opened.close()
    assert asked == [page.as_uri()] * 2


def test_what_is_no_finished_run_is_refused(make_run, tmp_path: Path) -> None:
    first, second = make_run("first"), make_run("second")
    second.summary.unlink()
    refused = compared(first.path, second.path, "--out", tmp_path / "runs.html")
    assert refused.exit_code == 1
    assert "summary.json is missing" in refused.stderr
    assert not (tmp_path / "runs.html").exists()
    assert "two or more" in compared(first.path, first.path, "--out", tmp_path / "runs.html").stderr


def test_options_of_keypoints_are_told(finished: Finished) -> None:
    recipe, _ = finished
    assert recipe.target is not None
    filled = {"keypoints": "detected", "least_confidence": 0.3, "longest_gap_s": 0.5}
    target = recipe.target.model_copy(update=filled)
    told = keypoints_used(recipe.model_copy(update={"target": target, "test": None}))
    assert told == {
        "source": "ground truth",
        "target": "detected (confidence of 0.3 and more, gaps up to 0.5 s filled)",
    }
