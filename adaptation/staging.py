"""Augmented clips before the target's cameras: global position alignment for stores of augmented poses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from poseshift.adaptation.global_position import (
    GlobalPositionConfig,
    TargetKeypoints,
    draw_rows,
    on_device,
    place,
)
from poseshift.augmentation.synthesis import Staged
from poseshift.geometry.camera import Camera, stack_intrinsics
from poseshift.geometry.skeleton import skeleton


class TargetStage:
    """Put clips where target people stand: a :data:`poseshift.augmentation.synthesis.Stage`.

    Each call draws one of the target's cameras, in proportion to their poses, and for every clip one of the
    poses that this camera sees.

    Parameters
    ----------
    config : options of the alignment.
    target : keypoints and cameras of the target.
    """

    def __init__(self, config: GlobalPositionConfig, target: TargetKeypoints) -> None:
        self.config = config
        self._target = target
        self._root = skeleton(target.skeleton).root
        self._rows = [np.flatnonzero(target.camera == row) for row in range(len(target.cameras))]
        self._shares = torch.as_tensor([float(len(rows)) for rows in self._rows])

    def __call__(self, clips: Tensor, camera: Camera, rng: torch.Generator) -> Staged:
        """Place clips (n, frames, joints, 3); the source's camera plays no part."""
        del camera
        number = int(torch.multinomial(self._shares, 1, generator=rng))
        rows = self._rows[number][draw_rows(len(self._rows[number]), len(clips), rng).numpy()]
        rays = torch.as_tensor(self._target.rays[rows])
        seen_by = self._target.cameras[number]
        intrinsics = on_device(stack_intrinsics([seen_by] * len(clips)), rays)
        return Staged(place(clips, rays, intrinsics, self.config, self._root, rng), seen_by)
