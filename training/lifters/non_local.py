"""Non-local block: every joint adds a mean over all joints, or groups of them, weighted by affinity.

Follows Wang et al., "Non-local Neural Networks" (CVPR 2018), in the two forms that graph lifters use:
concatenation (SemGCN) and embedded Gaussian (Cai et al., ICCV 2019).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from poseshift.training.lifters.norm import ChannelNorm
from poseshift.training.lifters.pooling import max_pool

Affinity = Literal["concatenation", "embedded-gaussian"]
"""How much joint i takes from j: ``relu(a . q_i + b . k_j) / keys``, or softmax over j of ``q_i . k_j``."""


class NonLocal(nn.Module):
    """Non-local block with half the width inside; the identity when new, for its last gain starts at zero.

    Parameters
    ----------
    width : int
        Channels per joint; even.
    affinity : Affinity
        See :data:`Affinity`.
    members : Tensor or None
        Groups to which keys and values are max-pooled, from
        :func:`poseshift.training.lifters.pooling.group_members`; none to attend to single joints.
    """

    def __init__(self, width: int, affinity: Affinity, members: Tensor | None = None) -> None:
        super().__init__()
        inner = width // 2
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.out = nn.Linear(inner, width)
        self.norm = ChannelNorm(width, "batch")
        nn.init.zeros_(self.norm.norm.get_parameter("weight"))
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.score: nn.Parameter | None = None
        if affinity == "concatenation":
            self.score = nn.Parameter(torch.empty(2, inner))
            nn.init.normal_(self.score, std=inner**-0.5)
        self.members: Tensor | None
        self.register_buffer("members", members, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        if self.members is not None:
            key, value = max_pool(key, self.members), max_pool(value, self.members)
        if self.score is None:
            affinity = (query @ key.transpose(1, 2)).softmax(dim=-1)
        else:
            # The score of a concatenation is the sum of two scores: no pair is ever laid out.
            receiver, sender = query @ self.score[0], key @ self.score[1]
            affinity = (receiver[:, :, None] + sender[:, None, :]).relu() / key.shape[1]
        out: Tensor = x + self.norm(self.out(affinity @ value))
        return out
