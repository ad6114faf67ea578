"""The pre-norm transformer block that the video lifters stack: attention, then an MLP, each added.

``x = x + MHSA(LN(x)); x = x + MLP(LN(x))`` as in the Vision Transformer (Dosovitskiy et al., ICLR 2021), with
stochastic depth (Huang et al., ECCV 2016) on both sums.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def require_heads_fit(width: int, heads: int, whose: str = "width") -> None:
    """Raise ValueError where attention heads cannot share the features evenly."""
    if width % heads:
        raise ValueError(f"{whose} {width} is not a multiple of heads {heads}; choose one that is")


def rising(last: float, depth: int) -> tuple[float, ...]:
    """Stochastic depths of a stack of blocks, which grow evenly from 0 in the first to that of the last.

    Examples
    --------
    >>> rising(0.2, 3)
    (0.0, 0.1, 0.2)
    """
    return tuple(last * number / max(depth - 1, 1) for number in range(depth))


class DropPath(nn.Module):
    """Stochastic depth: in training, leave a whole row out with this probability and scale the others up."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, ...) to the same shape."""
        if self.probability == 0:
            return x
        kept = F.dropout(x.new_ones(x.shape[0], *[1] * (x.ndim - 1)), self.probability, self.training)
        return x * kept


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Let queries attend to keys, each head on its own share of the features.

    Parameters
    ----------
    q : Tensor of shape (rows, queries, width)
        The width is a multiple of the heads.
    k, v : Tensor of shape (rows, keys, width)
        What is attended to.
    heads : int
        Scores are divided by the root of ``width / heads``.

    Returns
    -------
    (rows, queries, width): softmax(q k^T / sqrt(width / heads)) v of every head, side by side.
    """
    q, k, v = (one.reshape(*one.shape[:2], heads, -1).transpose(1, 2) for one in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Multi-head self-attention: one projection to queries, keys and values, and one of the answer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, tokens, width) to the same shape."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        out: Tensor = self.out(attend(q, k, v, self.heads))
        return out


class Mlp(nn.Module):
    """Two linear layers with a GELU (the exact one, by the error function) between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        out: Tensor = self.contract(F.gelu(self.expand(x)))
        return out


class Block(nn.Module):
    """Attention and MLP over the tokens of each row.

    Parameters
    ----------
    width, heads : int
        Features per token, and attention heads; the heads divide the width.
    hidden : int
        Width inside the MLP.
    drop_path : float
        Probability with which a row goes past attention, and past the MLP, in training.
    attention_eps : float
        Of the norm before attention; the norm before the MLP has 1e-6.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, *, drop_path: float = 0.0, attention_eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=attention_eps)
        self.attention = SelfAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, tokens, width) to the same shape."""
        x = x + self.drop_path(self.attention(self.norm_attention(x)))
        out: Tensor = x + self.drop_path(self.mlp(self.norm_mlp(x)))
        return out
