"""A standing, swaying person on the 32 joints, and a small tree of the release's layout made from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseshift.preprocessing.human36m.layout import COINCIDING_JOINTS
from poseshift.preprocessing.human36m.write import write_metadata, write_trial

STANDING_MM = {
    0: (0, 0, 920),
    1: (-130, 0, 910), 2: (-140, 10, 470), 3: (-145, 0, 60), 4: (-150, 140, 10), 5: (-150, 210, 10),
    6: (130, 0, 910), 7: (140, 10, 470), 8: (145, 0, 60), 9: (150, 140, 10), 10: (150, 210, 10),
    11: (0, 0, 920.1), 12: (0, 5, 1160), 13: (0, 0, 1420), 14: (0, 40, 1520), 15: (0, 20, 1640),
    17: (150, 0, 1400), 18: (300, 30, 1200), 19: (380, 80, 980), 21: (400, 100, 930), 22: (385, 90, 920),
    25: (-150, 0, 1400), 26: (-300, 30, 1200), 27: (-380, 80, 980), 29: (-400, 100, 930), 30: (-385, 90, 920),
}  # fmt: skip


@pytest.fixture
def person() -> Callable[[int], NDArray[np.float64]]:
    """(frames, 32, 3) in mm: turns on the spot and walks a small circle."""

    def make(frames: int) -> NDArray[np.float64]:
        body = np.zeros((32, 3))
        for joint, place in STANDING_MM.items():
            body[joint] = place
        for first, second in COINCIDING_JOINTS:
            body[second] = body[first]
        turn = np.linspace(0.0, 2.0, frames)
        rotation = np.zeros((frames, 3, 3))
        rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(turn)
        rotation[:, 0, 1], rotation[:, 1, 0], rotation[:, 2, 2] = -np.sin(turn), np.sin(turn), 1.0
        moved = np.einsum("fij,kj->fki", rotation, body)
        moved[..., 0] += 300.0 * np.sin(turn)[:, None]
        return moved.astype(np.float32).astype(np.float64)

    return make


@pytest.fixture
def tree(tmp_path: Path, person: Callable[[int], NDArray[np.float64]]) -> Path:
    """S1 `Directions 1` and `TakingPhoto`, S9 `Greeting`, S11 `Directions`, all kinds, with metadata.xml."""
    root = tmp_path / "human36m"
    rows = {
        ("S1", "Directions 1"): 7,
        ("S1", "TakingPhoto"): 5,
        ("S9", "Greeting"): 6,
        ("S11", "Directions"): 4,
    }
    for (subject, stem), frames in rows.items():
        write_trial(root, subject, stem, person(frames))
    write_metadata(root, rows)
    return root
