"""Generators of augmentation parameters: small networks from pose and noise to angles, gains, rotation.

Sizes follow PoseAug's released code (Gong et al., CVPR 2021). Every network sees the original pose and noise
of its own; what they give is applied one after the other by :mod:`poseshift.augmentation.transforms`. Beside
the learned generator stands one that draws at random, as a control and for use without training. The learned
one that begins as the random one is :mod:`poseshift.augmentation.conditional_generator`.
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.draws import draw_directions, draw_normal, draw_uniform
from poseshift.augmentation.transforms import PoseParameters, length_gains, rotation_vector
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.constants import constant
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.model import FrozenModel, is_still

Rotations = Literal["free", "upright", "viewing_axis", "none"]
RandomRotations = Literal["free", "upright", "viewing_axis", "mixed", "none"]
BoneChanges = Literal["angles_and_lengths", "angles", "lengths", "none"]


_FORWARD = (0.0, 0.0, 1.0)
_ABOUT_VIEW = 0.5


class ParameterSource(Protocol):
    """Gives the parameters that poses are augmented by."""

    @property
    def needs_up(self) -> bool:
        """Whether it turns bodies about the direction against gravity, which it must be told then."""

    def __call__(self, poses: Tensor, rng: torch.Generator, up: Tensor | None = None, /) -> PoseParameters:
        """Draw the parameters of each pose.

        Parameters
        ----------
        poses : Tensor
            (n, joints, 3), metres, camera axes.
        rng : torch.Generator
            Draws; on the device of the poses.
        up : Tensor or None
            (n, 3), unit vectors against gravity in camera axes; None where they are not known.

        Raises
        ------
        ValueError
            When ``up`` is needed and not known.
        """


UP_ADVICE = (
    "Choose rotation 'viewing_axis', 'free' or 'none', or take poses of cameras with extrinsics, prepared "
    "from the data set's release"
)
"""What somebody can do who has asked for upright turns of poses whose up is not known."""


class GeneratorConfig(FrozenModel):
    """Sizes of the parameter generators, and which turns they may make."""

    kind: Literal["network"] = Field(
        default="network",
        exclude_if=is_still("network"),
        description="Networks give angles, gains and turns from pose and noise, as in PoseAug.",
    )
    width: int = Field(default=256, ge=1, description="Hidden width of every generator.")
    noise: int = Field(default=48, ge=1, description="Normal random numbers that each generator is given.")
    stages: int = Field(
        default=2, ge=0, description="Stages of two linear layers after the first layer, without skips."
    )
    first_angles: float = Field(
        default=0.2,
        gt=0,
        description=(
            "Factor on the first weights of the bone angles' last layer. With PoseAug's 1, bones point "
            "anywhere at first (37 degrees from where they were in the mean), and a short run ends before "
            "the discriminators have taught the generator better."
        ),
    )
    rotation: Rotations = Field(
        default="upright",
        description=(
            "'upright' turns bodies about the direction against gravity, which takes a source whose cameras "
            "have extrinsics; 'viewing_axis' about the camera's optical axis; 'free' about any axis, as "
            "PoseAug does; 'none' leaves them."
        ),
    )
    bones: BoneChanges = Field(
        default="angles_and_lengths",
        description="What is changed of the bones; less than both is for ablations.",
    )

    def build(self, skeleton: Skeleton) -> PoseGenerator:
        """Build the generator with first weights."""
        return PoseGenerator(self, skeleton)


class RandomChanges(FrozenModel):
    """Random changes of poses, and how large they are: in training and in stores of augmented poses alike."""

    angle_spread: float = Field(
        default=0.1, ge=0, description="Standard deviation of the offsets of unit bone vectors."
    )
    length_range: float = Field(
        default=0.1, ge=0, lt=1, description="Largest relative change of a bone's length, drawn uniformly."
    )
    rotation: RandomRotations = Field(
        default="upright",
        description=(
            "Turns by a uniform angle: 'upright' about gravity, which takes a source whose cameras have "
            "extrinsics, 'viewing_axis' about the camera's optical axis, 'free' about any axis, 'mixed' "
            "about the optical axis or any axis, as often each, or 'none'."
        ),
    )


class PoseGenerator(nn.Module):
    """Learned parameters of the three operators: a :class:`ParameterSource`.

    Parameters
    ----------
    config : GeneratorConfig
        Sizes and turns.
    skeleton : Skeleton
        Joint set of the poses.
    """

    def __init__(self, config: GeneratorConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config = config
        self.skeleton = skeleton
        self.bones = len(skeleton.bones)
        pose = 3 * skeleton.joints
        self.angles = network(pose + config.noise, 3 * self.bones, config)
        with torch.no_grad():
            for parameter in self.angles[-1].parameters():
                parameter.mul_(config.first_angles)
        self.gains = network(pose + self.bones + config.noise, anatomy(skeleton).groups, config)
        turns = {"free": 3, "upright": 1, "viewing_axis": 1, "none": 0}[config.rotation]
        self.rotation = network(pose + config.noise, turns, config) if turns else None

    @property
    def needs_up(self) -> bool:
        """Whether turns are upright."""
        return self.config.rotation == "upright"

    def axes_of(self, poses: Tensor) -> Tensor:
        """Axes (n, 3, 3) in which the offsets are made: the camera's."""
        return torch.eye(3, dtype=poses.dtype, device=poses.device).expand(len(poses), 3, 3)

    def forward(self, poses: Tensor, rng: torch.Generator, up: Tensor | None = None) -> PoseParameters:
        """Draw noise and give the parameters of each pose.

        Parameters
        ----------
        poses : Tensor
            (n, joints, 3), metres; their roots do not matter. In training, n is at least 2.
        rng : torch.Generator
            Draws the noise; on the device of the poses.
        up : Tensor or None
            (n, 3), unit vectors against gravity in camera axes, for upright turns; None where they are not
            known.

        Raises
        ------
        ValueError
            When turns are upright and ``up`` is None.
        """
        n = len(poses)
        pose = centred(poses, self.skeleton).flatten(1)
        lengths: Tensor = bone_lengths(poses, self.skeleton)

        def noise() -> Tensor:
            return draw_normal((n, self.config.noise), poses, rng)

        angles = self.angles(torch.cat([pose, noise()], dim=1)).reshape(n, self.bones, 3)
        gains = length_gains(self.gains(torch.cat([pose, lengths, noise()], dim=1)))
        if self.config.bones not in ("angles_and_lengths", "angles"):
            angles = torch.zeros_like(angles)
        if self.config.bones not in ("angles_and_lengths", "lengths"):
            gains = torch.zeros_like(gains)
        if self.rotation is None:
            return PoseParameters(angles, gains, poses.new_zeros(n, 3))
        turns = rotation_vector(self.rotation(torch.cat([pose, noise()], dim=1)))
        if self.config.rotation == "viewing_axis":
            turns = turns * constant(_FORWARD, poses)
        elif self.config.rotation == "upright":
            turns = turns * _known(up)
        return PoseParameters(angles, gains, turns)


