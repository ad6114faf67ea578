"""Discriminators of poses, of pairs of poses and of keypoints: 1 for real, 0 for made.

The part-wise discriminator and the one of keypoints are PoseAug's (Gong et al., CVPR 2021): kinematic chain
spaces (Wandt et al., ECCV 2018) of five parts of the body, and a small network on 2D. PoseDA (Chai et al.,
ICCV 2023) has an "anchor discriminator" of which no details are public; the one of pairs is one reading of
the name: it judges whether a pose is a plausible variant of the pose that it was made from.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from poseshift.augmentation.anatomy import anatomy
from poseshift.geometry.bones import bone_directions, bone_vectors
from poseshift.geometry.constants import indices
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.model import FrozenModel, is_left_out, is_still

Critic = Literal["parts", "pairs", "none"]
KeypointForm = Literal["centred", "raw", "none"]
Regularisation = Literal["none", "spectral", "gradient_penalty"]


class DiscriminatorConfig(FrozenModel):
    """Which discriminators there are, and what keeps them smooth."""

    critic: Critic = Field(
        default="parts",
        description=(
            "What judges 3D: 'parts' sees five parts of a pose, real are the source's poses; 'pairs' sees an "
            "original pose with a variant, real are poses of the same recording with another's bone lengths; "
            "'none' leaves out every discriminator, 2D too, so that the range penalties alone restrain "
            "the generator."
        ),
    )
    keypoints: KeypointForm = Field(
        default="centred",
        description=(
            "What judges 2D, against the target's keypoints: 'centred' sees rays relative to the root's and "
            "divided by the person's size, which is what a generator can change; 'raw' sees them as they "
            "are; 'none' leaves it out."
        ),
    )
    pair_seconds: float | None = Field(
        default=None,
        gt=0,
        exclude_if=is_left_out,
        description=(
            "Largest time between the two frames of a real pair; any two of a recording when left out, which "
            "differ by far more than the range penalties allow made pairs to."
        ),
    )
    motion: bool = Field(
        default=False,
        exclude_if=is_still(False),
        description=(
            "Whether others judge motion, the difference of two neighbouring frames: of bone directions, "
            "against the source's, and of keypoints, against the target's. For lifters of clips; each is "
            "there where its kind of pose is judged, and weighs as that does."
        ),
    )
    width: int = Field(default=256, ge=1, description="Hidden width of the discriminators of 3D.")
    regularisation: Regularisation = Field(
        default="none",
        description="'spectral' normalises each layer; 'gradient_penalty' punishes slopes at real data (R1).",
    )
    penalty_weight: float = Field(default=1.0, ge=0, description="Weight of the gradient penalty.")


class _Judge(nn.Module):
    """PoseAug's network of one part, or of 2D: ``in - w - (w - w, skip) - 100 - 1``."""

    def __init__(self, inputs: int, width: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.enter = _linear(inputs, width, config)
        self.block = nn.Sequential(
            _linear(width, width, config), nn.LeakyReLU(), _linear(width, width, config), nn.LeakyReLU()
        )
        self.leave = nn.Sequential(_linear(width, 100, config), nn.LeakyReLU(), _linear(100, 1, config))

    def forward(self, features: Tensor) -> Tensor:
        """Score features (n, inputs) -> (n, 1)."""
        features = nn.functional.leaky_relu(self.enter(features))
        score: Tensor = self.leave(features + self.block(features))
        return score


class PartDiscriminator(nn.Module):
    """Scores of the parts of a pose, from the cosines between their bones; lengths do not matter.

    PoseAug multiplies the Gram matrix of all bones with one mask per part and gives each network the whole of
    it; here a network is given its part's entries alone, which is the same without the zeros.
    """

    def __init__(self, config: DiscriminatorConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.parts = anatomy(skeleton).parts
        bones = len(skeleton.bones)
        # Of the Gram matrix of all bones, row by row, the entries of each part.
        self._entries = tuple(a * bones + b for part in self.parts for a in part for b in part)
        self.judges = nn.ModuleList(_Judge(len(part) ** 2, config.width, config) for part in self.parts)

    def forward(self, poses: Tensor) -> Tensor:
        """Score poses (n, joints, 3) -> (n, parts)."""
        cosines = _gram(bone_directions(poses, self.skeleton))
        sizes = [len(part) ** 2 for part in self.parts]
        of_parts = torch.split(cosines[:, indices(self._entries, cosines)], sizes, dim=1)
        return torch.cat([judge(one) for judge, one in zip(self.judges, of_parts, strict=True)], dim=1)


class PairDiscriminator(nn.Module):
    """Score of a variant of an anchor pose, from the Gram matrix of the bones of both.

    Bones are measured in mean bone lengths of the anchor. A turn of both poses changes nothing.
    """

    def __init__(self, config: DiscriminatorConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.judge = _Judge((2 * len(skeleton.bones)) ** 2, config.width, config)

    def forward(self, pairs: Tensor) -> Tensor:
        """Score pairs (n, 2, joints, 3), the anchor first -> (n, 1)."""
        bones = bone_vectors(pairs, self.skeleton)
        unit = torch.linalg.vector_norm(bones[:, :1], dim=-1, keepdim=True).mean(dim=2, keepdim=True)
        score: Tensor = self.judge(_gram((bones / unit).flatten(1, 2)))
        return score


class KeypointDiscriminator(_Judge):
    """Score of the 2D of a pose: PoseAug's five layers of 100."""

    def __init__(self, config: DiscriminatorConfig, skeleton: Skeleton) -> None:
        super().__init__(2 * skeleton.joints, 100, config)

    def forward(self, rays: Tensor) -> Tensor:
        """Score keypoints (n, joints, 2), in the form of :func:`keypoint_form` -> (n, 1)."""
        return super().forward(rays.flatten(1))


class BoneMotionDiscriminator(_Judge):
    """Score of how bones turn from one frame to the next, by the difference of their directions."""

    def __init__(self, config: DiscriminatorConfig, skeleton: Skeleton) -> None:
        super().__init__(3 * len(skeleton.bones), config.width, config)
        self.skeleton = skeleton

    def forward(self, steps: Tensor) -> Tensor:
        """Score poses with those of the frame before, (n, 2, joints, 3) -> (n, 1)."""
        directions = bone_directions(steps, self.skeleton)
        return super().forward(STEP_SCALE * (directions[:, 0] - directions[:, 1]).flatten(1))


class KeypointMotionDiscriminator(_Judge):
    """Score of how keypoints move from one frame to the next, the root's own way included."""

    def __init__(self, config: DiscriminatorConfig, skeleton: Skeleton) -> None:
        super().__init__(2 * skeleton.joints, 100, config)

    def forward(self, steps: Tensor) -> Tensor:
        """Score keypoints with those of the frame before, (n, 2, joints, 2) in person sizes -> (n, 1)."""
        return super().forward(STEP_SCALE * (steps[:, 0] - steps[:, 1]).flatten(1))


STEP_SCALE = 10.0
"""Steps are small beside poses: at 25 Hz a wrist moves by a few hundredths of a person's size."""


def in_person_sizes(rays: Tensor) -> Tensor:
    """Divide steps of ray coordinates (n, 2, joints, 2) by the person's size in the first frame."""
    return rays / _extent(rays[:, 0])[:, None, None, None]


def keypoint_form(rays: Tensor, form: KeypointForm, skeleton: Skeleton) -> Tensor:
    """Bring ray coordinates (n, joints, 2) into the form that the discriminator of 2D sees.

    ``centred`` subtracts the root's ray and divides by the mean of width and height.
    """
    if form != "centred":
        return rays
    return (rays - rays[:, skeleton.root, None]) / _extent(rays)[:, None, None]


def _extent(rays: Tensor) -> Tensor:
    """Mean of width and height of poses (n, joints, 2), (n,)."""
    return (rays.amax(dim=1) - rays.amin(dim=1)).mean(dim=-1).clamp(min=1e-6)


def _gram(bones: Tensor) -> Tensor:
    """All scalar products of the bones of each pose, (n, bones, 3) -> (n, bones^2)."""
    return (bones @ bones.transpose(1, 2)).flatten(1)


def _linear(inputs: int, outputs: int, config: DiscriminatorConfig) -> nn.Module:
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(layer.weight)
    if config.regularisation == "spectral":
        return parametrizations.spectral_norm(layer)
    return layer
