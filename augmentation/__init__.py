"""Learned pose augmentation (the local part of PoseDA, after PoseAug): operators, generator, discriminators."""
