"""The methods of the benchmark's suites, by their names in :mod:`poseshift.adaptation.methods`."""

from __future__ import annotations

COMPARED = (
    "source_only",
    "gpa",
    "poseda",
    "everything",
    "random_pitch",
    "random_pitch_perspective",
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
    "poseda",
    "random_augmentation",
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
