"""MixSTE: attention over the joints of a frame and over the frames of a joint in turn.

Follows Zhang et al., "MixSTE: Seq2seq Mixed Spatio-Temporal Encoder for 3D Human Pose Estimation in Video"
(CVPR 2022), as HoT and KTPFormer take it for their host. A clip goes in, and every frame of it is answered
for. Left out: the authors' way of training, which is the schedule's and the loss's matter. The text does not
say how the positions of joints and frames begin; here they are drawn with a deviation of 0.02, as the Vision
Transformer does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from torch import nn

from poseshift.training.lifters.spatio_temporal import SpatioTemporal, SpatioTemporalConfig


class MixSTEConfig(SpatioTemporalConfig):
    """Size of MixSTE. The defaults are the authors': 243 frames, 33.8 M parameters."""

    name: Literal["mixste"] = "mixste"

    @property
    def blocks(self) -> int:
        """Number of pairs."""
        return self.depth

    def build(self, channels: int) -> MixSTE:
        """Build the network for an encoding with this many channels per joint."""
        return MixSTE(self, channels)


PRESETS: Mapping[str, MixSTEConfig] = MappingProxyType(
    {
        "mixste": MixSTEConfig(),
        "mixste-27f": MixSTEConfig(frames=27),
        "mixste-small": MixSTEConfig(frames=27, width=64, depth=3, drop_path=0.0),
    }
)
"""``mixste-small`` has as many pairs as ``ktpformer-small``, so that the two can be compared."""


class MixSTE(SpatioTemporal):
    """MixSTE for clips; see the module's text."""

    def __init__(self, config: MixSTEConfig, channels: int) -> None:
        super().__init__(
            config,
            channels,
            embed=nn.Linear(channels, config.width),
            before_frames=nn.Identity(),
        )
