"""The report in a real browser: what a person sees, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.results import Summary
from poseshift.flows.report.gather import gather
from poseshift.flows.report.page import write_page
from poseshift.flows.report.view import build_view


@pytest.fixture(scope="module")
def page_and_summary(
    finished: tuple[Recipe, tuple[Trained, ...]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Summary]:
    recipe, trained = finished
    summary = Summary.model_validate_json(RunFolder(recipe.run_dir).summary.read_text())
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(build_view(recipe, summary, gather(recipe, trained)), path)
    return path, summary


@pytest.fixture(params=[(1200, 900), (375, 800)], ids=["desk", "phone"])
def opened(
    browser: Browser, page_and_summary: tuple[Path, Summary], request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str], list[str]]]:
    """The page at one width, the addresses that it asked for, and what its console said."""
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_and_summary[0].as_uri())
    yield page, asked, said
    page.close()


def test_it_loads_nothing_but_itself_and_complains_of_nothing(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    _, asked, said = opened
    assert len(asked) == 1
    assert asked[0].startswith("file:")
    assert said == []


def test_the_headline_figures_are_visible_without_scrolling_sideways(
    opened: tuple[Page, list[str], list[str]], page_and_summary: tuple[Path, Summary]
) -> None:
    page, _, _ = opened
    summary = page_and_summary[1]
    assert len(summary.rows) == 3
    for row in summary.rows:
        shown = page.get_by_text(f"{row.figures.mpjpe_mm.value:.1f}", exact=False).first
        assert shown.is_visible()
    assert page.get_by_text("Restaged data", exact=False).first.is_visible()
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


def test_every_chart_has_a_size_and_a_title_for_screen_readers(
    opened: tuple[Page, list[str], list[str]],
) -> None:
    page, _, _ = opened
    charts = page.locator("svg")
    assert charts.count() >= 5
    for index in range(charts.count()):
        box = charts.nth(index).bounding_box()
        assert box is not None
        assert box["width"] > 50
        assert box["height"] > 30
    assert page.locator("svg title").count() + page.locator("svg[aria-label]").count() >= 5
