"""From some frames of a clip back to all of them: by attention that is learned, or between neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseshift.training.lifters.attention import attend


class TokenRecovery(nn.Module):
    """Token recovering attention of the Hourglass Tokenizer: a learned query for every frame.

    ``y = Q + attention(Q, tokens, tokens)`` for each joint, without norms and without an MLP. Queries are
    projected for every joint, as published, though they are the same.

    Parameters
    ----------
    frames : int
        Of the clip.
    width, heads : int
        Features per token, and attention heads.
    """

    def __init__(self, frames: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.zeros(1, frames, width))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, kept, joints, width) to (batch, frames, joints, width)."""
        batch, _, joints, _ = tokens.shape
        rows = tokens.transpose(1, 2).flatten(0, 1)  # (batch * joints, kept, width)
        queries = self.queries.expand(len(rows), -1, -1)
        attended = attend(self.query(queries), self.key(rows), self.value(rows), self.heads)
        recovered: Tensor = queries + self.out(attended)
        return recovered.unflatten(0, (batch, joints)).transpose(1, 2)


def between(values: Tensor, frames: Tensor, length: int, *, nearest: bool) -> Tensor:
    """Fill the frames between those that there are, and hold the first and the last one.

    Parameters
    ----------
    values : Tensor of shape (batch, n, joints, 3)
        At some frames.
    frames : Tensor of shape (batch, n)
        Which ones, int64, increasing.
    length : int
        Frames of the clip.
    nearest : bool
        Whether the nearest one is taken, the earlier of two; otherwise both sides in proportion.

    Returns
    -------
    (batch, length, joints, 3).
    """
    every = torch.arange(length, device=frames.device)[None]
    passed = (frames[:, None] <= every[..., None]).sum(dim=-1)  # (batch, length)
    before, after = (passed - 1).clamp(min=0), passed.clamp(max=frames.shape[1] - 1)
    first, second = frames.gather(1, before), frames.gather(1, after)
    share = (every - first).clamp(min=0).to(values.dtype) / (second - first).clamp(min=1)
    if nearest:
        share = (share > 1 / 2).to(values.dtype)
    share = share[..., None, None]
    left, right = (torch.take_along_dim(values, one[..., None, None], dim=1) for one in (before, after))
    return left + share * (right - left)
