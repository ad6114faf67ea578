"""Where gravity points in the axes of target cameras, learned without labels from 2D keypoints alone.

The source's gravity is known, so its poses can be shown from any side: a small network learns to find the
direction against gravity from one pose's keypoints, seen through the target's intrinsics at the target's
positions. One pose leaves much open (a bent back, the mirror ambiguity of depth), so the answer is a
distribution on the sphere, a mixture of von Mises-Fisher distributions. A static camera has one gravity: the
answers to all of its poses are pooled, with a share of outliers allowed. Answers before a camera that moves
are turned into the axes of its world first. Where people are built or stand otherwise than the source's,
gravity is found a few degrees off.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig
from poseshift.adaptation.orientation import turn_upright
from poseshift.adaptation.target_keypoints import TargetKeypoints, on_device, pixels_of
from poseshift.augmentation.draws import draw_directions, draw_rows
from poseshift.geometry.camera import stack_intrinsics
from poseshift.geometry.rotation import rotate, rotate_back
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.model import FrozenModel, is_left_out, is_still
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import PerspectiveEncoding
from poseshift.training.run_state import derive_seed

_LOG = logging.getLogger(__name__)

_GRID = 4000
"""Candidate directions over the whole sphere: about 3 degrees from one to the next."""

_REFINEMENTS = (0.06, 0.012)
"""Deviations (radians) of the candidates that are drawn again around the best one."""


class GravityConfig(FrozenModel):
    """How the directions against gravity of target cameras are learned."""

    steps: int = Field(default=1000, ge=1, description="Training steps of the estimator.")
    batch_size: int = Field(default=512, ge=1, description="Source poses in a step.")
    width: int = Field(default=512, ge=1, description="Hidden units of its three layers.")
    components: int = Field(default=8, ge=1, description="Components of the mixture that it answers with.")
    learning_rate: float = Field(default=1e-3, gt=0, description="AdamW's peak rate; it decays as a cosine.")
    poses_per_camera: int = Field(
        default=512, ge=1, description="Target poses pooled for a camera, evenly spread over those it sees."
    )
    outlier_share: float = Field(
        default=0.1, gt=0, lt=1, description="Share of poses that may not show their camera's gravity."
    )


@dataclass(frozen=True)
class SphereMixture:
    """Mixtures of von Mises-Fisher distributions on the unit sphere.

    Attributes
    ----------
    mean : Tensor
        (n, components, 3), unit vectors.
    concentration : Tensor
        (n, components), above zero.
    log_weight : Tensor
        (n, components), logarithms of weights that sum to one.
    """

    mean: Tensor
    concentration: Tensor
    log_weight: Tensor

    def expanded(self, count: int) -> SphereMixture:
        """Repeat one mixture (1, components, ...) for so many rows."""
        return SphereMixture(
            self.mean.expand(count, -1, -1),
            self.concentration.expand(count, -1),
            self.log_weight.expand(count, -1),
        )

    def log_density(self, directions: Tensor) -> Tensor:
        """Log density per steradian of candidates (candidates, 3) under each mixture, (n, candidates)."""
        return self._log_sum(torch.einsum("nkd,cd->nkc", self.mean, directions))

    def log_density_at(self, directions: Tensor) -> Tensor:
        """Log density per steradian of one direction (n, 3) for each mixture, (n,)."""
        return self._log_sum((self.mean * directions[:, None]).sum(dim=-1, keepdim=True))[:, 0]

    def _log_sum(self, cosine: Tensor) -> Tensor:
        k = self.concentration
        log_scale = torch.log(k) - math.log(2 * math.pi) - torch.log1p(-torch.exp(-2 * k))
        logs = (self.log_weight + log_scale)[..., None] + k[..., None] * (cosine - 1)
        return torch.logsumexp(logs, dim=1)


class GravityEstimator(nn.Module):
    """From one encoded pose to a distribution of the direction against gravity, in the encoding's axes.

    Parameters
    ----------
    joints, channels : int
        Size of the encoded keypoints.
    config : GravityConfig
        Sizes.
    """

    def __init__(self, joints: int, channels: int, config: GravityConfig) -> None:
        super().__init__()
        width, self.components = config.width, config.components
        self.layers = nn.Sequential(
            nn.Linear(joints * channels, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, 5 * self.components),
        )

    def forward(self, inputs: Tensor) -> SphereMixture:
        """Answer for encoded poses (n, 1, joints, channels)."""
        answer = self.layers(inputs.flatten(1)).unflatten(-1, (self.components, 5))
        # The concentration is scaled so that the network's first answers are tens of degrees wide.
        return SphereMixture(
            mean=nn.functional.normalize(answer[..., :3], dim=-1),
            concentration=4 * nn.functional.softplus(answer[..., 3]) + 0.1,
            log_weight=answer[..., 4].log_softmax(dim=-1),
        )


GravityKind = Literal["given", "learned", "rig", "pseudo-labels"]
"""By what a vertical is known: calibration or statement, tracks of people, those of a rig, lifted poses."""


class FoundGravity(FrozenModel):
    """What was found for one camera."""

    camera: str = Field(description="Name of the camera.")
    up: tuple[float, float, float] | None = Field(
        description="Unit vector against gravity in the camera's axes, or in the world's of one that moves; "
        "none for a camera without poses."
    )
    poses: int = Field(description="Poses pooled.")
    spread_degrees: float | None = Field(
        description="Median angle between the answer to a single pose and the pooled answer."
    )
    interval_degrees: float | None = Field(
        default=None,
        exclude_if=is_left_out,
        description="Angle about `up` within which the truth lies in nine of ten cases; none: not known.",
    )
    kind: GravityKind | None = Field(
        default=None,
        exclude_if=is_left_out,
        description="By what it is known; none: by single poses.",
    )
    moves: bool = Field(
        default=False,
        exclude_if=is_still(False),
        description="Whether the camera moves, and `up` is in the axes of its world.",
    )

    @classmethod
    def pooled(cls, camera: str, up: Tensor, answers: Tensor) -> FoundGravity:
        """Describe a pooled answer.

        Parameters
        ----------
        camera : str
            Name of the camera.
        up : Tensor
            (3,), the pooled answer, a unit vector.
        answers : Tensor
            (n, 3), the answers to single poses, unit vectors.
        """
        x, y, z = up.tolist()
        angles = (answers * up).sum(dim=-1).clamp(-1, 1).acos()
        spread = math.degrees(float(angles.median()))
        return cls(camera=camera, up=(x, y, z), poses=len(answers), spread_degrees=spread)

    @classmethod
    def without_poses(cls, camera: str) -> FoundGravity:
        """Describe a camera that sees no pose, for which nothing can be found."""
        return cls(camera=camera, up=None, poses=0, spread_degrees=None)


class CameraGravity(FrozenModel):
    """What was found for the cameras of a target, in the order of its camera table."""

    cameras: tuple[FoundGravity, ...]

    @property
    def up(self) -> Tensor:
        """Unit vectors against gravity, (cameras, 3) float32; NaN for a camera without poses."""
        return torch.tensor([found.up or (math.nan,) * 3 for found in self.cameras])


def learn_camera_gravity(
    source: DevicePoses, target: TargetKeypoints, config: GravityConfig, seed: int
) -> CameraGravity:
    """Train an estimator on turned source poses and pool its answers for each target camera.

    Parameters
    ----------
    source : DevicePoses
        Labelled poses of calibrated cameras, on the device to compute on.
    target : TargetKeypoints
        Keypoints and intrinsics of the target.
    config : GravityConfig
        Sizes and steps.
    seed : int
        Seed of weights and draws.
    """
    estimator = train_gravity_estimator(source, target, config, seed)
    return camera_gravity(estimator, target, config)


def train_gravity_estimator(
    source: DevicePoses, target: TargetKeypoints, config: GravityConfig, seed: int
) -> GravityEstimator:
    """Train on source poses turned uniformly over the sphere and placed where target people are seen.

    Returns
    -------
    GravityEstimator
        On the source's device, in evaluation mode; its inputs are :class:`PerspectiveEncoding`'s.
    """
    device, joint_set = source.device, skeleton(source.skeleton)
    single = replace(source, frames=1)
    position = GlobalPositionAlignment(GlobalPositionConfig(), target, device)
    encoding = PerspectiveEncoding()
    generator = torch.Generator(device).manual_seed(derive_seed(seed, 0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, 1))
        estimator = GravityEstimator(joint_set.joints, encoding.channels, config).to(device)
    optimizer = torch.optim.AdamW(estimator.parameters(), lr=config.learning_rate)
    course = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for _ in range(config.steps):
        batch = single.batch(draw_rows(len(single), config.batch_size, generator))
        wanted = draw_directions(len(batch), batch.positions_camera, generator)
        batch = position(turn_upright(batch, wanted, joint_set.root, generator), generator)
        encoded = encoding.encode(batch.keypoints_px, batch.intrinsics, generator)
        loss = -estimator(encoded.inputs).log_density_at(rotate(wanted, encoded.rotation)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(estimator.parameters(), 1.0)
        optimizer.step()
        course.step()
    return estimator.eval()


@torch.no_grad()
def camera_gravity(
    estimator: GravityEstimator, target: TargetKeypoints, config: GravityConfig
) -> CameraGravity:
    """Pool the answers to all poses of each camera of the target; see the module's text."""
    device = next(estimator.parameters()).device
    intrinsics = on_device(stack_intrinsics(target.cameras), torch.empty(0, device=device))
    cameras: list[FoundGravity] = []
    for row, camera in enumerate(target.cameras):
        seen = np.flatnonzero(target.camera == row)
        if len(seen) == 0:
            cameras.append(FoundGravity.without_poses(camera.name))
            continue
        seen = seen[np.linspace(0, len(seen) - 1, min(len(seen), config.poses_per_camera)).astype(np.intp)]
        rays = torch.as_tensor(target.rays[seen], device=device)[:, None]
        one = intrinsics[torch.full((len(seen),), row, device=device)]
        encoded = PerspectiveEncoding().encode(pixels_of(rays, one), one)
        mixture = estimator(encoded.inputs)
        mean = rotate_back(mixture.mean, encoded.rotation)
        if target.turns is not None:  # to the axes that all frames have in common
            mean = rotate_back(mean, torch.as_tensor(target.turns[seen], device=device))
        common = replace(mixture, mean=mean)
        up = pooled_direction(common, config.outlier_share)
        found = FoundGravity.pooled(camera.name, up, _heaviest(common))
        _LOG.info(
            "camera %s: up is (%.3f, %.3f, %.3f), spread %.1f degrees",
            found.camera,
            *up.tolist(),
            found.spread_degrees,
        )
        cameras.append(found)
    return CameraGravity(cameras=tuple(cameras))


