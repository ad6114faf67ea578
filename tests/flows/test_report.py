"""The report: that it shows the summary's figures, stands alone, and labels what it shows."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from poseshift.adaptation.plan import alignment_transforms
from poseshift.flows.experiment.data import open_poses, open_store
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.predictions import read_predictions
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.results import Summary
from poseshift.flows.report import charts
from poseshift.flows.report.gather import Evidence, gather, placement, sample_poses
from poseshift.flows.report.page import render
from poseshift.flows.report.view import CMU_NOTICE, ReportView, build_view
from poseshift.geometry.skeleton import skeleton
from poseshift.training.checkpoint import load_lifter
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.protocols import protocol

Finished = tuple[Recipe, tuple[Trained, ...]]


BESIDE = "motions.html"
"""The page that the report links."""


class Page(HTMLParser):
    """Collects what a browser would load, every id, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data") and value is not None:
                self.loaded.append(value)
            if name == "id" and value is not None:
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def summary(finished: Finished) -> Summary:
    return Summary.model_validate_json(RunFolder(finished[0].run_dir).summary.read_text())


@pytest.fixture(scope="module")
def view(finished: Finished, summary: Summary) -> ReportView:
    recipe, trained = finished
    return build_view(recipe, summary, gather(recipe, trained))


def relabelled(view: ReportView, summary: Summary, recipe: Recipe, motion: str | None) -> ReportView:
    """The view of the same experiment on another motion."""
    assert summary.origins is not None
    parts = tuple(one.model_copy(update={"restaged_from": motion}) for one in summary.origins.parts)
    origins = summary.origins.model_copy(update={"parts": parts})
    labelled = summary.model_copy(update={"restaged_from": motion, "origins": origins})
    nothing = Evidence(skeleton="human36m_17", placement=None, poses=(), curves={}, trained_on={}, learned={})
    bare = build_view(recipe, labelled, nothing)
    return replace(view, restaged=bare.restaged, notices=bare.notices)


def test_the_page_shows_the_summarys_figures_under_the_protocols_name(
    view: ReportView, summary: Summary
) -> None:
    text = Page(render(view)).text
    assert "3dhp-annot3" in text
    assert "3dhp-official" in text
    for table in (summary, *summary.details):
        for method in ("source_only", "gpa", "target_supervised"):
            row = table.of(method)
            assert row is not None
            figures = row.figures
            assert all(part in text for part in row.parts.model_dump().values())
            for estimate in (figures.mpjpe_mm, figures.pa_mpjpe_mm, figures.pck150, figures.auc):
                assert f"{estimate.value:.1f}" in text
                assert f"{estimate.low:.1f} to {estimate.high:.1f}" in text


def test_the_page_shows_where_it_comes_from(view: ReportView, summary: Summary) -> None:
    text = Page(render(view)).text
    assert summary.recipe_digest in text
    assert all(snapshot in text for snapshot in summary.snapshots.values())
    assert all(version in text for version in summary.versions.values())


def test_the_page_names_the_kinds_of_3d(view: ReportView) -> None:
    facts = {fact.name: fact.value for fact in view.facts}
    assert facts["3D learned, Target-supervised"] == facts["3D measured"] == "annotated"


def test_the_page_and_the_record_tell_test_cameras_that_their_file_contradicts(
    finished: Finished, view: ReportView
) -> None:
    # Restaged trees repeat the release: the file of TS2 has not the intrinsics of its annotations.
    by_trial = {one.trial: one for one in finished[1][0].evaluation.intrinsics}
    assert {one.origin for one in by_trial.values()} == {"calibration file"}
    assert [name for name, one in by_trial.items() if one.contradicted] == ["TS2/TS2"]
    assert "The calibration file of TS2/TS2 contradicts its annotations by" in Page(render(view)).text


def test_the_page_loads_nothing_and_runs_nothing(view: ReportView) -> None:
    html = render(view)
    page = Page(html)
    assert page.loaded
    assert {address for address in page.loaded if not address.startswith("#")} == {BESIDE}
    assert html.count(BESIDE) == html.count(f'<a href="{BESIDE}">') == 1  # followed by a person alone
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert not re.search(r"https?:|@import|url\((?!#)", html)


def test_ids_are_unique_and_references_have_a_target(view: ReportView) -> None:
    html = render(view)
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    referred = {address[1:] for address in page.loaded if address != BESIDE} | set(
        re.findall(r"url\(#([^)]+)\)", html)
    )
    assert referred <= set(page.ids)


def test_every_colour_is_defined_for_light_and_dark(view: ReportView) -> None:
    html = render(view)
    style = html[html.index("<style>") : html.index("</style>")]
    light, dark = style.split("prefers-color-scheme: dark", 1)
    for name in set(re.findall(r"var\((--[a-z-]+)", html[html.index("<body>") :])) - {"--font"}:
        assert f"{name}:" in light
        assert f"{name}:" in dark.split("}\n}", 1)[0]


def test_charts_hold_no_colour_of_their_own(view: ReportView) -> None:
    body = render(view)
    body = body[body.index("<body>") :]
    assert not re.search(r"(fill|stroke): ?#[0-9a-f]{6}", body)


def test_rendering_is_reproducible(finished: Finished, summary: Summary, view: ReportView) -> None:
    recipe, trained = finished
    assert render(build_view(recipe, summary, gather(recipe, trained))) == render(view)


