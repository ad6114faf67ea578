"""How the root of a clip moves when the clip is placed where a target clip is seen.

Of a target clip only the rays of its root are known, frame by frame. A source clip that is placed there
follows them: at its middle frame it stands at the depth that alignment has found, and its depth changes by
what it moved in depth before its own camera, in metres. So its root is seen where the target's root is seen,
in every frame, and it moves as fast across the image as a body of its size must. Depths are guesses, and
where they are too large that speed is no person's: the way from the middle frame is then shortened, all of it
by one factor, until its mean speed is that of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from poseshift.adaptation.target_keypoints import TargetRuns
from poseshift.augmentation.clips import middle
from poseshift.training.batches import Between, one_if_equal


@dataclass(frozen=True)
class RootPath:
    """Where the roots of target clips are seen.

    Attributes
    ----------
    rays : Tensor
        (n, frames, 2), x/z and y/z.
    hz : float
        Frames per second.
    fastest_m_s : float
        Largest mean speed, metres per second.
    """

    rays: Tensor
    hz: float
    fastest_m_s: float


class TargetClips:
    """What of all target poses clips are cut from: their roots, or all of their joints.

    Parameters
    ----------
    rays : Tensor
        (n, ..., 2), ray coordinates.
    runs : TargetRuns or None
        Which poses follow each other; without it, no clips can be cut.
    """

    def __init__(self, rays: Tensor, runs: TargetRuns | None) -> None:
        self._rays = rays
        self._runs = runs
        if runs is not None:
            self._first = torch.as_tensor(runs.first, dtype=torch.int64, device=rays.device)
            self._last = torch.as_tensor(runs.last, dtype=torch.int64, device=rays.device)
            spacing = one_if_equal(runs.rows_per_frame)
            self._spacing = spacing if isinstance(spacing, float) else torch.as_tensor(spacing).to(rays)

    @property
    def hz(self) -> float:
        """Frames per second of the clips; ValueError when it is not known which poses follow each other."""
        return self._known().hz

    def _known(self) -> TargetRuns:
        if self._runs is None:
            raise ValueError(
                "the target's keypoints do not say which follow each other in time, so clips cannot move as "
                "its people do; give its recordings, or choose `trajectory: source`"
            )
        return self._runs

    def around(self, rows: Tensor, frames: int) -> Tensor:
        """Cut the clips about target poses, (rows, frames, ..., 2), padded as clips of a lifter are.

        Parameters
        ----------
        rows : Tensor
            (n,) int64, the poses in the clips' middle, ``frames // 2``.
        frames : int
            Length of the clips.

        Raises
        ------
        ValueError
            When it is not known which poses follow each other.
        """
        self._known()
        places = Between.in_clips(rows, frames, frames // 2, self._first, self._last, self._spacing)
        return places.of(self._rays)


def follow(path: RootPath, direction: Tensor, depth: Tensor, own: Tensor) -> Tensor:
    """Let roots follow target roots; see the module.

    Parameters
    ----------
    path : RootPath
        Of n target clips.
    direction : Tensor
        (n, 2), rays of the roots in the middle frames: those of the path, or others that it is moved to.
    depth : Tensor
        (n,), of the roots in the middle frames, metres.
    own : Tensor
        (n, frames, 3), where the source's roots are relative to those in their middle frames, metres.

    Returns
    -------
    Tensor
        (n, frames, 3), metres, camera axes of the target.
    """
    depths = (depth[:, None] + own[..., 2])[..., None]
    rays = path.rays + (direction - middle(path.rays))[:, None]
    roots = torch.cat([rays * depths, depths], dim=-1)
    centre = middle(roots)[:, None]
    way = roots - centre
    speed = way.diff(dim=1).norm(dim=-1).mean(dim=1) * path.hz
    # A clip that stands still has no speed to divide by, and needs no shortening.
    share = (path.fastest_m_s / speed.clamp(min=path.fastest_m_s))[:, None, None]
    followed: Tensor = centre + share * way
    return followed


def nearest_on_the_way(bodies: Tensor, own: Tensor) -> Tensor:
    """How near the joints of a clip may come, relative to the root in its middle frame.

    Parameters
    ----------
    bodies : Tensor
        (n, frames, joints, 3), metres, relative to each frame's root.
    own : Tensor
        As of :func:`follow`.

    Returns
    -------
    Tensor
        Of the shape of the bodies; its depths are not undercut however much of the way is gone.
    """
    towards = own.clamp(max=0)[..., None, :]
    return bodies + towards
