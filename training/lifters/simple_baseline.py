"""SimpleBaseline: the whole pose as one vector through two wide residual blocks.

Follows Martinez et al., "A Simple Yet Effective Baseline for 3D Human Pose Estimation" (ICCV 2017). Left out:
the max-norm constraint on the weights and the standardisation of inputs and outputs by the training set's
moments, both matters of training; the encoding sets the scale of the inputs here and outputs are metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Lifter


class SimpleBaselineConfig(LifterConfigBase):
    """Size of SimpleBaseline. The defaults are the paper's: 4.3 M parameters (4.29 M with 16 joints)."""

    name: Literal["simple-baseline"] = "simple-baseline"
    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    width: int = Field(default=1024, ge=1, description="Features of the hidden layers.")
    blocks: int = Field(default=2, ge=1, description="Residual blocks of two layers each.")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="Dropout after every hidden layer; PoseAug trains it with 0.25."
    )

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return SimpleBaseline(self, channels)


PRESETS: Mapping[str, SimpleBaselineConfig] = MappingProxyType(
    {
        "simple-baseline": SimpleBaselineConfig(),
        "simple-baseline-small": SimpleBaselineConfig(width=256, dropout=0.0),
    }
)


class Residual(nn.Module):
    """A network added to its input."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width) to the same shape."""
        out: Tensor = x + self.inside(x)
        return out


class SimpleBaseline(Lifter):
    """SimpleBaseline; see the module's text."""

    def __init__(self, config: SimpleBaselineConfig, channels: int) -> None:
        super().__init__(frames=1, output="all", channels=channels, skeleton=config.skeleton)
        width = config.width

        def layer(features: int) -> nn.Sequential:
            linear = nn.Linear(features, width)
            nn.init.kaiming_normal_(linear.weight)
            return nn.Sequential(linear, nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(config.dropout))

        self.embed = layer(self.joints * channels)
        self.blocks = nn.Sequential(
            *(Residual(nn.Sequential(layer(width), layer(width))) for _ in range(config.blocks))
        )
        self.head = nn.Linear(width, self.joints * 3)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, 1, joints, channels) to (batch, 1, joints, 3)."""
        out: Tensor = self.head(self.blocks(self.embed(keypoints.flatten(1))))
        return out.view(-1, 1, self.joints, 3)
