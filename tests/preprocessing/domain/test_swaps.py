"""Swapped sides: put into a real motion here, found and mended again; nothing found where nothing was put."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.swaps import LIMBS, Swap, find_swaps, mend_swaps
from poseshift.preprocessing.motion.procedural import generate

if TYPE_CHECKING:
    from tests.conftest import OwnRig

FPS = 50.0
LEFT, RIGHT = (
    {
        limbs: [HUMAN36M_17.joint_names.index(f"{side}_{joint}") for joint in joints]
        for limbs, joints in LIMBS.items()
    }
    for side in ("left", "right")
)


@pytest.fixture(scope="module")
def views(own_rig: "OwnRig") -> list[np.ndarray]:
    """Motions of several people before each camera, (frames, 17, 3) with a pixel of noise."""
    rng = np.random.default_rng(0)
    found = []
    for motion in generate(seed=11, clips_per_subject=1, frames_per_clip=100)[:6]:
        world = 1000 * motion.positions
        world[..., :2] -= world[..., :2].mean(axis=(0, 1))
        for camera in range(4):
            pixels = own_rig.seen(camera, world) + rng.normal(scale=1.0, size=(*world.shape[:2], 2))
            found.append(np.concatenate([pixels, np.ones((*world.shape[:2], 1))], axis=-1).astype(np.float32))
    return found


def swapped(view: np.ndarray, limbs: str, first: int, last: int) -> np.ndarray:
    changed = view.copy()
    rows = np.arange(first, last + 1)[:, None]
    changed[rows, LEFT[limbs]], changed[rows, RIGHT[limbs]] = (
        view[rows, RIGHT[limbs]],
        view[rows, LEFT[limbs]],
    )
    return changed


def test_motion_as_it_is_has_no_swaps(views: list[np.ndarray]) -> None:
    assert [find_swaps(view, FPS) for view in views] == [()] * len(views)


@given(
    number=st.integers(0, 23),
    limbs=st.sampled_from(sorted(LIMBS)),
    first=st.integers(3, 60),
    length=st.integers(1, 30),
)
@settings(max_examples=40, deadline=None)
def test_a_run_is_found_where_the_sides_stand_apart(
    views: list[np.ndarray], number: int, limbs: str, first: int, length: int
) -> None:
    view, last = views[number], first + length - 1
    apart = np.linalg.norm(view[:, LEFT[limbs], :2] - view[:, RIGHT[limbs], :2], axis=-1).sum(axis=1)
    # Sides that lie upon each other cannot be told from a crossing.
    assume(min(apart[first - 1], apart[first], apart[last], apart[last + 1]) > 250)
    changed = swapped(view, limbs, first, last)
    found = find_swaps(changed, FPS)
    assert found == (Swap(limbs, first, last),)
    np.testing.assert_array_equal(mend_swaps(changed, found), view)


def test_gaps_do_not_hide_a_run(views: list[np.ndarray]) -> None:
    view = max(views, key=lambda one: float(np.linalg.norm(one[:, 2, :2] - one[:, 5, :2], axis=-1).min()))
    changed = swapped(view, "legs", 30, 45)
    changed[28:33] = 0
    changed[60:64, 5] = 0
    found = find_swaps(changed, FPS)
    assert [swap.limbs for swap in found] == ["legs"]
    assert (found[0].first, found[0].last) == (33, 45)


def test_nobody_has_no_sides() -> None:
    assert find_swaps(np.zeros((20, 17, 3), dtype=np.float32), FPS) == ()
