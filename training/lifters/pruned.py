"""Any lifter of blocks, with some of a clip's frames left out of its later blocks.

Follows Li et al., "Hourglass Tokenizer for Efficient Transformer-Based 3D Human Pose Estimation" (CVPR 2024):
frames are chosen by the tokens before one of the blocks, the others are left out of what follows, and all
frames are recovered at the end (HoT). Without recovery, the middle frame is kept in any case and answered
for, and all kept frames are learned (TPC). A clip and its mirror image are lifted with the same frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from pydantic import Field, WithJsonSchema, model_validator
from torch import Tensor, nn

from poseshift.training.lifters import ktpformer, mixste
from poseshift.training.lifters.attention import require_heads_fit
from poseshift.training.lifters.blocks import BlockLifter, BlockLifterConfig
from poseshift.training.lifters.config import LifterConfig, LifterConfigBase
from poseshift.training.lifters.lifter import Answered, Lifter
from poseshift.training.lifters.token_choice import Choice, chosen_frames
from poseshift.training.lifters.token_recovery import TokenRecovery, between, frames_of

Recovery = Literal["tra", "linear", "nearest", "none"]
"""How all frames are answered for: by learned attention over the kept tokens, by the kept answers around them
(in proportion, or the nearest), or not at all: the middle frame is answered for."""


class PrunedConfig(LifterConfigBase):
    """A lifter of blocks, and which of its frames are kept from where on."""

    name: Literal["pruned"] = "pruned"
    of: Annotated[LifterConfig, WithJsonSchema({"type": "object"})] = Field(
        description="The lifter, a full configuration; one of blocks, such as mixste or ktpformer."
    )
    keep: int = Field(ge=1, description="Frames that are kept; at most those of the clip.")
    before_block: int = Field(
        ge=1,
        description="The first block, counted from 0, that sees the kept frames alone. Block 0 needs all: it "
        "tells frames apart, and in KTPFormer it has the priors.",
    )
    choose: Choice = Field(
        default="dpc", description="How frames are chosen: dpc, dpc-published, uniform or motion."
    )
    recover: Recovery = Field(
        default="tra", description="How all frames are answered for: tra, linear, nearest, or none."
    )
    heads: int = Field(default=8, ge=1, description="Attention heads of tra; must divide the lifter's width.")

    @model_validator(mode="after")
    def _fits(self) -> PrunedConfig:
        host = self.host
        if self.keep > host.frames:
            raise ValueError(f"keep {self.keep} is more than the clip's {host.frames} frames")
        if self.before_block >= host.blocks:
            raise ValueError(
                f"before_block {self.before_block} is none of the lifter's blocks 1 to {host.blocks - 1}"
            )
        if self.recover == "tra":
            require_heads_fit(host.width, self.heads, "the lifter's width")
        return self

    @property
    def host(self) -> BlockLifterConfig:
        """The lifter's configuration as one of blocks; ValueError when it is none."""
        if not isinstance(self.of, BlockLifterConfig):
            raise ValueError(
                f"lifter {self.of.name} has no blocks between which frames could be left out; take one whose "
                "configuration is a BlockLifterConfig, such as mixste or ktpformer"
            )
        return self.of

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return Pruned(self, self.host.build(channels))


PRESETS: Mapping[str, PrunedConfig] = MappingProxyType(
    {
        "hot-mixste": PrunedConfig(of=mixste.PRESETS["mixste"], keep=81, before_block=3),
        "tpc-mixste": PrunedConfig(of=mixste.PRESETS["mixste"], keep=61, before_block=7, recover="none"),
        "hot-ktpformer": PrunedConfig(of=ktpformer.PRESETS["ktpformer"], keep=81, before_block=3),
        "hot-mixste-small": PrunedConfig(of=mixste.PRESETS["mixste-small"], keep=9, before_block=1),
        "hot-ktpformer-small": PrunedConfig(of=ktpformer.PRESETS["ktpformer-small"], keep=9, before_block=1),
    }
)
"""The first two are the authors'; they did not prune KTPFormer, which has their setting for MixSTE."""


class Pruned(Lifter):
    """A lifter of blocks some of whose frames are left out; see the module's text.

    Parameters
    ----------
    config : PrunedConfig
        Which ones, and how all are recovered.
    host : BlockLifter
        What lifts.
    """

    def __init__(self, config: PrunedConfig, host: BlockLifter) -> None:
        super().__init__(
            frames=host.frames,
            output="centre" if config.recover == "none" else "all",
            channels=host.channels,
            skeleton=host.skeleton,
        )
        self.config = config
        self.host = host
        self.recovery: TokenRecovery | None = None
        self.position: nn.Parameter | None = None
        if config.recover == "tra":
            self.position = nn.Parameter(torch.zeros(1, config.keep, host.width))
            self.recovery = TokenRecovery(host.frames, host.width, config.heads)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to (batch, frames or 1, joints, 3)."""
        return self._recovered(*self._kept(keypoints))

    def both(self, keypoints: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Lift clips and their mirror images with the frames that are chosen for the clips."""
        self._check(keypoints)
        self._check(mirrored)
        tokens, frames = self._kept(keypoints)
        others, _ = self._kept(mirrored, frames)
        not_root = self.get_buffer("not_root")
        return self._recovered(tokens, frames) * not_root, self._recovered(others, frames) * not_root

    def answered(self, keypoints: Tensor) -> tuple[Answered, ...]:
        """Answer for training: without recovery, for the frames that are kept; see the base class."""
        if self.config.recover != "none":
            return super().answered(keypoints)
        self._check(keypoints)
        tokens, frames = self._kept(keypoints)
        return (Answered(self.host.positions(tokens) * self.get_buffer("not_root"), frames),)

    def _kept(self, keypoints: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the kept tokens after the last block, (batch, keep, joints, width), and their frames."""
        config, host = self.config, self.host
        tokens = host.run_blocks(host.tokens(keypoints), 0, config.before_block)
        if frames is None:
            centre = self.output == "centre"
            frames = chosen_frames(tokens.mean(dim=2), config.keep, config.choose, with_middle=centre)
        tokens = frames_of(tokens, frames)
        if self.position is not None:
            tokens = tokens + self.position[:, :, None]
        return host.run_blocks(tokens, config.before_block, host.depth), frames

    def _recovered(self, tokens: Tensor, frames: Tensor) -> Tensor:
        """Answer for all frames, or for the middle one, by the tokens that were kept."""
        if self.recovery is not None:
            return self.host.positions(self.recovery(tokens))
        if self.output == "centre":
            return self.host.positions(Answered(tokens, frames).at(self.frames // 2))
        nearest = self.config.recover == "nearest"
        return between(self.host.positions(tokens), frames, self.frames, nearest=nearest)