class TranslationGenerator(nn.Module):
    """PoseAug's learned position ``(t_x, t_y, t_z^2)``, which global position alignment replaces."""

    def __init__(self, config: GeneratorConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config = config
        self.skeleton = skeleton
        self.position = network(3 * skeleton.joints + config.noise, 3, config)

    def forward(self, poses: Tensor, rng: torch.Generator) -> Tensor:
        """Position of each pose's root, (n, 3) metres in camera axes."""
        noise = draw_normal((len(poses), self.config.noise), poses, rng)
        outputs = self.position(torch.cat([centred(poses, self.skeleton).flatten(1), noise], dim=1))
        return torch.cat([outputs[:, :2], outputs[:, 2:].square()], dim=1)


class RandomParameters:
    """Parameters drawn without learning: a :class:`ParameterSource`.

    Parameters
    ----------
    skeleton : Skeleton
        Joint set of the poses.
    changes : RandomChanges
        What is changed, and by how much; turns are uniform up to half a turn.
    """

    def __init__(self, skeleton: Skeleton, changes: RandomChanges) -> None:
        self.skeleton = skeleton
        self.changes = changes

    @property
    def needs_up(self) -> bool:
        """Whether turns are upright."""
        return self.changes.rotation == "upright"

    def __call__(self, poses: Tensor, rng: torch.Generator, up: Tensor | None = None) -> PoseParameters:
        """Draw the parameters of each pose; see :meth:`PoseGenerator.forward`."""
        n, bones, groups = len(poses), len(self.skeleton.bones), anatomy(self.skeleton).groups
        angles = self.changes.angle_spread * draw_normal((n, bones, 3), poses, rng)
        gains = self.changes.length_range * draw_uniform((n, groups), -1, 1, poses, rng)
        return PoseParameters(angles, gains, draw_turns(self.changes.rotation, n, poses, rng, up))


def draw_turns(
    rotation: RandomRotations, count: int, like: Tensor, rng: torch.Generator, up: Tensor | None
) -> Tensor:
    """Draw turns by uniform angles of up to half a turn, (count, 3) axis-angle vectors in radians.

    Raises
    ------
    ValueError
        When turns are upright and ``up`` is None.
    """
    if rotation == "none":
        return like.new_zeros(count, 3)
    half_turns = torch.pi * draw_uniform((count, 1), -1, 1, like, rng)
    if rotation == "viewing_axis":
        about_view_axis: Tensor = half_turns * constant(_FORWARD, like)
        return about_view_axis
    if rotation in ("free", "mixed"):
        axis = draw_directions(count, like, rng)
        if rotation == "mixed":
            about_view = draw_uniform((count, 1), 0, 1, like, rng) < _ABOUT_VIEW
            axis = torch.where(about_view, constant(_FORWARD, like), axis)
        return half_turns * axis
    return half_turns * _known(up)


def network(inputs: int, outputs: int, config: GeneratorConfig) -> nn.Sequential:
    """Linear, batch norm and leaky ReLU, ``1 + 2 stages`` times, then linear; Kaiming-normal weights."""
    layers: list[nn.Module] = []
    for width in (inputs, *[config.width] * (2 * config.stages)):
        layers += [nn.Linear(width, config.width), nn.BatchNorm1d(config.width), nn.LeakyReLU()]
    layers.append(nn.Linear(config.width, outputs))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


def centred(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Poses (..., joints, 3) minus their roots."""
    return poses - poses[..., skeleton.root, None, :]


def _known(up: Tensor | None) -> Tensor:
    """Return the directions against gravity; an axis that is made up would turn bodies off their feet."""
    if up is None:
        raise ValueError(
            "upright turns are about gravity, and where up is in these poses is not known: a camera of "
            f"theirs has no extrinsics. {UP_ADVICE}"
        )
    return up
