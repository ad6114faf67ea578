"""The adversarial part of PoseDA: a generator of augmentations against discriminators, one step at a time.

Losses, weights and the history are PoseAug's (Gong et al., CVPR 2021). What the generator makes is placed by
a function that is handed in, so that one step serves learned positions and global position alignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from poseshift.augmentation import losses
from poseshift.augmentation.clips import middle, middle_step
from poseshift.augmentation.collapse import Health, accuracy, neighbour_ratios, on_cpu, parameter_spreads
from poseshift.augmentation.config import LearnedAugmentationConfig, LearnedGenerator
from poseshift.augmentation.dependence import dependence
from poseshift.augmentation.discriminator import (
    BoneMotionDiscriminator,
    KeypointDiscriminator,
    KeypointMotionDiscriminator,
    PairDiscriminator,
    PartDiscriminator,
    in_person_sizes,
    keypoint_form,
)
from poseshift.augmentation.feedback import Asked, Difficulty, Made, Place, steering
from poseshift.augmentation.generator import GeneratorConfig, TranslationGenerator
from poseshift.augmentation.pool import HistoryPool
from poseshift.augmentation.transforms import apply
from poseshift.geometry.bones import bone_vectors
from poseshift.geometry.projection import rays_of
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.batches import Batch


@dataclass(frozen=True)
class Steps:
    """Frames with the ones before them: what the discriminators of motion take for real.

    Attributes
    ----------
    poses : Tensor
        (n, 2, joints, 3), metres, the later frame first.
    rays : Tensor
        (n, 2, joints, 2), ray coordinates likewise.
    """

    poses: Tensor
    rays: Tensor


@dataclass(frozen=True)
class Real:
    """What is real for the discriminators.

    Attributes
    ----------
    poses : Tensor
        What the discriminator of 3D sees: (n, joints, 3), or (n, 2, joints, 3) for pairs.
    rays : Tensor
        (n, joints, 2), ray coordinates (x/z, y/z) of real keypoints.
    steps : Steps or None
        Real motion, where it is judged.
    """

    poses: Tensor
    rays: Tensor
    steps: Steps | None = None


class Adversary:
    """Generator, discriminators, their optimisers and histories.

    Parameters
    ----------
    config : LearnedAugmentationConfig
        Sizes, losses, rates.
    skeleton : Skeleton
        Joint set of the poses.
    seed : int
        Seed of the first weights.
    device : torch.device
        Where batches are.
    """

    def __init__(
        self, config: LearnedAugmentationConfig, skeleton: Skeleton, seed: int, device: torch.device
    ) -> None:
        self.config = config
        self.skeleton = skeleton
        self.device = device
        judged = config.discriminator
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator: LearnedGenerator = config.generator.build(skeleton).to(device)
            makers: dict[str, nn.Module] = {"pose": self.generator}
            if config.placement == "learned" and isinstance(config.generator, GeneratorConfig):
                makers["position"] = TranslationGenerator(config.generator, skeleton).to(device)
            judges: dict[str, nn.Module] = {}
            if judged.critic == "parts":
                judges["3d"] = PartDiscriminator(judged, skeleton).to(device)
            elif judged.critic == "pairs":
                judges["3d"] = PairDiscriminator(judged, skeleton).to(device)
            if judged.critic != "none" and judged.keypoints != "none":
                judges["2d"] = KeypointDiscriminator(judged, skeleton).to(device)
            if judged.motion and "3d" in judges:
                judges["3d_motion"] = BoneMotionDiscriminator(judged, skeleton).to(device)
            if judged.motion and "2d" in judges:
                judges["2d_motion"] = KeypointMotionDiscriminator(judged, skeleton).to(device)
        self._makers = nn.ModuleDict(makers)
        self._judges = nn.ModuleDict(judges)
        self._pools = {name: HistoryPool(config.adversary.history) for name in judges}
        rate = config.adversary.learning_rate
        self._maker_optimizer = torch.optim.Adam(self._makers.parameters(), rate, fused=True)
        self._judge_optimizer = (
            torch.optim.Adam(self._judges.parameters(), rate, fused=True) if judges else None
        )
        self.steps = 0

    def positions(self, anchors: Tensor, rng: torch.Generator) -> Tensor:
        """Learned positions of the roots, (n, 3) metres, with ``placement: learned``."""
        position: Tensor = self._makers["position"](anchors, rng)
        return position

    def make(self, clips: Batch, place: Place, rng: torch.Generator) -> Made:
        """Augment clips, one set of parameters for each, given for its middle frame."""
        anchors = middle(clips.positions_camera)
        parameters = self.generator(anchors, rng, clips.up_camera)
        augmented = apply(clips.positions_camera, parameters, self.skeleton)
        return Made(parameters, augmented, place(augmented.rotated))

    def learn(
        self,
        clips: Batch,
        made: Made,
        real: Real,
        place: Place,
        rng: torch.Generator,
        *,
        progress: float,
        difficulty: Difficulty | None,
    ) -> None:
        """Improve the generator by one step and, every n-th time, the discriminators.

        Parameters
        ----------
        clips : Batch
            The batch that was augmented.
        made : Made
            Result of :meth:`make` for the batch; its graph is used up.
        real : Real
            What the discriminators shall take for real.
        place : Place
            As given to :meth:`make`.
        rng : torch.Generator
            Draws for the histories.
        progress : float
            Share of the run that is over; the rate falls with it and the feedback's range rises.
        difficulty : Difficulty or None
            The lifter's errors; None to leave the feedback out.
        """
        rate = self.config.adversary.learning_rate
        if self.config.adversary.decay == "linear":
            rate *= 1 - progress
        shown = self.shown(clips, made)
        loss = self.maker_loss(clips, made, shown, place, progress, difficulty)
        self._descend(self._maker_optimizer, self._makers.parameters(), loss, rate)
        if self._judge_optimizer is not None and self.steps % self.config.adversary.discriminator_every == 0:
            loss = self.judge_loss(shown, real, rng)
            self._descend(self._judge_optimizer, self._judges.parameters(), loss, rate)
        self.steps += 1

    def maker_loss(
        self,
        clips: Batch,
        made: Made,
        shown: Mapping[str, Tensor],
        place: Place,
        progress: float,
        difficulty: Difficulty | None,
    ) -> Tensor:
        """Weigh what the generator learns from, a scalar; arguments as of :meth:`learn` and :meth:`shown`.

        ``w_range (change + gains) + w_3d L_3d + w_2d L_2d``, and the lifter's part: PoseAug's feedback (the
        ratio of the errors after bone angles, in a range that rises over the run, and after everything), or
        how useful the poses are.
        """
        weights = self.config.adversary
        allowed = losses.Range(weights.change_centre, weights.change_half_width)
        loss = weights.weight_range * (
            losses.change_penalty(middle(made.augmented.change), allowed)
            + losses.gain_penalty(made.parameters.gains)
        )
        for kind, weight in (("3d", weights.weight_3d), ("2d", weights.weight_2d)):
            for name in (kind, f"{kind}_motion"):
                if name in shown:
                    told = losses.generator_loss(self._judges[name](shown[name]))
                    loss = loss + weight * losses.beyond(told, weights.critic_tolerance)
        if difficulty is None:
            return loss
        lifter = Asked(clips, made, place, difficulty, self.skeleton)
        return loss + self.config.feedback.weight * steering(self.config.feedback, lifter, progress)

    def judge_loss(self, shown: Mapping[str, Tensor], real: Real, rng: torch.Generator) -> Tensor:
        """Sum the discriminators' losses, a scalar; made samples are mixed with those of the history."""
        config = self.config.discriminator
        loss = torch.zeros((), device=self.device)
        for name, (of_real, of_made) in self._beside_real(shown, real).items():
            judge = self._judges[name]
            of_real = of_real.detach().requires_grad_(config.regularisation == "gradient_penalty")
            earlier = self._pools[name].exchange(of_made, rng)
            # Judges have no batch norm: both sides in one pass have the scores that each has by itself.
            scores, made_scores = torch.split(judge(torch.cat([of_real, earlier])), len(of_real))
            loss = loss + losses.discriminator_loss(scores, made_scores)
            if config.regularisation == "gradient_penalty":
                loss = loss + config.penalty_weight * losses.gradient_penalty(scores, [of_real])
        return loss

    def health(self, step: int, clips: Batch, made: Made, real: Real) -> Health:
        """Measure the signs of collapse on a batch; waits for the device."""
        samples = self.config.collapse.samples
        with torch.no_grad():
            scores = {
                name: accuracy(self._judges[name](of_real), self._judges[name](of_made))
                for name, (of_real, of_made) in self._beside_real(self.shown(clips, made), real).items()
            }
            bones = bone_vectors(middle(made.augmented.lengthened)[:samples], self.skeleton)
            anchors = bone_vectors(middle(clips.positions_camera)[:samples], self.skeleton)
        diversity, distance = neighbour_ratios(on_cpu(bones), on_cpu(anchors))
        angles, gains, turns = parameter_spreads(made.parameters)
        # A number of its own for the noise: a run that is looked at goes on as one that is not.
        up = None if clips.up_camera is None else clips.up_camera[:samples]
        follows = dependence(self.generator, middle(clips.positions_camera)[:samples], up, seed=step)
        return Health(
            step=step,
            accuracy_3d=scores.get("3d"),
            accuracy_2d=scores.get("2d"),
            angle_spread=angles,
            gain_spread=gains,
            turn_spread=None if self.config.generator.rotation == "none" else turns,
            diversity=diversity,
            distance=distance,
            angles_by_pose=follows.angles.pose,
            angles_common=follows.angles.common,
            gains_by_pose=follows.gains.pose,
            gains_common=follows.gains.common,
        )

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, histories, counter."""
        return {
            "makers": self._makers.state_dict(),
            "judges": self._judges.state_dict(),
            "maker_optimizer": self._maker_optimizer.state_dict(),
            "judge_optimizer": None if self._judge_optimizer is None else self._judge_optimizer.state_dict(),
            "pools": {name: pool.state_dict() for name, pool in self._pools.items()},
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._makers.load_state_dict(state["makers"])
        self._judges.load_state_dict(state["judges"])
        self._maker_optimizer.load_state_dict(state["maker_optimizer"])
        if self._judge_optimizer is not None:
            self._judge_optimizer.load_state_dict(state["judge_optimizer"])
        for name, pool in self._pools.items():
            pool.load_state_dict(state["pools"][name], self.device)
        self.steps = state["steps"]

    def _beside_real(self, shown: Mapping[str, Tensor], real: Real) -> dict[str, tuple[Tensor, Tensor]]:
        """Collect what each discriminator is shown: real, made."""
        rays = keypoint_form(real.rays, self.config.discriminator.keypoints, self.skeleton)
        of_real = {"3d": real.poses, "2d": rays}
        if real.steps is not None:
            of_real |= {"3d_motion": real.steps.poses, "2d_motion": in_person_sizes(real.steps.rays)}
        return {name: (of_real[name], of_made) for name, of_made in shown.items()}

    def shown(self, clips: Batch, made: Made) -> dict[str, Tensor]:
        """Bring what was made of clips into the form that each discriminator sees, by its name."""
        shown = {}
        if self.config.discriminator.critic == "pairs":
            pair = (middle(clips.positions_camera), middle(made.augmented.lengthened))
            shown["3d"] = torch.stack(pair, dim=1)
        elif self.config.discriminator.critic == "parts":
            shown["3d"] = middle(made.augmented.angled)
        if "2d" in self._judges:
            # The clamp is PoseAug's: a pose that is still close to the camera shall not dwarf the others.
            rays = rays_of(middle(made.placed.positions_camera)).clamp(-1, 1)
            shown["2d"] = keypoint_form(rays, self.config.discriminator.keypoints, self.skeleton)
        if "3d_motion" in self._judges:
            shown["3d_motion"] = middle_step(made.augmented.angled)
        if "2d_motion" in self._judges:
            steps = rays_of(middle_step(made.placed.positions_camera)).clamp(-1, 1)
            shown["2d_motion"] = in_person_sizes(steps)
        return shown

    def _descend(
        self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], loss: Tensor, rate: float
    ) -> None:
        learned = list(parameters)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        # Nothing else gets a gradient: not the lifter, and not the other side.
        torch.autograd.backward(loss, inputs=learned, retain_graph=False)
        nn.utils.clip_grad_norm_(learned, self.config.adversary.clip_norm)
        optimizer.step()
