"""Clips of frames: their middle frame, which stands for the whole clip."""

from __future__ import annotations

from torch import Tensor


def middle(clips: Tensor) -> Tensor:
    """Take the middle frame of clips, (n, frames, ...) -> (n, ...)."""
    return clips[:, clips.shape[1] // 2]


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
