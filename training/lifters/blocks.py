"""The contract of lifters that are a list of blocks over tokens, one token per frame and joint.

Whatever works between blocks, such as the pruning of frames, takes any such lifter.
"""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field
from torch import Tensor

from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Lifter


class BlockLifter(Lifter):
    """A lifter whose work is ``tokens``, then every ``block`` in turn, then ``positions``, of all frames.

    Parameters
    ----------
    width : int
        Features per token.
    depth : int
        Number of blocks. The first may depend on the clip's length; the others take any number of frames.
    frames, channels, skeleton
        As for :class:`~poseshift.training.lifters.lifter.Lifter`.
    """

    def __init__(self, *, width: int, depth: int, frames: int, channels: int, skeleton: str) -> None:
        super().__init__(frames=frames, output="all", channels=channels, skeleton=skeleton)
        self.width = width
        self.depth = depth

    @abstractmethod
    def tokens(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to tokens (batch, frames, joints, width)."""

    @abstractmethod
    def block(self, index: int, tokens: Tensor) -> Tensor:
        """Map tokens (batch, n, joints, width) to the same shape by the block of that number, from 0."""

    @abstractmethod
    def positions(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, n, joints, width) to metres (batch, n, joints, 3)."""

    def run_blocks(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """Send tokens through the blocks from ``first`` to ``last``, which is excluded."""
        for index in range(first, last):
            tokens = self.block(index, tokens)
        return tokens

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to (batch, frames, joints, 3)."""
        return self.positions(self.run_blocks(self.tokens(keypoints), 0, self.depth))


class BlockLifterConfig(LifterConfigBase):
    """Configuration of a lifter of blocks: what works between blocks asks it for their number and size."""

    frames: int = Field(default=243, ge=1, description="Clip length, all of whose frames are answered for.")
    width: int = Field(default=512, ge=1, description="Features per joint and frame.")

    @property
    @abstractmethod
    def blocks(self) -> int:
        """Number of blocks."""

    @abstractmethod
    def build(self, channels: int) -> BlockLifter:
        """Build the network for an encoding with this many channels per joint."""
