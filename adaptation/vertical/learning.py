"""Making a finder: train an estimator on some people, calibrate it on others, leave the last to check it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import nn

from poseshift.adaptation.vertical.axes import AxisAngles, long_axes, measure_angles, pooled_axis
from poseshift.adaptation.vertical.calibration import (
    Widening,
    conformal_factor,
    draw_case,
    draw_scene,
    fit_tempering,
    fit_widening,
)
from poseshift.adaptation.vertical.estimator import TrackEstimator
from poseshift.adaptation.vertical.finder import Finder, Fitted
from poseshift.adaptation.vertical.motions import Motions
from poseshift.adaptation.vertical.posterior import angles_degrees, sphere_grid
from poseshift.adaptation.vertical.scenes import (
    JOINT_SET,
    SceneSource,
    choose_postures,
    draw_attitudes,
    draw_postures,
    draw_rotations,
    unit_intrinsics,
)
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.motion.motion import Motion
from poseshift.storage.model import FrozenModel
from poseshift.training.checkpoint import load_lifter
from poseshift.training.flip import lift
from poseshift.training.run_state import derive_seed
from poseshift.training.shipped import lifter_folder

_POSES = (1, 2, 4, 8, 16, 16)
"""Poses of the tracks of one step."""

_RIGS = (2, 3, 4)

AXES_OF = "free-motion-1"
"""The lifter whose answers say how far the axes of bodies are from the vertical."""


class LearningConfig(FrozenModel):
    """How a finder is learned and calibrated."""

    steps: int = Field(default=6000, ge=1)
    """Steps of the training."""
    batch_size: int = Field(default=96, ge=1)
    """Tracks of a step."""
    width: int = Field(default=256, ge=1)
    """Hidden units of the estimator's layers."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """AdamW's peak rate; it decays as a cosine."""
    cases: int = Field(default=600, ge=60)
    """Scenes before one camera that calibrate it; half as many before rigs."""
    seed: int = 0
    """Of weights and scenes."""


def divide(recordings: Sequence[Motion]) -> Mapping[str, tuple[str, ...]]:
    """Divide people by how much they moved: half to learn from, a quarter each to calibrate and to check."""
    frames = Counter[str]()
    for one in recordings:
        frames[one.subject] += one.frames
    ordered = [name for name, _ in sorted(frames.items(), key=lambda item: (-item[1], item[0]))]
    return {
        "learned": tuple(ordered[::2]),
        "calibrated": tuple(ordered[1::4]),
        "checked": tuple(ordered[3::4]),
    }


def train_estimator(motions: Motions, config: LearningConfig) -> TrackEstimator:
    """Train on drawn scenes by the likelihood of their verticals."""
    scenes = SceneSource(motions)
    generator = torch.Generator().manual_seed(derive_seed(config.seed, 0))
    joint_set = skeleton(JOINT_SET)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, 1))
        estimator = TrackEstimator(joint_set.joints, joint_set.root, config.width)
    optimizer = torch.optim.AdamW(estimator.parameters(), lr=config.learning_rate)
    course = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    # Who has moved much is seen more often, but not as much more often.
    share = torch.bincount(motions.person).float()[motions.person] ** -0.5
    for _ in range(config.steps):
        count = config.batch_size
        rows = torch.multinomial(share, count, replacement=True, generator=generator)
        poses = _POSES[int(torch.randint(len(_POSES), (1,), generator=generator))]
        turns = draw_postures(choose_postures(count, generator), generator)
        rotation = draw_rotations(draw_attitudes(count, generator), generator)
        tracks = scenes.show(scenes.act(rows, turns, poses, generator), rotation, generator)
        before = estimator.prior().expanded(count)
        loss = -estimator(tracks.rays).log_density_at(tracks.up) - before.log_density_at(tracks.up)
        optimizer.zero_grad()
        loss.mean().backward()
        nn.utils.clip_grad_norm_(estimator.parameters(), 1.0)
        optimizer.step()
        course.step()
    return estimator.eval()


def learn_finder(recordings: Sequence[Motion], motion: str, config: LearningConfig) -> Finder:
    """Train and calibrate a finder.

    Parameters
    ----------
    recordings : sequence of Motion
        Free motion of several people.
    motion : str
        What they are, for the record.
    config : LearningConfig
        Sizes, steps and seed.
    """
    people = divide(recordings)
    estimator = train_estimator(Motions.of(recordings, people["learned"]), config)
    scenes = SceneSource(Motions.of(recordings, people["calibrated"]))
    generator = torch.Generator().manual_seed(derive_seed(config.seed, 2))
    single = [draw_case(estimator, scenes, generator, 1) for _ in range(config.cases)]
    rigs = [
        draw_case(estimator, scenes, generator, _RIGS[number % len(_RIGS)])
        for number in range(config.cases // 2)
    ]
    axes = calibrate_axes(estimator, scenes, config)
    tempering = fit_tempering(single, rigs)
    fitted = Fitted(
        skeleton=JOINT_SET,
        width=config.width,
        tempering=tempering,
        widening=Widening(single=fit_widening(single, tempering), rig=fit_widening(rigs, tempering)),
        axes=axes,
        motion=motion,
        seed=config.seed,
        steps=config.steps,
        people=people,
    )
    return Finder(estimator, fitted)


@torch.no_grad()
def calibrate_axes(estimator: TrackEstimator, scenes: SceneSource, config: LearningConfig) -> AxisAngles:
    """Measure what pooled axes of bodies say of the vertical, by the answers of the lifter that ships."""
    trained = load_lifter(lifter_folder(Path(AXES_OF)))
    generator = torch.Generator().manual_seed(derive_seed(config.seed, 3))
    seen = []
    for _ in range(3 * config.cases):
        scene = draw_scene(scenes, generator)
        rotation = draw_rotations(draw_attitudes(1, generator), generator)
        tracks = scenes.show(scene.world, rotation.expand(len(scene.world), 3, 3), generator)
        poses = tracks.rays.flatten(0, 1)[:, None]
        answers = lift(trained.lifter, trained.encoding, poses, unit_intrinsics(len(poses)))
        axes = long_axes(answers[:, 0], skeleton(JOINT_SET))
        axis = pooled_axis(axes)
        spread = float(angles_degrees(axes, axis).median())
        seen.append((scene.posture, axis, spread, tracks.up[0]))
    half = len(seen) // 2
    angles = [float(angles_degrees(axis, up)) for _, axis, _, up in seen]
    measured = measure_angles(angles[:half], [spread for _, _, spread, _ in seen[:half]], AXES_OF)
    log_prior = estimator.prior().log_density(sphere_grid())[0]
    ratios = [
        (posture, angle / measured.interval(axis, spread, log_prior))
        for (posture, axis, spread, _), angle in zip(seen[half:], angles[half:], strict=True)
    ]
    return measured.model_copy(update={"widening": conformal_factor(ratios)})
