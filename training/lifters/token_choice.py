"""Which frames of a clip to keep when the others are left out of the remaining blocks.

``dpc`` is the token pruning cluster of Li et al., "Hourglass Tokenizer for Efficient Transformer-Based 3D
Human Pose Estimation" (CVPR 2024): centres of density peaks (Rodriguez and Laio, Science 2014). Nothing here
is learned, and no gradient goes through a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

Choice = Literal["dpc", "dpc-published", "uniform", "motion"]
"""How frames are chosen.

``dpc``: centres of clusters; of two frames of the same density, the earlier one is the denser. Frames that
are each other's nearest have the same density always, so that the authors draw a little noise, in the test
as well; by the index, the same clip has the same frames. ``dpc-published``: as published, without the noise,
so that both of such frames may be centres. ``uniform``: evenly spaced, the ends among them. ``motion``: the
frames that differ most from their neighbours.
"""

NEIGHBOURS = 2
"""How many nearest frames make a frame's density; the frame itself is one of them."""


def chosen_frames(features: Tensor, kept: int, choice: Choice, *, with_middle: bool) -> Tensor:
    """Choose frames of each clip.

    Parameters
    ----------
    features : Tensor of shape (batch, frames, width)
        One vector per frame.
    kept : int
        How many, at most ``frames``.
    choice : Choice
        How.
    with_middle : bool
        Whether the middle frame is among them in any case.

    Returns
    -------
    (batch, kept) int64, increasing.
    """
    with torch.no_grad():
        scores = _SCORES[choice](features.detach(), kept)
        middle = features.shape[1] // 2
        if with_middle:
            first = torch.full_like(scores[:, :1], torch.inf)
            scores = torch.cat([scores[:, :middle], first, scores[:, middle + 1 :]], dim=1)
        ranked = scores.argsort(dim=1, descending=True, stable=True)
        return ranked[:, :kept].sort(dim=1).values


def density_peaks(features: Tensor, *, by_index: bool) -> Tensor:
    """Score frames by their density times their distance from any denser one.

    Parameters
    ----------
    features : Tensor of shape (batch, frames, width)
        One vector per frame.
    by_index : bool
        Whether the earlier of two frames of the same density counts as denser.

    Returns
    -------
    (batch, frames): ``rho * delta`` with ``rho = exp(-mean of the two least squared distances)``, that from
    itself among them, and ``delta`` the least distance from a denser frame, or the clip's largest distance
    where none is denser. Distances are divided by the root of the width.
    """
    frames = features.shape[1]
    # The quick way, by a matrix product, would leave equal distances unequal.
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    distances = distances / features.shape[2] ** 0.5
    nearest = distances.topk(min(NEIGHBOURS, frames), dim=-1, largest=False).values
    density = torch.exp(-nearest.square().mean(dim=-1))
    own, other = density[:, :, None], density[:, None, :]
    denser = other > own
    if by_index:
        number = torch.arange(frames, device=features.device)
        denser = denser | ((other == own) & (number < number[:, None]))
    largest = distances.amax(dim=(1, 2))[:, None, None]
    return density * torch.where(denser, distances, largest).amin(dim=-1)


def _evenly(features: Tensor, kept: int) -> Tensor:
    """Score the frames of an even spacing by one, and all others by zero."""
    frames = features.shape[1]
    last = max(kept - 1, 1)
    places = {(2 * number * (frames - 1) + last) // (2 * last) for number in range(kept)}
    scores = [1.0 if frame in places else 0.0 for frame in range(frames)]
    return torch.tensor(scores, dtype=features.dtype, device=features.device).expand(len(features), -1)


def _motion(features: Tensor, kept: int) -> Tensor:
    """Score frames by how far they are from the frames before and after them."""
    if features.shape[1] == 1:
        return features[..., 0]
    steps = torch.linalg.vector_norm(features.diff(dim=1), dim=-1)
    return torch.cat([steps[:, :1], steps], dim=1) + torch.cat([steps, steps[:, -1:]], dim=1)


_SCORES: Mapping[Choice, Callable[[Tensor, int], Tensor]] = MappingProxyType(
    {
        "dpc": lambda features, kept: density_peaks(features, by_index=True),
        "dpc-published": lambda features, kept: density_peaks(features, by_index=False),
        "uniform": _evenly,
        "motion": _motion,
    }
)
