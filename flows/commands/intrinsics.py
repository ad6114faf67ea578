"""What is said of a store whose cameras are not those of a calibration."""

from __future__ import annotations

from poseshift.flows.commands.console import say
from poseshift.storage.inspection import find_intrinsics, intrinsics_told
from poseshift.storage.store import PoseStore


def tell_intrinsics(store: PoseStore) -> None:
    """Say so where a store's cameras are assumed, made of its annotations, or contradicted by them."""
    told = intrinsics_told(find_intrinsics(store))
    if told is not None:
        say(told, "yellow")
