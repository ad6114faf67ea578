"""Clips of frames: their middle frame, which stands for the whole clip, and the step that leads to it."""

from __future__ import annotations

import torch
from torch import Tensor


def middle(clips: Tensor) -> Tensor:
    """Take the middle frame of clips, (n, frames, ...) -> (n, ...)."""
    return clips[:, clips.shape[1] // 2]


def middle_step(clips: Tensor) -> Tensor:
    """Take the middle frame of clips and the one before it, (n, frames, ...) -> (n, 2, ...), in that order.

    Raises
    ------
    ValueError
        When the clips are single frames.
    """
    at = clips.shape[1] // 2
    if at == 0:
        raise ValueError("single frames have no motion; use a lifter of clips, or leave `motion` off")
    return torch.stack([clips[:, at], clips[:, at - 1]], dim=1)


def middle_root(clips: Tensor, root: int) -> Tensor:
    """Take the root joint of the middle frame, to move or turn clips about.

    Parameters
    ----------
    clips : Tensor
        (n, frames, joints, 3), metres.
    root : int
        Index of the root joint.

    Returns
    -------
    Tensor
        (n, 1, 1, 3), metres.
    """
    return middle(clips)[:, None, root, None]
