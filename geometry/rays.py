"""Poses on the viewing rays of their keypoints: where the root must stand, and each joint on its own ray.

A root-relative pose and the rays on which its joints are seen fix the root's position
(:func:`poseshift.geometry.alignment.root_from_keypoints`). With the root known, a joint's ray and its depth
give the joint. Nothing is learned here.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from poseshift.geometry.alignment import root_from_keypoints
from poseshift.geometry.arrays import Array

FEWEST_JOINTS = 4
"""Joints of which, if fewer were seen, a pose cannot be placed: too few against the keypoints' noise."""

NEAREST_M, FARTHEST_M = 0.2, 100.0
"""Joints are put no nearer to the camera's plane, and roots no farther from it, than this."""


def absolute_on_rays(relative: Array, rays: Array, weights: Array) -> Array:
    """Place a root-relative pose where its joints are seen.

    Parameters
    ----------
    relative : Array
        (..., joints, 3), metres, relative to the root, camera axes.
    rays : Array
        (..., joints, 2), undistorted ray coordinates ``(x/z, y/z)``.
    weights : Array
        (..., joints), how much each joint counts for the root's place. A joint of weight zero may have any
        ray, NaN too; at least two different rays need a weight.

    Returns
    -------
    Array
        (..., joints, 3), metres; every joint in front of the camera, whatever the pose: one that contradicts
        its rays stands as near as it may.
    """
    xp = array_namespace(relative)
    seen = xp.where(weights[..., None] > 0, rays, xp.zeros_like(rays))
    root = root_from_keypoints(relative, seen, weights)
    nearest = NEAREST_M - xp.min(relative[..., 2], axis=-1)
    depth = xp.where(root[..., 2] > nearest, root[..., 2], nearest)
    depth = xp.where(depth < FARTHEST_M, depth, xp.full_like(depth, FARTHEST_M))
    # A root that is moved in depth goes along its own direction across the mean ray of the joints.
    share = (weights / xp.sum(weights, axis=-1, keepdims=True))[..., None]
    shift = xp.sum(share * seen, axis=-2) * (depth - root[..., 2])[..., None]
    across = root[..., :2] + shift
    return relative + xp.concat([across, depth[..., None]], axis=-1)[..., None, :]


def onto_rays(positions: Array, rays: Array, trust: Array) -> Array:
    """Move joints across the image towards their rays; their depths stay.

    Parameters
    ----------
    positions : Array
        (..., joints, 3), metres, camera axes, in front of the camera.
    rays : Array
        (..., joints, 2), undistorted ray coordinates.
    trust : Array
        (..., joints), how far each joint is moved: 1 to its ray, 0 not at all. A joint that is not moved may
        have any ray, NaN too.

    Returns
    -------
    Array
        (..., joints, 3), metres.
    """
    xp = array_namespace(positions)
    depth = positions[..., 2:3]
    moved = positions[..., :2] + trust[..., None] * (rays * depth - positions[..., :2])
    return xp.concat([xp.where(trust[..., None] > 0, moved, positions[..., :2]), depth], axis=-1)


def trust_in_rays(depth: Array, noise: Array, error_m: float) -> Array:
    """Share by which keypoints count against predicted positions: the ratio of their variances.

    Parameters
    ----------
    depth : Array
        (..., joints), metres.
    noise : Array
        Standard deviation of the rays, of a shape that broadcasts: pixels over the focal length.
    error_m : float
        Standard deviation of the predicted positions across the image, metres.

    Returns
    -------
    Array
        (..., joints), 1 for exact keypoints, towards 0 for keypoints that say less than the prediction.

    Examples
    --------
    >>> import numpy as np
    >>> trust_in_rays(np.array([4.0]), np.array([0.01]), 0.04).tolist()
    [0.5]
    """
    return error_m**2 / (error_m**2 + (depth * noise) ** 2)
