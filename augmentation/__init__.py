"""Learned pose augmentation (PoseDA's local part, after PoseAug): operators, generator, discriminators."""
