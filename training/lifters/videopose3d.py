"""VideoPose3D: convolutions over time, each frame's whole pose one vector.

Follows Pavllo et al., "3D Human Pose Estimation in Video with Temporal Convolutions and Semi-Supervised
Training" (CVPR 2019), in its symmetric form. A clip is exactly one receptive field, so every dilated
convolution of the paper is a strided one here: the same weights and the same answer, without the values that
only neighbouring windows need. Left out: the causal form, the trajectory model, semi-supervised training, and
the decay of the batch norms' momentum. The single-frame variant, with all filters of width one, is the
paper's ablation and the "VideoPose3D" of PoseAug's and PoseDA's tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from torch import Tensor, nn

from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Lifter


def odd(width: int) -> int:
    """Return a filter's width; ValueError when no frame is in its middle."""
    if width < 1 or width % 2 == 0:
        raise ValueError(f"a filter of width {width} has no middle frame; choose 1, 3, 5, ...")
    return width


class VideoPose3DConfig(LifterConfigBase):
    """Size of VideoPose3D. The defaults see 27 frames: 8.56 M parameters, as in the paper."""

    name: Literal["videopose3d"] = "videopose3d"
    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    filter_widths: tuple[Annotated[int, AfterValidator(odd)], ...] = Field(
        default=(3, 3, 3),
        min_length=1,
        description="Frames that each convolution over time joins: the first that of the input layer, each "
        "other one that of a residual block. Their product is the clip length.",
    )
    width: int = Field(default=1024, ge=1, description="Channels of the convolutions.")
    dropout: float = Field(default=0.25, ge=0, lt=1, description="Dropout after every hidden layer.")

    @property
    def frames(self) -> int:
        """Clip length: the receptive field."""
        return math.prod(self.filter_widths)

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return VideoPose3D(self, channels)


PRESETS: Mapping[str, VideoPose3DConfig] = MappingProxyType(
    {
        "videopose3d-1f": VideoPose3DConfig(filter_widths=(1, 1, 1, 1, 1)),
        "videopose3d-1f-small": VideoPose3DConfig(filter_widths=(1, 1, 1, 1, 1), width=256, dropout=0.0),
        "videopose3d-27f": VideoPose3DConfig(),
        "videopose3d-27f-small": VideoPose3DConfig(width=256, dropout=0.0),
    }
)


class TemporalBlock(nn.Module):
    """Join groups of frames, mix their channels, and add the middle frame of each group."""

    def __init__(self, filter_width: int, config: VideoPose3DConfig) -> None:
        super().__init__()
        self.filter_width = filter_width
        self.join = JoinFrames(config.width, filter_width, config)
        self.mix = JoinFrames(config.width, 1, config)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, frames, width) to (batch, frames / filter width, width)."""
        middle = x[:, self.filter_width // 2 :: self.filter_width]
        out: Tensor = middle + self.mix(self.join(x))
        return out


class VideoPose3D(Lifter):
    """VideoPose3D for clips of one receptive field; see the module's text."""

    def __init__(self, config: VideoPose3DConfig, channels: int) -> None:
        super().__init__(frames=config.frames, output="centre", channels=channels, skeleton=config.skeleton)
        first, *others = config.filter_widths
        self.embed = JoinFrames(self.joints * channels, first, config)
        self.blocks = nn.Sequential(*(TemporalBlock(width, config) for width in others))
        self.head = nn.Linear(config.width, self.joints * 3)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to (batch, 1, joints, 3)."""
        out: Tensor = self.head(self.blocks(self.embed(keypoints.flatten(2))))
        return out.view(-1, 1, self.joints, 3)


class JoinFrames(nn.Module):
    """Convolution over time whose stride is its width, with batch norm, ReLU and dropout.

    Such a convolution is a linear layer on groups of frames, in a third of ``Conv1d``'s time on a CPU.
    """

    def __init__(self, width_in: int, filter_width: int, config: VideoPose3DConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(filter_width * width_in, config.width, bias=False)
        self.norm = nn.BatchNorm1d(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, frames, width in) to (batch, frames / filter width, width out)."""
        groups = x.reshape(-1, self.linear.in_features)
        out: Tensor = self.dropout(self.norm(self.linear(groups)).relu())
        return out.view(x.shape[0], -1, self.linear.out_features)
