"""Poses augmented at random, without learning: the control of PoseDA's generator, and almost free."""

from __future__ import annotations

import torch
from pydantic import Field

from poseshift.augmentation.clips import middle
from poseshift.augmentation.generator import RandomChanges, RandomParameters
from poseshift.augmentation.transforms import apply, turn_up
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.batches import Batch


class RandomAugmentationConfig(RandomChanges):
    """What is changed, by how much, and in how many clips of a batch."""

    share: float = Field(default=0.5, gt=0, le=1, description="Share of every batch that is augmented.")


class RandomAugmentation:
    """Augment the first clips of every batch where they stand: a ``BatchTransform``.

    Parameters
    ----------
    config : RandomAugmentationConfig
        What is changed, by how much, and in how many clips.
    skeleton : Skeleton
        Joint set of the poses.
    """

    def __init__(self, config: RandomAugmentationConfig, skeleton: Skeleton) -> None:
        self.config = config
        self._skeleton = skeleton
        self._draw = RandomParameters(skeleton, config)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one set of parameters per clip; rows come in random order, so the first are as good as any."""
        count = max(1, round(self.config.share * len(batch)))
        chosen = self._augmented(batch[:count], generator)
        return chosen if count >= len(batch) else chosen.joined(batch[count:])

    def _augmented(self, clips: Batch, generator: torch.Generator) -> Batch:
        parameters = self._draw(middle(clips.positions_camera), generator, clips.up_camera)
        augmented = apply(clips.positions_camera, parameters, self._skeleton)
        up = turn_up(clips.up_camera, augmented.rotation)
        return Batch.seen(augmented.rotated, clips.intrinsics, up)
