"""The methods of the benchmark's suites, by their names in :mod:`poseshift.adaptation.methods`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CONTROLS: Mapping[str, str] = MappingProxyType(
    {
        "perspective": "source_only",
        "gpa": "positions_shuffled",
        "gpa_own_motion": "gpa",
        "gpa_perspective": "perspective",
        "gpa_viewpoint": "random_pitch",
        "gpa_bodies": "gpa",
        "bodies": "positions_shuffled",
        "poseda": "lpa_frozen",
        "lpa_frozen": "random_augmentation",
        "lpa_motion": "poseda",
        "random_augmentation": "gpa",
        "random_viewing_axis": "random_augmentation",
        "lpa_free_rotation": "poseda",
        "poseda_viewing_axis": "random_viewing_axis",
        "everything": "everything_random_viewpoints",
        "diverse": "no_target",
        "diverse_viewpoint": "no_target",
        "diverse_found_viewpoint": "diverse_random_viewpoint",
        "diverse_known_viewpoint": "diverse_random_viewpoint",
        "diverse_random_viewpoint": "diverse",
        "diverse_learned": "diverse",
        "diverse_learned_frozen": "diverse",
        "diverse_both": "no_target",
        "no_target_mixed": "no_target",
        "diverse_both_mixed": "no_target_mixed",
        "no_target_mixed_noisy": "no_target_mixed",
        "no_target_mixed_detected": "no_target_mixed",
        "diverse_both_mixed_detected": "diverse_both_mixed",
        "diverse_both_mixed_detected_found": "diverse_both_mixed_detected_random",
        "diverse_both_mixed_detected_found_views": "diverse_both_mixed_detected_found",
        "diverse_both_mixed_detected_random": "diverse_both_mixed_detected",
        "diverse_both_mixed_detected_seen": "diverse_both_mixed_detected",
        "self_training": "diverse_both",
        "diverse_tuned": "diverse",
        "diverse_multi_view": "diverse_tuned",
    }
)


def control_of(method: str) -> str | None:
    """Name the method that differs in the one thing that a method is about; source_only where none does."""
    return None if method == "source_only" else _CONTROLS.get(method, "source_only")


COMPARED_SHORT = ("source_only", "positions_shuffled", "gpa", "no_target", "diverse", "diverse_viewpoint")
"""What every claim about adaptation needs: the source, two baselines without a target, and the methods."""

COMPARED = (
    *COMPARED_SHORT,
    "diverse_both",
    "diverse_known_viewpoint",
    "diverse_random_viewpoint",
    "diverse_learned",
    "diverse_learned_frozen",
    "diverse_tuned",
    "self_training",
    "random_augmentation",
    "poseda",
    "everything",
    "everything_random_viewpoints",
    "poseda_known_viewpoints",
    "target_supervised",
    "source_there",
)
"""The methods of the suite ``adaptation``."""

ABLATED = (
    "source_only",
    "gpa",
    "gpa_root_only",
    "gpa_scale_only",
    "gpa_random",
    "positions_shuffled",
    "bodies",
    "gpa_bodies",
    "poseda",
    "random_augmentation",
    "lpa_frozen",
    "lpa_angles",
    "lpa_lengths",
    "lpa_turns",
    "lpa_free_rotation",
    "poseaug",
    "critic_pairs",
    "critic_none",
    "feedback",
    "target_supervised",
    "source_there",
)
"""The methods of the suite ``ablation``."""