def pooled_direction(mixture: SphereMixture, outlier_share: float) -> Tensor:
    """Direction of the highest likelihood when all mixtures are about one direction, but for outliers.

    Each density becomes ``(1 - outlier_share) density + outlier_share / (4 pi)``; the mean of the logarithms
    is searched over the sphere, then twice ever closer around the best direction.

    Returns
    -------
    Tensor
        (3,), a unit vector.
    """
    floor = math.log(outlier_share / (4 * math.pi))
    grid = sphere_lattice(_GRID, like=mixture.mean)
    best = _best_of(mixture, grid, floor, math.log1p(-outlier_share))
    steps = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)).to(grid)
    for radius in _REFINEMENTS:
        near = nn.functional.normalize(best + radius * steps, dim=-1)
        best = _best_of(mixture, near, floor, math.log1p(-outlier_share))
    return best


def _best_of(mixture: SphereMixture, candidates: Tensor, floor: float, log_share: float) -> Tensor:
    densities = mixture.log_density(candidates) + log_share
    score = torch.logaddexp(densities, densities.new_tensor(floor)).mean(dim=0)
    return candidates[score.argmax()]


def sphere_lattice(count: int, like: Tensor) -> Tensor:
    """Fibonacci's lattice: nearly even directions over the sphere, (count, 3), of the dtype of a tensor."""
    index = torch.arange(count, device=like.device, dtype=like.dtype) + 0.5
    z = 1 - 2 * index / count
    azimuth = math.pi * (1 + math.sqrt(5)) * index
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), z], dim=-1)


def _heaviest(mixture: SphereMixture) -> Tensor:
    """Mean of the component with the largest weight in each mixture, (n, 3)."""
    heaviest = mixture.log_weight.argmax(dim=-1)
    return mixture.mean[torch.arange(len(heaviest), device=heaviest.device), heaviest]
