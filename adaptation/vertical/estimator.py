"""From one track of keypoints to a distribution of where up is: a small network over sets of poses.

Poses of one person in one stretch of time are no independent witnesses: who leans in one frame leans in the
next. So the network is shown a whole track at once and pools the features of its poses (Zaheer et al., "Deep
Sets", NeurIPS 2017); its answer is a distribution of the vertical given all of them, a mixture of von
Mises-Fisher distributions, and is learned by its likelihood alone. Where people walk tells of the floor, so
places and sizes within the track are among its inputs; the order of the poses is not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseshift.adaptation.gravity import SphereMixture
from poseshift.geometry.perspective import clip_centre, perspective_rotation, rotate_rays
from poseshift.geometry.rotation import rotate_back

COMPONENTS = 10
"""Components of the mixture: a lying person and a camera on its side look alike, and there are two sides."""

_PER_COMPONENT = 5


class TrackEstimator(nn.Module):
    """A track's distribution of the vertical, and the distribution before any track was seen.

    Parameters
    ----------
    joints, root : int
        Number of the joints, and which is the root.
    width : int
        Hidden units of every layer.
    """

    def __init__(self, joints: int, root: int, width: int) -> None:
        super().__init__()
        self.root = root
        self.pose = nn.Sequential(
            nn.Linear(2 * joints + _ABOUT_PLACE, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
        )
        self.track = nn.Sequential(
            nn.Linear(3 * width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, _PER_COMPONENT * COMPONENTS),
        )
        self.nothing = nn.Parameter(torch.randn(_PER_COMPONENT * COMPONENTS))

    def forward(self, rays: Tensor) -> SphereMixture:
        """Answer for tracks.

        Parameters
        ----------
        rays : Tensor
            (n, poses, joints, 2), undistorted ray coordinates (x/z, y/z); any number of poses.

        Returns
        -------
        SphereMixture
            Of the direction against gravity, in camera axes.
        """
        inputs, rotation = _encoded(rays, self.root)
        features = self.pose(inputs)
        mean = features.mean(dim=1)
        spread = (features - mean[:, None]).square().mean(dim=1).add(1e-6).sqrt()
        found = _mixture(self.track(torch.cat([mean, spread, features.amax(dim=1)], dim=-1)))
        return SphereMixture(rotate_back(found.mean, rotation), found.concentration, found.log_weight)

    def prior(self) -> SphereMixture:
        """Answer without any track, one row: how cameras are held."""
        return _mixture(self.nothing[None])


_ABOUT_PLACE = 7
"""Inputs of a pose beside its joints: place (2), size against the track's (1), that (1), viewing ray (3)."""


def _encoded(rays: Tensor, root: int) -> tuple[Tensor, Tensor]:
    """See a track by a camera turned onto it: inputs (n, poses, channels), and the turn (n, 3, 3)."""
    rotation = perspective_rotation(clip_centre(rays))
    turned = rotate_rays(rays, rotation)
    place = turned[:, :, root]
    relative = turned - place[:, :, None]
    size = relative.square().mean(dim=(2, 3)).add(1e-8).sqrt()
    usual = size.mean(dim=1, keepdim=True)
    ray = rotation[:, 2].unsqueeze(1).expand(-1, rays.shape[1], 3)
    inputs = [
        (relative / size[..., None, None]).flatten(2),
        place / usual[..., None],
        (size / usual).log()[..., None],
        usual.log().expand_as(size)[..., None],
        ray,
    ]
    return torch.cat(inputs, dim=-1), rotation


def _mixture(answer: Tensor) -> SphereMixture:
    parts = answer.view(-1, COMPONENTS, _PER_COMPONENT)
    # The concentration is scaled so that first answers are tens of degrees wide.
    return SphereMixture(
        mean=nn.functional.normalize(parts[..., :3], dim=-1),
        concentration=4 * nn.functional.softplus(parts[..., 3]) + 0.1,
        log_weight=parts[..., 4].log_softmax(dim=-1),
    )
