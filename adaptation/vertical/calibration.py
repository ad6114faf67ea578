"""How sure a found vertical is: scenes of known vertical, with people who were not learned from.

A network's own confidence holds for what it was trained on. Here it is held against motion of other people,
one or several of them, who may all lean or lie all the time, before one camera or a calibrated rig. What
further tracks, people and cameras add is fitted by likelihood; then cones are widened by one factor until,
for each posture, nine of ten hold the truth: split conformal prediction by posture (Vovk, Gammerman and
Shafer, "Algorithmic Learning in a Random World", 2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from poseshift.adaptation.vertical.estimator import TrackEstimator
from poseshift.adaptation.vertical.posterior import (
    COVERED,
    Tempering,
    angles_degrees,
    middle_of,
    rig_density,
    sphere_grid,
)
from poseshift.adaptation.vertical.scenes import (
    POSTURES,
    SceneSource,
    choose_postures,
    draw_attitudes,
    draw_postures,
    draw_rotations,
)
from poseshift.geometry.rotation import rotate
from poseshift.storage.model import FrozenModel

_PEOPLE, _TRACKS, _POSES = (1, 1, 1, 2, 4), (1, 1, 2, 6), (1, 4, 16, 16)
_EXPONENTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_ALIKE, _SAME_TURN = 0.6, 0.5
JUDGED = ("as they are", "leaning", "lying")
"""Postures for each of which cones must hold; people turned anyhow are too few to judge by."""


class Widening(FrozenModel):
    """By how much the cones of densities are widened until they hold the truth in nine of ten cases."""

    single: float
    """Of a camera by itself."""
    rig: float
    """Of cameras of one rig together."""


@dataclass(frozen=True)
class Case:
    """A scene of known vertical, as the estimator answers for it.

    Attributes
    ----------
    gains : Tensor
        (cameras, tracks, candidates), log likelihood ratios of candidate verticals by each camera's tracks.
    priors : Tensor
        (cameras, candidates), log densities without any track.
    candidates : Tensor
        (candidates, 3), in the axes of the rig.
    truth : Tensor
        (3,), in the axes of the rig.
    person : tuple[int, ...]
        Of each track.
    posture : str
        Of all people; ``mixed`` where they differ.
    """

    gains: Tensor
    priors: Tensor
    candidates: Tensor
    truth: Tensor
    person: tuple[int, ...]
    posture: str

    def density(self, tempering: Tempering) -> Tensor:
        """Log density of the candidates, (candidates,), but for a constant."""
        return rig_density(list(self.gains), self.priors, [self.person] * len(self.gains), tempering)

    def log_score(self, tempering: Tempering) -> float:
        """Log density at the truth, per candidate."""
        normalised = self.density(tempering).log_softmax(dim=0)
        return float(normalised[angles_degrees(self.candidates, self.truth).argmin()])


@dataclass(frozen=True)
class Scene:
    """People in a room.

    Attributes
    ----------
    world : Tensor
        (tracks, poses, joints, 3), metres, z up; every track about its own origin.
    person : tuple[int, ...]
        Of each track.
    posture : str
        Of all people; ``mixed`` where they differ.
    """

    world: Tensor
    person: tuple[int, ...]
    posture: str


def draw_scene(scenes: SceneSource, generator: torch.Generator) -> Scene:
    """Draw one or several people, who mostly have the same posture, with one or several tracks of each."""
    people, tracks, poses = (_one_of(choices, generator) for choices in (_PEOPLE, _TRACKS, _POSES))
    person = torch.arange(people).repeat_interleave(tracks)
    if _chance(_ALIKE, generator):
        kinds = choose_postures(1, generator).expand(people)
    else:
        kinds = choose_postures(people, generator)
    turns = draw_postures(kinds[person], generator)
    if _chance(_SAME_TURN, generator):
        turns = turns[person * tracks]
    names = list(POSTURES)
    posture = names[int(kinds[0])] if bool((kinds == kinds[0]).all()) else "mixed"
    world = scenes.act(scenes.rows(people, tracks, generator), turns, poses, generator)
    return Scene(world, tuple(person.tolist()), posture)


@torch.no_grad()
def draw_case(
    estimator: TrackEstimator, scenes: SceneSource, generator: torch.Generator, cameras: int
) -> Case:
    """Draw a scene and let the estimator answer for its tracks."""
    scene = draw_scene(scenes, generator)
    turned = draw_rotations(
        torch.nn.functional.normalize(torch.randn(1, 3, generator=generator), dim=-1), generator
    )
    candidates = rotate(sphere_grid(), turned[0])
    gains, priors = [], []
    for rotation in draw_rotations(draw_attitudes(cameras, generator), generator):
        seen = scenes.show(scene.world, rotation.expand(len(scene.world), 3, 3), generator)
        before = rotate(candidates, rotation)
        prior = estimator.prior().log_density(before)
        gains.append(estimator(seen.rays).log_density(before) - prior)
        priors.append(prior[0])
    return Case(
        torch.stack(gains),
        torch.stack(priors),
        candidates,
        torch.tensor([0.0, 0.0, 1.0]),
        scene.person,
        scene.posture,
    )


def fit_tempering(single: Sequence[Case], rigs: Sequence[Case]) -> Tempering:
    """Choose exponents by the likelihood of the truth: that of cameras by rigs, the others by one camera."""
    pairs = list(product(_EXPONENTS, _EXPONENTS))
    tracks, people = max(
        pairs, key=lambda pair: _score(single, Tempering(tracks=pair[0], people=pair[1], cameras=0))
    )
    cameras = max(
        _EXPONENTS, key=lambda one: _score(rigs, Tempering(tracks=tracks, people=people, cameras=one))
    )
    return Tempering(tracks=tracks, people=people, cameras=cameras)


def fit_widening(cases: Sequence[Case], tempering: Tempering) -> float:
    """Find the factor that lets cones hold the truth in nine of ten cases of every posture.

    Raises
    ------
    ValueError
        There are too few cases of a posture.
    """
    ratios = []
    for case in cases:
        middle = middle_of(case.density(tempering), case.candidates)
        error = float(angles_degrees(middle.up, case.truth))
        ratios.append((case.posture, error / middle.radius_degrees))
    return conformal_factor(ratios)


def conformal_factor(measured: Sequence[tuple[str, float]]) -> float:
    """Find the factor that no more than a tenth of the ratios of error to radius exceed, for any posture.

    Raises
    ------
    ValueError
        There are too few cases of a posture.
    """
    factors = []
    for posture in JUDGED:
        ratios = [ratio for of, ratio in measured if of == posture]
        rank = math.ceil((len(ratios) + 1) * COVERED)
        if rank > len(ratios):
            raise ValueError(
                f"{len(ratios)} cases of people who are {posture!r}; nine of ten cannot be found"
            )
        factors.append(sorted(ratios)[rank - 1])
    return max(1.0, *factors)


def _score(cases: Sequence[Case], tempering: Tempering) -> float:
    return sum(case.log_score(tempering) for case in cases)


def _one_of(choices: Sequence[int], generator: torch.Generator) -> int:
    return choices[int(torch.randint(len(choices), (1,), generator=generator))]


def _chance(share: float, generator: torch.Generator) -> bool:
    return bool(torch.rand(1, generator=generator) < share)
