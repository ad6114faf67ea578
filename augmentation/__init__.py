"""Pose augmentation: operators, learned parameters (PoseDA's local part, after PoseAug) or random ones."""
