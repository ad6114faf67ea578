"""Clips in front of the target's cameras: global position alignment off line, for stores of synthetic poses.

The same mathematics as in training, drawn once and kept, so that other programs can read the adapted poses
and an experiment can be repeated on exactly the same data.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from poseshift.adaptation.global_position import GlobalPositionConfig, place
from poseshift.adaptation.target_keypoints import TargetKeypoints, on_device
from poseshift.augmentation.draws import draw_rows
from poseshift.augmentation.synthesis import Staged
from poseshift.geometry.camera import Camera, stack_intrinsics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.arrays import array_digest


class TargetStage:
    """Put clips where target people stand: a :data:`poseshift.augmentation.synthesis.Stage`.

    Each call draws one of the target's cameras, in proportion to their poses, and for every clip one of the
    poses that this camera sees. Clips keep the motion of their own roots, whatever the options say: they are
    of any length and may be longer than anything that the target shows.

    Parameters
    ----------
    config : GlobalPositionConfig
        Options of the alignment.
    target : TargetKeypoints
        Keypoints and cameras of the target.
    source_skeleton : str
        Name of the joint set of the clips.

    Raises
    ------
    ValueError
        When the clips and the target have different joint sets.
    """

    def __init__(self, config: GlobalPositionConfig, target: TargetKeypoints, source_skeleton: str) -> None:
        if source_skeleton != target.skeleton:
            raise ValueError(f"source poses are {source_skeleton}, target keypoints {target.skeleton}")
        self.config = config
        self._target = target
        self._joint_set = skeleton(target.skeleton)
        self._rows = [np.flatnonzero(target.camera == row) for row in range(len(target.cameras))]
        self._shares = torch.as_tensor([float(len(rows)) for rows in self._rows])

    def __call__(self, clips: Tensor, camera: Camera, rng: torch.Generator) -> Staged:
        """Place clips (n, frames, joints, 3), metres; the source's camera is not used."""
        del camera
        number = int(torch.multinomial(self._shares, 1, generator=rng))
        rows = self._rows[number][draw_rows(len(self._rows[number]), len(clips), rng).numpy()]
        rays = torch.as_tensor(self._target.rays[rows])
        seen_by = self._target.cameras[number]
        intrinsics = on_device(stack_intrinsics([seen_by] * len(clips)), rays)
        return Staged(place(clips, rays, intrinsics, self.config, self._joint_set, rng), seen_by)

    @property
    def made_by(self) -> dict[str, str]:
        """Options and a digest of the target, to keep with a store of placed poses."""
        return {
            "placement": f"{self.config.copied}, {self.config.root_form}",
            "target": _digest(self._target),
            **{name: str(value) for name, value in self.config.model_dump().items()},
        }


def _digest(target: TargetKeypoints) -> str:
    cameras = hashlib.sha256(repr(target.cameras).encode()).hexdigest()
    seen = (array_digest(target.rays), array_digest(target.camera), cameras)
    return hashlib.sha256(" ".join(seen).encode()).hexdigest()
