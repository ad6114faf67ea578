"""From the options of a command to the poses that they select."""

from __future__ import annotations

from poseshift.flows.experiment.recipe import PoseData
from poseshift.storage.store import PoseStore


def selected(
    store: str,
    subjects: list[str] | None,
    cameras: list[str] | None,
    frame_step: int,
    keypoints: str,
    least_confidence: float = 0.0,
    longest_gap_s: float = 0.0,
) -> PoseData:
    """Describe the poses that options select from a store."""
    return PoseData(
        dataset=PoseStore.open(store).dataset,
        store=store,
        subjects=tuple(subjects) if subjects else None,
        cameras=tuple(cameras) if cameras else None,
        frame_step=frame_step,
        keypoints=keypoints,
        least_confidence=least_confidence,
        longest_gap_s=longest_gap_s,
    )