def test_restaged_data_are_labelled_and_recordings_are_not(
    view: ReportView, finished: Finished, summary: Summary
) -> None:
    recipe, _ = finished
    restaged = Page(render(relabelled(view, summary, recipe, "procedural motion, seed 0"))).text
    recorded = Page(render(relabelled(view, summary, recipe, None))).text
    assert "Restaged data." in restaged
    assert "procedural motion, seed 0" in restaged
    assert "not comparable with published ones" in restaged
    assert "Restaged" not in recorded


@pytest.mark.parametrize(
    ("motion", "attributed"),
    [
        ("CMU Graphics Lab Motion Capture Database, selected trials", True),
        ("ASF/AMC motion from subjects", True),
        ("procedural motion, seed 0", False),
        (None, False),
    ],
)
def test_cmus_motion_is_attributed(
    view: ReportView, finished: Finished, summary: Summary, motion: str | None, attributed: bool
) -> None:
    shown = relabelled(view, summary, finished[0], motion)
    assert (CMU_NOTICE in Page(render(shown)).text) is attributed


def test_text_of_others_is_escaped(view: ReportView, finished: Finished, summary: Summary) -> None:
    html = render(relabelled(view, summary, finished[0], "<script>alert(1)</script>"))
    assert "script" not in Page(html).tags
    assert "&lt;script&gt;" in html


def test_alignment_moves_placements_onto_the_targets(prepared: Recipe) -> None:
    assert prepared.target is not None
    source = open_poses(prepared.source).labelled()
    target = open_poses(prepared.target).unlabelled()
    alignment = alignment_transforms(prepared.method.adaptation, source, target, torch.device("cpu"))
    moved = placement(source, target, alignment, seed=0)
    for name in ("root_x", "root_y", "scale"):
        assert moved.distance_after[name] < 0.5 * moved.distance_before[name]
    still = placement(source, target, (), seed=0)
    np.testing.assert_array_equal(still.before.root_x, still.after.root_x)
    assert still.distance_after == still.distance_before


def test_placement_is_in_units_of_half_the_images_width(prepared: Recipe) -> None:
    poses = open_poses(prepared.source).labelled()
    found = placement(poses, poses, (), seed=0).before
    width = np.array([camera.size_px[0] for camera in poses.cameras])[poses.camera]
    root = 2 * poses.keypoints_px[:, skeleton(poses.skeleton).root, 0] / width - 1
    extent = np.ptp(poses.keypoints_px, axis=1).mean(axis=1) * 2 / width
    assert set(np.round(found.root_x, 4)) <= set(np.round(root.astype(np.float64), 4))
    assert found.scale.min() >= extent.min() - 1e-5
    assert found.scale.max() <= extent.max() + 1e-5


def test_sample_poses_are_chosen_by_rank_and_not_by_hand(finished: Finished) -> None:
    recipe, _ = finished
    folder = RunFolder(recipe.run_dir)
    test = protocol("3dhp-annot3").read(open_store(recipe.test.data))
    predicted = {method: predict(load_lifter(folder.lifter(method, 0)), test) for method in recipe.methods}
    for method, kept in predicted.items():
        found = read_predictions(folder.evaluation(method, 0), "3dhp-annot3").positions_camera
        np.testing.assert_array_equal(found, kept)
    poses = sample_poses(predicted, test)
    errors = [pose.errors_mm["source_only"] for pose in poses]
    assert errors == sorted(errors)
    for pose in poses:
        by_hand = np.linalg.norm(pose.predicted["gpa"] - pose.truth, axis=-1).mean() * 1000
        assert pose.errors_mm["gpa"] == pytest.approx(by_hand, rel=1e-4)


def test_histogram_bars_have_the_height_of_the_density() -> None:
    values = np.repeat([0.25, 0.75], [30, 10])
    svg = charts.histogram(
        (charts.Series("source_only", "a", values),), bounds=(0.0, 1.0), axis="x", title="two bars"
    )
    (path,) = re.findall(
        r'<path d="([^"]+)" clip-path="[^"]+" style="fill: none; stroke: var\(--source\)', svg
    )
    heights = [float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", path)]
    base = max(heights)
    tops = sorted({round(base - y, 3) for y in heights} - {0.0})
    assert tops[1] / tops[0] == pytest.approx(3.0, rel=1e-3)


def test_bones_are_drawn_from_two_directions() -> None:
    joints = skeleton("human36m_17")
    poses = np.random.default_rng(0).normal(scale=0.3, size=(2, joints.joints, 3)).astype(np.float32)
    svg = charts.skeletons(*poses, "adapted", joints, title="a pose")
    for colour, pose in zip(("truth", "adapted"), poses, strict=True):
        drawn = re.findall(rf'<path d="([^"]+)" clip-path="[^"]+" style="[^"]*var\(--{colour}\)', svg)
        for path, across in zip(drawn, (0, 2), strict=True):
            ends = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path), dtype=float).reshape(-1, 2, 2)
            right, up = np.diff(ends, axis=1)[:, 0].T
            bones = np.array([pose[child] - pose[parent] for parent, child in joints.bones])
            points_per_metre = np.linalg.norm(up) / np.linalg.norm(bones[:, 1])
            np.testing.assert_allclose(right, bones[:, across] * points_per_metre, atol=1e-3)
            np.testing.assert_allclose(up, bones[:, 1] * points_per_metre, atol=1e-3)


def test_the_file_is_whole(finished: Finished) -> None:
    path: Path = RunFolder(finished[0].run_dir).report
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert "viewport" in html
