"""PoseDA (Chai et al., ICCV 2023): lifters learn from augmented poses that stand where target people stand.

Global position alignment gives positions, a generator that plays against discriminators gives new poses,
and the lifter is taught both by the ordinary training loop: all of it is one batch transform. No
details of the paper's local part are public; PoseAug's (Gong et al., CVPR 2021), from which its baselines
come, fill the gap, and PoseAug's own recipe is made of the same parts.
"""

from __future__ import annotations

import functools
import logging
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from poseshift.adaptation.global_position import GlobalPositionAlignment, at_least
from poseshift.adaptation.poseda_config import PairForm, PoseDAConfig
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.adaptation.trajectory import TargetClips
from poseshift.augmentation.adversary import Adversary, Real, Steps
from poseshift.augmentation.clips import middle, middle_root, middle_step
from poseshift.augmentation.collapse import Health, Watch
from poseshift.augmentation.config import LearnedGenerator
from poseshift.augmentation.draws import draw_rows, draw_uniform
from poseshift.augmentation.feedback import Difficulty, Made, Place
from poseshift.augmentation.lengths import subject_lengths
from poseshift.augmentation.losses import group_errors, joint_roles
from poseshift.augmentation.transforms import turn_up, with_lengths
from poseshift.geometry.projection import rays_of, to_screen
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import sampling_hz
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.run_state import derive_seed
from poseshift.training.transforms import TrainingRun

__all__ = ["PoseDA", "PoseDAConfig"]

_LOG = logging.getLogger(__name__)

_WEIGHTS, _DRAWS = 11, 12
"""Streams of seeds of this transform."""

_LEAST = 2
"""Fewest clips that the generator's batch norm can learn from."""


