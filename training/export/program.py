"""A lifter with everything around it as one program: keypoints in pixels in, root-relative metres out.

Encoding, network, and what is done to its output are inside, so that nothing of them has to be written again
where the file is used. Cameras are pinholes: a lens is removed from keypoints before.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.skeleton import skeleton
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.flip import lift


class Seen(NamedTuple):
    """Input of an exported lifter; the names are those of the program's inputs.

    Attributes
    ----------
    keypoints_px : Tensor
        (batch, frames, joints, 2), pixels from the image's upper left corner, x right, y down, free of lens
        distortion.
    focal_px, centre_px, size_px : Tensor
        (batch, 2) each, x then y: focal length, principal point, the image's width and height.
    """

    keypoints_px: Tensor
    focal_px: Tensor
    centre_px: Tensor
    size_px: Tensor


OUTPUT = "positions_m"
"""Name of the program's output."""


class KeypointsToPose(nn.Module):
    """A trained lifter from pixels to metres.

    Parameters
    ----------
    trained : TrainedLifter
        Its lifter is put into evaluation mode.
    """

    def __init__(self, trained: TrainedLifter) -> None:
        super().__init__()
        self.lifter = trained.lifter.eval()
        self.encoding = trained.encoding
        self.answer = trained.answer
        self.joint_set = skeleton(trained.lifter.skeleton)
        self.eval()

    def forward(self, keypoints_px: Tensor, focal_px: Tensor, centre_px: Tensor, size_px: Tensor) -> Tensor:
        """Lift the middle frame of each clip; inputs as in :class:`Seen`.

        Returns
        -------
        Tensor
            (batch, joints, 3), metres relative to the root joint, camera axes (x right, y down, z forward).
        """
        no_lens = focal_px[:, :0]
        intrinsics = Intrinsics(
            focal_px=focal_px,
            centre_px=centre_px,
            size_px=size_px,
            radial=no_lens,
            tangential=no_lens,
        )
        frame = self.lifter.frames // 2
        lifted = lift(self.lifter, self.encoding, keypoints_px, intrinsics)
        middle = frame if self.lifter.output == "all" else 0
        answered = self.answer.refine(
            lifted[:, middle : middle + 1], keypoints_px[:, frame : frame + 1], intrinsics, self.joint_set
        )
        return answered[:, 0]


def examples(program: KeypointsToPose, batch: int, seed: int) -> Seen:
    """Draw clips of joints round a place before a camera, each clip with a camera of its own.

    Parameters
    ----------
    program : KeypointsToPose
        Decides shape and device.
    batch, seed : int
        How many clips, and of which draw.
    """
    generator = torch.Generator().manual_seed(seed)
    lifter = program.lifter
    body = 0.4 * torch.randn(batch, lifter.frames, lifter.joints, 3, generator=generator)
    place = torch.tensor([0.0, 0.0, 5.0]) + 0.5 * torch.randn(batch, 1, 1, 3, generator=generator)
    points = body.clamp(-1.0, 1.0) + place
    size = torch.tensor([1000.0, 800.0]) * (0.5 + torch.rand(batch, 1, generator=generator))
    focal = size[:, :1] * (0.8 + 0.7 * torch.rand(batch, 2, generator=generator))
    centre = size * (0.45 + 0.1 * torch.rand(batch, 2, generator=generator))
    rays = points[..., :2] / points[..., 2:].clamp(min=1.0)
    keypoints = rays * focal[:, None, None] + centre[:, None, None]
    device = next(lifter.parameters()).device
    return Seen(*(one.to(device) for one in (keypoints, focal, centre, size)))
