"""A generator that begins as random augmentation and learns where to depart from it.

Headings are drawn and not learned. A bone's offset and a length's gain are a shift plus a spread times noise;
shift and spread are functions of the pose, which is seen in its own body's axes. At first all shifts are zero
and the spreads those of :class:`poseshift.augmentation.generator.RandomChanges`, so that an untrained
generator is random augmentation. No spread can fall below its floor, so the noise cannot be learned away; and
shifts are zero in the mean over poses: without that, what was learned was one shift for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.bodies import body_axes
from poseshift.augmentation.draws import draw_normal, draw_uniform
from poseshift.augmentation.generator import RandomRotations, centred, draw_turns
from poseshift.augmentation.transforms import PoseParameters
from poseshift.geometry.rotation import rotate, rotate_back
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.model import FrozenModel


class ConditionalGeneratorConfig(FrozenModel):
    """Size of the network, strength of the noise at first and at least, and how far shifts may go."""

    kind: Literal["conditional"] = Field(
        default="conditional",
        description="Drawn turns; angles and gains are a shift and noise, both by the pose.",
    )
    width: int = Field(default=256, ge=1, description="Hidden width.")
    stages: int = Field(default=1, ge=0, description="Hidden layers after the first one.")
    angle_spread: float = Field(
        default=0.2, gt=0, description="First standard deviation of the offsets of unit bone vectors."
    )
    least_angle_spread: float = Field(default=0.1, ge=0, description="Floor of that deviation.")
    largest_angle_shift: float = Field(
        default=0.3, ge=0, description="Bound of the shift of each number of an offset, before centring."
    )
    length_range: float = Field(
        default=0.1, gt=0, lt=0.4, description="First range of the gains' uniform noise, either way."
    )
    least_length_range: float = Field(default=0.05, ge=0, description="Floor of that range.")
    largest_length_shift: float = Field(
        default=0.1, ge=0, lt=0.2, description="Bound of a gain's shift, before centring."
    )
    rotation: RandomRotations = Field(
        default="free",
        description="How turns are drawn: see the rotation of random changes.",
    )

    @model_validator(mode="after")
    def _floors_are_below(self) -> ConditionalGeneratorConfig:
        for least, first in (("least_angle_spread", "angle_spread"), ("least_length_range", "length_range")):
            floor, start = getattr(self, least), getattr(self, first)
            if floor > start:
                raise ValueError(
                    f"{least} ({floor}) is above {first} ({start}), where it begins; lower the floor"
                )
        return self

    def build(self, skeleton: Skeleton) -> ConditionalGenerator:
        """Build the generator with first weights."""
        return ConditionalGenerator(self, skeleton)


@dataclass(frozen=True)
class Moments:
    """What the parameters of each pose are drawn around, in the axes of its body.

    Attributes
    ----------
    angle_shift, angle_spread : Tensor
        (n, bones, 3), mean and standard deviation of the offsets of unit bone vectors.
    gain_shift, gain_range : Tensor
        (n, groups), mean and largest deviation of the relative changes of length.
    """

    angle_shift: Tensor
    angle_spread: Tensor
    gain_shift: Tensor
    gain_range: Tensor


class ConditionalGenerator(nn.Module):
    """Learned shifts and spreads, drawn turns: a :class:`poseshift.augmentation.generator.ParameterSource`.

    Parameters
    ----------
    config : ConditionalGeneratorConfig
        Sizes, floors and bounds.
    skeleton : Skeleton
        Joint set of the poses.
    """

    def __init__(self, config: ConditionalGeneratorConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config = config
        self.skeleton = skeleton
        self.bones = len(skeleton.bones)
        self.groups = anatomy(skeleton).groups
        inputs = 3 * skeleton.joints
        # Each number of a pose gets mean 0 and deviation 1; the root's zeros stay zeros.
        layers: list[nn.Module] = [nn.BatchNorm1d(inputs, affine=False)]
        for width in (inputs, *[config.width] * config.stages):
            layers += [nn.Linear(width, config.width), nn.LeakyReLU()]
        last = nn.Linear(config.width, 2 * (3 * self.bones + self.groups))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(*layers, last)
        self.centre = _Centre(3 * self.bones + self.groups)

    @property
    def needs_up(self) -> bool:
        """Whether turns are upright."""
        return self.config.rotation == "upright"

    def axes_of(self, poses: Tensor) -> Tensor:
        """Axes (n, 3, 3) in which the offsets are made: the body's own, as columns."""
        return body_axes(poses, self.skeleton)

    def moments(self, poses: Tensor) -> Moments:
        """Give what the parameters of poses (n, joints, 3) are drawn around."""
        config, n, numbers = self.config, len(poses), 3 * self.bones
        seen: Tensor = rotate_back(centred(poses, self.skeleton), self.axes_of(poses))
        shift, spread = self.network(seen.flatten(1)).chunk(2, dim=1)
        shift, factor = self.centre(torch.tanh(shift)), 2 * torch.sigmoid(spread)
        angle_spread = _above(config.least_angle_spread, config.angle_spread, factor[:, :numbers])
        return Moments(
            angle_shift=(config.largest_angle_shift * shift[:, :numbers]).reshape(n, self.bones, 3),
            angle_spread=angle_spread.reshape(n, self.bones, 3),
            gain_shift=config.largest_length_shift * shift[:, numbers:],
            gain_range=_above(config.least_length_range, config.length_range, factor[:, numbers:]),
        )

    def forward(self, poses: Tensor, rng: torch.Generator, up: Tensor | None = None) -> PoseParameters:
        """Draw the parameters of each pose; arguments as of ``PoseGenerator.forward``."""
        n, around = len(poses), self.moments(poses)
        normal = draw_normal((n, self.bones, 3), poses, rng)
        uniform = draw_uniform((n, self.groups), -1, 1, poses, rng)
        angles: Tensor = rotate(around.angle_shift + around.angle_spread * normal, self.axes_of(poses))
        return PoseParameters(
            angles=angles,
            gains=around.gain_shift + around.gain_range * uniform,
            axis_angle=draw_turns(self.config.rotation, n, poses, rng, up),
        )


class _Centre(nn.Module):
    """Take the mean over poses away: that of the batch, which is kept as a running one for evaluation."""

    mean: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))

    def forward(self, values: Tensor) -> Tensor:
        """Centre values (n, numbers)."""
        if not self.training:
            return values - self.mean
        mean = values.mean(dim=0)
        with torch.no_grad():
            self.mean.lerp_(mean, _MEMORY)
        return values - mean


_MEMORY = 0.1
"""Weight of a batch in the running mean, as in batch norm."""


def _above(least: float, first: float, factor: Tensor) -> Tensor:
    """Stay above a floor; a factor of 1, in the middle of its range from 0 to 2, gives the first value."""
    return least + (first - least) * factor
