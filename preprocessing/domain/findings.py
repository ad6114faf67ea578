"""What is found in a domain without 3D before anything is trained on it.

A *problem* makes what is learned wrong; a *warning* may, and is to be looked at; a *note* is to be known.
"""

from __future__ import annotations

from typing import Literal

from poseshift.geometry.camera import Camera
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Trial

Level = Literal["problem", "warning", "note"]


class Finding(FrozenModel):
    """One thing that was found."""

    level: Level
    """How bad it is."""
    check: str
    """Name of the check."""
    trial: str
    """The trial's path in its store."""
    camera: str | None
    """The camera; None where it is about several."""
    count: int
    """Frames or joints that it is about; 0 where it is about none."""
    text: str
    """What was found, and what to do."""


def finding(trial: Trial, camera: Camera | None, check: str, level: Level, count: int, text: str) -> Finding:
    """Make a finding on a trial, or on one of its cameras."""
    name = None if camera is None else camera.name
    return Finding(level=level, check=check, trial=trial.key.path, camera=name, count=count, text=text)


def graded(share: float, limits: tuple[float, float]) -> Level:
    """Grade a share by the limits above which it is a warning, and a problem; it is above the first."""
    return "problem" if share > limits[1] else "warning"
