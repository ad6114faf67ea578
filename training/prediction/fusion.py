"""One motion from several calibrated cameras that see a trial at the same frames.

Every camera's root-relative answer is turned to the world; of these the median is taken, joint by joint. The
root is the point from which that pose lies nearest to the rays of all keypoints of all cameras. It is in the
metres of the calibration, whatever the size of the bodies that the lifter learned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.arrays import norm
from poseshift.geometry.camera import stand_apart
from poseshift.geometry.rays import FEWEST_JOINTS
from poseshift.geometry.rotation import rotate_back
from poseshift.training.prediction.views import View

Float64 = NDArray[np.float64]

FUSED = "fused"
"""Name of the camera of a fused motion."""

CAMERA_SPREAD = (
    "median distance of the single cameras' root-relative answers from the fused one; not a calibrated "
    "interval"
)
"""What the error estimate of a fused motion is."""


@dataclass(frozen=True)
class Fused:
    """What several views of one trial say together; world axes, z up.

    Attributes
    ----------
    views : tuple[View, ...]
        What was fused.
    relative : array of float64 of shape (n, joints, 3)
        Metres, relative to the root.
    root : array of float64 of shape (n, 3)
        Metres.
    missing : array of bool of shape (n, joints)
        Joints that fewer than two cameras saw.
    error_m : array of float64 of shape (n, joints)
        See :data:`CAMERA_SPREAD`; metres.
    """

    views: tuple[View, ...]
    relative: Float64
    root: Float64
    missing: NDArray[np.bool_]
    error_m: Float64


def rigs(views: Iterable[View]) -> tuple[tuple[View, ...], ...]:
    """Find the groups that can be fused: placed cameras, not all in one place, before frames of one trial.

    Raises
    ------
    ValueError
        A camera of such a group has the name that the fused motion gets.
    """
    found = []
    for _, group in groupby((view for view in views if view.placed), key=lambda view: view.trial.key):
        together = tuple(group)
        same = all(np.array_equal(view.frame, together[0].frame) for view in together)
        if not same or not _apart(together):
            continue
        if any(view.camera.name == FUSED for view in together):
            raise ValueError(
                f"trial {together[0].trial.key.path!r} has a camera {FUSED!r}, which is the name of what "
                "several cameras say together; rename the camera, or leave it out by --camera"
            )
        found.append(together)
    return tuple(found)


def _apart(views: Sequence[View]) -> bool:
    """Whether the cameras of views with the same frames are in more than one place in some frame."""
    if all(view.path is None for view in views):
        return stand_apart(view.camera for view in views)
    centres = [np.broadcast_to(view.centre, (len(view.frame), 3)) for view in views]
    return any(not np.allclose(one, centres[0]) for one in centres)


def fuse(views: Sequence[View], scale: float = 1.0) -> Fused:
    """Fuse views of one trial.

    Parameters
    ----------
    views : sequence of View
        Of placed cameras, with the same frames.
    scale : float
        Factor of the lifter's answers, to the size of the person.
    """
    rotations = [view.rotation for view in views]
    answers = np.stack(
        [scale * rotate_back(view.relative, R) for view, R in zip(views, rotations, strict=True)]
    )
    missing = np.stack([view.missing for view in views])
    counted = np.where(missing.all(axis=0), True, ~missing)  # all of them, where no camera saw a joint
    relative = np.nanmedian(np.where(counted[..., None], answers, np.nan), axis=0)
    spread = np.median(norm(answers - relative), axis=0)

    directions = np.stack(
        [
            rotate_back(np.concatenate([view.rays, np.ones_like(view.rays[..., :1])], axis=-1), R)
            for view, R in zip(views, rotations, strict=True)
        ]
    )
    centres = np.stack(np.broadcast_arrays(*[view.centre for view in views]))
    weights = np.where(counted.any(axis=2).sum(axis=0)[:, None] >= 2, counted, True)
    return Fused(
        views=tuple(views),
        relative=relative,
        root=root_of_rays(relative, directions, centres, weights.astype(np.float64)),
        missing=(~missing).sum(axis=0) < 2,
        error_m=spread,
    )


def size_by_cameras(views: Sequence[View]) -> Float64:
    """Find by what factor a person must grow for all cameras of a rig to see the root in one place.

    How far a camera puts a person away grows with the size of the answer, where it stands does not: of two
    answers that are too small, both roots lie between person and camera. Least squares in every frame.

    Parameters
    ----------
    views : sequence of View
        Of placed cameras, with the same frames.

    Returns
    -------
    array of float64 of shape (frames,)
        Of the frames in which two cameras or more see enough of the person; may be empty.
    """
    seen = np.stack([(~view.missing).sum(axis=1) >= FEWEST_JOINTS for view in views])
    several = seen.sum(axis=0) >= 2
    weights = seen[:, several, None].astype(np.float64)
    ways = np.stack([rotate_back(view.root[:, None], view.rotation)[:, 0] for view in views])[:, several]
    centres = np.stack([np.broadcast_to(view.centre, (len(view.frame), 3)) for view in views])
    places = centres[:, several]
    apart = [some - (weights * some).sum(axis=0) / weights.sum(axis=0) for some in (ways, places)]
    against = -(weights * apart[0] * apart[1]).sum(axis=(0, 2))
    factors: Float64 = against / (weights * apart[0] ** 2).sum(axis=(0, 2))
    return factors[np.isfinite(factors) & (factors > 0)]


def root_of_rays(relative: Float64, directions: Float64, centres: Float64, weights: Float64) -> Float64:
    """Find the root for which a pose's joints lie nearest to their rays, by linear least squares.

    Minimises the weighted sum of squared distances in space between joints and rays.

    Parameters
    ----------
    relative : array of shape (n, joints, 3)
        Metres, relative to the root, world axes.
    directions : array of shape (views, n, joints, 3)
        Of the rays, of any length above zero, world axes.
    centres : array of shape (views, 3) or (views, n, 3)
        Of the cameras, metres, world axes; one for each frame where cameras move.
    weights : array of shape (views, n, joints)
        How much each ray counts.

    Returns
    -------
    array of shape (n, 3)
        Metres, world axes.
    """
    unit = directions / norm(directions)[..., None]
    across = np.eye(3) - unit[..., :, None] * unit[..., None, :]
    weighted = weights[..., None, None] * across
    offsets = centres.reshape(len(centres), -1, 1, 3) - relative
    wanted = (weighted @ offsets[..., None]).sum(axis=(0, 2))
    return np.asarray(np.linalg.solve(weighted.sum(axis=(0, 2)), wanted)[..., 0])