class PoseDA:
    """Augmented poses beside aligned ones: a :class:`poseshift.training.transforms.StatefulTransform`.

    The run has three phases. At first the lifter is taught the source. Then the adversary warms up, while the
    lifter is taught what stands beside augmented poses. In the rest of the run a share of every batch is
    augmented, and the adversary learns in every few steps.

    Parameters
    ----------
    config : PoseDAConfig
        See :class:`poseshift.adaptation.poseda_config.PoseDAConfig`.
    source : CameraPoses
        The labelled poses that the run learns from.
    target : TargetKeypoints
        Keypoints and cameras of the target, on the same skeleton.
    seed : int
        Seed of the adversary's weights.
    device : torch.device or str
        Where batches are.

    Attributes
    ----------
    rollbacks : int
        Times that the run has gone back after a collapse, see :mod:`poseshift.adaptation.rollback`. Each
        gives other random numbers.
    watch : Watch
        The checks so far.
    """

    def __init__(
        self,
        config: PoseDAConfig,
        source: CameraPoses,
        target: TargetKeypoints,
        *,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        if source.skeleton != target.skeleton:
            raise ValueError(f"source poses are {source.skeleton}, target keypoints {target.skeleton}")
        self.config = config
        self.seed = seed
        self.rollbacks = 0
        self.watch = Watch(config.collapse)
        self._device = torch.device(device)
        self._skeleton = skeleton(target.skeleton)
        self._alignment = GlobalPositionAlignment(config.global_position, target, device)
        self._target_rays = torch.as_tensor(target.rays, device=device)
        self._clips = TargetClips(self._target_rays, target.runs)
        self._lengths = torch.as_tensor(subject_lengths(source), dtype=torch.float32, device=device)
        pairs = config.discriminator.critic == "pairs"
        self._source = DevicePoses.from_columns(source, device, frames=1) if pairs else None
        self._pair_rows = _rows_within(config.discriminator.pair_seconds, source)
        self._run: TrainingRun | None = None
        self._adversary: Adversary | None = None
        self._step = 0
        self._draws_anew = False

    @property
    def generator(self) -> LearnedGenerator:
        """The generator as it is now; there is one once a run has begun."""
        return self._in_run()[1].generator

    def attach(self, run: TrainingRun) -> None:
        """Begin a run: an adversary with first weights; see the protocol.

        Raises
        ------
        ValueError
            When motion is to be judged and the lifter sees single frames.
        """
        if self.config.discriminator.motion and run.lifter.frames == 1:
            raise ValueError(
                "discriminators of motion need clips, and this lifter sees single frames; leave "
                "`discriminator: {motion: true}` out, or take a lifter of clips"
            )
        self._run = run
        seed = derive_seed(self.seed, _WEIGHTS, self.rollbacks)
        self._adversary = Adversary(self.config, self._skeleton, seed, self._device)
        self.watch = Watch(self.config.collapse)
        self._step = 0
        self._draws_anew = self.rollbacks > 0

    def state_dict(self) -> dict[str, Any]:
        """State of the adversary, the watch and the counters."""
        return {
            "step": self._step,
            "rollbacks": self.rollbacks,
            "adversary": self._in_run()[1].state_dict(),
            "watch": self.watch.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state; after a rollback that is not in it, with other random numbers."""
        self._in_run()[1].load_state_dict(state["adversary"])
        self.watch.load_state_dict(state["watch"])
        self._step = state["step"]
        self._draws_anew = state["rollbacks"] < self.rollbacks

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Give the batch that this step teaches; in the adversarial phases, learn from the batch.

        Raises
        ------
        CollapseError
            When the adversary has collapsed.
        """
        if self._draws_anew:
            generator.manual_seed(derive_seed(self.seed, _DRAWS, self.rollbacks))
            self._draws_anew = False
        config, total = self.config, self._in_run()[0].total_steps
        step = self._step
        self._step += 1
        pretraining = round(config.pretraining * total)
        if step < pretraining and config.pretrain_on != "augmented":
            return self._second(batch, config.pretrain_on, generator)
        batch = self._exchanged(batch, generator)
        warmup = round(config.warmup * total)
        since = step - pretraining - warmup
        learns = since >= 0 and since % config.adversary.learn_every == 0
        if pretraining <= step < pretraining + warmup:
            self._contest(batch, generator, step, warming_up=True)
            return self._second(batch, config.beside, generator)
        # Rows come in random order, so the first ones are as good as any.
        count = min(len(batch), max(_LEAST, round(config.share * len(batch))))
        augmented = self._augmented(batch[:count], generator, step, learns)
        if count == len(batch):
            return augmented
        return augmented.joined(self._second(batch[count:], config.beside, generator))

    def _in_run(self) -> tuple[TrainingRun, Adversary]:
        if self._run is None or self._adversary is None:
            raise RuntimeError("PoseDA learns within a training run; give it to training.fit.fit")
        return self._run, self._adversary

    def _exchanged(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Give every clip a random subject's bone lengths, and its camera's view of the result."""
        if self.config.bone_lengths == "own":
            return batch
        lengths = self._lengths[draw_rows(len(self._lengths), len(batch), generator)]
        positions = with_lengths(batch.positions_camera, lengths, self._skeleton)
        return Batch.seen(positions, batch.intrinsics, batch.up_camera)

    def _second(self, batch: Batch, form: PairForm, generator: torch.Generator) -> Batch:
        if form == "raw" or self.config.placement == "kept":
            return batch
        return self._alignment(batch, generator)

    def _augmented(self, batch: Batch, generator: torch.Generator, step: int, learns: bool) -> Batch:
        if learns:
            return self._taught(batch, self._contest(batch, generator, step, warming_up=False))
        adversary = self._in_run()[1]
        with torch.no_grad():
            made = adversary.make(batch, self._place(batch, adversary, generator), generator)
        return self._taught(batch, made)

    def _contest(self, batch: Batch, generator: torch.Generator, step: int, *, warming_up: bool) -> Made:
        """Augment, and let generator and discriminators learn from it."""
        run, adversary = self._in_run()
        place = self._place(batch, adversary, generator)
        made = adversary.make(batch, place, generator)
        real = self._real(batch, generator)
        if adversary.steps % self.config.collapse.check_every == 0 and adversary.steps > 0:
            self._look(adversary.health(step, batch, made, real))
        with_feedback = self.config.feedback.weight > 0 and not warming_up
        adversary.learn(
            batch,
            made,
            real,
            place,
            generator,
            progress=step / run.total_steps,
            difficulty=self._difficulty(run) if with_feedback else None,
        )
        return made

    def _look(self, health: Health) -> None:
        _LOG.debug("augmentation: %s", health)
        self.watch.look(health)
        if not self.watch.healthy:
            _LOG.warning("step %d: %s", health.step, "; ".join(health.signs(self.config.collapse)))

    def _place(self, batch: Batch, adversary: Adversary, generator: torch.Generator) -> Place:
        """Decide where this batch's poses stand; the same for every call of the function returned."""
        if self.config.placement == "global_position":
            rows = self._alignment.draw(len(batch), generator)
            return lambda clips: self._alignment.move(replace(batch, positions_camera=clips), rows, generator)
        if self.config.placement == "kept":
            return lambda clips: Batch.seen(clips, batch.intrinsics, batch.up_camera)
        positions = adversary.positions(middle(batch.positions_camera), generator)
        return functools.partial(self._at, batch=batch, positions=positions)

    def _at(self, clips: Tensor, *, batch: Batch, positions: Tensor) -> Batch:
        """Put roots at learned positions (n, 3), but no joint nearer to the camera than alignment would."""
        relative = clips - middle_root(clips, self._skeleton.root)
        depth = at_least(self.config.global_position.nearest_m, positions[:, 2], relative.detach())
        there = torch.cat([positions[:, :2], depth[:, None]], dim=1)
        moved = relative + there[:, None, None]
        return Batch.seen(moved, batch.intrinsics, batch.up_camera)

    def _real(self, batch: Batch, generator: torch.Generator) -> Real:
        anchors = middle(batch.positions_camera)
        poses = anchors if self._source is None else self._pairs(self._source, len(batch), generator)
        moving = self.config.discriminator.motion
        if self.config.placement == "learned":
            own = middle_step(batch.positions_camera) if moving else None
            return Real(poses, rays_of(anchors), None if own is None else Steps(own, rays_of(own)))
        rows = draw_rows(len(self._target_rays), len(batch), generator)
        steps = None
        if moving:
            steps = Steps(middle_step(batch.positions_camera), self._clips.around(rows, 2).flip(1))
        return Real(poses, self._target_rays[rows], steps)

    def _pairs(self, source: DevicePoses, count: int, generator: torch.Generator) -> Tensor:
        """Poses with another of the same recording, near in time if so chosen, with a subject's lengths."""
        rows = draw_rows(len(source), count, generator)
        first, last = source.run_first[rows], source.run_last[rows]
        if self._pair_rows is not None:
            first = torch.maximum(first, rows - self._pair_rows)
            last = torch.minimum(last, rows + self._pair_rows)
        share = draw_uniform((count,), 0, 1, self._lengths, generator)
        others = (first + (share * (last - first + 1)).long()).clamp(max=last)
        lengths = self._lengths[draw_rows(len(self._lengths), count, generator)]
        variants = with_lengths(source.positions_camera[others], lengths, self._skeleton)
        return torch.stack([source.positions_camera[rows], variants], dim=1)

    def _difficulty(self, run: TrainingRun) -> Difficulty:
        roles = joint_roles(self._skeleton)

        def errors(clips: Batch) -> Tensor:
            target = clips.root_relative(self._skeleton)
            if run.lifter.output == "centre":
                target = middle(target)[:, None]
            encoded = run.encoding.encode(clips.keypoints_px, clips.intrinsics, rays=clips.rays)
            was_training = run.lifter.training
            run.lifter.eval()
            try:
                prediction = run.lifter(encoded.inputs)
            finally:
                run.lifter.train(was_training)
            return group_errors(prediction, run.encoding.to_target_frame(target, encoded), roles)

        return errors

    def _taught(self, batch: Batch, made: Made) -> Batch:
        """Take the augmented pairs without gradients to the adversary.

        In front of the source's cameras, pairs outside of the image give way to those of the batch.
        """
        placed = made.placed
        before = batch.up_camera
        up = turn_up(before, made.augmented.rotation.detach())
        taught = Batch(
            positions_camera=placed.positions_camera.detach(),
            keypoints_px=placed.keypoints_px.detach(),
            intrinsics=placed.intrinsics,
            up_camera=up,
        ).with_rays(None if placed.rays is None else placed.rays.detach())
        if self.config.placement != "learned":
            return taught
        screen = to_screen(taught.keypoints_px, taught.intrinsics.size_px)
        inside = (screen.abs() <= 1).all(dim=-1).all(dim=-1).all(dim=-1)
        clip = inside[:, None, None, None]
        rays = None
        if taught.rays is not None and batch.rays is not None:
            rays = torch.where(clip, taught.rays, batch.rays)
        return Batch(
            positions_camera=torch.where(clip, taught.positions_camera, batch.positions_camera),
            keypoints_px=torch.where(clip, taught.keypoints_px, batch.keypoints_px),
            intrinsics=batch.intrinsics,
            up_camera=None if up is None or before is None else torch.where(inside[:, None], up, before),
        ).with_rays(rays)


def _rows_within(seconds: float | None, source: CameraPoses) -> int | None:
    """Count the rows of one view that lie within a time, at least one; None for any."""
    if seconds is None:
        return None
    rate = sampling_hz(source)
    return max(1, round(seconds * rate)) if math.isfinite(rate) else 1
