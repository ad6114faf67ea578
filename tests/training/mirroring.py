"""A batch mirrored field by field, for tests of what mirrors clips while it cuts them out."""

from poseshift.geometry.skeleton import Skeleton
from poseshift.training.batches import Batch
from poseshift.training.flip import (
    mirror_directions,
    mirror_intrinsics,
    mirror_keypoints,
    mirror_positions,
)


def mirror(batch: Batch, skeleton: Skeleton) -> Batch:
    """Mirror every clip of a batch with its camera; twice is the batch itself."""
    return Batch(
        positions_camera=mirror_positions(batch.positions_camera, skeleton),
        keypoints_px=mirror_keypoints(batch.keypoints_px, batch.intrinsics, skeleton),
        intrinsics=mirror_intrinsics(batch.intrinsics),
        up_camera=None if batch.up_camera is None else mirror_directions(batch.up_camera),
    )
