"""What the report shows beside the figures: placements, sample poses and learning curves, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.experiment.recipe import Method
from poseshift.flows.train import CurvePoint

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class RootsAndScales:
    """Where persons appear in the image and how large, in screen-normalised units (image width 2).

    Attributes
    ----------
    root_x, root_y : (n,), the projected root.
    scale : (n,), mean of width and height of the 2D pose.
    """

    root_x: FloatArray
    root_y: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Placement:
    """Placements of the source before and after adaptation, and of the target.

    Attributes
    ----------
    before, after, target : placements of samples.
    distance_before, distance_after : 1-Wasserstein distance to the target, by name of the quantity.
    """

    before: RootsAndScales
    after: RootsAndScales
    target: RootsAndScales
    distance_before: Mapping[str, float]
    distance_after: Mapping[str, float]


@dataclass(frozen=True)
class SamplePose:
    """One test frame with what each kind of lifter makes of it.

    Attributes
    ----------
    label : sequence and frame.
    truth : (joints, 3), root-relative metres, camera axes.
    predicted : the same by kind of lifter.
    errors_mm : MPJPE of this frame by kind of lifter.
    """

    label: str
    truth: FloatArray
    predicted: Mapping[Method, FloatArray]
    errors_mm: Mapping[Method, float]


@dataclass(frozen=True)
class Evidence:
    """Everything that the report draws.

    Attributes
    ----------
    skeleton : joint set of the sample poses.
    placement : None without adaptation.
    poses : sample test frames.
    curves : learning curves by kind of lifter, one per seed.
    trained_on : number of labelled poses by kind of lifter.
    """

    skeleton: str
    placement: Placement | None
    poses: tuple[SamplePose, ...]
    curves: Mapping[Method, tuple[tuple[CurvePoint, ...], ...]]
    trained_on: Mapping[Method, int]
