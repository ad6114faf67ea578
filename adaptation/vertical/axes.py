"""How far the vertical may be from the long axes of lifted bodies.

A lifter's answers show how bodies lie in a camera's axes, not where up is: who leans, leans in every answer.
What the pooled axis of a camera's people says of its vertical is therefore measured, on scenes of known
vertical, as the distribution of the angle between the two by how much single axes spread; with how cameras
are held, that is a density of the vertical, and the cone about the axis that holds nine tenths its interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from poseshift.adaptation.vertical.posterior import angles_degrees, radius_about, sphere_grid
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.model import FrozenModel

_ANGLE_EDGES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 75.0, 90.0, 120.0, 180.0)
"""Edges of the classes of angles, degrees."""

_SPREAD_CLASSES = 4


_ROUNDS = 50
"""Rounds of Weiszfeld's algorithm; it is within a thousandth of a degree long before."""


class AxisAngles(FrozenModel):
    """Distributions of the angle between pooled axes and verticals."""

    lifter: str
    """The lifter whose answers they were measured on."""
    spreads: tuple[float, ...]
    """Largest spread (degrees) of each class but the last."""
    log_densities: tuple[tuple[float, ...], ...]
    """By class of spread and class of angle, log of the density per steradian."""
    widening: float
    """By how much cones are widened until, for each posture, nine of ten hold the truth."""

    def log_density(self, axis: Tensor, spread_degrees: float, candidates: Tensor) -> Tensor:
        """Log density of candidate verticals (candidates, 3), by the axis (3,) alone."""
        angles = angles_degrees(candidates, axis)
        edges = torch.tensor(_ANGLE_EDGES[1:-1])
        row = self.log_densities[sum(spread_degrees > limit for limit in self.spreads)]
        return torch.tensor(row)[torch.bucketize(angles, edges)]

    def interval(self, axis: Tensor, spread_degrees: float, log_prior: Tensor) -> float:
        """Angle about an axis within which the vertical lies in nine of ten cases, degrees.

        Parameters
        ----------
        axis : Tensor
            (3,), the pooled axis, a unit vector in camera axes.
        spread_degrees : float
            Median angle of single axes to it.
        log_prior : Tensor
            (candidates,), log density of the vertical of cameras, on the grid of the sphere.
        """
        grid = sphere_grid()
        density = self.log_density(axis, spread_degrees, grid) + log_prior
        return min(180.0, self.widening * radius_about(axis, density, grid))


def measure_angles(angles: Sequence[float], spreads: Sequence[float], lifter: str) -> AxisAngles:
    """Count the angles between pooled axes and verticals by class of spread; nothing is widened yet."""
    spread, angle = torch.tensor(spreads), torch.tensor(angles)
    limits = [float(spread.quantile(number / _SPREAD_CLASSES)) for number in range(1, _SPREAD_CLASSES)]
    number = torch.bucketize(spread, torch.tensor(limits))
    areas = [
        2 * math.pi * (math.cos(math.radians(low)) - math.cos(math.radians(high)))
        for low, high in pairwise(_ANGLE_EDGES)
    ]
    rows = []
    for one in range(_SPREAD_CLASSES):
        counts = torch.histogram(angle[number == one], torch.tensor(_ANGLE_EDGES)).hist + 0.5
        rows.append(tuple((counts / counts.sum() / torch.tensor(areas)).log().tolist()))
    return AxisAngles(lifter=lifter, spreads=tuple(limits), log_densities=tuple(rows), widening=1.0)


def long_axes(poses: Tensor, joint_set: Skeleton) -> Tensor:
    """Directions from the middle of the ankles to the head, (n, joints, 3) -> (n, 3) unit vectors.

    Raises
    ------
    ValueError
        When the skeleton has no ankles or no head.
    """
    named = {name: index for index, name in enumerate(joint_set.joint_names)}
    wanted = ("left_ankle", "right_ankle", "head")
    missing = [name for name in wanted if name not in named]
    if missing:
        raise ValueError(
            f"skeleton {joint_set.name} has no {', '.join(missing)}, which say how a body stands"
        )
    left, right, head = (poses[:, named[name]] for name in wanted)
    return torch.nn.functional.normalize(head - (left + right) / 2, dim=-1)


def pooled_axis(axes: Tensor) -> Tensor:
    """Geometric median of unit vectors (n, 3), as a unit vector: bent and lying bodies hardly move it."""
    median = axes.mean(dim=0)
    for _ in range(_ROUNDS):
        weights = 1 / (axes - median).norm(dim=-1).clamp(min=1e-3)
        median = (weights[:, None] * axes).sum(dim=0) / weights.sum()
    return torch.nn.functional.normalize(median, dim=0)
