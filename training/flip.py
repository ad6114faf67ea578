"""Mirroring of poses: as an augmentation in training, and averaged with the plain answer in the test.

The mirror image of a person before a camera is seen by the mirror image of the camera: the principal point
and the tangential distortion along x are mirrored with the keypoints, so that projection and mirroring
commute.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from poseshift.geometry.constants import constant, indices
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.encoding import Encoded, Encoding
from poseshift.training.lifters.lifter import Lifter, Scaled, ScaledLifter

MIRROR_X = (-1.0, 1.0, 1.0)
"""Factors of a vector's coordinates that mirror it left to right."""


def mirror_positions(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Negate x of (..., joints, 3) and exchange left and right."""
    return mirror_directions(positions[..., indices(skeleton.mirrored, positions), :])


def mirror_directions(directions: Tensor) -> Tensor:
    """Negate x of (..., 3)."""
    mirrored: Tensor = directions * constant(MIRROR_X, directions)
    return mirrored


def mirror_keypoints(keypoints_px: Tensor, intrinsics: Intrinsics, skeleton: Skeleton) -> Tensor:
    """Mirror (batch, frames, joints, 2) pixels about the middle of the image and exchange left and right."""
    swapped = keypoints_px[..., indices(skeleton.mirrored, keypoints_px), :]
    width = intrinsics.size_px[:, None, None, 0]
    return torch.stack([width - swapped[..., 0], swapped[..., 1]], dim=-1)


def mirror_intrinsics(intrinsics: Intrinsics) -> Intrinsics:
    """Mirror the camera: the principal point about the image's middle, p2 (the x part) in sign."""
    centre, tangential = intrinsics.centre_px, intrinsics.tangential
    return replace(
        intrinsics,
        centre_px=torch.stack([intrinsics.size_px[..., 0] - centre[..., 0], centre[..., 1]], dim=-1),
        tangential=torch.stack([tangential[..., 0], -tangential[..., 1]], dim=-1),
    )


def draw_mirrored(count: int, probability: float, generator: torch.Generator) -> Tensor | None:
    """Draw which clips are mirrored, (count,) bool on the generator's device; None where none ever is."""
    if probability == 0:
        return None
    return torch.rand(count, generator=generator, device=generator.device) < probability


def lift(lifter: Lifter, encoding: Encoding, keypoints_px: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Lift keypoints to root-relative metres in camera axes.

    Parameters
    ----------
    lifter, encoding : Lifter or Encoding
        Trained together.
    keypoints_px : Tensor of shape (batch, frames, joints, 2)
        Pixels.
    intrinsics : Intrinsics
        Leading dimensions (batch,).

    Returns
    -------
    (batch, frames or 1, joints, 3), metres.
    """
    encoded = encoding.encode(keypoints_px, intrinsics)
    prediction: Tensor = lifter(encoded.inputs)
    return encoding.from_target_frame(prediction, encoded)


def encode_both(
    encoding: Encoding, keypoints_px: Tensor, intrinsics: Intrinsics, skeleton: Skeleton
) -> tuple[Encoded, Encoded]:
    """Encode keypoints, and their mirror image as the mirrored camera sees it; shapes as :func:`lift`."""
    mirrored_px = mirror_keypoints(keypoints_px, intrinsics, skeleton)
    mirrored = encoding.encode(mirrored_px, mirror_intrinsics(intrinsics))
    return encoding.encode(keypoints_px, intrinsics), mirrored


def lift_both(
    lifter: Lifter, encoding: Encoding, keypoints_px: Tensor, intrinsics: Intrinsics, skeleton: Skeleton
) -> tuple[Tensor, Tensor]:
    """Lift keypoints, and their mirror image, whose answer is mirrored back; shapes as :func:`lift`."""
    encoded, other = encode_both(encoding, keypoints_px, intrinsics, skeleton)
    plain, mirrored = lifter.both(encoded.inputs, other.inputs)
    back = mirror_positions(encoding.from_target_frame(mirrored, other), skeleton)
    return encoding.from_target_frame(plain, encoded), back


def lift_flip_averaged(
    lifter: Lifter, encoding: Encoding, keypoints_px: Tensor, intrinsics: Intrinsics, skeleton: Skeleton
) -> Tensor:
    """Average the plain answer and the mirrored answer to mirrored keypoints; shapes as :func:`lift`."""
    plain, mirrored = lift_both(lifter, encoding, keypoints_px, intrinsics, skeleton)
    return (plain + mirrored) / 2


def lift_scaled(
    lifter: ScaledLifter, encoding: Encoding, keypoints_px: Tensor, intrinsics: Intrinsics
) -> Scaled:
    """Lift as :func:`lift` does, and tell the scale of each joint."""
    return scaled_of(lifter, encoding, encoding.encode(keypoints_px, intrinsics))


def scaled_of(lifter: ScaledLifter, encoding: Encoding, encoded: Encoded) -> Scaled:
    """Lift what is encoded already; positions in camera axes."""
    scaled = lifter.scaled(encoded.inputs)
    return Scaled(encoding.from_target_frame(scaled.positions, encoded), scaled.log_scale)


def mirror_scaled(scaled: Scaled, skeleton: Skeleton) -> Scaled:
    """Mirror an answer, and exchange the scales of left and right."""
    order = indices(skeleton.mirrored, scaled.log_scale)
    return Scaled(mirror_positions(scaled.positions, skeleton), scaled.log_scale[..., order, :])


def lift_scaled_flip_averaged(
    lifter: ScaledLifter,
    encoding: Encoding,
    keypoints_px: Tensor,
    intrinsics: Intrinsics,
    skeleton: Skeleton,
) -> Scaled:
    """Average as :func:`lift_flip_averaged` does, and average the logarithms of both answers' scales."""
    encoded, other = encode_both(encoding, keypoints_px, intrinsics, skeleton)
    mirrored = mirror_scaled(scaled_of(lifter, encoding, other), skeleton)
    return averaged(scaled_of(lifter, encoding, encoded), mirrored)


def averaged(first: Scaled, second: Scaled) -> Scaled:
    """Average two answers, and the logarithms of their scales."""
    return Scaled((first.positions + second.positions) / 2, (first.log_scale + second.log_scale) / 2)
