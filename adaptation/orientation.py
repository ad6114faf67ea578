"""How people stand in front of a camera: the direction against gravity in its axes, and turning poses by it.

A camera's pitch and roll decide where up is in its axes; its heading does not show in a pose that may face
anywhere. Poses are turned as rigid bodies about their root, a clip as one body, so bone lengths and motion
stay what they are. Which direction to turn to is decided elsewhere.
"""

from __future__ import annotations

import math

import torch
from array_api_compat import array_namespace
from torch import Tensor

from poseshift.augmentation.clips import middle_root
from poseshift.augmentation.draws import draw_normal, draw_uniform
from poseshift.geometry.arrays import Array
from poseshift.geometry.constants import constant
from poseshift.geometry.rotation import axis_angle_to_matrix, compose, rotate, transpose
from poseshift.training.batches import Batch


def up_from_angles(pitch: Array, roll: Array) -> Array:
    """Direction against gravity in the axes (x right, y down, z forward) of a camera with this attitude.

    Parameters
    ----------
    pitch : Array
        (...), radians by which the camera looks down; pi / 2 is straight from above.
    roll : Array
        (...), radians by which the scene's up leans to the right in the image; pi is upside down.

    Returns
    -------
    Array
        (..., 3), unit vectors ``(sin roll cos pitch, -cos roll cos pitch, -sin pitch)``.
    """
    xp = array_namespace(pitch, roll)
    level = xp.cos(pitch)
    return xp.stack([xp.sin(roll) * level, -xp.cos(roll) * level, -xp.sin(pitch)], axis=-1)


def angles_from_up(up: Array) -> tuple[Array, Array]:
    """Pitch in [-pi/2, pi/2] and roll in (-pi, pi] of unit vectors (..., 3); see `up_from_angles`."""
    xp = array_namespace(up)
    return -xp.asin(xp.clip(up[..., 2], -1.0, 1.0)), xp.atan2(up[..., 0], -up[..., 1])


def jitter_directions(directions: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Tilt unit vectors (n, 3) by a normal draw of ``deviation`` radians in each of two directions."""
    noise = draw_normal(directions.shape, directions, generator)
    across = noise - (noise * directions).sum(dim=-1, keepdim=True) * directions
    return torch.nn.functional.normalize(directions + deviation * across, dim=-1)


def turn_upright(batch: Batch, up_camera: Tensor, root: int, generator: torch.Generator) -> Batch:
    """Turn clips about the root of their middle frame until up is where it is asked to be; draw the heading.

    Parameters
    ----------
    batch : Batch
        Clips whose direction against gravity is known.
    up_camera : Tensor
        (batch, 3), unit vectors, where up shall be in camera axes.
    root : int
        Index of the root joint.
    generator : torch.Generator
        Draws the headings, uniform over the full turn.

    Returns
    -------
    Batch
        With positions, keypoints and ``up_camera`` after the turn, in front of the same cameras. A clip that
        the turn brings behind its camera has keypoints without meaning until it is placed anew.

    Raises
    ------
    ValueError
        When it is not known where up is in the batch.
    """
    if batch.up_camera is None:
        raise ValueError(
            "the batch does not say where up is (up_camera is None), since a camera of its poses has no "
            "extrinsics, or moves in the clips' several frames, so they cannot be turned upright; take poses "
            "of cameras with extrinsics that stand still, prepared from the data set's release, or viewpoint "
            "'none'"
        )
    heading = draw_uniform((len(batch),), 0, 2 * math.pi, up_camera, generator)
    rotation = rotation_between(batch.up_camera, up_camera, heading)
    return turn(batch, rotation, root, up_camera)


def turn(batch: Batch, rotation: Tensor, root: int, up_camera: Tensor | None) -> Batch:
    """Turn clips about the root of their middle frame, in front of the same cameras.

    Parameters
    ----------
    batch : Batch
        Clips.
    rotation : Tensor
        (batch, 3, 3).
    root : int
        Index of the root joint.
    up_camera : Tensor or None
        (batch, 3), unit vectors against gravity after the turn; None where they are not known.
    """
    pivot = middle_root(batch.positions_camera, root)
    turned = rotate(batch.positions_camera - pivot, rotation) + pivot
    return Batch.seen(turned, batch.intrinsics, up_camera)


def rotation_between(source_up: Tensor, target_up: Tensor, heading: Tensor) -> Tensor:
    """Rotation that turns one up into another and then about it.

    Parameters
    ----------
    source_up, target_up : Tensor
        (n, 3), unit vectors; opposite ones are no special case.
    heading : Tensor
        (n,), radians about the target's up, from an origin without meaning.

    Returns
    -------
    Tensor
        (n, 3, 3).
    """
    about_z = heading[:, None] * constant((0.0, 0.0, 1.0), heading)
    upright = compose(axis_angle_to_matrix(about_z), transpose(_frame(source_up)))
    rotation: Tensor = compose(_frame(target_up), upright)
    return rotation


def _frame(up: Tensor) -> Tensor:
    """Rotation whose third column is a given unit vector, (..., 3) -> (..., 3, 3).

    Duff et al., "Building an Orthonormal Basis, Revisited" (JCGT 2017): without a singular direction.
    """
    x, y, z = up.unbind(dim=-1)
    sign = torch.where(z < 0, -torch.ones_like(z), torch.ones_like(z))
    a = -1 / (sign + z)
    b = x * y * a
    first = torch.stack([1 + sign * x * x * a, sign * b, -sign * x], dim=-1)
    second = torch.stack([b, sign + y * y * a, -y], dim=-1)
    return torch.stack([first, second, up], dim=-1)
