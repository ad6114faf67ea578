"""GLA-GCN: graph convolutions with adaptive links over joints, convolutions over time, a layer per joint.

Follows Yu et al., "GLA-GCN: Global-local Adaptive Graph Convolutional Network for 3D Human Pose Estimation
from Monocular Video" (ICCV 2023). A clip is exactly one receptive field: strided convolutions join
its frames until one is left. The published program drops features in place out of what a
ReLU has kept for its gradient, which PyTorch refuses to train; here nothing is in place, the same numbers.
Left out: the slices for causal use, which the authors do not train either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.lifters.adaptive_graph import AdaptiveGraphConvolution, Unit, by_outputs
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Answered, Lifter
from poseshift.training.lifters.videopose3d import odd


class GLAGCNConfig(LifterConfigBase):
    """Size and open choices of GLA-GCN. The defaults are the released ones: 243 frames, 1.35 M parameters."""

    name: Literal["gla-gcn"] = "gla-gcn"
    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    filter_widths: tuple[Annotated[int, AfterValidator(odd)], ...] = Field(
        default=(3, 3, 3, 3, 3),
        min_length=1,
        description="Frames that each strided unit joins. Their product is the clip length, whose middle "
        "frame is answered for.",
    )
    width: int = Field(default=96, ge=1, description="Features per joint and frame.")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="After each graph convolution's norm and after each unit."
    )
    head: Literal["shared", "individual"] = Field(
        default="shared",
        description="One last layer for all joints, as in the released model, or one for each, as in the "
        "paper.",
    )
    global_loss: bool = Field(
        default=False,
        description="Whether the whole clip's poses are learned, too, from features before frames are "
        "joined. The paper does; the released model learns the middle frame alone.",
    )
    global_units: int = Field(
        default=2,
        ge=0,
        description="With the global loss: further units of unchanged length, before what answers for all "
        "frames. The paper speaks of further layers and gives no number.",
    )

    @property
    def frames(self) -> int:
        """Clip length."""
        return math.prod(self.filter_widths)

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return GLAGCN(self, channels)


PRESETS: Mapping[str, GLAGCNConfig] = MappingProxyType(
    {
        "gla-gcn": GLAGCNConfig(),
        "gla-gcn-27f": GLAGCNConfig(filter_widths=(3, 3, 3)),
        "gla-gcn-small": GLAGCNConfig(filter_widths=(3, 3, 3), width=32, dropout=0.0),
    }
)


class JointLayers(nn.Module):
    """A last layer for each joint: ``p[j] = v[j] W[j] + b[j]``."""

    def __init__(self, joints: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(joints, width, 3))
        self.bias = nn.Parameter(torch.zeros(joints, 3))
        nn.init.normal_(self.weight, std=math.sqrt(2 / 3))  # as that of one layer for all joints

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width, frames, joints) to (batch, 3, frames, joints)."""
        return torch.einsum("bctj,jcd->bdtj", x, self.weight) + self.bias.T[:, None]


class GLAGCN(Lifter):
    """GLA-GCN for clips of one receptive field; see the module's text."""

    def __init__(self, config: GLAGCNConfig, channels: int) -> None:
        super().__init__(frames=config.frames, output="centre", channels=channels, skeleton=config.skeleton)
        body = skeleton_named(config.skeleton)
        width, dropout = config.width, config.dropout
        self.filter_widths = config.filter_widths
        self.input_norm = nn.BatchNorm1d(self.joints * channels)
        self.embed = Unit(body, channels, width, dropout=dropout, shortcut="projected")

        def kept() -> Unit:
            return Unit(body, width, width, dropout=dropout, shortcut="identity")

        self.whole_clip = nn.ModuleList()
        self.all_frames: AdaptiveGraphConvolution | None = None
        if config.global_loss:
            self.whole_clip.extend(kept() for _ in range(config.global_units))
            self.all_frames = AdaptiveGraphConvolution(body, width, 3)
        self.mixing = nn.ModuleList(kept() for _ in config.filter_widths)
        self.joining = nn.ModuleList(
            Unit(body, width, width, stride=joined, dropout=dropout, shortcut="none")
            for joined in config.filter_widths
        )
        self.dropout = nn.Dropout(dropout)
        self.head: nn.Module = (
            by_outputs(nn.Conv2d(width, 3, 1)) if config.head == "shared" else JointLayers(self.joints, width)
        )

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to (batch, 1, joints, 3)."""
        return self._middle(self._features(keypoints))

    def answered(self, keypoints: Tensor) -> tuple[Answered, ...]:
        """Answer for the middle frame, and with the global loss for all frames, too; see the base class."""
        if self.all_frames is None:
            return super().answered(keypoints)
        self._check(keypoints)
        features = self._features(keypoints)
        not_root = self.get_buffer("not_root")
        everywhere = self.all_frames(features).permute(0, 2, 3, 1) * not_root
        frames = torch.arange(self.frames, device=keypoints.device).expand(len(keypoints), -1)
        middle = frames[:, self.frames // 2, None]
        return Answered(self._middle(features) * not_root, middle), Answered(everywhere, frames)

    def _features(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to features (batch, width, frames, joints)."""
        # Contiguous: torch.compile takes the norm of a transposed tensor for one that is transposed too.
        channels = keypoints.flatten(2).transpose(1, 2).contiguous()
        normed = self.input_norm(channels)  # (batch, joints * channels, frames)
        x: Tensor = self.embed(normed.unflatten(1, (self.joints, self.channels)).permute(0, 2, 3, 1))
        for unit in self.whole_clip:
            x = unit(x)
        return x

    def _middle(self, x: Tensor) -> Tensor:
        """Join the frames of features (batch, width, frames, joints) and answer, (batch, 1, joints, 3)."""
        for joined, mix, join in zip(self.filter_widths, self.mixing, self.joining, strict=True):
            middle = x[:, :, joined // 2 :: joined]
            x = middle + self.dropout(join(self.dropout(mix(x))))
        out: Tensor = self.head(x).permute(0, 2, 3, 1)
        return out
