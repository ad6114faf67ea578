"""The page of motions in a real browser: what a person sees and does with pointer and keys."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from poseshift.flows.viewer.clips import Wanted
from poseshift.flows.viewer.page import write_motions
from poseshift.flows.viewer.read import read_motions

if TYPE_CHECKING:
    from tests.flows.viewer.conftest import Evaluated

HOSTILE = "S1/</script><img src=x onerror=\"document.title='hit'\"><b>&amp;"


@dataclass
class Opened:
    """A page, the addresses that it asked for, and what its console said."""

    page: Page
    asked: list[str]
    said: list[str]

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def picture(self) -> str:
        """What the canvas of the skeletons shows."""
        self.settle()
        return str(self.page.evaluate("document.getElementById('scene').toDataURL()"))

    def figure(self) -> str:
        self.settle()
        return self.page.locator("#figure").inner_text()

    def frame(self) -> int:
        found = re.match(r"frame (\d+) ", self.figure())
        assert found is not None
        return int(found.group(1))

    def wait_until_after(self, frame: int) -> None:
        """Wait until a later frame is shown; the page's policy forbids waiting by a script of one's own."""
        for _ in range(100):
            if self.frame() > frame:
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"frame {self.frame()} is still shown")


def opened_from(browser: Browser, path: Path) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    opened = Opened(page, [], [])
    page.on("request", lambda sent: opened.asked.append(sent.url))
    page.on("console", lambda message: opened.said.append(message.text))
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.goto(path.as_uri())
    yield opened
    assert opened.said == []
    page.close()


@pytest.fixture(scope="module")
def page_path(evaluated: "Evaluated", tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "motions.html"
    write_motions(read_motions(evaluated.folder, None, None, Wanted()), path)
    return path


@pytest.fixture
def opened(browser: Browser, page_path: Path, evaluated: "Evaluated") -> Iterator[Opened]:
    for one in opened_from(browser, page_path):
        one.page.select_option("#trial", evaluated.key.path)
        yield one


def test_it_asks_for_nothing_but_itself(opened: Opened) -> None:
    opened.press("ArrowRight", "o", "c", "r")
    assert len(opened.asked) == 1
    assert opened.asked[0].startswith("file:")


def test_errors_are_those_of_the_evaluation(opened: Opened, evaluated: "Evaluated") -> None:
    mean_mm = evaluated.joints_mm.mean(axis=1)
    for name, row in (("Worst", mean_mm.argmax()), ("Best", mean_mm.argmin())):
        opened.page.get_by_role("button", name=name).click()
        assert opened.figure().startswith(f"frame {evaluated.frame[row]} ")
        told = float(opened.figure().rpartition("MPJPE ")[2].removesuffix(" mm"))
        assert told == pytest.approx(mean_mm[row], abs=0.1)  # the page rounds coordinates before
    opened.page.get_by_role("button", name="Median").click()
    shown = float(opened.figure().split()[-2])
    assert (mean_mm < shown - 0.1).sum() <= len(mean_mm) / 2 <= (mean_mm < shown + 0.1).sum() + 1


def test_the_pointer_over_a_joint_shows_its_error(opened: Opened, evaluated: "Evaluated") -> None:
    opened.settle()
    box = opened.page.locator("#scene").bounding_box()
    assert box is not None
    places = opened.page.evaluate("seen.scene")
    apart = np.array([place["at"] for place in places])
    gaps = np.linalg.norm(apart[:, None] - apart, axis=-1) + 1000 * np.eye(len(apart))
    alone = int(gaps.min(axis=1).argmax())  # the joint that is farthest from its neighbours on the screen
    x, y = places[alone]["at"]
    opened.page.mouse.move(box["x"] + x, box["y"] + y)
    opened.settle()
    told = opened.page.locator("#tip").inner_text()
    assert told.endswith(f": {evaluated.joints_mm[0, places[alone]['joint']]:.0f} mm")
    opened.page.mouse.move(box["x"] + 2, box["y"] + 2)
    assert opened.page.locator("#tip").is_hidden()


def test_dragging_and_the_wheel_change_the_picture_and_r_restores_it(opened: Opened) -> None:
    first = opened.picture()
    mouse = opened.page.mouse
    mouse.move(400, 400)
    mouse.down()
    mouse.move(520, 430, steps=3)
    mouse.up()
    turned = opened.picture()
    mouse.wheel(0, 400)
    zoomed = opened.picture()
    mouse.move(5, 5)
    opened.press("r")
    assert len({first, turned, zoomed}) == 3
    assert opened.picture() == first


def test_keys_step_turn_and_play(opened: Opened, evaluated: "Evaluated") -> None:
    frames = evaluated.frame.tolist()
    assert opened.frame() == frames[0]
    opened.press("ArrowRight")
    assert opened.frame() == frames[1]
    opened.press("Shift+ArrowRight")
    assert opened.frame() == frames[11]
    opened.press("ArrowLeft")
    assert opened.frame() == frames[10]
    opened.press("End", "ArrowRight")
    assert opened.frame() == frames[-1]
    opened.press("Home")
    before = opened.picture()
    opened.press("a")
    assert opened.picture() != before
    opened.press("Space")
    opened.wait_until_after(1)
    opened.press("Space")
    stopped = opened.frame()
    opened.page.wait_for_timeout(200)
    assert opened.frame() == stopped


def test_the_slider_and_the_strip_choose_frames(opened: Opened, evaluated: "Evaluated") -> None:
    opened.page.locator("#row").fill("7")
    assert opened.frame() == evaluated.frame[7]
    box = opened.page.locator("#strip").bounding_box()
    assert box is not None
    opened.page.mouse.click(box["x"] + box["width"] - 4, box["y"] + 30)
    assert opened.frame() == evaluated.frame[-1]


def test_names_from_outside_are_text(browser: Browser, evaluated: "Evaluated", tmp_path: Path) -> None:
    motions = read_motions(evaluated.folder, None, None, Wanted(subjects=("TS1",)))
    clip = replace(motions.clips[0], trial=HOSTILE, camera=HOSTILE)
    write_motions(
        replace(motions, title=HOSTILE, lead=HOSTILE, notes=(HOSTILE,), remarks=(HOSTILE,), clips=(clip,)),
        tmp_path / "hostile.html",
    )
    for opened in opened_from(browser, tmp_path / "hostile.html"):
        opened.press("o")
        assert opened.page.locator("#trial option").all_text_contents() == [HOSTILE]
        assert opened.page.locator("h1").inner_text() == HOSTILE
        assert opened.page.locator("img").count() == 0
        assert opened.page.title() != "hit"
        assert len(opened.asked) == 1
