"""One vertical from many tracks: a density on the sphere, its middle, and the cone that holds 90 % of it.

The tracks of one camera share its vertical, and the prior of it counts once. They are no independent
witnesses either: a person who leans leans in the next minute, and what people do in a place they do alike. So
what several tracks of a person add, and several people, is tempered by exponents that are fitted on scenes of
known vertical (:mod:`poseshift.adaptation.vertical.calibration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from poseshift.adaptation.gravity import sphere_lattice
from poseshift.storage.model import FrozenModel

CANDIDATES = 12_000
"""Directions of the grid over the sphere: less than two degrees from one to the next."""

COVERED = 0.9
"""Share of the truth that an interval shall hold."""

_MIDDLE_DEGREES = (30.0, 20.0, 20.0)


class Tempering(FrozenModel):
    """What further tracks and further people count, as exponents: 0 adds nothing, 1 a full witness."""

    tracks: float
    """Of further tracks of one person."""
    people: float
    """Of further people before one camera."""
    cameras: float
    """Of further cameras of one rig."""


@dataclass(frozen=True)
class Middle:
    """Where a density has its middle.

    Attributes
    ----------
    up : Tensor
        (3,), unit vector.
    radius_degrees : float
        Of the cone about it that holds 90 % of the density.
    """

    up: Tensor
    radius_degrees: float


def sphere_grid() -> Tensor:
    """Candidate directions (candidates, 3): Fibonacci's lattice, evenly over the sphere."""
    return sphere_lattice(CANDIDATES, like=torch.empty(0, dtype=torch.float64)).float()


def pooled(gains: Tensor, groups: Sequence[int], exponent: float) -> Tensor:
    """Pool log likelihood ratios (n, candidates) within groups: mean, times number to an exponent.

    Returns
    -------
    Tensor
        (groups, candidates), in the order of the groups' numbers.
    """
    rows = []
    for group in sorted(set(groups)):
        members = gains[torch.tensor([one == group for one in groups])]
        rows.append(members.mean(dim=0) * len(members) ** exponent)
    return torch.stack(rows)


def rig_density(
    gains: Sequence[Tensor], priors: Tensor, person: Sequence[Sequence[int]], tempering: Tempering
) -> Tensor:
    """Log density of candidate verticals by all tracks of all cameras, (candidates,), but for a constant.

    Parameters
    ----------
    gains : sequence of Tensor
        Per camera (tracks, candidates), log likelihood ratios against the prior; the candidates are the same
        directions for every camera, in the axes of their rig.
    priors : Tensor
        (cameras, candidates), log densities of each camera's vertical without any track.
    person : sequence of sequences of int
        Per camera and track, whose it is.
    tempering : Tempering
        What further tracks, people and cameras count.
    """
    seen = []
    for of_camera, numbers in zip(gains, person, strict=True):
        people = pooled(of_camera, numbers, tempering.tracks)
        seen.append(pooled(people, [0] * len(people), tempering.people)[0])
    together = pooled(torch.stack(seen), [0] * len(seen), tempering.cameras)[0]
    return together + priors.sum(dim=0)


def middle_of(log_density: Tensor, grid: Tensor) -> Middle:
    """Find the middle of a density over candidates, the mean near its highest place, and its cone."""
    weights = log_density.softmax(dim=0)
    middle = grid[log_density.argmax()]
    for radius in _MIDDLE_DEGREES:
        near = weights * (angles_degrees(grid, middle) < radius)
        middle = torch.nn.functional.normalize((near[:, None] * grid).sum(dim=0), dim=0)
    return Middle(middle, radius_about(middle, log_density, grid))


def radius_about(direction: Tensor, log_density: Tensor, grid: Tensor) -> float:
    """Radius in degrees of the cone about a direction (3,) that holds 90 % of a density over candidates."""
    away = angles_degrees(grid, direction)
    order = away.argsort()
    held = log_density.softmax(dim=0)[order].cumsum(dim=0)
    last = int((held < COVERED).sum())
    return float(away[order][min(last, len(order) - 1)])


def angles_degrees(directions: Tensor, others: Tensor) -> Tensor:
    """Angles between unit vectors (..., 3)."""
    return torch.rad2deg((directions * others).sum(dim=-1).clamp(-1, 1).acos())
