"""Aligning poses: to each other (Procrustes, scale, root) and to the rays of their keypoints.

The similarity is Umeyama's least-squares solution (PAMI 1991), always a rotation and never a reflection.
The closed-form root is the linear least-squares position from which a root-relative pose projects onto given
rays. Errors and metrics are not computed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array, like
from poseshift.geometry.best_rotation import best_rotation
from poseshift.geometry.rotation import rotate


def root_relative(points: Array, root_index: int) -> Array:
    """Points minus one of them, (..., joints, d) -> (..., joints, d).

    Examples
    --------
    >>> root_relative(np.array([[[1.0, 1.0, 1.0], [2.0, 3.0, 4.0]]]), 0).tolist()
    [[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]]
    """
    return points - points[..., root_index : root_index + 1, :]


@dataclass(frozen=True)
class Similarity:
    """The map ``x -> scale R x + translation``, one per pose.

    Attributes
    ----------
    scale : array of shape (...)
    rotation : array of shape (..., 3, 3)
        Determinant +1.
    translation : array of shape (..., 3)
    """

    scale: Array
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Map points (..., joints, 3)."""
        return self.scale[..., None, None] * rotate(points, self.rotation) + self.translation[..., None, :]


def fit_similarity(predicted: Array, target: Array) -> Similarity:
    """Least-squares similarity from predicted to target (Umeyama 1991).

    Parameters
    ----------
    predicted, target : array of shape (..., joints, 3)
        Of one shape; at least three joints that are not on a line. A pose whose joints all coincide gets
        scale zero.

    Raises
    ------
    ValueError : the shapes differ.
    """
    return _fit(predicted, target, scaled=_least_squares_scale)


def fit_rigid(predicted: Array, target: Array) -> Similarity:
    """Least-squares rotation and translation from predicted to target (Kabsch); the scale is one."""
    return _fit(predicted, target, scaled=_unit_scale)


def similarity_align(predicted: Array, target: Array) -> Array:
    """Predicted poses after `fit_similarity` to the target, the alignment of PA-MPJPE.

    Parameters
    ----------
    predicted, target : array of shape (..., joints, 3)

    Returns
    -------
    array (..., joints, 3), in the unit of the target.

    Examples
    --------
    A triangle of twice the size that was moved fits exactly.

    >>> triangle = np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> np.allclose(similarity_align(2 * triangle + 5, triangle), triangle)
    True
    """
    return fit_similarity(predicted, target).apply(predicted)


def rigid_align(predicted: Array, target: Array) -> Array:
    """Predicted poses after `fit_rigid` to the target; shapes as in `similarity_align`."""
    return fit_rigid(predicted, target).apply(predicted)


def scale_align(predicted: Array, target: Array) -> Array:
    """Predicted poses times the least-squares factor, the alignment of N-MPJPE (Rhodin et al., CVPR 2018).

    Both are taken about the origin: make them root-relative first. A pose of zeros stays as it is. The factor
    is negative for a prediction that points away from the target, as the definition has it.

    Parameters
    ----------
    predicted, target : array of shape (..., joints, d)

    Returns
    -------
    array (..., joints, d).

    Examples
    --------
    >>> pose = np.array([[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> scale_align(3 * pose, pose).tolist()
    [[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    xp = array_namespace(predicted, target)
    _check_same_shape(predicted, target)
    overlap = xp.sum(predicted * target, axis=(-2, -1), keepdims=True)
    size = xp.sum(predicted * predicted, axis=(-2, -1), keepdims=True)
    return predicted * overlap / xp.where(size == 0, xp.ones_like(size), size)


def root_from_keypoints(relative: Array, rays: Array, weights: Array) -> Array:
    """Root position from which a root-relative pose projects onto the rays of its keypoints.

    Minimises ``sum_j w_j |(X_j + t_x, Y_j + t_y) - (Z_j + t_z) (x_j, y_j)|^2``, which is linear in t. Solved
    in closed form and differentiable. The residual is a distance in space, not in pixels: far joints weigh
    as near ones do.

    Parameters
    ----------
    relative : array of shape (..., joints, 3)
        Metres, camera axes, root at the origin.
    rays : array of shape (..., joints, 2)
        Undistorted ray coordinates ``(x/z, y/z)`` (`poseshift.geometry.camera.normalise`).
    weights : array of shape (..., joints)
        Such as detector confidences; zero leaves a joint out. At least two joints with different rays need a
        weight above zero, otherwise the depth is undetermined (NaN or infinite).

    Returns
    -------
    array (..., 3), metres. Its z is negative when pose and rays contradict each other.

    Examples
    --------
    Two joints half a metre above and below the root, seen from four metres: rays of 1/8.

    >>> relative = np.array([[0.0, -0.5, 0.0], [0.0, 0.5, 0.0]])
    >>> rays = np.array([[0.0, -0.125], [0.0, 0.125]])
    >>> root_from_keypoints(relative, rays, np.ones(2)).round(6).tolist()
    [0.0, 0.0, 4.0]
    """
    xp = array_namespace(relative)
    rays, weights = like(rays, relative), like(weights, relative)
    weights = (weights / xp.sum(weights, axis=-1, keepdims=True))[..., None]
    # Each joint asks for t_xy - ray t_z = offset; the weighted means eliminate t_xy.
    offset = rays * relative[..., 2:3] - relative[..., :2]
    mean_ray = xp.sum(weights * rays, axis=-2)
    mean_offset = xp.sum(weights * offset, axis=-2)
    centred = rays - mean_ray[..., None, :]
    spread = xp.sum(weights * centred * centred, axis=(-2, -1))
    depth = -xp.sum(weights * centred * (offset - mean_offset[..., None, :]), axis=(-2, -1)) / spread
    return xp.concat([mean_offset + mean_ray * depth[..., None], depth[..., None]], axis=-1)


def _unit_scale(overlap: Array, size: Array) -> Array:
    return array_namespace(overlap).ones_like(overlap)


def _least_squares_scale(overlap: Array, size: Array) -> Array:
    xp = array_namespace(overlap)
    return xp.where(size == 0, xp.zeros_like(size), overlap / xp.where(size == 0, xp.ones_like(size), size))


def _fit(predicted: Array, target: Array, scaled: Callable[[Array, Array], Array]) -> Similarity:
    """Least-squares map; ``scaled(overlap, size)`` gives the scale for the rotation found."""
    xp = array_namespace(predicted, target)
    _check_same_shape(predicted, target)
    predicted_mean = xp.mean(predicted, axis=-2)
    target_mean = xp.mean(target, axis=-2)
    source = predicted - predicted_mean[..., None, :]
    goal = target - target_mean[..., None, :]
    # Entry by entry: the whole (..., joints, 3, 3) product would be three times the poses in memory, and a
    # matrix product may run in reduced precision on a GPU.
    overlap, rotation = best_rotation(
        [[xp.sum(goal[..., i] * source[..., j], axis=-1) for j in range(3)] for i in range(3)]
    )
    scale = scaled(overlap, xp.sum(source * source, axis=(-2, -1)))
    moved = rotate(predicted_mean[..., None, :], rotation)[..., 0, :]
    return Similarity(scale, rotation, target_mean - scale[..., None] * moved)


def _check_same_shape(predicted: Array, target: Array) -> None:
    if tuple(predicted.shape) != tuple(target.shape):
        raise ValueError(
            f"predicted {tuple(predicted.shape)} and target {tuple(target.shape)} must have one shape: "
            "poses are compared one to one"
        )
