"""Fine-tuning on the target's own keypoints, without any 3D: unlabelled losses beside the labelled batches.

In the last share of a training's steps the lifter answers for target keypoints as well, and what the answers
say about themselves (:mod:`poseshift.adaptation.target_terms`) is added to the loss of the labelled batch,
which keeps what was learned. The first share of the steps is that of the same method without this part,
step for step.

The lifter is shown labelled and target clips as one batch, so that its normalisation has the statistics of
both. With dropout its noise counts as a change of bones.

Re-projection alone hardly speaks of depth, and answers can agree with each other and be wrong. What answers
look like is therefore recorded while it goes on: how deep they are, and how large, beside the source's poses.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from poseshift.adaptation.target_clips import Pairs, Tracks, Triples, shown
from poseshift.adaptation.target_terms import (
    bone_constancy,
    bone_symmetry,
    depth_spread,
    reprojection,
    smoothness,
    view_agreement,
)
from poseshift.adaptation.tuning_config import TargetTuning, TuningCheck
from poseshift.augmentation.clips import middle
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise
from poseshift.geometry.rotation import rotate_back
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.training.answer import RaysSnap, on_rays
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.transforms import TrainingRun

logger = logging.getLogger(__name__)

DRIFT = 1.5
"""Answers whose depth or size is this many times what it was before tuning, or fewer than one over it, have
drifted: the log says so."""


@dataclass(frozen=True)
class _Answers:
    """A lifter's answers to the rows of a step: tracks first, then pairs, then triples.

    Attributes
    ----------
    rows : Tensor of shape (n,)
        Of the target.
    relative, measured : Tensor of shape (n, joints, 3)
        Metres, relative to the root: as the network gave it, and as bones and views are measured on it.
    rays : Tensor of shape (n, joints, 2)
        Its keypoints, undistorted.
    seen : Tensor of shape (n, joints)
        Whether they were there.
    """

    rows: Tensor
    relative: Tensor
    measured: Tensor
    rays: Tensor
    seen: Tensor


@dataclass(frozen=True)
class _Drawn:
    """The target's clips of a step: their rows, and the middle frames' keypoints with their cameras."""

    rows: Tensor
    keypoints_px: Tensor
    intrinsics: Intrinsics


_TERMS = ("reprojection", "bones", "symmetry", "multi_view", "smoothness")


class TargetLoss:
    """The target's terms: a :class:`poseshift.training.transforms.LossBeside`.

    Parameters
    ----------
    config : TargetTuning
        Weights and when.
    source : CameraPoses
        Labelled poses, beside which the depth and size of answers are recorded.
    target : CameraPoses
        The target's poses without their 3D, with NaN where a keypoint is missing.
    device : torch.device
        Where batches lie.

    Raises
    ------
    ValueError
        When no pose of the target can be used, or views shall agree and no frame has two.
    """

    def __init__(
        self, config: TargetTuning, source: CameraPoses, target: CameraPoses, device: torch.device
    ) -> None:
        self.config = config
        visible = shown(target)
        self._target, self._device = visible.poses, device
        self._seen = torch.as_tensor(visible.seen, device=device)
        self._tracks = Tracks(visible.poses, config.span_s, device)
        self._pairs = Pairs(visible.poses, device) if config.multi_view > 0 else None
        self._triples = Triples(visible.poses, device) if config.smoothness > 0 else None
        labels = torch.as_tensor(source.positions_camera)
        joint_set = skeleton(source.skeleton)
        self._source_spread = float(depth_spread(labels, joint_set).mean())
        self._source_size = float(bone_lengths(labels, joint_set).mean())
        self._run: TrainingRun | None = None
        self._poses: DevicePoses | None = None
        self._drawn: _Drawn | None = None
        self._step = 0
        self._sums = torch.zeros(len(_TERMS) + 2, device=device)
        self._counted = 0
        self.checks: list[TuningCheck] = []

    def attach(self, run: TrainingRun) -> None:
        """Begin a run; see the protocol."""
        self._run = run
        poses = DevicePoses.from_columns(self._target, self._device, run.lifter.frames, run.clip_hz)
        self._poses = poses.with_rays() if run.encoding.sees_rays else poses
        self._step, self._counted, self.checks = 0, 0, []
        self._sums = torch.zeros_like(self._sums)

    def state_dict(self) -> dict[str, Any]:
        """Step, checks, and the sums of the next one."""
        return {
            "step": self._step,
            "sums": self._sums,
            "counted": self._counted,
            "checks": [check.model_dump() for check in self.checks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._step, self._counted = state["step"], state["counted"]
        self._sums = state["sums"].to(self._device)
        self.checks = [TuningCheck.model_validate(check) for check in state["checks"]]

    def draw(self, generator: torch.Generator) -> Batch | None:
        """Draw the target's clips of a step, once it is time."""
        run, poses = self._in_run()
        config = self.config
        self._step += 1
        if self._step <= round(config.first * run.total_steps):
            return None
        drawn = [self._tracks.draw(config.tracks, config.frames, generator)]
        if self._pairs is not None:
            drawn.append(self._pairs.draw(config.pairs, generator))
        if self._triples is not None:
            drawn.append(self._triples.draw(config.tracks, generator))
        rows = torch.cat([group.flatten() for group in drawn])
        batch = poses.batch(rows)
        self._drawn = _Drawn(rows, middle(batch.keypoints_px), batch.intrinsics)
        return batch

    def whole(self, labelled: Tensor, answers: Tensor) -> Tensor:
        """Add the target's terms to the loss of a labelled batch."""
        run, _ = self._in_run()
        joint_set = skeleton(run.lifter.skeleton)
        judged = self._judged(middle(answers), joint_set.root)
        terms = self._terms(judged, joint_set)
        whole = self.config.labelled * labelled
        for name, value in terms.items():
            whole = whole + getattr(self.config, name) * value
        self._look(judged, terms, run)
        return whole

    def _judged(self, relative: Tensor, root: int) -> _Answers:
        """Put answers beside what was seen."""
        drawn = self._drawn
        if drawn is None:
            raise RuntimeError("answers are to clips that were drawn; call `draw` first")
        clip, seen_at = relative[:, None], drawn.keypoints_px[:, None]
        measured = relative
        if self.config.measured == "rays":
            measured = middle(on_rays(RaysSnap(), clip, seen_at, drawn.intrinsics, root))
        rays = middle(normalise(seen_at, drawn.intrinsics))
        return _Answers(drawn.rows, relative, measured, rays, self._seen[drawn.rows])

    def _terms(self, answers: _Answers, joint_set: Skeleton) -> dict[str, Tensor]:
        """Give the value of every term; views and smoothness only where they have a weight."""
        config, joints = self.config, joint_set.joints
        at = config.threshold
        end = config.tracks * config.frames
        tracks = answers.measured[:end].view(config.tracks, config.frames, joints, 3)
        seen = answers.seen[:end].view(config.tracks, config.frames, joints)
        terms = {
            "reprojection": reprojection(answers.relative, answers.rays, answers.seen, at),
            "bones": bone_constancy(tracks, seen, joint_set, at),
            "symmetry": bone_symmetry(tracks, seen, joint_set, at),
        }
        if self._pairs is not None:
            pairs = slice(end, end + 2 * config.pairs)
            rotation = self._pairs.rotation(answers.rows[pairs])
            world = rotate_back(answers.measured[pairs], rotation)
            both = world.view(config.pairs, 2, joints, 3)
            known = answers.seen[pairs].view(config.pairs, 2, joints).all(dim=1)
            terms["multi_view"] = view_agreement(both[:, 0], both[:, 1], known, joint_set, at)
        if self._triples is not None:
            triples = answers.measured[-3 * config.tracks :].view(config.tracks, 3, joints, 3)
            terms["smoothness"] = smoothness(triples, joint_set, at)
        return terms

    @torch.no_grad()
    def _look(self, answers: _Answers, terms: dict[str, Tensor], run: TrainingRun) -> None:
        """Sum up what answers are like, and record it every so often."""
        joint_set = skeleton(run.lifter.skeleton)
        nothing = self._sums.new_zeros(())
        self._sums += torch.stack(
            [
                *(terms.get(name, nothing) for name in _TERMS),
                depth_spread(answers.measured, joint_set).mean() / self._source_spread,
                bone_lengths(answers.measured, joint_set).mean() / self._source_size,
            ]
        )
        self._counted += 1
        done = run.total_steps == self._step
        if self.checks and self._counted < self.config.check_every and not done:
            return
        means = (self._sums / self._counted).tolist()
        reprojected, bones, symmetry, views, motion, spread, size = means
        check = TuningCheck(
            step=self._step,
            reprojection=reprojected,
            bones=bones,
            symmetry=symmetry,
            multi_view=views if "multi_view" in terms else None,
            smoothness=motion if "smoothness" in terms else None,
            depth_spread=spread,
            size=size,
        )
        self.checks.append(check)
        if has_drifted(self.checks[0], check):
            logger.warning(
                "answers to target keypoints have drifted by step %d: over the source's, their depth is %.2f "
                "and their size %.2f; before tuning %.2f and %.2f. Lower the weights of the target's terms",
                check.step,
                check.depth_spread,
                check.size,
                self.checks[0].depth_spread,
                self.checks[0].size,
            )
        self._sums, self._counted = torch.zeros_like(self._sums), 0

    def _in_run(self) -> tuple[TrainingRun, DevicePoses]:
        if self._run is None or self._poses is None:
            raise RuntimeError("the target's terms are of a lifter in training; give them to fit")
        return self._run, self._poses


def has_drifted(before: TuningCheck, now: TuningCheck) -> bool:
    """Whether answers became much flatter, deeper, smaller or larger than they were."""
    pairs = ((before.depth_spread, now.depth_spread), (before.size, now.size))
    return any(not 1 / DRIFT < new / max(old, 1e-9) < DRIFT for old, new in pairs)
